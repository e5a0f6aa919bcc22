package engine_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// manyDecisions is how many decisions of random policies are compared: 20,000, or as many as rapid is told.
func manyDecisions() int {
	checks, _ := strconv.Atoi(flag.Lookup("rapid.checks").Value.String()) // it is a number
	return max(20_000, checks)
}

// TestRecallAgrees: of many decisions of random policies on random inputs, those that are known
// are compared with what the policy says: half of them, at least two fifths. The others cannot be, and
// are made because an answer is known only after a decision.
func TestRecallAgrees(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(13, 5))
	policies, each, least := manyDecisions()/1000, 1000, manyDecisions()*2/5
	if testing.Short() || raceEnabled {
		policies, each, least = 8, 200, 160
	}
	var found, functions int
	for range policies {
		files := randomRules(random)
		e, evaluator := remembering(t, files)
		for range each {
			in := oneOfFew(random)
			got := evaluator.Recall(in)
			want, err := evaluator.Decide(t.Context(), in) // evaluates, whatever is known
			if got == nil {
				continue
			}
			found++
			if err != nil || !same(got, want) {
				raw, _ := engine.InputJSON(in)
				t.Fatalf("got  %+v\nwant %+v, %v\n%s\n%v", got, want, err, raw, files)
			}
		}
		if e.MemoStats().Entries > 0 {
			functions++
		}
	}
	t.Logf("%d of %d policies are functions, %d of %d decisions were known", functions, policies, found, policies*each)
	if functions < policies/5 || functions > policies*9/10 || found < least {
		t.Error("the policies and inputs do not test much")
	}
}

func same(a, b *uma.Evaluation) bool {
	return reflect.DeepEqual(a.Output, b.Output) && reflect.DeepEqual(a.Decided, b.Decided) && a.Failed == b.Failed &&
		bytes.Equal(a.NDCache, b.NDCache) && slices.Equal(sortedLabels(a), sortedLabels(b))
}

func sortedLabels(ev *uma.Evaluation) []string {
	var all []string
	for _, labels := range ev.RuleLabels {
		all = append(all, fmt.Sprint(labels))
	}
	slices.Sort(all)
	return all
}

// randomRules are two team packages of a few rules, each of which reads the input in another way,
// and at times a guardrail that asks what one of them says.
func randomRules(random *rand.Rand) map[string]string {
	files := map[string]string{
		"album.rego": randomPackage(random, "album"), "board.rego": randomPackage(random, "board"),
		"lib.rego": "package lib.parts\n\nrole(r) if r in input.subject.roles\n\nowned if input.resource.owner == input.subject.id\n\n" +
			"level[k] := v if some k, v in input.resource.attributes\n\nlate if input.context.time > \"2026-11-22T12:00:03Z\"\n\nstages.a.b if input.ticket.round == 1\n\nstages.a.c if input.client.public\n",
		"data.json": `{"uma": {"facts": {"blocked": {"u-bob": ["view"], "u-carol": []}, "type_alias": {"urn:b": "board"}}}}`,
	}
	if random.IntN(4) == 0 {
		files["guard.rego"] = "package uma.guardrails\n\ndeny contains \"x\" if \"view\" in data.uma.authz.team.grant with input.resource.type as \"board\"\n"
	}
	return files
}

func randomPackage(random *rand.Rand, name string) string {
	rules := []string{"package uma.policies." + name + "\n"}
	for i := range 2 + random.IntN(6) {
		set := []string{"grant contains s if some s in input.scopes", `grant contains "view" if true`, `deny contains {"scope": "delete"} if true`, `submit contains "*" if true`, `need_info contains {"name": "a"} if true`}[random.IntN(5)]
		part := conditions[random.IntN(len(conditions))]
		if random.IntN(3) > 0 { // else most policies would have one that is no function
			part = conditions[random.IntN(certain)]
		}
		if random.IntN(2) == 0 {
			set = fmt.Sprintf("# METADATA\n# labels: {rule: r%d, team: a}\n%s", i, set)
		}
		rules = append(rules, strings.ReplaceAll(strings.Replace(set, " if ", " if {\n\t", 1)+"\n\t"+part.condition+"\n}\n", "helper", fmt.Sprint("helper", i)))
		if part.rules != "" {
			rules = append(rules, strings.ReplaceAll(part.rules, "helper", fmt.Sprint("helper", i))+"\n")
		}
	}
	return strings.Join(rules, "\n")
}

// certain is how many of the conditions are functions of the input for sure.
const certain = 26

var conditions = []struct{ condition, rules string }{
	{`"admin" in input.subject.roles`, ""},
	{`input.subject.attributes.email == "bob@example.com"`, ""},
	{`not input.subject.attributes.email`, ""},
	{"x := input.subject\n\tx.type == \"user\"", ""},
	{`count({r | some r in input.subject.groups}) > 1`, ""},
	{`every r in input.subject.roles { r != "admin" }`, ""},
	{`object.get(input.resource.attributes, "visibility", ["public"])[0] == "public"`, ""},
	{`input.resource.attributes[_][_] == "private"`, ""},
	{"some k\n\tinput.resource.attributes[k][0] == \"x\"", ""},
	{`input.claims.pushed.amount[0] == "50"`, ""},
	{`input.claims.pushed[input.subject.id]`, ""},
	{`input.claims.verified.level > 2`, ""},
	{`input.claims.tokens[_].verified`, ""},
	{`input.client.id == "photoz-web"`, ""},
	{`input.ticket.round == 1`, ""},
	{`not input.ticket.round`, ""},
	{`input.context.ip == "192.0.2.7"`, ""},
	{`not input.context.user_agent`, ""},
	{`startswith(input.resource.uris[_], "/a")`, ""},
	{`input.resource.owner_managed`, ""},
	{`data.lib.parts.role("admin")`, ""},
	{`data.lib.parts.owned`, ""},
	{`data.lib.parts.level.visibility[0] == "private"`, ""},
	{`data.uma.facts.blocked[input.subject.id][_] == "view"`, ""},
	{"helper(input.subject)", "helper(x) if x.groups_known"},
	{"helper == 2", "helper := 1 if \"admin\" in input.subject.roles\n\nelse := 2 if input.client.public"},

	{`helper with input as {"subject": {"id": "u-bob"}}`, `helper if input.subject.id == "u-bob"`},
	{`helper with input as {"subject": input.subject}`, `helper if "admin" in input.subject.roles`},
	{`helper with input.subject.id as "u-bob"`, `helper if input.subject.id == input.resource.owner`},
	{`helper with input.claims.pushed.amount as ["9"]`, `helper if input.claims.pushed.amount[0] == "9"`},
	{`helper with data.lib.parts.owned as true`, `helper if data.lib.parts.owned`},
	{`data.lib.parts.stages.a.c`, ""},
	{`count({k | some k, _ in data.lib.parts}) > 3`, ""},
	{`some name; data.lib.parts[name] == true`, ""},
	{`input.context.time > "2026-11-22T12:00:03Z"`, ""},
	{`endswith(input.context.request_id, "1")`, ""},
	{`input.ticket.id == "sha256:1"`, ""},
	{`time.now_ns() % 2 == 0`, ""},
	{`rand.intn("x", 2) == 0`, ""},
	{`startswith(uuid.rfc4122("x"), "a")`, ""},
	{`input[_] == "photoz-api"`, ""},
	{`walk(input, [_, "admin"])`, ""},
	{"helper(input)", "helper(x) if \"admin\" in x.subject.roles"},
	{`object.get(input, ["context", "time"], "") > "2026-11-22T12:00:03Z"`, ""},
	{`data.lib.parts.late`, ""},
	{`input.context[_] == "192.0.2.7"`, ""},
	{"x := input\n\tx.client.public", ""},
	{`"2026-11-22T12:00:03Z" in {t | t := input.context.time}`, ""},
	{`to_number(input.claims.pushed.amount[0]) > 10`, ""},
}

// oneOfFew is an input that differs from others in a few parts, and always in what differs in
// each request.
func oneOfFew(random *rand.Rand) *uma.Input {
	in := input(func(in *uma.Input) {
		seconds := random.IntN(6)
		in.Now = in.Now.Add(time.Duration(seconds) * time.Second)
		in.Context.Time, in.Context.RequestID = fmt.Sprintf("2026-11-22T12:00:0%dZ", seconds), fmt.Sprint("r-", random.IntN(100))
		in.Ticket.ID = fmt.Sprint("sha256:", random.IntN(3))
		in.Resource.Type = []string{"album", "board", "urn:b"}[random.IntN(3)]
	})
	for range random.IntN(3) {
		if change := random.IntN(len(changes)); in.Resource != nil {
			changes[change](in)
		}
	}
	return in
}

var changes = []func(*uma.Input){
	func(in *uma.Input) { in.Subject.Roles = append(in.Subject.Roles, "admin") },
	func(in *uma.Input) { in.Subject.Roles = nil },
	func(in *uma.Input) { in.Subject.Groups = append(in.Subject.Groups, "/family") },
	func(in *uma.Input) { in.Subject.GroupsKnown = false },
	func(in *uma.Input) { in.Subject.Attributes = nil },
	func(in *uma.Input) { in.Subject.Attributes = map[string]any{"email": nil} },
	func(in *uma.Input) {
		in.Subject.Attributes = map[string]any{"email": "x", "deep": map[string]any{"l": []any{1, "1"}}}
	},
	func(in *uma.Input) { in.Subject.ID = "u-alice" },
	func(in *uma.Input) { in.Subject.ID = "u-carol" },
	func(in *uma.Input) { in.Subject.Type = "service" },
	func(in *uma.Input) { in.Claims.Pushed = nil },
	func(in *uma.Input) { in.Claims.Pushed = map[string][]string{"amount": {"5"}, "u-bob": {}} },
	func(in *uma.Input) { in.Claims.Pushed = map[string][]string{"amount": {"five"}} },
	func(in *uma.Input) { in.Claims.Verified = map[string]any{"level": 3} },
	func(in *uma.Input) { in.Claims.Verified = map[string]any{"level": 1.5} },
	func(in *uma.Input) { in.Claims.Verified = map[string]any{"level": "3"} },
	func(in *uma.Input) { in.Claims.Tokens = []uma.InputClaimToken{{Verified: true}} },
	func(in *uma.Input) { in.Claims.Tokens = []uma.InputClaimToken{{}, {}} },
	func(in *uma.Input) { in.Client.ID = "other" },
	func(in *uma.Input) { in.Client.Public = false },
	func(in *uma.Input) { in.Ticket = nil },
	func(in *uma.Input) { in.Ticket = &uma.InputTicket{Round: 2} },
	func(in *uma.Input) { in.Context.IP = "192.0.2.8" },
	func(in *uma.Input) { in.Context.IP = "" },
	func(in *uma.Input) { in.Context.UserAgent = "curl" },
	func(in *uma.Input) { in.Resource.URIs = nil },
	func(in *uma.Input) { in.Resource.OwnerManaged = false },
	func(in *uma.Input) { in.Resource.Owner = "u-bob" },
	func(in *uma.Input) { in.Resource.Attributes = nil },
	func(in *uma.Input) {
		in.Resource.Attributes = map[string][]string{"visibility": {"public"}, "k": {"x"}}
	},
	func(in *uma.Input) { in.Resource.Attributes = map[string][]string{"visibility": {}} },
	func(in *uma.Input) { in.Resource.Type = "other" },
	func(in *uma.Input) { in.Resource.Type = "board" },
	func(in *uma.Input) { in.Resource.Type = "urn:b" },
	func(in *uma.Input) { in.Resource = nil },
	func(in *uma.Input) { in.Scopes = nil },
	func(in *uma.Input) { in.Scopes = []uma.Scope{"view"} },
	func(in *uma.Input) { in.Scopes = []uma.Scope{"delete", "view"} },
	func(in *uma.Input) {
		in.Shares = []uma.InputShare{{ID: "s-1", Kind: "request", Scopes: []uma.Scope{"view"}, Users: []string{"u-bob"}, Strategy: "UNANIMOUS"}}
	},
	func(in *uma.Input) {
		in.Requests = []uma.InputRequest{{ID: "q-1", State: "denied", Scopes: []uma.Scope{"view"}}}
	},
}
