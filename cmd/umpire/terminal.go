package main

import (
	"fmt"
	"io"
	"unicode/utf8"

	"example.com/umpire/uma"
)

// A terminal writes text without commands for the terminal that shows it: control
// characters are escaped, as in JSON. Names with such characters are refused, but the
// database may be older than that rule, and a User-Agent or a claim may have any.
type terminal struct{ w io.Writer }

// Write returns how much of p has been written, as a caller that goes on after a
// full disk needs to know it.
func (t *terminal) Write(p []byte) (n int, err error) {
	clean := 0 // from n on
	for n+clean < len(p) {
		r, size := utf8.DecodeRune(p[n+clean:])
		if isShown(r, size) {
			clean += size
			continue
		}
		written, err := t.w.Write(p[n : n+clean])
		if n += written; err != nil {
			return n, err
		}
		if _, err := fmt.Fprintf(t.w, `\u%04x`, r); err != nil {
			return n, err
		}
		n, clean = n+size, 0
	}
	if clean == 0 {
		return n, nil
	}
	written, err := t.w.Write(p[n:])
	return n + written, err
}

// isShown reports whether a character goes out as it is.
func isShown(r rune, size int) bool {
	switch {
	case r == '\n', r == '\t', r == '\r', ' ' <= r && r <= '~':
		return true
	case r == utf8.RuneError && size == 1: // a byte that is no UTF-8
		return false
	}
	return uma.IsText(string(r))
}
