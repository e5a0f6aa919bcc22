package tests

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLegacyIncremental is incremental authorization: what an earlier RPT carries
// is asked for again with the rest.
func TestLegacyIncremental(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	bob := e.as(t, "bob", "photoz-web")
	board, mixed := e.resourceID(t, "Public board"), e.resourceID(t, "Mixed")
	first := func(t *testing.T) string {
		t.Helper()
		return e.authorize(t, bob, e.oldTicket(t, setByID(board, "view")), "").expectLegacy(t, 201, "Public board: view")
	}

	t.Run("permissions are added", func(t *testing.T) {
		t.Parallel()
		e.authorize(t, bob, e.oldTicket(t, setByID(mixed, "read")), first(t)).expectLegacy(t, 201, "Mixed: read", "Public board: view")
		e.send(t, "POST", entitlementPath, bob, object{"permissions": []object{setByID(mixed, "read")}, "rpt": first(t)}).
			expectLegacy(t, 200, "Mixed: read", "Public board: view")
	})
	t.Run("scopes of one resource unite", func(t *testing.T) {
		t.Parallel()
		e.authorize(t, bob, e.oldTicket(t, setByID(board, "post")), first(t)).expectLegacy(t, 201, "Public board: post view")
	})
	t.Run("a denied ticket leaves what was there", func(t *testing.T) {
		t.Parallel()
		e.authorize(t, bob, e.oldTicket(t, setByName("Admin area")), first(t)).expectLegacy(t, 201, "Public board: view")
	})
	t.Run("an rpt alone", func(t *testing.T) {
		t.Parallel()
		e.send(t, "POST", entitlementPath, bob, object{"rpt": first(t)}).expectLegacy(t, 200, "Public board: view")
	})
	t.Run("all is evaluated again", func(t *testing.T) {
		t.Parallel()
		id := e.create(t, object{"name": "Lent", "owner": "alice", "ownerManagedAccess": true, "scopes": []string{"view"}})
		shared := e.share(t, id, "bob", "view")
		rpt := e.authorize(t, bob, e.oldTicket(t, setByID(id), setByID(board, "view")), "").expectLegacy(t, 201, "Lent: view", "Public board: view")
		if res := e.do(t, request{method: "DELETE", url: requests + "/" + shared, as: e.as(t, "alice", "photoz-api")}); res.status != 204 {
			t.Fatalf("withdraw: got %s", res)
		}
		e.authorize(t, bob, e.oldTicket(t, setByID(mixed, "read")), rpt).expectLegacy(t, 201, "Mixed: read", "Public board: view")
		if got := stored(t, e, id); len(got) != 0 {
			t.Errorf("alice is asked again for what she withdrew: %v", got)
		}
	})
	t.Run("a denied scope of a resource leaves what was there of it", func(t *testing.T) {
		t.Parallel()
		rpt := e.entitle(t, bob, setByID(mixed, "read")).expectLegacy(t, 200, "Mixed: read")
		e.authorize(t, bob, e.oldTicket(t, setByID(mixed, "write")), rpt).expectLegacy(t, 201, "Mixed: read")
	})
	t.Run("RPTs of either age", func(t *testing.T) {
		t.Parallel()
		today := e.uma(t, bob, "permission", "Public board#view").str("access_token")
		e.authorize(t, bob, e.oldTicket(t, setByID(mixed, "read")), today).expectLegacy(t, 201, "Mixed: read", "Public board: view")
		res := e.uma(t, bob, "permission", "Mixed#read", "rpt", first(t))
		res.expectGranted(t, "Mixed: read", "Public board: view")
		if res.object()["upgraded"] != true {
			t.Errorf("got %s, want it upgraded", res)
		}
	})
	t.Run("an expired rpt is ignored", func(t *testing.T) {
		t.Parallel()
		e := startLegacy(t)
		rpt := e.entitle(t, e.as(t, "bob", "photoz-web"), setByName("Public board")).str("rpt")
		e.Clock.Advance(5*time.Minute + time.Second)
		bob := e.as(t, "bob", "photoz-web")
		e.authorize(t, bob, e.oldTicket(t, setByName("Mixed")), rpt).expectLegacy(t, 201, "Mixed: read")
		e.authorize(t, bob, e.oldTicket(t, setByName("Admin area")), rpt).expect(t, 403, "not_authorized", "")
		e.send(t, "POST", entitlementPath, bob, object{"rpt": rpt}).expect(t, 403, "not_authorized", "")
	})
	t.Run("of another resource server", func(t *testing.T) {
		t.Parallel()
		e.send(t, "POST", "/authz/entitlement/other-api", bob, object{"rpt": first(t)}).expect(t, 403, "not_authorized", "")
	})
	t.Run("a bearer RPT is no rpt", func(t *testing.T) {
		t.Parallel()
		e.authorize(t, bearer(first(t)), e.oldTicket(t, setByID(mixed, "read")), "").expectLegacy(t, 201, "Mixed: read")
	})
}

// TestLegacyRPT is what becomes of an RPT: it introspects, is withdrawn and
// revoked like any other.
func TestLegacyRPT(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	bob, alice := e.as(t, "bob", "photoz-web"), e.as(t, "alice", "photoz-api")

	t.Run("introspection is today's", func(t *testing.T) {
		t.Parallel()
		rpt := e.entitle(t, bob, setByName("Public board", "view")).str("rpt")
		id := e.resourceID(t, "Public board")
		hinted := e.post(t, introspect, basic("photoz-api"), "token", rpt, "token_type_hint", "requesting_party_token").object()
		p := asObject(asList(hinted["permissions"])[0])
		if hinted["active"] != true || hinted["typ"] != "Bearer" || p["rsid"] != id || p["resource_id"] != id || p["rsname"] != "Public board" || len(p) != 5 {
			t.Errorf("got %v, want today's answer", hinted)
		}
		for _, hint := range []string{"", "access_token"} {
			plain := e.post(t, introspect, basic("photoz-api"), "token", rpt, "token_type_hint", hint).object()
			shown := granted(t, &response{json: at(plain, "authorization", "permissions")})
			if plain["active"] != true || plain["username"] != "bob" || plain["client_id"] != "photoz-web" || plain["typ"] != "Bearer" ||
				!slices.Equal(shown, []string{"Public board: view"}) {
				t.Errorf("got %v, want today's answer", plain)
			}
			if plain["accessToken"] != nil || plain["permissions"] != nil {
				t.Errorf("got %v, want nothing of the old shape", plain)
			}
		}
		if res := e.post(t, introspect, basic("other-api"), "token", rpt); len(res.object()) != 1 || res.object()["active"] != false {
			t.Errorf("another resource server is told %s", res)
		}
	})
	t.Run("a withdrawal shows", func(t *testing.T) {
		t.Parallel()
		id := e.create(t, object{"name": "Withdrawn", "owner": "alice", "ownerManagedAccess": true, "scopes": []string{"view"}})
		shared := e.share(t, id, "bob", "view")
		rpt := e.authorize(t, bob, e.oldTicket(t, setByID(id)), "").expectLegacy(t, 201, "Withdrawn: view")
		if got := e.remaining(t, rpt); !slices.Equal(got, []string{"Withdrawn: view"}) {
			t.Errorf("got %q", got)
		}
		if res := e.do(t, request{method: "DELETE", url: requests + "/" + shared, as: alice}); res.status != 204 {
			t.Fatalf("withdraw: got %s", res)
		}
		if active(t, e, rpt) {
			t.Error("the RPT outlives the share")
		}
		e.authorize(t, bearer(rpt), e.oldTicket(t, setByName("Public board")), "").expect(t, 403, "invalid_bearer_token", "")
	})
	t.Run("revoked", func(t *testing.T) {
		t.Parallel()
		rpt := e.entitle(t, bob, setByName("Public board")).str("rpt")
		access := payload(t, rpt)["accessToken"].(string)
		other := e.post(t, "/protocol/openid-connect/revoke", basic("photoz-app"), "token", rpt)
		if other.status != 200 || !active(t, e, rpt) {
			t.Errorf("another client's attempt: got %s", other)
		}
		if res := e.post(t, "/protocol/openid-connect/revoke", credentials{}, "client_id", "photoz-web", "token", rpt); res.status != 200 {
			t.Fatalf("revoke: got %s", res)
		}
		if active(t, e, rpt) || active(t, e, access) {
			t.Error("the RPT or its access token is good after it was revoked")
		}
	})
	t.Run("it expires with the caller's session", func(t *testing.T) {
		t.Parallel()
		e := startLegacy(t)
		session := e.newSignIn(t, "bob", "photoz-web", "")
		rpt := e.entitle(t, bearer(session.str("access_token")), setByName("Public board")).str("rpt")
		e.post(t, "/protocol/openid-connect/logout", credentials{}, "client_id", "photoz-web", "refresh_token", session.str("refresh_token"))
		if active(t, e, rpt) || active(t, e, payload(t, rpt)["accessToken"].(string)) {
			t.Error("the RPT or its access token outlives the session")
		}
	})
}

// TestAttackLegacyAccessToken: the access token in an RPT is shown to a resource
// server, which may use it at no other place.
func TestAttackLegacyAccessToken(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	// Through the resource server's own client: nothing but the audience keeps the
	// token from being a PAT.
	rpt := e.entitle(t, e.as(t, "alice", "photoz-api"), setByName("Public board")).str("rpt")
	access := bearer(payload(t, rpt)["accessToken"].(string))
	for name, as := range map[string]credentials{"RPT": bearer(rpt), "accessToken": access} {
		t.Run(name+" is no PAT", func(t *testing.T) {
			t.Parallel()
			id := e.resourceID(t, "Holiday album")
			check := untouched(t, e, id)
			for _, r := range append(protectionCalls(id),
				request{method: "POST", url: permission, json: setByID(id)}, request{method: "POST", url: permissionsPath, json: []object{setByID(id)}},
				request{method: "POST", url: "/authz/protection/uma-policy/" + id, json: object{"name": "x", "users": []string{"bob"}}}) {
				r.as = as
				e.do(t, r).expect(t, 403, "invalid_bearer_token", noBearer)
			}
			check()
		})
		t.Run(name+" is not for the account", func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/account/resources", "/account/resources/shared-with-me", "/protocol/openid-connect/userinfo"} {
				if res := e.get(t, path, as); res.status != 401 && res.status != 403 {
					t.Errorf("%s: got %s, want a refusal", path, res)
				}
			}
		})
		t.Run(name+" is not for other resource servers", func(t *testing.T) {
			t.Parallel()
			e.get(t, "/authz/entitlement/other-api", as).expect(t, 403, "invalid_bearer_token", noBearer)
			e.uma(t, as, "audience", "other-api").expect(t, 401, "invalid_grant", "Invalid bearer token")
			if res := e.post(t, introspect, basic("other-api"), "token", as.bearer); res.object()["active"] != false {
				t.Errorf("another resource server is told %s", res)
			}
		})
		t.Run(name+" obtains nothing that lasts longer", func(t *testing.T) {
			t.Parallel()
			next := payload(t, e.entitle(t, as, setByName("Mixed")).expectLegacy(t, 200, "Mixed: read"))
			if exp := payload(t, rpt)["exp"]; next["exp"] != exp || next["aud"] != "photoz-api" {
				t.Errorf("got exp %v and aud %v, want %v and photoz-api", next["exp"], next["aud"], exp)
			}
			if inner := payload(t, next["accessToken"].(string)); inner["exp"] != next["exp"] || inner["aud"] != "photoz-api" {
				t.Errorf("its access token: got %v", inner)
			}
		})
	}
	t.Run("the access token has no refresh token", func(t *testing.T) {
		t.Parallel()
		res := e.uma(t, access, "permission", "Public board#view")
		res.expectGranted(t, "Public board: view")
		if res.str("refresh_token") != "" {
			t.Errorf("got %s", res)
		}
	})
	t.Run("the RPT is no bearer token of the token endpoint", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bearer(rpt), "permission", "Public board#view").expect(t, 401, "invalid_grant", "Invalid bearer token")
		e.uma(t, basic("photoz-app"), "permission", "Public board#view", "subject_token", rpt).expect(t, 400, "unauthorized_client", "Invalid identity")
	})
	t.Run("a new one expires early when the RPT does", func(t *testing.T) {
		t.Parallel()
		e := start(t, photozWith(t, map[string]string{"short.rego": "package uma.policies.short\ngrant contains \"*\"\n"},
			"tokens: {access: 5m, rpt: 5m", "tokens: {access: 5m, rpt: 30s"))
		rpt := payload(t, e.get(t, entitlementPath, e.as(t, "bob", "photoz-web")).str("rpt"))
		now := float64(e.Clock.Now().Unix())
		if inner := payload(t, rpt["accessToken"].(string)); rpt["exp"] != now+30 || inner["exp"] != now+30 {
			t.Errorf("got exp %v and %v, want both after 30 s", rpt["exp"], inner["exp"])
		}
	})
}

// TestAttackLegacyTickets is those on tickets and upgrades at the old endpoint.
func TestAttackLegacyTickets(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	bob, erin := e.as(t, "bob", "photoz-web"), e.as(t, "erin", "photoz-web")
	view := setByName("Public board", "view")
	unusable := func(t *testing.T, res *response) {
		t.Helper()
		res.expect(t, 403, "invalid_ticket", "Ticket verification failed")
	}

	t.Run("A-1_A-2_replay", func(t *testing.T) {
		t.Parallel()
		ticket := e.oldTicket(t, view)
		e.authorize(t, bob, ticket, "").expectLegacy(t, 201, "Public board: view")
		unusable(t, e.authorize(t, bob, ticket, ""))
		unusable(t, e.authorize(t, erin, ticket, ""))
	})
	t.Run("A-2_replay_by_another_client_ends_the_RPT", func(t *testing.T) {
		t.Parallel()
		ticket := e.oldTicket(t, view)
		rpt := e.authorize(t, bob, ticket, "").expectLegacy(t, 201, "Public board: view")
		unusable(t, e.authorize(t, e.as(t, "bob", "photoz-app"), ticket, ""))
		if active(t, e, rpt) {
			t.Error("the RPT is good after its ticket was replayed by another client")
		}
	})
	t.Run("a denied ticket is spent too", func(t *testing.T) {
		t.Parallel()
		ticket := e.oldTicket(t, setByName("Admin area"))
		e.authorize(t, bob, ticket, "").expect(t, 403, "not_authorized", "")
		unusable(t, e.authorize(t, bob, ticket, ""))
	})
	t.Run("A-10_a_malformed_request_spends_nothing", func(t *testing.T) {
		t.Parallel()
		ticket := e.oldTicket(t, view)
		e.authorize(t, bob, ticket, "garbage").expect(t, 403, "invalid_rpt", "")
		e.send(t, "POST", authorizePath, bob, object{"ticket": ticket, "foo": 1}).expect(t, 400, "invalid_request", "")
		e.authorize(t, e.as(t, "carol", "photoz-web"), ticket, "").expect(t, 403, "invalid_scope", "")
		e.authorize(t, bob, ticket, "").expectLegacy(t, 201, "Public board: view")
	})
	t.Run("A-6_guessing_is_slowed_down", func(t *testing.T) {
		t.Parallel()
		e := start(t, func(o *options) { o.Limits.FailedTickets = 2 })
		bob, good := e.as(t, "bob", "photoz-web"), e.oldTicket(t, view)
		unusable(t, e.authorize(t, bob, "garbage", ""))
		unusable(t, e.authorize(t, bob, "garbage", ""))
		e.authorize(t, bob, good, "").expect(t, 429, "temporarily_unavailable", "")
	})
	t.Run("A-14_many_tickets", func(t *testing.T) {
		t.Parallel()
		e := start(t, func(o *options) { o.Limits.Tickets = 1 })
		e.oldTicket(t, view)
		e.send(t, "POST", permission, e.service(t, "photoz-api"), view).expect(t, 429, "temporarily_unavailable", "")
	})
	t.Run("ticket_reuse", func(t *testing.T) {
		t.Parallel()
		e := start(t, photozWith(t, nil, "\nprofile: keycloak", "\nticket_reuse: true\nprofile: keycloak"))
		ticket := e.oldTicket(t, view)
		for range 2 {
			e.authorize(t, e.as(t, "bob", "photoz-web"), ticket, "").expectLegacy(t, 201, "Public board: view")
		}
		e.Clock.Advance(2 * time.Minute)
		unusable(t, e.authorize(t, e.as(t, "bob", "photoz-web"), ticket, ""))
	})
	t.Run("A-116_secrets_are_nowhere", func(t *testing.T) {
		t.Parallel()
		e := startLegacy(t)
		ticket := e.oldTicket(t, view)
		rpt := e.authorize(t, e.as(t, "bob", "photoz-web"), ticket, "").expectLegacy(t, 201, "Public board: view")
		e.authorize(t, e.as(t, "bob", "photoz-web"), ticket, rpt)
		for _, secret := range []string{ticket, rpt, payload(t, rpt)["accessToken"].(string)} {
			if e.logged(t, secret[len(secret)-40:]) || strings.Contains(string(readFile(t, e.Data+"/decisions.log")), secret[len(secret)-40:]) {
				t.Error("a secret is in a log")
			}
		}
	})
	t.Run("many permissions", func(t *testing.T) {
		t.Parallel()
		perms := make([]object, 201)
		for i := range perms {
			perms[i] = view
		}
		const tooMany = "The request resolves to more than policy.max_permissions (200) permissions"
		e.entitle(t, bob, perms...).expect(t, 400, "invalid_request", tooMany)
		e.send(t, "POST", permissionsPath, e.service(t, "photoz-api"), perms).expect(t, 400, "invalid_request", "The request resolves to more than policy.max_permissions (200) permissions")
	})
	t.Run("A-127_other_origins", func(t *testing.T) {
		t.Parallel()
		const page = "http://localhost:3000"
		ask := func(r request, origin string) *response {
			r.headers = map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST", "Content-Type": "application/json"}
			return e.do(t, r)
		}
		for _, path := range []string{authorizePath, entitlementPath} {
			res := ask(request{method: "OPTIONS", url: path}, page)
			if res.status != 204 || !strings.Contains(res.header.Get("Access-Control-Allow-Methods"), "POST") || res.header.Get("Access-Control-Allow-Origin") != page {
				t.Errorf("%s: got %s %v, want a preflight that allows POST", path, res, res.header)
			}
			for _, body := range []string{`{"ticket":"garbage"}`, `{"permissions":[{}]}`, `{`} {
				res = ask(request{method: "POST", url: path, as: bob, body: body}, page)
				if res.status < 400 || res.header.Get("Access-Control-Allow-Origin") != page {
					t.Errorf("%s: got %s %v, want an error that the page may read", path, res, res.header)
				}
				res = ask(request{method: "POST", url: path, as: bob, body: body}, "http://evil.example")
				if res.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s: a foreign page may read %s", path, res)
				}
			}
		}
	})
	t.Run("A-127_errors_that_come_before_the_client_is_known", func(t *testing.T) {
		t.Parallel()
		const page, others, foreign = "http://localhost:3000", "http://other.example", "http://evil.example"
		e := start(t, photozWith(t, nil, "clients:", "clients:\n  - {id: other-web, public: true, web_origins: [\""+others+"\"]}"))
		old := e.as(t, "bob", "photoz-web")
		e.Clock.Advance(6 * time.Minute)
		good := e.as(t, "bob", "photoz-web")
		for _, path := range []string{authorizePath, entitlementPath, permissionsPath, permissionsPath + "/"} {
			for origin, reads := range map[string]struct{ unknown, known bool }{page: {true, true}, others: {true, false}, foreign: {}, "null": {}, "": {}} {
				for as, want := range map[credentials]bool{{}: reads.unknown, bearer("garbage"): reads.unknown, old: reads.unknown, basic("photoz-app"): reads.unknown, good: reads.known} {
					res := e.do(t, request{method: "POST", url: path, as: as, body: "{", headers: map[string]string{"Origin": origin, "Content-Type": "application/json"}})
					allowed := res.header.Get("Access-Control-Allow-Origin")
					if res.status < 400 || allowed != map[bool]string{true: origin}[want] || res.header.Get("Vary") != "Origin" {
						t.Errorf("%s from %q: got %s with Allow-Origin %q, want it to be read: %t", path, origin, res, allowed, want)
					}
					if got := res.header.Get("Access-Control-Allow-Credentials"); (got == "true") != want {
						t.Errorf("%s from %q: got Allow-Credentials %q", path, origin, got)
					}
				}
			}
		}
	})
}
