package tests

import (
	"testing"
)

// TestNameThatIsAnothersAddress: alice shared with bob@example.com, bob's address,
// and a user of that name got it.
func TestNameThatIsAnothersAddress(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, nil, "\nscopes: {photoz-api", `
  - {username: "Bob@Example.com", password: bob, claims: {email: mallory@example.com}}
  - {username: twin, password: bob, claims: {email: CAROL@example.com}}
  - {username: same@example.com, password: bob, claims: {email: same@example.com}}
scopes: {photoz-api`))
	album, alice, web := e.resourceID(t, "Holiday album"), e.as(t, "alice", "photoz-api"), e.as(t, "alice", "photoz-web")
	permissions, ping := accountResources+"/"+album+"/permissions", e.URL+"/json/realms/root/users/alice/uma/policies/"+album
	share := func(name string) []any { return []any{map[string]any{"username": name, "scopes": []string{"view"}}} }
	policy := func(name string) map[string]any {
		return map[string]any{"policyId": album, "permissions": []any{map[string]any{"subject": name, "scopes": []string{"view"}}}}
	}
	for _, name := range []string{"bob@example.com", "BOB@example.com", "carol@example.com"} {
		why := "[" + name + "] is the name or e-mail address of several users: give a username that is not the address of another user"
		e.send(t, "PUT", permissions, web, share(name)).expect(t, 400, "ambiguous_user", why)
		e.get(t, accountResources+"/"+album+"/user", web, "value", name).expect(t, 400, "ambiguous_user", why)
		if res := e.send(t, "PUT", ping, web, policy(name)); res.status != 400 || res.str("message") != why {
			t.Errorf("PingAM, %s: got %s", name, res)
		}
	}
	expectJSON(t, e.get(t, permissions, web), `[]`)

	// A name alone is one user's.
	e.send(t, "PUT", permissions, web, share("same@example.com")).expect(t, 204, "", "")
	e.send(t, "PUT", permissions, web, share("twin")).expect(t, 204, "", "")
	e.send(t, "POST", umaPolicy+"/"+album, alice, policyOf("by name", map[string]any{"users": []string{"bob@example.com"}})).expect(t, 200, "", "")
	e.send(t, "POST", umaPolicy+"/"+album, alice, policyOf("by address", map[string]any{"users": []string{"carol@example.com"}})).expect(t, 400, "invalid_request", "User [carol@example.com] does not exist")
}
