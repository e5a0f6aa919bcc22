package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// operationsPage is the text of docs/operations.md.
func operationsPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is the text below a heading of a document, up to the next one.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, after, found := strings.Cut(text, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("there is no section %s", heading)
	}
	before, _, _ := strings.Cut(after, "\n## ")
	return before
}

// TestDocumentedContents: the contents of docs/operations.md list its sections, in their order.
func TestDocumentedContents(t *testing.T) {
	t.Parallel()
	text := operationsPage(t)
	var listed, sections []string
	for _, m := range regexp.MustCompile(`(?m)^- \[(.+)\]\(#.+\)$`).FindAllStringSubmatch(text, -1) {
		listed = append(listed, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(text, -1) {
		sections = append(sections, m[1])
	}
	if !slices.Equal(listed, sections) {
		t.Errorf("the contents have %q, the sections are %q", listed, sections)
	}
}

// TestDocumentedSettings: the table of settings has each flag of serve with its variable.
func TestDocumentedSettings(t *testing.T) {
	t.Parallel()
	settings := section(t, operationsPage(t), "Settings")
	serve := subcommand(newRoot(&env{getenv: func(string) string { return "" }, now: time.Now}), "serve")
	found := 0
	check := func(prefix string) func(*pflag.Flag) {
		return func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			found++
			flag := "`" + prefix + "--" + f.Name + "`"
			variable := "`UMPIRE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")) + "`"
			for line := range strings.Lines(settings) {
				if strings.HasPrefix(line, "| ") && strings.Contains(line, flag) && strings.Contains(line, variable) {
					return
				}
			}
			t.Errorf("the table of settings has no row with %s and %s", flag, variable)
		}
	}
	serve.LocalNonPersistentFlags().VisitAll(check("serve "))
	serve.InheritedFlags().VisitAll(check(""))
	if found < 20 {
		t.Errorf("found %d flags, which is too few to be all", found)
	}
}

// TestDocumentedMetrics: the table of metrics has each metric that the program registers, and no other.
func TestDocumentedMetrics(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../server/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var registered, documented []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(umpire_[a-z0-9_]+)"`).FindAllStringSubmatch(string(code), -1) {
			registered = append(registered, m[1])
		}
	}
	for line := range strings.Lines(section(t, operationsPage(t), "Metrics")) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, m := range regexp.MustCompile("`(umpire_[a-z0-9_]+)`").FindAllStringSubmatch(cells[1], -1) {
				documented = append(documented, m[1])
			}
		}
	}
	if len(registered) < 40 {
		t.Errorf("found %d metrics, which is too few to be all", len(registered))
	}
	for _, name := range registered {
		if !slices.Contains(documented, name) {
			t.Errorf("the table of metrics lacks %s", name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(registered, name) {
			t.Errorf("the table of metrics has %s, which does not exist", name)
		}
	}
}
