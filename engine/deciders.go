package engine

import (
	"errors"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"example.com/umpire/uma"
)

// OPA reports which labelled rules held, but not which elements they added: a denial of
// "delete" also holds if only "view" is asked for. Therefore a call is appended to the body
// of each labelled rule of a set of the contract. It notes the element that the rule adds,
// and the notes show which rules decided a scope. That costs less than 1 % of an
// evaluation. Rejected: a tracer, which OPA calls at every step.

// A decider is a labelled rule that may decide a scope.
type decider struct {
	team string // the key of its package; "" for uma.sharing and the guardrails
	set  string
	rule string // its name in the record; empty without labels
	file string
	line int
}

// A note is an element that a decider added to its set.
type note struct {
	decider int
	value   ast.Value
}

// teamNote is the decider of the router's note, which names the team package that it read.
// A rule may refer to another team's package, so that the notes of the rules do not tell.
const teamNote = -1

var noteDecl = &ast.Builtin{Name: "umpire.note", Decl: types.NewFunction(types.Args(types.N, types.A), nil)}

var noteBuiltins = map[string]*topdown.Builtin{noteDecl.Name: {Decl: noteDecl, Func: takeNote}}

var errNoEvaluation = errors.New("umpire.note: called outside of an evaluation")

// takeNote gets the evaluation from Cancel, which is the only value of ours that OPA passes
// to a built-in function.
func takeNote(ctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
	run, ok := ctx.Cancel.(*evaluation)
	if !ok {
		return errNoEvaluation
	}
	i, _ := operands[0].Value.(ast.Number).Int()
	run.notes = append(run.notes, note{i, operands[1].Value})
	return iter(nil)
}

// noteDeciders makes rules of a compiled policy note the elements they add: those of a set
// whose label is wanted. A denial without labels is wanted, too: it decides, and the claims
// wanted for its scope do not.
func noteDeciders(c *ast.Compiler, wanted func(label, set string) bool) []decider {
	var deciders []decider
	for _, name := range sortedKeys(c.Modules) {
		module := c.Modules[name]
		path, _ := packagePath(module.Package)
		if slices.Equal(path, []string{"uma", "authz"}) {
			noteKey(module)
			continue
		}
		if key, ok := routeKey(name); ok {
			noteRoute(module, key)
			continue
		}
		team, sets, ok := decidingSets(path)
		if !ok {
			continue
		}
		for _, rule := range module.Rules {
			set := setOf(rule)
			label := uma.RuleName(rule.Annotations[0].Labels)
			if slices.Contains(sets, set) && wanted(label, set) {
				appendNote(rule, len(deciders), rule.Head.Key)
				deciders = append(deciders, decider{team, set, label, rule.Loc().File, rule.Loc().Row})
			}
		}
	}
	return deciders
}

// decidingSets are the sets that the router reads in a package.
func decidingSets(path []string) (team string, sets []string, ok bool) {
	switch {
	case len(path) == 3 && hasPrefix(path, []string{"uma", "policies"}):
		return path[2], []string{"grant", "deny", "need_info", "submit"}, true
	case slices.Equal(path, []string{"uma", "guardrails"}):
		return "", []string{"deny", "need_info"}, true
	case slices.Equal(path, []string{"uma", "sharing"}):
		return "", []string{"grant", "submit"}, true
	}
	return "", nil, false
}

// setOf is the name of the set that a rule adds to, "" if it adds to none.
func setOf(rule *ast.Rule) string {
	ref := rule.Head.Ref()
	if len(ref) != 1 || rule.Head.RuleKind() != ast.MultiValue || rule.Head.Key == nil {
		return ""
	}
	name, _ := ref[0].Value.(ast.Var)
	return string(name)
}

// noteKey makes the router note which team package it reads.
func noteKey(authz *ast.Module) {
	for _, rule := range authz.Rules {
		if rule.Head.Name != "key" {
			continue
		}
		for ; rule != nil; rule = rule.Else {
			appendNote(rule, teamNote, rule.Head.Value)
		}
	}
}

// noteRoute makes the generated rules that read a team package note which one.
func noteRoute(module *ast.Module, key string) {
	for _, rule := range module.Rules {
		if rule.Head.Name != "decision" && rule.Head.Name != "team" {
			continue
		}
		for ; rule != nil; rule = rule.Else {
			appendNote(rule, teamNote, ast.StringTerm(key))
		}
	}
}

func appendNote(rule *ast.Rule, i int, value *ast.Term) {
	rule.Body.Append(ast.NewExpr([]*ast.Term{
		ast.NewTerm(ast.MustParseRef(noteDecl.Name)), ast.IntNumberTerm(i), value,
	}).SetLocation(rule.Loc()))
}

// decidedScopes is the decision on each requested scope, with the rules that made it. It
// does with the notes what the router of the library does with the sets.
func (p *policy) decidedScopes(asked []uma.Scope, out *uma.Output, notes []note) []uma.ScopeDecision {
	if len(asked) == 0 {
		asked = everything
	}
	team := ast.Value(ast.InternedEmptyString.Value)
	for _, n := range notes {
		if n.decider == teamNote {
			team = n.value
		}
	}
	// by returns the rules that added an element that concerns a scope to a set.
	var places []uma.RulePlace
	by := func(set string, scope uma.Scope, concerns func(ast.Value, uma.Scope) bool) (rules []string, found bool) {
		rules, places = []string{}, nil
		for _, n := range notes {
			if n.decider == teamNote {
				continue
			}
			d := &p.deciders[n.decider]
			if d.set != set || d.team != "" && ast.String(d.team).Compare(team) != 0 || !concerns(n.value, scope) {
				continue
			}
			found = true
			if at := (uma.RulePlace{Rule: d.rule, File: d.file, Line: d.line}); p.places && !slices.Contains(places, at) {
				places = append(places, at)
			}
			if d.rule != "" && !slices.Contains(rules, d.rule) {
				rules = append(rules, d.rule)
			}
		}
		return rules, found
	}
	decisions := make([]uma.ScopeDecision, len(asked))
	for i, scope := range asked {
		d := uma.ScopeDecision{Scope: scope, Decision: "denied"}
		var denied bool
		switch {
		case hasScope(out.Granted, scope):
			d.Decision = "granted"
			d.Rules, _ = by("grant", scope, grants)
		case hasScope(out.Submit, scope):
			d.Decision = "submit"
			d.Rules, _ = by("submit", scope, grants)
		default:
			d.Rules, denied = by("deny", scope, denies)
			if denied || len(out.NeedInfo) == 0 {
				break
			}
			if rules, wanted := by("need_info", scope, wants); wanted {
				d.Decision, d.Rules = "need_info", rules
			}
		}
		d.Places = places
		decisions[i] = d
	}
	return decisions
}

var everything = []uma.Scope{uma.Everything}

func hasScope(scopes []uma.Scope, scope uma.Scope) bool {
	return slices.Contains(scopes, scope) || slices.Contains(scopes, uma.Everything)
}

// grants reports whether an element of grant or submit covers a scope.
func grants(element ast.Value, scope uma.Scope) bool {
	s, ok := element.(ast.String)
	return ok && (uma.Scope(s) == scope || uma.Scope(s) == uma.Everything)
}

// denies is has_scope of uma.authz: a denial that names no scope concerns all.
func denies(element ast.Value, scope uma.Scope) bool {
	about, ok := member(element, "scope").(ast.String)
	return !ok || uma.Scope(about) == uma.Everything || uma.Scope(about) == scope
}

// wants is wanted_for of uma.authz: a claim without a list of scopes is wanted for all.
func wants(element ast.Value, scope uma.Scope) bool {
	var has func(string) bool
	switch scopes := member(element, "scopes").(type) {
	case *ast.Array:
		has = func(s string) bool { return scopes.Until(ast.StringTerm(s).Equal) }
	case ast.Set:
		has = func(s string) bool { return scopes.Contains(ast.StringTerm(s)) }
	default:
		return true
	}
	return has(string(scope)) || has(string(uma.Everything))
}

func member(v ast.Value, name string) ast.Value {
	if doc, ok := v.(ast.Object); ok {
		if term := doc.Get(ast.StringTerm(name)); term != nil {
			return term.Value
		}
	}
	return nil
}
