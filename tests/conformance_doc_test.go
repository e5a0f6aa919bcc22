package tests

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew")

const conformanceFile = "../docs/conformance.md"

// TestConformanceDocument holds docs/conformance.md to the table of rules, and
// that to the tests there are. With -update it writes the document.
func TestConformanceDocument(t *testing.T) {
	t.Parallel()
	known := readTests(t)
	seen := map[string]bool{}
	for _, part := range conformance {
		for _, r := range part.rules {
			if seen[r.id] {
				t.Errorf("%s is there twice", r.id)
			}
			seen[r.id] = true
			if r.status == holds && len(r.tests) == 0 || r.status != holds && r.why == "" {
				t.Errorf("%s: what holds has tests, all else a reason", r.id)
			}
			for _, name := range r.tests {
				if !known.has(name) {
					t.Errorf("%s: there is no test %s", r.id, name)
				}
			}
		}
	}
	for letter, last := range map[string]int{"G": 74, "F": 31} {
		for n := range last {
			if id := letter + strconv.Itoa(n+1); !seen[id] {
				t.Errorf("%s is missing", id)
			}
		}
	}
	want := conformanceDocument()
	if *update {
		if err := os.WriteFile(conformanceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(conformanceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/conformance.md is not what the table says: go test ./tests -run TestConformanceDocument -update")
	}
}

func conformanceDocument() []byte {
	var b bytes.Buffer
	count := map[string]int{}
	for _, part := range conformance {
		for _, r := range part.rules {
			count[r.status]++
		}
	}
	fmt.Fprintf(&b, conformanceHead, count[holds], count[different], count[notYet])
	for _, part := range conformance {
		fmt.Fprintf(&b, "\n## %s\n\n| rule | § | says | | shown by, or why |\n|---|---|---|---|---|\n", part.title)
		for _, r := range part.rules {
			var notes []string
			for _, name := range r.tests {
				notes = append(notes, "`"+name+"`")
			}
			last := strings.Join(notes, "<br>")
			if r.why != "" && last != "" {
				last += "<br>"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.id, r.section, r.gist, r.status, last+r.why)
		}
	}
	return b.Bytes()
}

// A testIndex knows the tests of the module: by name, `pep.TestX` but for those of
// this folder, the words their subtests may be named by.
type testIndex map[string]map[string]bool

// has reports whether there is such a test. Each part of a subtest's name must be
// a word of the file of the test; of a name that is put together, the beginning.
func (x testIndex) has(name string) bool {
	test, subtests := name, ""
	i := strings.Index(name, "Test")
	if j := strings.IndexByte(name[max(i, 0):], '/'); j >= 0 {
		test, subtests = name[:i+j], name[i+j+1:]
	}
	words, ok := x[test]
	if !ok {
		return false
	}
	for part := range strings.SplitSeq(subtests, "/") {
		if part == "" || words[part] {
			continue
		}
		if !slices.ContainsFunc(beginnings(part), func(b string) bool { return words[b] }) {
			return false
		}
	}
	return true
}

// beginnings are those of a name that end in an underscore.
func beginnings(name string) []string {
	var all []string
	for i, c := range name {
		if c == '_' && i > 3 {
			all = append(all, name[:i+1])
		}
	}
	return all
}

// readTests reads the names of all tests out of their sources.
func readTests(t *testing.T) testIndex {
	t.Helper()
	index := testIndex{}
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		words := map[string]bool{}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					words[strings.ReplaceAll(s, " ", "_")] = true
				}
			}
			return true
		})
		folder := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			name := f.Name.Name
			if folder != "tests" {
				name = folder + "." + name
			}
			index[name] = words
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]bool{}
	for _, c := range readRecorded(t) {
		cases[c.Case] = true
	}
	index["TestKeycloakAnswers"] = cases
	return index
}

var (
	testName = regexp.MustCompile("`((?:[a-z/]+\\.)?Test[A-Z][A-Za-z0-9]*(?:/[^`]+)?)`")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noSlug   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestDocuments: the tests that the documents name are there, and their links
// lead somewhere within the repository.
func TestDocuments(t *testing.T) {
	t.Parallel()
	known := readTests(t)
	for _, file := range append(documents(t), "../CHANGELOG.md") {
		text := readDocument(t, file)
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if !known.has(m[1]) {
				t.Errorf("%s: there is no test %s", file, m[1])
			}
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link %s: %v", file, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(readDocument(t, target)), anchor) {
				t.Errorf("%s: link %s: no such heading", file, m[1])
			}
		}
	}
}

// readDocument is the text of a document without its blocks of code.
func readDocument(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fenced.ReplaceAllString(string(raw), "")
}

// anchors are what the headings of a document are linked by.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		slug := noSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(slug, " ", "-"))
	}
	return all
}

// TestDocumentsChangelog: a version has each kind of change under one heading, and no
// entry twice. Merges left both.
func TestDocumentsChangelog(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "## "):
			clear(seen)
		case strings.HasPrefix(line, "### "), strings.HasPrefix(line, "- "):
			if seen[line] {
				t.Errorf("line %d: %q is there twice: merge both", i+1, line)
			}
			seen[line] = true
		}
	}
}
