package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

const (
	maxHelperDepth = 3       // how far helper rules are followed
	maxValue       = 4 << 10 // bytes of a value that is shown
)

// describe adds to a condition the values of what it refers to, and why its helper rules held
// or did not. Each expression is seen with the solutions of those before it.
func (x *explainer) describe(f *frame, g *group, solutions [][]topdown.QueryResult, c *Condition) {
	failed := len(solutions) - 1
	if len(solutions[failed]) == 0 {
		failed--
	}
	s := &sight{explainer: x, f: f, c: c, names: make(map[ast.Var]string)}
	for _, i := range g.exprs {
		if i > failed {
			break
		}
		expr := f.rule.Body[i]
		var after []topdown.QueryResult
		if i < failed {
			after = solutions[i+1]
		}
		for n, solution := range solutions[i] {
			s.solution, s.suffix = solution, ""
			if n > 0 {
				s.suffix = fmt.Sprintf(" #%d", n+1)
			}
			s.with = slices.Concat(f.with, s.replaced(expr.With))
			s.expression(expr)
		}
		s.results(expr, after)
		if i == failed || failed == len(f.rule.Body) {
			s.follow(expr, i == failed)
		}
	}
	if !c.Held {
		c.Undefined = (s.undefined || c.Error != "" || s.undefinedCall(f.rule.Body[failed])) && !f.rule.Body[failed].Negated
	}
}

// undefinedCall reports whether an expression that did not hold is the call of a function of
// the policy without a result. A result is shown.
func (s *sight) undefinedCall(expr *ast.Expr) bool {
	operands := expr.Operands()
	if !expr.IsCall() || len(s.functionRules(expr.Operator())) == 0 || len(operands) != s.compiler.GetArity(expr.Operator()) {
		return false
	}
	terms := []*ast.Term{expr.OperatorTerm()}
	for _, operand := range operands {
		if operand = s.argument(operand); operand == nil {
			return true
		}
		terms = append(terms, operand)
	}
	call := ast.NewExpr(append(terms, ast.NewTerm(answer)))
	call.With = s.with
	found, _ := s.solve(ast.NewBody(call), 1)
	if len(found) == 0 {
		return true
	}
	s.show(s.callText(expr.Operator().String(), operands), found[0][answer].Value)
	return false
}

// A sight is a condition with one of the solutions before it.
type sight struct {
	*explainer
	f        *frame
	c        *Condition
	names    map[ast.Var]string // what the compiler's variables stand for
	solution topdown.QueryResult
	suffix   string // of the names of values in all solutions but the first
	with     []*ast.With

	undefined bool // a value is undefined
}

// expression shows the values of the references and variables in an expression.
func (s *sight) expression(expr *ast.Expr) {
	closures := 0
	vis := ast.NewBeforeAfterVisitor(func(n any) bool {
		switch n := n.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.Every:
			closures++
		case *ast.With:
			return true
		case ast.Ref:
			s.reference(n, closures > 0)
			return true
		case ast.Var:
			if closures == 0 {
				s.variable(n)
			}
		}
		return false
	}, func(n any) {
		switch n.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.Every:
			closures--
		}
	})
	if terms, ok := expr.Terms.([]*ast.Term); ok {
		for _, operand := range terms[1:] {
			vis.Walk(operand)
		}
		return
	}
	vis.Walk(expr.Terms)
}

// variable shows the value of a variable that the author named.
func (s *sight) variable(v ast.Var) {
	name := s.authorsName(v)
	if value := s.solution[v]; name != "" && value != nil && value.IsGround() {
		s.show(name, value.Value)
	}
}

// authorsName is the name that the author gave to a variable of the compiler, "" if the
// variable is the compiler's own.
func (x *explainer) authorsName(v ast.Var) string {
	name, rewritten := x.compiler.RewrittenVars[v]
	if !rewritten { // a variable without `some` or `:=`
		name = v
	}
	if ast.RootDocumentNames.Contains(ast.NewTerm(v)) || name.IsGenerated() || strings.HasPrefix(string(name), "__local") {
		return ""
	}
	return string(name)
}

func isScalar(v ast.Value) bool {
	switch v.(type) {
	case ast.String, ast.Number, ast.Boolean, ast.Null:
		return true
	}
	return false
}

// reference shows the value of a reference, up to its first variable without a value.
func (s *sight) reference(ref ast.Ref, closed bool) {
	head, ok := ref[0].Value.(ast.Var)
	if !ok {
		return
	}
	known, whole := s.plugged(ref)
	if !head.Equal(ast.InputRootDocument.Value) && !head.Equal(ast.DefaultRootDocument.Value) {
		if len(known) > 1 || !closed {
			s.member(head, known)
		}
		return
	}
	if len(known) < 2 || len(s.functionRules(known)) > 0 {
		return
	}
	value := s.valueOf(known, s.with)
	if value == nil {
		s.undefined = s.undefined || !closed
		return
	}
	s.show(s.refText(known), value)
	if !whole && !closed && head.Equal(ast.DefaultRootDocument.Value) && len(s.rulesOf(known)) == 0 {
		s.c.Note = "the reference goes on with a variable: rules below it are not followed"
	}
}

// member shows the value of a reference into a variable.
func (s *sight) member(head ast.Var, ref ast.Ref) {
	name := s.authorsName(head)
	value := s.solution[head]
	if value == nil {
		return
	}
	found, err := value.Value.Find(ref[1:])
	switch {
	case err != nil:
		s.undefined = true
		if name != "" {
			s.show(name, value.Value)
		}
	case name != "":
		s.show(name+strings.TrimPrefix(ref.String(), string(head)), found)
	}
}

// plugged replaces the variables in a reference by their values. It ends before the first
// variable without a value.
func (s *sight) plugged(ref ast.Ref) (known ast.Ref, whole bool) {
	known = ast.Ref{ref[0]}
	for _, term := range ref[1:] {
		if term = s.plug(term); !term.IsGround() {
			return known, false
		}
		known = append(known, term)
	}
	return known, true
}

// plug replaces the variables in a term by their values.
func (s *sight) plug(term *ast.Term) *ast.Term {
	if term.IsGround() {
		return term
	}
	if v, ok := term.Value.(ast.Var); ok {
		if value := s.solution[v]; value != nil {
			return value
		}
		return term
	}
	replaced, err := ast.TransformVars(term.Copy(), func(v ast.Var) (ast.Value, error) {
		if value := s.solution[v]; value != nil {
			return value.Value, nil
		}
		return v, nil
	})
	if t, ok := replaced.(*ast.Term); ok && err == nil {
		return t
	}
	return term
}

// replaced are the with modifiers of an expression, with values instead of variables.
func (s *sight) replaced(with []*ast.With) []*ast.With {
	list := make([]*ast.With, len(with))
	for i, w := range with {
		c := *w
		c.Value = s.plug(w.Value)
		list[i] = &c
	}
	return list
}

// results shows what the calls of an expression returned, and notes what the variables of the
// compiler stand for.
func (s *sight) results(expr *ast.Expr, after []topdown.QueryResult) {
	terms, ok := expr.Terms.([]*ast.Term)
	if !ok || expr.Negated {
		return
	}
	operator := terms[0].String()
	if expr.IsEquality() {
		if v, ok := terms[1].Value.(ast.Var); ok {
			s.names[v] = s.text(terms[2])
			if name := s.authorsName(v); name != "" && len(after) > 0 && s.c.Held {
				if value := after[0][v]; value != nil && isScalar(value.Value) {
					s.suffix = ""
					s.show(name, value.Value)
				}
			}
		}
		return
	}
	arity := s.compiler.GetArity(expr.Operator())
	if arity < 0 || len(terms) != arity+2 {
		return
	}
	call := s.callText(operator, terms[1:len(terms)-1])
	if v, ok := terms[len(terms)-1].Value.(ast.Var); ok {
		s.names[v] = call
		if len(after) > 0 && after[0][v] != nil && after[0][v].IsGround() {
			s.suffix = ""
			s.show(call, after[0][v].Value)
		}
	}
}

// callText is a call as its author may have written it.
func (s *sight) callText(operator string, operands []*ast.Term) string {
	texts := make([]string, len(operands))
	for i, operand := range operands {
		texts[i] = s.text(operand)
	}
	if b := ast.BuiltinMap[operator]; b != nil && b.Infix != "" && len(texts) == 2 {
		return texts[0] + " " + b.Infix + " " + texts[1]
	}
	return s.shortened(operator) + "(" + strings.Join(texts, ", ") + ")"
}

// text is an operand as its author may have written it.
func (s *sight) text(term *ast.Term) string {
	switch v := term.Value.(type) {
	case ast.Var:
		if name := s.authorsName(v); name != "" {
			return name
		}
		if name, ok := s.names[v]; ok {
			return name
		}
	case ast.Ref:
		known, _ := s.plugged(v)
		return s.refText(known)
	case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
		if term.Location != nil {
			return oneLine(string(term.Location.Text))
		}
	}
	return s.plug(term).String()
}

// refText is a reference with the names of the author.
func (s *sight) refText(ref ast.Ref) string {
	if head, ok := ref[0].Value.(ast.Var); ok {
		if name := s.authorsName(head); name != "" {
			return name + strings.TrimPrefix(ref.String(), string(head))
		}
	}
	return s.shortened(ref.String())
}

// shortened leaves out the package of the rule.
func (s *sight) shortened(name string) string {
	return strings.TrimPrefix(name, s.f.rule.Module.Package.Path.String()+".")
}

// show adds a value to the condition.
func (s *sight) show(name string, value ast.Value) {
	plain, err := ast.JSON(value)
	if err != nil {
		return
	}
	if text := value.String(); len(text) > maxValue {
		plain = fmt.Sprintf("(a value of %d bytes)", len(text))
	}
	if _, shown := s.c.Values[name]; shown && s.suffix != "" && !strings.HasPrefix(name, "input") && !strings.HasPrefix(name, "data.") {
		name += s.suffix
	}
	s.c.Values[name] = plain
}
