package engine_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// replayed are rules that call what differs between evaluations, and that read numbers that
// no float has.
var replayed = map[string]string{"a.rego": `package uma.policies.a

# METADATA
# labels: {team: a, rule: lucky}
grant contains "view" if rand.intn(concat("", ["for <", input.subject.username, ">"]), 2) == 1

# METADATA
# labels: {team: a, rule: early}
grant contains "edit" if time.now_ns() < time.parse_rfc3339_ns("2026-11-22T12:00:06Z")

reasons contains uuid.rfc4122("x")

reasons contains sprintf("%d", [rand.intn("a", 1000000)])

reasons contains sprintf("%d", [rand.intn("b", 1000000)])

obligations contains {"id": "n", "properties": {"n": input.claims.verified.n}}
`, "mask.rego": `package system.log

mask contains "/input/subject/attributes/email"

mask contains "/input/context/user_agent"
`}

// recordedBy decides and returns the event with what a replay needs of it.
func recordedBy(t testing.TB, evaluator uma.Evaluator, id string, in *uma.Input) (*uma.Recorded, map[string]json.RawMessage) {
	t.Helper()
	ev, err := evaluator.Decide(t.Context(), in)
	if err != nil || ev.Failed != "" {
		t.Fatal(err, ev.Failed)
	}
	raw, err := evaluator.Encode(t.Context(), &uma.Event{ID: id, Input: in, Output: &ev.Output, Eval: ev, Timestamp: in.Now})
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]json.RawMessage
	var e struct {
		Erased, Masked []string
		Timestamp      time.Time
	}
	for _, into := range []any{&doc, &e} {
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	return &uma.Recorded{
		ID: id, Time: e.Timestamp, Input: doc["input"], NDCache: doc["nd_builtin_cache"], Masked: append(e.Erased, e.Masked...),
	}, doc
}

func replayerOf(t testing.TB, src engine.Source) *engine.Replayer {
	t.Helper()
	r, err := engine.NewReplayer(t.Context(), "photoz", settings, src)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReplayIsExact: on the same revision, and on its stored sources with the library among
// them, each recorded result and each rule comes out again, more than once.
func TestReplayIsExact(t *testing.T) {
	t.Parallel()
	e := engine.New(engine.Config{})
	rev, err := e.Activate(t.Context(), "photoz", settings, source(t, replayed))
	if err != nil {
		t.Fatal(err)
	}
	evaluator := prepare(t, e)
	src := source(t, engine.RealmFiles(rev.Sources))
	src.Library = engine.StoredLibrary(rev.Sources)
	r := replayerOf(t, src)
	if r.Revision() != rev.Hash {
		t.Fatalf("got revision %s, want %s", r.Revision(), rev.Hash)
	}
	numbers := []json.Number{"1e400", "-0", "1E+2", "0.1000", "123456789012345678901234567890", "5e-324", "1.0"}
	for i := range 200 {
		in := input(func(in *uma.Input) {
			of("a", "view", "edit")(in)
			in.Now = in.Now.Add(time.Duration(i) * 12345678 * time.Nanosecond)
			in.Context.UserAgent = "\xff<&>\u2028"
			in.Subject.Username = fmt.Sprintf("\"b<o>b\\%d\"", i)
			in.Claims.Verified = map[string]any{"n": numbers[i%len(numbers)]}
		})
		rec, event := recordedBy(t, evaluator, fmt.Sprintf("d-%d", i), in)
		for k, r := range []*engine.Replayer{r, r, r.WithoutLabels()} {
			got, err := r.Replay(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			var custom struct{ Decided []uma.ScopeDecision }
			if err := json.Unmarshal(event["custom"], &custom); err != nil {
				t.Fatal(err)
			}
			labels, _ := json.Marshal(got.RuleLabels)
			if string(got.Result) != string(event["result"]) || got.Inexact != "" || !reflect.DeepEqual(got.Decided, custom.Decided) ||
				k < 2 && event["rule_labels"] != nil && string(labels) != string(event["rule_labels"]) {
				t.Fatalf("%d: got %s %v %q, want %s %v", i, got.Result, got.Decided, got.Inexact, event["result"], custom.Decided)
			}
		}
	}
}

// TestReplayIsInexact: a mask that changed what the policy reads, and a random function whose
// result is not on record, which then has the same result each time.
func TestReplayIsInexact(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, replayed)
	rec, event := recordedBy(t, evaluator, "d-1", input(func(in *uma.Input) {
		of("a", "view")(in)
		in.Claims.Verified = map[string]any{"n": 1}
	}))
	// A policy that was not read before reads what the mask removed.
	reads := replayerOf(t, source(t, map[string]string{"a.rego": `package uma.policies.a

grant contains "view" if input.subject.attributes.email == "bob@example.com"
`}))
	below := replayerOf(t, source(t, map[string]string{"a.rego": `package uma.policies.a

grant contains "view" if object.get(input, ["context", "ip"], "") != ""
`}))
	r := replayerOf(t, source(t, replayed))
	with := func(change func(*uma.Recorded)) *uma.Recorded {
		changed := *rec
		change(&changed)
		return &changed
	}
	for name, c := range map[string]struct {
		on   *engine.Replayer
		rec  *uma.Recorded
		want string
	}{
		"nothing":                {r, rec, ""},
		"a path that is read":    {reads, rec, "/input/subject/attributes/email"},
		"the whole input":        {below, rec, "/input/"},
		"above":                  {reads, with(func(r *uma.Recorded) { r.Masked = []string{"/input/subject"} }), "/input/subject"},
		"below":                  {reads, with(func(r *uma.Recorded) { r.Masked = []string{"/input/subject/attributes/email/0"} }), "/input/subject/attributes/email/0"},
		"escaped":                {reads, with(func(r *uma.Recorded) { r.Masked = []string{"/input/sub%6Aect/attributes"} }), "/input/sub"},
		"beside":                 {reads, with(func(r *uma.Recorded) { r.Masked = []string{"/input/subject/acr", "/result/reasons"} }), ""},
		"no cache":               {r, with(func(r *uma.Recorded) { r.NDCache = nil }), "random function"},
		"a masked random number": {r, with(func(r *uma.Recorded) { r.Masked = []string{"/nd_builtin_cache/rand.intn"} }), "random function"},
		"the time, masked":       {r, with(func(r *uma.Recorded) { r.Masked = []string{"/nd_builtin_cache/time.now_ns"} }), ""},
	} {
		got, err := c.on.Replay(t.Context(), c.rec)
		if err != nil || !strings.Contains(got.Inexact, c.want) || (got.Inexact == "") != (c.want == "") {
			t.Errorf("%s: got %q, %v, want %q", name, got.Inexact, err, c.want)
		}
		again, err := c.on.Replay(t.Context(), c.rec)
		if err != nil || string(again.Result) != string(got.Result) {
			t.Errorf("%s: got %s, then %s, %v", name, got.Result, again.Result, err)
		}
	}
	if got, _ := r.Replay(t.Context(), with(func(r *uma.Recorded) { r.NDCache = nil })); string(got.Result) == string(event["result"]) {
		t.Error("the random numbers are those of the record, which does not have them")
	}
}

// TestReplayRefuses: a damaged record is told from a policy that fails.
func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	r := replayerOf(t, source(t, replayed))
	for name, rec := range map[string]uma.Recorded{
		"no JSON":        {Input: []byte(`{`)},
		"no scopes":      {Input: []byte(`{}`)},
		"masked scopes":  {Input: []byte(`{"scopes":"**"}`)},
		"no list":        {Input: []byte(`{"scopes":[]}`), NDCache: []byte(`{"rand.intn":7}`)},
		"no arguments":   {Input: []byte(`{"scopes":[]}`), NDCache: []byte(`{"rand.intn":{"[":7}}`)},
		"an expression":  {Input: []byte(`{"scopes":[]}`), NDCache: []byte(`{"rand.intn":{"[data.x]":7}}`)},
		"a variable":     {Input: []byte(`{"scopes":[]}`), NDCache: []byte(`{"rand.intn":{"[x]":7}}`)},
		"a call, nested": {Input: []byte(`{"scopes":[]}`), NDCache: []byte(`{"rand.intn":{"[[x | x := 1]]":7}}`)},
	} {
		if _, err := r.Replay(t.Context(), &rec); err == nil || !strings.Contains(err.Error(), uma.ErrUnreadable.Error()) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestTokensAreNotRecorded: OPA would record the arguments of io.jwt.*, which are tokens and
// shared secrets.
func TestTokensAreNotRecorded(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, map[string]string{"a.rego": `package uma.policies.a

token := io.jwt.encode_sign({"alg": "HS256"}, {"exp": 1795348806}, {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"})

# METADATA
# labels: {rule: proved}
grant contains "view" if io.jwt.decode_verify(token, {"secret": "secret-secret-secret-secret-secret", "time": time.now_ns()})[0]

reasons contains uuid.rfc4122("x")
`})
	rec, event := recordedBy(t, evaluator, "d-1", input(of("a", "view")))
	if !strings.Contains(string(event["result"]), `"granted":["view"]`) {
		t.Fatalf("got %s, want a token that is verified", event["result"])
	}
	var cache map[string]any
	if err := json.Unmarshal(rec.NDCache, &cache); err != nil {
		t.Fatal(err)
	}
	if want := []string{"time.now_ns", "uuid.rfc4122"}; !slices.Equal(slices.Sorted(maps.Keys(cache)), want) {
		t.Errorf("got %v, want %v", cache, want)
	}
}

// TestReplayOfParties: what the input says of parties and claim tokens of trusted issuers comes
// out again, and a record of before these members existed can still be read by a policy that
// asks for them.
func TestReplayOfParties(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.rego": `package uma.policies.a

grant contains "view" if {
	input.subject.issuer == "https://login.example.com/"
	input.subject.external_id == "00u1"
	input.subject.groups_known
	not "/contractors" in input.subject.groups
	some seen in input.claims.tokens
	seen.bound
}
`}
	_, evaluator := newEngine(t, files)
	in := input(func(in *uma.Input) {
		of("a", "view")(in)
		in.Subject.Issuer, in.Subject.ExternalID = "https://login.example.com/", "00u1"
		in.Claims.Tokens = []uma.InputClaimToken{{Issuer: "https://council.example", Verified: true, Bound: true}}
	})
	rec, doc := recordedBy(t, evaluator, "d-1", in)
	r := replayerOf(t, source(t, files))
	got, err := r.Replay(t.Context(), rec)
	if err != nil || string(got.Result) != string(doc["result"]) || !strings.Contains(string(got.Result), `"granted":["view"]`) {
		t.Errorf("got %s, %v, want %s", got.Result, err, doc["result"])
	}
	rec.Input = []byte(strings.Replace(string(rec.Input), `"groups_known":true,`, "", 1))
	if got, err = r.Replay(t.Context(), rec); err != nil || !strings.Contains(string(got.Result), `"granted":[]`) {
		t.Errorf("a record without groups_known: got %s, %v", got.Result, err)
	}
}
