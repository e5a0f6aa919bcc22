package tests

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestPingAMPaths: with the application's name and without, for the default realm
// and for named ones; of nested realms the last counts.
func TestPingAMPaths(t *testing.T) {
	t.Parallel()
	p := startPing(t, func(o *options) {
		o.More = []string{strings.ReplaceAll(alphaRealm, "realm: alpha", "realm: beta")}
	})
	alpha, beta := p.pat(t, "alice"), ping{p.in("beta")}.pat(t, "alice")
	none := credentials{}
	tests := []struct {
		path  string
		of    credentials
		realm string // that answers; empty: there is none
	}{
		{"/realms/root/realms/alpha", alpha, "alpha"},
		{"/realms/root/realms/beta", beta, "beta"},
		{"/realms/root/realms/beta/realms/alpha", alpha, "alpha"},
		{"/realms/root/realms/alpha/realms/beta", beta, "beta"},
		{"/realms/root/realms/x/realms/y/realms/beta", beta, "beta"},
		{"/realms/root/realms/x%2Frealms%2Fy/realms/beta", beta, "beta"},
		{"/realms/root/realms/bet%61", beta, "beta"},
		{"/realms/root/realms/alpha/realms/bet%61", beta, "beta"},
		{"/realms/root", alpha, "alpha"}, // two realms and none is the default: see below
		{"/realms/root/realms/alpha%2Frealms%2Fbeta", none, ""},
		{"/realms/root/realms/alpha/realms/%2e%2e", none, ""},
		{"/realms/root/realms/gamma", none, ""},
		{"/realms/root/realms/alpha/realms/gamma", none, ""},
		{"/realms/root/realms/Alpha", none, ""},
		{"/realms/root/realms/", none, ""},
		{"/realms/root/realms", none, ""},
		{"/realms/root/realms/alpha/realms", none, ""},
		{"/realms/root/alpha", none, ""},
		{"/realms/alpha", none, ""},
		{"", none, ""},
	}
	for _, tc := range tests {
		for _, base := range []string{"/am", ""} {
			t.Run(base+tc.path, func(t *testing.T) {
				t.Parallel()
				res := p.call(t, "POST", base+"/uma"+tc.path+"/permission_request", tc.of, []any{one(photos, []string{"download"})})
				if tc.realm == "" || tc.path == "/realms/root" {
					if res.status != 404 || res.str("error") != "not_found" {
						t.Errorf("got %s, want 404 not_found", res)
					}
					return
				}
				if res.status != 201 {
					t.Fatalf("got %s, want a ticket", res)
				}
				if got, want := payload(t, res.str("ticket"))["iss"], p.URL+"/realms/"+tc.realm; got != want {
					t.Errorf("got a ticket of %v, want %s", got, want)
				}
				for path, status := range map[string]int{
					"/uma" + tc.path + "/resource_set": 200, "/uma" + tc.path + "/resource_set/": 200, "/uma" + tc.path + "/resource_set/" + photos: 200,
					"/uma" + tc.path + "/resource_set/" + photos + "/": 200, "/uma" + tc.path + "/resource_set/realms": 404,
					"/uma" + tc.path + "/resource_set/x%2Frealms%2Fy": 404, "/oauth2" + tc.path + "/access_token": 405,
					"/oauth2" + tc.path + "/introspect": 400, "/oauth2" + tc.path + "/access_token/": 404,
					"/json" + tc.path + "/users/alice/uma/policies?_queryFilter=true":     200,
					"/json" + tc.path + "/users/al%69ce/uma/policies?_queryFilter=true":   200,
					"/json" + tc.path + "/users/bob/uma/policies?_queryFilter=true":       403,
					"/json" + tc.path + "/users/alice%2Fx/uma/policies?_queryFilter=true": 403,
					"/json" + tc.path + "/users/alice/uma/policies/" + photos:             404,
					"/json" + tc.path + "/users/alice/uma":                                404,
					"/uma" + tc.path + "/.well-known/uma2-configuration":                  200,
					"/uma" + tc.path + "/permission_request/realms/" + tc.realm:           404,
				} {
					if res := p.call(t, "GET", base+path, tc.of, nil); res.status != status {
						t.Errorf("%s: got %s, want %d", path, res, status)
					}
				}
			})
		}
	}
}

// TestPingAMDefaultRealm: a path that names only the root is about the default
// realm.
func TestPingAMDefaultRealm(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	for _, base := range []string{"/am", ""} {
		res := p.call(t, "POST", base+"/uma/realms/root/permission_request", p.pat(t, "alice"), one(photos, []string{"download"}))
		if res.status != 201 || payload(t, res.str("ticket"))["iss"] != p.base() {
			t.Errorf("got %s, want a ticket of the only realm", res)
		}
		for _, path := range []string{"/uma/realms/root/resource_set", "/json/realms/root/users/alice/uma/pendingrequests?_queryFilter=true"} {
			if res := p.call(t, "GET", base+path, p.pat(t, "alice"), nil); res.status != 200 {
				t.Errorf("%s: got %s", path, res)
			}
		}
	}
}

// TestPingAMDiscovery: the document names PingAM's endpoints, each of which is
// there, and says nothing of where the request came to.
func TestPingAMDiscovery(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	const path = "/am/uma/realms/root/realms/alpha/.well-known/uma2-configuration"
	req, err := http.NewRequestWithContext(t.Context(), "GET", p.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	req.Header.Set("X-Forwarded-Host", "evil.example")
	res := p.roundTrip(t, req)
	if res.status != 200 || bytes.Contains(res.raw, []byte("evil.example")) {
		t.Fatalf("got %s", res)
	}
	for member, want := range map[string]string{
		"issuer": p.base(), "token_endpoint": p.URL + pingToken, "introspection_endpoint": p.URL + pingCheck,
		"resource_registration_endpoint": p.URL + pingSets, "permission_endpoint": p.URL + pingTicket,
		"jwks_uri": p.base() + "/protocol/openid-connect/certs", "revocation_endpoint": p.base() + "/protocol/openid-connect/revoke",
	} {
		if got := res.str(member); got != want {
			t.Errorf("got %s %q, want %q", member, got, want)
		}
	}
	for member, v := range res.object() {
		url, _ := v.(string)
		if !strings.HasPrefix(url, p.URL) || member == "issuer" {
			continue
		}
		if got := p.do(t, request{method: "OPTIONS", url: url}); got.status != 204 {
			t.Errorf("%s: got %s, want it served", member, got)
		}
	}
	if formats := asList(res.object()["uma_profiles_supported"]); !slices.Contains(formats, any(claimsID)) {
		t.Errorf("got claim token formats %v, want that of ID tokens among them", formats)
	}
	if res.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("pages cannot read the document")
	}
}

// TestPingAMResources: a resource as PingAM's documentation has it, from creation
// to deletion.
func TestPingAMResources(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	alice := p.pat(t, "alice")
	album := map[string]any{
		"resource_scopes": []string{"view", "http://photoz.example.com/dev/scopes/print"}, "name": "Photo Album",
		"icon_uri": "http://www.example.com/icons/flower.png", "type": "http://www.example.com/rsets/photoalbum", "description": "of last summer",
	}
	res := p.call(t, "POST", pingSets, alice, album)
	id := res.str("_id")
	if res.status != 201 || id == "" || res.header.Get("Location") != p.URL+pingSets+"/"+id {
		t.Fatalf("got %s, Location %q", res, res.header.Get("Location"))
	}
	read := p.do(t, request{method: "GET", url: res.header.Get("Location"), as: alice})
	for member, want := range album {
		if got := read.object()[member]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %s %v, want %v", member, got, want)
		}
	}
	if read.status != 200 || read.str("_id") != id {
		t.Errorf("got %s", read)
	}
	album["resource_scopes"] = []string{"view"}
	if res := p.call(t, "PUT", pingSets+"/"+id, alice, album); res.status != 200 || res.str("_id") != id {
		t.Errorf("replace: got %s", res)
	}
	// A condition on what the resource is like cannot hold: there are no entity tags.
	album["resource_scopes"] = []string{"view", "print"}
	for _, match := range []string{`"1"`, "1", `W/"1"`} {
		for method, body := range map[string]any{"PUT": album, "DELETE": nil} {
			res := p.do(t, request{method: method, url: p.URL + pingSets + "/" + id, as: alice, json: body, headers: map[string]string{"If-Match": match}})
			res.expect(t, 412, "precondition_failed", "Resources have no entity tags")
		}
	}
	if got := p.call(t, "GET", pingSets+"/"+id, alice, nil); got.status != 200 || len(asList(got.object()["resource_scopes"])) != 1 {
		t.Errorf("got %s, want it as it was", got)
	}
	if res := p.do(t, request{method: "PUT", url: p.URL + pingSets + "/" + id, as: alice, json: album, headers: map[string]string{"If-Match": "*"}}); res.status != 200 {
		t.Errorf("If-Match: *: got %s", res)
	}
	list := p.call(t, "GET", pingSets, alice, nil)
	if got := asList(list.json); list.status != 200 || len(got) != 4 {
		t.Errorf("got %s, want the ids of alice's four here", list)
	}
	if res := p.call(t, "DELETE", pingSets+"/"+id, alice, nil); res.status != 204 || len(res.raw) != 0 {
		t.Errorf("delete: got %s", res)
	}
	p.call(t, "GET", pingSets+"/"+id, alice, nil).expect(t, 404, "not_found", "")
	p.call(t, "DELETE", pingSets+"/"+id, alice, nil).expect(t, 404, "not_found", "")
}

// TestPingAMPages: a page of a client may send what an owner's requests need.
func TestPingAMPages(t *testing.T) {
	t.Parallel()
	p := startPing(t, func(o *options) {
		o.Realm = strings.Replace(alphaRealm, "{id: photoz-web, public: true,", `{id: photoz-web, public: true, web_origins: ["https://photoz.example"],`, 1)
	})
	headers := map[string]string{"Origin": "https://photoz.example", "Access-Control-Request-Method": "PUT"}
	res := p.do(t, request{method: "OPTIONS", url: p.URL + pingAlice + "policies/" + photos, headers: headers})
	for _, header := range []string{"Authorization", "Content-Type", "If-Match", "If-None-Match", "Accept-API-Version"} {
		if !strings.Contains(res.header.Get("Access-Control-Allow-Headers")+",", header+",") {
			t.Errorf("got %q, want %s among them", res.header.Get("Access-Control-Allow-Headers"), header)
		}
	}
	if res.status != 204 || !strings.Contains(res.header.Get("Access-Control-Allow-Methods"), "PUT") {
		t.Errorf("got %s, %v", res, res.header)
	}
	got := p.do(t, request{method: "GET", url: p.URL + pingAlice + "policies/" + photos, as: p.owner(t, "alice"), headers: headers})
	if got.header.Get("Access-Control-Allow-Origin") != "https://photoz.example" {
		t.Errorf("the page cannot read %s", got)
	}
}
