// Package nearest finds the known name that a misspelt one resembles.
package nearest

import "strings"

// Of returns the word that a misspelt one resembles, for the hint of a message: less than
// three edits away. It returns "" if none does.
func Of(misspelt string, words []string) string {
	return closest(misspelt, words, func(string) int { return 2 })
}

// Miss returns the word of which an unknown one is a near miss: one edit away, two if the
// word has six letters or more. It returns "" if there is none. It is stricter than Of,
// because a near miss may stop a rollout.
func Miss(unknown string, words []string) string {
	return closest(unknown, words, func(word string) int {
		if len([]rune(word)) >= 6 {
			return 2
		}
		return 1
	})
}

// closest returns the word with the fewest edits, at most as many as limit permits and
// fewer than the word has letters: "r" is not taken for "w".
func closest(other string, words []string, limit func(word string) int) string {
	nearest, least := "", 0
	letters := []rune(strings.ToLower(other))
	for _, w := range words {
		known := []rune(strings.ToLower(w))
		if max(len(letters)-len(known), len(known)-len(letters)) > limit(w) {
			continue // no fewer edits; a word of megabytes is compared with none
		}
		d := distance(letters, known)
		if d <= limit(w) && d < len(known) && (nearest == "" || d < least) {
			nearest, least = w, d
		}
	}
	return nearest
}

// distance is the number of edits between two words: a letter more, less or another, or two
// neighbours exchanged (optimal string alignment).
func distance(a, b []rune) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			other := 1
			if a[i-1] == b[j-1] {
				other = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+other)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
