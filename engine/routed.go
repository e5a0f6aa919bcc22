package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/policies"
)

// The router of the library looks up the team package of each decision and unions what it
// says with empty members. At activation it is known which members a package has, so that a
// module is generated for each: the library asks data.uma.routed first. What a generated
// rule decides is what the library would decide; where it does not know, it is undefined.
//
// Rejected: OPA's partial evaluation, which loses labels and places of the rules that it
// inlines; and to decide in Go, because policies could not be tested by `opa test` any more.

// routedPrefix begins the names of the generated modules.
const routedPrefix = libraryPrefix + "routed/"

// routedPackage is the package of all generated modules, without `data`.
var routedPackage = []string{"uma", "routed"}

// maxTeams is of how many team packages each has a module and is examined by itself. An
// activation takes a time that grows with the square of their number: OPA looks through all
// modules for each rule of a generated one (isReplaced in its type checker).
const maxTeams = 100

// A route is what is known at activation of a team package.
type route struct {
	Key       string
	Package   string            // its reference
	Condition string            // holds for the types of the package
	Has       map[string]string // members of the contract that it defines, with their references
	Others    map[string]string // other rules that must be evaluated, by name
	Guards    []string          // the sets of uma.guardrails that have rules
}

// routes generates the modules of a policy, as texts and parsed, by name. It returns none where the types
// of a package, or what its members are, are only known at evaluation; and none for another
// library.
func routes(library map[string]string, modules map[string]*ast.Module, data map[string]any) (texts map[string]string, parsed map[string]*ast.Module, err error) {
	keys, ok := routable(library, modules, data)
	if !ok || len(keys) > maxTeams {
		return nil, nil, nil
	}
	texts, parsed = make(map[string]string), make(map[string]*ast.Module)
	options := ParserOptions()
	for _, r := range routesOf(keys, modules, data) {
		var text strings.Builder
		if err := routeText.Execute(&text, r); err != nil {
			return nil, nil, fmt.Errorf("generate the module of package %s: %w", r.Package, err)
		}
		name := routedPrefix + r.Key + ".rego"
		if parsed[name], err = parseRoute(name, text.String(), options); err != nil {
			return nil, nil, fmt.Errorf("generate the module of package %s: %w", r.Package, err)
		}
		texts[name] = text.String()
	}
	return texts, parsed, nil
}

// routedRules are the names of the rules that a generated module may have.
var routedRules = []ast.Var{"decision", "team", "rpt", "others"}

// parseRoute parses a generated module. Should a name of the realm's become more than a text in
// it, it is refused: nobody reviewed such rules.
func parseRoute(name, text string, options ast.ParserOptions) (*ast.Module, error) {
	module, err := ast.ParseModuleWithOpts(name, text, options)
	if err != nil {
		return nil, err
	}
	path, _ := packagePath(module.Package)
	if !slices.Equal(path, routedPackage) || len(module.Imports) > 0 {
		return nil, fmt.Errorf("it is %s", module.Package)
	}
	have := make(map[string]int)
	for _, rule := range module.Rules {
		name, ok := rule.Head.Ref()[0].Value.(ast.Var)
		if have[string(name)]++; !ok || len(rule.Head.Ref()) > 1 || !slices.Contains(routedRules, name) {
			return nil, fmt.Errorf("it has a rule %s", rule.Head.Ref())
		}
	}
	if have["decision"] != 1 || have["team"] != 1 || have["rpt"] > 1 {
		return nil, errors.New("it lacks a rule, or has one twice")
	}
	return module, nil
}

// routeKey is the key of the team package that a generated module is for.
func routeKey(name string) (key string, ok bool) {
	key, ok = strings.CutPrefix(name, routedPrefix)
	return strings.TrimSuffix(key, ".rego"), ok
}

// routable returns the types of resources by the key of their package. ok is false if that is
// not known, or if a rule could see that there are generated documents.
func routable(library map[string]string, modules map[string]*ast.Module, data map[string]any) (types map[string][]string, ok bool) {
	if !isShipped(library) {
		return nil, false
	}
	alias := []string{"uma", "facts", "type_alias"}
	for file, module := range modules {
		if strings.HasPrefix(file, libraryPrefix) {
			continue
		}
		for _, path := range reads(module) {
			team := []string{"uma", "authz", "team"}
			if hasPrefix(routedPackage, path) || hasPrefix(path, routedPackage) || hasPrefix(team, path) || hasPrefix(path, team) {
				return nil, false
			}
		}
		for _, rule := range module.Rules {
			if path := rulePath(module, rule); hasPrefix(path, alias) || hasPrefix(alias, path) {
				return nil, false
			}
		}
	}
	aliases := map[string]any{}
	if value, exists := valueAt(data, alias); exists {
		if aliases, ok = value.(map[string]any); !ok {
			return nil, false
		}
	}
	return typesOf(teamNames(modules), aliases), true
}

// isShipped reports whether the router is the shipped one.
func isShipped(library map[string]string) bool {
	for _, name := range []string{"authz.rego", "sharing.rego"} {
		shipped, err := policies.FS.ReadFile(name)
		if err != nil || library[libraryPrefix+name] != string(shipped) {
			return false
		}
	}
	return true
}

// typesOf does for all types that are named, and for resources without a type, what `key` of
// uma.authz does for one. Types that nobody names are left to it.
func typesOf(teams, aliases map[string]any) map[string][]string {
	types := make(map[string][]string)
	names := map[string]any{"": true}
	maps.Copy(names, teams)
	maps.Copy(names, aliases)
	for name := range names {
		alias, aliased := aliases[name]
		key, isText := alias.(string)
		if teams[name] != nil && (!aliased || alias == false) {
			key = name
		} else if teams[key] == nil || !isText {
			key = "default"
		}
		types[key] = append(types[key], name)
	}
	return types
}

// routesOf describes the packages whose members are as the contract wants them.
func routesOf(types map[string][]string, modules map[string]*ast.Module, data map[string]any) []route {
	packages := packagesOf(modules)
	guards, ok := membersOf([]string{"uma", "guardrails"}, packages["guardrails"], data)
	if !ok {
		return nil
	}
	var routes []route
	labelled := hasWideLabels(modules)
	for _, key := range slices.Sorted(maps.Keys(types)) {
		path := []string{"uma", "policies", key}
		below := packages["policies/"+key]
		has, ok := membersOf(path, below, data)
		if ok {
			routes = append(routes, route{
				Key: key, Package: refTo(path), Condition: conditionOf(types[key]),
				Has: has, Others: othersOf(path, below, labelled), Guards: slices.Sorted(maps.Values(guards)),
			})
		}
	}
	return routes
}

// packagesOf are the modules of uma.guardrails, and of each team package, with those below it.
func packagesOf(modules map[string]*ast.Module) map[string][]*ast.Module {
	packages := make(map[string][]*ast.Module)
	for _, name := range sortedKeys(modules) {
		path, _ := packagePath(modules[name].Package)
		switch {
		case hasPrefix(path, []string{"uma", "guardrails"}):
			packages["guardrails"] = append(packages["guardrails"], modules[name])
		case hasPrefix(path, []string{"uma", "policies"}) && len(path) > 2:
			packages["policies/"+path[2]] = append(packages["policies/"+path[2]], modules[name])
		}
	}
	return packages
}

// conditionOf is the condition that a type is one of a package's.
func conditionOf(types []string) string {
	texts := make([]string, len(types))
	for i, name := range slices.Sorted(slices.Values(types)) {
		texts[i] = quoted(name)
	}
	if len(texts) == 1 {
		return "input.resource.type == " + texts[0]
	}
	return "input.resource.type in {" + strings.Join(texts, ", ") + "}"
}

// membersOf returns the members that a package of the contract defines, with references to
// them. ok is false if one is not what the contract wants, or may be defined by data.
func membersOf(path []string, modules []*ast.Module, data map[string]any) (has map[string]string, ok bool) {
	members := Members(path)
	if value, exists := valueAt(data, path); exists {
		object, isObject := value.(map[string]any)
		if !isObject || slices.ContainsFunc(members, func(name string) bool { return object[name] != nil }) {
			return nil, false
		}
	}
	has = make(map[string]string)
	for _, module := range modules {
		in, _ := packagePath(module.Package)
		if len(in) > len(path) && hasPrefix(in, path) && slices.Contains(members, in[len(path)]) {
			return nil, false
		}
		if !slices.Equal(in, path) {
			continue
		}
		for _, rule := range module.Rules {
			name := headName(rule)
			if !slices.Contains(members, name) {
				continue
			}
			if len(checkRule(rule)) > 0 {
				return nil, false
			}
			has[name] = refTo(append(slices.Clone(path), name))
		}
	}
	return has, true
}

// refTo is a reference to a document, as opa fmt writes it. A realm chooses the names in it:
// OPA's String is no text to be parsed again, because it leaves a quotation mark in a name as
// it is.
func refTo(path []string) string {
	var ref strings.Builder
	ref.WriteString("data")
	for _, name := range path {
		if ast.IsVarCompatibleString(name) && !ast.IsKeyword(name) {
			ref.WriteString("." + name)
		} else {
			ref.WriteString("[" + quoted(name) + "]")
		}
	}
	return ref.String()
}

// quoted is a text in Rego's notation, which is that of JSON. OPA's String writes escapes that
// Rego does not know, such as \x7f.
func quoted(s string) string {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // texts do not fail
	return strings.TrimSuffix(text.String(), "\n")
}

func headName(rule *ast.Rule) string {
	return strings.Trim(rule.Head.Ref()[0].Value.String(), `"`)
}

// Member is what a generated rule answers with for a member.
func (r route) Member(name string) string {
	switch ref := r.Has[name]; {
	case name == "rpt" && ref == "":
		return "{}"
	case name == "rpt":
		return "rpt"
	case ref == "":
		return "set()"
	default:
		return ref
	}
}

// Text is a text in Rego's notation.
func (r route) Text(s string) string { return quoted(s) }

// Restricts are the sets of the package whose elements restrict what is granted.
func (r route) Restricts() (refs []string) {
	for _, name := range []string{"deny", "need_info"} {
		if r.Has[name] != "" {
			refs = append(refs, r.Has[name])
		}
	}
	return refs
}
