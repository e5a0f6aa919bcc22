package uma_test

import (
	"strings"
	"testing"

	"example.com/umpire/uma"
)

func TestEmailAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"ann@corp.example":         {"ann@corp.example", "corp.example"},
		"Ann.B@CORP.Example":       {"ann.b@corp.example", "corp.example"},
		"\u212aelvin@corp.example": {"\u212aelvin@corp.example", "corp.example"}, // a Kelvin sign is no k
		"\u00c4nn@corp.example":    {"\u00c4nn@corp.example", "corp.example"},
		"":                         {},
		"ann":                      {},
		"@":                        {},
		"ann@":                     {},
		"@corp.example":            {},
		"ann@corp@example":         {},
		"ann b@corp.example":       {},
		"ann\u00a0b@corp.example":  {},
		"ann\n@corp.example":       {},
		"an\u200bn@corp.example":   {},
		"ann@corp.example\u202e":   {},
		"ann\xff@corp.example":     {},
		strings.Repeat("a", 243) + "@corp.example": {},
	} {
		address, domain, ok := uma.EmailAddress(text)
		if [2]string{address, domain} != want || ok != (want[0] != "") {
			t.Errorf("%q: got %q, %q, %t, want %q", text, address, domain, ok, want)
		}
	}
}
