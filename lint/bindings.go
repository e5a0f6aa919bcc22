package lint

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// maxBindings limits how many variables are resolved one after another.
const maxBindings = 10

// anyElement stands in a path for an index that is not a constant.
const anyElement = "*"

// bindings are what the variables of a rule are equal to. The compiler has given every
// local variable of a module a name of its own. A variable may have a text beside another
// binding: `some r in input.subject.roles; r == "admin"`.
type bindings struct {
	terms map[ast.Var]*ast.Term // nil for a variable with several
	words map[ast.Var]*ast.Term
	rules *ast.Compiler
}

// bindingsOf collects what a rule assigns to variables, or compares them with.
func bindingsOf(rule *ast.Rule, rules *ast.Compiler) bindings {
	b := bindings{map[ast.Var]*ast.Term{}, map[ast.Var]*ast.Term{}, rules}
	bind := func(v, to *ast.Term) {
		name, ok := v.Value.(ast.Var)
		if !ok {
			return
		}
		into := b.terms
		if _, isText := to.Value.(ast.String); isText {
			into = b.words
		}
		if _, several := into[name]; several {
			to = nil
		}
		into[name] = to
	}
	ast.WalkExprs(rule, func(expr *ast.Expr) bool {
		switch terms := expr.Terms.(type) {
		case *ast.Every:
			bind(terms.Value, ast.RefTerm(terms.Domain, ast.VarTerm(anyElement)))
		case []*ast.Term:
			if name := expr.Operator().String(); len(terms) == 3 && (name == "eq" || name == "assign" || name == "equal") {
				switch _, isVar := terms[1].Value.(ast.Var); {
				case isVar:
					bind(terms[1], terms[2])
				default:
					bind(terms[2], terms[1])
				}
			}
		}
		return false
	})
	return b
}

// resolve replaces a variable by what it is equal to.
func (b bindings) resolve(t *ast.Term) *ast.Term {
	for range maxBindings {
		name, ok := t.Value.(ast.Var)
		if !ok || b.terms[name] == nil {
			break
		}
		t = b.terms[name]
	}
	return t
}

// inputPath is the path of a part of the input, without `input`; ok is false for another
// term.
func (b bindings) inputPath(t *ast.Term) (path []string, ok bool) {
	var rest []*ast.Term
	for range maxBindings {
		t = b.resolve(t)
		ref, isRef := t.Value.(ast.Ref)
		if !isRef {
			return nil, false
		}
		rest = append(append([]*ast.Term{}, ref[1:]...), rest...)
		if ref[0].Equal(ast.InputRootDocument) {
			for _, term := range rest {
				path = append(path, element(b.resolve(term)))
			}
			return path, true
		}
		t = ref[0]
	}
	return nil, false
}

func element(t *ast.Term) string {
	if s, ok := t.Value.(ast.String); ok {
		return string(s)
	}
	return anyElement
}

// texts are the texts that a term is or ranges over, as far as they are written in the policy.
func (b bindings) texts(t *ast.Term) []*ast.Term {
	t = b.constant(b.resolve(t))
	switch v := t.Value.(type) {
	case ast.String:
		return []*ast.Term{t}
	case ast.Var:
		if word := b.words[v]; word != nil {
			return []*ast.Term{word}
		}
	case ast.Ref:
		if last := len(v) - 1; last > 0 && element(v[last]) == anyElement {
			return b.elements(&ast.Term{Value: v[:last], Location: t.Location})
		}
	}
	return nil
}

// constant replaces a reference to a rule such as `admins := {"admin", "owner"}` by its
// value, and one to a variable alone by what it is equal to.
func (b bindings) constant(t *ast.Term) *ast.Term {
	ref, ok := t.Value.(ast.Ref)
	if !ok {
		return t
	}
	if len(ref) == 1 {
		return b.resolve(ref[0])
	}
	rules := b.rules.GetRulesExact(ref)
	if len(rules) != 1 || rules[0].Head.Value == nil || rules[0].Else != nil { // without a value: of a set, by `contains`
		return t
	}
	if !rules[0].Body.Equal(ast.NewBody(ast.NewExpr(ast.BooleanTerm(true)))) {
		return t
	}
	return rules[0].Head.Value
}

// elements are the texts in a list or set that is written in the policy.
func (b bindings) elements(t *ast.Term) (all []*ast.Term) {
	t = b.constant(b.resolve(t))
	add := func(e *ast.Term) {
		if _, ok := e.Value.(ast.String); ok {
			all = append(all, e)
		}
	}
	switch v := t.Value.(type) {
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	}
	return all
}
