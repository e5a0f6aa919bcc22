package nearest_test

import (
	"strings"
	"testing"

	"example.com/umpire/nearest"
)

// TestMiss: a near miss is one edit away, and two from six letters on; two letters exchanged
// are one edit.
func TestMiss(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		word  string
		known []string
		want  string
	}{
		{"veiw", []string{"edit", "view"}, "view"}, // exchanged
		{"vieww", []string{"view"}, "view"},
		{"vie", []string{"view"}, "view"},
		{"vjew", []string{"view"}, "view"},
		{"View", []string{"view"}, "view"},
		{"paymnet", []string{"payment", "patient"}, "payment"},
		{"paymen", []string{"payment"}, "payment"},
		{"pymnet", []string{"payment"}, "payment"}, // two edits, seven letters
		{"delte", []string{"delete"}, "delete"},
		{"dlte", []string{"delete"}, "delete"},
		{"denied", []string{"deny"}, ""},   // three edits
		{"granted", []string{"grant"}, ""}, // two edits, five letters
		{"vw", []string{"view"}, ""},
		{"x", []string{"r", "w"}, ""}, // no letter in common
		{"ab", []string{"ac"}, "ac"},
		{"größe", []string{"große"}, "große"},
		{"", []string{"a"}, ""},
		{"view", nil, ""},
	} {
		if got := nearest.Miss(tc.word, tc.known); got != tc.want {
			t.Errorf("%q of %q: got %q, want %q", tc.word, tc.known, got, tc.want)
		}
	}
}

// Words of policies may have megabytes. To compare them letter by letter with short names takes
// memory for each pair of letters.
func TestMissOfLongWord(t *testing.T) {
	word, known := strings.Repeat("x", 1<<20), []string{"view", "payment", "edit"}
	if got := testing.AllocsPerRun(1, func() { nearest.Miss(word, known) }); got > 20 {
		t.Errorf("got %.0f allocations", got)
	}
}

// TestOf: a hint permits two edits in a word of any length.
func TestOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ word, known, want string }{
		{"granted", "grant", "grant"}, {"secert", "secret", "secret"}, {"id", "at", ""}, {"abc", "xyz", ""},
	} {
		if got := nearest.Of(tc.word, []string{tc.known}); got != tc.want {
			t.Errorf("%q of %q: got %q, want %q", tc.word, tc.known, got, tc.want)
		}
	}
}
