package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
)

// costs are what servers and their database have done so far: sums that only grow.
type costs struct {
	trips   float64 // round trips of requests to the database
	entries float64 // writes that were committed
	commits float64 // that they shared
	written float64 // bytes that were given to the disk
	wal     float64 // of them, bytes of a PostgreSQL's write-ahead log
}

func (c costs) plus(d costs, factor float64) costs {
	return costs{c.trips + factor*d.trips, c.entries + factor*d.entries, c.commits + factor*d.commits, c.written + factor*d.written, c.wal + factor*d.wal}
}

// costs is what the contender's servers and their database have done so far.
func (c *contender) costs(ctx context.Context) (sum costs, err error) {
	for _, admin := range c.admins {
		of, err := costsOf(admin)
		if err != nil {
			return costs{}, err
		}
		sum = sum.plus(of, 1)
	}
	for _, p := range c.processes {
		sum.written += p.written()
	}
	if c.database != "" {
		sum.wal, err = walOf(ctx, c.database)
	}
	return sum, err
}

// costsOf reads the metrics of a server.
func costsOf(admin string) (c costs, err error) {
	res, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return costs{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return costs{}, err
	}
	return costsIn(string(text)), nil
}

func costsIn(metrics string) (c costs) {
	for line := range strings.Lines(metrics) {
		var name string
		var value float64
		if _, err := fmt.Sscan(line, &name, &value); err != nil {
			continue
		}
		switch name {
		case "umpire_database_round_trips_total":
			c.trips = value
		case "umpire_store_batch_size_sum":
			c.entries = value
		case "umpire_store_batch_size_count":
			c.commits = value
		}
	}
	return c
}

// walOf is how many bytes of write-ahead log a PostgreSQL has written.
func walOf(ctx context.Context, url string) (bytes float64, err error) {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	err = c.QueryRow(ctx, `SELECT (pg_current_wal_insert_lsn() - '0/0')::float8`).Scan(&bytes)
	return bytes, err
}

// written is how many bytes the process, and if it is a tree its children that still run, have given to the disk.
func (p *process) written() (bytes float64) {
	if p == nil {
		return 0
	}
	for _, pid := range p.pids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
		if err == nil {
			bytes += writtenIn(string(text))
		}
	}
	return bytes
}

// writtenIn reads /proc/PID/io.
func writtenIn(io string) float64 {
	for line := range strings.Lines(io) {
		var n float64
		if _, err := fmt.Sscanf(line, "write_bytes: %g", &n); err == nil {
			return n
		}
	}
	return 0
}
