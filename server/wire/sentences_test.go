package wire

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

func TestSay(t *testing.T) {
	t.Parallel()
	s := Sentences{
		"a": "Resource [{resource}] lacks {scopes} of {client}",
		"b": "At most {limit} of {parameter}",
	}
	for _, tc := range []struct {
		fault uma.Fault
		want  string
	}{
		{uma.Fault{Kind: "a", Resource: "{scopes}", Scopes: []uma.Scope{"view", "print"}, Client: "app"}, "Resource [{scopes}] lacks [view, print] of app"},
		{uma.Fault{Kind: "b", Parameter: "uris", Limit: 200}, "At most 200 of uris"},
		{uma.Fault{Kind: uma.Missing, Parameter: "username"}, "username is missing"}, // of Plain
		{uma.Fault{}, ""},
	} {
		if got := s.Say(tc.fault); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// No client gets all that it sent back.
func TestListIsCut(t *testing.T) {
	t.Parallel()
	long := []uma.Scope{uma.Scope(strings.Repeat("ä", 100))}
	if got := list(long); len(got) > 80 || !strings.HasSuffix(got, "…]") {
		t.Errorf("got %q", got)
	}
	if got := list(make([]uma.Scope, 50)); strings.Count(got, ",") != 10 || !strings.HasSuffix(got, "…]") {
		t.Errorf("got %q", got)
	}
}

// Every kind of fault that package uma declares has a plain sentence, and every sentence
// is of a kind that is declared.
func TestEveryFaultHasASentence(t *testing.T) {
	t.Parallel()
	kinds := faultKinds(t)
	for kind := range kinds {
		if Plain[kind] == "" {
			t.Errorf("%s has no sentence", kind)
		}
	}
	for kind := range Plain {
		if !kinds[kind] && kind != Said {
			t.Errorf("uma has no fault %s", kind)
		}
	}
}

// The sentences of all faces have no placeholders but those that Say replaces: a client
// never sees one.
func TestPlaceholdersAreKnown(t *testing.T) {
	t.Parallel()
	all := uma.Fault{
		Parameter: "x", Value: "x", Resource: "x", Scopes: []uma.Scope{"x"}, Client: "x", User: "x", Owner: "x", Name: "x",
		Setting: "x", Limit: 1, Detail: "x",
	}
	count := 0
	for _, sentence := range sentencesInSource(t) {
		count++
		all.Kind = "any"
		if said := (Sentences{"any": sentence}).Say(all); strings.ContainsAny(said, "{}") {
			t.Errorf("got %q of %q", said, sentence)
		}
	}
	if count < len(Plain) {
		t.Errorf("got only %d sentences", count)
	}
}

// sentencesInSource reads from the source the sentences of this package and the faces.
func sentencesInSource(t *testing.T) (found []string) {
	t.Helper()
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			typ := lit.Type
			if of, ok := typ.(*ast.SelectorExpr); ok {
				typ = of.Sel
			}
			if id, ok := typ.(*ast.Ident); !ok || id.Name != "Sentences" {
				return true
			}
			ast.Inspect(lit, func(n ast.Node) bool {
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
					s, err := strconv.Unquote(text.Value)
					if err != nil {
						t.Fatal(err)
					}
					found = append(found, s)
				}
				return true
			})
			return false
		})
	}
	return found
}

// faultKinds reads from the source all that package uma declares.
func faultKinds(t *testing.T) map[uma.FaultKind]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../uma/faults.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[uma.FaultKind]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		typ, ok := spec.Type.(*ast.Ident)
		if !ok || typ.Name != "FaultKind" {
			return true
		}
		kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if kinds[uma.FaultKind(kind)] {
			t.Errorf("%s is declared twice", kind)
		}
		kinds[uma.FaultKind(kind)] = true
		return true
	})
	if len(kinds) < 50 {
		t.Fatalf("got only %d kinds", len(kinds))
	}
	return kinds
}
