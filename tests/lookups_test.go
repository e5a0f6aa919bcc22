package tests

import (
	"slices"
	"testing"
)

// byURI asks, as a user, for the permission URI#scope, by pattern where no URI is
// equal, and returns the answer to response_mode=permissions.
func (e *env) byURI(t testing.TB, user, permission string) *response {
	t.Helper()
	return e.uma(t, e.as(t, user, "photoz-web"), "permission", permission, "response_mode", "permissions",
		"permission_resource_format", "uri", "permission_resource_matching_uri", "true")
}

// findURI is the names of the resources that the resource server finds by a URI or
// by the best pattern.
func (e *env) findURI(t testing.TB, uri string) []string {
	t.Helper()
	res := e.get(t, resourceSet, e.service(t, "photoz-api"), "uri", uri, "matchingUri", "true", "deep", "true")
	if res.status != 200 {
		t.Fatalf("look %s up: got %s", uri, res)
	}
	var names []string
	for _, r := range asList(res.json) {
		name, _ := asObject(r)["name"].(string)
		names = append(names, name)
	}
	return names
}

// TestTemplateWildcardDoesNotShadow: a template that ends in /* is a wildcard. As a
// template it came before every wildcard, and opened what /office/users/* is for.
func TestTemplateWildcardDoesNotShadow(t *testing.T) {
	t.Parallel()
	e := start(t)
	e.create(t, map[string]any{"name": "Tenants", "type": "board", "uris": []string{"/{tenant}/*"}, "resource_scopes": []string{"view"}})
	e.create(t, map[string]any{"name": "Office users", "type": "admin", "uris": []string{"/office/users/*"}, "resource_scopes": []string{"view"}})
	for _, path := range []string{"/office/users/1", "/office/users", "/office/users/1/2"} {
		e.byURI(t, "bob", path+"#view").expect(t, 403, "access_denied", "not_authorized")
		e.byURI(t, "dave", path+"#view").expectGranted(t, "Office users: view")
	}
	e.byURI(t, "bob", "/office/rooms/1#view").expectGranted(t, "Tenants: view")
}

// TestEncodedDetours: what one program reads as /secret, and another does not, names
// nothing. It ended at /*.
func TestEncodedDetours(t *testing.T) {
	t.Parallel()
	e := start(t)
	e.create(t, map[string]any{"name": "Everything", "type": "board", "uris": []string{"/*"}, "resource_scopes": []string{"view"}})
	e.create(t, map[string]any{"name": "Secret", "type": "admin", "uris": []string{"/secret", "/top/secret/a"}, "resource_scopes": []string{"view"}})
	for _, uri := range []string{"/secret", "/secret/", "/secret;x=1", "/;x/secret", "/x/..;/secret", "/secre%74", "/SECRET", "/top/secret;v=1/a"} {
		e.byURI(t, "bob", uri+"#view").expect(t, 403, "access_denied", "not_authorized")
		if got := e.findURI(t, uri); !slices.Equal(got, []string{"Secret"}) {
			t.Errorf("%s is found as %q, want Secret", uri, got)
		}
	}
	for _, uri := range []string{
		"/secret%3Bx=1", "/secret%3B", "/%3Bx/secret", "/top/secret%3Bv=1/a", "/x/..%3B/secret", "/x/%2e%2e%3B/secret", "/secret%3Fx", "/secret%23x",
		"/secret%253Bx=1", "/x/%252e%252e/secret", "/secret%20", "/secret%2E", "/secret.", "/secret%2Fx", "/secret%5Cx", "/secret%00",
	} {
		e.byURI(t, "bob", uri+"#view").expect(t, 400, "invalid_resource", "Resource with uri ["+uri+"] does not exist.")
		if got := e.findURI(t, uri); len(got) > 0 {
			t.Errorf("%s is found as %q, want nothing", uri, got)
		}
	}
	e.byURI(t, "bob", "/a%20b/100%25/v1.2#view").expectGranted(t, "Everything: view")
}
