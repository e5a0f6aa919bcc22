package engine

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Lost are the restrictions that one source has and the next has not: without them the
// library's default decides, or nothing is denied.
type Lost struct {
	Everything bool        // there is no policy file any more
	Packages   []Forgotten // uma.guardrails and team packages
}

// A Forgotten package is missing for resources of some types, or for all.
type Forgotten struct {
	Package string   // such as uma.policies.album
	Types   []string // that it decided alone; nil: any
}

// RealmFiles are the realm's own files among the sources of a revision.
func RealmFiles(sources map[string]string) map[string]string {
	files := maps.Clone(sources)
	maps.DeleteFunc(files, func(path, _ string) bool { return strings.HasPrefix(path, libraryPrefix) })
	return files
}

// An Outline is the part of a source that is compared with the next one.
type Outline struct {
	policies   int
	guardrails bool // some rule
	teams      map[string]bool
	aliases    map[string]any // in data
	computed   bool           // aliases are made by rules
}

// OutlineOf is the outline of a source.
func OutlineOf(src Source) Outline {
	o := Outline{policies: len(src.Modules), teams: map[string]bool{}}
	for _, module := range src.Modules {
		path, _ := packagePath(module.Package)
		switch {
		case hasPrefix(path, []string{"uma", "guardrails"}):
			o.guardrails = o.guardrails || len(module.Rules) > 0
		case hasPrefix(path, []string{"uma", "policies"}) && len(path) > 2:
			o.teams[path[2]] = true
		case hasPrefix(path, []string{"uma", "facts"}):
			o.computed = o.computed || slices.ContainsFunc(module.Rules, aliasRule) || len(path) > 2 && path[2] == "type_alias"
		}
	}
	data, _ := mergeData(src.Data) // what is wrong with it keeps it from being activated
	for _, name := range []string{"uma", "facts", "type_alias"} {
		data, _ = data[name].(map[string]any)
	}
	o.aliases = data
	return o
}

func aliasRule(r *ast.Rule) bool {
	return r.Head.Ref().HasPrefix(ast.Ref{ast.VarTerm("type_alias")})
}

// Lost are the restrictions of this source that the next one lacks.
func (o Outline) Lost(next Outline) Lost {
	lost := Lost{Everything: o.policies > 0 && next.policies == 0}
	if o.guardrails && !next.guardrails {
		lost.Packages = append(lost.Packages, Forgotten{Package: "uma.guardrails"})
	}
	for _, team := range slices.Sorted(maps.Keys(o.teams)) {
		if next.teams[team] {
			continue
		}
		gone := Forgotten{Package: teamPackage(team)}
		// The default decides types without a package; the types of aliases that rules
		// compute are not known here.
		if team != "default" && !o.computed {
			gone.Types = slices.DeleteFunc(o.typesOf(team), next.decides)
			if len(gone.Types) == 0 {
				continue
			}
		}
		lost.Packages = append(lost.Packages, gone)
	}
	return lost
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// teamPackage is the package of a type as Rego writes it.
func teamPackage(kind string) string {
	if plainName.MatchString(kind) {
		return "uma.policies." + kind
	}
	return "uma.policies[" + strconv.Quote(kind) + "]"
}

// typesOf are the types that a team package decides.
func (o *Outline) typesOf(team string) []string {
	types := []string{}
	if _, elsewhere := o.aliases[team]; !elsewhere {
		types = append(types, team)
	}
	for _, kind := range slices.Sorted(maps.Keys(o.aliases)) {
		if o.aliases[kind] == team {
			types = append(types, kind)
		}
	}
	return types
}

// decides reports whether some team package decides a type.
func (o *Outline) decides(kind string) bool {
	if alias, ok := o.aliases[kind].(string); ok {
		return o.teams[alias]
	}
	return o.teams[kind]
}
