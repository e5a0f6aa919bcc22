package uma

import (
	"strings"
)

// quoted is Keycloak's text for a list, cut to what helps the client to find its
// mistake.
func Quoted(scopes []Scope) string {
	const most, longest = 10, 64
	short := make([]Scope, 0, most+1)
	for i, s := range scopes {
		if i == most {
			short = append(short, "…")
			break
		}
		if len(s) > longest {
			s = Scope(strings.ToValidUTF8(string(s[:longest]), "")) + "…"
		}
		short = append(short, s)
	}
	return Listed(short)
}

// listed is how Keycloak prints a list.
func Listed(scopes []Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return "[" + strings.Join(names, ", ") + "]"
}
