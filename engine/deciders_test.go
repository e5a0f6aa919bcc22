package engine_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// lawful has rules of every form that can add to a set.
const lawful = `package uma.policies.a

import data.uma.facts
import data.uma.policies.b

# METADATA
# labels: {team: t, rule: view}
grant contains "view" if "user" in input.subject.roles

# METADATA
# labels: {team: t, rule: listed}
grant contains s if some s in facts.listed

# METADATA
# labels: {team: t, rule: all}
grant contains "*" if input.claims.pushed.all

# METADATA
# labels: {team: t, rule: like-b}
grant contains s if some s in b.grant

grant contains "unlabelled"

# METADATA
# labels: {team: t, rule: never-delete}
deny contains {"scope": "delete", "reason": sprintf("%s never", [input.subject.username])}

# METADATA
# labels: {team: t, rule: closed}
deny contains "closed" if input.claims.pushed.closed

# METADATA
# labels: {team: t, rule: not-now}
need_info contains {"name": "now", "scopes": [s | some s in ["now", "delete"]]} if not input.claims.pushed.now

# METADATA
# labels: {team: t, rule: set}
need_info contains {"name": "set", "scopes": {"set"}}

# METADATA
# labels: {team: t, rule: ask}
submit contains "ask"

deny contains {"scope": "quiet"}

# METADATA
# labels: {team: t, rule: quiet}
need_info contains {"name": "quiet", "scopes": ["quiet"]}

# METADATA
# labels: {team: t, rule: held}
reasons contains "held"
`

const neighbour = `package uma.policies.b

# METADATA
# labels: {team: b, rule: lend}
grant contains "lent"
`

const lockdown = `package uma.guardrails

# METADATA
# labels: {team: security, rule: lockdown}
deny contains {"scope": s, "reason": "locked"} if some s in ["ask", "locked"]

# METADATA
# labels: {team: security, rule: mfa}
need_info contains {"name": "mfa"} if input.claims.pushed.mfa
`

// For each scope, the rules that decided are told apart from the others that held.
func TestDecidedScopes(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, map[string]string{
		"a.rego": lawful, "b.rego": neighbour, "g.rego": lockdown, "facts.rego": "package uma.facts\n\nlisted := [\"view\", \"list\"]\n",
	})
	scope := func(s uma.Scope, decision string, rules ...string) uma.ScopeDecision {
		return uma.ScopeDecision{Scope: s, Decision: decision, Rules: append([]string{}, rules...)}
	}
	pushed := func(change func(*uma.Input), names ...string) func(*uma.Input) {
		return func(in *uma.Input) {
			change(in)
			for _, name := range names {
				in.Claims.Pushed[name] = []string{"yes"}
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*uma.Input)
		want   []uma.ScopeDecision
	}{
		"one rule, though others held": {of("a", "list"), []uma.ScopeDecision{scope("list", "granted", "t/listed")}},
		"two rules":                    {of("a", "view"), []uma.ScopeDecision{scope("view", "granted", "t/view", "t/listed")}},
		"each its own": {of("a", "view", "delete", "now", "set", "other"), []uma.ScopeDecision{
			scope("view", "granted", "t/view", "t/listed"), scope("delete", "denied", "t/never-delete"),
			scope("now", "need_info", "t/not-now"), scope("set", "need_info", "t/set"), scope("other", "denied"),
		}},
		"a rule without labels":             {of("a", "unlabelled"), []uma.ScopeDecision{scope("unlabelled", "granted")}},
		"a denial without labels":           {of("a", "quiet"), []uma.ScopeDecision{scope("quiet", "denied")}},
		"everything":                        {pushed(of("a", "other"), "all"), []uma.ScopeDecision{scope("other", "granted", "t/all")}},
		"a denial of everything":            {pushed(of("a", "view"), "closed"), []uma.ScopeDecision{scope("view", "denied", "t/closed")}},
		"wanted for everything":             {pushed(of("a", "view"), "mfa"), []uma.ScopeDecision{scope("view", "need_info", "security/mfa")}},
		"a guardrail over what a team asks": {of("a", "ask"), []uma.ScopeDecision{scope("ask", "denied", "security/lockdown")}},
		"by another team's rule":            {of("a", "lent"), []uma.ScopeDecision{scope("lent", "granted", "t/like-b")}},
		"the team asks the owner": {of("b", "ask-not", "lent"), []uma.ScopeDecision{
			scope("ask-not", "denied"), scope("lent", "granted", "b/lend"),
		}},
		"the owner": {func(in *uma.Input) { of("zzz", "view")(in); in.Subject.ID = "u-alice" }, []uma.ScopeDecision{scope("view", "granted", "owner")}},
		"asked for": {nil, []uma.ScopeDecision{scope("view", "submit", "ask-owner"), scope("delete", "submit", "ask-owner")}},
		"shared": {func(in *uma.Input) {
			in.Shares = []uma.InputShare{{ID: "s", Scopes: []uma.Scope{"view"}, Users: []string{"u-bob"}, Strategy: "UNANIMOUS"}}
		}, []uma.ScopeDecision{scope("view", "granted", "shared"), scope("delete", "submit", "ask-owner")}},
		"a resource without scopes": {func(in *uma.Input) {
			in.Scopes, in.Subject.ID = nil, "u-alice"
		}, []uma.ScopeDecision{scope("*", "granted", "owner")}},
		"one denied by its scope's name": {pushed(of("a"), "all"), []uma.ScopeDecision{scope("*", "granted", "t/all")}},
		"nobody's":                       {of("zzz", "view"), []uma.ScopeDecision{scope("view", "denied")}},
	} {
		got, err := evaluator.Decide(t.Context(), input(c.change))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Decided, c.want) {
			t.Errorf("%s:\ngot  %v\nwant %v\nof %+v", name, got.Decided, c.want, got.Output)
		}
	}
}

// If the realm has its own entry point, it is unknown which rules decided.
func TestDecidedByOwnEntrypoint(t *testing.T) {
	t.Parallel()
	e := engine.New(engine.Config{})
	own := uma.PolicySettings{Timeout: settings.Timeout, Entrypoint: "data.lib.own.decision"}
	src := source(t, map[string]string{"own.rego": `package lib.own

import data.uma.sharing

decision := {
	"granted": sharing.grant, "need_info": set(), "submit": set(), "reasons": set(), "obligations": set(), "rpt": {},
}
`})
	if _, err := e.Activate(t.Context(), "photoz", own, src); err != nil {
		t.Fatal(err)
	}
	got, err := prepare(t, e).Decide(t.Context(), input(func(in *uma.Input) { in.Subject.ID = "u-alice" }))
	if err != nil || got.Decided != nil || len(got.RuleLabels) != 1 || !slices.Equal(got.Output.Granted, []uma.Scope{"*"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEncodeDecided(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mask string
		want string
	}{
		"as decided": {
			`"/input/subject/username"`,
			`{"decided":[{"scope":"view","decision":"granted","rules":["t/view"]},{"scope":"other","decision":"denied","rules":[]}]}`,
		},
		"scopes masked":         {`"/input/scopes/1"`, "null"},
		"what they are part of": {`"/result"`, "null"},
	} {
		_, evaluator := newEngine(t, map[string]string{
			"a.rego":    "package uma.policies.a\n\n# METADATA\n# labels: {team: t, rule: view}\ngrant contains \"view\"\n",
			"mask.rego": "package system.log\n\nmask contains " + c.mask + "\n",
		})
		doc := encode(t, evaluator, decided(t, evaluator, input(of("a", "view", "other"))))
		var want any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(doc["custom"], want) {
			t.Errorf("%s: got %v, want %v", name, doc["custom"], want)
		}
	}
}
