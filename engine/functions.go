package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"

	"example.com/umpire/uma"
)

// functions says which decisions of a policy are functions of parts of the input. The router of
// the library reads one team package for a decision: where it is known which one, a package
// that is no function makes no difference to the decisions of others.
type functions struct {
	all     *reading            // of any decision; nil if the team is known
	teams   map[string]*reading // by the key of the package
	aliases map[string]string   // keys by type, as data has them
}

// A Function says of the decisions of a team package whether they are functions of the input.
type Function struct {
	Package string // such as data.uma.policies.album; empty: of all
	Because string // why they are not; empty: they are
}

// functionsOf examines a compiled policy.
func functionsOf(ctx context.Context, p *policy) (*functions, error) {
	if p.mask != nil {
		return &functions{all: &reading{because: maskRef + " masks the records"}}, nil
	}
	names, err := p.object(ctx, "uma", "teams")
	if err != nil {
		return nil, err
	}
	aliases, err := p.object(ctx, "uma", "facts", "type_alias")
	if err != nil {
		return nil, err
	}
	if !isShipped(p.sources) || names["default"] == nil || len(names) > maxTeams {
		return &functions{all: readingOf(p.compiler, p.decision.body)}, nil
	}
	f := &functions{aliases: make(map[string]string, len(aliases))}
	routed := !hasRules(p.compiler, "uma", "facts", "type_alias")
	for name, value := range aliases {
		alias, ok := value.(ast.String)
		f.aliases[name], routed = string(alias), routed && ok
	}
	if routed {
		f.teams, routed = teamReadings(p.compiler, p.decision.body, sortedKeys(names))
	}
	if !routed {
		return &functions{all: readingOf(p.compiler, p.decision.body)}, nil
	}
	return f, nil
}

// object returns the members of an object of the policy's data; none if it is no object.
func (p *policy) object(ctx context.Context, path ...string) (map[string]ast.Value, error) {
	value, err := p.store.Read(ctx, p.txn, storage.Path(path))
	if storage.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read data.%s: %w", strings.Join(path, "."), err)
	}
	object, _ := value.(ast.Object)
	if object == nil {
		return nil, nil
	}
	found := make(map[string]ast.Value, object.Len())
	object.Foreach(func(k, v *ast.Term) {
		if name, ok := k.Value.(ast.String); ok {
			found[string(name)] = v.Value
		}
	})
	return found, nil
}

// hasRules reports whether rules define a document or what is below it.
func hasRules(c *ast.Compiler, path ...string) bool {
	node := c.RuleTree.Child(ast.DefaultRootDocument.Value)
	for _, name := range path {
		if node == nil {
			return false
		}
		node = node.Child(ast.String(name))
	}
	return node != nil
}

// of returns what the decision for an input reads, and the key of its team package. It does what
// `key` of uma.authz does.
func (f *functions) of(in *uma.Input) (*reading, string) {
	if f.all != nil {
		return f.all, ""
	}
	key := "default"
	if in.Resource != nil {
		name := validText(in.Resource.Type)
		if alias, ok := f.aliases[name]; ok {
			name = alias
		}
		if f.teams[name] != nil {
			key = name
		}
	}
	return f.teams[key], key
}

// list returns the functions in the order of the packages. If all have the same reason, or none
// has one, it is one for all.
func (f *functions) list() []Function {
	if f.all != nil {
		return []Function{{Because: f.all.because}}
	}
	var list []Function
	for _, key := range sortedKeys(f.teams) {
		list = append(list, Function{refTo([]string{"uma", "policies", key}), f.teams[key].because})
	}
	if !slices.ContainsFunc(list, func(one Function) bool { return one.Because != list[0].Because }) {
		return []Function{{Because: list[0].Because}}
	}
	return list
}
