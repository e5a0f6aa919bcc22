// Package place has the mistakes of policy files, each with its place.
package place

import "fmt"

// A Mistake is a mistake in a file.
type Mistake struct {
	File         string // empty if unknown
	Line, Column int    // from 1; 0 if unknown
	Text         string
}

// Error returns file:line: text, as OPA prints errors.
func (m *Mistake) Error() string {
	switch {
	case m.File == "":
		return m.Text
	case m.Line == 0:
		return m.File + ": " + m.Text
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
}
