package engine

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Lost are the restrictions of one source that the next one lacks. Without them, the
// library's default decides, or a denial is gone.
type Lost struct {
	Everything bool // the next source has no policy file
	Parts      []Part
}

// A Part is a part of a policy that the next source lacks.
type Part struct {
	Name    string   // as in policy.removed: uma.policies.album, data.lib.blocked, night.rego
	Package string   // of a file's rules: its name in policy.removed permits the removal, too
	Types   []string // the part decides for resources of these types; nil: any
	Note    string   // says more than the name
}

// RealmFiles are the realm's own files among the sources of a revision.
func RealmFiles(sources map[string]string) map[string]string {
	files := maps.Clone(sources)
	maps.DeleteFunc(files, func(path, _ string) bool { return strings.HasPrefix(path, libraryPrefix) })
	return files
}

// An Outline is what Lost compares of a source.
type Outline struct {
	policies   map[string]bool // files
	guardrails bool            // whether there is any rule of uma.guardrails
	teams      map[string]bool
	aliases    map[string]any // in data
	computed   bool           // whether rules make aliases
	denials    denials
	documents  documents
}

// OutlineOf returns the outline of a source.
func OutlineOf(src Source) Outline {
	o := Outline{
		policies: map[string]bool{}, teams: map[string]bool{},
		denials: denialsOf(src.Modules), documents: documentsOf(src),
	}
	for file, module := range src.Modules {
		o.policies[file] = true
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
	aliases, _ := valueAt(o.documents.data, []string{"uma", "facts", "type_alias"})
	o.aliases, _ = aliases.(map[string]any)
	return o
}

func aliasRule(r *ast.Rule) bool {
	return r.Head.Ref().HasPrefix(ast.Ref{ast.VarTerm("type_alias")})
}

// Lost returns the restrictions of this source that the next one lacks.
func (o Outline) Lost(next Outline) Lost {
	lost := Lost{Everything: len(o.policies) > 0 && len(next.policies) == 0}
	if o.guardrails && !next.guardrails {
		lost.Parts = append(lost.Parts, Part{Name: "uma.guardrails"})
	}
	lost.Parts = append(lost.Parts, o.lostTeams(next)...)
	lost.Parts = append(lost.Parts, o.lostAliases(next)...)
	lost.Parts = append(lost.Parts, o.denials.lost(next)...)
	lost.Parts = append(lost.Parts, o.documents.lost(next.documents)...)
	return lost
}

// has reports whether the source has a package.
func (o *Outline) has(name string) bool {
	switch name {
	case "uma.guardrails":
		return o.guardrails
	case "system.log":
		return true
	}
	for team := range o.teams {
		if teamPackage(team) == name {
			return true
		}
	}
	return false
}

func (o *Outline) lostTeams(next Outline) []Part {
	var lost []Part
	for _, team := range slices.Sorted(maps.Keys(o.teams)) {
		if next.teams[team] {
			continue
		}
		gone := Part{Name: teamPackage(team)}
		// Any type without a package has the default package, and the types of aliases
		// that rules compute are unknown: for both, Types is nil.
		if team != "default" && !o.computed {
			gone.Types = slices.DeleteFunc(o.typesOf(team), next.decides)
			if len(gone.Types) == 0 {
				continue
			}
		}
		lost = append(lost, gone)
	}
	return lost
}

// lostAliases returns the document of the aliases if types lose their package because their
// alias is gone.
func (o *Outline) lostAliases(next Outline) []Part {
	if next.computed {
		return nil
	}
	var types []string
	for _, kind := range slices.Sorted(maps.Keys(o.aliases)) {
		if team, _ := o.aliases[kind].(string); o.teams[team] && next.teams[team] && !next.decides(kind) {
			types = append(types, kind)
		}
	}
	if types == nil {
		return nil
	}
	return []Part{{Name: "data.uma.facts.type_alias", Types: types}}
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// teamPackage is the package of a type in Rego's notation.
func teamPackage(kind string) string { return dotted([]string{"uma", "policies", kind}) }

// dotted is a path in Rego's notation.
func dotted(path []string) string {
	var text strings.Builder
	text.WriteString(path[0])
	for _, name := range path[1:] {
		if plainName.MatchString(name) {
			text.WriteString("." + name)
		} else {
			text.WriteString("[" + strconv.Quote(name) + "]")
		}
	}
	return text.String()
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

// Teams are the keys of the team packages.
func (o Outline) Teams() []string { return slices.Sorted(maps.Keys(o.teams)) }

// Aliased are the keys that aliases in data name.
func (o Outline) Aliased() (keys []string) {
	for _, kind := range slices.Sorted(maps.Keys(o.aliases)) {
		if key, ok := o.aliases[kind].(string); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// Computed reports whether rules make aliases, so that the package of a type is unknown.
func (o Outline) Computed() bool { return o.computed }

// TeamOf returns the key of the team package that is looked up for a type, and whether the
// source has it.
func (o Outline) TeamOf(kind string) (key string, ok bool) {
	key = kind
	if alias, isText := o.aliases[kind].(string); isText {
		key = alias
	}
	return key, o.teams[key]
}

// decides reports whether a team package decides a type.
func (o *Outline) decides(kind string) bool {
	_, ok := o.TeamOf(kind)
	return ok
}
