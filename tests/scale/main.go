// Scale simulates designs of servers and databases, and says where each ends. docs/scaling.md has its tables. It is a model, whose
// figures are no promise: costs.go says of each constant where it is from, and TestMeasured how far it is from what was measured.
//
//	go run ./tests/scale                                   all designs, with 10^9 resources of ten shares each
//	go run ./tests/scale -resources 1e6 -rate 10000        others; and whether each design holds a rate
//	go run ./tests/scale -servers 6 -databases 2 -hot 0.4  a design of one's own, with a realm that has 40 % of all decisions
//
// A decision passes stations: processors of its server; if its rows are not in the server's memory, a connection, processors and
// disk of the database; then a commit with others, for which transactions of all servers wait for each other at the row that
// numbers their records. Delivery and retention go on beside it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	if err := simulateAll(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(2)
	}
}

// Settings are those of the command line.
type settings struct {
	w      workload
	own    design
	rate   float64
	speed  float64
	span   time.Duration
	output string
}

func parse(args []string) (s settings, err error) {
	s.own = design{name: "this design", store: &postgres, machines: dataCenter, numbers: 1}
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	f.Float64Var(&s.w.resources, "resources", 1e9, "how many `resources` there are")
	f.Float64Var(&s.w.shares, "shares", 10, "`shares` of each; 0: decisions are about what resource servers own")
	f.Float64Var(&s.w.asked, "asked", 0, "how many `resources` decisions are about, all alike; 0: one of a hundred")
	f.Float64Var(&s.w.changes, "changes", 0.01, "`changes` of shares, resources, users and sessions for each decision")
	f.Float64Var(&s.w.lists, "lists", 0.05, "pages of `lists` for each decision")
	f.IntVar(&s.w.realms, "realms", 1000, "how many `realms` there are")
	f.Float64Var(&s.w.hot, "hot", 0.05, "the `part` that the hottest realm has, of decisions and rows")
	f.Float64Var(&s.w.keep, "keep", 90, "`days` that records are kept; 0: for ever")
	f.Float64Var(&s.rate, "rate", 0, "wanted decisions a `second`; 0, and where a design does not hold them: the most that it holds")
	f.Float64Var(&s.speed, "speed", 1, "how many `times` as fast processors are as those that were measured")
	f.DurationVar(&s.span, "span", time.Second, "simulated `time` of each run")
	f.StringVar(&s.output, "o", "table", "`format`: table or json")
	f.IntVar(&s.own.servers, "servers", 0, "a design of one's own: `servers` of each PostgreSQL")
	f.IntVar(&s.own.cores, "cores", 8, "its `processors` of a server")
	f.IntVar(&s.own.databases, "databases", 1, "its `databases`, over which realms are spread")
	f.IntVar(&s.own.dbCores, "db-cores", 16, "its `processors` of a database")
	f.Float64Var(&s.own.memory, "memory", 256e9, "its `bytes` of memory of a database")
	f.IntVar(&s.own.replicas, "replicas", 0, "its `replicas` of each database, which answer lists")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if s.w.asked == 0 {
		s.w.asked = max(s.w.resources/100, 1)
	}
	w, d := &s.w, &s.own
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("no arguments are wanted, only flags: %s", f.Arg(0))
	case w.resources < 1 || w.asked < 1 || w.asked > w.resources || w.realms < 1:
		return s, fmt.Errorf("want at least one of -resources, -asked and -realms, and not more -asked than -resources")
	case w.shares < 0 || w.changes < 0 || w.lists < 0 || w.lists > 1 || w.keep < 0 || s.rate < 0 || w.hot < 0 || w.hot > 1:
		return s, fmt.Errorf("want no negative numbers, and -hot and -lists from 0 to 1")
	case s.speed <= 0 || s.span <= 0 || d.servers < 0 || d.cores < 1 || d.databases < 1 || d.dbCores < 1 || d.memory <= 0 || d.replicas < 0:
		return s, fmt.Errorf("want -speed, -span and -memory above 0, and at least one of what a design has")
	case s.output != "table" && s.output != "json":
		return s, fmt.Errorf("-o: want table or json, not %q", s.output)
	}
	return s, nil
}

func simulateAll(args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	all := designs()
	if s.own.servers > 0 {
		all = []design{s.own}
	}
	outcomes := []outcome{}
	for _, d := range all {
		outcomes = append(outcomes, s.outcome(&d))
	}
	if s.output == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(outcomes)
	}
	printTable(out, outcomes)
	return nil
}

// outcome is that of the wanted rate; of a design that does not hold it, and without one, that of the most that the design holds.
func (s *settings) outcome(d *design) outcome {
	c := d.costsOf(s.speed)
	if s.rate > 0 {
		if o := d.simulate(s.w, c, s.rate, s.span); o.Holds {
			return o
		}
	}
	o := d.most(s.w, c, s.span)
	if s.rate > 0 {
		o.Holds = false
	}
	return o
}

// printTable prints outcomes for people. Bytes are those of the busiest database.
func printTable(out io.Writer, outcomes []outcome) {
	fmt.Fprintf(out, "| design | decisions/s | holds | p50 | p99 | ends with | records a commit | log/s | written/s | rows | records a day | kept |\n%s|\n",
		strings.Repeat("|---", 12))
	for _, o := range outcomes {
		holds := "yes"
		if !o.Holds {
			holds = "no"
		}
		fmt.Fprintf(out, "| %s | %.0f | %s | %.1f ms | %.1f ms | %s, %.0f %% | %.0f | %s | %s | %s | %s | %s |\n", o.Design, o.Answered, holds, o.P50, o.P99,
			o.Ends, 100*o.Loads[o.Ends], o.Batch, bytes(o.Log), bytes(o.Disk), bytes(o.Rows), bytes(o.Day), bytes(o.Kept))
	}
}

func bytes(n float64) string {
	if n == 0 {
		return "–"
	}
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 1000 {
			return fmt.Sprintf("%.0f %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.1f TB", n)
}
