package tests

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// renamed is the photoz realm under another name, in a file of its own.
func renamed(t testing.TB, name string, replace ...string) string {
	t.Helper()
	return strings.NewReplacer(append([]string{"realm: photoz\n", "realm: " + name + "\n"}, replace...)...).Replace(photozRealm(t))
}

// kids are the ids of the keys that a realm publishes, sorted.
func (e *env) kids(t testing.TB) []string {
	t.Helper()
	var kids []string
	for _, key := range asList(e.get(t, "/protocol/openid-connect/certs", credentials{}).object()["keys"]) {
		kids = append(kids, at(key, "kid").(string))
	}
	slices.Sort(kids)
	return kids
}

// kid is the id of the key that a token is signed with.
func kid(t testing.TB, token string) string {
	t.Helper()
	header, _, _ := strings.Cut(token, ".")
	id, _ := payload(t, "."+header+".")["kid"].(string)
	return id
}

// TestRealmsApart: nothing crosses realms, not even between two of one server
// with the same clients, users, secrets and resources.
func TestRealmsApart(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *options) { o.More = []string{renamed(t, "other")} })
	db := e.stored(t)
	there := e.in("other")
	here := e.newSignIn(t, "bob", "photoz-app", "openid")
	access, refresh, id := here.str("access_token"), here.str("refresh_token"), here.str("id_token")
	rpt := e.uma(t, bearer(access), "permission", "Public board#view")
	album := e.resourceID(t, "Holiday album")
	share := e.share(t, album, "bob", "view")
	pat, patThere := e.service(t, "photoz-api"), there.service(t, "photoz-api")

	t.Run("tokens", func(t *testing.T) {
		there.uma(t, bearer(access), "permission", "Public board").expect(t, 401, "invalid_grant", "Invalid bearer token")
		there.uma(t, bearer(rpt.str("access_token")), "permission", "Public board").expect(t, 401, "invalid_grant", "Invalid bearer token")
		there.get(t, resourceSet, pat).expect(t, 403, "invalid_bearer_token", "")
		there.send(t, "POST", permission, pat, perm{Resource: "Public board"}).expect(t, 403, "invalid_bearer_token", "")
		there.get(t, "/protocol/openid-connect/userinfo", bearer(access)).expect(t, 401, "invalid_token", "")
		for _, token := range []string{access, refresh, id, rpt.str("access_token")} {
			res := there.post(t, introspect, basic("photoz-app"), "token", token)
			if res.status != 200 || string(res.raw) != `{"active":false}` {
				t.Errorf("introspection there: got %s, want it inactive", res)
			}
		}
		there.uma(t, there.as(t, "bob", "photoz-app"), "permission", "Public board", "rpt", rpt.str("access_token")).expect(t, 403, "invalid_rpt", "")
		there.uma(t, basic("photoz-app"), "permission", "Public board", "subject_token", access).expect(t, 400, "unauthorized_client", "")
		there.uma(t, basic("photoz-app"), "permission", "Public board", "claim_token", id).expect(t, 400, "unauthorized_client", "")
	})

	t.Run("sessions", func(t *testing.T) {
		there.refresh(t, refresh).expect(t, 400, "invalid_grant", "")
		there.post(t, "/protocol/openid-connect/revoke", basic("photoz-app"), "token", refresh)
		there.post(t, "/protocol/openid-connect/logout", basic("photoz-app"), "refresh_token", refresh).expect(t, 400, "invalid_grant", "")
		there.get(t, "/protocol/openid-connect/logout", credentials{}, "id_token_hint", id).expect(t, 400, "invalid_request", "")
		if res := e.refresh(t, refresh); res.status != 200 {
			t.Errorf("the session here: got %s, want it to go on", res)
		}
	})

	t.Run("resources", func(t *testing.T) {
		if res := there.get(t, resourceSet+"/"+album, patThere); res.status != 404 {
			t.Errorf("read a resource of the other realm: got %s, want 404", res)
		}
		there.send(t, "POST", permission, patThere, perm{Resource: album}).expect(t, 400, "invalid_resource_id", "")
		there.uma(t, there.as(t, "bob", "photoz-app"), "permission", album).expect(t, 400, "invalid_resource", "")
		if res := there.get(t, resourceSet, patThere, "_id", album); string(res.raw) != "[]" {
			t.Errorf("list by its id: got %s, want nothing", res)
		}
		if res := there.send(t, "PUT", resourceSet+"/"+album, patThere, map[string]any{"name": "Taken"}); res.status != 404 {
			t.Errorf("replace it: got %s, want 404", res)
		}
		there.send(t, "PUT", requests, patThere, map[string]any{"id": share, "granted": false}).expect(t, 400, "invalid_request", "")
		e.uma(t, e.as(t, "bob", "photoz-app"), "permission", album+"#view").expectGranted(t, "Holiday album: view")
	})

	t.Run("users", func(t *testing.T) {
		bobHere, _ := payload(t, access)["sub"].(string)
		res := there.send(t, "POST", requests, patThere, map[string]any{
			"resource": there.resourceID(t, "Holiday album"), "requester": bobHere, "scopeName": "view", "granted": true,
		})
		res.expect(t, 400, "invalid_permission", "")
		there.send(t, "POST", resourceSet, patThere, map[string]any{"name": "Bob's", "owner": bobHere}).expect(t, 400, "invalid_request", "")
	})

	t.Run("keys and records", func(t *testing.T) {
		if a, b := e.kids(t), there.kids(t); len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(kid string) bool { return slices.Contains(b, kid) }) {
			t.Errorf("got keys %v and %v, want different ones", a, b)
		}
		r, event := onlyRecord(t, db, func() { there.uma(t, there.as(t, "bob", "photoz-app"), "permission", "Public board#view") })
		if r.Realm != "other" || at(event, "input", "realm") != "other" || at(event, "bundles", "other") == nil || at(event, "bundles", "photoz") != nil {
			t.Errorf("got a record of realm %q: %s", r.Realm, r.Event)
		}
	})

	for _, path := range []string{"/realms/nobody/protocol/openid-connect/token", "/realms/photo/protocol/openid-connect/token", "/realms/PHOTOZ/protocol/openid-connect/token"} {
		res := e.do(t, request{method: "POST", url: e.URL + path, form: form("grant_type", "client_credentials")})
		if res.status != 404 {
			t.Errorf("%s: got %s, want 404", path, res)
		}
	}
}

// TestKeysRotate: a new key signs within a second, and the old one is published
// until the last token that it signed has expired.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			e := start(t, photozWith(t, nil, "signing_alg: RS256", "signing_alg: "+alg))
			before := e.kids(t)
			old := e.newSignIn(t, "bob", "photoz-app", "openid").str("access_token")
			if len(before) != 1 || kid(t, old) != before[0] {
				t.Fatalf("got keys %v and a token signed with %s", before, kid(t, old))
			}

			e.rotateKey(t)
			var fresh string
			within1s(t, "the new key", func() bool {
				fresh = e.newSignIn(t, "bob", "photoz-app", "openid").str("access_token")
				return kid(t, fresh) != before[0]
			})
			after := e.kids(t)
			if len(after) != 2 || !slices.Contains(after, before[0]) || !slices.Contains(after, kid(t, fresh)) {
				t.Errorf("got keys %v, want %s and %s", after, before[0], kid(t, fresh))
			}
			for _, token := range []string{old, fresh} {
				if res := e.get(t, "/protocol/openid-connect/userinfo", bearer(token)); res.status != 200 {
					t.Errorf("a token of key %s: got %s, want it good", kid(t, token), res)
				}
			}

			// Access tokens and RPTs last 5 minutes; one may have been signed by a
			// server that had not noticed yet.
			e.Clock.Advance(5*time.Minute - time.Second)
			if got := e.kids(t); len(got) != 2 {
				t.Errorf("shortly before the last token expires: got keys %v, want both", got)
			}
			if res := e.get(t, "/protocol/openid-connect/userinfo", bearer(old)); res.status != 200 {
				t.Errorf("the old token in its last second: got %s, want it good", res)
			}
			e.Clock.Advance(5 * time.Minute)
			if got := e.kids(t); !slices.Equal(got, []string{kid(t, fresh)}) {
				t.Errorf("after that: got keys %v, want the new one", got)
			}
		})
	}
}

// TestSigningAlgChanges: a realm's file may ask for another algorithm; the tokens
// of the old one are good until they expire.
func TestSigningAlgChanges(t *testing.T) {
	t.Parallel()
	e := start(t)
	old := e.newSignIn(t, "bob", "photoz-app", "openid").str("access_token")
	e.follow(t, strings.Replace(photozRealm(t), "signing_alg: RS256", "signing_alg: ES256", 1))
	fresh := e.newSignIn(t, "bob", "photoz-app", "openid").str("access_token")
	header, _, _ := strings.Cut(fresh, ".")
	if alg := payload(t, "."+header+".")["alg"]; alg != "ES256" {
		t.Errorf("got a token with alg %v, want ES256", alg)
	}
	for _, token := range []string{old, fresh} {
		if res := e.get(t, "/protocol/openid-connect/userinfo", bearer(token)); res.status != 200 {
			t.Errorf("a token of key %s: got %s, want it good", kid(t, token), res)
		}
	}
	doc := e.get(t, "/.well-known/openid-configuration", credentials{}).object()
	if got := asList(doc["id_token_signing_alg_values_supported"]); len(got) != 1 || got[0] != "ES256" {
		t.Errorf("discovery: got %v, want ES256", got)
	}
}

// TestDisabled: a realm, client or user that is disabled takes part in nothing,
// with tokens of before neither; enabled again, it goes on.
func TestDisabled(t *testing.T) {
	t.Parallel()
	file := photozRealm(t)
	type answers struct {
		signIn, bearer *response
	}
	tests := []struct {
		name     string
		old, new string
		want     func(t *testing.T, got answers)
	}{
		{"realm", "profile: keycloak\n", "profile: keycloak\nenabled: false\n", func(t *testing.T, got answers) {
			got.signIn.expect(t, 403, "access_denied", "Realm not enabled")
			got.bearer.expect(t, 403, "access_denied", "Realm not enabled")
		}},
		{"client", "{id: photoz-app, ", "{id: photoz-app, enabled: false, ", func(t *testing.T, got answers) {
			got.signIn.expect(t, 401, "invalid_client", "Invalid client or Invalid client credentials")
			got.bearer.expect(t, 401, "invalid_grant", "Invalid bearer token")
		}},
		{"user", "{username: bob, ", "{username: bob, enabled: false, ", func(t *testing.T, got answers) {
			got.signIn.expect(t, 400, "invalid_grant", "Account disabled")
			got.bearer.expect(t, 401, "invalid_grant", "Invalid bearer token")
		}},
		{"resource server", "{id: photoz-api, ", "{id: photoz-api, enabled: false, ", func(t *testing.T, got answers) {
			if got.signIn.status != 200 {
				t.Errorf("sign in: got %s, want 200", got.signIn)
			}
			got.bearer.expect(t, 400, "invalid_request", "Unknown resource server id: [photoz-api]")
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := start(t)
			access := e.newSignIn(t, "bob", "photoz-app", "").str("access_token")
			ask := func() answers {
				return answers{
					e.post(t, tokenPath, basic("photoz-app"), "grant_type", "password", "username", "bob", "password", "bob"),
					e.uma(t, bearer(access), "permission", "Public board#view"),
				}
			}
			e.apply(t, strings.Replace(file, tc.old, tc.new, 1))
			within1s(t, "the disabled "+tc.name, func() bool { a := ask(); return a.bearer.status != 200 })
			tc.want(t, ask())
			e.apply(t, file)
			// With a new token: that of a user who was disabled is no good any more.
			within1s(t, "the enabled "+tc.name, func() bool {
				res := ask().signIn
				return res.status == 200 && e.uma(t, bearer(res.str("access_token")), "permission", "Public board#view").status == 200
			})
		})
	}
}

// TestOnlyRealm: paths without a realm are about the only one, while there is only one: a server that was
// started before the second was applied answers as one that starts afterwards.
func TestOnlyRealm(t *testing.T) {
	t.Parallel()
	e := start(t)
	root := func() *response {
		return e.do(t, request{method: "GET", url: e.URL + "/.well-known/uma2-configuration"})
	}
	if res := root(); res.status != 200 || res.str("issuer") != e.base() {
		t.Fatalf("one realm: got %s, want its discovery", res)
	}
	e.apply(t, renamed(t, "other", "bundle: ./policies", "bundle: "+filepath.Join(filepath.Dir(e.File), "policies")))
	within1s(t, "that there is no only realm", func() bool { return root().status == 404 })
	root().expect(t, 404, "Realm does not exist", "")
	if res := e.in("other").get(t, "/.well-known/uma2-configuration", credentials{}); res.status != 200 {
		t.Errorf("the new realm: got %s, want 200", res)
	}
}
