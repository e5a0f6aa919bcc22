package engine

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// othersOf returns the rules and packages of a team package that are not members of the
// contract, with references to them. The library evaluates the whole package, so that their
// labels, the errors in them and the calls of random functions are on record. Rules that
// cannot have any of these are left out, unless labelled: there are labels for more than a rule.
func othersOf(path []string, modules []*ast.Module, labelled bool) map[string]string {
	others := make(map[string]string)
	for _, module := range modules {
		in, _ := packagePath(module.Package)
		if !hasPrefix(in, path) {
			continue
		}
		for _, rule := range module.Rules {
			name := headName(rule)
			if len(in) > len(path) {
				name = in[len(path)]
			}
			if len(rule.Head.Args) > 0 || slices.Contains(Members(path), name) {
				continue
			}
			if len(in) > len(path) || labelled || !isHarmless(rule, imported(module)) {
				others[name] = refTo(append(slices.Clone(path), name))
			}
		}
	}
	return others
}

// hasWideLabels reports whether labels are for more than one rule.
func hasWideLabels(modules map[string]*ast.Module) bool {
	for _, module := range modules {
		for _, note := range module.Annotations {
			if len(note.Labels) > 0 && note.Scope != "rule" {
				return true
			}
		}
	}
	return false
}

// imported are the names of documents that a module imports.
func imported(module *ast.Module) map[ast.Var]bool {
	names := map[ast.Var]bool{ast.DefaultRootDocument.Value.(ast.Var): true}
	for _, i := range module.Imports {
		if ref, ok := i.Path.Value.(ast.Ref); ok && ref.HasPrefix(ast.DefaultRootRef) {
			names[i.Name()] = true
		}
	}
	return names
}

// safeCalls are functions that never fail and depend on their arguments alone.
var safeCalls = []string{"eq", "assign", "equal", "neq", "lt", "lte", "gt", "gte", "internal.member_2", "internal.member_3"}

// isHarmless reports whether nobody notices that a rule is not evaluated: it has no label, no
// function in it can fail or be random, and its values cannot contradict each other.
func isHarmless(rule *ast.Rule, data map[ast.Var]bool) bool {
	if len(rule.Annotations) > 0 {
		return false
	}
	set := rule.Head.RuleKind() == ast.MultiValue && len(rule.Head.Ref()) == 1
	value := rule.Head.Value != nil && rule.Head.Value.Equal(ast.InternedTerm(true)) && len(rule.Head.Ref()) == 1
	if rule.Default || rule.Else != nil || !set && !value {
		return false
	}
	harmless := true
	visitor := ast.NewGenericVisitor(func(n any) bool {
		switch n := n.(type) {
		case *ast.With, *ast.ObjectComprehension, *ast.TemplateString, *ast.Every:
			harmless = false
		case ast.Call:
			harmless = harmless && isSafeCall(n[0])
		case *ast.Expr:
			harmless = harmless && (!n.IsCall() || isSafeCall(n.OperatorTerm()))
		case ast.Ref:
			head, ok := n[0].Value.(ast.Var)
			harmless = harmless && ok && !data[head]
		case ast.Var:
			harmless = harmless && !data[n]
		}
		return !harmless
	})
	visitor.Walk(rule.Head)
	visitor.Walk(rule.Body)
	return harmless
}

func isSafeCall(operator *ast.Term) bool {
	return slices.Contains(safeCalls, operator.Value.String())
}
