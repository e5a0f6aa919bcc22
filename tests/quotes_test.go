package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTokensInWrongPlaces: clients put tokens and tickets where names belong. The
// answer and the access log quoted them whole.
func TestTokensInWrongPlaces(t *testing.T) {
	t.Parallel()
	e := start(t)
	app, bob := basic("photoz-app"), e.as(t, "bob", "photoz-app")
	pat := e.service(t, "photoz-api")
	secrets := map[string]string{
		"access token": e.token(t, "erin", "photoz-web"),
		"ID token":     e.idToken(t, "erin", "photoz-web"),
		"ticket":       boardTicket(t, e),
		"refresh":      e.newSignIn(t, "erin", "photoz-web", "").str("refresh_token"),
	}
	json := func(method, path string, as credentials, body any) request {
		return request{method: method, url: path, as: as, json: body}
	}
	for kind, secret := range secrets {
		grant := func(kv ...string) request {
			return request{method: "POST", url: tokenPath, as: bob, form: form(append(kv, "grant_type", umaGrant)...)}
		}
		for name, r := range map[string]request{
			"audience":            grant("audience", secret),
			"permission":          grant("audience", "photoz-api", "permission", secret),
			"permission's scope":  grant("audience", "photoz-api", "permission", "Public board#"+secret),
			"by URI":              grant("audience", "photoz-api", "permission", "/"+secret, "permission_resource_format", "uri"),
			"claim_token_format":  {method: "POST", url: tokenPath, as: app, form: form("grant_type", umaGrant, "audience", "photoz-api", "claim_token", "x", "claim_token_format", secret)},
			"parameter's name":    grant(secret, "1", secret, "2"),
			"grant_type":          {method: "POST", url: tokenPath, as: app, form: form("grant_type", secret)},
			"resource_id":         json("POST", permission, pat, []object{{"resource_id": secret}}),
			"resource_scopes":     json("POST", permission, pat, []object{{"resource_id": "Public board", "resource_scopes": []string{secret}}}),
			"a member twice":      {method: "POST", url: permission, as: pat, body: `{"` + secret + `":1,"` + secret + `":2}`, headers: map[string]string{"Content-Type": "application/json"}},
			"resource's name":     json("POST", resourceSet, pat, object{"name": "Public board " + secret, "uris": []string{"{" + secret}}),
			"owner":               json("POST", resourceSet, pat, object{"name": "x", "owner": secret}),
			"permission/ticket":   json("POST", requests, pat, object{"resource": secret, "requesterName": "bob", "scopeName": "view"}),
			"requester":           json("POST", requests, pat, object{"resource": e.resourceID(t, "Holiday album"), "requesterName": secret, "scopeName": "view"}),
			"scope of a request":  json("POST", requests, pat, object{"resource": e.resourceID(t, "Holiday album"), "requesterName": "bob", "scopeName": secret}),
			"policy's resource":   json("POST", "/authz/protection/uma-policy/"+secret[:min(len(secret), 60)], e.as(t, "alice", "photoz-api"), object{"name": "x", "users": []string{"bob"}}),
			"policy's user":       json("POST", "/authz/protection/uma-policy/"+e.resourceID(t, "Holiday album"), e.as(t, "alice", "photoz-api"), object{"name": "x", "users": []string{secret}}),
			"legacy entitlement":  json("POST", entitlementPath, bob, object{"permissions": []object{{"resource_set_id": secret}}}),
			"legacy member":       json("POST", entitlementPath, bob, object{secret: 1}),
			"account share":       json("PUT", "/account/resources/"+e.resourceID(t, "Holiday album")+"/permissions", e.as(t, "alice", "photoz-web"), []object{{"username": secret, "scopes": []string{"view"}}}),
			"account share scope": json("PUT", "/account/resources/"+e.resourceID(t, "Holiday album")+"/permissions", e.as(t, "alice", "photoz-web"), []object{{"username": "bob", "scopes": []string{secret}}}),
		} {
			res := e.do(t, r)
			if res.status < 400 || res.status > 499 {
				t.Errorf("%s as %s: got %s, want a refusal", kind, name, res)
			}
			if quotes(string(res.raw), secret) || quotes(res.header.Get("Www-Authenticate"), secret) || len(res.raw) > 2000 {
				t.Errorf("%s as %s: the answer quotes it: %s", kind, name, res)
			}
		}
	}
	log, err := os.ReadFile(filepath.Join(e.Data, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		for kind, secret := range secrets {
			if quotes(line, secret) || len(line) > 4000 {
				t.Errorf("the log quotes the %s: %.400s", kind, line)
			}
		}
	}
}

// quotes reports whether a text has so much of a secret that the rest can be guessed.
func quotes(text, secret string) bool {
	for i := 0; i+20 <= len(secret); i += 10 {
		if strings.Contains(text, secret[i:i+20]) {
			return true
		}
	}
	return false
}

// TestBackslashInAURI: an error_description cannot have a backslash. A slash in its place
// named another URI.
func TestBackslashInAURI(t *testing.T) {
	t.Parallel()
	e := start(t)
	e.send(t, "POST", resourceSet, e.service(t, "photoz-api"), object{"name": "n", "uris": []string{`/back\slash`}}).expect(t, 400, "invalid_request",
		"URI [/back%5Cslash] can never be found by a request: URI is malformed: not valid UTF-8, a control or invisible character, or a backslash")
}

// TestNamesAreText: names with control characters, with invisible characters, and with
// those that turn the direction of writing, were accepted and printed to terminals as
// they are.
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	e := start(t)
	pat, alice := e.service(t, "photoz-api"), e.as(t, "alice", "photoz-api")
	album := e.resourceID(t, "Holiday album")
	for _, name := range []string{"A\u009b2J", "x\u009d0;t\u009c", "abc\u202egnp.exe", "a\u200fb", "a\u2066b", "a\u2028b", "a\x1bb", "a\u0085",
		"a\u200bb", "a\u2060b", "a\ufeff", "a\u00adb", "\u3164", "a\u180eb", "a\U000e0061b", "a\u2062b"} {
		for member, r := range map[string]request{
			"name":        {method: "POST", url: resourceSet, as: pat, json: object{"name": name}},
			"type":        {method: "POST", url: resourceSet, as: pat, json: object{"name": "n", "type": name}},
			"displayName": {method: "POST", url: resourceSet, as: pat, json: object{"name": "n", "displayName": name}},
			"scope":       {method: "POST", url: resourceSet, as: pat, json: object{"name": "n", "resource_scopes": []string{name}}},
			"uri":         {method: "POST", url: resourceSet, as: pat, json: object{"name": "n", "uris": []string{"/" + name}}},
			"attribute":   {method: "POST", url: resourceSet, as: pat, json: object{"name": "n", "attributes": object{name: []string{"v"}}}},
			"new name":    {method: "PUT", url: resourceSet + "/" + album, as: pat, json: object{"name": name}},
			"policy":      {method: "POST", url: "/authz/protection/uma-policy/" + album, as: alice, json: object{"name": name, "users": []string{"bob"}}},
			"role":        {method: "POST", url: "/authz/protection/uma-policy/" + album, as: alice, json: object{"name": "n", "roles": []string{name}}},
			"group":       {method: "POST", url: "/authz/protection/uma-policy/" + album, as: alice, json: object{"name": "n", "groups": []string{"/" + name}}},
		} {
			if res := e.do(t, r); res.status != 400 {
				t.Errorf("%q as %s: got %s, want 400", name, member, res)
			}
		}
	}
	for _, name := range []string{"Žluťoučký kůň", "家族のアルバム", "تصاوير", "👨\u200d👩\u200d👧", "می\u200cخواهم", "❤\ufe0f", "\u0600١"} {
		if res := e.send(t, "POST", resourceSet, pat, object{"name": name}); res.status != 201 {
			t.Errorf("%q: got %s, want 201", name, res)
		}
	}
}
