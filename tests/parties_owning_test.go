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
