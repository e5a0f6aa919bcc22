package engine_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// TestRoutedAgrees compares many decisions with and without the generated modules, on generated
// policies and inputs: answer, error, failed functions, labels, recorded calls, and the rules
// that decided each scope.
func TestRoutedAgrees(t *testing.T) {
	t.Parallel()
	policies, inputs, least := manyDecisions()/800, 800, manyDecisions()/400
	if testing.Short() || raceEnabled {
		policies, inputs, least = 10, 100, 0
	}
	random := rand.New(rand.NewPCG(13, 1))
	seen := make(map[string]int)
	compared := 0
	for tried := 0; compared < policies*inputs && tried < 2*policies; tried++ {
		files := randomPolicy(random)
		routed, plain, ok := bothForms(t, files)
		if !ok {
			seen["refused"]++
			continue
		}
		for range inputs {
			compareForms(t, files, routed, plain, routedInput(random), seen)
			compared++
		}
	}
	t.Log(seen)
	if compared < policies*inputs {
		t.Errorf("%d decisions were compared, want %d", compared, policies*inputs)
	}
	for _, what := range []string{"granted", "denied", "need_info", "submit", "error", "failed", "labels", "calls"} {
		if seen[what] < least {
			t.Errorf("only %d of %v are %s: the policies do not test much", seen[what], seen, what)
		}
	}
}

// bothForms are evaluators of a policy with and without the generated modules. ok is false if
// the policy does not compile; that must be so in both forms.
func bothForms(t *testing.T, files map[string]string) (routed, plain uma.Evaluator, ok bool) {
	t.Helper()
	e, src := engine.New(engine.Config{Now: time.Now}), source(t, files)
	_, err := e.Activate(t.Context(), "photoz", settings, src)
	library, libErr := e.Check(t.Context(), "photoz", settings, source(t, nil))
	if libErr != nil {
		t.Fatal(libErr)
	}
	// Modules are generated for the shipped library only.
	src.Library = engine.StoredLibrary(library.Sources)
	src.Library["/umpire/authz.rego"] += "\n# another one\n"
	other := engine.New(engine.Config{Now: time.Now})
	_, plainErr := other.Activate(t.Context(), "photoz", settings, src)
	if (err == nil) != (plainErr == nil) {
		t.Fatalf("got %v, want %v\n%s", err, plainErr, files)
	}
	if err != nil {
		if got, want := err.Error(), plainErr.Error(); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		return nil, nil, false
	}
	return prepare(t, e), prepare(t, other), true
}

func compareForms(t *testing.T, files map[string]string, routed, plain uma.Evaluator, in *uma.Input, seen map[string]int) {
	t.Helper()
	got, err := routed.Decide(t.Context(), in)
	want, wantErr := plain.Decide(t.Context(), in)
	differ := (err == nil) != (wantErr == nil)
	if err != nil && wantErr != nil {
		// Which labels and calls are on record depends on which rule is evaluated first; which one
		// contradicts itself does not in these policies.
		*got, *want = uma.Evaluation{}, uma.Evaluation{}
		differ = err.Error() != wantErr.Error()
	}
	if differ || !sameEvaluation(got, want) {
		raw, _ := engine.InputJSON(in)
		var texts []string
		for name, text := range files {
			texts = append(texts, "--- "+name+"\n"+text)
		}
		t.Fatalf("got  %+v, %v\nwant %+v, %v\nfor %s of\n%s", got, err, want, wantErr, raw, strings.Join(texts, "\n"))
	}
	for what, is := range map[string]bool{
		"error": err != nil, "failed": got.Failed != "", "labels": len(got.RuleLabels) > 0, "calls": len(got.NDCache) > 0,
	} {
		if is {
			seen[what]++
		}
	}
	for _, d := range got.Decided {
		seen[d.Decision]++
	}
}

func sameEvaluation(got, want *uma.Evaluation) bool {
	return reflect.DeepEqual(got.Output, want.Output) && string(got.NDCache) == string(want.NDCache) &&
		slices.Equal(failures(got), failures(want)) && slices.Equal(labelsOf(got), labelsOf(want)) &&
		reflect.DeepEqual(decidedOf(got), decidedOf(want))
}

// failures are the functions that failed; the order depends on that of the evaluation.
func failures(ev *uma.Evaluation) []string {
	return sorted(strings.Split(ev.Failed, "; "))
}

func labelsOf(ev *uma.Evaluation) []string {
	labels := make([]string, len(ev.RuleLabels))
	for i := range labels {
		labels[i] = fmt.Sprint(ev.RuleLabels[i])
	}
	return sorted(labels)
}

func decidedOf(ev *uma.Evaluation) []uma.ScopeDecision {
	decided := slices.Clone(ev.Decided)
	for i := range decided {
		decided[i].Rules = sorted(decided[i].Rules)
	}
	return decided
}

func routedInput(random *rand.Rand) *uma.Input {
	in := randomInput(random)
	in.Context.IP = pick(random, "192.0.2.7", "198.51.100.1")
	if in.Resource != nil {
		in.Resource.Type = pick(random, "album", "album", "board", "board", "x y", "", "default", "https://types/album", "gone", "off", "unknown")
		in.Resource.OwnerManaged = random.IntN(2) > 0
		if random.IntN(2) > 0 {
			in.Shares = nil
		}
	}
	return in
}

// rulesFor has for each member of a team package rules that may define it.
var rulesFor = map[string][]string{
	"grant": {
		`grant contains "view"`, `grant contains "delete" if "admin" in input.subject.roles`, `grant contains "*" if input.subject.username == "carol"`,
		`grant contains s if some s in input.scopes`, `grant contains s if {
	some s in ["view", "comment", "nothing"]
	"user" in input.subject.roles
}`, `grant contains "comment" if helper`, `grant contains "post" if data.uma.policies.board.grant["view"]`,
		`grant contains "create" if to_number(input.claims.pushed.suffix[0]) > 1`, `grant contains 7`, `grant contains {}`,
	},
	"deny": {
		`deny contains {"scope": "delete", "reason": "no"} if input.subject.username == "bob"`, `deny contains "frozen" if input.claims.pushed.x[0] == "yes"`,
		`deny contains {"scope": s} if {
	some s in input.scopes
	s == "comment"
}`, `deny contains {"scope": "*"} if input.context.ip == "198.51.100.1"`, `deny contains 7 if input.subject.username == "dave"`,
		`deny contains {"scope": "read", "reason": "never"}`,
	},
	"need_info": {
		`need_info contains {"name": "n", "scopes": ["view"]} if not input.claims.pushed.amount`, `need_info contains {"name": "m"} if input.subject.username == "dave"`,
		`need_info contains {"name": "never", "scopes": ["zzz"]}`, `need_info contains {"name": "set", "scopes": {"delete"}} if helper`,
	},
	"submit":      {`submit contains true`, `submit contains "view"`, `submit contains "*" if "admin" in input.subject.roles`, `submit contains s if some s in input.scopes`},
	"reasons":     {`reasons contains "because"`, `reasons contains input.subject.username`, `reasons contains 3 if input.subject.username == "carol"`},
	"obligations": {`obligations contains {"id": "log"}`, `obligations contains {"id": input.subject.username} if "user" in input.subject.roles`},
	"rpt": {
		`rpt := {"ttl": 60}`, `rpt := {"ttl": 60} if "user" in input.subject.roles`, `rpt["ttl"] := 60`, `rpt := {"ttl": 0} if input.subject.username == "bob"`,
		`rpt := false if input.subject.username == "dave"`, "default rpt := {}\n\nrpt := {\"claims\": {\"n\": [input.subject.username]}} if \"admin\" in input.subject.roles",
	},
	"": {
		`helper if "/friends" in input.subject.groups`, `helper if input.subject.username == "bob"`,
		`clash := s if some s in input.subject.groups`, `number := to_number(input.claims.pushed.amount[0])`, `broken := to_number(input.claims.pushed.x[0])`,
		`random := rand.intn("x", 1)`, `twice(x) := x + x`, `doubled := twice(count(input.scopes))`, `members contains x if some x in input.subject.groups`,
		`by[x] := 1 if some x in input.subject.groups`, "level := 1 if \"admin\" in input.subject.roles\n\nelse := 2", `default open := false`,
		`open if input.context.ip == "192.0.2.7"`, `shared contains s.id if some s in input.shares`, `asked := {s: i | some i, s in input.scopes}`,
		`deep.x.y := 1 if input.subject.username == "bob"`, `text := $"{input.subject.username}"`, `other if data.lib.some_bob`, `own if data.uma.sharing.is_owner`,
		`used := data.lib.number`, `all_friends if every g in input.subject.groups { startswith(g, "/") }`,
	},
}

func randomTeam(random *rand.Rand, name string) string {
	var text strings.Builder
	if random.IntN(8) == 0 {
		text.WriteString("# METADATA\n# scope: package\n# labels: {pkg: p}\n")
	}
	fmt.Fprintf(&text, "package uma.policies%s\n", name)
	if random.IntN(12) == 0 {
		return text.String()
	}
	helper := false
	for _, member := range []string{"grant", "deny", "need_info", "submit", "reasons", "obligations", "rpt", ""} {
		rules := rulesFor[member]
		if random.IntN(3) == 0 && member != "" {
			continue
		}
		n := 1 + random.IntN(2)
		if member == "rpt" {
			n = 1
		}
		for range n {
			rule := pick(random, rules...)
			if name == ".board" && strings.Contains(rule, "policies.board") || strings.Contains(text.String(), rule) {
				continue
			}
			helper = helper || strings.HasPrefix(rule, "helper")
			text.WriteString("\n")
			if random.IntN(3) == 0 {
				fmt.Fprintf(&text, "# METADATA\n# labels: {rule: r%d}\n", random.IntN(100))
			}
			text.WriteString(rule + "\n")
		}
	}
	if !helper {
		text.WriteString("\nhelper if input.subject.type == \"user\"\n")
	}
	return text.String()
}

func randomPolicy(random *rand.Rand) map[string]string {
	files := map[string]string{
		"lib.rego": "package lib\n\n# METADATA\n# labels: {rule: lib}\nsome_bob if input.subject.username == \"bob\"\n\n# METADATA\n# labels: {rule: number}\nnumber := count(input.scopes)\n",
	}
	for _, name := range []string{".album", ".board", `["x y"]`, ".default"} {
		if random.IntN(5) > 0 {
			files["t"+strings.Trim(name, `.[]"`)+".rego"] = randomTeam(random, name)
		}
	}
	if random.IntN(4) == 0 {
		files["sub.rego"] = "package uma.policies.album.sub\n\n# METADATA\n# labels: {rule: sub}\nbelow if input.subject.username == \"bob\"\n\ndeny contains \"not read\"\n"
	}
	if random.IntN(2) == 0 {
		text := "package uma.guardrails\n"
		for _, member := range []string{"deny", "need_info"} {
			if random.IntN(2) == 0 {
				rule := strings.ReplaceAll(pick(random, rulesFor[member]...), "helper", "input.claims.pushed.delete_confirmed")
				text += "\n# METADATA\n# labels: {team: security, rule: " + member + "}\n" + rule + "\n"
			}
		}
		files["g.rego"] = text + "\nunread if to_number(\"x\")\n"
	}
	switch random.IntN(4) {
	case 0:
		files["data.json"] = `{"uma": {"facts": {"type_alias": {"https://types/album": "album", "gone": "nowhere", "off": false, "board": "album", "x y": 5}}, "policies": {"board": {"limit": 5}}}}`
	case 1:
		files["facts.rego"] = "package uma.facts\n\ntype_alias[\"https://types/album\"] := \"album\"\n"
	case 2:
		files["data.json"] = `{"uma": {"facts": {"type_alias": {"album": "default", "": "board"}}}}`
	}
	return files
}
