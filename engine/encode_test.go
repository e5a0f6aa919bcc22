package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// decided is the event of a decision.
func decided(t testing.TB, evaluator uma.Evaluator, in *uma.Input) *uma.Event {
	t.Helper()
	eval, err := evaluator.Decide(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return &uma.Event{
		ID: "d-1", Batch: "b-1", Input: in, Output: &eval.Output, Eval: eval, Path: "uma/authz/decision",
		Labels: map[string]string{"version": "1", "id": "node-1"}, Timestamp: time.Date(2026, 11, 22, 13, 0, 6, 7000, time.FixedZone("", 3600)),
	}
}

func encode(t testing.TB, evaluator uma.Evaluator, ev *uma.Event) map[string]any {
	t.Helper()
	raw, err := evaluator.Encode(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, raw)
}

func parse(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return doc
}

// The names are those of OPA's EventV1, by hand.
func TestEncode(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, photoz(t))
	ev := decided(t, evaluator, input(func(in *uma.Input) {
		of("bank", "withdraw")(in)
		in.Context.TraceID, in.Context.RequestID = "t-1", "77"
	}))
	ev.Eval.Took = 123456
	ev.Eval.NDCache = []byte(`{"uuid.rfc4122":{}}`)
	raw, err := evaluator.Encode(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"labels":{"id":"node-1","version":"1"},"decision_id":"d-1","batch_decision_id":"b-1","trace_id":"t-1",` +
		`"bundles":{"photoz":{"revision":"` + evaluator.Revision() + `"}},"path":"uma/authz/decision",` +
		`"input":{"version":"1","realm":"photoz","kind":"rpt",` +
		`"subject":{"id":"u-bob","type":"user","username":"bob","roles":["user"],"client_roles":{},"groups":["/friends"],` +
		`"groups_known":true,"scopes":["email"],"attributes":{"email":"bob@example.com"}},` +
		`"claims":{"verified":{},"pushed":{"amount":["50"]},"tokens":[]},` +
		`"client":{"id":"photoz-web","public":true,"authenticated":false},"resource_server":"photoz-api",` +
		`"resource":{"id":"r-1","name":"Holiday album","type":"bank","owner":"u-alice","owner_managed":false,` +
		`"uris":["/album/1"],"scopes":["view","comment","delete"],"attributes":{"visibility":["private"]}},` +
		`"scopes":["withdraw"],"shares":[],"requests":[],` +
		`"ticket":{"id":"sha256:5feceb66","issued_at":"2026-11-22T12:00:00Z","round":1},` +
		`"context":{"time":"2026-11-22T12:00:05Z","ip":"192.0.2.7","request_id":"77","trace_id":"t-1","properties":{}}},` +
		`"result":{"granted":["withdraw"],"need_info":[],"submit":[],"reasons":[],"obligations":[],"rests_on":[],"rpt":{}},` +
		`"nd_builtin_cache":{"uuid.rfc4122":{}},"requested_by":"192.0.2.7","timestamp":"2026-11-22T12:00:06.000007Z",` +
		`"metrics":{"timer_rego_query_eval_ns":123456},"req_id":77,"rule_labels":[{"rule":"small-amount","team":"bank"}],` +
		`"custom":{"decided":[{"scope":"withdraw","decision":"granted","rules":["bank/small-amount"]}]}}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
}

// A record says how its issuer knows the party (RFC 9493), unless a mask changed that.
func TestEncodeSubjectID(t *testing.T) {
	t.Parallel()
	known := map[string]any{"format": "iss_sub", "iss": "https://login.example.com/", "sub": "00u1"}
	for name, c := range map[string]struct {
		mask string
		want any
	}{
		"no mask":               {"", known},
		"a mask of other parts": {`"/input/subject/username"`, known},
		"of the external id":    {`"/input/subject/external_id"`, nil},
		"of the issuer":         {`{"op": "upsert", "path": "/input/subject/issuer", "value": "x"}`, nil},
		"of the subject":        {`"/input/subject"`, nil},
		"of the input":          {`"/input"`, nil},
	} {
		files := map[string]string{}
		if c.mask != "" {
			files["mask.rego"] = "package system.log\n\nmask contains " + c.mask + "\n"
		}
		_, evaluator := newEngine(t, files)
		doc := encode(t, evaluator, decided(t, evaluator, input(func(in *uma.Input) {
			in.Subject.Issuer, in.Subject.ExternalID = "https://login.example.com/", "00u1"
		})))
		if got := at(doc, "custom", "sub_id"); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	_, evaluator := newEngine(t, map[string]string{})
	if got := at(encode(t, evaluator, decided(t, evaluator, input(nil))), "custom", "sub_id"); got != nil {
		t.Errorf("a local user: got %v", got)
	}
}

func TestEncodeErrors(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, map[string]string{"a.rego": "package uma.policies.a\n\ngrant contains \"view\" if to_number(input.subject.id)\n"})
	failed := encode(t, evaluator, decided(t, evaluator, input(of("a", "view"))))
	if text, _ := failed["error"].(string); !strings.Contains(text, "to_number") {
		t.Errorf("got error %v", failed["error"])
	}
	if granted := failed["result"].(map[string]any)["granted"].([]any); len(granted) != 0 {
		t.Errorf("got %v", failed["result"])
	}
	spent := decided(t, evaluator, input(of("b", "view")))
	spent.Output, spent.Error = nil, "ticket_spent"
	doc := encode(t, evaluator, spent)
	if doc["error"] != "ticket_spent" || doc["result"] != nil {
		t.Errorf("got %v", doc)
	}
	never := &uma.Event{ID: "d-2", Input: input(nil), Error: "no time", Path: "uma/authz/decision"}
	if doc := encode(t, evaluator, never); doc["error"] != "no time" || doc["metrics"] != nil || doc["input"] == nil {
		t.Errorf("got %v", doc)
	}
}

func at(doc any, path ...string) any {
	for _, name := range path {
		m, _ := doc.(map[string]any)
		doc = m[name]
	}
	return doc
}

func TestMasks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rules  string
		path   []string // what was masked
		want   any      // what is there now
		erased []any
		masked []any
	}{
		"a path":               {`mask contains "/input/subject/attributes/email"`, []string{"input", "subject", "attributes"}, map[string]any{}, []any{"/input/subject/attributes/email"}, nil},
		"remove":               {`mask contains {"op": "remove", "path": "/input/subject/username"}`, []string{"input", "subject", "username"}, nil, []any{"/input/subject/username"}, nil},
		"upsert":               {`mask contains {"op": "upsert", "path": "/input/subject/username", "value": "***"}`, []string{"input", "subject", "username"}, "***", nil, []any{"/input/subject/username"}},
		"upsert of a list":     {`mask contains {"op": "upsert", "path": "/input/subject/groups/0", "value": {"x": [1]}}`, []string{"input", "subject", "groups"}, []any{map[string]any{"x": []any{1.0}}}, nil, []any{"/input/subject/groups/0"}},
		"upsert, made":         {`mask contains {"op": "upsert", "path": "/input/new/deep", "value": 1}`, []string{"input", "new", "deep"}, 1.0, nil, []any{"/input/new/deep"}},
		"an element":           {`mask contains "/input/resource/scopes/1"`, []string{"input", "resource", "scopes"}, []any{"view", "delete"}, []any{"/input/resource/scopes/1"}, nil},
		"two elements":         {"mask contains \"/input/resource/scopes/0\"\n\nmask contains \"/input/resource/scopes/1\"", []string{"input", "resource", "scopes"}, []any{"delete"}, []any{"/input/resource/scopes/0", "/input/resource/scopes/1"}, nil},
		"the input":            {`mask contains "/input"`, []string{"input"}, nil, []any{"/input"}, nil},
		"the input replaced":   {`mask contains {"op": "upsert", "path": "/input", "value": "gone"}`, []string{"input"}, "gone", nil, []any{"/input"}},
		"the result":           {`mask contains "/result"`, []string{"result"}, nil, []any{"/result"}, nil},
		"in the result":        {`mask contains "/result/reasons"`, []string{"result", "reasons"}, nil, []any{"/result/reasons"}, nil},
		"the cache":            {`mask contains "/nd_builtin_cache/uuid.rfc4122"`, []string{"nd_builtin_cache"}, map[string]any{}, []any{"/nd_builtin_cache/uuid.rfc4122"}, nil},
		"a claim, escaped":     {`mask contains "/input/claims/verified/https:%2F%2Fexample.com%2Fssn"`, []string{"input", "claims", "verified"}, map[string]any{"a~b/c": "y"}, []any{"/input/claims/verified/https:%2F%2Fexample.com%2Fssn"}, nil},
		"a claim, as pointer":  {`mask contains "/input/claims/verified/a~0b~1c"`, []string{"input", "claims", "verified"}, map[string]any{"https://example.com/ssn": "x"}, []any{"/input/claims/verified/a~0b~1c"}, nil},
		"what is not there":    {`mask contains "/input/nothing/here"`, []string{"input", "kind"}, "rpt", nil, nil},
		"beyond a list":        {`mask contains "/input/resource/scopes/9"`, []string{"input", "kind"}, "rpt", nil, nil},
		"below a text":         {`mask contains {"op": "upsert", "path": "/input/kind/x", "value": 1}`, []string{"input", "kind"}, "rpt", nil, nil},
		"by what is logged":    {`mask contains "/input/subject/username" if {input.input.realm == "photoz"; input.path == "uma/authz/decision"; input.decision_id == "d-1"}`, []string{"input", "subject", "username"}, nil, []any{"/input/subject/username"}, nil},
		"not by that":          {`mask contains "/input/subject/username" if input.input.realm == "other"`, []string{"input", "subject", "username"}, "bob", nil, nil},
		"a list of masks":      {`mask := ["/input/subject/username"]`, []string{"input", "subject", "username"}, nil, []any{"/input/subject/username"}, nil},
		"one path twice":       {"mask contains {\"op\": \"upsert\", \"path\": \"/input/kind\", \"value\": v} if some v in [\"a\", \"b\"]", []string{"input", "kind"}, "b", nil, []any{"/input/kind"}},
		"undefined":            {`mask := ["/input"] if input.nothing`, []string{"input", "kind"}, "rpt", nil, nil},
		"drop is not honoured": {`drop := true`, []string{"input", "kind"}, "rpt", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, evaluator := newEngine(t, map[string]string{
				"mask.rego": "package system.log\n\n" + c.rules + "\n",
				"a.rego":    "package uma.policies.a\n\nreasons contains \"because\" if uuid.rfc4122(\"x\")\n",
			})
			doc := encode(t, evaluator, decided(t, evaluator, input(func(in *uma.Input) {
				of("a", "view")(in)
				in.Claims.Verified = map[string]any{"https://example.com/ssn": "x", "a~b/c": "y"}
			})))
			if got := at(doc, c.path...); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if got := doc["erased"]; !reflect.DeepEqual(got, any(c.erased)) && (got != nil || c.erased != nil) {
				t.Errorf("erased: got %v, want %v", got, c.erased)
			}
			if got := doc["masked"]; !reflect.DeepEqual(got, any(c.masked)) && (got != nil || c.masked != nil) {
				t.Errorf("masked: got %v, want %v", got, c.masked)
			}
			if doc["decision_id"] != "d-1" || doc["bundles"] == nil {
				t.Errorf("got %v", doc)
			}
		})
	}
}

// If the address is masked in one place, the event does not have it in the other either.
func TestMaskedAddress(t *testing.T) {
	t.Parallel()
	for mask, want := range map[string]any{
		`"/input/context/ip"`: nil,
		`"/input/context"`:    nil,
		`"/input"`:            nil,
		`{"op": "upsert", "path": "/input/context/ip", "value": "192.0.2.0"}`: "192.0.2.0",
		`"/input/subject"`: "192.0.2.7",
		`"/result"`:        "192.0.2.7",
	} {
		_, evaluator := newEngine(t, map[string]string{"mask.rego": "package system.log\n\nmask contains " + mask + "\n"})
		if got := encode(t, evaluator, decided(t, evaluator, input(nil)))["requested_by"]; got != want {
			t.Errorf("%s: got %v, want %v", mask, got, want)
		}
	}
}

func TestMaskByData(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, map[string]string{"data.json": `{"system": {"log": {"mask": ["/input/subject"]}}}`})
	if got := at(encode(t, evaluator, decided(t, evaluator, input(nil))), "input", "subject"); got != nil {
		t.Errorf("got %v", got)
	}
}

// If a mask fails, the record is a stub: it has the decision and its policy, and no value
// that a mask could have removed.
func TestMaskFails(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]string{
		"conflict":           "mask := [] if input.input\n\nmask := [1] if input.result",
		"no list":            "mask := true",
		"a number":           "mask contains 1",
		"no slash":           `mask contains "input/subject"`,
		"another member":     `mask contains "/labels/id"`,
		"decision_id":        `mask contains {"op": "upsert", "path": "/decision_id", "value": 1}`,
		"an unknown op":      `mask contains {"op": "replace", "path": "/input", "value": 1}`,
		"no op":              `mask contains {"path": "/input"}`,
		"no path":            `mask contains {"op": "remove"}`,
		"a path of no text":  `mask contains {"op": "remove", "path": ["input"]}`,
		"the good and a bad": "mask contains \"/input\"\n\nmask contains \"bad\"",
		"a built-in fails":   `mask contains "/input" if to_number(input.input.subject.username)`,
		"takes too long":     "mask contains \"/input\" if {\n\tsome x in numbers.range(1, 100000000)\n\tx < 0\n}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := engine.New(engine.Config{})
			s := uma.PolicySettings{Timeout: time.Second / 4, Entrypoint: settings.Entrypoint}
			files := photoz(t)
			files["mask.rego"] = "package system.log\n\n" + rules + "\n"
			if _, err := e.Activate(t.Context(), "photoz", s, source(t, files)); err != nil {
				t.Fatal(err)
			}
			evaluator := prepare(t, e)
			ev := decided(t, evaluator, input(of("board", "view")))
			ev.Answered = "not_authorized"
			raw, err := evaluator.Encode(t.Context(), ev)
			if err == nil {
				t.Error("got no error")
			}
			doc := parse(t, raw)
			custom, _ := doc["custom"].(map[string]any)
			hash, _ := custom["input_sha256"].(string)
			if doc["decision_id"] != "d-1" || doc["batch_decision_id"] != "b-1" || doc["path"] != "uma/authz/decision" || doc["timestamp"] == nil ||
				doc["error"] != "the record could not be masked" || custom["outcome"] != "granted" || custom["answered"] != "not_authorized" || len(hash) != 64 ||
				at(doc, "bundles", "photoz", "revision") != evaluator.Revision() {
				t.Errorf("got %s", raw)
			}
			for _, told := range []string{"bob", "192.0.2.7", "r-1", "view", "private"} {
				if strings.Contains(string(raw), told) || strings.Contains(err.Error(), told) {
					t.Errorf("%q is in %s or %v", told, raw, err)
				}
			}
		})
	}
}

// If no time is left to mask a record, no value is stored that a mask could have removed.
func TestMaskWithoutTime(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, map[string]string{"mask.rego": "package system.log\n\nmask contains \"/input/context/ip\"\n"})
	ev := decided(t, evaluator, input(nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	raw, err := evaluator.Encode(ctx, ev)
	if doc := parse(t, raw); err == nil || doc["input"] != nil || doc["error"] != "the record could not be masked" {
		t.Errorf("got %s, %v", raw, err)
	}
}

func TestEncodeWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, nil)
	in := input(func(in *uma.Input) { in.Claims.Verified = map[string]any{"f": func() {}} })
	if got, err := evaluator.Decide(t.Context(), in); err == nil || len(got.Output.Granted) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	raw, err := evaluator.Encode(t.Context(), &uma.Event{ID: "d", Input: in, Error: "x"})
	if err == nil || parse(t, raw)["decision_id"] != "d" {
		t.Errorf("got %s, %v", raw, err)
	}
}

// A record says that its answer was found. Everything else is as in that of an evaluation.
func TestRecordOfRecalled(t *testing.T) {
	t.Parallel()
	_, evaluator := remembering(t, photoz(t))
	in := input(of("bank", "withdraw"))
	event := func(ev *uma.Evaluation) []byte {
		ev.Took = 5
		raw, err := evaluator.Encode(t.Context(), &uma.Event{ID: "d", Input: in, Output: &ev.Output, Eval: ev, Answered: "granted", Asked: []uma.Scope{"x"}})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	ev, err := evaluator.Decide(t.Context(), in)
	if err != nil || len(ev.RuleLabels) == 0 || len(ev.Decided) == 0 {
		t.Fatalf("got %+v, %v", ev, err)
	}
	want := event(ev)
	got := event(evaluator.Recall(in))
	if plain := bytes.Replace(got, []byte(`,"cached":true`), nil, 1); bytes.Equal(plain, got) || !bytes.Equal(plain, want) {
		t.Errorf("got  %s\nwant %s and cached", got, want)
	}
	if at(parse(t, got), "custom", "cached") != true {
		t.Errorf("got %s", got)
	}
}
