package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"

	"example.com/umpire/uma"
)

// The bounds of one explanation, which takes some dozens of evaluations for each scope.
const (
	explainLimit   = 30 * time.Second
	maxEvaluations = 20_000
)

// An explainer explains one evaluation. It evaluates prefixes of the compiled bodies of rules:
// the first prefix without a solution ends with the condition that did not hold. Rejected: to
// read OPA's trace, which has no events for rules that the index excludes, and none after an
// early exit.
type explainer struct {
	*policy // made by compilePlain
	ctx     context.Context
	input   ast.Value
	now     time.Time
	nd      builtins.NDBCache // recorded calls, and those of the evaluations before
	seed    *seed
	cancel  evaluation

	values      map[string]ast.Value // of references to data that were evaluated; nil: undefined
	evaluations int
}

// An Explainer is a compiled revision that explains decisions.
type Explainer struct {
	policy     *policy
	entrypoint string
}

// NewExplainer compiles a policy as Activate does, without activating it. The compiled rules
// are those of the source: a policy that decides has other ones, which note what they add.
func NewExplainer(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*Explainer, error) {
	p, err := compilePlain(ctx, realm, settings, src, time.Now)
	if err != nil {
		return nil, err
	}
	return &Explainer{p, settings.Entrypoint}, nil
}

// Revision is the hash of the policy's sources.
func (e *Explainer) Revision() string { return e.policy.hash }

// Explain evaluates the policy for a recorded input, and explains its answer. With an entry
// point of the realm's own it is unknown how the rules decide: then no scope has rules.
// uma.ErrUnreadable: the record is damaged, or a mask replaced its input or scopes.
func (e *Explainer) Explain(ctx context.Context, rec *uma.Recorded) (*Explanation, error) {
	x, stop, err := e.begin(ctx, rec)
	if err != nil {
		return nil, err
	}
	defer stop()
	scopes, err := requestedScopes(x.input)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", uma.ErrUnreadable, err)
	}
	out, failed := x.answer(scopes)
	ex := &Explanation{Error: failed, Scopes: make([]ExplainedScope, len(scopes))}
	byLibrary := e.entrypoint == libraryEntrypoint
	team := ""
	if byLibrary {
		team = x.team()
	}
	for i, scope := range scopes {
		s := ExplainedScope{Scope: string(scope), Rules: []ExplainedRule{}}
		if byLibrary && ex.Cut == "" {
			rules := x.rulesFor(scope, team)
			if ex.Cut = x.cut(); ex.Cut == "" {
				s.Rules = rules
			}
		}
		s.Result = result(scope, out, s.Rules)
		ex.Scopes[i] = s
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("explain a decision: %w", err)
	}
	return ex, nil
}

// cut returns why an explanation ends before its end, "" if it does not. What is evaluated
// after that has no result.
func (x *explainer) cut() string {
	switch {
	case x.evaluations > maxEvaluations:
		return fmt.Sprintf("more than %d evaluations", maxEvaluations)
	case x.ctx.Err() != nil:
		return fmt.Sprintf("more than %s", explainLimit)
	}
	return ""
}

// begin returns an explainer, and what ends it.
func (e *Explainer) begin(ctx context.Context, rec *uma.Recorded) (*explainer, func(), error) {
	x := &explainer{policy: e.policy, now: rec.Time, seed: &seed{id: rec.ID}, values: make(map[string]ast.Value)}
	var err error
	if x.input, err = ast.ValueFromReader(bytes.NewReader(rec.Input)); err != nil {
		return nil, nil, fmt.Errorf("%w: input: %w", uma.ErrUnreadable, err)
	}
	if x.nd, err = recordedCalls(rec); err != nil {
		return nil, nil, fmt.Errorf("%w: nd_builtin_cache: %w", uma.ErrUnreadable, err)
	}
	var stop func()
	x.ctx, stop = context.WithTimeout(ctx, explainLimit)
	done := context.AfterFunc(x.ctx, x.cancel.Cancel)
	return x, func() { done(); stop() }, nil
}

// requestedScopes are the scopes of an input; Everything if it has none.
func requestedScopes(input ast.Value) ([]uma.Scope, error) {
	scopes := member(input, "scopes")
	if scopes == nil {
		return nil, errors.New("the input has no scopes")
	}
	list, err := listOf(scopes, str[uma.Scope])
	if err != nil {
		return nil, fmt.Errorf("input.scopes: %w", err)
	}
	if len(list) == 0 {
		return everything, nil
	}
	return list, nil
}

// answer evaluates the entry point. Without an answer, failed says why.
func (x *explainer) answer(scopes []uma.Scope) (out *uma.Output, failed string) {
	found, failed := x.solve(x.decision.body, 1)
	switch {
	case failed != "":
		return nil, failed
	case len(found) == 0:
		return nil, errUndefined.Error()
	}
	decoded, err := decodeOutput(found[0][answer].Value)
	if err != nil {
		return nil, err.Error()
	}
	for _, scope := range slices.Concat(decoded.Granted, decoded.Submit) {
		if scope != uma.Everything && !slices.Contains(scopes, scope) {
			return nil, fmt.Sprintf("the policy answered with a scope that was not requested: %q", string(scope))
		}
	}
	return &decoded, ""
}

// team is the key of the team package that the router read.
func (x *explainer) team() string {
	key, _ := x.valueOf(ast.MustParseRef("data.uma.authz.key"), nil).(ast.String)
	return string(key)
}

// result is the decision on a scope. A denial is stated before a claim that is wanted, as in
// the record.
func result(scope uma.Scope, out *uma.Output, rules []ExplainedRule) string {
	switch {
	case out == nil:
		return Failed
	case hasScope(out.Granted, scope):
		return Granted
	case hasScope(out.Submit, scope):
		return Submit
	case hasHeld(rules, "deny") || len(out.NeedInfo) == 0:
		return Refused
	case hasHeld(rules, "need_info"), len(rules) == 0 && isWanted(out, scope):
		return NeedInfo
	}
	return Refused
}

// isWanted reports whether an answer wants a claim for a scope.
func isWanted(out *uma.Output, scope uma.Scope) bool {
	return slices.ContainsFunc(out.NeedInfo, func(n uma.Need) bool { return len(n.Scopes) == 0 || hasScope(n.Scopes, scope) })
}

func hasHeld(rules []ExplainedRule, effect string) bool {
	return slices.ContainsFunc(rules, func(r ExplainedRule) bool { return r.Effect == effect && r.Held })
}

// rulesFor explains every rule that may decide a scope, in the order of its sets.
func (x *explainer) rulesFor(scope uma.Scope, team string) []ExplainedRule {
	explained := []ExplainedRule{}
	for _, set := range []string{"grant", "deny", "need_info", "submit"} {
		for _, path := range [][]string{{"uma", "policies", team}, {"uma", "guardrails"}, {"uma", "sharing"}} {
			_, sets, _ := decidingSets(path)
			if !slices.Contains(sets, set) {
				continue
			}
			ref := ast.DefaultRootRef
			for _, name := range append(slices.Clone(path), set) {
				ref = ref.Append(ast.StringTerm(name))
			}
			for _, rule := range x.rulesOf(ref) {
				if mayConcern(rule.Head.Key, set, scope) {
					explained = append(explained, x.decidingRule(rule, set, scope))
				}
			}
		}
	}
	return explained
}

// rulesOf returns the rules of a document, in the order of files and lines.
func (x *explainer) rulesOf(ref ast.Ref) []*ast.Rule {
	rules := slices.DeleteFunc(slices.Clone(x.compiler.GetRulesExact(ref)), func(r *ast.Rule) bool { return bool(r.Default) })
	slices.SortFunc(rules, func(a, b *ast.Rule) int { return a.Location.Compare(b.Location) })
	return rules
}

// concerns are the tests whether an element of a set concerns a scope.
var concerns = map[string]func(ast.Value, uma.Scope) bool{"grant": grants, "submit": grants, "deny": denies, "need_info": wants}

// scopeMember names the member of an element that names its scopes.
var scopeMember = map[string]string{"deny": "scope", "need_info": "scopes"}

// mayConcern reports whether a rule with this head may concern a scope: what it adds is known
// only after its evaluation if it has a variable.
func mayConcern(key *ast.Term, set string, scope uma.Scope) bool {
	if key == nil {
		return false
	}
	if key.IsGround() {
		return concerns[set](key.Value, scope)
	}
	if about, ok := member(key.Value, scopeMember[set]).(ast.String); ok && set == "deny" {
		return denies(ast.NewObject(ast.Item(ast.StringTerm("scope"), ast.NewTerm(about))), scope)
	}
	return true
}

// decidingRule explains a rule of a set of the contract with regard to a scope.
func (x *explainer) decidingRule(rule *ast.Rule, set string, scope uma.Scope) ExplainedRule {
	var first *ExplainedRule
	for _, about := range x.scopesToTry(rule.Head.Key, set, scope) {
		f := &frame{rule: rule}
		if about != nil {
			f.bound = []*ast.Expr{ast.Equality.Expr(about[0], about[1])}
		}
		r := x.rule(f)
		r.Effect = set
		if r.Held {
			if r.Adds = x.added(f, set, scope); len(r.Adds) > 0 {
				return r
			}
			r.Held = false
			c := newCondition(headText(rule), rule.Location.Row)
			c.Values = x.anyAdded(f)
			c.Note = fmt.Sprintf("what the rule adds does not concern %q", string(scope))
			r.Conditions = append(r.Conditions, c)
		}
		if first == nil {
			first = &r
		}
	}
	return *first
}

// scopesToTry are the equalities that make a rule answer for a scope: its variable is the scope,
// or "*". nil stands for no equality: what the head computes is compared in the end.
func (x *explainer) scopesToTry(key *ast.Term, set string, scope uma.Scope) [][]*ast.Term {
	variable := key
	if name := scopeMember[set]; name != "" {
		variable = nil
		if object, ok := key.Value.(ast.Object); ok {
			variable = object.Get(ast.StringTerm(name))
		}
	}
	if variable == nil || set == "need_info" {
		return [][]*ast.Term{nil}
	}
	if v, ok := variable.Value.(ast.Var); !ok || x.authorsName(v) == "" {
		return [][]*ast.Term{nil}
	}
	tries := [][]*ast.Term{{variable, ast.StringTerm(string(scope))}}
	if scope != uma.Everything {
		tries = append(tries, []*ast.Term{variable, ast.StringTerm(string(uma.Everything))})
	}
	if set == "deny" { // what is not a text denies every scope
		tries = append(tries, nil)
	}
	return tries
}

// added are the elements about a scope that a rule adds to its set.
func (x *explainer) added(f *frame, set string, scope uma.Scope) []any {
	list := []any{}
	key := ast.Equality.Expr(f.rule.Head.Key, ast.NewTerm(answer))
	found, _ := x.solve(f.body(len(f.rule.Body), key), manySolutions)
	for _, solution := range found {
		if value := solution[answer].Value; concerns[set](value, scope) {
			if plain, err := ast.JSON(value); err == nil && !slices.ContainsFunc(list, func(other any) bool { return reflect.DeepEqual(plain, other) }) {
				list = append(list, plain)
			}
		}
	}
	return list
}

// anyAdded is the first element that a rule adds to its set, by the name of the set.
func (x *explainer) anyAdded(f *frame) map[string]any {
	values := make(map[string]any)
	found, _ := x.solve(f.body(len(f.rule.Body), ast.Equality.Expr(f.rule.Head.Key, ast.NewTerm(answer))), 1)
	if len(found) > 0 {
		if plain, err := ast.JSON(found[0][answer].Value); err == nil {
			values[f.rule.Head.Name.String()] = plain
		}
	}
	return values
}

// rule explains one rule: whether its body holds, and each condition.
func (x *explainer) rule(f *frame) ExplainedRule {
	head := f.rule.Head
	r := ExplainedRule{Name: head.Ref().String(), File: f.rule.Location.File, Line: f.rule.Location.Row, Adds: []any{}}
	set := x.compiler.GetAnnotationSet()
	labels, _ := set.MergedLabels(f.rule)
	r.Label = uma.RuleName(labels)
	for _, note := range set.GetRuleScope(f.rule) {
		r.Title = note.Title
	}
	if r.Title == "" {
		if note := set.GetDocumentScope(f.rule.Ref().GroundPrefix()); note != nil {
			r.Title = note.Title
		}
	}
	r.Conditions, r.Held = x.conditions(f)
	return r
}

// headText is the head of a rule as its author wrote it.
func headText(rule *ast.Rule) string { return oneLine(string(rule.Head.Location.Text)) }

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
