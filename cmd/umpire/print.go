package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// printJSON writes a value for programs.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printTable writes rows for people, under their headings.
func printTable(w io.Writer, headings []string, rows [][]string) error {
	return printRows(w, append([][]string{headings}, rows...))
}

func printRows(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, visible(cell))
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// visible writes what a terminal would not print, or take for a command, as an escape:
// names and header values are what somebody sent.
func visible(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// A listing prints a long list as it is read: for programs one JSON array, for
// people a table, whose columns are as wide as each of its pages needs.
type listing struct {
	w        io.Writer
	program  bool
	headings []string
	began    bool
	rows     [][]string // of the table, yet to be printed
}

// tablePage is how many rows of a table are aligned with one another.
const tablePage = 200

// add prints one row: the value for programs, the cells for people.
func (l *listing) add(value any, cells []string) error {
	if l.program {
		return l.element(value)
	}
	l.rows = append(l.rows, cells)
	if len(l.rows) < tablePage {
		return nil
	}
	return l.flush()
}

func (l *listing) flush() error {
	rows := l.rows
	if !l.began {
		rows = append([][]string{l.headings}, rows...)
	}
	l.began, l.rows = true, l.rows[:0]
	return printRows(l.w, rows)
}

func (l *listing) element(v any) error {
	var b bytes.Buffer
	b.WriteString(",\n  ")
	if !l.began {
		b.Reset()
		b.WriteString("[\n  ")
	}
	l.began = true
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("  ", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the encoder's new line
	_, err := b.WriteTo(l.w)
	return err
}

// end prints what is left when there are no more rows.
func (l *listing) end() error {
	switch {
	case l.program && l.began:
		_, err := io.WriteString(l.w, "\n]\n")
		return err
	case l.program:
		return printJSON(l.w, []any{})
	case l.began && len(l.rows) == 0:
		return nil
	}
	return l.flush()
}
