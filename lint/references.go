package lint

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/nearest"
)

// checkReferences finds references to rules and data that are not defined. To OPA they are
// undefined, so that `not sharing.is_ownr` holds for everybody. A policy has all its data
// with it: what is not defined here is defined nowhere.
func (l *linter) checkReferences() {
	for _, file := range l.files() {
		for _, rule := range l.modules[file].Rules {
			eachRef(rule, nil, func(ref ast.Ref, expr *ast.Expr) {
				if ref.HasPrefix(ast.DefaultRootRef) {
					l.checkReference(ref, locationOf(rule, expr))
				}
			})
		}
	}
}

// eachRef calls f for all references, with the innermost expression that they are in.
func eachRef(node any, in *ast.Expr, f func(ast.Ref, *ast.Expr)) {
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if x != in {
				eachRef(x, x, f)
				return true
			}
		case ast.Ref:
			f(x, in)
		}
		return false
	}).Walk(node)
}

func locationOf(rule *ast.Rule, expr *ast.Expr) *ast.Location {
	if expr == nil || expr.Location == nil {
		return rule.Location
	}
	return expr.Location
}

func (l *linter) checkReference(ref ast.Ref, at *ast.Location) {
	node, value := l.compiler.RuleTree.Child(ref[0].Value), any(l.data)
	for i, term := range ref[1:] {
		name, ok := term.Value.(ast.String)
		if !ok || node != nil && len(node.Values) > 0 {
			return // any, or a part of a rule's value
		}
		members, isObject := value.(map[string]any)
		if value != nil && !isObject {
			return // a part of a list
		}
		var next *ast.TreeNode
		if node != nil {
			next = node.Child(name)
		}
		below, inData := members[string(name)]
		if next == nil && !inData {
			l.reportUndefined(ref[:i+2], siblings(node, members), at)
			return
		}
		node, value = next, below
	}
}

// reportUndefined reports a reference whose last name is not one of these.
func (l *linter) reportUndefined(ref ast.Ref, known []string, at *ast.Location) {
	names := path(ref)
	last := names[len(names)-1]
	if near := nearest.Miss(last, known); near != "" {
		l.block(at, "data.%s is not defined: did you mean `%s`?", dotted(names), near)
		return
	}
	l.warn(at, "data.%s is not defined: it is always undefined, and `not` of it always true", dotted(names))
}

// siblings are the names of rules, packages and data at one place.
func siblings(node *ast.TreeNode, members map[string]any) []string {
	names := slices.Collect(maps.Keys(members))
	if node != nil {
		for _, key := range node.Sorted {
			if s, ok := key.(ast.String); ok {
				names = append(names, string(s))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
