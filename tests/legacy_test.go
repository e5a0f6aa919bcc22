package tests

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	authorizePath   = "/authz/authorize"
	entitlementPath = "/authz/entitlement/photoz-api"
	permissionsPath = "/authz/protection/permissions"
)

type object = map[string]any

// startLegacy starts a server on the photoz realm in which carol lacks the role
// uma_authorization.
func startLegacy(t testing.TB) *env {
	t.Helper()
	return start(t, photozWith(t, nil, "password: carol, roles: [uma_authorization]", "password: carol, roles: [user]"))
}

// setByID is a permission of the legacy API.
func setByID(id string, scopes ...string) object {
	p := object{"resource_set_id": id}
	if scopes != nil {
		p["scopes"] = scopes
	}
	return p
}

func setByName(name string, scopes ...string) object {
	p := object{"resource_set_name": name}
	if scopes != nil {
		p["scopes"] = scopes
	}
	return p
}

// oldTicket is a ticket of photoz-api by the old permission endpoint.
func (e *env) oldTicket(t testing.TB, perms ...object) string {
	t.Helper()
	res := e.send(t, "POST", permissionsPath, e.service(t, "photoz-api"), perms)
	if res.status != 201 || len(res.object()) != 1 || res.str("ticket") == "" {
		t.Fatalf("ask for a ticket for %v: got %s", perms, res)
	}
	return res.str("ticket")
}

// authorize trades a ticket; an rpt goes with it if it is not empty.
func (e *env) authorize(t testing.TB, as credentials, ticket, rpt string) *response {
	t.Helper()
	body := object{"ticket": ticket}
	if rpt != "" {
		body["rpt"] = rpt
	}
	return e.send(t, "POST", authorizePath, as, body)
}

// entitle asks photoz-api for permissions.
func (e *env) entitle(t testing.TB, as credentials, perms ...object) *response {
	t.Helper()
	return e.send(t, "POST", entitlementPath, as, object{"permissions": perms})
}

// expectRPT fails unless the answer is an RPT alone, in both shapes, with exactly
// these permissions, as granted prints them. It returns the RPT.
func (r *response) expectLegacy(t testing.TB, status int, want ...string) string {
	t.Helper()
	rpt := r.str("rpt")
	if r.status != status || rpt == "" || len(r.object()) != 1 {
		t.Errorf("got %s\nwant %d with nothing but an RPT", r, status)
		return ""
	}
	claims := payload(t, rpt)
	nested := at(claims, "authorization", "permissions")
	if !reflect.DeepEqual(nested, claims["permissions"]) {
		t.Errorf("the two shapes differ: %v and %v", nested, claims["permissions"])
	}
	got := []string{}
	for _, p := range asList(nested) {
		name, _ := at(p, "resource_set_name").(string)
		if id, _ := at(p, "resource_set_id").(string); name == "" {
			name = id
		}
		got = append(got, strings.TrimSuffix(name+": "+strings.Trim(fmt.Sprint(asList(at(p, "scopes"))), "[]"), ": "))
	}
	if !slices.EqualFunc(got, want, samePermission) {
		t.Errorf("got granted %q, want %q", got, want)
	}
	return rpt
}

// TestSeedAuthorizationAPI sends the request of Keycloak's documentation of the
// Authorization API and looks for its answer.
func TestSeedAuthorizationAPI(t *testing.T) {
	t.Parallel()
	e := start(t, withRealm(`
realm: photoz
clients:
  - {id: photoz-restful-api, secret: secret, resource_server: true, service_account: true}
  - {id: photoz-html5-client, public: true, password_grant: true}
users:
  - {username: alice, password: alice, roles: [user, uma_authorization], claims: {name: Alice In Chains, email: alice@keycloak.org}}
resources:
  - {id: 87852cb2-700f-45d1-a9ab-786564aa123a, name: Album, resource_server: photoz-restful-api, owner: alice, owner_managed: true,
     scopes: ["urn:photoz.com:scopes:album:view", "urn:photoz.com:scopes:album:create", "urn:photoz.com:scopes:album:delete"]}
  - {id: fe372a25-65ef-4140-926c-96d9523ee40b, name: Profile, resource_server: photoz-restful-api, owner: alice, owner_managed: true,
     scopes: ["urn:photoz.com:scopes:profile:view"]}
`, map[string]string{}))
	rs := e.do(t, request{method: "POST", url: tokenPath, form: form("grant_type", "client_credentials", "client_id", "photoz-restful-api", "client_secret", "secret")})
	res := e.send(t, "POST", permissionsPath, bearer(rs.str("access_token")), []object{
		setByID("87852cb2-700f-45d1-a9ab-786564aa123a", "urn:photoz.com:scopes:album:view", "urn:photoz.com:scopes:album:create"),
		setByID("fe372a25-65ef-4140-926c-96d9523ee40b"),
	})
	if res.status != 201 {
		t.Fatalf("got %s", res)
	}
	e.Clock.Advance(8 * time.Second) // so that the RPT is not as old as the caller's token
	caller := e.token(t, "alice", "photoz-html5-client")
	e.Clock.Advance(8 * time.Second)
	res = e.do(t, request{
		method: "POST", url: e.URL + "/auth/realms/photoz/authz/authorize",
		headers: map[string]string{"Authorization": "Bearer " + caller, "Content-Type": "application/json"},
		body:    strings.Replace(`{ "ticket": "${permission_ticket}" }`, "${permission_ticket}", res.str("ticket"), 1),
	})
	rpt := payload(t, res.expectLegacy(t, 201,
		"Album: urn:photoz.com:scopes:album:view urn:photoz.com:scopes:album:create", "Profile: urn:photoz.com:scopes:profile:view"))
	claims := payload(t, caller)
	now := e.Clock.Now().Unix()
	want := object{
		"permissions": []any{
			object{"resource_set_id": "87852cb2-700f-45d1-a9ab-786564aa123a", "resource_set_name": "Album",
				"scopes": []any{"urn:photoz.com:scopes:album:view", "urn:photoz.com:scopes:album:create"}},
			object{"resource_set_id": "fe372a25-65ef-4140-926c-96d9523ee40b", "resource_set_name": "Profile",
				"scopes": []any{"urn:photoz.com:scopes:profile:view"}},
		},
		"exp": float64(now + 300), "nbf": 0.0, "iat": float64(now),
		"sub": claims["sub"], "typ": "kc_ett", "azp": "photoz-html5-client", "aud": "photoz-restful-api",
	}
	for name, value := range want {
		if !reflect.DeepEqual(rpt[name], value) {
			t.Errorf("%s: got %v, want %v", name, rpt[name], value)
		}
	}
	if rpt["jti"] == nil || rpt["jti"] == claims["jti"] {
		t.Errorf("jti: got %v, want one of its own", rpt["jti"])
	}
	access := payload(t, rpt["accessToken"].(string))
	for name, value := range map[string]any{
		"typ": "Bearer", "azp": "photoz-html5-client", "sub": claims["sub"], "iss": claims["iss"], "preferred_username": "alice",
		"name": "Alice In Chains", "email": "alice@keycloak.org", "realm_access": claims["realm_access"],
		"aud": "photoz-restful-api", "exp": rpt["exp"], "authorization": nil, "permissions": nil,
	} {
		if !reflect.DeepEqual(access[name], value) {
			t.Errorf("accessToken: %s: got %v, want %v", name, access[name], value)
		}
	}
	if access["jti"] == rpt["jti"] || access["jti"] == claims["jti"] {
		t.Error("accessToken has the jti of another")
	}
}

func TestLegacyEntitlement(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	bob, alice := e.as(t, "bob", "photoz-web"), e.as(t, "alice", "photoz-web")
	board, mixed := e.resourceID(t, "Public board"), e.resourceID(t, "Mixed")

	t.Run("everything", func(t *testing.T) {
		t.Parallel()
		e.get(t, entitlementPath, bob).expectLegacy(t, 200, "Bare", "Mixed: read", "Public board: view post")
	})
	t.Run("by id, by name, and scopes alone", func(t *testing.T) {
		t.Parallel()
		e.entitle(t, bob, setByID(board, "view"), setByName("Mixed")).expectLegacy(t, 200, "Public board: view", "Mixed: read")
		e.entitle(t, bob, object{"scopes": []string{"post"}}).expectLegacy(t, 200, "Public board: post")
	})
	t.Run("the id counts before the name", func(t *testing.T) {
		t.Parallel()
		e.entitle(t, bob, object{"resource_set_id": board, "resource_set_name": "Mixed", "scopes": []string{"view"}}).
			expectLegacy(t, 200, "Public board: view")
	})
	t.Run("scopes of one resource unite", func(t *testing.T) {
		t.Parallel()
		e.entitle(t, bob, setByID(board, "post"), setByID(mixed, "read"), setByName("Public board", "view")).
			expectLegacy(t, 200, "Public board: view post", "Mixed: read")
	})
	t.Run("a scope that is not the resource's is left out", func(t *testing.T) {
		t.Parallel()
		e.entitle(t, bob, setByID(board, "view", "withdraw")).expectLegacy(t, 200, "Public board: view")
		e.entitle(t, bob, setByID(board, "withdraw")).expect(t, 403, "not_authorized", "")
	})
	t.Run("a resource without scopes has none in the RPT", func(t *testing.T) {
		t.Parallel()
		rpt := e.entitle(t, bob, setByName("Bare")).expectLegacy(t, 200, "Bare")
		if _, there := at(asList(payload(t, rpt)["permissions"])[0], "scopes").([]any); there {
			t.Errorf("got scopes in %v", payload(t, rpt)["permissions"])
		}
	})
	t.Run("own resources and shared ones have names too", func(t *testing.T) {
		t.Parallel()
		e.entitle(t, alice, setByName("Holiday album")).expectLegacy(t, 200, "Holiday album: view comment delete")
		share(t, e, "alice", e.resourceID(t, "Holiday album"), "erin", "view")
		e.entitle(t, e.as(t, "erin", "photoz-web"), setByName("Holiday album", "view", "delete")).expectLegacy(t, 200, "Holiday album: view")
	})
	t.Run("a name of a type is a name", func(t *testing.T) {
		t.Parallel()
		e.entitle(t, bob, setByName("resource-type-any:board")).
			expect(t, 403, "invalid_resource", "Resource with name [resource-type-any:board] does not exist.")
		e.entitle(t, bob, setByID("Public board")).expect(t, 403, "invalid_resource", "Resource with id [Public board] does not exist.")
	})
	t.Run("the role uma_authorization is not wanted", func(t *testing.T) {
		t.Parallel()
		carol := e.as(t, "carol", "photoz-web")
		e.entitle(t, carol, setByID(board, "view")).expectLegacy(t, 200, "Public board: view")
		e.get(t, entitlementPath, carol).expectLegacy(t, 200, "Bare", "Mixed: read", "Public board: view post")
	})
	t.Run("a service account may ask", func(t *testing.T) {
		t.Parallel()
		e.entitle(t, e.service(t, "photoz-app"), setByID(board, "view")).expect(t, 403, "not_authorized", "")
	})
}

func TestLegacyMetadata(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	bob := e.as(t, "bob", "photoz-web")
	board, mixed, admin := e.resourceID(t, "Public board"), e.resourceID(t, "Mixed"), e.resourceID(t, "Admin area")
	entitle := func(t *testing.T, metadata object, perms ...object) *response {
		t.Helper()
		return e.send(t, "POST", entitlementPath, bob, object{"permissions": perms, "metadata": metadata})
	}

	t.Run("include_resource_name", func(t *testing.T) {
		t.Parallel()
		perms := setByID(board, "view")
		rpt := entitle(t, object{"include_resource_name": false}, perms).expectLegacy(t, 200, board+": view")
		if strings.Contains(fmt.Sprint(payload(t, rpt)["permissions"]), "resource_set_name") {
			t.Errorf("got a name in %v", payload(t, rpt)["permissions"])
		}
		entitle(t, object{"include_resource_name": true}, perms).expectLegacy(t, 200, "Public board: view")
		e.send(t, "POST", authorizePath, bob, object{"ticket": e.oldTicket(t, perms), "metadata": object{"include_resource_name": false}}).
			expectLegacy(t, 201, board+": view")
	})
	t.Run("limit", func(t *testing.T) {
		t.Parallel()
		both := []object{setByID(board, "view"), setByID(board, "post"), setByID(mixed, "read")}
		entitle(t, object{"limit": 1}, both...).expectLegacy(t, 200, "Public board: view post")
		for _, none := range []int{2, 0, -1} {
			entitle(t, object{"limit": none}, both...).expectLegacy(t, 200, "Public board: view post", "Mixed: read")
		}
		// It is about what is asked for, not what is granted, and not about scopes alone.
		entitle(t, object{"limit": 1}, setByID(admin), setByID(board)).expect(t, 403, "not_authorized", "")
		entitle(t, object{"limit": 1}, object{"scopes": []string{"read", "post"}}).expectLegacy(t, 200, "Mixed: read", "Public board: post")
	})
	t.Run("authorize has no limit", func(t *testing.T) {
		t.Parallel()
		ticket := e.oldTicket(t, setByID(board, "view"), setByID(mixed, "read"))
		e.send(t, "POST", authorizePath, bob, object{"ticket": ticket, "metadata": object{"limit": 1}}).
			expectLegacy(t, 201, "Public board: view", "Mixed: read")
	})
}

// TestLegacyTickets is the old permission endpoint: what the measured one took.
func TestLegacyTickets(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	rs, bob, alice := e.service(t, "photoz-api"), e.as(t, "bob", "photoz-web"), e.as(t, "alice", "photoz-web")
	board := e.resourceID(t, "Public board")

	t.Run("an object at /permission", func(t *testing.T) {
		t.Parallel()
		for _, p := range []object{setByID(board, "view"), setByName("Public board", "view"),
			{"resource_set_id": board, "resource_set_name": "No album", "scopes": []string{"view"}}} {
			res := e.send(t, "POST", permission, rs, p)
			if res.status != 201 || len(res.object()) != 1 {
				t.Fatalf("%v: got %s", p, res)
			}
			e.authorize(t, bob, res.str("ticket"), "").expectLegacy(t, 201, "Public board: view")
		}
	})
	t.Run("today's shape goes on", func(t *testing.T) {
		t.Parallel()
		for _, body := range []any{[]perm{{Resource: board, Scopes: []string{"view"}}}, perm{Resource: "Public board", Scopes: []string{"view"}}} {
			res := e.send(t, "POST", permission, rs, body)
			if res.status != 201 {
				t.Fatalf("%v: got %s", body, res)
			}
			e.uma(t, bob, "ticket", res.str("ticket")).expectGranted(t, "Public board: view")
		}
		e.send(t, "POST", permission, rs, []object{setByID(board)}).expect(t, 400, "invalid_resource_id", "")
	})
	t.Run("tickets of either shape suit both endpoints", func(t *testing.T) {
		t.Parallel()
		e.uma(t, bob, "ticket", e.oldTicket(t, setByID(board, "view"))).expectGranted(t, "Public board: view")
		e.authorize(t, bob, e.ticket(t, perm{Resource: board, Scopes: []string{"view"}}), "").expectLegacy(t, 201, "Public board: view")
	})
	t.Run("a name that only one owner has", func(t *testing.T) {
		t.Parallel()
		e.authorize(t, alice, e.oldTicket(t, setByName("Holiday album", "view")), "").expectLegacy(t, 201, "Holiday album: view")
		e.create(t, object{"name": "Twice", "owner": "alice", "scopes": []string{"view"}})
		e.create(t, object{"name": "Twice", "owner": "bob", "scopes": []string{"view"}})
		e.send(t, "POST", permission, rs, setByName("Twice")).
			expect(t, 400, "nonexistent_resource_set_name", "Resource set with name[Twice] does not exists in this server.")
		e.create(t, object{"name": "Twice", "scopes": []string{"view"}, "type": "board"})
		e.authorize(t, bob, e.oldTicket(t, setByName("Twice")), "").expectLegacy(t, 201, "Twice: view")
	})
	t.Run("unknown scopes are left out", func(t *testing.T) {
		t.Parallel()
		e.authorize(t, bob, e.oldTicket(t, setByID(board, "view", "nope")), "").expectLegacy(t, 201, "Public board: view")
		e.authorize(t, bob, e.oldTicket(t, object{"scopes": []string{"post", "nope"}}), "").expectLegacy(t, 201, "Public board: post")
		for _, nothing := range []object{setByID(board, "nope"), setByID(board, "withdraw"), {"scopes": []string{"nope"}}} {
			e.authorize(t, bob, e.oldTicket(t, nothing), "").expect(t, 403, "not_authorized", "")
		}
	})
	t.Run("partly denied", func(t *testing.T) {
		t.Parallel()
		e.authorize(t, bob, e.oldTicket(t, setByName("Mixed"), setByName("Admin area"), setByID(board, "view")), "").
			expectLegacy(t, 201, "Mixed: read", "Public board: view")
	})
	t.Run("a scope of the type", func(t *testing.T) {
		t.Parallel()
		e.create(t, object{"name": "Bob's board", "type": "board", "owner": "bob", "scopes": []string{"view"}})
		e.authorize(t, bob, e.oldTicket(t, setByName("Bob's board", "post", "manage")), "").expectLegacy(t, 201, "Bob's board: post")
	})
}

func TestLegacyConfiguration(t *testing.T) {
	t.Parallel()
	e := startLegacy(t)
	base := e.base()
	info := e.get(t, "", credentials{})
	want := object{
		"version": "1.0", "issuer": base, "pat_profiles_supported": []any{"bearer"}, "pat_grant_types_supported": []any{"client_credentials"},
		"aat_profiles_supported": []any{"bearer"}, "aat_grant_types_supported": []any{"client_credentials", "password", "refresh_token"},
		"rpt_profiles_supported": []any{"bearer"}, "token_endpoint": base + tokenPath,
		"resource_set_registration_endpoint": base + resourceSet, "permission_registration_endpoint": base + permission,
		"rpt_endpoint": base + authorizePath, "realm": "photoz", "serverUrl": e.URL, "realmPublicKey": info.str("public_key"),
	}
	for _, path := range []string{base, e.URL + "/auth/realms/photoz"} {
		if res := e.get(t, path+"/.well-known/uma-configuration", credentials{}); res.status != 200 || !reflect.DeepEqual(res.object(), want) {
			t.Errorf("got %s\nwant %v", res, want)
		}
	}
}

// TestLegacyInStrictRealms has no old endpoint in a realm with the profile uma2.
func TestLegacyInStrictRealms(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, nil, "profile: keycloak", "profile: uma2"))
	bob := e.as(t, "bob", "photoz-web")
	for _, r := range []request{
		{method: "POST", url: authorizePath, json: object{"ticket": "x"}},
		{method: "GET", url: entitlementPath},
		{method: "POST", url: entitlementPath, json: object{"permissions": []object{}}},
		{method: "POST", url: permissionsPath, json: []object{setByName("Public board")}},
		{method: "GET", url: "/.well-known/uma-configuration"},
	} {
		r.as = bob
		if res := e.do(t, r); res.status != 404 {
			t.Errorf("%s %s: got %s, want 404", r.method, r.url, res)
		}
	}
	pat := bearer(e.signIn(t, "", "photoz-api", "uma_protection").access)
	e.send(t, "POST", permission, pat, setByName("Public board")).expect(t, 400, "invalid_request", "")
}
