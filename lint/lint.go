package lint

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/engine"
	"example.com/umpire/nearest"
	"example.com/umpire/place"
)

// A Finding is a part of a policy that does nothing, or probably not what it is written for.
type Finding struct {
	place.Mistake
	Blocks bool
}

// Check returns the findings in a policy that compiles and has this entry point, in the
// order of files and lines. Without names of a realm, those that need them are left out.
func Check(src engine.Source, entrypoint string, names *Names) ([]Finding, error) {
	parts, err := engine.Assemble(src)
	if err != nil {
		return nil, err
	}
	if parts.Compiler.Compile(parts.Modules); parts.Compiler.Failed() {
		return nil, errors.Join(engine.CompilerErrors(parts.Compiler.Errors)...)
	}
	l := &linter{
		src: src, names: names, outline: engine.OutlineOf(src),
		compiler: parts.Compiler, data: parts.Data, modules: map[string]*ast.Module{},
	}
	for file := range src.Modules {
		l.modules[file] = parts.Compiler.Modules[file]
	}
	if ref, err := ast.ParseRef(entrypoint); err == nil && slices.ContainsFunc(l.compiler.GetRulesExact(ref), l.isOwn) {
		l.entrypoint = ref
	}
	l.checkRead()
	l.checkReferences()
	if names != nil {
		l.checkTypes()
		l.checkWords()
	}
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(l.findings), nil
}

// A linter collects the findings of one policy.
type linter struct {
	src        engine.Source
	entrypoint ast.Ref // the realm's own; nil for the library's
	names      *Names  // nil without a realm
	outline    engine.Outline
	compiler   *ast.Compiler
	data       map[string]any
	modules    map[string]*ast.Module // the realm's, compiled
	findings   []Finding
}

// isOwn reports whether a rule is the realm's and not the library's.
func (l *linter) isOwn(rule *ast.Rule) bool {
	_, ok := l.modules[rule.Location.File]
	return ok
}

// files are the names of the realm's modules, sorted.
func (l *linter) files() []string { return slices.Sorted(maps.Keys(l.modules)) }

func (l *linter) block(at *ast.Location, format string, args ...any) {
	l.add(at, true, format, args...)
}

func (l *linter) warn(at *ast.Location, format string, args ...any) {
	l.add(at, false, format, args...)
}

func (l *linter) add(at *ast.Location, blocks bool, format string, args ...any) {
	file := filepath.Join(l.src.Folder, filepath.FromSlash(at.File))
	l.findings = append(l.findings, Finding{place.Mistake{File: file, Line: at.Row, Column: at.Col, Text: fmt.Sprintf(format, args...)}, blocks})
}

// unknown reports a word that is not among the known ones: a near miss of one blocks, any
// other word is a warning. Where mild is set, a near miss is a warning, too.
func (l *linter) unknown(at *ast.Location, word string, known []string, mild bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if near := nearest.Miss(word, known); near != "" {
		l.add(at, !mild, "%s: did you mean %q?", text, near)
		return
	}
	l.warn(at, "%s", text)
}

// path is the constant part of a reference, without its first term.
func path(ref ast.Ref) (names []string) {
	for _, term := range ref[1:] {
		s, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		names = append(names, string(s))
	}
	return names
}

// dotted is a path in Rego's notation.
func dotted(path []string) string {
	var text strings.Builder
	for i, name := range path {
		switch {
		case !ast.IsVarCompatibleString(name):
			text.WriteString("[" + strconv.Quote(name) + "]")
		case i > 0:
			text.WriteString("." + name)
		default:
			text.WriteString(name)
		}
	}
	return text.String()
}

func teamPackage(path []string) bool {
	return len(path) > 2 && path[0] == "uma" && path[1] == "policies"
}
