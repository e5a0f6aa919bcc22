package engine

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
	"pgregory.net/rapid"

	"example.com/umpire/uma"
)

// TestFunctionsAreKnown: a function of a later OPA may look at the time without saying so. Whoever
// adds it to testdata/functions.txt has looked, and added it to timed if it does.
func TestFunctionsAreKnown(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Fields(string(content))
	for _, b := range capabilities().Builtins {
		if !slices.Contains(known, b.Name) {
			t.Errorf("%s is not in testdata/functions.txt: does its answer depend on more than its arguments?", b.Name)
		}
	}
	for _, name := range timed {
		if !slices.Contains(known, name) {
			t.Errorf("there is no function %s", name)
		}
	}
}

// TestReadsCoverDependencies: what OPA's own analysis finds is found, or a part that has it.
func TestReadsCoverDependencies(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{
		`grant contains "view" if input.subject.id == input.resource.owner`,
		"grant contains s if {\n\tsome s in input.resource.scopes\n\tx := input.claims.pushed\n\tx.amount[0] == s\n}",
		"deny contains {\"scope\": s} if some s in input.scopes\n\nreasons contains {r | some r in input.subject.roles; h(r)}\n\nh(r) if r == input.client.id",
		"rpt := {\"ttl\": n} if n := count(input.claims.tokens)\n\nelse := {\"ttl\": 3} if every r in input.subject.groups {r != input.subject.username}",
		`grant contains "view" if input.subject.attributes[input.resource.name]`,
	} {
		module, err := ast.ParseModuleWithOpts("a.rego", "package uma.policies.a\n\n"+rules+"\n", ParserOptions())
		if err != nil {
			t.Fatal(err)
		}
		src := Source{Files: map[string]string{"a.rego": rules}, Modules: map[string]*ast.Module{"a.rego": module}}
		p, err := compile(t.Context(), "r", uma.PolicySettings{Timeout: time.Second, Entrypoint: libraryEntrypoint}, src, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		reading := readingOf(p.compiler, p.decision.body)
		if reading.because != "" {
			t.Errorf("%s: %s", rules, reading.because)
		}
		refs, err := dependencies.Base(p.compiler, p.decision.body)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		for _, ref := range refs {
			if path := inputPath(ref); path != nil {
				n++
				if !reading.input.covers(path[1:]) {
					t.Errorf("%s: %s is not among the parts", rules, ref)
				}
			}
		}
		if n < 5 {
			t.Errorf("%s: got only %v", rules, refs)
		}
	}
}

func (p *part) covers(path []string) bool {
	switch {
	case p == nil:
		return false
	case p.whole || len(path) == 0:
		return true
	}
	return p.members[path[0]].covers(path[1:])
}

func hashed(t interface{ Fatal(...any) }, reads *part, in *uma.Input) string {
	h := &hasher{open: []*part{reads}}
	writeInput(h, in)
	if h.err != nil || len(h.open) != 1 {
		t.Fatal(h.err, h.open)
	}
	return string(h.buf)
}

// TestHashOfTheWhole: inputs with different JSON have different texts, and equal ones equal texts.
func TestHashOfTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyInput().Draw(t, "a")
		b := anyInput().Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			one := *a
			one.Claims.Pushed, one.Subject.Attributes = b.Claims.Pushed, b.Subject.Attributes
			b = &one
		}
		if string(written(t, a)) != string(written(t, b)) && hashed(t, all, a) == hashed(t, all, b) {
			t.Fatal("one text for two inputs")
		}
		again := *a
		again.Claims.Pushed, again.Subject.Attributes = maps.Clone(a.Claims.Pushed), maps.Clone(a.Subject.Attributes)
		if hashed(t, all, a) != hashed(t, all, &again) {
			t.Fatal("two texts for one input")
		}
	})
}

// TestHashIsUnambiguous: texts that begin and end elsewhere, absent and empty values, and types
// are not confused.
func TestHashIsUnambiguous(t *testing.T) {
	t.Parallel()
	seen := make(map[string]int)
	for i, change := range []func(*uma.Input){
		func(in *uma.Input) {},
		func(in *uma.Input) { in.Subject.Roles = []string{"ab"} },
		func(in *uma.Input) { in.Subject.Roles = []string{"a", "b"} },
		func(in *uma.Input) { in.Subject.Roles = []string{"a", "b", ""} },
		func(in *uma.Input) { in.Subject.Roles, in.Subject.Groups = []string{"a"}, []string{"b"} },
		func(in *uma.Input) { in.Subject.Roles = []string{""} },
		func(in *uma.Input) { in.Subject.Username = "roles" },
		func(in *uma.Input) { in.Subject.Issuer = "roles" },
		func(in *uma.Input) { in.Resource = new(uma.InputResource) },
		func(in *uma.Input) { in.Resource = &uma.InputResource{Attributes: map[string][]string{"a": nil}} },
		func(in *uma.Input) { in.Resource = &uma.InputResource{Attributes: map[string][]string{"a": {""}}} },
		func(in *uma.Input) { in.Resource = &uma.InputResource{Attributes: map[string][]string{"": {"a"}}} },
		func(in *uma.Input) { in.Shares = make([]uma.InputShare, 1) },
		func(in *uma.Input) { in.Shares = make([]uma.InputShare, 2) },
		func(in *uma.Input) { in.Shares = []uma.InputShare{{Users: []string{"a"}}} },
		func(in *uma.Input) { in.Shares = []uma.InputShare{{Roles: []string{"a"}}} },
		func(in *uma.Input) { in.Ticket = new(uma.InputTicket) },
	} {
		in := new(uma.Input)
		change(in)
		text := hashed(t, all, in)
		if other, ok := seen[text]; ok {
			t.Errorf("%d has the text of %d", i, other)
		}
		seen[text] = i
	}
	for i, v := range []any{
		nil, true, false, "", "1", 1, 10, 1.5, "1.5", []any{}, []any{1}, []any{[]any{1}}, []any{1, nil}, []any{"a", "b"}, []string{"ab"},
		map[string]any{}, map[string]any{"a": nil}, map[string]any{"a": "b"}, map[string]any{"a": map[string]any{"b": nil}}, map[string]any{"a": map[string]any{}, "b": nil},
	} {
		text := hashed(t, all, &uma.Input{Subject: uma.InputSubject{Attributes: map[string]any{"v": v}}})
		if other, ok := seen[text]; ok {
			t.Errorf("value %d has the text of %d", i, other)
		}
		seen[text] = 100 + i
	}
}

// TestHashOfParts: only the parts that are read count, and the names that a policy cannot tell
// apart all count.
func TestHashOfParts(t *testing.T) {
	t.Parallel()
	reads := new(part)
	for _, path := range []string{"subject.roles", "resource.attributes.a", "claims.verified.x.y", "shares.none", "ticket.round"} {
		reads.add(strings.Split(path, "."))
	}
	base := func() *uma.Input {
		return &uma.Input{
			Subject: uma.InputSubject{ID: "u", Roles: []string{"r"}}, Ticket: &uma.InputTicket{ID: "t", Round: 1},
			Resource: &uma.InputResource{Attributes: map[string][]string{"a": {"1"}, "b": {"2"}}},
			Claims:   uma.InputClaims{Verified: map[string]any{"x": map[string]any{"y": 1, "z": 2}, "w": 3}},
		}
	}
	for name, c := range map[string]struct {
		change func(*uma.Input)
		equal  bool
	}{
		"nothing":           {func(*uma.Input) {}, true},
		"another id":        {func(in *uma.Input) { in.Subject.ID, in.Ticket.ID, in.Realm = "v", "w", "x" }, true},
		"another attribute": {func(in *uma.Input) { in.Resource.Attributes["b"] = nil }, true},
		"another claim":     {func(in *uma.Input) { in.Claims.Verified["w"] = func() {} }, true},
		"shares":            {func(in *uma.Input) { in.Shares = make([]uma.InputShare, 2) }, true}, // a list has no member "none"
		"a role":            {func(in *uma.Input) { in.Subject.Roles = nil }, false},
		"the attribute":     {func(in *uma.Input) { in.Resource.Attributes["a"] = []string{"2"} }, false},
		"no attribute":      {func(in *uma.Input) { delete(in.Resource.Attributes, "a") }, false},
		"an empty one":      {func(in *uma.Input) { in.Resource.Attributes["a"] = nil }, false},
		"no resource":       {func(in *uma.Input) { in.Resource = nil }, false},
		"below the claim":   {func(in *uma.Input) { in.Claims.Verified["x"] = map[string]any{"y": 1, "z": 3} }, false},
		"the round":         {func(in *uma.Input) { in.Ticket.Round = 2 }, false},
		"no ticket":         {func(in *uma.Input) { in.Ticket = nil }, false},
		"no UTF-8":          {func(in *uma.Input) { in.Resource.Attributes["\xff"] = nil }, false},
	} {
		in := base()
		c.change(in)
		if got := hashed(t, reads, in) == hashed(t, reads, base()); got != c.equal {
			t.Errorf("%s: equal: got %t", name, got)
		}
	}
}

// TestKeeperCounts: what is kept has about the bytes that are counted. It is not parallel:
// nothing else may allocate.
func TestKeeperCounts(t *testing.T) {
	const n = 2000
	long := strings.Repeat("x", 1<<16)
	answer := func(i int) *uma.Evaluation {
		name := fmt.Sprint("scope-", i)
		return &uma.Evaluation{
			Output: uma.Output{
				Granted: []uma.Scope{uma.Scope(long[:9]), uma.Scope(name)}, NeedInfo: []uma.Need{{RequiredClaim: uma.RequiredClaim{Name: name}}},
				Obligations: []uma.Obligation{{ID: name, Properties: map[string]any{"level": name, "list": []any{name}}}},
				RPT:         uma.RPTInstructions{Claims: map[string][]string{name: {name}}},
			},
			Decided: []uma.ScopeDecision{{Scope: uma.Scope(name), Decision: "granted", Rules: []string{"team/rule"}}},
		}
	}
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	m := newMemo(64 << 20)
	p := &policy{memo: m, functions: &functions{all: &reading{input: *all}}}
	for i := range n {
		p.remember(&uma.Input{Realm: fmt.Sprint(i)}, answer(i))
	}
	used, stats := heap()-before, m.answers.Stats()
	if stats.Entries != n || used > stats.Bytes*5/4 || used < stats.Bytes/2 {
		t.Errorf("%d entries have %d bytes, counted %d", stats.Entries, used, stats.Bytes)
	}
	runtime.KeepAlive(m)
	runtime.KeepAlive(long)
}
