package tests

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A held RPT is one of bob's through photoz-app, with what goes with it.
type held struct {
	rpt, refresh string
	aud          any
	permissions  []string
}

// hold obtains an RPT with named permissions.
func (e *env) hold(t testing.TB, permissions ...string) held {
	t.Helper()
	var ask []string
	for _, p := range permissions {
		ask = append(ask, "permission", p)
	}
	res := e.uma(t, e.as(t, "bob", "photoz-app"), ask...)
	if res.status != 200 || res.str("refresh_token") == "" {
		t.Fatalf("ask for %q: got %s", permissions, res)
	}
	return held{res.str("access_token"), res.str("refresh_token"), payload(t, res.str("access_token"))["aud"], granted(t, res)}
}

// expectRemaining fails unless an RPT is good for exactly this by introspection,
// with and without the hint, and as a bearer token; for nothing at all it is
// inactive.
func (e *env) expectRemaining(t *testing.T, rpt string, want ...string) {
	t.Helper()
	got := e.remaining(t, rpt)
	if !slices.EqualFunc(got, want, samePermission) {
		t.Errorf("got %q by introspection, want %q", got, want)
	}
	plain := e.post(t, introspect, basic("photoz-api"), "token", rpt).object()
	if plain["active"] != (len(want) > 0) {
		t.Errorf("introspection without a hint: got %v, want active: %v", plain, len(want) > 0)
	}
	shown := granted(t, &response{json: at(plain, "authorization", "permissions")})
	if !slices.EqualFunc(shown, want, samePermission) {
		t.Errorf("introspection without a hint: got %q, want %q", shown, want)
	}
	res := e.uma(t, bearer(rpt), "permission", "Public board#view", "response_mode", "decision")
	if active := res.status == 200; active != (len(want) > 0) {
		t.Errorf("as a bearer token: got %s, want it active: %v", res, len(want) > 0)
	}
	if len(want) == 0 {
		res.expect(t, 401, "invalid_grant", "Invalid bearer token")
	}
}

// refresh asks for a new RPT for a refresh token.
func (e *env) refresh(t testing.TB, token string) *response {
	t.Helper()
	return e.post(t, tokenPath, basic("photoz-app"), "grant_type", "refresh_token", "refresh_token", token)
}

// TestWhatAnRPTRestsOn: whatever an RPT rests on is withdrawn, and shows wherever
// the token is seen again. A row that is gone or moved refuses its refresh.
func TestWhatAnRPTRestsOn(t *testing.T) {
	t.Parallel()
	e := start(t)
	replaceWith := func(resource map[string]any) func(*testing.T, string) {
		return func(t *testing.T, id string) { replace(t, e, id, resource) }
	}
	board := func(name string, scopes ...string) map[string]any {
		return map[string]any{"name": name, "type": "board", "resource_scopes": scopes}
	}
	tests := []struct {
		name     string
		resource map[string]any // of photoz-api; nil for an album of alice's with two shares
		withdraw func(t *testing.T, id string)
		left     []string
		refresh  bool // it is still good
	}{
		{name: "nothing happens", resource: board("A", "view", "post"), withdraw: func(*testing.T, string) {}, left: []string{"A: view post"}, refresh: true},
		{name: "a resource is deleted", resource: board("B", "view"), withdraw: func(t *testing.T, id string) { remove(t, e, id) }},
		{name: "a resource is deleted and registered again", resource: board("B2", "view"), withdraw: func(t *testing.T, id string) {
			remove(t, e, id)
			e.create(t, board("B2", "view"))
		}},
		{name: "a scope is taken away", resource: board("C", "view", "post"), withdraw: replaceWith(board("C", "view")), left: []string{"C: view"}},
		{name: "all scopes are taken away", resource: board("D", "view"), withdraw: replaceWith(board("D"))},
		{name: "a scope is exchanged for another", resource: board("D2", "view"), withdraw: replaceWith(board("D2", "post"))},
		{name: "a scope comes in addition", resource: board("F", "view"), withdraw: replaceWith(board("F", "view", "post")), left: []string{"F: view"}},
		{name: "a resource is renamed", resource: board("G", "view"), withdraw: replaceWith(board("H", "view")), left: []string{"G: view"}},
		{name: "a resource becomes of another type", resource: board("I", "view"), withdraw: replaceWith(map[string]any{"name": "I", "type": "admin", "resource_scopes": []string{"view"}}), left: []string{"I: view"}},
		{name: "one share of two is taken back", withdraw: func(t *testing.T, id string) { e.unshare(t, id, "view", false) }, left: []string{"one share of two is taken back: comment"}},
		{name: "one share of two is deleted", withdraw: func(t *testing.T, id string) { e.unshare(t, id, "view", true) }, left: []string{"one share of two is deleted: comment"}},
		{name: "both shares are taken back", withdraw: func(t *testing.T, id string) {
			e.unshare(t, id, "view", false)
			e.unshare(t, id, "comment", false)
		}},
		{name: "a share is taken back and given again", withdraw: func(t *testing.T, id string) {
			e.unshare(t, id, "view", false)
			e.share(t, id, "bob", "view")
		}, left: []string{"a share is taken back and given again: comment"}},
		{name: "a share for somebody else comes in", withdraw: func(t *testing.T, id string) { e.share(t, id, "erin", "view") }, left: []string{"a share for somebody else comes in: view comment"}, refresh: true},
		{name: "a share for somebody else is taken back", withdraw: func(t *testing.T, id string) {
			share := e.share(t, id, "erin", "view")
			e.do(t, request{method: "DELETE", url: requests + "/" + share, as: e.service(t, "photoz-api")})
		}, left: []string{"a share for somebody else is taken back: view comment"}, refresh: true},
		{name: "the owner no longer manages it", withdraw: func(t *testing.T, id string) {
			replace(t, e, id, map[string]any{"name": "the owner no longer manages it", "type": "album", "owner": "alice", "resource_scopes": []string{"view", "comment"}})
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var id string
			if tc.resource != nil {
				id = e.create(t, tc.resource)
			} else {
				id = e.album(t, tc.name)
				e.share(t, id, "bob", "view")
				e.share(t, id, "bob", "comment")
			}
			h := e.hold(t, id)
			e.expectRemaining(t, h.rpt, h.permissions...)
			tc.withdraw(t, id)
			e.expectRemaining(t, h.rpt, tc.left...)

			res := e.refresh(t, h.refresh)
			if !tc.refresh {
				res.expect(t, 400, "invalid_grant", "")
				return
			}
			res.expectGranted(t, h.permissions...)
		})
	}

	t.Run("what stands of several", func(t *testing.T) {
		t.Parallel()
		a, b := e.create(t, board("J", "view")), e.create(t, board("K", "view"))
		h := e.hold(t, a, b, "#download")
		remove(t, e, a)
		e.expectRemaining(t, h.rpt, "K: view", "#download")
		e.refresh(t, h.refresh).expect(t, 400, "invalid_grant", "")
		remove(t, e, b)
		e.expectRemaining(t, h.rpt, "#download")
	})
}

// unshare takes back what alice shared with bob of a resource.
func (e *env) unshare(t testing.TB, resource, scope string, remove bool) {
	t.Helper()
	alice := e.as(t, "alice", "photoz-api")
	res := e.get(t, requests, alice, "resourceId", resource, "requester", "bob", "scopeId", scope)
	list := asList(res.json)
	if len(list) != 1 {
		t.Fatalf("look for the share of %s: got %s", scope, res)
	}
	if remove {
		res = e.do(t, request{method: "DELETE", url: requests + "/" + at(list[0], "id").(string), as: alice})
	} else {
		res = e.send(t, "PUT", requests, alice, map[string]any{"id": at(list[0], "id"), "granted": false})
	}
	if res.status != 204 {
		t.Fatalf("take back %s: got %s", scope, res)
	}
}

// TestRefreshKeepsAnRPT: a refresh makes no assessment, and keeps permissions and
// audience (UMA Grant §3.6).
func TestRefreshKeepsAnRPT(t *testing.T) {
	t.Parallel()
	e := start(t)
	db := e.stored(t)
	h := e.hold(t, "Public board#view", "Mixed#read")
	for range 3 {
		e.Clock.Advance(time.Minute)
		var res *response
		if records := recordsOf(t, db, func() { res = e.refresh(t, h.refresh) }); len(records) != 0 {
			t.Errorf("got %d decisions, want none", len(records))
		}
		res.expectGranted(t, h.permissions...)
		claims := payload(t, res.str("access_token"))
		if claims["aud"] != h.aud {
			t.Errorf("got aud %v, want %v", claims["aud"], h.aud)
		}
		if got := e.remaining(t, res.str("access_token")); !slices.EqualFunc(got, h.permissions, samePermission) {
			t.Errorf("the new RPT is good for %q, want %q", got, h.permissions)
		}
		if res.str("refresh_token") == "" || res.str("refresh_token") == h.refresh {
			t.Error("the refresh token was not rotated")
		}
		h.refresh = res.str("refresh_token")
	}
}

// TestWithdrawalByRealmFile: what a realm file takes away is taken away within a
// second, beside the running server.
func TestWithdrawalByRealmFile(t *testing.T) {
	t.Parallel()
	file := photozRealm(t)
	tests := []struct {
		name     string
		old, new string
		left     []string
	}{
		{"the user is disabled", "{username: bob, ", "{username: bob, enabled: false, ", nil},
		{"the client is disabled", "{id: photoz-app, ", "{id: photoz-app, enabled: false, ", nil},
		{"the resource is no longer in the file", "  - {name: Public board,", "  #", []string{"Mixed: read"}},
		{"a scope is no longer in the file", "scopes: [view, post], attr", "scopes: [view], attr", []string{"Public board: view", "Mixed: read"}},
		{"the user loses a role", "{username: bob, password: bob, roles: [user, ", "{username: bob, password: bob, roles: [", []string{"Public board: view post", "Mixed: read"}},
		{"something else changes", "rpt: 5m", "rpt: 4m", []string{"Public board: view post", "Mixed: read"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := start(t)
			h := e.hold(t, "Public board", "Mixed#read")
			e.service(t, "photoz-api")
			if !strings.Contains(file, tc.old) {
				t.Fatalf("the realm file has no %q", tc.old)
			}
			e.follow(t, strings.Replace(file, tc.old, tc.new, 1))
			e.expectRPT(t, h.rpt, tc.left...)
			if res := e.refresh(t, h.refresh); res.status/100 != 4 {
				t.Errorf("refresh: got %s, want a refusal", res)
			}
		})
	}
}

// TestFormerOwnersRPTEnds: what was granted to an owner ends when the resource is given
// to another; what was granted to others does not.
func TestFormerOwnersRPTEnds(t *testing.T) {
	t.Parallel()
	e := start(t)
	e.share(t, e.resourceID(t, "Holiday album"), "bob", "view")
	hold := func(user string) *response {
		return e.uma(t, e.as(t, user, "photoz-app"), "permission", e.resourceID(t, "Holiday album")+"#view", "permission", "Public board#view")
	}
	former, other := hold("alice"), hold("bob")
	former.expectGranted(t, "Holiday album: view", "Public board: view")
	other.expectGranted(t, "Holiday album: view", "Public board: view")
	e.service(t, "photoz-api")
	e.follow(t, strings.Replace(photozRealm(t), "{name: Holiday album, ", "{name: Holiday album, id: "+e.resourceID(t, "Holiday album")+", ", 1))
	e.follow(t, strings.NewReplacer("{name: Holiday album, ", "{name: Holiday album, id: "+e.resourceID(t, "Holiday album")+", ", "owner: alice, type: album", "owner: dave, type: album").Replace(photozRealm(t)))
	e.expectRPT(t, former.str("access_token"), "Public board: view")
	e.expectRPT(t, other.str("access_token"), "Holiday album: view", "Public board: view")
}

// TestWithdrawalByPolicy: an RPT stays what it is when the policy changes, until
// it is to be refreshed: then the client asks again (§6.1).
func TestWithdrawalByPolicy(t *testing.T) {
	t.Parallel()
	e := start(t)
	h := e.hold(t, "Public board#view")
	e.writePolicy(t, "board.rego", `package uma.policies.board
reasons contains "closed"`)
	within1s(t, "the new policy", func() bool {
		return e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Public board#view").status == 403
	})
	e.expectRPT(t, h.rpt, "Public board: view")
	e.refresh(t, h.refresh).expect(t, 400, "invalid_grant", "")
}

// expectRPT is expectRemaining by introspection alone.
func (e *env) expectRPT(t *testing.T, rpt string, want ...string) {
	t.Helper()
	if got := e.remaining(t, rpt); !slices.EqualFunc(got, want, samePermission) {
		t.Errorf("got %q by introspection, want %q", got, want)
	}
}

// TestWithdrawalByResourceServer: without its resource server an RPT is good for
// nothing.
func TestWithdrawalByResourceServer(t *testing.T) {
	t.Parallel()
	e := start(t)
	h := e.hold(t, "Public board#view")
	e.follow(t, strings.Replace(photozRealm(t), "{id: photoz-api, ", "{id: photoz-api, enabled: false, ", 1))
	e.post(t, introspect, basic("photoz-api"), "token", h.rpt).expect(t, 401, "invalid_client", "")
	own := e.post(t, introspect, basic("photoz-app"), "token", h.rpt)
	if own.object()["active"] != false {
		t.Errorf("introspection by the client: got %s, want it inactive", own)
	}
	e.refresh(t, h.refresh).expect(t, 400, "invalid_grant", "")
}
