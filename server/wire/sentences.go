package wire

import (
	"strconv"
	"strings"

	"example.com/umpire/uma"
)

// Sentences say faults. {parameter}, {value}, {resource}, {scopes}, {client}, {user},
// {owner}, {name}, {setting} and {limit} stand for what the fault is about.
type Sentences map[uma.FaultKind]string

// Plain are this server's own words, for what a face has no others for.
var Plain = Sentences{
	uma.Missing: "{parameter} is missing",
}

// Say returns the sentence for a fault, and "" if there is none.
func (s Sentences) Say(f uma.Fault) string {
	sentence, ok := s[f.Kind]
	if !ok {
		sentence = Plain[f.Kind]
	}
	if !strings.Contains(sentence, "{") {
		return sentence
	}
	return strings.NewReplacer(
		"{parameter}", f.Parameter, "{value}", f.Value, "{resource}", f.Resource, "{scopes}", list(f.Scopes),
		"{client}", f.Client, "{user}", f.User, "{owner}", f.Owner, "{name}", f.Name, "{setting}", f.Setting,
		"{limit}", strconv.Itoa(f.Limit),
	).Replace(sentence)
}

// list is how Keycloak prints a list, cut to what helps the client to find its
// mistake.
func list(scopes []uma.Scope) string {
	const most, longest = 10, 64
	short := make([]string, 0, most+1)
	for i, scope := range scopes {
		if i == most {
			short = append(short, "…")
			break
		}
		s := string(scope)
		if len(s) > longest {
			s = strings.ToValidUTF8(s[:longest], "") + "…"
		}
		short = append(short, s)
	}
	return "[" + strings.Join(short, ", ") + "]"
}
