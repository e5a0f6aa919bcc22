package engine_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// examples are the policies of the example realm, without their tests.
func examples(t testing.TB) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, name := range []string{"album", "albums", "board", "guardrails"} {
		content, err := os.ReadFile("../examples/photoz/policies/" + name + ".rego")
		if err != nil {
			t.Fatal(err)
		}
		files[name+".rego"] = string(content)
	}
	return files
}

// TestExplanationAgrees: for random inputs, the result of each scope, and the labels of the
// rules that the explanation says decided, are those of the record.
func TestExplanationAgrees(t *testing.T) {
	t.Parallel()
	each := 700
	if raceEnabled {
		each = 140
	}
	for name, files := range map[string]map[string]string{"examples": examples(t), "recorded": photoz(t), "odd": {"odd.rego": odd}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, evaluator := newEngine(t, files)
			x := newExplainer(t, files)
			random := rand.New(rand.NewPCG(1, 2))
			results := make(map[string]int)
			for range each {
				in := randomInput(random)
				decided, err := evaluator.Decide(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				explained := explain(t, x, in)
				if len(explained.Scopes) != len(decided.Decided) {
					t.Fatalf("got %d scopes, want %d: %+v", len(explained.Scopes), len(decided.Decided), decided)
				}
				for i, want := range decided.Decided {
					got := explained.Scopes[i]
					results[got.Result]++
					if got.Scope != string(want.Scope) || got.Result != resultOf[want.Decision] || !consistent(got) || !slices.Equal(deciding(got), sorted(want.Rules)) {
						raw, _ := engine.InputJSON(in)
						t.Fatalf("got %s of %s by %v, want %+v\n%s", got.Result, got.Scope, deciding(got), want, raw)
					}
				}
			}
			t.Log(results)
			for _, result := range []string{engine.Granted, engine.Refused} {
				if results[result] < each/14 {
					t.Errorf("only %d of %v are %s: the inputs do not test much", results[result], results, result)
				}
			}
		})
	}
}

// consistent reports whether the rules of an explanation make its result: a rule grants each
// granted scope, and of a refused one either a rule denies it or no rule grants it.
func consistent(s engine.ExplainedScope) bool {
	held := func(effect string) bool {
		return slices.ContainsFunc(s.Rules, func(r engine.ExplainedRule) bool { return r.Effect == effect && r.Held })
	}
	switch s.Result {
	case engine.Granted:
		return held("grant") && !held("deny") && !held("need_info")
	case engine.Refused:
		return held("deny") || !held("grant") && !held("submit")
	case engine.NeedInfo:
		return held("need_info") && !held("deny")
	}
	return held("submit") && !held("grant") && !held("deny") && !held("need_info")
}

var resultOf = map[string]string{"granted": engine.Granted, "denied": engine.Refused, "need_info": engine.NeedInfo, "submit": engine.Submit}

// deciding are the labels of the rules that an explanation says made a result.
func deciding(s engine.ExplainedScope) []string {
	effect := map[string]string{engine.Granted: "grant", engine.Refused: "deny", engine.NeedInfo: "need_info", engine.Submit: "submit"}[s.Result]
	var labels []string
	for _, r := range s.Rules {
		if r.Held && r.Effect == effect && r.Label != "" {
			labels = append(labels, r.Label)
		}
	}
	return sorted(labels)
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// odd has rules whose heads name their scopes only when they are evaluated, and conditions of
// every kind.
const odd = `package uma.policies.album

import data.uma.sharing

# METADATA
# labels: {rule: all}
grant contains "*" if "admin" in input.subject.roles

# METADATA
# labels: {rule: computed}
grant contains concat("", ["vi", suffix]) if suffix := input.claims.pushed.suffix[0]

# METADATA
# labels: {rule: some}
grant contains s if {
	some s in input.scopes
	every g in input.subject.groups { startswith(g, "/") }
	not low(input.claims.pushed.amount[0])
	level(s) + 1 > 5
}

# METADATA
# labels: {rule: star}
grant contains s if {
	some s in ["*", "nothing"]
	known with input.subject.groups as ["/friends"]
	input.subject.username == "bob"
}

# METADATA
# labels: {rule: deny-text}
deny contains sprintf("not for %s", [input.subject.username]) if input.subject.username == "dave"

# METADATA
# labels: {rule: deny-some}
deny contains {"scope": s, "reason": "no"} if {
	some s in input.scopes
	not sharing.is_owner
	s == input.claims.pushed.suffix[_]
}

# METADATA
# labels: {rule: deny-any}
deny contains d if some d in denials[input.subject.username]

denials := {"bob": [{"scope": "delete"}], "carol": ["text", {"scope": "view"}]}

# METADATA
# labels: {rule: want}
need_info contains {"name": "x", "scopes": [s | some s in input.scopes; s != "view"]} if not confirmed

# METADATA
# labels: {rule: want-all}
need_info contains {"name": "y"} if input.resource.attributes.visibility[0] == "private"

confirmed := input.claims.pushed.x == ["yes"]

low(amount) if to_number(amount) < 10

level(s) := count(s)

known if {
	some g in input.subject.groups
	g in {"/friends", "/family"}
} else := false if input.subject.groups == []
`

func pick[T any](random *rand.Rand, list ...T) T { return list[random.IntN(len(list))] }

// some are some of the elements of a list.
func some[T any](random *rand.Rand, list ...T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(T) bool { return random.IntN(2) == 0 })
}

func randomInput(random *rand.Rand) *uma.Input {
	return input(func(in *uma.Input) {
		name := pick(random, "alice", "bob", "carol", "dave")
		in.Subject.ID, in.Subject.Username = "u-"+name, name
		in.Subject.Type = pick(random, "user", "user", "user", "service")
		in.Subject.Roles = some(random, "user", "admin")
		in.Subject.Groups = some(random, "/friends", "/family", "loners")
		in.ResourceServer = pick(random, "photoz-api", "photoz-api", "other-api")
		in.Scopes = some[uma.Scope](random, "view", "delete", "comment", "withdraw", "create", "post", "read")
		in.Claims.Pushed = map[string][]string{}
		for claim, values := range map[string][]string{
			"amount": {"50", "5", "500"}, "delete_confirmed": {"yes", "no"}, "suffix": {"ew", "delete", "x"}, "x": {"yes", "no"},
		} {
			if random.IntN(3) > 0 {
				in.Claims.Pushed[claim] = []string{pick(random, values...)}
			}
		}
		if random.IntN(8) == 0 {
			in.Resource = nil
			return
		}
		in.Resource.Type = pick(random, "album", "album", "album", "board", "albums", "bank", "mixed", "bare", "admin", "unknown")
		in.Resource.OwnerManaged = random.IntN(3) > 0
		in.Resource.Attributes = map[string][]string{"visibility": some(random, "friends", "private")}
		for i := range random.IntN(3) {
			in.Shares = append(in.Shares, uma.InputShare{
				ID: fmt.Sprintf("s-%d", i), Kind: "policy", Scopes: some[uma.Scope](random, "view", "delete", "comment"),
				Users: some(random, "u-bob", "u-carol"), Groups: some(random, "/friends"), Strategy: pick(random, "UNANIMOUS", "AFFIRMATIVE", "CONSENSUS"),
			})
		}
		for i := range random.IntN(2) {
			in.Requests = append(in.Requests, uma.InputRequest{ID: fmt.Sprintf("q-%d", i), State: pick(random, "denied", "pending"), Scopes: some[uma.Scope](random, "view", "comment")})
		}
	})
}
