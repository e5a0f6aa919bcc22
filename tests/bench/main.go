// Bench measures a built Umpire over HTTP, in one run beside `opa run --server`
// with the same policy, and prints what it saw. Figures mean something only next
// to one another: the ratios are the result.
//
//	make bench
//	go run ./tests/bench -resources 1000 -seconds 2
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"
)

// A setting is what one run measures.
type setting struct {
	umpire  string        // path of the binary
	opa     string        // path of the binary; built if empty
	sizes   []int         // resources of the resource server
	callers []int         // connections that wait for their answers
	each    time.Duration // of one measurement
}

func main() {
	var s setting
	sizes := flag.String("resources", "1000,1000000", "how many resources, in turn")
	callers := flag.String("callers", "16,64", "how many callers, in turn")
	flag.StringVar(&s.umpire, "umpire", "bin/umpire", "the built server")
	flag.StringVar(&s.opa, "opa", "", "a built opa; one is built from go.mod when empty")
	seconds := flag.Float64("seconds", 5, "how long each measurement takes")
	flag.Parse()
	s.sizes, s.callers = numbers(*sizes), numbers(*callers)
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

// run measures OPA, then Umpire at each size.
func run(ctx context.Context, s setting) error {
	dir, err := os.MkdirTemp("", "umpire-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("%s\n\n", machine())

	base, err := measureOPA(ctx, s, dir)
	if err != nil {
		return fmt.Errorf("opa: %w", err)
	}
	if err := evaluationAlone(ctx); err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	first := map[string]float64{}
	for _, n := range s.sizes {
		if err := measureUmpire(ctx, s, dir, n, base, first); err != nil {
			return fmt.Errorf("umpire with %d resources: %w", n, err)
		}
	}
	return nil
}

// table prints rows under a heading, columns in line.
func table(heading string, columns []string, rows [][]string) {
	fmt.Println(heading)
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, strings.Join(columns, "\t")+"\t")
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	w.Flush()
	fmt.Println()
}
