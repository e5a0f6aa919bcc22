package tests

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// A pingClient speaks as PingAM's documentation has it, and knows nothing but the
// address of the discovery document.
type pingClient struct {
	ping
	discovery *response
}

// endpoint is where the discovery document says that something is.
func (c *pingClient) endpoint(t testing.TB, name string) string {
	t.Helper()
	if at := c.discovery.str(name); at != "" {
		return at
	}
	t.Fatalf("the discovery document has no %s: %s", name, c.discovery)
	return ""
}

// signIn gets tokens of a user through a client that authenticates.
func (c *pingClient) signIn(t testing.TB, user, client, scope string) *response {
	t.Helper()
	res := c.do(t, request{method: "POST", url: c.endpoint(t, "token_endpoint"), as: basic(client),
		form: form("grant_type", "password", "username", user, "password", user, "scope", scope)})
	if res.status != 200 {
		t.Fatalf("sign %s in: got %s", user, res)
	}
	return res
}

// ask asks as the resource server for a ticket.
func (c *pingClient) ask(t testing.TB, pat credentials, id string) string {
	t.Helper()
	res := c.do(t, request{method: "POST", url: c.endpoint(t, "permission_endpoint"), as: pat, json: several(id, []string{"download"})})
	if res.status != 201 {
		t.Fatalf("ask for a ticket: got %s", res)
	}
	return res.str("ticket")
}

// present trades a ticket, with an ID token as the claim token.
func (c *pingClient) present(t testing.TB, ticket, idToken string) *response {
	t.Helper()
	return c.do(t, request{method: "POST", url: c.endpoint(t, "token_endpoint"), as: basic("photoz-app"), form: form(
		"grant_type", umaGrant, "ticket", ticket, "scope", "download", "claim_token", idToken, "claim_token_format", claimsID)})
}

func (c *pingClient) check(t testing.TB, pat credentials, rpt string) *response {
	t.Helper()
	return c.do(t, request{method: "GET", url: c.endpoint(t, "introspection_endpoint"), as: pat, query: url.Values{"token": {rpt}}})
}

// TestStoryPingAM: alice registers a resource, bob is refused and asks her, she
// approves, he gets in, and she takes it back; all by PingAM's endpoints.
func TestStoryPingAM(t *testing.T) {
	t.Parallel()
	c := &pingClient{ping: startPing(t)}
	c.discovery = c.call(t, "GET", "/am/uma/realms/root/realms/alpha/.well-known/uma2-configuration", credentials{}, nil)

	pat := bearer(c.signIn(t, "alice", "photoz-api", "uma_protection").str("access_token"))
	registered := c.do(t, request{method: "POST", url: c.endpoint(t, "resource_registration_endpoint"), as: pat, json: map[string]any{
		"name": "Holiday photos", "icon_uri": "http://photoz.example.com/icon.png", "type": "Photo Album", "resource_scopes": []string{"view", "comment", "download"},
	}})
	id := registered.str("_id")
	if registered.status != 201 || id == "" {
		t.Fatalf("register: got %s", registered)
	}

	// bob comes without a token, and the resource server sends him for one.
	bob := c.signIn(t, "bob", "photoz-app", "openid").str("id_token")
	ticket := c.ask(t, pat, id)
	refused := c.present(t, ticket, bob)
	refused.expect(t, 403, "request_submitted", "The client is not authorised to access the requested resource set. "+
		"A request has been submitted to the resource owner requesting access to the resource")
	next := refused.str("ticket")
	if !strings.HasPrefix(ticket, "eyJ") || !strings.HasPrefix(next, "eyJ") || next == ticket {
		t.Fatalf("got tickets %q and %q", ticket, next)
	}
	c.present(t, ticket, bob).expect(t, 400, "invalid_grant", "The provided access grant is invalid, expired, or revoked.")

	// alice sees who asks, and approves.
	alice := c.as(t, "alice", "photoz-web")
	list := c.call(t, "GET", pingAlice+"pendingrequests?_queryFilter=true", alice, nil)
	if len(pingIDs(list)) != 1 {
		t.Fatalf("got %s, want one who asks", list)
	}
	pending := asObject(asList(list.object()["result"])[0])
	if pending["user"] != "bob" || pending["resource"] != "Holiday photos" || !slices.Equal(asList(pending["permissions"]), []any{"download"}) {
		t.Errorf("got %v", pending)
	}
	if res := c.answer(t, alice, pingIDs(list)[0], "approve", `{"scopes":["download"]}`); res.status != 200 {
		t.Fatalf("approve: got %s", res)
	}
	if list := c.call(t, "GET", pingAlice+"pendingrequests?_queryFilter=true", alice, nil); len(pingIDs(list)) != 0 {
		t.Errorf("got %s, want nothing pending", list)
	}

	// bob goes on with the ticket he was given, or with a new one.
	c.Clock.Advance(seconds(refused))
	first, second := c.present(t, next, bob), c.present(t, c.ask(t, pat, id), bob)
	for _, res := range []*response{first, second} {
		if res.status != 200 || res.str("token_type") != "Bearer" {
			t.Fatalf("got %s, want an RPT", res)
		}
		seen := c.check(t, pat, res.str("access_token"))
		permissions := asList(seen.object()["permissions"])
		if seen.object()["active"] != true || len(permissions) != 1 || asObject(permissions[0])["resource_id"] != id ||
			!slices.Equal(asList(asObject(permissions[0])["resource_scopes"]), []any{"download"}) {
			t.Errorf("introspection: got %s", seen)
		}
	}

	// alice sees what she granted, and takes it back.
	policy := c.call(t, "GET", pingAlice+"policies/"+id, alice, nil)
	if policy.str("name") != "Holiday photos" || !slices.Equal(pingGrants(policy.json), []string{"bob: download"}) {
		t.Errorf("the policy: got %s", policy)
	}
	if res := c.call(t, "DELETE", pingAlice+"policies/"+id, alice, nil); res.status != 200 || string(res.raw) != "{}" {
		t.Fatalf("withdraw: got %s", res)
	}
	for _, res := range []*response{first, second} {
		if seen := c.check(t, pat, res.str("access_token")); string(seen.raw) != `{"active":false}` {
			t.Errorf("after the withdrawal: got %s", seen)
		}
		refresh := res.str("refresh_token")
		if refresh == "" {
			t.Fatalf("got %s, want a refresh token", res)
		}
		c.do(t, request{method: "POST", url: c.endpoint(t, "token_endpoint"), as: basic("photoz-app"), form: form("grant_type", "refresh_token", "refresh_token", refresh)}).
			expect(t, 400, "invalid_grant", "")
	}
	c.Clock.Advance(time.Second)
	c.present(t, c.ask(t, pat, id), bob).expect(t, 403, "request_submitted", "")
}
