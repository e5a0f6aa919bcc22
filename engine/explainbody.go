package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// A frame is a rule's body as it is evaluated for an explanation.
type frame struct {
	rule  *ast.Rule
	bound []*ast.Expr // equalities before the body: the scope, the arguments of a function
	with  []*ast.With // what the callers replaced
	depth int         // how many rules refer to this one
}

// body is the beginning of the rule's body, its first n expressions, and more after it.
func (f *frame) body(n int, more ...*ast.Expr) ast.Body {
	exprs := slices.Concat(f.bound, f.rule.Body[:n], more)
	body := make(ast.Body, len(exprs))
	for i, expr := range exprs {
		c := *expr // the compiled rule must not change
		c.Index = i
		if len(f.with) > 0 && i >= len(f.bound) {
			c.With = slices.Concat(f.with, expr.With)
		}
		body[i] = &c
	}
	return body
}

const (
	fewSolutions  = 3    // whose values are shown
	manySolutions = 1000 // that are searched for an element that concerns a scope
)

var errEnough = errors.New("enough solutions")

// query returns a query of the policy, with what one evaluation of it depends on.
func (x *explainer) query(body ast.Body) *topdown.Query {
	return topdown.NewQuery(body).
		WithCompiler(x.compiler).
		WithStore(x.store).
		WithTransaction(x.txn).
		WithInput(ast.NewTerm(x.input)).
		WithTime(x.now).
		WithMetrics(metrics.NoOp()).
		WithCancel(&x.cancel).
		WithSeed(x.seed).
		WithNDBuiltinCache(x.nd)
}

// solve returns at most so many solutions of a body, and the built-in functions that failed or
// why there is no answer.
func (x *explainer) solve(body ast.Body, most int) (found []topdown.QueryResult, failed string) {
	return x.solved(x.query(body), most)
}

func (x *explainer) solved(q *topdown.Query, most int) (found []topdown.QueryResult, failed string) {
	if x.evaluations++; x.evaluations > maxEvaluations {
		x.cancel.Cancel()
	}
	if x.cancel.Cancelled() {
		return nil, errDeadline.Error()
	}
	defer func() {
		if p := recover(); p != nil {
			found, failed = nil, fmt.Sprintf("panic in the policy engine: %v", p)
		}
	}()
	var wrong []topdown.Error
	err := q.WithBuiltinErrorList(&wrong).Iter(x.ctx, func(r topdown.QueryResult) error {
		if found = append(found, r); len(found) == most {
			return errEnough
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return nil, err.Error()
	case len(wrong) > 0:
		failed = builtinErrors(wrong)
	}
	return found, failed
}

// valueOf returns the value of a reference without variables, nil if it is undefined.
func (x *explainer) valueOf(ref ast.Ref, with []*ast.With) ast.Value {
	if len(with) > 0 {
		return x.evaluated(ref, with)
	}
	if ref.HasPrefix(ast.InputRootRef) {
		value, err := x.input.Find(ref[1:])
		if err != nil {
			return nil
		}
		return value
	}
	name := ref.String()
	value, known := x.values[name]
	if !known {
		value = x.evaluated(ref, nil)
		x.values[name] = value
	}
	return value
}

func (x *explainer) evaluated(ref ast.Ref, with []*ast.With) ast.Value {
	expr := ast.Equality.Expr(ast.NewTerm(answer), ast.NewTerm(ref))
	expr.With = with
	found, _ := x.solve(ast.NewBody(expr), 1)
	if len(found) == 0 {
		return nil
	}
	return found[0][answer].Value
}

// conditions evaluates the body of a rule expression by expression, and reports the conditions
// that its author wrote, up to the first one that did not hold.
func (x *explainer) conditions(f *frame) (list []Condition, held bool) {
	body := f.rule.Body
	solutions := make([][]topdown.QueryResult, 1, len(body)+1)
	if solutions[0], _ = x.solve(f.body(0), 1); len(solutions[0]) == 0 && len(f.bound) > 0 {
		c := newCondition(headText(f.rule), f.rule.Head.Location.Row)
		c.Note = otherArguments
		return []Condition{c}, false
	}
	failed, failure := len(body), ""
	for i := range body {
		found, wrong := x.solve(f.body(i+1), fewSolutions)
		solutions = append(solutions, found)
		if len(found) == 0 {
			failed, failure = i, wrong
			break
		}
	}
	held = failed == len(body)
	list = []Condition{}
	for _, g := range grouped(f.rule) {
		if g.last() > failed && !slices.Contains(g.exprs, failed) {
			continue // not all of it was evaluated
		}
		c := newCondition(g.text, g.line)
		c.Held = g.last() < failed
		if c.Held && g.head {
			continue
		}
		if !c.Held {
			c.Error = failure
		}
		x.describe(f, g, solutions, &c)
		list = append(list, c)
	}
	return list, held
}

// otherArguments is the note of a function's definition that is not for the arguments of a call.
const otherArguments = "the rule is for other arguments"

func newCondition(text string, line int) Condition {
	return Condition{Text: text, Line: line, Values: map[string]any{}, Because: []ExplainedRule{}}
}

// A group has the expressions that OPA's compiler made of one expression of the source.
type group struct {
	text  string
	line  int
	head  bool // it computes the head of the rule
	exprs []int
}

func (g *group) last() int { return g.exprs[len(g.exprs)-1] }

// grouped returns the expressions of a compiled body by the expressions of the source, in the
// order of their evaluation.
func grouped(rule *ast.Rule) []*group {
	sources := make([]*ast.Location, len(rule.Body))
	for i, expr := range rule.Body {
		if sources[i] = expr.BaseCogeneratedExpr().Location; sources[i] == nil {
			sources[i] = rule.Location
		}
	}
	var groups []*group
	byOffset := make(map[int]*group)
	for i, source := range sources {
		// The domain of `every` has a place of its own inside the expression.
		for _, other := range sources {
			if inside(source, other) {
				source = other
			}
		}
		g := byOffset[source.Offset]
		if g == nil {
			g = &group{text: withoutElse(oneLine(string(source.Text))), line: source.Row, head: inside(source, rule.Head.Location)}
			byOffset[source.Offset] = g
			groups = append(groups, g)
		}
		g.exprs = append(g.exprs, i)
	}
	return groups
}

// withoutElse is an expression without the keywords that OPA's parser counts to the first one
// of an else branch.
func withoutElse(text string) string {
	if !strings.HasPrefix(text, "else ") {
		return text
	}
	_, text, _ = strings.Cut(text, "if ")
	return text
}

// inside reports whether a place is within a larger one.
func inside(small, large *ast.Location) bool {
	return small.Offset >= large.Offset && len(small.Text) < len(large.Text) &&
		small.Offset+len(small.Text) <= large.Offset+len(large.Text)
}
