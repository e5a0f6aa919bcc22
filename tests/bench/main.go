// Bench measures a built Umpire over HTTP, in one run beside `opa run --server`
// with the same policy, and prints what it saw. Figures mean something only next
// to one another: the ratios are the result.
//
//	make bench
//	go run ./tests/bench -resources 1000 -seconds 2
//	go run ./tests/bench -versions old/umpire,bin/umpire
//	go run ./tests/bench -keycloak 127.0.0.1:8180
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// A setting is what one run measures.
type setting struct {
	umpire  string // path of the binary
	opa     string // path of the binary; built if empty
	sizes   []int  // resources of the resource server
	callers []int  // connections that wait for their answers
	shared  []int  // resources that one owner shares, ten shares each

	versions []string      // paths of binaries of Umpire that are measured beside each other, and nothing else
	keycloak string        // address of one with the photoz realm; empty for none
	each     time.Duration // of one measurement
}

func main() {
	var s setting
	sizes := flag.String("resources", "1000,1000000", "how many resources, in turn")
	callers := flag.String("callers", "16,64", "how many callers, in turn")
	shared := flag.String("shared", "10,10000", "how many resources of one owner are shared, ten shares each, in turn")
	versions := flag.String("versions", "", "`paths` of binaries of Umpire to be measured in turns, and nothing else, separated by commas")
	flag.StringVar(&s.keycloak, "keycloak", "", "`address` of a running Keycloak with the realm of tests/testdata/photoz, to be measured beside")
	flag.StringVar(&s.umpire, "umpire", "bin/umpire", "the built server")
	flag.StringVar(&s.opa, "opa", "", "a built opa; one is built from go.mod when empty")
	seconds := flag.Float64("seconds", 5, "how long each measurement takes")
	flag.Parse()
	s.sizes, s.callers, s.shared = numbers(*sizes), numbers(*callers), numbers(*shared)
	if *versions != "" {
		s.versions = strings.Split(*versions, ",")
	}
	s.each = time.Duration(*seconds * float64(time.Second))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func numbers(list string) []int {
	var out []int
	for _, s := range strings.Split(list, ",") {
		var n int
		if _, err := fmt.Sscan(s, &n); err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "bench: %q is no list of numbers\n", list)
			os.Exit(2)
		}
		out = append(out, n)
	}
	return out
}

// run starts everything first and then measures in short turns, so that what the
// machine does beside it is done to all alike.
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
	if err := evaluationAlone(ctx); err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	if err := measureImpact(ctx, s, dir); err != nil {
		return fmt.Errorf("impact: %w", err)
	}
	opa, err := startOPA(ctx, s, dir)
	if err != nil {
		return fmt.Errorf("opa: %w", err)
	}
	defer func() { err = errors.Join(err, opa.stop()) }()
	var servers []*umpire
	for _, n := range s.sizes {
		u := &umpire{binary: s.umpire, dir: filepath.Join(dir, fmt.Sprint(n)), n: n}
		if err := u.fill(ctx); err != nil {
			return fmt.Errorf("make %d resources: %w", n, err)
		}
		servers = append(servers, u)
	}
	var notes []string
	for _, alg := range []string{"RS256", "ES256"} {
		more, err := measure(ctx, s, opa, servers, alg)
		if err != nil {
			return fmt.Errorf("%s: %w", alg, err)
		}
		notes = append(notes, more...)
	}
	if err := measureShares(ctx, s, dir); err != nil {
		return fmt.Errorf("shares: %w", err)
	}
	if err := measureTrusted(ctx, s, dir); err != nil {
		return fmt.Errorf("tokens of a trusted issuer: %w", err)
	}
	fmt.Printf("opa: %s resident, ready after %s\n", opa.resident(), opa.ready.Round(time.Millisecond))
	fmt.Println(strings.Join(notes, "\n"))
	return nil
}

// measure has all servers sign with an algorithm and prints what they do.
func measure(ctx context.Context, s setting, opa *opaServer, servers []*umpire, alg string) (notes []string, err error) {
	for _, u := range servers {
		if err := u.start(ctx, alg); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, u.stop()) }()
	}
	beside := servers
	if s.keycloak != "" {
		k, err := aKeycloak(ctx, s.keycloak)
		if err != nil {
			return nil, fmt.Errorf("keycloak: %w", err)
		}
		beside = append([]*umpire{k}, servers...)
	}
	for _, callers := range s.callers {
		for _, u := range beside { // again, since access tokens live for five minutes
			if err := u.signIn(); err != nil {
				return nil, err
			}
		}
		if alg == "RS256" { // signing has no part in decisions
			contenders := []contender{{"opa run --server", opa.addr, opa.ask, opa.process}}
			for _, u := range beside {
				contenders = append(contenders, u.contender(u.decision()))
			}
			if err := report(ctx, s, fmt.Sprintf("decisions, %d callers", callers), callers, contenders); err != nil {
				return nil, err
			}
		}
		var contenders []contender
		for _, u := range beside {
			contenders = append(contenders, u.contender(u.roundTrip()))
		}
		if err := report(ctx, s, fmt.Sprintf("ticket to RPT (two requests), %s, %d callers", alg, callers), callers, contenders); err != nil {
			return nil, err
		}
	}
	for _, u := range servers {
		notes = append(notes, fmt.Sprintf("%s, %s: %s resident after the load, ready %s after its second start",
			u.name(), alg, u.resident(), u.ready.Round(time.Millisecond)))
	}
	return notes, nil
}

// report measures contenders and prints a table of them, each beside the first.
func report(ctx context.Context, s setting, heading string, callers int, contenders []contender) error {
	figures, err := interleave(ctx, contenders, callers, s.each)
	if err != nil {
		return fmt.Errorf("%s: %w", heading, err)
	}
	fmt.Println(heading)
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tper second\tp50\tp99\tCPU\tx "+contenders[0].name+"\t")
	for i, f := range figures {
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%s\t%s\t%.2f\t\n", contenders[i].name, f.perSecond,
			f.p50.Round(10*time.Microsecond), f.p99.Round(10*time.Microsecond), f.cpu.Round(time.Microsecond), f.beside)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println()
	return nil
}
