package main

import (
	"fmt"
	"io"
	"unicode/utf8"

	"example.com/umpire/uma"
)

// A terminal escapes control characters, as JSON does, so that text from clients cannot
// send commands to the terminal. Names with such characters are refused, but a User-Agent
// or a claim may have them, and a database may be older than that check.
type terminal struct{ w io.Writer }

// Write implements io.Writer. It returns how much of p was written, which the decision log
// needs to continue after a full disk.
func (t *terminal) Write(p []byte) (n int, err error) {
	clean := 0 // bytes from n on that need no escape
	for n+clean < len(p) {
		if c := p[n+clean]; ' ' <= c && c <= '~' { // the decision log passes here, too
			clean++
			continue
		}
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

// isShown reports whether a character is written unescaped.
func isShown(r rune, size int) bool {
	switch {
	case r == '\n', r == '\t', r == '\r':
		return true
	case r == utf8.RuneError && size == 1: // a byte that is not UTF-8
		return false
	}
	return uma.IsText(string(r))
}
