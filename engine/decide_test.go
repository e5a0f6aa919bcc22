package engine_test

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// The policies of the recorded answers decide as recorded.
func TestDecide(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, photoz(t))
	share := uma.InputShare{ID: "s-1", Kind: "request", Scopes: []uma.Scope{"view"}, Users: []string{"u-bob"}, Strategy: "UNANIMOUS"}
	for name, c := range map[string]struct {
		change  func(*uma.Input)
		granted []uma.Scope
		submit  []uma.Scope
		rests   []string
	}{
		"asks the owner":    {nil, nil, []uma.Scope{"delete", "view"}, nil},
		"the owner":         {func(in *uma.Input) { in.Subject.ID = "u-alice" }, []uma.Scope{"delete", "view"}, nil, nil},
		"shared in part":    {func(in *uma.Input) { in.Shares = []uma.InputShare{share} }, []uma.Scope{"view"}, []uma.Scope{"delete"}, []string{"s-1"}},
		"a team's grant":    {of("board", "view"), []uma.Scope{"view"}, nil, nil},
		"in part":           {of("mixed", "read", "write"), []uma.Scope{"read"}, nil, nil},
		"not an admin":      {of("admin", "view"), nil, nil, nil},
		"no such type":      {of("zzz", "view"), nil, nil, nil},
		"without scopes":    {of("bare"), []uma.Scope{"*"}, nil, nil},
		"a pushed claim":    {of("bank", "withdraw"), []uma.Scope{"withdraw"}, nil, nil},
		"too large a claim": {func(in *uma.Input) { of("bank", "withdraw")(in); in.Claims.Pushed["amount"] = []string{"500"} }, nil, nil, nil},
		"scope alone":       {func(in *uma.Input) { in.Resource = nil; in.Scopes = []uma.Scope{"download"} }, []uma.Scope{"download"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := evaluator.Decide(t.Context(), input(c.change))
			if err != nil {
				t.Fatal(err)
			}
			out := got.Output
			if !slices.Equal(out.Granted, c.granted) || !slices.Equal(out.Submit, c.submit) || !slices.Equal(out.RestsOn, c.rests) {
				t.Errorf("got granted %v submit %v rests on %v, want %v %v %v", out.Granted, out.Submit, out.RestsOn, c.granted, c.submit, c.rests)
			}
			if out.SharesUnknown || got.Failed != "" || got.NDCache != nil || got.Took <= 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// evaluatorOf is a policy with the given rules as its own entry point.
func evaluatorOf(t *testing.T, rules string) uma.Evaluator {
	t.Helper()
	e := engine.New(engine.Config{})
	own := uma.PolicySettings{Timeout: 10 * time.Second, Entrypoint: "data.lib.own.decision"}
	if _, err := e.Activate(t.Context(), "photoz", own, source(t, map[string]string{"own.rego": "package lib.own\n\n" + rules})); err != nil {
		t.Fatal(err)
	}
	return prepare(t, e)
}

// An answer that does not have the contract's shape is an error and grants nothing.
func TestDecideErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ rules, want string }{
		"undefined":                {`decision := {} if input.nothing`, "undefined"},
		"conflict":                 {"decision := 1 if input.kind\n\ndecision := 2 if input.realm", "own.rego:5: eval_conflict_error"},
		"not an object":            {`decision := true`, "not an object"},
		"a set":                    {`decision := {"granted"}`, "not an object"},
		"nothing in it":            {`decision := {}`, "granted: missing"},
		"an unknown member":        {doc(`"allow": true`), "allow: unknown member"},
		"a name that is a number":  {doc(`1: true`), "1: unknown member"},
		"granted missing":          {`decision := {"need_info": [], "submit": [], "reasons": [], "obligations": [], "rpt": {}}`, "granted: missing"},
		"granted is text":          {doc(`"granted": "view"`), "granted: not a list or set"},
		"granted is an object":     {doc(`"granted": {"view": true}`), "granted: not a list or set"},
		"a scope is a number":      {doc(`"granted": [1]`), "granted: 0: not a string"},
		"a scope twice":            {doc(`"granted": ["a", "a"]`), "granted: a is there twice"},
		"a share twice":            {doc(`"rests_on": ["a", "a"]`), "rests_on: a is there twice"},
		"a need is text":           {doc(`"need_info": {"mfa"}`), "need_info: 0: not an object"},
		"a need has no name":       {doc(`"need_info": [{}]`), "need_info: 0: name: missing"},
		"a need says more":         {doc(`"need_info": [{"name": "a", "more": 1}]`), "need_info: 0: more: unknown member"},
		"an obligation has no id":  {doc(`"obligations": [{"type": "a"}]`), "obligations: 0: id: missing"},
		"rpt is a list":            {doc(`"rpt": []`), "rpt: not an object"},
		"ttl is zero":              {doc(`"rpt": {"ttl": 0}`), "rpt: ttl: 0 is not a whole number from 1"},
		"ttl is negative":          {doc(`"rpt": {"ttl": -5}`), "rpt: ttl"},
		"ttl is a fraction":        {doc(`"rpt": {"ttl": 1.5}`), "rpt: ttl"},
		"ttl is text":              {doc(`"rpt": {"ttl": "60"}`), "rpt: ttl: not a number"},
		"a claim is text":          {doc(`"rpt": {"claims": {"a": "b"}}`), "rpt: claims: a: not a list or set"},
		"a claim of numbers":       {doc(`"rpt": {"claims": {"a": [1]}}`), "rpt: claims: a: 0: not a string"},
		"a claim as iss":           {doc(`"rpt": {"claims": {"iss": ["b"]}}`), "rpt: claims: iss: the token itself has a claim of this name"},
		"a claim as sub":           {doc(`"rpt": {"claims": {"sub": ["b"]}}`), "sub: the token itself has a claim of this name"},
		"a claim as roles":         {doc(`"rpt": {"claims": {"roles": ["b"]}}`), "roles: the token itself has a claim of this name"},
		"a claim as authorization": {doc(`"rpt": {"claims": {"authorization": ["b"]}}`), "authorization: the token itself has a claim of this name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := evaluatorOf(t, c.rules).Decide(t.Context(), input(nil))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want one with %q", err, c.want)
			}
			if got == nil || !reflect.DeepEqual(got.Output, uma.Output{}) {
				t.Errorf("got %+v beside the error", got)
			}
		})
	}
}

// doc is a valid decision with the given members added or replaced.
func doc(members string) string {
	return `decision := object.union({"granted": [], "need_info": [], "submit": [], "reasons": [], "obligations": [], "rpt": {}}, {` + members + `})`
}

// Every member of an answer is decoded, also scopes that were not asked for: that check is
// not the engine's.
func TestDecideReadsAll(t *testing.T) {
	t.Parallel()
	got, err := evaluatorOf(t, `decision := {
	"granted": {"view", "admin", "*"},
	"need_info": {{
		"name": "mfa", "friendly_name": "Second factor", "claim_type": "text", "claim_token_format": ["f"],
		"issuer": {"https://idp"}, "scopes": {"delete", "comment"}, "redirect": "",
	}},
	"submit": ["delete", "comment"],
	"reasons": {"b", "a"},
	"obligations": [{"id": "log", "type": "audit", "properties": {"level": 3, "deep": [{"x": null}]}}],
	"rests_on": {"s-2", "s-1"},
	"rpt": {"ttl": 60.0, "claims": {"org": {"b", "a"}}},
}`).Decide(t.Context(), input(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := uma.Output{
		Granted: []uma.Scope{"*", "admin", "view"},
		NeedInfo: []uma.Need{{
			RequiredClaim: uma.RequiredClaim{Name: "mfa", FriendlyName: "Second factor", Type: "text", Formats: []string{"f"}, Issuers: []string{"https://idp"}},
			Scopes:        []uma.Scope{"comment", "delete"}, Redirect: new(string),
		}},
		Submit:      []uma.Scope{"delete", "comment"},
		Reasons:     []string{"a", "b"},
		Obligations: []uma.Obligation{{ID: "log", Type: "audit", Properties: map[string]any{"level": json.Number("3"), "deep": []any{map[string]any{"x": nil}}}}},
		RestsOn:     []string{"s-1", "s-2"},
		RPT:         uma.RPTInstructions{TTL: 60, Claims: map[string][]string{"org": {"a", "b"}}},
	}
	if !reflect.DeepEqual(got.Output, want) {
		t.Errorf("got  %+v\nwant %+v", got.Output, want)
	}
}

// If a built-in function fails, the answer is neither 503, which a client could cause with
// its claims, nor a grant, since the error may be in a denial.
func TestBuiltinErrorGrantsNothing(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, map[string]string{"a.rego": `package uma.policies.a

grant contains "view"

submit contains "delete"

deny contains "too much" if to_number(input.claims.pushed.amount[0]) > 100
`})
	for amount, granted := range map[string]int{"50": 1, "500": 0, "lots": 0} {
		got, err := evaluator.Decide(t.Context(), input(func(in *uma.Input) {
			of("a", "view", "delete")(in)
			in.Claims.Pushed["amount"] = []string{amount}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Output.Granted) != granted {
			t.Errorf("%s: got %v", amount, got.Output.Granted)
		}
		if amount != "lots" {
			continue
		}
		if !strings.Contains(got.Failed, "a.rego:7: eval_builtin_error: to_number") || !reflect.DeepEqual(got.Output, uma.Output{}) {
			t.Errorf("%s: got %+v", amount, got)
		}
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	endless := map[string]string{"a.rego": "package uma.policies.a\n\ngrant contains \"view\" if {\n\tsome x in numbers.range(1, 100000000)\n\tx < 0\n}\n"}
	for name, c := range map[string]struct {
		timeout time.Duration
		ctx     func(context.Context) (context.Context, context.CancelFunc)
	}{
		"the realm's": {5 * time.Millisecond, context.WithCancel},
		"the request's": {time.Hour, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Millisecond)
		}},
		"the request's, passed": {time.Hour, func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, -1) }},
		"the client went away": {time.Hour, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := engine.New(engine.Config{})
			s := uma.PolicySettings{Timeout: c.timeout, Entrypoint: settings.Entrypoint}
			if _, err := e.Activate(t.Context(), "photoz", s, source(t, endless)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := c.ctx(t.Context())
			defer cancel()
			got, err := prepare(t, e).Decide(ctx, input(of("a", "view")))
			if err == nil || !strings.Contains(err.Error(), "longer than its deadline") || len(got.Output.Granted) != 0 {
				t.Errorf("got %+v, %v", got, err)
			}
			if got.Took > 5*time.Second {
				t.Errorf("took %v", got.Took)
			}
		})
	}
}

// time.now_ns is the request's time; other values that differ between calls are recorded.
func TestClockAndCache(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, map[string]string{"a.rego": `package uma.policies.a

reasons contains time.format(time.now_ns())

reasons contains uuid.rfc4122("x")
`})
	got, err := evaluator.Decide(t.Context(), input(of("a", "view")))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(got.Output.Reasons, "2026-11-22T12:00:05Z") {
		t.Errorf("got %v", got.Output.Reasons)
	}
	var cache map[string]map[string]any
	if err := json.Unmarshal(got.NDCache, &cache); err != nil {
		t.Fatal(err)
	}
	if want := []string{"time.now_ns", "uuid.rfc4122"}; !slices.Equal(slices.Sorted(maps.Keys(cache)), want) {
		t.Errorf("got %v, want %v", cache, want)
	}
}

func TestRuleLabels(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, photoz(t))
	for name, c := range map[string]struct {
		change func(*uma.Input)
		want   []map[string]any
	}{
		"owner":     {func(in *uma.Input) { in.Subject.ID = "u-alice" }, []map[string]any{{"rule": "owner"}}},
		"ask-owner": {nil, []map[string]any{{"rule": "ask-owner"}}},
		"team":      {of("bank", "withdraw"), []map[string]any{{"rule": "small-amount", "team": "bank"}}},
		"none":      {of("zzz", "view"), nil},
		"whole": {func(in *uma.Input) {
			in.Scopes = nil
			in.Shares = []uma.InputShare{{ID: "s", Users: []string{"u-bob"}, Strategy: "UNANIMOUS"}}
		}, []map[string]any{{"rule": "shared"}}},
	} {
		got, err := evaluator.Decide(t.Context(), input(c.change))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.RuleLabels, c.want) {
			t.Errorf("%s: got %v, want %v", name, got.RuleLabels, c.want)
		}
	}
}

// The labels of a rule are merged from every level of annotations, the innermost first.
// Equal labels are listed once, however many rules and solutions have them.
func TestRuleLabelsOfAllLevels(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, map[string]string{
		"a.rego": `# METADATA
# scope: subpackages
# labels: {org: x, team: sub, rule: sub}
package uma.policies.a

# METADATA
# labels: {rule: of-each-scope}
grant contains s if some s in input.scopes

# METADATA
# scope: document
# labels: {team: document}
# METADATA
# labels: {rule: first}
reasons contains "first" if alternative

# METADATA
# labels: {rule: first}
reasons contains "another, by the same labels" if twice("x") == "xx"

# METADATA
# labels: {rule: does-not-hold}
alternative if input.nothing

else := true

# METADATA
# labels: {rule: function}
twice(s) := concat("", [s, s])
`,
		"below.rego": `# METADATA
# scope: package
# labels: {team: below}
package uma.policies.a.below

holds := true
`,
	})
	got, err := evaluator.Decide(t.Context(), input(of("a", "view", "delete")))
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"org": "x", "team": "sub", "rule": "sub"}, // the else of a rule that does not hold
		{"org": "x", "team": "below", "rule": "sub"},
		{"org": "x", "team": "sub", "rule": "of-each-scope"},
		{"org": "x", "team": "document", "rule": "first"},
		{"org": "x", "team": "sub", "rule": "function"},
	}
	if !reflect.DeepEqual(got.RuleLabels, want) {
		t.Errorf("got %v, want %v", got.RuleLabels, want)
	}
}
