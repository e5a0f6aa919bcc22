package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A table is what a measurement prints, in Markdown. The first row has the names of the columns.
type table struct {
	heading string
	rows    [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// String pads the cells, so that the text can be read as well.
func (t *table) String() string {
	width := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", t.heading)
	for n, row := range t.rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(&b, "| %s%s ", cell, pad)
			} else {
				fmt.Fprintf(&b, "| %s%s ", pad, cell)
			}
		}
		b.WriteString("|\n")
		if n == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	return b.String()
}

func (t *table) print() { fmt.Println(t) }

// report measures contenders and prints a table of them, each beside the first.
func report(ctx context.Context, s setting, heading string, callers int, contenders []contender) error {
	figures, err := interleave(ctx, contenders, callers, s.each)
	if err != nil {
		return fmt.Errorf("%s: %w", heading, err)
	}
	t := newFigures(heading, contenders[0].name)
	for i, f := range figures {
		t.figure(contenders[i].name, f)
	}
	t.print()
	if slices.ContainsFunc(contenders, func(c contender) bool { return c.database != "" }) {
		costTable(contenders, figures).print()
	}
	return nil
}

// costTable is what answers cost a database.
func costTable(contenders []contender, figures []figure) *table {
	t := &table{heading: "What an answer costs the database"}
	t.row("", "round trips", "writes", "writes in a commit", "write-ahead log", "to the disk")
	for i, f := range figures {
		c := f.costs
		wal := "–"
		if contenders[i].database != "" {
			wal = fmt.Sprintf("%.0f bytes", c.wal)
		}
		t.row(contenders[i].name, fmt.Sprintf("%.2f", c.trips), fmt.Sprintf("%.2f", c.entries), fmt.Sprintf("%.1f", c.entries/c.commits),
			wal, fmt.Sprintf("%.0f bytes", c.written))
	}
	return t
}

// newFigures is a table of figures beside a contender.
func newFigures(heading, beside string) *table {
	t := &table{heading: heading}
	t.row("", "per second", "p50", "p99", "CPU", "× "+beside)
	return t
}

func (t *table) figure(name string, f figure) {
	t.row(name, count(int64(f.perSecond)), millis(f.p50), millis(f.p99), micros(f.cpu), fmt.Sprintf("%.2f", f.beside))
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1e3) }

// micros is a time of a processor, of which 0 is unknown.
func micros(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%d µs", d.Microseconds())
}

// short is a time without digits that mean nothing.
func short(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// megabytes is a number of bytes, of which 0 is unknown.
func megabytes(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}

// count writes a number with commas between its thousands.
func count(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
