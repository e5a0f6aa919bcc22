package engine

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// follow explains the helper rules that an expression refers to: why they held if they made
// the expression hold or fail, otherwise why none of them held. It looks at the last solution
// that expression saw.
func (s *sight) follow(expr *ast.Expr, failed bool) {
	if s.f.depth >= maxHelperDepth {
		return
	}
	wantHeld := failed == expr.Negated
	if operator := expr.OperatorTerm(); operator != nil && expr.IsCall() {
		if ref, ok := operator.Value.(ast.Ref); ok && ref.HasPrefix(ast.DefaultRootRef) {
			s.followCall(ref, expr.Operands(), wantHeld)
			return
		}
	}
	for _, ref := range helperRefs(expr) {
		s.followRef(ref, wantHeld)
	}
}

// helperRefs are the references to data in an expression, without those in closures.
func helperRefs(expr *ast.Expr) (refs []ast.Ref) {
	ast.NewGenericVisitor(func(n any) bool {
		switch n := n.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.Every, *ast.With:
			return true
		case ast.Ref:
			if n.HasPrefix(ast.DefaultRootRef) {
				refs = append(refs, n)
			}
		}
		return false
	}).Walk(expr)
	return refs
}

// followRef explains the rules of the document that a reference is to or into.
func (s *sight) followRef(ref ast.Ref, wantHeld bool) {
	known, _ := s.plugged(ref)
	for n := len(known); n > 1; n-- {
		rules := s.rulesOf(known[:n])
		if len(rules) == 0 {
			continue
		}
		if !wantHeld && !isNothing(s.valueOf(known[:n], s.with)) && n == len(known) {
			return // the document has a value, which the condition shows
		}
		for _, rule := range rules {
			var bound []*ast.Expr
			if key := rule.Head.Key; key != nil && n < len(known) {
				bound = append(bound, ast.Equality.Expr(key, known[n]))
			}
			s.chain(rule, bound, wantHeld)
		}
		return
	}
}

// isNothing reports whether a value is that of rules of which none held.
func isNothing(v ast.Value) bool {
	switch v := v.(type) {
	case nil:
		return true
	case ast.Boolean:
		return !bool(v)
	case ast.Set:
		return v.Len() == 0
	case ast.Object:
		return v.Len() == 0
	}
	return false
}

// functionRules are the definitions of a function.
func (x *explainer) functionRules(ref ast.Ref) []*ast.Rule {
	return slices.DeleteFunc(x.rulesOf(ref), func(r *ast.Rule) bool { return len(r.Head.Args) == 0 })
}

// followCall explains the definitions of a function for the arguments of a call.
func (s *sight) followCall(operator ast.Ref, operands []*ast.Term, wantHeld bool) {
	for _, rule := range s.functionRules(operator) {
		bound := make([]*ast.Expr, 0, len(rule.Head.Args))
		for i, parameter := range rule.Head.Args {
			if i >= len(operands) {
				break
			}
			value := s.argument(operands[i])
			if value == nil {
				return
			}
			bound = append(bound, ast.Equality.Expr(parameter, value))
		}
		s.chain(rule, bound, wantHeld)
	}
	others := func(r ExplainedRule) bool { return len(r.Conditions) > 0 && r.Conditions[0].Note == otherArguments }
	if rest := slices.DeleteFunc(slices.Clone(s.c.Because), others); len(rest) > 0 {
		s.c.Because = rest
	}
}

// argument is the value of an operand, nil if it has none.
func (s *sight) argument(operand *ast.Term) *ast.Term {
	if ref, ok := operand.Value.(ast.Ref); ok {
		known, whole := s.plugged(ref)
		if value := s.valueOf(known, s.with); whole && value != nil {
			return ast.NewTerm(value)
		}
		return nil
	}
	if operand = s.plug(operand); operand.IsGround() {
		return operand
	}
	return nil
}

// chain explains a rule and its else branches, up to the first one that held.
func (s *sight) chain(rule *ast.Rule, bound []*ast.Expr, wantHeld bool) {
	for ; rule != nil; rule = rule.Else {
		f := &frame{rule: rule, bound: bound, with: s.with, depth: s.f.depth + 1}
		r := s.rule(f)
		body := r.Held
		if r.Held && s.isFalse(f) {
			r.Held = false
			c := newCondition(headText(rule), rule.Head.Location.Row)
			c.Values[rule.Head.Name.String()] = false
			r.Conditions = append(r.Conditions, c)
		}
		if r.Held == wantHeld {
			s.c.Because = append(s.c.Because, r)
		}
		if body {
			return
		}
	}
}

// isFalse reports whether a rule whose body holds has the value false.
func (s *sight) isFalse(f *frame) bool {
	value := f.rule.Head.Value
	if value == nil {
		return false
	}
	found, _ := s.solve(f.body(len(f.rule.Body), ast.Equality.Expr(ast.NewTerm(answer), value)), 1)
	return len(found) > 0 && found[0][answer].Equal(ast.InternedTerm(false))
}
