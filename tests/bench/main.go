// Bench measures a built Umpire over HTTP, in one run beside `opa run --server` with the same
// policy, and prints what it saw as tables for docs/performance.md. Figures mean something only
// next to one another: the ratios are the result.
//
//	make bench                                  all parts, with a soak of ten minutes
//	make bench BENCH='-only decisions,cold'     some parts
//	make bench BENCH='-seconds 2 -soak 1m'      shorter measurements
//	go run ./tests/bench -versions old/umpire,bin/umpire    binaries in turns, and nothing else
//	go run ./tests/bench -keycloak 127.0.0.1:8180           also a running Keycloak
//
// The parts of -only:
//
//	evaluation  the policy alone: time, allocations
//	decisions   decisions beside OPA, for each of -sizes, -callers and -caches; memory before and after
//	postgres    the same on SQLite and on a PostgreSQL beside it, by one server and by two
//	postgres-sizes  requests on PostgreSQL, with databases of each of -sizes
//	cold        the first second after a start, and a later one
//	tickets     a permission ticket and the RPT for it, signed by RS256, ES256 and EdDSA
//	shares      what owners and those they share with do, for each of -sizes
//	trusted     decisions with tokens of a trusted issuer
//	impact      decisions with a shadow policy, and recorded decisions evaluated again
//	soak        all of it at the same time for -soak, with memory, descriptors and WAL at its ends
//	database    makes the large databases, and measures nothing (part of none of the others)
//
// A database of -sizes with more than 200,000 rows is made once, which takes up to half an hour
// and some 15 gigabytes for the largest, and kept in -data.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A setting is what one run measures.
type setting struct {
	umpire   string        // path of the binary
	opa      string        // path of the binary; built if empty
	data     string        // folder of the databases that are kept
	parts    []string      // that are measured
	sizes    []size        // of databases
	callers  []int         // connections that wait for their answers
	caches   []caching     // that the server has
	versions []string      // paths of binaries that are measured beside each other, and nothing else
	keycloak string        // address of one with the photoz realm; empty for none
	each     time.Duration // of one measurement
	soak     time.Duration
}

// A part is one measurement, or several that need the same servers.
type part struct {
	name    string
	measure func(ctx context.Context, s setting, dir string) error
	asked   bool // only if -only names it
}

func parts() []part {
	return []part{
		{name: "evaluation", measure: measureEvaluation},
		{name: "decisions", measure: measureDecisions},
		{name: "postgres", measure: measurePostgres},
		{name: "postgres-sizes", measure: measurePostgresSizes},
		{name: "cold", measure: measureCold},
		{name: "tickets", measure: measureTickets},
		{name: "shares", measure: measureShares},
		{name: "trusted", measure: measureTrusted},
		{name: "impact", measure: measureImpact},
		{name: "soak", measure: measureSoak},
		{name: "database", measure: makeDatabases, asked: true},
	}
}

func main() {
	s, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	// The load leaves processors to the servers: on two, its one thread asks more than 30,000 times a second.
	runtime.GOMAXPROCS(max(1, runtime.NumCPU()/2))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// parse reads the flags.
func parse(args []string, stderr io.Writer) (s setting, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
		if !p.asked {
			s.parts = append(s.parts, p.name)
		}
	}
	f.Func("only", "the `parts` to be measured, separated by commas: "+strings.Join(names, ", "), func(text string) error {
		s.parts, err = list(text, func(name string) (string, bool) { return name, slices.Contains(names, name) })
		return err
	})
	s.sizes = []size{{1000, 100}, {1_000_000, 10_000_000}}
	f.Func("sizes", "`resources/shares` of the databases, separated by commas (default 1000/100,1000000/10000000)", func(text string) error {
		s.sizes, err = list(text, parseSize)
		return err
	})
	s.callers = []int{16, 64}
	f.Func("callers", "how many `callers`, in turn, separated by commas (default 16,64)", func(text string) error {
		s.callers, err = list(text, parseCount)
		return err
	})
	s.caches = cachings()
	f.Func("caches", "the `caches` that the server has, in turn: all, no-memo, none (default all three)", func(text string) error {
		s.caches, err = list(text, parseCaching)
		return err
	})
	f.Func("versions", "`paths` of binaries of Umpire to be measured in turns, and nothing else, separated by commas", func(text string) error {
		s.versions = strings.Split(text, ",")
		return nil
	})
	f.StringVar(&s.keycloak, "keycloak", "", "`address` of a running Keycloak with the realm of tests/testdata/photoz, to be measured beside")
	f.StringVar(&s.umpire, "umpire", "bin/umpire", "the built server")
	f.StringVar(&s.opa, "opa", "", "a built opa; one is built from go.mod when empty")
	f.StringVar(&s.data, "data", os.Getenv("UMPIRE_BENCH_DATA"), "`folder` of large databases (default $UMPIRE_BENCH_DATA, or umpire-bench in the user's cache folder)")
	seconds := f.Float64("seconds", 5, "how long each measurement takes")
	f.DurationVar(&s.soak, "soak", 10*time.Minute, "how long the soak takes")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.each = time.Duration(*seconds * float64(time.Second))
	if f.NArg() > 0 {
		return s, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	if s.each <= 0 || s.soak <= 0 {
		return s, errors.New("-seconds and -soak must be more than 0")
	}
	if s.data == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return s, fmt.Errorf("%w: give the folder of large databases with -data", err)
		}
		s.data = filepath.Join(cache, "umpire-bench")
	}
	return s, nil
}

// list reads a list that is separated by commas.
func list[T any](text string, read func(string) (T, bool)) ([]T, error) {
	var out []T
	for item := range strings.SplitSeq(text, ",") {
		v, ok := read(item)
		if !ok {
			return nil, fmt.Errorf("%q is none", item)
		}
		out = append(out, v)
	}
	return out, nil
}

func parseCount(text string) (n int, ok bool) {
	var rest string
	found, _ := fmt.Sscanf(text+" ", "%d%s", &n, &rest)
	return n, found == 1 && n > 0
}

// parseSize reads a size whose shares are of whole albums, beside which there are boards.
func parseSize(text string) (z size, ok bool) {
	resources, shares, has := strings.Cut(text, "/")
	z.resources, ok = parseCount(resources)
	if ok && has {
		z.shares, ok = parseCount(shares)
	}
	return z, ok && z.shares%sharesOfAlbum == 0 && z.boards() > 0
}

// run measures the parts.
func run(ctx context.Context, s setting) (err error) {
	dir, err := os.MkdirTemp("", "umpire-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Printf("%s\n\n", machine())
	if s.versions != nil {
		return measureVersions(ctx, s, dir)
	}
	for _, p := range parts() {
		if !slices.Contains(s.parts, p.name) {
			continue
		}
		own := filepath.Join(dir, p.name)
		if err := os.Mkdir(own, 0o700); err != nil {
			return err
		}
		if err := p.measure(ctx, s, own); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := os.RemoveAll(own); err != nil {
			return err
		}
	}
	return nil
}
