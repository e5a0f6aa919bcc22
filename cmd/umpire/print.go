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

// printJSON writes indented JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printTable writes rows as aligned columns under headings.
func printTable(w io.Writer, headings []string, rows [][]string) error {
	return printRows(w, append([][]string{headings}, rows...))
}

// printRows writes rows as aligned columns.
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

// visible escapes characters that a terminal does not print or takes for a command: names
// and header values come from clients.
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

// A listing prints a long list while it is read, as a JSON array or as a table whose columns
// are aligned page by page.
type listing struct {
	w        io.Writer
	asJSON   bool
	headings []string
	began    bool
	rows     [][]string // of the table, not printed yet
}

// tablePage is how many rows of a table are aligned with one another.
const tablePage = 200

// add prints one row: the value as JSON, or the cells in a table.
func (l *listing) add(value any, cells []string) error {
	if l.asJSON {
		return l.element(value)
	}
	l.rows = append(l.rows, cells)
	if len(l.rows) < tablePage {
		return nil
	}
	return l.flush()
}

// flush prints the rows that are not printed yet.
func (l *listing) flush() error {
	rows := l.rows
	if !l.began {
		rows = append([][]string{l.headings}, rows...)
	}
	l.began, l.rows = true, l.rows[:0]
	return printRows(l.w, rows)
}

// element prints an element of the JSON array.
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
	b.Truncate(b.Len() - 1) // the newline of the encoder
	_, err := b.WriteTo(l.w)
	return err
}

// end prints the remaining rows and the end of the list.
func (l *listing) end() error {
	switch {
	case l.asJSON && l.began:
		_, err := io.WriteString(l.w, "\n]\n")
		return err
	case l.asJSON:
		return printJSON(l.w, []any{})
	case l.began && len(l.rows) == 0:
		return nil
	}
	return l.flush()
}
