package tests

import (
	"fmt"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// boards registers open resources and returns permissions for them.
func (e *env) boards(t testing.TB, n int) (perms []string) {
	t.Helper()
	for i := range n {
		perms = append(perms, e.create(t, map[string]any{"name": fmt.Sprint("Board ", i), "type": "board", "resource_scopes": []string{"view"}})+"#view")
	}
	return perms
}

// TestRecordsOfOneRequest: whatever a caller sends with a request for many permissions
// is bounded, and each event is whole although what they share is stored once.
func TestRecordsOfOneRequest(t *testing.T) {
	t.Parallel()
	e := start(t)
	db := e.stored(t)
	const n = 190
	var params []string
	var ticket []perm
	for _, p := range e.boards(t, n) {
		params = append(params, "permission", p)
		ticket = append(ticket, perm{Resource: strings.TrimSuffix(p, "#view"), Scopes: []string{"view"}})
	}
	big := strings.Repeat("x", 16<<10-100)
	bob := e.as(t, "bob", "photoz-app")
	ask := func(userAgent string, more ...string) *response {
		t.Helper()
		kv := append(append([]string{"grant_type", umaGrant, "audience", "photoz-api", "response_mode", "decision"}, params...), more...)
		return e.do(t, request{method: "POST", url: tokenPath, as: bob, form: form(kv...), headers: map[string]string{"User-Agent": userAgent}})
	}
	for name, tc := range map[string]struct {
		send func() *response
		kept string // that each event has
	}{
		"a long User-Agent": {func() *response { return ask(strings.Repeat("x", 60_000)) }, strings.Repeat("x", 256)},
		"a claim token": {func() *response {
			return ask("", "claim_token_format", claimsJWT, "claim_token", pushed(t, map[string][]string{"big": {big}}))
		}, big},
		"a ticket's claims": {func() *response {
			with := append([]perm{}, ticket...)
			with[7].Claims = map[string][]string{"big": {big}}
			return e.uma(t, bob, "ticket", e.ticket(t, with...), "response_mode", "decision")
		}, big},
	} {
		before := recordsAfter(t, db, 0)
		if res := tc.send(); res.status != 200 {
			t.Fatalf("%s: got %s", name, res)
		}
		records := recordsAfter(t, db, int64(len(before)))
		if len(records) != n {
			t.Fatalf("%s: got %d records, want %d", name, len(records), n)
		}
		ids := map[any]bool{}
		for _, r := range records {
			event := eventOf(t, r)
			ids[at(event, "input", "resource", "id")] = true
			if event["decision_id"] != r.ID || !strings.Contains(string(r.Event), tc.kept) || at(event, "input", "subject", "username") != "bob" {
				t.Fatalf("%s: got %.300s…, want the whole event", name, r.Event)
			}
		}
		if len(ids) != n {
			t.Errorf("%s: got the events of %d resources, want %d", name, len(ids), n)
		}
	}
}

// TestPushedClaimsAreBounded: more than 16 KiB are refused where they come in, by the
// name of the limit, and nothing is stored.
func TestPushedClaimsAreBounded(t *testing.T) {
	t.Parallel()
	e := start(t)
	db := e.stored(t)
	const text = "pushed claims may have 16384 bytes"
	claims := map[string][]string{"big": {strings.Repeat("x", 16<<10)}}
	half := map[string][]string{"big": {strings.Repeat("x", 9<<10)}}
	bob, pat := e.as(t, "bob", "photoz-app"), e.service(t, "photoz-api")
	for name, res := range map[string]*response{
		"a claim token":     e.uma(t, bob, "permission", "Public board#view", "claim_token_format", claimsJWT, "claim_token", pushed(t, claims)),
		"a ticket's claims": e.send(t, "POST", permission, pat, []perm{{Resource: "Public board", Claims: claims}}),
		"of two permissions": e.send(t, "POST", permission, pat, []perm{
			{Resource: "Public board", Claims: half}, {Resource: "Mixed", Claims: half},
		}),
	} {
		if res.status != 400 || !strings.Contains(res.str("error_description"), text) {
			t.Errorf("%s: got %s, want 400 %q", name, res, text)
		}
	}
	if records := recordsAfter(t, db, 0); len(records) != 0 {
		t.Errorf("got %d records, want none", len(records))
	}
}

// TestPoliciesOfAResourceAreBounded: all of them may be candidates for a decision, and
// go into its record.
func TestPoliciesOfAResourceAreBounded(t *testing.T) {
	t.Parallel()
	e := start(t)
	alice, path := e.as(t, "alice", "photoz-api"), "/authz/protection/uma-policy/"+e.resourceID(t, "Holiday album")
	var roles []string
	for i := range 63 {
		roles = append(roles, fmt.Sprintf("r%03d%s", i, strings.Repeat("x", 245)))
	}
	policy := func(i int, roles ...string) map[string]any {
		return map[string]any{"name": fmt.Sprint("p", i), "users": []string{"bob"}, "roles": roles, "decisionStrategy": "AFFIRMATIVE", "scopes": []string{"view"}}
	}
	var last *response
	for i := range 5 {
		last = e.send(t, "POST", path, alice, policy(i, roles...))
		if ok := last.status < 300; ok != (i < 4) {
			t.Fatalf("policy %d: got %d %.200s", i, last.status, last.raw)
		}
	}
	if last.status != 400 || !strings.Contains(string(last.raw), "65536 bytes together") {
		t.Errorf("got %s, want 400 that names the limit", last)
	}
	small := e.send(t, "POST", path, alice, policy(5))
	if small.status >= 300 {
		t.Fatalf("a small one: got %s", small)
	}
	grown := policy(5, roles...)
	if res := e.send(t, "PUT", "/authz/protection/uma-policy/"+small.str("id"), alice, grown); res.status != 400 || !strings.Contains(string(res.raw), "65536 bytes together") {
		t.Errorf("grown: got %s, want 400 that names the limit", res)
	}
	e.uma(t, e.as(t, "bob", "photoz-app"), "permission", e.resourceID(t, "Holiday album")+"#view").expectGranted(t, "Holiday album: view")
}

// TestRecordTooLarge: a record that would have more than 64 KiB is a stub, with hashes.
// The decision stands.
func TestRecordTooLarge(t *testing.T) {
	t.Parallel()
	e := start(t)
	db := e.stored(t)
	var uris []string
	for i := range 100 {
		uris = append(uris, fmt.Sprintf("/%d/%s", i, strings.Repeat("x", 1000)))
	}
	e.create(t, map[string]any{"name": "Long board", "type": "board", "resource_scopes": []string{"view"}, "uris": uris})
	r, event := onlyRecord(t, db, func() {
		e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Long board#view").expectGranted(t, "Long board: view")
	})
	if len(r.Event) > 64<<10 || event["error"] != "the record is too large" || at(event, "custom", "input_sha256") == nil || event["input"] != nil && len(event["input"].(map[string]any)) > 0 {
		t.Errorf("got %.300s…, want a stub", r.Event)
	}
	if r.Outcome != "granted" || r.Subject == "" || r.Resource == uma.ResourceID("") {
		t.Errorf("got columns %+v, want them as ever", r)
	}
	if !e.logged(t, "a stub is stored", r.ID, "bytes") {
		t.Error("the log does not say that the record is a stub")
	}
}
