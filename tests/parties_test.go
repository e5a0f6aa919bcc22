package tests

import (
	"maps"
	"sync"
	"testing"

	"example.com/umpire/uma"
)

// exampleIssuer is one that says which roles of photoz its parties have.
func exampleIssuer(t testing.TB, algorithms ...string) *issuer {
	t.Helper()
	i := newIssuer(t, "example", algorithms...)
	i.Realm["map"] = map[string]any{"roles": "realm_access.roles", "email": "email", "acr": "acr", "attributes": map[string]string{"department": "department"}}
	return i
}

// asUser are the claims of a token whose party has photoz's role user.
var asUser = claims{"realm_access": claims{"roles": []string{"user"}}, "preferred_username": "dana"}

// with adds to claims.
func (c claims) with(more claims) claims {
	both := maps.Clone(c)
	maps.Copy(both, more)
	return both
}

// user is the row of a user of the realm.
func (e *env) user(t testing.TB, name string) (*uma.User, error) {
	t.Helper()
	db := e.stored(t)
	realm, err := db.Snapshot(t.Context(), e.Realm, e.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return uma.Read(t.Context(), db, func(v uma.View) (*uma.User, error) { return v.UserByName(t.Context(), realm.Realm.Key, name) })
}

// TestForeignBearer: a bearer of a trusted issuer gets an RPT of a party with an id of this
// server, which has no session and no refresh token and ends with the bearer. The party is made
// once, and is the same whichever of its tokens is presented.
func TestForeignBearer(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			i := exampleIssuer(t, alg)
			e := start(t, photozTrusting(t, []*issuer{i}, nil))
			now := e.Clock.Now().Unix()
			first := e.uma(t, bearer(i.token(t, e, "u1", asUser.with(claims{"exp": now + 60}))), "permission", "Public board#view")
			first.expectGranted(t, "Public board: view")
			rpt := payload(t, first.str("access_token"))
			user, err := e.user(t, "example/dana")
			if err != nil || rpt["sub"] != user.ID || user.Identity == nil || user.Identity.Subject != "u1" {
				t.Fatalf("got sub %v, row %+v, %v", rpt["sub"], user, err)
			}
			id, _ := rpt["sub_id"].(map[string]any)
			if id["format"] != "iss_sub" || id["iss"] != i.URL || id["sub"] != "u1" || len(id) != 3 {
				t.Errorf("got sub_id %v", id)
			}
			if rpt["sid"] != nil || first.object()["refresh_token"] != nil || rpt["azp"] != "photoz-app" {
				t.Errorf("got %v, %s: want no session and no refresh token", rpt, first)
			}
			if rpt["exp"] != float64(now+60) || first.object()["expires_in"] != 60.0 {
				t.Errorf("got exp %v, want that of the bearer", rpt["exp"])
			}
			second := e.uma(t, bearer(i.token(t, e, "u1", asUser.with(claims{"preferred_username": "renamed"}))), "permission", "Public board#view")
			if again := payload(t, second.str("access_token")); again["sub"] != rpt["sub"] || again["preferred_username"] != "example/dana" {
				t.Errorf("got %v, want the same party", again)
			}
			e.uma(t, bearer(i.token(t, e, "u1", nil)), "permission", "Public board#view").expect(t, 403, "access_denied", "not_authorized")
		})
	}
}

// TestPartyIsMadeOnce: however many requests bring the first tokens of a party.
func TestPartyIsMadeOnce(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, nil))
	var wg sync.WaitGroup
	var mu sync.Mutex
	subjects := map[any]int{}
	for range 20 {
		token := i.token(t, e, "u1", asUser)
		wg.Go(func() {
			res := e.uma(t, bearer(token), "permission", "Public board#view")
			mu.Lock()
			defer mu.Unlock()
			subjects[payload(t, res.str("access_token"))["sub"]]++
		})
	}
	wg.Wait()
	if len(subjects) != 1 {
		t.Errorf("got the subjects %v, want one", subjects)
	}
}

// TestEqualSubjects: the subject u1 of two issuers, and a local user of that name, are three.
func TestEqualSubjects(t *testing.T) {
	t.Parallel()
	one, two := exampleIssuer(t), newIssuer(t, "other")
	two.Realm["map"] = one.Realm["map"]
	e := start(t, photozTrusting(t, []*issuer{one, two}, nil))
	seen := map[any]bool{payload(t, e.token(t, "bob", "photoz-app"))["sub"]: true}
	for _, i := range []*issuer{one, two} {
		res := e.uma(t, bearer(i.token(t, e, "bob", asUser.with(claims{"preferred_username": "bob", "email": "bob@example.com", "email_verified": true}))), "permission", "Public board#view")
		seen[payload(t, res.str("access_token"))["sub"]] = true
	}
	if len(seen) != 3 {
		t.Errorf("got %d parties, want 3: %v", len(seen), seen)
	}
}

// TestForeignBearerElsewhere: a bearer of a trusted issuer counts at the UMA grant and the
// account API alone.
func TestForeignBearerElsewhere(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, nil))
	token := i.token(t, e, "u1", asUser.with(claims{"azp": "api-guid", "scope": "openid uma_protection", "resource_access": claims{"photoz-api": claims{"roles": []string{"uma_protection"}}}}))
	as := bearer(token)
	if res := e.get(t, "/account/resources", as); res.status != 200 {
		t.Errorf("the account API: got %s, want 200", res)
	}
	for name, res := range map[string]*response{
		"userinfo":             e.get(t, "/protocol/openid-connect/userinfo", as),
		"at introspection":     e.post(t, introspect, as, "token", token),
		"as a PAT":             e.get(t, resourceSet, as),
		"as a PAT for tickets": e.send(t, "POST", permission, as, []perm{{Resource: "Public board"}}),
		"as a PAT, PingAM":     e.get(t, e.URL+"/uma/realms/root/resource_set", as),
		"legacy":               e.send(t, "POST", "/authz/authorize", as, map[string]any{"ticket": "t"}),
		"legacy entitlement":   e.get(t, "/authz/entitlement/photoz-api", as),
	} {
		if res.status != 401 {
			t.Errorf("%s: got %s, want 401", name, res)
		}
	}
	if res := e.post(t, introspect, basic("photoz-api"), "token", token); res.status != 200 || res.object()["active"] != false {
		t.Errorf("introspection of it: got %s, want inactive", res)
	}
	e.uma(t, as, "permission", "Public board#view", "rpt", token).
		expect(t, 401, "invalid_token", "A token of another issuer is not accepted here: exchange it for a token of this realm")
}

// TestForeignBearerRefused: tokens of a trusted issuer that are no bearers.
func TestForeignBearerRefused(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, nil))
	now := e.Clock.Now().Unix()
	for name, token := range map[string]string{
		"for somebody else":           i.token(t, e, "u1", asUser.with(claims{"aud": "another-api"})),
		"for nobody":                  i.token(t, e, "u1", asUser.with(claims{"aud": nil})),
		"through an unmapped client":  i.token(t, e, "u1", asUser.with(claims{"azp": "unknown-guid"})),
		"through no client":           i.token(t, e, "u1", asUser.with(claims{"azp": nil})),
		"for a client of the request": i.token(t, e, "u1", asUser.with(claims{"aud": "app-guid"})),
		"expired, within the leeway":  i.token(t, e, "u1", asUser.with(claims{"exp": now})),
		"an ID token":                 i.idToken(t, e, "u1", asUser),
		"bound to a key":              i.token(t, e, "u1", asUser.with(claims{"cnf": claims{"jkt": "x"}})),
	} {
		if res := e.uma(t, bearer(token), "permission", "Public board#view"); res.status != 401 {
			t.Errorf("%s: got %s, want 401", name, res)
		}
	}
	opaque := e.uma(t, bearer("0pAqUe-t0ken"), "permission", "Public board#view")
	opaque.expect(t, 401, "invalid_grant", "The token is not a signed JWT, so it cannot be checked here: ask the issuer for an access token for this server's audience")
	if _, err := e.user(t, "example/dana"); err == nil {
		t.Error("a token that was refused made a party")
	}
}

// TestPartyEnds: when a party is disabled, or its issuer is taken out of the realm file, its
// bearers and RPTs end at once. RPTs of before do not come back with the party.
func TestPartyEnds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ end, undo func(e *env, realm string) }{
		"disabled": {
			end:  func(e *env, _ string) { e.enableParty(t, "example/dana", false) },
			undo: func(e *env, _ string) { e.enableParty(t, "example/dana", true) },
		},
		"its issuer is removed": {
			end:  func(e *env, _ string) { e.apply(t, photozRealm(t)) },
			undo: func(e *env, realm string) { e.apply(t, realm) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := exampleIssuer(t)
			var realm string
			e := start(t, photozTrusting(t, []*issuer{i}, nil), func(o *options) { realm = o.Realm })
			token := i.token(t, e, "u1", asUser)
			ask := func() *response { return e.uma(t, bearer(token), "permission", "Public board#view") }
			shown := func(token string) *response { return e.post(t, introspect, basic("photoz-api"), "token", token) }
			first := ask()
			first.expectGranted(t, "Public board: view")
			rpt := first.str("access_token")
			if got := shown(rpt).object(); got["active"] != true || got["username"] != "example/dana" || got["sub_id"] == nil {
				t.Fatalf("introspection: got %v, want it active, with sub_id", got)
			}
			tc.end(e, realm)
			within1s(t, "the refused bearer", func() bool { return ask().status == 401 })
			if got := shown(rpt).object(); got["active"] != false {
				t.Errorf("its RPT: got %v, want it inactive", got)
			}
			if res := e.get(t, "/account/resources", bearer(token)); res.status != 401 {
				t.Errorf("the account API: got %s, want 401", res)
			}
			tc.undo(e, realm)
			within1s(t, "the bearer that counts again", func() bool { return ask().status == 200 })
			if got := shown(rpt).object(); name == "disabled" && got["active"] != false {
				t.Errorf("its RPT of before, enabled again: got %v, want it inactive", got)
			}
		})
	}
}
