package engine_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// remembering returns an engine that keeps answers, with files in force for the realm photoz.
func remembering(t testing.TB, files map[string]string) (*engine.Engine, uma.Evaluator) {
	t.Helper()
	e := engine.New(engine.Config{Now: time.Now, Memo: 4 << 20})
	if _, err := e.Activate(t.Context(), "photoz", settings, source(t, files)); err != nil {
		t.Fatal(err)
	}
	return e, prepare(t, e)
}

// known decides, and reports whether an input that differs in what change makes is known then.
func known(t testing.TB, evaluator uma.Evaluator, change func(*uma.Input)) bool {
	t.Helper()
	if evaluator.Recall(input(nil)) != nil {
		t.Error("known before anything was decided")
	}
	if _, err := evaluator.Decide(t.Context(), input(nil)); err != nil {
		t.Fatal(err)
	}
	return evaluator.Recall(input(change)) != nil
}

// TestFunctions: why a policy is not a function of the input, and that only answers of
// policies that are one are kept.
func TestFunctions(t *testing.T) {
	t.Parallel()
	const ( // beginnings of the reasons
		album = "data.uma.policies.album "
		place = " (album.rego:3)"
	)
	for name, c := range map[string]struct{ rules, because string }{
		"parts":                     {`grant contains "view" if input.subject.id == "u-bob"`, ""},
		"an address":                {`grant contains "view" if input.context.ip == "192.0.2.7"`, ""},
		"whether there is a ticket": {`grant contains "view" if input.ticket.round == 1`, ""},
		"a dynamic member":          {`grant contains "view" if input.claims.pushed[input.subject.id][0] == "50"`, ""},
		"constants of the time":     {`grant contains "view" if time.parse_rfc3339_ns("2026-11-22T12:00:00Z") > 5`, ""},
		"with input":                {"grant contains \"view\" if h with input as {\"subject\": {\"id\": \"x\"}}\n\nh if input.subject.id == \"x\"", ""},
		"a token":                   {`grant contains "view" if io.jwt.decode("eyJhbGciOiJIUzI1NiJ9.e30.AAAA")[1].sub == input.subject.id`, ""},
		"its keys, in a variable":   {"grant contains \"view\" if {\n\tx := input.subject\n\tx.roles[_] == \"user\"\n}", ""},

		"the time":                      {`grant contains "view" if input.context.time > "2026"`, album + "reads input.context.time" + place},
		"the request":                   {`reasons contains input.context.request_id`, album + "reads input.context.request_id" + place},
		"the trace":                     {`reasons contains input.context.trace_id`, album + "reads input.context.trace_id" + place},
		"the ticket":                    {`reasons contains input.ticket.id`, album + "reads input.ticket.id" + place},
		"its age":                       {`reasons contains input.ticket.issued_at`, album + "reads input.ticket.issued_at" + place},
		"a ticket as a whole":           {`grant contains "view" if input.ticket`, album + "reads input.ticket as a whole" + place},
		"the context":                   {`grant contains "view" if count(input.context) > 1`, album + "reads input.context as a whole" + place},
		"a member of it":                {`grant contains "view" if input.context[_] == "2026"`, album + "reads input.context as a whole" + place},
		"the input":                     {`grant contains "view" if count(input) > 1`, album + "reads input as a whole" + place},
		"any member":                    {`grant contains "view" if input[_] == "1"`, album + "reads input as a whole" + place},
		"walk":                          {`grant contains "view" if walk(input, [_, "1"])`, album + "reads input as a whole" + place},
		"object.get":                    {`grant contains "view" if object.get(input, ["context", "time"], "") > "2026"`, album + "reads input as a whole" + place},
		"a variable":                    {`grant contains "view" if {x := input; x.subject.id == "u-bob"}`, album + "reads input as a whole" + place},
		"a function":                    {"grant contains \"view\" if f(input)\n\nf(x) if x.subject.id", album + "reads input as a whole" + place},
		"a comprehension":               {`grant contains s if some s in {"view" | input.context.time}`, album + "reads input.context.time" + place},
		"every":                         {`grant contains "view" if every s in ["a"] {input.context.time > s}`, album + "reads input.context.time" + place},
		"not":                           {`grant contains "view" if not input.context.time`, album + "reads input.context.time" + place},
		"a value of with":               {"grant contains \"view\" if h with input as {\"at\": input.context.time}\n\nh if input.at", album + "reads input.context.time" + place},
		"with a part":                   {"grant contains \"view\" if h with input.context.ip as \"x\"\n\nh if input.context.ip == \"x\"", album + "reads input.context as a whole" + place},
		"else":                          {"grant contains \"view\" if h == 2\n\nh := 1 if input.subject.id == \"nobody\"\n\nelse := 2 if input.context.time", album + "reads input.context.time (album.rego:7)"},
		"a function that nothing calls": {"grant contains \"view\" if true\n\nf(x) := input.context.time if x", album + "reads input.context.time (album.rego:5)"},
		"a head":                        {`rpt := {"claims": {"at": [input.context.time]}}`, album + "reads input.context.time" + place},
		"the clock":                     {`grant contains "view" if time.now_ns() > 5`, album + "calls time.now_ns" + place},
		"a random number":               {`grant contains "view" if rand.intn("x", 5) < 9`, album + "calls rand.intn" + place},
		"a random id":                   {`reasons contains uuid.rfc4122("x")`, album + "calls uuid.rfc4122" + place},
		"a random signature":            {`reasons contains io.jwt.encode_sign({"alg": "HS256"}, {}, {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"})`, album + "calls io.jwt.encode_sign" + place},
		"a token's expiry":              {`grant contains "view" if io.jwt.decode_verify(input.claims.pushed.amount[0], {"secret": "x"})[0]`, album + "calls io.jwt.decode_verify" + place},
		"a certificate's":               {`grant contains "view" if crypto.x509.parse_and_verify_certificates(input.claims.pushed.amount[0])[0]`, album + "calls crypto.x509.parse_and_verify_certificates" + place},
		"a mocked function":             {"grant contains \"view\" if h with lower as uuid.rfc4122\n\nh if lower(\"x\")", album + "calls uuid.rfc4122" + place},
		"a helper":                      {`grant contains "view" if data.lib.times.late`, "data.lib.times reads input.context.time (times.rego:3)"},
		"a helper's function":           {`grant contains "view" if data.lib.times.f(1)`, "data.lib.times calls time.now_ns (times.rego:5)"},
		"all helpers":                   {`grant contains "view" if count(data.lib) > 0`, "data.lib.times reads input.context.time (times.rego:3)"},
		"any helper":                    {`grant contains "view" if {some k; data.lib[k].late}`, "data.lib.times reads input.context.time (times.rego:3)"},
		"below a rule":                  {`grant contains "view" if data.lib.times.objects.a.b`, "data.lib.times reads input.context.time (times.rego:7)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{
				"album.rego": "package uma.policies.album\n\n" + c.rules + "\n",
				"times.rego": "package lib.times\n\nlate if input.context.time > \"2026\"\n\nf(x) if time.now_ns() > x\n\nobjects[k] := {\"b\": input.context.time} if some k in [\"a\"]\n",
			}
			compiled, err := engine.New(engine.Config{}).Compile(t.Context(), "photoz", settings, source(t, files))
			if err != nil {
				t.Fatal(err)
			}
			functions := compiled.Functions()
			i := slices.IndexFunc(functions, func(f engine.Function) bool { return f.Package == "" || f.Package == "data.uma.policies.album" })
			if got := functions[i].Because; got != c.because {
				t.Errorf("got  %q\nwant %q", got, c.because)
			}
			e, evaluator := remembering(t, files)
			if got := known(t, evaluator, nil); got != (c.because == "") {
				t.Errorf("known: got %t", got)
			}
			if stats := e.MemoStats(); stats.Entries > 0 && c.because != "" {
				t.Errorf("got %+v", stats)
			}
		})
	}
}

// TestFunctionsOfTeams: a team package that is no function makes no difference to others, as
// long as it is known which one is read.
func TestFunctionsOfTeams(t *testing.T) {
	t.Parallel()
	const timed = `if input.context.time > "2026"`
	for name, c := range map[string]struct {
		files map[string]string
		known map[string]bool // by type
		list  int             // functions that are told apart
	}{
		"one of two": {
			map[string]string{"board.rego": "package uma.policies.board\n\ngrant contains \"view\" " + timed + "\n"},
			map[string]bool{"album": true, "board": false, "other": true, "urn:a": true, "urn:b": false, "urn:c": true, "\xff": true}, 3,
		},
		"the default": {
			map[string]string{"default.rego": "package uma.policies.default\n\ngrant contains \"view\" " + timed + "\n"},
			map[string]bool{"album": true, "other": false, "urn:c": false, "\xff": false}, 2,
		},
		"a guardrail": {
			map[string]string{"guard.rego": "package uma.guardrails\n\ndeny contains \"x\" " + timed + "\n"},
			map[string]bool{"album": false, "other": false}, 1,
		},
		"all": {nil, map[string]bool{"album": true, "other": true, "urn:a": true}, 1},
		"the router is asked": {
			map[string]string{
				"board.rego": "package uma.policies.board\n\ngrant contains \"view\" " + timed + "\n",
				"guard.rego": "package uma.guardrails\n\ndeny contains \"x\" if \"no\" in data.uma.authz.team.grant with input.resource.type as \"board\"\n",
			},
			map[string]bool{"album": false, "board": false}, 1,
		},
		"another package is read": {
			map[string]string{
				"board.rego": "package uma.policies.board\n\ngrant contains \"view\" " + timed + "\n",
				"guard.rego": "package uma.guardrails\n\ndeny contains \"x\" if \"no\" in data.uma.policies.board.grant\n",
			},
			map[string]bool{"album": false, "board": false}, 1,
		},
		"aliases by rules": {
			map[string]string{
				"board.rego": "package uma.policies.board\n\ngrant contains \"view\" " + timed + "\n",
				"alias.rego": "package uma.facts\n\ntype_alias[\"x\"] := \"board\"\n",
				"data.json":  "{}",
			},
			map[string]bool{"album": false, "x": false}, 1,
		},
	} {
		files := map[string]string{
			"album.rego": "package uma.policies.album\n\ngrant contains \"view\" if input.subject.id\n",
			"data.json":  `{"uma": {"facts": {"type_alias": {"urn:a": "album", "urn:b": "board", "urn:c": "none"}}}}`,
		}
		maps.Copy(files, c.files)
		e, evaluator := remembering(t, files)
		for kind, want := range c.known {
			in := input(of(kind, "view"))
			if _, err := evaluator.Decide(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			if got := evaluator.Recall(in) != nil; got != want {
				t.Errorf("%s, %s: known: got %t", name, kind, got)
			}
		}
		compiled, err := e.Compile(t.Context(), "photoz", settings, source(t, files))
		if err != nil {
			t.Fatal(err)
		}
		if got := compiled.Functions(); len(got) != c.list {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// Only what the policy reads makes a difference.
func TestRecall(t *testing.T) {
	t.Parallel()
	_, evaluator := remembering(t, photoz(t))
	if known(t, evaluator, func(in *uma.Input) { in.Subject.Roles = []string{"user", "admin"} }) {
		t.Error("known with another role")
	}
	for name, c := range map[string]struct {
		change func(*uma.Input)
		want   bool
	}{
		"equal":           {nil, true},
		"another request": {func(in *uma.Input) { in.Context.RequestID, in.Context.Time, in.Ticket = "r-78", "2027", nil }, true},
		"another address": {func(in *uma.Input) { in.Context.IP = "192.0.2.8" }, true},
		"another group":   {func(in *uma.Input) { in.Subject.Groups = nil }, false},
		"a share":         {func(in *uma.Input) { in.Shares = []uma.InputShare{{ID: "s"}} }, false},
		"other scopes":    {func(in *uma.Input) { in.Scopes = []uma.Scope{"view"} }, false},
		"another order":   {func(in *uma.Input) { slices.Reverse(in.Scopes) }, false},
		"another owner":   {func(in *uma.Input) { in.Resource.Owner = "u-bob" }, false},
		"no resource":     {func(in *uma.Input) { in.Resource = nil }, false},
	} {
		ev := evaluator.Recall(input(c.change))
		if (ev != nil) != c.want || ev != nil && !ev.Cached {
			t.Errorf("%s: got %+v, want known: %t", name, ev, c.want)
		}
	}
}

// What is not known is not remembered either: answers of functions that fail, and errors.
func TestRecallNoFailures(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]string{
		"a function": "grant contains \"view\" if to_number(input.subject.id)",
		"a conflict": "rpt := {\"ttl\": 5} if input.subject.id\n\nrpt := {\"ttl\": 6} if input.subject.id",
		"a shape":    "rpt := {\"ttl\": \"x\"} if input.subject.id",
	} {
		e, evaluator := remembering(t, map[string]string{"album.rego": "package uma.policies.album\n\n" + rules + "\n"})
		ev, err := evaluator.Decide(t.Context(), input(nil))
		if err == nil && ev.Failed == "" {
			t.Errorf("%s: got no error", name)
		}
		if stats := e.MemoStats(); evaluator.Recall(input(nil)) != nil || stats.Entries > 0 {
			t.Errorf("%s: is kept, %+v", name, stats)
		}
	}
	e, evaluator := remembering(t, nil)
	in := input(func(in *uma.Input) { in.Claims.Verified = map[string]any{"f": func() {}} })
	if _, err := evaluator.Decide(t.Context(), in); err == nil || e.MemoStats().Entries > 0 {
		t.Errorf("an input that is not JSON: got %v, %+v", err, e.MemoStats())
	}
}

// Masks and own entry points: masks turn it off, an entry point is analysed as any rule.
func TestRecallMasksAndEntrypoints(t *testing.T) {
	t.Parallel()
	masked := map[string]string{"mask.rego": "package system.log\n\nmask contains \"/input/context/ip\"\n"}
	if _, evaluator := remembering(t, masked); known(t, evaluator, nil) {
		t.Error("masked records: known")
	}
	compiled, err := engine.New(engine.Config{}).Compile(t.Context(), "photoz", settings, source(t, masked))
	if err != nil || !slices.Equal(compiled.Functions(), []engine.Function{{Because: "data.system.log.mask masks the records"}}) {
		t.Errorf("got %+v, %v", compiled.Functions(), err)
	}
	for condition, want := range map[string]bool{`input.subject.id == "u-bob"`: true, "input.context.time": false} {
		e := engine.New(engine.Config{Now: time.Now, Memo: 1 << 20})
		own := uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.lib.own.decision"}
		if _, err := e.Activate(t.Context(), "photoz", own, source(t, map[string]string{"own.rego": "package lib.own\n\n" +
			`decision := {"granted": ["view"], "need_info": [], "submit": [], "reasons": [], "obligations": [], "rpt": {}} if ` + condition + "\n"})); err != nil {
			t.Fatal(err)
		}
		if got := known(t, prepare(t, e), nil); got != want {
			t.Errorf("%s: known: got %t", condition, got)
		}
	}
}

// An activation forgets all answers, and an answer that the policy before gives late is not
// found.
func TestRecallAfterActivation(t *testing.T) {
	t.Parallel()
	e, before := remembering(t, photoz(t))
	if !known(t, before, nil) {
		t.Fatal("not known")
	}
	if _, err := e.Activate(t.Context(), "photoz", settings, source(t, photoz(t))); err != nil {
		t.Fatal(err)
	}
	after := prepare(t, e)
	if after.Recall(input(nil)) != nil || before.Recall(input(nil)) != nil || e.MemoStats().Entries != 0 {
		t.Errorf("known after an activation: %+v", e.MemoStats())
	}
	if _, err := before.Decide(t.Context(), input(nil)); err != nil || after.Recall(input(nil)) != nil {
		t.Errorf("the policy in force knows what the one before decided late: %v", err)
	}
}

// A realm can turn it off, and its deadline does not.
func TestRecallBySettings(t *testing.T) {
	t.Parallel()
	e, evaluator := remembering(t, photoz(t))
	if !known(t, evaluator, nil) {
		t.Fatal("not known")
	}
	with := func(s uma.PolicySettings) uma.Evaluator {
		evaluator, err := e.Prepare(t.Context(), &uma.Realm{Name: "photoz", Policy: s})
		if err != nil {
			t.Fatal(err)
		}
		return evaluator
	}
	if with(uma.PolicySettings{Timeout: time.Hour}).Recall(input(nil)) == nil {
		t.Error("not known with another deadline")
	}
	if with(uma.PolicySettings{DecideAnew: true}).Recall(input(nil)) != nil {
		t.Error("known although each decision is to be evaluated")
	}
	if _, plain := newEngine(t, photoz(t)); known(t, plain, nil) {
		t.Error("known without a memo")
	}
}

// The answers have no more bytes than the engine may keep.
func TestRecallIsBounded(t *testing.T) {
	t.Parallel()
	e := engine.New(engine.Config{Memo: 20_000})
	if _, err := e.Activate(t.Context(), "photoz", settings, source(t, photoz(t))); err != nil {
		t.Fatal(err)
	}
	evaluator := prepare(t, e)
	for i := range 200 {
		if _, err := evaluator.Decide(t.Context(), input(func(in *uma.Input) { in.Subject.ID = fmt.Sprint("u-", i) })); err != nil {
			t.Fatal(err)
		}
	}
	if stats := e.MemoStats(); stats.Bytes > 20_000 || stats.Bytes < 8_000 || stats.Entries < 8 || stats.Entries > 60 {
		t.Errorf("got %+v", stats)
	}
}

// Requests that get one answer at the same time, while policies are activated, neither change
// it nor get that of another policy.
func TestRecallIsShared(t *testing.T) {
	t.Parallel()
	e := engine.New(engine.Config{Memo: 1 << 20})
	activate := func(scope string) {
		files := map[string]string{"album.rego": "package uma.policies.album\n\n# METADATA\n# labels: {rule: a}\ngrant contains \"" + scope + "\" if input.subject.id\n"}
		if _, err := e.Activate(t.Context(), "photoz", settings, source(t, files)); err != nil {
			t.Error(err)
		}
	}
	activate("view")
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				evaluator, err := e.Prepare(t.Context(), &uma.Realm{Name: "photoz"})
				if err != nil {
					t.Error(err)
					return
				}
				in := input(nil)
				ev := evaluator.Recall(in)
				if ev == nil {
					if ev, err = evaluator.Decide(t.Context(), in); err != nil {
						t.Error(err)
					}
				}
				again, err := evaluator.Decide(t.Context(), in)
				if err != nil || !reflect.DeepEqual(ev.Output, again.Output) {
					t.Errorf("got %+v, want %+v, %v", ev.Output, again.Output, err)
				}
				if _, err := evaluator.Encode(t.Context(), &uma.Event{Input: in, Output: &ev.Output, Eval: ev, Answered: "granted"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 20 {
		activate([]string{"view", "delete"}[i%2])
	}
	close(done)
	wg.Wait()
}
