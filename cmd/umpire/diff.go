package main

import (
	"fmt"
	"strings"
)

// diffContext is how many equal lines stand around a change.
const diffContext = 3

// maxDiff is the product of the numbers of lines that are compared line by line; above it
// a file counts as replaced as a whole.
const maxDiff = 16 << 20

// A lineEdit is a line of a comparison: ' ' equal, '-' removed, '+' added.
type lineEdit struct {
	kind byte
	text string
}

// unified compares two texts, in the unified format without the lines that name the files.
// It is empty if they are equal.
func unified(before, after string) string {
	edits := compareLines(splitLines(before), splitLines(after))
	var b strings.Builder
	old, next := 1, 1 // line numbers
	for i := 0; i < len(edits); {
		end := hunkEnd(edits, i)
		if end == i {
			old, next, i = old+1, next+1, i+1
			continue
		}
		removed, added := 0, 0
		var lines strings.Builder
		for _, e := range edits[i:end] {
			if e.kind != '+' {
				removed++
			}
			if e.kind != '-' {
				added++
			}
			fmt.Fprintf(&lines, "%c%s\n", e.kind, e.text)
		}
		fmt.Fprintf(&b, "@@ -%d,%d +%d,%d @@\n%s", min(old, old-1+removed), removed, min(next, next-1+added), added, lines.String())
		old, next, i = old+removed, next+added, end
	}
	return b.String()
}

// hunkEnd returns the end of the hunk that begins at a line, or the line itself if no
// change is near.
func hunkEnd(edits []lineEdit, at int) int {
	end := at
	for i := at; i < len(edits) && i <= max(end, at)+diffContext+1; i++ {
		if edits[i].kind != ' ' {
			if end == at && i > at+diffContext {
				return at
			}
			end = i + 1
		}
	}
	if end == at {
		return at
	}
	return min(end+diffContext, len(edits))
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// compareLines returns a shortest list of edits, by the longest common subsequence of the
// lines between the equal ones at both ends.
func compareLines(a, b []string) []lineEdit {
	var edits, tail []lineEdit
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		edits = append(edits, lineEdit{' ', a[0]})
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail = append(tail, lineEdit{' ', a[len(a)-1]})
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	common := commonLengths(a, b)
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case common != nil && i < len(a) && j < len(b) && a[i] == b[j]:
			edits = append(edits, lineEdit{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && (common == nil || common[i+1][j] >= common[i][j+1]):
			edits = append(edits, lineEdit{'-', a[i]})
			i++
		default:
			edits = append(edits, lineEdit{'+', b[j]})
			j++
		}
	}
	for k := len(tail) - 1; k >= 0; k-- {
		edits = append(edits, tail[k])
	}
	return edits
}

// commonLengths has at [i][j] the length of the longest common subsequence of a[i:] and
// b[j:]; it is nil if the texts are too long.
func commonLengths(a, b []string) [][]int32 {
	if len(a)*len(b) > maxDiff {
		return nil
	}
	n := make([][]int32, len(a)+1)
	for i := range n {
		n[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				n[i][j] = n[i+1][j+1] + 1
			} else {
				n[i][j] = max(n[i+1][j], n[i][j+1])
			}
		}
	}
	return n
}
