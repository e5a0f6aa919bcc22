package tests

import (
	"fmt"
	"sync"
	"testing"
)

// ownedBy registers a resource of photoz-api with an owner, as a name or as {"iss", "sub"}.
func ownedBy(t testing.TB, e *env, name string, owner any) *response {
	t.Helper()
	return e.send(t, "POST", resourceSet, e.service(t, "photoz-api"), map[string]any{
		"name": name, "type": "album", "resource_scopes": []string{"view", "comment"}, "owner": owner, "ownerManagedAccess": true,
	})
}

// ownerIn is the owner in an answer.
func ownerIn(res *response) (id, name string) {
	owner, _ := res.object()["owner"].(map[string]any)
	id, _ = owner["id"].(string)
	name, _ = owner["name"].(string)
	return id, name
}

// TestOwnersFromElsewhere: a resource server names an owner as a trusted issuer knows the
// party, before the party was ever there.
func TestOwnersFromElsewhere(t *testing.T) {
	t.Parallel()
	corp, council := newIssuer(t, "corp"), newIssuer(t, "council")
	e := start(t, photozTrusting(t, []*issuer{corp, council}, nil))
	party := func(i *issuer, sub string) map[string]any { return map[string]any{"iss": i.URL, "sub": sub} }

	first := ownedBy(t, e, "First", party(corp, "u-1"))
	id, name := ownerIn(first)
	if first.status != 201 || len(id) != 36 || name != "corp/u-1" {
		t.Fatalf("a party that is new: got %s, want 201 and a UUID", first)
	}
	t.Run("the row is made once", func(t *testing.T) {
		t.Parallel()
		var wg sync.WaitGroup
		owners := make([]string, 20)
		for i := range owners {
			wg.Go(func() { owners[i], _ = ownerIn(ownedBy(t, e, fmt.Sprint("Racing ", i), party(corp, "u-2"))) })
		}
		wg.Wait()
		for _, owner := range owners {
			if len(owner) != 36 || owner != owners[0] {
				t.Fatalf("got owners %q, want one", owners)
			}
		}
	})
	t.Run("named by id or username", func(t *testing.T) {
		t.Parallel()
		for _, named := range []any{id, "corp/u-1", map[string]any{"id": id}, map[string]any{"iss": corp.URL, "sub": "u-1", "format": "iss_sub"}} {
			if got, _ := ownerIn(ownedBy(t, e, fmt.Sprint("Named ", named), named)); got != id {
				t.Errorf("named %v: got owner %q, want %q", named, got, id)
			}
		}
	})
	t.Run("A-81 the same subject of two issuers", func(t *testing.T) {
		t.Parallel()
		other, name := ownerIn(ownedBy(t, e, "Other", party(council, "u-1")))
		if len(other) != 36 || other == id || name != "council/u-1" {
			t.Errorf("got owner %q, %q, want another than %q", other, name, id)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		for what, owner := range map[string]any{
			"an unknown issuer":          map[string]any{"iss": "https://evil.example.com", "sub": "u-9"},
			"an issuer with a slash":     map[string]any{"iss": corp.URL + "/", "sub": "u-9"},
			"an issuer by its alias":     map[string]any{"iss": "corp", "sub": "u-9"},
			"the realm itself":           map[string]any{"iss": e.base(), "sub": "u-9"},
			"no issuer":                  map[string]any{"sub": "u-9"},
			"no subject":                 map[string]any{"iss": corp.URL},
			"an empty subject":           map[string]any{"iss": corp.URL, "sub": ""},
			"a subject that is a number": map[string]any{"iss": corp.URL, "sub": 9},
			"a subject of two lines":     map[string]any{"iss": corp.URL, "sub": "u-9\nu-1"},
			"a subject of 256 bytes":     map[string]any{"iss": corp.URL, "sub": fmt.Sprintf("%0256d", 9)},
			"another format":             map[string]any{"iss": corp.URL, "sub": "u-9", "format": "email"},
			"an id beside it":            map[string]any{"iss": corp.URL, "sub": "u-9", "id": id},
		} {
			if res := ownedBy(t, e, "Refused", owner); res.status != 400 || res.str("error") != "invalid_request" {
				t.Errorf("%s: got %s, want 400 invalid_request", what, res)
			}
		}
		if res := e.get(t, resourceSet, e.service(t, "photoz-api"), "owner", "corp/u-9"); res.status != 200 || string(res.raw) != "[]" {
			t.Errorf("resources of a refused owner: got %s", res)
		}
	})
	t.Run("a user names nobody", func(t *testing.T) {
		t.Parallel()
		res := e.send(t, "POST", resourceSet, e.as(t, "alice", "photoz-api"), map[string]any{"name": "Mine", "owner": party(corp, "u-8")})
		if _, name := ownerIn(res); res.status != 201 || name != "alice" {
			t.Errorf("got %s, want a resource of alice", res)
		}
		if res := ownedBy(t, e, "Of nobody", "corp/u-8"); res.status != 400 {
			t.Errorf("a user has made a party: got %s", res)
		}
	})
}

// TestPartiesOwn: a party owns what a resource server registers for it, shares it, is asked and
// approves; another party asks, is shared with and withdraws.
func TestPartiesOwn(t *testing.T) {
	t.Parallel()
	corp, council := mailIssuer(t, "corp"), mailIssuer(t, "council")
	e := start(t, photozTrusting(t, []*issuer{corp, council}, nil))
	id, name := ownerIn(ownedBy(t, e, "Plans", map[string]any{"iss": corp.URL, "sub": "ann"}))
	plans := e.resourceID(t, "Plans")
	ann, zoe := corp.of(t, e, "ann", ""), council.of(t, e, "zoe", "zoe@council.example")
	namesake := council.of(t, e, "ann", "")

	e.uma(t, ann, "permission", plans).expectGranted(t, "Plans: comment view")
	for what, as := range map[string]credentials{"the same subject of another issuer": namesake, "another party": zoe} {
		if res := e.uma(t, as, "permission", plans+"#view"); res.status != 403 {
			t.Errorf("%s: got %s, want 403", what, res)
		}
		if res := e.get(t, accountResources+"/"+plans, as); res.status != 404 {
			t.Errorf("%s reads it as an owner: got %s, want 404", what, res)
		}
	}
	if res := e.get(t, "/account", ann); res.str("id") != id || res.str("username") != name || name != "corp/ann" {
		t.Errorf("the owner's profile: got %s, want %s %s", res, id, name)
	}
	// Asked and approved.
	e.uma(t, zoe, "ticket", e.ticket(t, perm{Resource: plans, Scopes: []string{"view"}})).expect(t, 403, "access_denied", "request_submitted")
	asked := e.get(t, accountResources+"/"+plans+"/permissions/requests", ann)
	expectLines(t, "asked", userLines(asked.json), "council/zoe: view")
	if res := e.shareAs(t, ann, plans, userScopes{"council/zoe", []string{"view"}}); res.status != 204 {
		t.Fatalf("approve: got %s", res)
	}
	e.uma(t, zoe, "permission", plans+"#view").expectGranted(t, "Plans: view")
	rpt := e.uma(t, zoe, "permission", plans+"#view").str("access_token")
	if res := e.get(t, accountResources+"/shared-with-me", zoe); len(asList(res.json)) != 1 {
		t.Errorf("shared with zoe: got %s", res)
	}
	if res := e.shareAs(t, zoe, plans, userScopes{"council/ann", []string{"view"}}); res.status != 404 {
		t.Errorf("zoe shares what is ann's: got %s, want 404", res)
	}
	if res := e.shareAs(t, ann, plans, userScopes{"corp/ann", []string{"view"}}); res.status != 400 {
		t.Errorf("ann shares with herself: got %s, want 400", res)
	}
	// Shared with a local user, and with one party by its id.
	if res := e.shareAs(t, ann, plans, userScopes{"bob", []string{"comment"}}); res.status != 204 {
		t.Fatalf("got %s", res)
	}
	e.uma(t, e.as(t, "bob", "photoz-app"), "permission", plans+"#comment").expectGranted(t, "Plans: comment")
	e.expectSharedWith(t, ann, plans, "bob: comment", "council/zoe: view")
	// Withdrawn: the RPT ends at once.
	if !active(t, e, rpt) {
		t.Error("zoe's RPT is not active")
	}
	if res := e.shareAs(t, ann, plans, userScopes{"council/zoe", []string{}}); res.status != 204 {
		t.Fatalf("got %s", res)
	}
	if active(t, e, rpt) {
		t.Error("zoe's RPT is active after the share was withdrawn")
	}
}

// TestApplicationsOwnNothing: an application's own token of a trusted issuer is no owner, and
// asks none.
func TestApplicationsOwnNothing(t *testing.T) {
	t.Parallel()
	corp := mailIssuer(t, "corp")
	e := start(t, photozTrusting(t, []*issuer{corp}, nil))
	app := bearer(corp.token(t, e, "app-guid", claims{"roles": []string{"user"}, "email": "bot@corp.example", "email_verified": true}))
	album := e.resourceID(t, "Holiday album")
	if res := e.get(t, accountResources, app); res.status != 403 || res.str("error") != "insufficient_scope" {
		t.Errorf("account: got %s, want 403 insufficient_scope", res)
	}
	e.allow(t, album, userScopes{"bot@corp.example", []string{"view"}})
	res := e.uma(t, app, "ticket", e.ticket(t, perm{Resource: album, Scopes: []string{"view"}}))
	res.expect(t, 403, "access_denied", "request_denied")
	if all := e.invitations(t, e.as(t, "alice", "photoz-web")); len(all) != 1 || all[0]["taken"] != nil {
		t.Errorf("an application has taken an invitation: %v", all)
	}
}

// TestPartiesWritePolicies: with the token that a resource server's client has in exchange for a
// party's, the party shares what it owns by policies. Its own bearer is no PAT.
func TestPartiesWritePolicies(t *testing.T) {
	t.Parallel()
	corp := mailIssuer(t, "corp")
	e := start(t, exchanging(t, corp))
	ownedBy(t, e, "Plans", map[string]any{"iss": corp.URL, "sub": "ann"})
	plans, policy := e.resourceID(t, "Plans"), policyOf("for bob", map[string]any{"users": []string{"bob"}})
	through := func(subject string) credentials {
		res := e.exchange(t, "photoz-api", corp.token(t, e, subject, claims{"azp": "api-guid"}))
		if res.status != 200 {
			t.Fatalf("exchange: got %s", res)
		}
		return bearer(res.str("access_token"))
	}
	if res := e.send(t, "POST", umaPolicy+"/"+plans, corp.of(t, e, "ann", ""), policy); res.status != 401 {
		t.Errorf("a bearer of the issuer: got %s, want 401", res)
	}
	if res := e.send(t, "POST", umaPolicy+"/"+plans, through("zoe"), policy); res.status == 200 || res.status >= 500 {
		t.Errorf("another party: got %s", res)
	}
	if e.decides(t, "bob", plans+"#view") {
		t.Error("bob has it before it is shared")
	}
	res := e.send(t, "POST", umaPolicy+"/"+plans, through("ann"), policy)
	if res.status != 200 {
		t.Fatalf("the owner: got %s", res)
	}
	if !e.decides(t, "bob", plans+"#view") {
		t.Error("bob has nothing of what was shared")
	}
	if res := e.send(t, "DELETE", umaPolicy+"/"+res.str("id"), through("ann"), nil); res.status != 204 {
		t.Errorf("withdraw: got %s", res)
	}
	if e.decides(t, "bob", plans+"#view") {
		t.Error("bob has it after it was withdrawn")
	}
}
