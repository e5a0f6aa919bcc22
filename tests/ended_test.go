package tests

import (
	"strings"
	"testing"
)

// What ends an RPT ends everything that came of it, and what has ended is good for
// nothing.

// TestEndedWithItsCopies: a replay by another client ends the refreshed copies of
// an RPT too (UMA Grant §5.5), and the access token in one of the legacy API.
func TestEndedWithItsCopies(t *testing.T) {
	t.Parallel()
	e := start(t)
	replay := func(t *testing.T, ticket string) {
		t.Helper()
		unusable(t, e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", ticket))
	}

	t.Run("refreshed", func(t *testing.T) {
		t.Parallel()
		ticket := boardTicket(t, e)
		own := e.newSignIn(t, "bob", "photoz-app", "")
		first := e.uma(t, bearer(own.str("access_token")), "ticket", ticket)
		second := e.refresh(t, first.str("refresh_token"))
		third := e.refresh(t, second.str("refresh_token"))
		for _, res := range []*response{first, second, third} {
			if !active(t, e, res.str("access_token")) {
				t.Fatalf("got %s, want an RPT", res)
			}
		}
		replay(t, ticket)
		for i, res := range []*response{first, second, third} {
			if active(t, e, res.str("access_token")) {
				t.Errorf("RPT %d of the line is active after the replay", i+1)
			}
		}
		e.refresh(t, third.str("refresh_token")).expect(t, 400, "invalid_grant", "")
	})

	t.Run("the access token within", func(t *testing.T) {
		t.Parallel()
		ticket := e.oldTicket(t, setByName("Public board", "view"))
		rpt := e.authorize(t, e.as(t, "bob", "photoz-app"), ticket, "").expectLegacy(t, 201, "Public board: view")
		within, _ := payload(t, rpt)["accessToken"].(string)
		if !active(t, e, within) {
			t.Fatal("the access token is not active")
		}
		replay(t, ticket)
		if active(t, e, within) {
			t.Error("the access token is active after the replay")
		}
	})
}

// TestEndedCarriesNothing: an RPT that has ended is no `rpt` to go on with.
func TestEndedCarriesNothing(t *testing.T) {
	t.Parallel()
	e := start(t)
	ticket, app := boardTicket(t, e), e.as(t, "bob", "photoz-app")
	rpt := e.uma(t, app, "ticket", ticket).str("access_token")
	e.uma(t, app, "ticket", boardTicket(t, e), "rpt", rpt).expectGranted(t, "Public board: view")
	unusable(t, e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", ticket))
	e.uma(t, app, "ticket", boardTicket(t, e), "rpt", rpt).expect(t, 403, "invalid_rpt", "RPT signature is invalid")
	e.uma(t, app, "permission", "Mixed#read", "rpt", rpt).expect(t, 403, "invalid_rpt", "RPT signature is invalid")
	e.authorize(t, app, e.oldTicket(t, setByName("Public board", "view")), rpt).expect(t, 403, "invalid_rpt", "RPT signature is invalid")
}

// TestWithdrawWhatIsNoLongerOwnerManaged: an owner may take back what was granted,
// though nothing more can be.
func TestWithdrawWhatIsNoLongerOwnerManaged(t *testing.T) {
	t.Parallel()
	e := start(t)
	rs, alice := e.service(t, "photoz-api"), e.as(t, "alice", "photoz-web")
	album := map[string]any{"name": "Lent", "owner": "alice", "scopes": []string{"view"}, "ownerManagedAccess": true}
	id := e.create(t, album)
	manage := func(on bool) {
		album["ownerManagedAccess"] = on
		if res := e.send(t, "PUT", resourceSet+"/"+id, rs, album); res.status != 204 {
			t.Fatalf("got %s", res)
		}
	}
	grant := func(scopes ...string) *response {
		return e.send(t, "PUT", "/account/resources/"+id+"/permissions", alice, []any{map[string]any{"username": "bob", "scopes": append([]string{}, scopes...)}})
	}
	if res := grant("view"); res.status != 204 {
		t.Fatalf("got %s", res)
	}
	rpt := e.hold(t, id+"#view").rpt
	manage(false)
	if res := grant("view"); res.status != 400 {
		t.Errorf("to share: got %s, want 400", res)
	}
	if res := grant(); res.status != 204 {
		t.Errorf("to take back: got %s, want 204", res)
	}
	manage(true)
	e.expectRemaining(t, rpt)
}

// TestTicketForNothingIsSpent: a legacy ticket whose scopes are not there is used
// once, like any.
func TestTicketForNothingIsSpent(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	ticket, bob := e.oldTicket(t, setByName("Public board", "nope")), e.as(t, "bob", "photoz-web")
	e.authorize(t, bob, ticket, "").expect(t, 403, "not_authorized", "")
	e.authorize(t, bob, ticket, "").expect(t, 403, "invalid_ticket", "")
}

// TestWhatIsNoIdentity: a token that says what may be done does not say who asks
// in a realm with the profile uma2 only an ID token does.
func TestWhatIsNoIdentity(t *testing.T) {
	t.Parallel()
	e := start(t)
	app := basic("photoz-app")
	ask := func(token string) *response {
		return e.uma(t, app, "permission", "Public board#view", "claim_token", token, "claim_token_format", claimsID)
	}
	ask(e.idToken(t, "bob", "photoz-app")).expectGranted(t, "Public board: view")
	ask(e.token(t, "bob", "photoz-app")).expectGranted(t, "Public board: view")
	ask(e.hold(t, "Public board#view").rpt).expect(t, 400, "unauthorized_client", "Invalid identity")
	ask(e.get(t, entitlementPath, e.as(t, "bob", "photoz-app")).str("rpt")).expect(t, 400, "unauthorized_client", "Invalid identity")

	strict := strictly(t)
	alice := strict.patOf(t, "alice", "photoz-api")
	id := strict.register(t, alice, typed("open", "view"))
	present := func(token string) *response {
		return strict.uma(t, app, "ticket", strict.strictTicket(t, alice, any(object{"resource_id": id, "resource_scopes": []string{"view"}})), "claim_token", token, "claim_token_format", claimsID)
	}
	present(strict.idToken(t, "bob", "photoz-app")).expectGranted(t, id+": view")
	present(strict.token(t, "bob", "photoz-app")).expect(t, 403, "need_info", "")
}

// TestClaimTokenOfAnotherClient: a claim token proves something only if it was made for
// the client that presents it.
func TestClaimTokenOfAnotherClient(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, map[string]string{
		"board.rego": "package uma.policies.board\ngrant contains \"*\" if input.claims.verified.preferred_username == \"bob\"\n",
	}))
	db := e.stored(t)
	tests := []struct {
		name   string
		token  string
		as     credentials
		reason string // why it is not believed; empty if it is
	}{
		{"an ID token", e.idToken(t, "bob", "photoz-app"), basic("photoz-app"), ""},
		{"an access token", e.token(t, "bob", "photoz-app"), basic("photoz-app"), ""},
		{"an access token of another client, made for this one too", e.token(t, "bob", "photoz-web"), basic("photoz-api"), ""},
		{"an ID token of another client", e.idToken(t, "bob", "photoz-app"), basic("plain-app"), "issued to another client"},
		{"an access token of another client", e.token(t, "bob", "photoz-app"), basic("plain-app"), "issued to another client"},
		{"an RPT", e.hold(t, "Mixed#read").rpt, basic("photoz-app"), "not an identity token"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			_, event := onlyRecord(t, db, func() {
				res := e.uma(t, tc.as, "permission", "Public board#view", "subject_token", e.token(t, "bob", "photoz-web"), "claim_token", tc.token, "claim_token_format", claimsID)
				if (res.status == 200) != (tc.reason == "") {
					t.Errorf("got %s", res)
				}
			})
			seen, _ := at(event, "input", "claims", "tokens").([]any)
			if len(seen) != 1 || at(seen[0], "verified") != (tc.reason == "") || tc.reason != "" && at(seen[0], "reason") != tc.reason {
				t.Errorf("got %v on record, want reason %q", seen, tc.reason)
			}
		})
	}
}

// TestPATOfAUserIntrospectsItsOwn: the PAT of a user tells nothing of other users'
// tokens (FedAuthz §5).
func TestPATOfAUserIntrospectsItsOwn(t *testing.T) {
	t.Parallel()
	e := start(t)
	look := func(pat credentials, token string) any {
		res := e.do(t, request{method: "POST", url: e.URL + "/t/photoz/oauth2/introspect", as: pat, form: form("token", token)})
		if res.status != 200 {
			t.Fatalf("got %s", res)
		}
		return res.object()["active"]
	}
	bobs, alices := e.token(t, "bob", "photoz-api"), e.token(t, "alice", "photoz-api")
	alice := strictPAT(t, e)
	if got := look(alice, alices); got != true {
		t.Errorf("her own: got active %v", got)
	}
	if got := look(alice, bobs); got != false {
		t.Errorf("bob's: got active %v", got)
	}
	for _, path := range []string{"/t/photoz/oauth2/introspect", "/am/oauth2/realms/root/realms/photoz/introspect"} {
		e.do(t, request{method: "POST", url: e.URL + path + "?access_token=" + bobs, as: alice, form: form("token", alices)}).
			expect(t, 400, "invalid_request", "the access token comes in two ways")
	}
	rs := bearer(e.signIn(t, "", "photoz-api", "uma_protection").access)
	if got := look(rs, bobs); got != true {
		t.Errorf("by the resource server itself: got active %v", got)
	}
}

// TestRolesTakenBackEndPATs: a PAT went on registering, until it expired, after its
// user had lost the role.
func TestRolesTakenBackEndPATs(t *testing.T) {
	t.Parallel()
	e := start(t)
	pat := e.as(t, "bob", "photoz-api")
	withScope := bearer(e.signIn(t, "bob", "photoz-api", "uma_protection").access)
	register := func(name string) *response {
		return e.send(t, "POST", resourceSet, pat, map[string]any{"name": name, "resource_scopes": []string{"view"}})
	}
	register("Before").expect(t, 201, "", "")
	list := func() *response {
		return e.do(t, request{method: "GET", url: e.URL + "/api/identity/oauth2/uma/resourceregistration/v1.0/resource", as: withScope})
	}
	list().expect(t, 200, "", "")
	e.apply(t, strings.Replace(photozRealm(t), "username: bob, password: bob, roles: [user, uma_authorization], client_roles: {photoz-api: [uma_protection]}", "username: bob, password: bob, roles: [user]", 1))
	within1s(t, "bob registers nothing", func() bool { return register("After").status == 403 })
	register("Later").expect(t, 403, "invalid_scope", "Requires uma_protection scope.")
	if res := list(); res.status != 403 {
		t.Errorf("with the scope: got %s, want 403", res)
	}
	// A role that the user has, and the token not, does not count either.
	carol := e.as(t, "carol", "photoz-api")
	e.get(t, resourceSet, carol).expect(t, 403, "invalid_scope", "Requires uma_protection scope.")
	e.apply(t, strings.Replace(photozRealm(t), "username: carol, password: carol, roles: [uma_authorization]", "username: carol, password: carol, client_roles: {photoz-api: [uma_protection]}", 1))
	within1s(t, "carol may register with a new token", func() bool {
		fresh := bearer(e.newSignIn(t, "carol", "photoz-api", "").str("access_token"))
		return e.get(t, resourceSet, fresh).status == 200
	})
	e.get(t, resourceSet, carol).expect(t, 403, "invalid_scope", "Requires uma_protection scope.")
}

// TestNewPasswordEndsSessions: sessions of the old password went on.
func TestNewPasswordEndsSessions(t *testing.T) {
	t.Parallel()
	e := start(t)
	first, other := e.newSignIn(t, "bob", "photoz-app", ""), e.newSignIn(t, "erin", "photoz-app", "")
	rpt := e.uma(t, bearer(first.str("access_token")), "permission", "Public board#view")
	e.apply(t, photozRealm(t))
	if !active(t, e, first.str("access_token")) {
		t.Error("ended by a file that says the same")
	}
	e.apply(t, strings.Replace(photozRealm(t), "username: bob, password: bob", "username: bob, password: alice", 1))
	for _, res := range []*response{first, rpt} {
		if active(t, e, res.str("access_token")) {
			t.Error("a token is active after the password was changed")
		}
		e.refresh(t, res.str("refresh_token")).expect(t, 400, "invalid_grant", "Session not active")
	}
	if !active(t, e, other.str("access_token")) {
		t.Error("another user's session has ended")
	}
}

// TestEnabledAgain: a user or a client that was disabled does not have its old tokens
// back.
func TestEnabledAgain(t *testing.T) {
	t.Parallel()
	for who, off := range map[string][2]string{
		"user":   {"{username: bob,", "{enabled: false, username: bob,"},
		"client": {"{id: photoz-app,", "{enabled: false, id: photoz-app,"},
	} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			e := start(t)
			old := e.newSignIn(t, "bob", "photoz-app", "")
			text := strings.Replace(photozRealm(t), off[0], off[1], 1)
			if text == photozRealm(t) {
				t.Fatal("nothing was replaced")
			}
			e.apply(t, text)
			e.apply(t, photozRealm(t))
			within1s(t, "the client signs in again", func() bool {
				return e.post(t, tokenPath, basic("photoz-app"), "grant_type", "client_credentials").status == 200
			})
			if res := e.refresh(t, old.str("refresh_token")); res.status != 400 {
				t.Errorf("refresh: got %s, want 400", res)
			}
			if active(t, e, old.str("access_token")) {
				t.Error("the access token is active again")
			}
		})
	}
}
