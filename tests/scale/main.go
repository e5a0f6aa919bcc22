// Scale simulates designs of servers and databases with the costs that were measured of one
// decision, and says where each ends. docs/scaling.md has its tables, and how the costs were
// measured: it is a model, whose figures are no promise.
//
//	go run ./tests/scale                        all designs, with a thousand million resources
//	go run ./tests/scale -resources 1e6         fewer
//	go run ./tests/scale -rate 100000           what each does at a rate
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// The costs of decisions by store: those of processors are about what docs/scaling.md has, divided by estimate
// into parts; those of disks and networks are estimates of one data center.
var (
	sqliteCost = cost{
		server: 110 * time.Microsecond, serverRead: 40 * time.Microsecond, read: 20 * time.Microsecond,
		commit: 60 * time.Microsecond, record: 15 * time.Microsecond, durable: 400 * time.Microsecond,
		diskRead: 150 * time.Microsecond, logBytes: 9800, diskBytes: 2600, perRow: 15_000,
	}
	postgresCost = cost{
		server: 160 * time.Microsecond, serverRead: 60 * time.Microsecond, read: 200 * time.Microsecond,
		commit: 500 * time.Microsecond, record: 60 * time.Microsecond, durable: time.Millisecond, trip: 200 * time.Microsecond,
		diskRead: 150 * time.Microsecond, logBytes: 4000, diskBytes: 3000, perRow: 16_000,
	}
)

// designs are what can be built, from the smallest.
func designs(resources float64) []design {
	const gigabyte = 1e9
	one := design{servers: 1, cores: 2, databases: 1, records: true, resources: resources, logLimit: 500e6, memory: 64 * gigabyte, hitRate: 0.5}
	with := func(name string, change func(d *design)) design {
		d := one
		d.name = name
		change(&d)
		return d
	}
	return []design{
		with("one SQLite, 2 processors", func(d *design) { d.memory = 8 * gigabyte }),
		with("one SQLite, 16 processors", func(d *design) { d.cores = 16 }),
		with("one server, PostgreSQL of 8 processors", func(d *design) { d.dbCores, d.cores = 8, 8 }),
		with("4 servers, PostgreSQL of 16", func(d *design) { d.servers, d.cores, d.dbCores = 4, 8, 16 }),
		with("16 servers, PostgreSQL of 32", func(d *design) { d.servers, d.cores, d.dbCores, d.memory = 16, 8, 32, 256*gigabyte }),
		with("64 servers, realms over 16 of these", func(d *design) {
			d.servers, d.cores, d.databases, d.dbCores, d.memory = 64, 8, 16, 32, 256*gigabyte
		}),
		with("64 sidecars that decide by bundles", func(d *design) { d.servers, d.cores, d.records, d.hitRate = 64, 2, false, 1 }),
	}
}

func (d *design) cost() cost {
	if d.dbCores == 0 && d.records {
		return sqliteCost
	}
	return postgresCost
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(2)
	}
}

func run(args []string, out io.Writer) error {
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	resources := f.Float64("resources", 1e9, "how many `resources` there are, each with ten shares")
	rate := f.Float64("rate", 0, "decisions a `second`; 0: the most that each design answers")
	span := f.Duration("span", 2*time.Second, "simulated `time` of each run")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *resources <= 0 || *rate < 0 || *span <= 0 || f.NArg() > 0 {
		return fmt.Errorf("-resources and -span must be more than 0, -rate not less, and there are no other arguments")
	}
	fmt.Fprintf(out, "| design | decisions/s | p50 | p99 | busiest | records a commit | log/s, each database | rows, each | records of a day, each |\n%s|\n",
		strings.Repeat("|---", 9))
	for _, d := range designs(*resources) {
		o := d.most(d.cost(), *span)
		if *rate > 0 {
			o = d.simulate(d.cost(), *rate, *span)
		}
		rows, day := d.size(d.cost(), o.answered)
		fmt.Fprintf(out, "| %s | %.0f | %.1f ms | %.1f ms | %s, %.0f %% | %.0f | %s | %s | %s |\n", d.name, o.answered, ms(o.p50), ms(o.p99),
			o.busiest, 100*o.busy, o.batch, bytes(o.logRate), bytes(rows), bytes(day))
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
