package tests

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestFilters holds each of Keycloak's filters on the list of resources.
func TestFilters(t *testing.T) {
	t.Parallel()
	e := start(t)
	ids, names := photozIDs(t, e)

	const all = "Account, Admin area, Bare, Diary, Family album, Holiday album, Mixed, Public board"
	tests := []struct {
		name  string
		query string // {Diary} stands for that resource's id
		want  string // names, in the order of the answer
	}{
		{"no filter, by name", "", all},
		{"_id", "_id={Diary}", "Diary"},
		{"_id that nobody has", "_id=00000000-0000-4000-8000-000000000000", ""},
		{"_id of another resource server", "_id={Other thing}", ""},
		{"name, a part of it", "name=album", "Family album, Holiday album"},
		{"name, in other case", "name=ALBUM", "Family album, Holiday album"},
		{"name, two letters", "name=ar", "Admin area, Bare, Diary, Public board"},
		{"name that nothing has", "name=nothing", ""},
		{"name, blanks", "name=   ", ""},
		{"name is no pattern: %", "name=%", ""},
		{"name is no pattern: _", "name=_", ""},
		{"name is no pattern: *", "name=*", ""},
		{"name is no SQL", "name=' OR 1=1 --", ""},
		{"name is no search query", `name=album" OR "a`, ""},
		{"exactName", "name=Holiday album&exactName=true", "Holiday album"},
		{"exactName, a part", "name=album&exactName=true", ""},
		{"exactName, in other case", "name=holiday album&exactName=true", ""},
		{"exactName=false", "name=album&exactName=false", "Family album, Holiday album"},
		{"uri", "uri=/album/1", "Holiday album"},
		{"uri, in other case", "uri=/ALBUM/1", "Holiday album"},
		{"uri, a part", "uri=/album", ""},
		{"uri, below a pattern", "uri=/board/7", ""},
		{"uri, the pattern itself", "uri=/board/*", "Public board"},
		{"uri, in another form and case", "uri=/x/..//BOARD/;k=1?q=1", "Public board"},
		{"matchingUri", "uri=/board/7&matchingUri=true", "Public board"},
		{"matchingUri, in another form and case", "uri=/BOARD/&matchingUri=true", "Public board"},
		{"matchingUri, a pattern in other case", "uri=/BOARD/7&matchingUri=true", ""},
		{"matchingUri, and the type is another", "uri=/board/7&matchingUri=true&type=album", ""},
		{"matchingUri, and the owner is another", "uri=/board/7&matchingUri=true&owner=alice", ""},
		{"matchingUri, beyond the end", "uri=/board/7&matchingUri=true&first=1", ""},
		{"matchingUri, the exact one first", "uri=/board&matchingUri=true", "Public board"},
		{"matchingUri, a template", "uri=/mixed/12&matchingUri=true", "Mixed"},
		{"matchingUri=false", "uri=/board/7&matchingUri=false", ""},
		{"matchingUri, nothing", "uri=/nowhere&matchingUri=true", ""},
		{"matchingUri, dot segments", "uri=/board/../admin/x&matchingUri=true", "Admin area"},
		{"matchingUri, encoded dot segments", "uri=/board/%2e%2e/admin/x&matchingUri=true", "Admin area"},
		{"owner by username", "owner=alice", "Diary, Holiday album"},
		{"owner by client id", "owner=photoz-api", "Account, Admin area, Bare, Mixed, Public board"},
		{"owner by id", "owner={alice}", "Diary, Holiday album"},
		{"owner who is nobody", "owner=ghost", ""},
		{"type", "type=album", "Family album, Holiday album"},
		{"type, a part", "type=oar", "Public board"},
		{"type, in other case", "type=ALBUM", "Family album, Holiday album"},
		{"type that nothing has", "type=nothing", ""},
		{"scope", "scope=comment", "Family album, Holiday album"},
		{"scope, a part", "scope=omm", "Family album, Holiday album"},
		{"scope, in other case", "scope=COMMENT", ""},
		{"scope that nobody knows", "scope=fly", ""},
		{"scope that no resource has", "scope=orphan", ""},
		{"first and max", "first=2&max=2", "Bare, Diary"},
		{"max", "max=1", "Account"},
		{"max=0", "max=0", ""},
		{"max=-1", "max=-1", all},
		{"first=-1", "first=-1", all},
		{"first beyond the end", "first=50", ""},
		{"several filters", "name=album&owner=dave&type=album", "Family album"},
		{"several filters that exclude one another", "name=album&owner=bob", ""},
		{"as the authorization client of Keycloak sends it", "matchingUri=false&exactName=false&deep=false&max=-1", all},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			query := tc.query
			for name, id := range ids {
				query = strings.ReplaceAll(query, "{"+name+"}", id)
			}
			res := e.do(t, request{method: "GET", url: resourceSet, as: e.service(t, "photoz-api"), query: looseQuery(query)})
			if res.status != 200 || res.json == nil {
				t.Fatalf("got %s, want 200 and a list", res)
			}
			got := []string{}
			for _, id := range asList(res.json) {
				name, ok := names[fmt.Sprint(id)]
				if !ok {
					t.Errorf("got %v, want ids of photoz-api's resources", id)
				}
				got = append(got, name)
			}
			if strings.Join(got, ", ") != tc.want {
				t.Errorf("got %q, want %q", strings.Join(got, ", "), tc.want)
			}
		})
	}

	t.Run("deep", func(t *testing.T) {
		t.Parallel()
		res := e.get(t, resourceSet, e.service(t, "photoz-api"), "name", "Holiday album", "deep", "true")
		list := asList(res.json)
		if res.status != 200 || len(list) != 1 {
			t.Fatalf("got %s, want one resource", res)
		}
		r := asObject(list[0])
		for member, want := range map[string]any{"_id": ids["Holiday album"], "name": "Holiday album", "type": "album", "ownerManagedAccess": true} {
			if r[member] != want {
				t.Errorf("got %s %v, want %v", member, r[member], want)
			}
		}
		if asObject(r["owner"])["id"] != ids["alice"] {
			t.Errorf("got owner %v, want alice", r["owner"])
		}
		if got := len(asList(r["scopes"])); got != 3 {
			t.Errorf("got %d scopes, want 3", got)
		}
		for member := range r {
			if !slices.Contains(resourceMembers, member) {
				t.Errorf("got member %s, which a strict client refuses", member)
			}
		}
	})

	// The Java client prints the owner's name, which was not there.
	t.Run("deep: names of owners and ids of scopes", func(t *testing.T) {
		t.Parallel()
		rs := e.service(t, "photoz-api")
		for query, as := range map[string]credentials{
			"max=-1": rs, "name=Holiday album": rs, "name=Holiday album&exactName=true": rs, "uri=/album/1": rs, "uri=/board/x&matchingUri=true": rs,
			"owner=alice": rs, "owner=photoz-api": rs, "type=album": rs, "scope=comment": rs, "_id=" + ids["Mixed"]: rs, "first=1": e.as(t, "alice", "photoz-api"),
		} {
			res := e.do(t, request{method: "GET", url: resourceSet, as: as, query: looseQuery(query + "&deep=true")})
			if res.status != 200 || len(asList(res.json)) == 0 {
				t.Errorf("?%s: got %s, want resources", query, res)
			}
			for _, r := range asList(res.json) {
				owner := map[string]string{"Holiday album": "alice", "Diary": "alice", "Family album": "dave"}[fmt.Sprint(at(r, "name"))]
				if owner == "" {
					owner = "photoz-api"
				}
				if got := at(r, "owner", "name"); got != owner || at(r, "owner", "id") == nil {
					t.Errorf("?%s: %v: got owner %v, want %s", query, at(r, "name"), at(r, "owner"), owner)
				}
				for _, s := range append(asList(at(r, "scopes")), asList(at(r, "resource_scopes"))...) {
					if at(s, "id") == nil || at(s, "name") == nil {
						t.Errorf("?%s: %v: got scope %v, want an id and a name", query, at(r, "name"), s)
					}
				}
			}
		}
		one := e.get(t, resourceSet+"/"+ids["Holiday album"], rs)
		if at(one.json, "owner", "name") != nil || at(asList(at(one.json, "scopes"))[0], "id") != nil {
			t.Errorf("got %s, want neither the owner's name nor ids of scopes, as Keycloak's", one)
		}
	})

	t.Run("deep=false", func(t *testing.T) {
		t.Parallel()
		res := e.get(t, resourceSet, e.service(t, "photoz-api"), "name", "Holiday album", "deep", "false")
		if len(asList(res.json)) != 1 || asList(res.json)[0] != ids["Holiday album"] {
			t.Errorf("got %s, want the id alone", res)
		}
	})

	t.Run("a user sees their own", func(t *testing.T) {
		t.Parallel()
		for _, query := range []string{"", "owner=alice", "owner=photoz-api", "name=album", "uri=/album/1", "uri=/board/7&matchingUri=true"} {
			res := e.do(t, request{method: "GET", url: resourceSet, as: e.as(t, "bob", "photoz-api"), query: looseQuery(query)})
			if res.status != 200 || len(asList(res.json)) != 0 {
				t.Errorf("?%s: got %s, want an empty list: bob owns nothing", query, res)
			}
		}
		res := e.get(t, resourceSet, e.as(t, "alice", "photoz-api"))
		if got, want := asList(res.json), []any{ids["Diary"], ids["Holiday album"]}; !slices.Equal(got, want) {
			t.Errorf("got %s, want alice's own %v", res, want)
		}
	})
}

// looseQuery makes a query of text that is not encoded.
func looseQuery(text string) url.Values {
	q := url.Values{}
	for pair := range strings.SplitSeq(text, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			q.Add(name, value)
		}
	}
	return q
}

// photozIDs are the ids of the realm's resources by name, and that of alice;
// names the other way round, of photoz-api's resources.
func photozIDs(t *testing.T, e *env) (ids, names map[string]string) {
	t.Helper()
	ids, names = map[string]string{}, map[string]string{}
	for _, name := range []string{"Account", "Admin area", "Bare", "Diary", "Family album", "Holiday album", "Mixed", "Public board"} {
		ids[name] = e.resourceID(t, name)
		names[ids[name]] = name
	}
	ids["Other thing"] = e.resourceIDOf(t, "other-api", "Other thing")
	ids["alice"], _ = payload(t, e.token(t, "alice", "photoz-web"))["sub"].(string)
	return ids, names
}

// TestListsArePaged: a list that says nothing of its length ends at 100.
func TestListsArePaged(t *testing.T) {
	t.Parallel()
	e := start(t)
	const before, added = 8, 105
	for i := range added {
		e.create(t, map[string]any{"name": fmt.Sprintf("photo %03d", i)})
	}
	tests := []struct {
		query string
		want  int
	}{
		{"", 100},
		{"max=-1", before + added},
		{"max=200", before + added},
		{"first=100&max=-1", before + added - 100},
		{"first=100", before + added - 100},
		{"name=photo&max=-1", added},
		{"name=photo&first=100&max=100", 5},
	}
	for _, tc := range tests {
		res := e.do(t, request{method: "GET", url: resourceSet, as: e.service(t, "photoz-api"), query: looseQuery(tc.query)})
		list := asList(res.json)
		if res.status != 200 || len(list) != tc.want {
			t.Errorf("?%s: got status %d and %d resources, want %d", tc.query, res.status, len(list), tc.want)
		}
		seen := map[any]bool{}
		for _, id := range list {
			if seen[id] {
				t.Errorf("?%s: %v is there twice", tc.query, id)
			}
			seen[id] = true
		}
	}
}

// TestMatchURI holds look-ups worked out by Keycloak's rules, through the list of
// resources and through permissions by URI.
func TestMatchURI(t *testing.T) {
	t.Parallel()
	registered := []string{
		"/*", "/resources/*", "/resources-a/*", "/resources-b/{pattern}", "/resources-c/{pattern}/*",
		"/resources/{pattern}/{pattern}/*", "/resources/{pattern}/sub-resources/{pattern}/*",
		"/rest/{version}/loader/loadTwo", "/rest/{version}/loader/load",
		"/rest/{version}/carts/{cartId}/cartactions/{actionId}", "/rest/v1/carts/{cartId}/cartactions/123",
	}
	const dummy = "/dummy/605dc7ff310256017a2ec84f"
	e := start(t, withRealm(resolveRealmWithout("Wide page", "with-dash", "Other page"), resolvePolicies))
	for _, pattern := range registered {
		e.create(t, map[string]any{"name": pattern, "uris": []string{pattern}, "resource_scopes": []string{"GET"}})
	}
	const twice = "/resources/{pattern}/sub-resources/{pattern}/*"
	e.create(t, map[string]any{"name": twice + " again", "uris": []string{twice}, "resource_scopes": []string{"GET"}})
	e.create(t, map[string]any{"name": dummy, "uris": []string{dummy, dummy + "/*"}, "resource_scopes": []string{"GET"}})

	tests := []struct{ uri, want string }{
		{"/test", "/*"},
		{"/resources-a/test", "/resources-a/*"},
		{"/resources", "/resources/*"},
		{"/resources/", "/resources/*"},
		{"/resources-b/a", "/resources-b/{pattern}"},
		{"/resources-c/a/b", "/resources-c/{pattern}/*"},
		{"/resources/a/b/c", "/resources/{pattern}/{pattern}/*"},
		{"/resources/a/sub-resources/c/d", twice},
		{"/rest/v1/loader/load", "/rest/{version}/loader/load"},
		{"/rest/v2/carts/123/cartactions/123", "/rest/{version}/carts/{cartId}/cartactions/{actionId}"},
		{"/rest/v2/carts/{cartId}/cartactions/123", "/rest/{version}/carts/{cartId}/cartactions/{actionId}"},
		{"/rest/{version}/carts/123/cartactions/123", "/rest/{version}/carts/{cartId}/cartactions/{actionId}"},
		{"/rest/{version}/carts/{cartId}/cartactions/123", "/rest/{version}/carts/{cartId}/cartactions/{actionId}"},
		{"/rest/v2/carts/345/cartactions/123", "/rest/{version}/carts/{cartId}/cartactions/{actionId}"},
		{"/rest/v1/carts/123/cartactions/123", "/rest/v1/carts/{cartId}/cartactions/123"},
		{"/rest/v1/carts/{cartId}/cartactions/123", "/rest/v1/carts/{cartId}/cartactions/123"},
		{"/rest/v1/carts/345/cartactions/123", "/rest/v1/carts/{cartId}/cartactions/123"},
		{"/dummy/605dc7ff310256017a2ec84f/nestedObject/605dc7fe310256017a2ec84c", dummy},
	}
	for _, tc := range tests {
		t.Run("resource_set "+tc.uri, func(t *testing.T) {
			t.Parallel()
			res := e.get(t, resourceSet, e.service(t, "photoz-api"), "uri", tc.uri, "matchingUri", "true", "deep", "true")
			var got []string
			for _, r := range asList(res.json) {
				name, _ := asObject(r)["name"].(string)
				got = append(got, strings.TrimSuffix(name, " again"))
			}
			if len(got) == 0 || tc.want != twice && len(got) != 1 || slices.ContainsFunc(got, func(s string) bool { return s != tc.want }) {
				t.Errorf("got %d %q, want %q", res.status, got, tc.want)
			}
		})
		t.Run("permission "+tc.uri, func(t *testing.T) {
			t.Parallel()
			res := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", tc.uri+"#GET", "response_mode", "permissions",
				"permission_resource_format", "uri", "permission_resource_matching_uri", "true")
			want := []string{tc.want + ": GET"}
			if tc.want == twice { // all that share the best pattern
				want = append(want, twice+" again: GET")
			}
			res.expectGrantedInAnyOrder(t, want...)
		})
	}
}

// resolveRealmWithout is resolveRealm less some of its resources.
func resolveRealmWithout(names ...string) string {
	var b strings.Builder
	for line := range strings.Lines(resolveRealm) {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(line, "name: "+n+",") }) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestRegisterURI holds the checks of URIs when they are registered.
func TestRegisterURI(t *testing.T) {
	t.Parallel()
	e := start(t)
	const template = " is not a valid template"
	const wildcard = template + ": wildcard '*' is only supported as trailing '/*' or as a suffix pattern '/*.ext'"
	const lost = " can never be found by a request: "
	const lookedUp = lost + "register what is looked up, which is decoded and has no query, fragment, matrix parameters, double slashes or dot segments"
	tests := []struct {
		uri  string
		want string // after `URI [...]`; empty: it is taken as it is
	}{
		{"/a/{", template + ": missing closing '}'"},
		{"/a/{}", template + ": unexpected '}' or empty parameter name"},
		{"/a/*/b", wildcard}, {"/x/b*", wildcard}, {"*", wildcard}, {"/**", wildcard}, {"/a/*.", wildcard},
		{"/files/annual%20report", lookedUp}, {"/search?type=x", lookedUp}, {"/m;k=1/x", lookedUp}, {"//a//b", lookedUp},
		{"/a/../b", lookedUp}, {"/frag#x", lookedUp}, {"/a%zz", lost + "URI is malformed: bad percent-encoding"},
		{"/a b", ""}, {"/a/", ""}, {"https://h/p/*", ""}, {"urn:x:y", ""}, {"/a/{id}", ""}, {"/p/*.html", ""},
	}
	for i, tc := range tests {
		t.Run(tc.uri, func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprintf("uri %d", i)
			res := e.send(t, "POST", resourceSet, e.service(t, "photoz-api"), map[string]any{"name": name, "uris": []string{tc.uri}})
			if tc.want == "" {
				if res.status != 201 || len(asList(res.object()["uris"])) != 1 || asList(res.object()["uris"])[0] != tc.uri {
					t.Errorf("got %s, want 201 with the URI as it is", res)
				}
				return
			}
			res.expect(t, 400, "invalid_request", "URI ["+tc.uri+"]"+tc.want)
			e.send(t, "PUT", resourceSet+"/"+e.resourceID(t, "Account"), e.service(t, "photoz-api"), map[string]any{"name": "Account", "uris": []string{tc.uri}}).
				expect(t, 400, "invalid_request", "URI ["+tc.uri+"]"+tc.want)
			if list := e.get(t, resourceSet, e.service(t, "photoz-api"), "name", name, "exactName", "true"); len(asList(list.json)) != 0 {
				t.Errorf("it was registered all the same")
			}
		})
	}
}
