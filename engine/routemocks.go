package engine

import (
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
)

// withoutRoutes returns modules in which an expression that replaces a document below
// data.uma also removes the generated rules, which were made for the documents as they are:
// with data.uma.policies.album as {"grant": {"view"}} adds a member to a package that has
// none.
func withoutRoutes(modules map[string]*ast.Module) map[string]*ast.Module {
	changed := maps.Clone(modules)
	for name, module := range modules {
		if replacesRouted(module) {
			changed[name] = module.Copy()
			ast.WalkExprs(changed[name], func(expr *ast.Expr) bool {
				removeRoutes(expr, changed[name])
				return false
			})
		}
	}
	return changed
}

// Unrouted returns tests as they must be compiled with the generated modules of Parts.
func Unrouted(tests map[string]*ast.Module) map[string]*ast.Module { return withoutRoutes(tests) }

func replacesRouted(module *ast.Module) (replaces bool) {
	ast.WalkWiths(module, func(w *ast.With) bool {
		replaces = replaces || isRouted(w, module)
		return replaces
	})
	return replaces
}

// removeRoutes adds `with data.uma.routed as {}` to an expression that needs it.
func removeRoutes(expr *ast.Expr, module *ast.Module) {
	for _, w := range expr.With {
		if isRouted(w, module) {
			target := ast.MustParseTerm(refTo(routedPackage)).SetLocation(w.Location)
			none := &ast.With{Target: target, Value: ast.ObjectTerm().SetLocation(w.Location), Location: w.Location}
			expr.With = append(expr.With, none)
			return
		}
	}
}

// isRouted reports whether a document is replaced that generated rules may depend on in
// another way than by reading it.
func isRouted(w *ast.With, module *ast.Module) bool {
	path := pathOf(w.Target, module)
	return len(path) > 1 && path[0] == "uma"
}

// pathOf is the constant part of the path that a term names, without `data`; nil if it is no
// document.
func pathOf(term *ast.Term, module *ast.Module) []string {
	ref, ok := term.Value.(ast.Ref)
	if !ok {
		ref = ast.Ref{term}
	}
	if ref.HasPrefix(ast.DefaultRootRef) {
		return fixed(ref[1:])
	}
	for _, i := range module.Imports {
		if path, ok := i.Path.Value.(ast.Ref); ok && path.HasPrefix(ast.DefaultRootRef) && ref[0].Value.Compare(i.Name()) == 0 {
			return append(fixed(path[1:]), fixed(ref[1:])...)
		}
	}
	return nil
}
