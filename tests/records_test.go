package tests

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// opaMembers are those of OPA's decision log event (EventV1 of its plugins/logs),
// by hand: a record has no others.
var opaMembers = []string{
	"labels", "decision_id", "batch_decision_id", "trace_id", "span_id", "revision", "bundles", "path", "query", "input", "result",
	"intermediate_results", "mapped_result", "nd_builtin_cache", "erased", "masked", "error", "requested_by", "timestamp", "metrics",
	"req_id", "rule_labels", "request_context", "custom",
}

// TestDecisionRecord: a decision's record is OPA's event, with who asked for
// what, what the policy said, and by which rules.
func TestDecisionRecord(t *testing.T) {
	t.Parallel()
	const labelled = `package uma.policies.board

# METADATA
# labels: {team: photoz, rule: members}
grant contains s if {
	"user" in input.subject.roles
	time.now_ns() > 0
	some s in input.scopes
}`
	// holds whatever is asked, and decides nothing here
	const guarded = `package uma.guardrails

# METADATA
# labels: {team: security, rule: confirm-delete}
need_info contains {"name": "delete_confirmed", "scopes": ["delete"]}`
	e := start(t, photozWith(t, map[string]string{"board.rego": labelled, "guardrails.rego": guarded}))
	db := e.stored(t)
	share := e.share(t, e.resourceID(t, "Holiday album"), "bob", "view")
	ticket := e.ticket(t, perm{Resource: e.resourceID(t, "Holiday album"), Scopes: []string{"view"}}, perm{Resource: "Public board", Scopes: []string{"view", "post"}})
	bob := payload(t, e.token(t, "bob", "photoz-app"))

	records := recordsOf(t, db, func() {
		res := e.do(t, request{method: "POST", url: tokenPath, as: e.as(t, "bob", "photoz-app"), form: form("grant_type", umaGrant, "ticket", ticket), headers: map[string]string{
			"X-Request-Id": "4711", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "User-Agent": "a test",
		}})
		res.expectGranted(t, "Holiday album: view", "Public board: view post")
	})
	if len(records) != 2 {
		t.Fatalf("got %d records, want one for each permission", len(records))
	}
	var album, board map[string]any
	for _, r := range records {
		event := eventOf(t, r)
		for name := range event {
			if !slices.Contains(opaMembers, name) {
				t.Errorf("got member %s, which OPA's event does not have", name)
			}
		}
		if at(event, "input", "resource", "name") == "Public board" {
			board = event
		} else {
			album = event
		}
		if want := map[bool]string{true: "photoz/members", false: "shared"}[at(event, "input", "resource", "name") == "Public board"]; !slices.Equal(r.Rules, []string{want}) {
			t.Errorf("got rules %q, want %q alone", r.Rules, want)
		}
		columns := []any{r.ID, r.Batch, r.Realm, r.Outcome, r.Subject, r.Client, r.Server, string(r.Resource), r.Revision}
		shown := []any{
			event["decision_id"], event["batch_decision_id"], at(event, "input", "realm"), "granted", at(event, "input", "subject", "id"),
			at(event, "input", "client", "id"), at(event, "input", "resource_server"), at(event, "input", "resource", "id"), at(event, "bundles", "photoz", "revision"),
		}
		if !reflect.DeepEqual(columns, shown) {
			t.Errorf("columns: got %v, want those of the event, %v", columns, shown)
		}
	}
	if records[0].Batch != records[1].Batch || records[0].ID == records[1].ID {
		t.Errorf("got batches %s and %s of decisions %s and %s, want one and two", records[0].Batch, records[1].Batch, records[0].ID, records[1].ID)
	}
	for path, want := range map[string]any{
		"path":                     "uma/authz/decision",
		"requested_by":             "127.0.0.1",
		"req_id":                   4711.0,
		"trace_id":                 "0af7651916cd43dd8448eb211c80319c",
		"labels.version":           "test",
		"timestamp":                e.Clock.Now().Format(time.RFC3339Nano),
		"input.version":            "1",
		"input.kind":               "rpt",
		"input.subject.id":         bob["sub"],
		"input.subject.username":   "bob",
		"input.subject.type":       "user",
		"input.client.id":          "photoz-app",
		"input.resource_server":    "photoz-api",
		"input.scopes":             []any{"view", "post"},
		"input.ticket.id":          ticketID(ticket),
		"input.ticket.round":       1.0,
		"input.context.request_id": "4711",
		"input.context.user_agent": "a test",
		"input.context.ip":         "127.0.0.1",
		"result.granted":           []any{"post", "view"},
		"rule_labels":              []any{map[string]any{"team": "security", "rule": "confirm-delete"}, map[string]any{"team": "photoz", "rule": "members"}},
	} {
		if got := at(board, strings.Split(path, ".")...); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	if ns, _ := at(board, "metrics", "timer_rego_query_eval_ns").(float64); ns < 0 || at(board, "metrics") == nil {
		t.Errorf("got metrics %v", board["metrics"])
	}
	if at(board, "nd_builtin_cache", "time.now_ns") == nil {
		t.Errorf("got nd_builtin_cache %v, want time.now_ns in it", board["nd_builtin_cache"])
	}
	if got := at(album, "result", "rests_on"); !reflect.DeepEqual(got, []any{share}) {
		t.Errorf("got rests_on %v, want the share %s", got, share)
	}
	if got := at(album, "rule_labels"); !reflect.DeepEqual(got, []any{map[string]any{"team": "security", "rule": "confirm-delete"}, map[string]any{"rule": "shared"}}) {
		t.Errorf("got rule_labels %v, want confirm-delete and shared", got)
	}
	granted := func(scope, rule string) any {
		return map[string]any{"scope": scope, "decision": "granted", "rules": []any{rule}}
	}
	for _, c := range []struct {
		event map[string]any
		want  []any
	}{
		{board, []any{granted("view", "photoz/members"), granted("post", "photoz/members")}},
		{album, []any{granted("view", "shared")}},
	} {
		if got := at(c.event, "custom", "decided"); !reflect.DeepEqual(got, c.want) {
			t.Errorf("got custom.decided %v, want %v", got, c.want)
		}
	}
}

// TestRecordOutcomes: every decision is on record with its outcome, those of
// refused requests too.
func TestRecordOutcomes(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, map[string]string{
		"guardrails.rego": `package uma.guardrails
need_info contains {"name": "email"} if input.resource.type == "bare"`,
		"broken.rego": `package uma.policies.broken
reasons contains sprintf("%d", [1])
rpt := {"ttl": 1} if input.scopes
rpt := {"ttl": 2} if input.scopes`,
	}))
	db := e.stored(t)
	e.create(t, map[string]any{"name": "Broken", "type": "broken", "resource_scopes": []string{"view"}})
	tests := []struct {
		outcome string
		perm    perm
		status  int
	}{
		{"granted", perm{Resource: "Public board", Scopes: []string{"view"}}, 200},
		{"partial", perm{Resource: "Mixed", Scopes: []string{"read", "write"}}, 200},
		{"denied", perm{Resource: "Admin area", Scopes: []string{"view"}}, 403},
		{"need_info", perm{Resource: "Bare"}, 403},
		{"submitted", perm{Resource: e.resourceID(t, "Family album"), Scopes: []string{"view"}}, 403},
		{"error", perm{Resource: "Broken", Scopes: []string{"view"}}, 503},
	}
	for _, tc := range tests {
		ticket := e.ticket(t, tc.perm)
		r, event := onlyRecord(t, db, func() {
			if res := e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket); res.status != tc.status {
				t.Errorf("%s: got %s, want %d", tc.outcome, res, tc.status)
			}
		})
		if r.Outcome != tc.outcome {
			t.Errorf("got outcome %s, want %s", r.Outcome, tc.outcome)
		}
		if hasError := event["error"] != nil; hasError != (tc.outcome == "error") || hasError == (event["result"] != nil) {
			t.Errorf("%s: got error %v and result %v", tc.outcome, event["error"], event["result"])
		}
	}
}

// TestRecordSaysWhatWasAnswered: a record says what was decided of its permission and
// what the client was told. A claim is wanted, and an owner asked, only where that
// was said and stored.
func TestRecordSaysWhatWasAnswered(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, map[string]string{
		"guardrails.rego": `package uma.guardrails
need_info contains {"name": "email"} if input.resource.type == "bare"`,
		"broken.rego": `package uma.policies.broken
rpt := {"ttl": 1} if input.scopes
rpt := {"ttl": 2} if input.scopes`,
	}))
	db := e.stored(t)
	e.create(t, map[string]any{"name": "Broken", "type": "broken", "resource_scopes": []string{"view"}})
	album := e.resourceID(t, "Family album")
	board := perm{Resource: "Public board", Scopes: []string{"view"}}
	family, bare := perm{Resource: album, Scopes: []string{"view"}}, perm{Resource: "Bare"}
	mixed := perm{Resource: "Mixed", Scopes: []string{"read", "write"}}

	tests := []struct {
		name     string
		ticket   []perm
		ask      []string // without a ticket, or beside it
		outcomes string   // of the permissions, in order
		answered string
	}{
		{"granted", []perm{board}, nil, "granted", "granted"},
		{"granted in part", []perm{board, bare, family}, nil, "granted denied submitted", "granted"},
		{"claims wanted", []perm{bare}, nil, "need_info", "need_info"},
		{"claims wanted first", []perm{bare, family}, nil, "need_info denied", "need_info"},
		{"owner asked", []perm{family}, nil, "submitted", "request_submitted"},
		{"owner not to be asked", []perm{family}, []string{"submit_request", "false"}, "denied", "request_denied"},
		{"denied", []perm{{Resource: "Admin area", Scopes: []string{"view"}}}, nil, "denied", "request_denied"},
		{"without a ticket nobody asks an owner", nil, []string{"permission", album + "#view"}, "denied", "not_authorized"},
		{"without a ticket no claim is wanted", nil, []string{"permission", "Bare"}, "denied", "not_authorized"},
		{"granted without a ticket", nil, []string{"permission", "Mixed"}, "partial", "granted"},
		{"a decision", nil, []string{"permission", "Bare", "response_mode", "decision"}, "denied", "not_authorized"},
		{"the policy fails", []perm{board, {Resource: "Broken", Scopes: []string{"view"}}}, nil, "granted error", "policy_failed"},
	}
	check := func(t *testing.T, records []uma.Record, outcomes, answered string) {
		t.Helper()
		var got []string
		for _, r := range records {
			got = append(got, r.Outcome)
			if r.Answered != answered || at(eventOf(t, r), "custom", "answered") != answered {
				t.Errorf("got answered %q, and %v in the event, want %q", r.Answered, at(eventOf(t, r), "custom"), answered)
			}
			if asked := at(eventOf(t, r), "custom", "asked"); (asked != nil) != (r.Outcome == "submitted") {
				t.Errorf("%s: got custom.asked %v", r.Outcome, asked)
			}
		}
		if strings.Join(got, " ") != outcomes {
			t.Errorf("got outcomes %q, want %q", got, outcomes)
		}
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			ask := tc.ask
			if tc.ticket != nil {
				ask = append([]string{"ticket", e.ticket(t, tc.ticket...)}, ask...)
			}
			records := recordsOf(t, db, func() { e.uma(t, e.as(t, "bob", "photoz-app"), ask...) })
			check(t, records, tc.outcomes, tc.answered)
		})
	}
	t.Run("refused though a part is granted", func(t *testing.T) {
		old := e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Public board").str("access_token")
		ticket := e.ticket(t, mixed, family)
		records := recordsOf(t, db, func() {
			e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket, "rpt", old).expect(t, 403, "access_denied", "request_submitted")
		})
		check(t, records, "partial submitted granted", "request_submitted")
	})
	metrics := string(e.admin(t, "/metrics").raw)
	if want := `umpire_decisions_total{answered="need_info",outcome="need_info",realm="photoz"} 2`; !strings.Contains(metrics, want) {
		t.Errorf("metrics have no line %s", want)
	}
}

// withMask is a server whose records are masked by a policy.
func withMask(t testing.TB, mask string) *env {
	t.Helper()
	return start(t, photozWith(t, map[string]string{"mask.rego": "package system.log\n" + mask}))
}

// TestMask: a realm masks its records before they are stored, and they say what
// was masked.
func TestMask(t *testing.T) {
	t.Parallel()
	e := withMask(t, `
mask contains "/input/subject/attributes/email"
mask contains {"op": "remove", "path": "/input/context/ip"} if input.input.realm == "photoz"
mask contains {"op": "upsert", "path": "/input/claims/pushed/pin", "value": ["****"]}
mask contains "/result/reasons"
mask contains "/input/no/such/thing"
drop := true
`)
	db := e.stored(t)
	r, event := onlyRecord(t, db, func() {
		e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Account#withdraw", "claim_token_format", claimsJWT,
			"claim_token", pushed(t, map[string][]string{"amount": {"50"}, "pin": {"p1n-0815"}})).expectGranted(t, "Account: withdraw")
	})
	for _, gone := range []string{"bob@example.com", "p1n-0815"} {
		if bytes.Contains(r.Event, []byte(gone)) {
			t.Errorf("%q is on record in %s", gone, r.Event)
		}
	}
	for _, path := range [][]string{{"input", "subject", "attributes", "email"}, {"input", "context", "ip"}, {"result", "reasons"}} {
		if got := at(event, path...); got != nil {
			t.Errorf("%v: got %v, want it masked", path, got)
		}
	}
	if got := at(event, "input", "claims", "pushed", "pin"); !reflect.DeepEqual(got, []any{"****"}) {
		t.Errorf("got pin %v, want ****", got)
	}
	if got := at(event, "input", "claims", "pushed", "amount"); !reflect.DeepEqual(got, []any{"50"}) {
		t.Errorf("got amount %v, want it as it was", got)
	}
	wantErased := []any{"/input/context/ip", "/input/subject/attributes/email", "/result/reasons"}
	if !reflect.DeepEqual(sorted(event["erased"]), wantErased) || !reflect.DeepEqual(event["masked"], []any{"/input/claims/pushed/pin"}) {
		t.Errorf("got erased %v and masked %v", event["erased"], event["masked"])
	}
}

func sorted(v any) []any {
	list := slices.Clone(asList(v))
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	return list
}

// TestMaskFails: when masking fails, what is stored is a stub without anything
// that a mask might have taken out. The decision stands.
func TestMaskFails(t *testing.T) {
	t.Parallel()
	for name, mask := range map[string]string{
		"a conflict":         `mask := ["/input/claims"] if input.path` + "\n" + `mask := ["/result"] if input.input`,
		"no list":            `mask := 42`,
		"no pointer":         `mask contains "input"`,
		"no such part":       `mask contains "/labels/id"`,
		"an unknown op":      `mask contains {"op": "explode", "path": "/input/claims"}`,
		"a failing built-in": `mask contains concat("", ["/input/", x]) if x := json.unmarshal(input.input.subject.username)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := withMask(t, mask)
			db := e.stored(t)
			r, event := onlyRecord(t, db, func() {
				e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Public board#view").expectGranted(t, "Public board: view")
			})
			if event["input"] != nil && len(event["input"].(map[string]any)) > 0 || event["result"] != nil || bytes.Contains(r.Event, []byte("bob")) {
				t.Errorf("got %s, want a stub", r.Event)
			}
			if event["decision_id"] != r.ID || event["error"] == nil || at(event, "bundles", "photoz", "revision") != r.Revision {
				t.Errorf("got %s, want a stub that names the decision, the policy and the trouble", r.Event)
			}
			if r.Outcome != "granted" || r.Subject == "" {
				t.Errorf("got outcome %q of subject %q in the columns", r.Outcome, r.Subject)
			}
			log := string(readFile(t, filepath.Join(e.Data, "server.log")))
			if !strings.Contains(log, "a stub is stored") || !strings.Contains(log, r.ID) {
				t.Error("the log does not say that masking failed")
			}
		})
	}
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestDecisionLog: what is stored is written as a line each, in order, in the
// format of OPA's console decision logs.
func TestDecisionLog(t *testing.T) {
	t.Parallel()
	e := start(t)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	var ask []func()
	for _, p := range []string{"Public board", "Mixed", "Admin area", "#download", "Bare", "Account#withdraw"} {
		ask = append(ask, func() { e.uma(t, bob, "permission", p) })
	}
	atOnce(slices.Repeat(ask, 5)...)
	records := recordsAfter(t, db, 0)
	if len(records) != 30 {
		t.Fatalf("got %d records, want 30", len(records))
	}
	var lines [][]byte
	within1s(t, "the lines of the decision log", func() bool {
		content := readFile(t, filepath.Join(e.Data, "decisions.log"))
		lines = bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
		return len(lines) >= len(records)
	})
	if len(lines) != len(records) {
		t.Fatalf("got %d lines for %d records", len(lines), len(records))
	}
	for i, r := range records {
		expectLine(t, lines[i], r)
	}
}

func expectLine(t testing.TB, line []byte, r uma.Record) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("line %q: %v", line, err)
	}
	want := maps.Clone(eventOf(t, r))
	maps.Copy(want, map[string]any{
		"level": "info", "msg": "Decision Log", "type": "openpolicyagent.org/decision_logs",
		"time": r.Time.UTC().Format(time.RFC3339), "seq": float64(r.Seq),
	})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got line %s, want the event %s with the members of a log line", line, r.Event)
	}
}

// TestRevisions: the sources of every policy that was in force are kept, under
// the hash that records name.
func TestRevisions(t *testing.T) {
	t.Parallel()
	e := start(t)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	first, _ := onlyRecord(t, db, func() { e.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view") })

	const closed = "package uma.policies.board\n\nreasons contains \"closed\"\n"
	e.writePolicy(t, "board.rego", closed)
	e.writePolicy(t, "notes.txt", "no part of the policy")
	var second uma.Record
	within1s(t, "the new policy", func() bool {
		second, _ = onlyRecord(t, db, func() { e.uma(t, bob, "permission", "Public board#view") })
		return second.Outcome == "denied"
	})
	if first.Revision == second.Revision || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(first.Revision) {
		t.Errorf("got revisions %q and %q, want two hashes", first.Revision, second.Revision)
	}
	for revision, want := range map[string]string{first.Revision: photozPolicies(t)["board.rego"], second.Revision: closed} {
		rev, err := db.Revision(t.Context(), "photoz", revision)
		if err != nil {
			t.Fatal(err)
		}
		if rev.Sources["board.rego"] != want {
			t.Errorf("got the source %q, want %q", rev.Sources["board.rego"], want)
		}
		if _, ok := rev.Sources["notes.txt"]; ok || rev.Realm != "photoz" || rev.Since.IsZero() {
			t.Errorf("got revision of %q since %s with %v", rev.Realm, rev.Since, slices.Collect(maps.Keys(rev.Sources)))
		}
		library := slices.ContainsFunc(slices.Collect(maps.Values(rev.Sources)), func(s string) bool { return strings.Contains(s, "\npackage uma.authz\n") })
		if !library {
			t.Error("the sources of the library are not kept")
		}
	}
}
