package engine

import (
	"reflect"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"example.com/umpire/uma"
)

// mergeLabels relies on behaviour that OPA does not promise. OPA's own API must list the
// same labels; otherwise an upgrade of OPA could lose labels unnoticed.
func TestRuleLabelsAreThoseOfOPA(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a.rego": `# METADATA
# scope: subpackages
# labels: {org: x, team: sub, rule: sub}
package uma.policies.a

# METADATA
# labels: {rule: scopes}
grant contains s if some s in input.scopes

# METADATA
# scope: document
# labels: {team: document}
# METADATA
# labels: {rule: first}
reasons contains "first" if alternative

# METADATA
# labels: {rule: does-not-hold}
alternative if input.nothing

else := true

# METADATA
# labels: {rule: function}
twice(s) := concat("", [s, s])

reasons contains twice("x")
`,
		"guardrails.rego": "package uma.guardrails\n\n# METADATA\n# labels: {team: security, rule: g, level: 3}\ndeny contains {\"scope\": \"delete\"}\n",
	}
	src := Source{Files: files, Modules: map[string]*ast.Module{}}
	for name, text := range files {
		module, err := ast.ParseModuleWithOpts(name, text, ParserOptions())
		if err != nil {
			t.Fatal(err)
		}
		src.Modules[name] = module
	}
	p, err := compile(t.Context(), "photoz", uma.PolicySettings{Timeout: time.Minute, Entrypoint: libraryEntrypoint}, src, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := Assemble(src)
	if err != nil {
		t.Fatal(err)
	}
	if parts.Compiler.Compile(parts.Modules); parts.Compiler.Failed() {
		t.Fatal(parts.Compiler.Errors)
	}
	for _, resource := range []*uma.InputResource{nil, {Type: "a", Owner: "u-bob"}, {Type: "a", Owner: "u-alice", OwnerManaged: true}, {Type: "b"}} {
		in := &uma.Input{
			Version: "1", Kind: "rpt", Resource: resource, Scopes: []uma.Scope{"view", "delete"}, Now: time.Now(),
			Subject: uma.InputSubject{ID: "u-bob", Type: "user"},
		}
		got, err := p.Decide(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		value, err := inputValue(names(t), in)
		if err != nil {
			t.Fatal(err)
		}
		var want topdown.EvaluatedRuleTracker
		_, err = rego.New(
			rego.Query(libraryEntrypoint), rego.Compiler(parts.Compiler), rego.Store(inmem.NewFromObject(parts.Data)),
			rego.ParsedInput(value), rego.EvaluatedRuleTracker(&want),
		).Eval(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.RuleLabels, want.Labels) || len(want.Labels) == 0 {
			t.Errorf("%+v:\ngot  %v\nwant %v", resource, got.RuleLabels, want.Labels)
		}
	}
}
