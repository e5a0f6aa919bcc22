package tests

import (
	"strings"
	"testing"
)

const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
	idTokenType     = "urn:ietf:params:oauth:token-type:id_token"
)

// exchanging is the photoz realm with issuers, whose clients photoz-app and photoz-api may
// exchange tokens.
func exchanging(t testing.TB, issuers ...*issuer) func(*options) {
	t.Helper()
	return photozTrusting(t, issuers, nil,
		"{id: photoz-app, secret: app-secret,", "{id: photoz-app, secret: app-secret, token_exchange: true, scopes: [download],",
		"{id: photoz-api, secret: secret,", "{id: photoz-api, secret: secret, token_exchange: true,")
}

// exchange asks for a token of the realm for one of an issuer.
func (e *env) exchange(t testing.TB, client, token string, kv ...string) *response {
	t.Helper()
	p := append(form("grant_type", exchangeGrant, "subject_token", token), form(kv...)...)
	if !strings.Contains(p.encode(), "subject_token_type") {
		p = append(p, [2]string{"subject_token_type", accessTokenType})
	}
	return e.do(t, request{method: "POST", url: tokenPath, as: basic(client), form: p})
}

// TestTokenExchange: a client gets a token of the realm, its own, for one of a trusted issuer.
// What the issuer says of the party is in it; it has no session and no refresh token and ends
// with the issuer's token.
func TestTokenExchange(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	i.Realm["map"].(map[string]any)["groups"] = map[string]any{"from": "groups", "prefix": "/example", "optional": true}
	e := start(t, exchanging(t, i))
	now := e.Clock.Now().Unix()
	said := asUser.with(claims{
		"exp": now + 100, "groups": []string{"staff"}, "acr": "gold", "department": 12345678901234567,
		"email": "Dana@example.com", "email_verified": true, "resource_access": claims{"photoz-api": claims{"roles": []string{"uma_protection"}}},
	})
	res := e.exchange(t, "photoz-app", i.token(t, e, "u1", said), "scope", "download uma_protection unknown")
	if res.status != 200 || res.str("issued_token_type") != accessTokenType || res.str("token_type") != "Bearer" ||
		res.object()["expires_in"] != 100.0 || res.str("scope") != "download" || res.object()["refresh_token"] != nil {
		t.Fatalf("got %s", res)
	}
	token := res.str("access_token")
	got := payload(t, token)
	for name, want := range map[string]any{
		"azp": "photoz-app", "typ": "Bearer", "exp": float64(now + 100), "preferred_username": "example/dana", "acr": "gold",
		"groups_known": true, "email": "dana@example.com", "email_verified": true, "sid": nil, "resource_access": nil,
	} {
		if got[name] != want {
			t.Errorf("got %s %v, want %v", name, got[name], want)
		}
	}
	if id, _ := got["sub_id"].(map[string]any); id["iss"] != i.URL || id["sub"] != "u1" {
		t.Errorf("got sub_id %v", got["sub_id"])
	}

	db := e.stored(t)
	_, event := onlyRecord(t, db, func() {
		e.uma(t, bearer(token), "permission", "Public board#view").expectGranted(t, "Public board: view")
	})
	subject := at(event, "input", "subject").(map[string]any)
	if subject["id"] != got["sub"] || subject["type"] != "user" || subject["issuer"] != i.URL || subject["external_id"] != "u1" ||
		subject["groups_known"] != true || subject["acr"] != "gold" || at(subject, "attributes", "department") != 12345678901234567.0 ||
		asList(subject["groups"])[0] != "/example/staff" || asList(subject["roles"])[0] != "user" || len(subject["client_roles"].(map[string]any)) != 0 {
		t.Errorf("the policy saw %v", subject)
	}
	if res := e.get(t, "/account/resources", bearer(token)); res.status != 200 {
		t.Errorf("the account API: got %s", res)
	}
	if res := e.get(t, resourceSet, bearer(token)); res.status != 403 {
		t.Errorf("as a PAT: got %s, want 403", res)
	}

	// Groups that the issuer does not say are unknown for the exchanged token, too. An address
	// that it has not verified is not in that.
	silent := e.exchange(t, "photoz-app", i.token(t, e, "u2", asUser.with(claims{"preferred_username": "kim", "email": "kim@example.com"}))).str("access_token")
	_, event = onlyRecord(t, db, func() { e.uma(t, bearer(silent), "permission", "Public board#view") })
	if known := at(event, "input", "subject", "groups_known"); known != false {
		t.Errorf("without groups: got groups_known %v, want false", known)
	}
	if email := payload(t, silent)["email"]; email != nil {
		t.Errorf("got email %v, want none", email)
	}

	// An application that shows its own token: its audience is the client id.
	shown := e.exchange(t, "photoz-api", i.token(t, e, "u1", said.with(claims{"aud": "api-guid", "azp": "api-guid"})))
	if shown.status != 200 || payload(t, shown.str("access_token"))["sub"] != got["sub"] {
		t.Errorf("a token for the client that authenticates: got %s", shown)
	}
	if res := e.exchange(t, "photoz-app", i.idToken(t, e, "u1", said), "subject_token_type", idTokenType); res.status != 200 {
		t.Errorf("an ID token of the client: got %s", res)
	}

	e.Clock.Advance(100e9)
	e.uma(t, bearer(token), "permission", "Public board#view").expect(t, 401, "invalid_grant", "")
}

// TestTokenExchangeRefused: what is not exchanged, and for whom.
func TestTokenExchangeRefused(t *testing.T) {
	t.Parallel()
	i, unused := exampleIssuer(t), newIssuer(t, "bearers")
	unused.Realm["accept"] = []string{"bearer"}
	e := start(t, exchanging(t, i, unused))
	good := i.token(t, e, "u1", asUser)
	const unusable = "subject_token is not a valid token of a trusted issuer for this client, or the realm does not accept it"
	now := e.Clock.Now().Unix()
	for name, tc := range map[string]struct {
		res         *response
		code, words string
	}{
		"a client that may not":           {e.exchange(t, "plain-app", i.token(t, e, "u1", claims{"azp": "plain-guid"})), "unauthorized_client", ""},
		"issued to another client":        {e.exchange(t, "photoz-api", good), "invalid_request", unusable},
		"for another client":              {e.exchange(t, "photoz-app", i.token(t, e, "u1", claims{"aud": "api-guid", "azp": nil})), "invalid_request", unusable},
		"for anybody":                     {e.exchange(t, "photoz-app", i.token(t, e, "u1", claims{"aud": "another-api"})), "invalid_request", unusable},
		"of an issuer for bearers alone":  {e.exchange(t, "photoz-app", unused.token(t, e, "u1", nil)), "invalid_request", unusable},
		"forged":                          {e.exchange(t, "photoz-app", good[:len(good)-6]+"AAAAAA"), "invalid_request", unusable},
		"expired, within the leeway":      {e.exchange(t, "photoz-app", i.token(t, e, "u1", claims{"exp": now})), "invalid_request", unusable},
		"bound to a key":                  {e.exchange(t, "photoz-app", i.token(t, e, "u1", claims{"cnf": claims{"jkt": "x"}})), "invalid_request", unusable},
		"a token of this realm":           {e.exchange(t, "photoz-app", e.token(t, "bob", "photoz-app")), "invalid_request", unusable},
		"an ID token as an access token":  {e.exchange(t, "photoz-app", i.idToken(t, e, "u1", nil)), "invalid_request", unusable},
		"an access token as an ID token":  {e.exchange(t, "photoz-app", good, "subject_token_type", idTokenType), "invalid_request", unusable},
		"opaque":                          {e.exchange(t, "photoz-app", "0pAqUe"), "invalid_request", "The token is not a signed JWT, so it cannot be checked here: ask the issuer for an access token for this server's audience"},
		"with an actor_token":             {e.exchange(t, "photoz-app", good, "actor_token", good, "actor_token_type", accessTokenType), "invalid_request", ""},
		"with an actor_token_type":        {e.exchange(t, "photoz-app", good, "actor_token_type", accessTokenType), "invalid_request", ""},
		"A-58 for a resource":             {e.exchange(t, "photoz-app", good, "resource", "https://other-api.example.com"), "invalid_target", ""},
		"A-58 for an audience":            {e.exchange(t, "photoz-app", good, "audience", "other-api"), "invalid_target", ""},
		"for a refresh token":             {e.exchange(t, "photoz-app", good, "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), "invalid_request", ""},
		"of an unknown type":              {e.exchange(t, "photoz-app", good, "subject_token_type", "urn:ietf:params:oauth:token-type:saml2"), "invalid_request", ""},
		"for scopes that are not granted": {e.exchange(t, "photoz-app", i.token(t, e, "u2", nil), "scope", "uma_protection admin"), "invalid_scope", ""},
		"twice":                           {e.exchange(t, "photoz-app", good, "subject_token", good), "invalid_request", ""},
	} {
		want := 400
		if tc.code == "unauthorized_client" {
			want = 401 // as Keycloak answers
		}
		if tc.res.object()["access_token"] != nil {
			t.Errorf("%s: got a token", name)
		}
		tc.res.expect(t, want, tc.code, tc.words)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	wrong := e.do(t, request{method: "POST", url: tokenPath, form: form("grant_type", exchangeGrant, "subject_token", good, "subject_token_type", accessTokenType, "client_id", "photoz-app", "client_secret", "no")})
	wrong.expect(t, 401, "invalid_client", "")
	if _, err := e.user(t, "example/dana"); err == nil {
		t.Error("a token that was refused made a party")
	}
}

// TestSubjectTokenOfIssuer: at the UMA grant a client shows a token of a trusted issuer that was
// issued to it, or for it.
func TestSubjectTokenOfIssuer(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, nil))
	ask := func(client, token string) *response {
		return e.uma(t, basic(client), "permission", "Public board#view", "subject_token", token)
	}
	for name, res := range map[string]*response{
		"issued to it": ask("photoz-app", i.token(t, e, "u1", asUser)),
		"for it":       ask("photoz-api", i.token(t, e, "u1", asUser.with(claims{"aud": "api-guid", "azp": nil}))),
	} {
		res.expectGranted(t, "Public board: view")
		rpt := payload(t, res.str("access_token"))
		if rpt["sub_id"] == nil || res.object()["refresh_token"] != nil {
			t.Errorf("%s: got %v", name, rpt)
		}
	}
	for name, res := range map[string]*response{
		"issued to another client": ask("photoz-api", i.token(t, e, "u1", asUser)),
		"for another client":       ask("photoz-app", i.token(t, e, "u1", asUser.with(claims{"aud": "api-guid", "azp": nil}))),
		"of a public client": e.do(t, request{method: "POST", url: tokenPath, form: form("grant_type", umaGrant, "audience", "photoz-api",
			"permission", "Public board#view", "client_id", "photoz-web", "subject_token", i.token(t, e, "u1", asUser.with(claims{"azp": "web-guid"})))}),
	} {
		if res.status != 400 || res.str("error") != "unauthorized_client" {
			t.Errorf("%s: got %s, want 400", name, res)
		}
	}
}

// TestTokensElsewhere: a token counts where it is for.
func TestTokensElsewhere(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, exchanging(t, i))
	bob := e.as(t, "bob", "photoz-app")
	foreign := bearer(i.token(t, e, "u1", asUser))

	t.Run("A-56_an_RPT_at_another_resource_server", func(t *testing.T) {
		t.Parallel()
		for name, as := range map[string]credentials{"a local user's": bob, "a party's": foreign} {
			rpt := e.uma(t, as, "permission", "Public board#view").str("access_token")
			if aud := payload(t, rpt)["aud"]; aud != "photoz-api" {
				t.Errorf("%s: got aud %v", name, aud)
			}
			for server, want := range map[string]bool{"photoz-api": true, "other-api": false} {
				if res := e.post(t, introspect, basic(server), "token", rpt); res.object()["active"] != want {
					t.Errorf("%s at %s: got %s, want active %t", name, server, res, want)
				}
			}
			if res := e.uma(t, bearer(rpt), "permission", "Other thing#view", "audience", "other-api"); res.status != 401 {
				t.Errorf("%s as a bearer for another server: got %s, want 401", name, res)
			}
		}
	})
	t.Run("A-57_a_token_that_is_bound_to_a_key", func(t *testing.T) {
		t.Parallel()
		bound := bearer(i.token(t, e, "u1", asUser.with(claims{"cnf": claims{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}})))
		e.uma(t, bound, "permission", "Public board#view").expect(t, 401, "invalid_grant", "")
		if res := e.get(t, "/account/resources", bound); res.status != 401 {
			t.Errorf("the account API: got %s, want 401", res)
		}
	})
	t.Run("A-58_a_resource_that_names_another_server", func(t *testing.T) {
		t.Parallel()
		ticket := boardTicket(t, e)
		for _, resource := range []string{"https://other-api.example.com", "other-api", ""} {
			e.uma(t, bob, "ticket", ticket, "resource", resource).expect(t, 400, "invalid_target", "")
		}
		e.uma(t, bob, "ticket", ticket).expectGranted(t, "Public board: view")
	})
	t.Run("the_RPT_of_a_party_identifies_nobody", func(t *testing.T) {
		t.Parallel()
		rpt := e.uma(t, foreign, "permission", "Public board#view").str("access_token")
		e.uma(t, bearer(rpt), "permission", "Public board#view").expect(t, 401, "invalid_grant", "")
		e.uma(t, foreign, "permission", "Mixed#read", "rpt", rpt).expectGranted(t, "Mixed: read", "Public board: view")

		// One of the legacy API, and the access token in it.
		exchanged := e.exchange(t, "photoz-app", i.token(t, e, "u1", asUser)).str("access_token")
		legacy := e.get(t, "/authz/entitlement/photoz-api", bearer(exchanged)).str("rpt")
		within, _ := payload(t, legacy)["accessToken"].(string)
		for _, token := range []string{legacy, within} {
			e.uma(t, bearer(token), "permission", "Public board#view").expect(t, 401, "invalid_grant", "")
			if res := e.uma(t, basic("photoz-app"), "permission", "Public board#view", "subject_token", token); res.status != 400 {
				t.Errorf("as a subject_token: got %s, want 400", res)
			}
			if res := e.uma(t, basic("photoz-app"), "permission", "Public board#view", "claim_token", token); res.status == 200 {
				t.Errorf("as a claim token that identifies: got %s", res)
			}
			if res := e.get(t, "/authz/entitlement/photoz-api", bearer(token)); res.status == 200 {
				t.Errorf("at the legacy API: got %s", res)
			}
		}
	})
	t.Run("exchanged_tokens_end_with_the_party", func(t *testing.T) {
		t.Parallel()
		token := e.exchange(t, "photoz-app", i.token(t, e, "u9", asUser.with(claims{"preferred_username": "erna"}))).str("access_token")
		shown := func() any { return e.post(t, introspect, basic("photoz-app"), "token", token).object()["active"] }
		if shown() != true {
			t.Fatal("the token is not active")
		}
		e.enableParty(t, "example/erna", false)
		if shown() != false {
			t.Error("the token of a disabled party is active")
		}
		e.enableParty(t, "example/erna", true)
		if shown() != false {
			t.Error("the token came back with the party")
		}
	})
}

// TestApplicationOfIssuer: an application's own token is of the type service. It asks no owner
// and owns nothing.
func TestApplicationOfIssuer(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, map[string]string{"album.rego": "package uma.policies.album\nsubmit contains s if some s in input.scopes\n"}))
	db := e.stored(t)
	ask := func(as credentials) (string, *response) {
		t.Helper()
		ticket := e.ticket(t, perm{Resource: e.resourceID(t, "Holiday album"), Scopes: []string{"view"}})
		var res *response
		_, event := onlyRecord(t, db, func() { res = e.uma(t, as, "ticket", ticket) })
		return at(event, "input", "subject", "type").(string), res
	}
	if typ, res := ask(bearer(i.token(t, e, "u1", asUser))); typ != "user" || res.str("error_description") != "request_submitted" {
		t.Errorf("a user: got %s, %s", typ, res)
	}
	for name, token := range map[string]string{
		"idtyp":      i.token(t, e, "a1", claims{"idtyp": "app"}),
		"its client": i.token(t, e, "app-guid", nil),
	} {
		if typ, res := ask(bearer(token)); typ != "service" || res.str("error_description") != "request_denied" {
			t.Errorf("%s: got %s, %s, want a service that is denied", name, typ, res)
		}
		if res := e.get(t, "/account/resources", bearer(token)); res.status != 403 {
			t.Errorf("%s at the account API: got %s, want 403", name, res)
		}
	}
}

// TestKeysMissing: while the keys of an issuer were never had, its tokens are answered with 503;
// the server is ready, and its other tokens count.
func TestKeysMissing(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	i.URL = "http://127.0.0.1:1"
	i.Realm["issuer"], i.Realm["allow_private"], i.down = i.URL, true, true
	e := start(t, exchanging(t, i))
	token := i.token(t, e, "u1", asUser)
	for name, res := range map[string]*response{
		"the UMA grant":   e.uma(t, bearer(token), "permission", "Public board#view"),
		"a subject_token": e.uma(t, basic("photoz-app"), "permission", "Public board#view", "subject_token", token),
		"token exchange":  e.exchange(t, "photoz-app", token),
		"the account API": e.get(t, "/account/resources", bearer(token)),
	} {
		if res.status != 503 || res.header.Get("Retry-After") == "" {
			t.Errorf("%s: got %s, Retry-After %q, want 503", name, res, res.header.Get("Retry-After"))
		}
	}
	bob := e.as(t, "bob", "photoz-app")
	for name, res := range map[string]*response{ // where none counts
		"a PAT": e.get(t, resourceSet, bearer(token)),
		"rpt":   e.uma(t, bob, "permission", "Public board#view", "rpt", token),
	} {
		if res.status != 401 || res.str("error") != "invalid_token" {
			t.Errorf("%s: got %s, want 401 invalid_token", name, res)
		}
	}
	if res := e.admin(t, "/readyz"); res.status != 200 {
		t.Errorf("readiness: got %s", res)
	}
	e.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view")
}
