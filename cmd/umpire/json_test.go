package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// A jsonShape is what docs/json.md says about the output of a command.
type jsonShape struct {
	example  any
	optional []string // members that are left out if they are empty
}

var (
	jsonHeading = regexp.MustCompile("`umpire ([^`]+)`")
	codeSpan    = regexp.MustCompile("`([^`]+)`")
)

// documentedShapes reads docs/json.md.
func documentedShapes(t *testing.T) map[string]*jsonShape {
	t.Helper()
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	shapes := make(map[string]*jsonShape)
	for _, section := range strings.Split(string(text), "\n### ")[1:] {
		heading, rest, _ := strings.Cut(section, "\n")
		_, rest, found := strings.Cut(rest, "```json\n")
		block, rest, _ := strings.Cut(rest, "```")
		shape := new(jsonShape)
		if err := json.Unmarshal([]byte(block), &shape.example); err != nil || !found {
			t.Fatalf("%s: %v", heading, err)
		}
		if _, after, ok := strings.Cut(rest, "Left out if empty: "); ok {
			list, _, _ := strings.Cut(after, "\n\n")
			for _, m := range codeSpan.FindAllStringSubmatch(list, -1) {
				shape.optional = append(shape.optional, m[1])
			}
		}
		for _, m := range jsonHeading.FindAllStringSubmatch(heading, -1) {
			shapes[m[1]] = shape
		}
	}
	return shapes
}

// differences compares an output with the documented example: its members, and the types of
// values that are not null.
func (s *jsonShape) differences(where string, want, got any) (found []string) {
	switch want := want.(type) {
	case []any:
		list, ok := got.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, not a list", where, got)}
		}
		for _, element := range list {
			if len(want) > 0 {
				found = append(found, s.differences(where+"[]", want[0], element)...)
			}
		}
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, not an object", where, got)}
		}
		for name := range maps.Keys(want) {
			if wildcard := strings.HasPrefix(name, "<"); wildcard {
				if want[name] != "…" {
					for each := range maps.Keys(object) {
						found = append(found, s.differences(where+"."+each, want[name], object[each])...)
					}
				}
				return found
			}
			if _, ok := object[name]; !ok && !slices.Contains(s.optional, name) {
				found = append(found, where+"."+name+" is missing")
			}
		}
		for name, value := range object {
			example, ok := want[name]
			switch {
			case !ok:
				found = append(found, where+"."+name+" is not documented")
			case value != nil && example != nil:
				found = append(found, s.differences(where+"."+name, example, value)...)
			case value == nil && !slices.Contains(nullable, name):
				found = append(found, where+"."+name+" is null")
			}
		}
	default:
		if want != nil && fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
			found = append(found, fmt.Sprintf("%s is %T, not %T", where, got, want))
		}
	}
	return found
}

// nullable are the members that the document says may be null.
var nullable = []string{"since", "until", "confirm_by", "policy", "proposal", "last_success", "last_failure", "expires", "revoked", "report", "tests", "impact"}

// TestDocumentedJSON: the JSON output of every command is on docs/json.md, and has the members
// that are documented there.
func TestDocumentedJSON(t *testing.T) {
	t.Parallel()
	shapes := documentedShapes(t)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			walk(c)
		}
		if f := cmd.Flag("output"); f != nil && f.Value.Type() == "string" && strings.Contains(f.Usage, "json") {
			if name := strings.TrimPrefix(cmd.CommandPath(), "umpire "); shapes[name] == nil {
				t.Errorf("docs/json.md does not have the output of %s", cmd.CommandPath())
			}
		}
	}
	walk(newRoot(&env{getenv: func(string) string { return "" }}))

	// Outputs that take long to make.
	for command, value := range map[string]any{
		"policy shadow": shadowReport{Changes: []shadowRow{{ChangeRow: audit.ChangeRow{RulesWas: []string{}, RulesNow: []string{}}}}},
		"shares list":   []shareRow{{Scopes: []uma.Scope{}}}, "decisions sinks": []sinkRow{{}}, "admin uses": []useRow{{}}, "issuer rename": renamedIssuer{},
		"store copy": copyReport{Tables: []copiedTable{{}}},
	} {
		for _, difference := range shapes[command].differences("", shapes[command].example, decode[any](t, jsonOf(t, value))) {
			t.Errorf("%s: %s", command, difference)
		}
	}

	realm := example(t, "grant: partial", "grant: partial, timeout: 20s") // of a busy machine
	folder := filepath.Join(filepath.Dir(realm), "policies")
	s := serve(t, t.TempDir(), "--realm", realm, "--decision-log", "")
	s.ready(t)
	s.ask(t, "bob", "Public board#view")
	s.ask(t, "dave", "Public board#view,post")
	candidate := filepath.Join(t.TempDir(), "policies")
	if err := os.CopyFS(candidate, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(candidate, "board.rego"), "package uma.policies.board\n\ngrant contains \"veiw\" if input.resource\n")
	unlinted := filepath.Join(t.TempDir(), "policies")
	if err := os.CopyFS(unlinted, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(unlinted, "more.rego"), "package uma.guardrails\n\ndeny contains \"closed\" if input.subject.username == \"eve\"\n")
	id := s.decisions(t)[0].ID
	first := s.decisions(t)[0].Revision
	for _, c := range []struct {
		command string
		args    []string
		code    int
	}{
		{"policy check", []string{candidate, "--realm", realm}, 3},
		{"policy lint", []string{candidate, "--realm", realm}, 3},
		{"realm check", []string{realm}, 0},
		{"policy test", []string{candidate}, 3},
		{"policy eval", []string{"--user", "bob", "--resource", "Holiday album", "--trace"}, 0},
		{"policy access", []string{"--realm", "photoz", "--user", "bob"}, 0},
		{"policy impact", []string{"--realm", "photoz", "--candidate", candidate}, 0},
		{"policy impact", []string{"--realm", "photoz", "--candidate", candidate, "--reach"}, 0},
		{"policy status", nil, 0},
		{"policy activate", []string{unlinted}, 0},
		{"policy status", nil, 0},
		{"policy diff", []string{first, "…"}, 0},
		{"policy show", []string{first}, 0},
		{"policy rollback", nil, 0},
		{"policy history", nil, 0},
		{"policy release", nil, 0},
		{"decisions list", nil, 0},
		{"decisions show", []string{id}, 0},
		{"decisions explain", []string{id}, 0},
		{"decisions explain", []string{id, "--trace", "--candidate", candidate}, 0},
		{"decisions prune", []string{"--before", "1h"}, 0},
		{"decisions sinks", nil, 0},
		{"realm init", []string{t.TempDir()}, 0},
		{"realm apply", []string{realm}, 0},
		{"keys list", nil, 0},
		{"keys rotate", []string{"--realm", "photoz"}, 0},
		{"shares list", []string{"--realm", "photoz"}, 0},
		{"admin token create", []string{"--realm", "photoz", "--name", "ci", "--can", "read"}, 0},
		{"admin token list", nil, 0},
		{"admin uses", nil, 0},
		{"backup", []string{filepath.Join(t.TempDir(), "b.db")}, 0},
		{"version", nil, 0},
	} {
		if c.command == "backup" && databases.Used() {
			continue // it copies a file
		}
		args := append(strings.Fields(c.command), "-o", "json")
		if strings.Contains(c.command, "realm init") || !slices.Contains([]string{"policy check", "policy lint", "policy test", "realm check", "realm init", "version"}, c.command) {
			args = append(args, "--data", s.data)
		}
		for _, arg := range c.args {
			if arg == "…" { // the policy in force
				arg = decode[[]statusRow](t, ok(t, "policy", "status", "--data", s.data, "-o", "json"))[0].Policy.Revision
			}
			args = append(args, arg)
		}
		stdout, stderr, code := umpire(t, args...)
		if code != c.code {
			t.Errorf("%s: exit %d, want %d: %s", c.command, code, c.code, stderr)
			continue
		}
		shape := shapes[c.command]
		for _, difference := range shape.differences("", shape.example, decode[any](t, stdout)) {
			t.Errorf("%s: %s", c.command, difference)
		}
	}
}
