package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/place"
	"example.com/umpire/uma"
)

// sets are the names that the library reads in team packages and in uma.guardrails. Each
// must be a set: the library would not read `deny if …`, and would deny nothing.
var sets = []string{"grant", "deny", "need_info", "submit", "reasons", "obligations"}

// roots are the packages that a realm's files may define, with all packages below them.
// Any other could replace the library: a file with `package uma.authz` could grant
// everything.
var roots = [][]string{{"uma", "policies"}, {"uma", "guardrails"}, {"uma", "facts"}, {"system", "log"}, {"lib"}}

const allowedRoots = "uma.policies.<type>, uma.guardrails, uma.facts, system.log and lib"

// checkModules returns the mistakes in a realm's modules that the compiler does not find,
// in the order of the files.
func checkModules(modules map[string]*ast.Module) (mistakes []error) {
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		module := modules[file]
		mistakes = append(mistakes, checkLabels(module)...)
		path, ok := packagePath(module.Package)
		if !ok || !allowed(path) {
			mistakes = append(mistakes, mistake(module.Package.Loc(), "%s: a realm's files may define %s only", module.Package, allowedRoots))
			continue
		}
		depth := contractDepth(path)
		if depth < 0 {
			continue
		}
		if len(path) > depth && isMember(path[depth]) {
			mistakes = append(mistakes, mistake(module.Package.Loc(), "%s: %s must be a rule, not a package", module.Package, path[depth]))
			continue
		}
		if len(path) > depth {
			continue
		}
		for _, rule := range module.Rules {
			mistakes = append(mistakes, checkRule(rule)...)
		}
	}
	return mistakes
}

// checkLabels returns the mistakes in the labels that name rules in records: those are searched for and shown in
// lists, and a database may be unable to keep a NUL.
func checkLabels(module *ast.Module) (mistakes []error) {
	for _, a := range module.Annotations {
		for _, label := range []string{"team", "rule"} {
			if name, _ := a.Labels[label].(string); !uma.IsText(name) {
				mistakes = append(mistakes, mistake(a.Location, "the label %s has control characters or invisible characters", label))
			}
		}
	}
	return mistakes
}

func checkRule(rule *ast.Rule) []error {
	ref := rule.Head.Ref()
	name := strings.Trim(ref[0].Value.String(), `"`)
	contains := rule.Head.RuleKind() == ast.MultiValue
	switch {
	case slices.Contains(sets, name) && (!contains || len(ref) > 1):
		return []error{mistake(rule.Loc(), "%s is a set: write `%s contains …`", name, name)}
	case name == "rpt" && (contains || len(rule.Head.Args) > 0):
		return []error{mistake(rule.Loc(), "rpt is an object: write `rpt := {…}`")}
	}
	return nil
}

// checkData returns the mistakes in a realm's data files. Data may be below the roots that
// packages may have, and must not define what rules define.
func checkData(data map[string]map[string]any) (mistakes []error) {
	for _, file := range slices.Sorted(maps.Keys(data)) {
		mistakes = append(mistakes, checkMembers(file, nil, data[file])...)
	}
	return mistakes
}

func checkMembers(file string, path []string, members map[string]any) (mistakes []error) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		below := append(slices.Clone(path), name)
		object, isObject := members[name].(map[string]any)
		depth := contractDepth(below)
		switch {
		case depth >= 0 && len(below) > depth && isMember(name):
			mistakes = append(mistakes, &place.Mistake{File: file, Text: fmt.Sprintf("data.%s: %s must be defined by rules, not by data", strings.Join(below, "."), name)})
		case depth >= 0 && len(below) <= depth && isObject, leadsToRoot(below) && isObject:
			mistakes = append(mistakes, checkMembers(file, below, object)...)
		case !allowed(below):
			mistakes = append(mistakes, &place.Mistake{File: file, Text: fmt.Sprintf("data.%s: a realm's data may be below %s only", strings.Join(below, "."), allowedRoots)})
		}
	}
	return mistakes
}

func allowed(path []string) bool {
	return slices.ContainsFunc(roots, func(root []string) bool {
		return hasPrefix(path, root) && (len(path) > len(root) || root[len(root)-1] != "policies")
	})
}

func leadsToRoot(path []string) bool {
	return slices.ContainsFunc(roots, func(root []string) bool { return hasPrefix(root, path) })
}

// contractDepth returns, for a path in or below a package with the sets of the contract,
// the length of that package's path; for any other path -1.
func contractDepth(path []string) int {
	switch {
	case hasPrefix(path, []string{"uma", "policies"}):
		return 3
	case hasPrefix(path, []string{"uma", "guardrails"}):
		return 2
	}
	return -1
}

func isMember(name string) bool { return name == "rpt" || slices.Contains(sets, name) }

func hasPrefix(path, prefix []string) bool {
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
}

// Members returns the names of the rules that the library and the server read in a package,
// which has a path without `data`. They read none in packages that are not of the contract.
func Members(path []string) []string {
	switch {
	case len(path) == 3 && contractDepth(path) == 3:
		return append(slices.Clone(sets), "rpt")
	case len(path) == 2 && contractDepth(path) == 2:
		return []string{"deny", "need_info"}
	case slices.Equal(path, []string{"system", "log"}):
		return []string{"mask"}
	}
	return nil
}

// packagePath is the path of a package, without `data`.
func packagePath(p *ast.Package) ([]string, bool) {
	path := make([]string, 0, len(p.Path))
	for _, term := range p.Path[1:] {
		s, ok := term.Value.(ast.String)
		if !ok {
			return nil, false
		}
		path = append(path, string(s))
	}
	return path, true
}

// teamNames are the keys of the team packages. The router looks a type up there, because to
// ask whether a package exists is to evaluate it.
func teamNames(modules map[string]*ast.Module) map[string]any {
	names := make(map[string]any)
	for _, module := range modules {
		if path, ok := packagePath(module.Package); ok && len(path) > 2 && hasPrefix(path, []string{"uma", "policies"}) {
			names[path[2]] = true
		}
	}
	return names
}
