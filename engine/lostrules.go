package engine

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// denials are the rules that deny, want claims or mask records: for each file, the package
// of each rule by the text of the rule.
type denials map[string]map[string]string

func denialsOf(modules map[string]*ast.Module) denials {
	all := denials{}
	for file, module := range modules {
		for _, rule := range module.Rules {
			if name, ok := restricts(rulePath(module, rule)); ok {
				if all[file] == nil {
					all[file] = map[string]string{}
				}
				all[file][rule.String()] = name
			}
		}
	}
	return all
}

// restricts returns the package of a rule, and whether it is a rule that denies, wants a
// claim or masks.
func restricts(path []string) (name string, ok bool) {
	for _, at := range [][]string{{"uma", "guardrails"}, {"uma", "policies", ""}} {
		if n := len(at); len(path) > n && path[1] == at[1] && path[0] == at[0] {
			return dotted(path[:n]), path[n] == "deny" || path[n] == "need_info"
		}
	}
	return "system.log", hasPrefix(path, []string{"system", "log", "mask"})
}

// rulePath is the constant part of the path of a rule's value.
func rulePath(module *ast.Module, rule *ast.Rule) []string {
	path, _ := packagePath(module.Package)
	ref := rule.Head.Ref()
	if name, ok := ref[0].Value.(ast.Var); ok {
		path = append(path, string(name))
	}
	return append(path, fixed(ref[1:])...)
}

// lost returns the files that are gone with a rule that no other file has, if the package
// of the rule has fewer such rules than before. Rules that are moved to another file or
// replaced by others are no loss, nor are rules deleted in a file that is still there:
// somebody edited it. Equal rules count once, since a file may be copied before it is
// deleted. Packages that are gone are not compared here: see lostTeams.
func (d denials) lost(next Outline) []Part {
	before, after := d.distinct(), next.denials.distinct()
	var lost []Part
	for _, file := range slices.Sorted(maps.Keys(d)) {
		if next.policies[file] {
			continue
		}
		for _, rule := range slices.Sorted(maps.Keys(d[file])) {
			name := d[file][rule]
			moved := after[name][rule] || after["uma.guardrails"][rule]
			if next.has(name) && !moved && len(after[name]) < len(before[name]) {
				lost = append(lost, Part{Name: file, Package: name, Note: "rules of " + name})
				break
			}
		}
	}
	return lost
}

// distinct are the rules of each package.
func (d denials) distinct() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, rules := range d {
		for rule, name := range rules {
			if all[name] == nil {
				all[name] = map[string]bool{}
			}
			all[name][rule] = true
		}
	}
	return all
}
