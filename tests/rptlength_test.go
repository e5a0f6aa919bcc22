package tests

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// boards is a server with so many boards of long names that an RPT for all is too long.
func boards(t *testing.T) *env {
	t.Helper()
	e := startLegacy(t)
	for i := range 110 {
		e.create(t, map[string]any{"name": fmt.Sprintf("%03d %s", i, strings.Repeat("n", 249)), "type": "board", "resource_scopes": []string{"view"}})
	}
	return e
}

// largest is the largest number for which try is well, of those below one for which it
// is not.
func largest(t *testing.T, tooMany int, try func(n int) bool) int {
	t.Helper()
	good := 1
	for good+1 < tooMany {
		if n := (good + tooMany) / 2; try(n) {
			good = n
		} else {
			tooMany = n
		}
	}
	return good
}

// TestLargestRPT: an RPT that this server could not read again is refused, with the
// limit, before anything is spent. The largest that is issued is good everywhere.
func TestLargestRPT(t *testing.T) {
	t.Parallel()
	e := boards(t)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	const all = "resource-type:board#view"
	ask := func(n int, kv ...string) *response {
		return e.uma(t, bob, append([]string{"permission", all, "response_permissions_limit", strconv.Itoa(n)}, kv...)...)
	}
	tooLong := func(t *testing.T, res *response) {
		t.Helper()
		res.expect(t, 400, "invalid_request", "")
		if !strings.Contains(res.str("error_description"), "48000") {
			t.Errorf("got %s, want the limit in it", res)
		}
	}

	most := largest(t, 110, func(n int) bool { return ask(n).status == 200 })
	r := recordsOf(t, db, func() { tooLong(t, ask(most+1)) })
	if len(r) != most+1 || r[0].Outcome != "granted" || r[0].Answered != "invalid_request" {
		t.Errorf("got %d records, the first %s, answered %s", len(r), r[0].Outcome, r[0].Answered)
	}
	for _, mode := range []string{"decision", "permissions"} { // without an RPT there is no limit
		if res := ask(most+1, "response_mode", mode); res.status != 200 {
			t.Errorf("%s: got %d", mode, res.status)
		}
	}

	res := ask(most)
	rpt := res.str("access_token")
	if len(rpt) > 48_000 || len(rpt) < 47_000 {
		t.Errorf("the largest RPT has %d characters", len(rpt))
	}
	for _, hint := range []string{"", "requesting_party_token"} {
		if got := e.post(t, introspect, basic("photoz-api"), "token", rpt, "token_type_hint", hint); !strings.Contains(string(got.raw), `"active":true`) {
			t.Errorf("introspection with hint %q: got %d %.100s", hint, got.status, got.raw)
		}
	}
	if got := e.uma(t, bearer(rpt), "permission", "Bare"); got.status != 200 {
		t.Errorf("as a bearer: got %d %.100s", got.status, got.raw)
	}
	if got := ask(most, "rpt", rpt); got.status != 200 || got.object()["upgraded"] != true {
		t.Errorf("upgrade: got %d %.100s", got.status, got.raw)
	}
	tooLong(t, ask(most+1, "rpt", rpt))
	if got := e.refresh(t, res.str("refresh_token")); got.status != 200 || len(got.str("access_token")) > 48_000 {
		t.Errorf("refresh: got %d, an RPT of %d characters", got.status, len(got.str("access_token")))
	}
	for path, as := range map[string]credentials{
		"/t/photoz/oauth2/introspect":                                                basic("photoz-api"),
		"/am/oauth2/realms/root/realms/photoz/introspect":                            basic("photoz-api"),
		"/oauth2/realms/root/realms/photoz/introspect?token=" + url.QueryEscape(rpt): basic("photoz-api"),
	} {
		req := request{method: "POST", url: e.URL + path, as: as, form: form("token", rpt)}
		if strings.Contains(path, "?") {
			req.method, req.form = "GET", nil
		}
		if got := e.do(t, req); !strings.Contains(string(got.raw), `"active":true`) {
			t.Errorf("%.50s: got %d %.100s", path, got.status, got.raw)
		}
	}
	if got := e.post(t, "/protocol/openid-connect/revoke", basic("photoz-app"), "token", rpt); got.status != 200 {
		t.Errorf("revoke: got %d %.100s", got.status, got.raw)
	}
	if active(t, e, rpt) {
		t.Error("the RPT is active after it was revoked")
	}
}

// TestTooLongAnRPTSpendsNoTicket: the ticket of a request whose RPT would be too long
// is good for a smaller one.
func TestTooLongAnRPTSpendsNoTicket(t *testing.T) {
	t.Parallel()
	e := start(t)
	var scopes []string
	for i := range 180 {
		scopes = append(scopes, fmt.Sprintf("%03d %s", i, strings.Repeat("s", 249)))
	}
	id := e.create(t, map[string]any{"name": "Long", "type": "board", "resource_scopes": scopes})
	ticket := e.ticket(t, perm{Resource: id}, perm{Resource: "Public board", Scopes: []string{"view"}})
	bob := e.as(t, "bob", "photoz-app")
	e.uma(t, bob, "ticket", ticket).expect(t, 400, "invalid_request", "")
	if res := e.uma(t, bob, "ticket", ticket, "response_mode", "decision"); res.status != 200 {
		t.Errorf("the ticket after a refusal: got %s", res)
	}
}

// TestLargestLegacyRPT: one of these has its permissions twice, and an access token.
func TestLargestLegacyRPT(t *testing.T) {
	t.Parallel()
	e := boards(t)
	bob := e.as(t, "bob", "photoz-web")
	var perms []object
	for i := range 110 {
		perms = append(perms, setByName(fmt.Sprintf("%03d %s", i, strings.Repeat("n", 249)), "view"))
	}
	most := largest(t, 110, func(n int) bool { return e.entitle(t, bob, perms[:n]...).status == 200 })
	rpt := e.entitle(t, bob, perms[:most]...).str("rpt")
	if len(rpt) > 48_000 || len(rpt) < 46_000 {
		t.Errorf("the largest RPT has %d characters", len(rpt))
	}
	e.entitle(t, bob, perms[:most+1]...).expect(t, 400, "invalid_request", "")
	if !active(t, e, rpt) {
		t.Error("the largest RPT is not active")
	}
	if got := e.authorize(t, bearer(rpt), e.oldTicket(t, setByName("Mixed", "read")), ""); got.status != 201 {
		t.Errorf("as a bearer: got %d %.100s", got.status, got.raw)
	}
	if got := e.post(t, "/protocol/openid-connect/revoke", credentials{}, "client_id", "photoz-web", "token", rpt); got.status != 200 || active(t, e, rpt) {
		t.Errorf("revoke: got %d %.100s", got.status, got.raw)
	}
}
