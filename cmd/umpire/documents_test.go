package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// inDocuments finds commands of the program in the text of a document, in
// `umpire …` and at the beginning of a line of a block.
var inDocuments = regexp.MustCompile("(?m)`umpire ([^`]+)`|^umpire (.+)$")

// TestDocumentedCommandLines: the commands and flags that the documents name exist.
// TestDocumentedCommands compares their output.
func TestDocumentedCommandLines(t *testing.T) {
	t.Parallel()
	docs, err := filepath.Glob("../../docs/*.md")
	deeper, err2 := filepath.Glob("../../docs/*/*.md")
	if err := errors.Join(err, err2); err != nil || len(docs) == 0 || len(deeper) == 0 {
		t.Fatalf("%d documents, and %d in folders of docs: %v", len(docs), len(deeper), err)
	}
	found := 0
	for _, doc := range slices.Concat(docs, deeper, []string{"../../README.md", "../../examples/photoz/README.md", "../../examples/clinic/README.md"}) {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inDocuments.FindAllStringSubmatch(string(text), -1) {
			found++
			line := m[1] + m[2]
			if fault := commandFault(line); fault != "" {
				t.Errorf("%s: umpire %s: %s", filepath.Base(doc), line, fault)
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d commands, which is too few to be all", found)
	}
	if commandFault("realm chekc FILE") == "" || commandFault("serve --relm FILE") == "" {
		t.Error("what is not there is not found out")
	}
}

// commandFault returns the command or flag of a command line that does not exist, or "".
func commandFault(line string) string {
	cmd := newRoot(&env{getenv: func(string) string { return "" }, now: time.Now})
	words := strings.Fields(strings.NewReplacer("\n", " ", "[", "", "]", "").Replace(line))
	for len(words) > 0 {
		next := subcommand(cmd, words[0])
		if next == nil {
			break
		}
		cmd, words = next, words[1:]
	}
	if cmd.HasSubCommands() && len(words) > 0 && words[0] != "COMMAND" && !strings.HasPrefix(words[0], "-") {
		return "there is no command " + words[0]
	}
	for _, w := range words {
		if slices.Contains([]string{"#", "&&", "|", ">"}, w) {
			break
		}
		name, isFlag := strings.CutPrefix(strings.TrimRight(w, ".,;)"), "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && name != "help" && name != "version" && cmd.Flag(name) == nil {
			return "there is no flag --" + name
		}
	}
	return ""
}

// TestOutputForPrograms: every command with output has JSON output in one style: members in
// snake_case, empty lists as [].
func TestOutputForPrograms(t *testing.T) {
	t.Parallel()
	other := []string{"serve", "demo", "schema", "export", "download", "completion", "help", examineName} // whose output has one format
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			walk(c)
		}
		if !cmd.HasSubCommands() && !slices.Contains(other, cmd.Name()) && cmd.Flag("output") == nil {
			t.Errorf("%s has no --output", cmd.CommandPath())
		}
	}
	walk(newRoot(&env{getenv: os.Getenv, now: time.Now}))

	data, file := t.TempDir(), example(t)
	ok(t, "realm", "apply", "--data", data, file)
	for _, args := range [][]string{
		{"realm", "init", t.TempDir()}, {"realm", "check", file}, {"realm", "apply", "--data", data, file}, {"policy", "check", file}, {"policy", "lint", file},
		{"policy", "test", file}, {"keys", "list", "--data", data}, {"keys", "rotate", "--data", data, "--realm", "photoz"},
		{"decisions", "list", "--data", data}, {"decisions", "prune", "--data", data, "--before", "1h"},
		{"shares", "list", "--data", data, "--realm", "photoz"}, {"backup", "--data", data, filepath.Join(t.TempDir(), "b.db")}, {"version"},
	} {
		if args[0] == "backup" && databases.Used() {
			continue // it copies a file
		}
		checkStyle(t, strings.Join(args, " "), decode[any](t, ok(t, append(args, "-o", "json")...)))
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	write(t, bad, "realm: x\nprofil: y\n")
	stdout, _, code := umpire(t, "realm", "check", "-o", "json", bad)
	r := decode[gateReport](t, stdout)
	if code != exitNotPassed || r.OK || len(r.Findings) == 0 || r.Findings[0].Gate != "realm" || !strings.Contains(r.Findings[0].Message, "profil") {
		t.Errorf("a mistaken realm file: exit %d, %s", code, stdout)
	}
}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func checkStyle(t *testing.T, where string, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		t.Errorf("%s is null", where)
	case []any:
		for _, e := range v {
			checkStyle(t, where+"[]", e)
		}
	case map[string]any:
		for name, e := range v {
			if !snakeCase.MatchString(name) {
				t.Errorf("%s has a member %q", where, name)
			}
			checkStyle(t, where+"."+name, e)
		}
	}
}

func subcommand(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}
