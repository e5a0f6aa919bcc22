package realm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Notice is a message about a place in a realm file. It never quotes a secret.
type Notice struct {
	File         string
	Line, Column int    // from 1; 0 if unknown
	Path         string // such as clients[2].secret; empty for the file as a whole
	Text         string
}

// String returns file:line:column: path: text, without the parts that are unknown.
func (n Notice) String() string {
	s := n.File
	if n.Line > 0 {
		s += fmt.Sprintf(":%d:%d", n.Line, n.Column)
	}
	if n.Path != "" {
		s += ": " + n.Path
	}
	return s + ": " + n.Text
}

// Mistakes are all mistakes of a realm file, in the order of its lines.
type Mistakes []Notice

// Error returns a line for each mistake.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, n := range m {
		lines[i] = n.String()
	}
	return strings.Join(lines, "\n")
}

func sortNotices(n []Notice) {
	slices.SortStableFunc(n, func(a, b Notice) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
