package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
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
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// A listing prints a long list a page at a time, as it is read: for programs one
// JSON array, for people a table, whose columns are as wide as each page needs.
type listing struct {
	w        io.Writer
	program  bool
	headings []string
	began    bool
}

// page prints rows: as values for programs, as cells for people.
func (l *listing) page(values []any, cells [][]string) error {
	if len(values) == 0 {
		return nil
	}
	if l.program {
		return l.elements(values)
	}
	if !l.began {
		cells = append([][]string{l.headings}, cells...)
	}
	l.began = true
	return printRows(l.w, cells)
}

func (l *listing) elements(values []any) error {
	var b bytes.Buffer
	for _, v := range values {
		between := ",\n  "
		if !l.began {
			between = "[\n  "
		}
		l.began = true
		b.WriteString(between)
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("  ", "  ")
		if err := enc.Encode(v); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // the encoder's new line
	}
	_, err := b.WriteTo(l.w)
	return err
}

// end prints what is missing when there are no more rows.
func (l *listing) end() error {
	switch {
	case l.program && l.began:
		_, err := io.WriteString(l.w, "\n]\n")
		return err
	case l.program:
		return printJSON(l.w, []any{})
	case !l.began:
		return printTable(l.w, l.headings, nil)
	}
	return nil
}
