package realm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Notice is something about a place in a realm file. It never quotes a secret.
type Notice struct {
	File         string
	Line, Column int    // from 1; 0 where the place is not known
	Path         string // such as clients[2].secret; empty for the file as a whole
	Text         string
}

// String is file:line:column: path: text, of what is known.
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

// Mistakes are all that is wrong with a realm file, in the order of its lines.
type Mistakes []Notice

// Error is a line for each.
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

// nearest returns the word that name was probably meant to be, or "".
func nearest(name string, words []string) string {
	best, least := "", 3
	for _, w := range words {
		if d := distance(name, w); d < least && d < len(w) {
			best, least = w, d
		}
	}
	return best
}

// distance is that of Levenshtein, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
