package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// inDocuments finds commands of the program in the text of a document, in
// `umpire …` and at the beginning of a line of a block.
var inDocuments = regexp.MustCompile("(?m)`umpire ([^`]+)`|^umpire (.+)$")

// TestDocumentedCommandLines: the commands and flags that the documents name are
// there. What they print is held in tests/.
func TestDocumentedCommandLines(t *testing.T) {
	t.Parallel()
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, doc := range append(docs, "../../README.md", "../../examples/photoz/README.md") {
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

// commandFault says what of a command line is not there.
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
		if w == "#" {
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

func subcommand(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}
