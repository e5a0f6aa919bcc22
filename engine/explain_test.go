package engine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

func newExplainer(t testing.TB, files map[string]string) *engine.Explainer {
	t.Helper()
	x, err := engine.NewExplainer(t.Context(), "photoz", settings, source(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func explain(t testing.TB, x *engine.Explainer, in *uma.Input) *engine.Explanation {
	t.Helper()
	raw, err := engine.InputJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	explained, err := x.Explain(t.Context(), &uma.Recorded{ID: "d-1", Time: in.Now, Input: raw})
	if err != nil {
		t.Fatal(err)
	}
	return explained
}

// lines prints an explanation as one line for each rule and condition.
func lines(s engine.ExplainedScope) string {
	var b strings.Builder
	var rule func(r engine.ExplainedRule, indent string)
	rule = func(r engine.ExplainedRule, indent string) {
		fmt.Fprintf(&b, "%s%s %s:%d %s %v\n", indent, r.Name, r.File, r.Line, r.Label, r.Held)
		for _, c := range r.Conditions {
			values, _ := json.Marshal(c.Values)
			fmt.Fprintf(&b, "%s  %v %d %s %s", indent, c.Held, c.Line, c.Text, values)
			if c.Undefined {
				b.WriteString(" undefined")
			}
			for _, more := range []string{c.Note, c.Error} {
				if more != "" {
					b.WriteString(" - " + more)
				}
			}
			b.WriteString("\n")
			for _, r := range c.Because {
				rule(r, indent+"    ")
			}
		}
	}
	b.WriteString(s.Result + "\n")
	for _, r := range s.Rules {
		if r.File != "/umpire/sharing.rego" {
			rule(r, "")
		}
	}
	return b.String()
}

// TestExplanation: each kind of condition is explained with the values that it saw. The scope
// is "view", asked for by bob.
func TestExplanation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ rego, want string }{
		"the first condition that did not hold": {`grant contains "view" if {
	input.resource_server == "photoz-api"
	"/family" in input.subject.groups
	input.subject.acr == "2"
}`, `refused
grant p.rego:3  false
  true 4 input.resource_server == "photoz-api" {"input.resource_server":"photoz-api"}
  false 5 "/family" in input.subject.groups {"input.subject.groups":["/friends"]}
`},
		"a value that is missing": {`grant contains "view" if input.subject.acr == "2"`, `refused
grant p.rego:3  false
  false 3 input.subject.acr == "2" {} undefined
`},
		"a rule without conditions": {`grant contains "*"`, `granted
grant p.rego:3  true
`},
		"a rule for another scope": {`grant contains "delete" if true`, "refused\n"},
		"a helper and its else": {`grant contains "view" if level > 3

level := 5 if input.subject.username == "alice"

else := 2 if input.subject.username == "bob"`, `refused
grant p.rego:3  false
  false 3 level > 3 {"level":2}
`},
		"a helper that is undefined": {`grant contains "view" if ok

ok if not input.subject.username

else if helper("alice")

helper(name) if {
	third
	name == "alice"
}

third if fourth

fourth if fifth

fifth if false`, `refused
grant p.rego:3  false
  false 3 ok {} undefined
    ok p.rego:5  false
      false 5 not input.subject.username {"input.subject.username":"bob"}
    ok p.rego:7  false
      false 7 helper("alice") {} undefined
        helper p.rego:9  false
          false 10 third {} undefined
            third p.rego:14  false
              false 14 fourth {} undefined
`},
		"not": {`deny contains {"scope": "view"} if not friend

friend if "/family" in input.subject.groups`, `refused
deny p.rego:3  true
  true 3 not friend {}
    friend p.rego:5  false
      false 5 "/family" in input.subject.groups {"input.subject.groups":["/friends"]}
`},
		"not, of a helper that held": {`grant contains "view" if not friend

friend if "/friends" in input.subject.groups

friend if "/family" in input.subject.groups`, `refused
grant p.rego:3  false
  false 3 not friend {"friend":true}
    friend p.rego:5  true
      true 5 "/friends" in input.subject.groups {"input.subject.groups":["/friends"]}
`},
		"with": {`grant contains "view" if friend with input.subject.groups as ["/none"]

friend if "/friends" in input.subject.groups`, `refused
grant p.rego:3  false
  false 3 friend with input.subject.groups as ["/none"] {} undefined
    friend p.rego:5  false
      false 5 "/friends" in input.subject.groups {"input.subject.groups":["/none"]}
`},
		"calls and variables": {`grant contains s if {
	some s in input.scopes
	x := count(input.subject.groups) + 1
	x > 5
}`, `refused
grant p.rego:3  false
  true 4 some s in input.scopes {"input.scopes":["view","delete"],"s":"view"}
  true 5 x := count(input.subject.groups) + 1 {"count(input.subject.groups)":1,"count(input.subject.groups) + 1":2,"input.subject.groups":["/friends"],"x":2}
  false 6 x > 5 {"x":2}
`},
		"variables that are not declared": {`grant contains s if {
	input.scopes[i] = s
	i > 3
}`, `refused
grant p.rego:3  false
  true 4 input.scopes[i] = s {"input.scopes":["view","delete"],"s":"view"}
  false 5 i > 3 {"i":0}
`},
		"or": {`import rego.v2

grant contains "view" if input.subject.username == "alice" or ok

ok if false`, `refused
grant p.rego:5  false
  false 5 input.subject.username == "alice" or ok {"input.subject.username":"bob"} undefined
    ok p.rego:7  false
      false 7 false {}
`},
		"several solutions": {`grant contains "view" if {
	some scope in input.resource.scopes
	scope == "print"
}`, `refused
grant p.rego:3  false
  true 4 some scope in input.resource.scopes {"input.resource.scopes":["view","comment","delete"],"scope":"view"}
  false 5 scope == "print" {"scope":"view","scope #2":"comment","scope #3":"delete"}
`},
		"every": {`grant contains "view" if {
	every g in input.subject.groups { startswith(g, "/x") }
}`, `refused
grant p.rego:3  false
  false 4 every g in input.subject.groups { startswith(g, "/x") } {"input.subject.groups":["/friends"]}
`},
		"a comprehension": {`grant contains "view" if count([g | some g in input.subject.groups; g != "/friends"]) > 0`, `refused
grant p.rego:3  false
  false 3 count([g | some g in input.subject.groups; g != "/friends"]) > 0 {"count([g | some g in input.subject.groups; g != \"/friends\"])":0,"input.subject.groups":["/friends"]}
`},
		"a function for other arguments": {`grant contains "view" if named(input.subject.username)

named("alice")

named(x) if startswith(x, "c")`, `refused
grant p.rego:3  false
  false 3 named(input.subject.username) {"input.subject.username":"bob"} undefined
    named p.rego:7  false
      false 7 startswith(x, "c") {"x":"bob"}
`},
		"a dynamic reference": {`grant contains "view" if data.lib[_x][input.subject.username]

_x := "roles"`, `refused
grant p.rego:3  false
  false 3 data.lib[_x][input.subject.username] {"_x":"roles","input.subject.username":"bob"} undefined
`},
		"a function that fails": {`grant contains "view" if to_number(input.subject.username) > 3`, `error
grant p.rego:3  false
  false 3 to_number(input.subject.username) > 3 {"input.subject.username":"bob"} undefined - p.rego:3: eval_builtin_error: to_number: strconv.ParseFloat: parsing "bob": invalid syntax
`},
		"a head that is for another scope": {`grant contains concat("", ["vie", input.subject.username])`, `refused
grant p.rego:3  false
  false 3 grant contains concat("", ["vie", input.subject.username]) {"grant":"viebob"} - what the rule adds does not concern "view"
`},
		"a head that is undefined": {`deny contains {"scope": "view", "reason": input.subject.acr} if input.scopes`, `refused
deny p.rego:3  false
  true 3 input.scopes {"input.scopes":["view","delete"]}
  false 3 {"scope": "view", "reason": input.subject.acr} {} undefined
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExplainer(t, map[string]string{"p.rego": "package uma.policies.album\n\n" + c.rego, "r.rego": "package lib.roles\n\nalice if true\n"})
			in := input(func(in *uma.Input) { in.Resource.OwnerManaged = false })
			if got := lines(explain(t, x, in).Scopes[0]); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// TestExplanationOfRandom: functions that answer differently at each call have the recorded
// answer; without one, all evaluations of an explanation have the same.
func TestExplanationOfRandom(t *testing.T) {
	t.Parallel()
	x := newExplainer(t, map[string]string{"p.rego": `package uma.policies.album

grant contains "view" if rand.intn("x", 10) < 5

grant contains "comment" if time.now_ns() == time.parse_rfc3339_ns(input.context.time)
`})
	in := input(func(in *uma.Input) { in.Resource.OwnerManaged, in.Scopes = false, []uma.Scope{"view", "comment"} })
	raw, err := engine.InputJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	results := make(map[string]int)
	for i := range 40 {
		rec := &uma.Recorded{ID: fmt.Sprint("d-", i), Time: in.Now, Input: raw}
		if i < 20 {
			rec.NDCache = fmt.Appendf(nil, `{"rand.intn": {"[\"x\",10]": %d}}`, i%10)
		}
		explained, err := x.Explain(t.Context(), rec)
		if err != nil {
			t.Fatal(err)
		}
		view, comment := explained.Scopes[0], explained.Scopes[1]
		drawn, _ := view.Rules[0].Conditions[0].Values[`rand.intn("x", 10)`].(json.Number)
		n, err := drawn.Int64()
		if err != nil || i < 20 && int(n) != i%10 || (view.Result == engine.Granted) != (n < 5) || view.Rules[0].Held != (n < 5) {
			t.Fatalf("%d: got %s by %+v", i, view.Result, view.Rules[0])
		}
		if comment.Result != engine.Granted {
			t.Fatalf("got %+v, want the recorded time", comment)
		}
		results[view.Result]++
	}
	if results[engine.Granted] < 12 || results[engine.Refused] < 12 {
		t.Errorf("got %v: without a record, the numbers are not random", results)
	}
}

// TestExplanationOfOwnEntrypoint: it is unknown how an entry point of the realm's own decides, so
// that scopes have results and no rules.
func TestExplanationOfOwnEntrypoint(t *testing.T) {
	t.Parallel()
	own := settings
	own.Entrypoint = "data.lib.own.decision"
	const text = `package lib.own

decision := {
	"granted": ["view"], "need_info": [{"name": "x", "scopes": ["delete"]}], "submit": [], "reasons": [], "obligations": [], "rpt": {},
}
`
	x, err := engine.NewExplainer(t.Context(), "photoz", own, source(t, map[string]string{"own.rego": text}))
	if err != nil {
		t.Fatal(err)
	}
	got := explain(t, x, input(nil)).Scopes
	if len(got) != 2 || got[0].Result != engine.Granted || got[1].Result != engine.NeedInfo || explain(t, x, input(func(in *uma.Input) {
		in.Scopes = []uma.Scope{"view", "comment"}
	})).Scopes[1].Result != engine.Refused || len(got[0].Rules)+len(got[1].Rules) != 0 {
		t.Errorf("got %+v", got)
	}
	if got := explain(t, x, input(func(in *uma.Input) { in.Scopes = []uma.Scope{"delete"} })); got.Scopes[0].Result != engine.Failed || !strings.Contains(got.Error, "not requested") {
		t.Errorf("got %+v, want an answer against the contract", got)
	}
}

// TestExplanationIsBounded: a policy with many rules for many scopes, or a long evaluation, ends
// the explanation and the trace; scopes keep their results.
func TestExplanationIsBounded(t *testing.T) {
	t.Parallel()
	text := "package uma.policies.album\n"
	for i := range 1500 {
		text += fmt.Sprintf("\ngrant contains s if {\n\tsome s in input.scopes\n\ts == \"x%d\"\n}\n", i)
	}
	x := newExplainer(t, map[string]string{"p.rego": text + `
grant contains "view" if {
	some i in numbers.range(1, 100000)
	i == 99
}
`})
	in := input(func(in *uma.Input) { in.Scopes = []uma.Scope{"view", "x5", "x7", "x9", "x11"} })
	got := explain(t, x, in)
	if got.Cut != "more than 20000 evaluations" || len(got.Scopes) != 5 || len(got.Scopes[0].Rules) == 0 || len(got.Scopes[4].Rules) != 0 || got.Scopes[4].Result != engine.Granted {
		t.Errorf("got %q, %d scopes, the last %+v", got.Cut, len(got.Scopes), got.Scopes[4])
	}

	raw, err := engine.InputJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	var trace strings.Builder
	if err := x.Trace(t.Context(), &uma.Recorded{ID: "d-1", Time: in.Now, Input: raw}, &trace); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(trace.String(), "events: the rest is too large\n") || trace.Len() > 4<<20 {
		t.Errorf("got %d bytes, the last …%s", trace.Len(), trace.String()[max(0, trace.Len()-200):])
	}
}

// TestTrace: the trace has the rules that OPA's index excludes, and those that follow one that held.
func TestTrace(t *testing.T) {
	t.Parallel()
	x := newExplainer(t, map[string]string{"p.rego": `package uma.policies.album

grant contains "view" if input.subject.username == "alice"

grant contains "comment" if ok

ok if input.scopes

ok if input.subject
`})
	in := input(nil)
	raw, err := engine.InputJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	var trace strings.Builder
	if err := x.Trace(t.Context(), &uma.Recorded{ID: "d-1", Time: in.Now, Input: raw}, &trace); err != nil {
		t.Fatal(err)
	}
	for line, what := range map[int]string{3: "a rule for another user", 9: "a rule after one that held"} {
		if !strings.Contains(trace.String(), fmt.Sprintf("p.rego:%d ", line)) {
			t.Errorf("the trace has no event of %s", what)
		}
	}
}
