package tests

import (
	"strings"
	"testing"
)

// TestUMAPolicyErrors is every refusal of Keycloak's, and those where
// Keycloak answers 500.
func TestUMAPolicyErrors(t *testing.T) {
	t.Parallel()
	e := start(t)
	album, diary := e.resourceID(t, "Holiday album"), e.resourceID(t, "Diary")
	policy := e.shareBy(t, album, policyOf("there", map[string]any{"users": []string{"erin"}}))
	e.shareBy(t, album, policyOf("there too", map[string]any{"users": []string{"erin"}}))
	before := e.get(t, umaPolicy, e.as(t, "alice", "photoz-api"))
	const post, put = "POST", "PUT"
	with := func(member string, value any) map[string]any {
		return policyOf("new", map[string]any{"users": []string{"bob"}, member: value})
	}
	tests := []struct {
		name, method, id  string
		as                string // alice when empty
		body              any
		status            int
		code, description string
	}{
		{"an id", post, album, "", with("id", "x"), 400, "invalid_request", "Newly created uma policies should not have an id"},
		{"an unknown resource", post, "nope", "", with("name", "new"), 400, "invalid_request", "Resource [nope] cannot be found"},
		{"a resource by its name", post, "Holiday%20album", "", with("name", "new"), 400, "invalid_request", "Resource [Holiday album] cannot be found"},
		{"another's resource", post, album, "bob", with("name", "new"), 400, "invalid_request", "Only resource owner can access policies for resource [" + album + "]"},
		{"a resource that the owner does not manage", post, diary, "", with("name", "new"), 400, "invalid_request", "Only resources with owner managed accessed can have policies"},
		{"scopes that are not the resource's", post, album, "", with("scopes", []string{"view", "fly"}), 400, "invalid_request", "Some of the scopes [[view, fly]] are not valid for resource [" + album + "]"},
		{"no scopes", post, album, "", with("scopes", []string{}), 400, "invalid_request", "scopes is empty"},
		{"a name that is taken", post, album, "", with("name", "there"), 409, "Policy with name [there] already exists", "Conflicting policy"},
		{"no name", post, album, "", map[string]any{"users": []string{"bob"}}, 400, "invalid_request", "name is missing"},
		{"an empty name", post, album, "", with("name", ""), 400, "invalid_request", "name is missing"},
		{"an unknown user", post, album, "", with("users", []string{"ghost"}), 400, "invalid_request", "User [ghost] does not exist"},
		{"a service account", post, album, "", with("users", []string{"service-account-photoz-app"}), 400, "invalid_request", "User [service-account-photoz-app] does not exist"},
		{"an unknown client", post, album, "", with("clients", []string{"ghost"}), 400, "invalid_request", "Client [ghost] does not exist"},
		{"a role of an unknown client", post, album, "", with("roles", []string{"ghost/user"}), 400, "invalid_request", "The role [ghost/user] is not a role of a client"},
		{"a group that is no path", post, album, "", with("groups", []string{"friends"}), 400, "invalid_request", "The group [friends] is not a path, such as /friends"},
		{"a group without a name", post, album, "", with("groups", []string{"/"}), 400, "invalid_request", "The group [/] is not a path, such as /friends"},
		{"a group with an empty part", post, album, "", with("groups", []string{"/a//b"}), 400, "invalid_request", "The group [/a//b] is not a path, such as /friends"},
		{"a group that ends in a slash", post, album, "", with("groups", []string{"/a/"}), 400, "invalid_request", "The group [/a/] is not a path, such as /friends"},
		{"another strategy", post, album, "", with("decisionStrategy", "MOST"), 400, "invalid_request", "decisionStrategy must be UNANIMOUS, AFFIRMATIVE or CONSENSUS"},
		{"a negative policy", post, album, "", with("logic", "NEGATIVE"), 400, "invalid_request", "logic must be POSITIVE: whom a resource is not shared with needs no policy"},
		{"a condition", post, album, "", with("condition", "script.js"), 400, "invalid_request", "condition and policies are not supported: the realm's policies are written in Rego"},
		{"another resource too", post, album, "", with("resources", []string{album, diary}), 400, "invalid_request", "A policy is for the resource [" + album + "] alone"},
		{"another type", post, album, "", with("type", "time"), 400, "invalid_request", "type must be uma"},
		{"users that are no list", post, album, "", with("users", "bob"), 400, "invalid_request", "users must be an array of strings"},
		{"no object", post, album, "", []string{"x"}, 400, "invalid_request", "a policy must be a JSON object"},

		{"put, an unknown policy", put, "nope", "", with("name", "new"), 404, "invalid_request", "Policy with [nope] does not exist"},
		{"put, a resource for a policy", put, album, "", with("name", "new"), 404, "invalid_request", "Policy with [" + album + "] does not exist"},
		{"put, another's", put, policy, "bob", with("name", "new"), 400, "invalid_request", "Only resource owner can access policies for resource [" + album + "]"},
		{"put, another id", put, policy, "", with("id", "x"), 400, "invalid_request", "id is not that of the path"},
		{"put, no object", put, policy, "", []string{"x"}, 400, "invalid_request", "Failed to parse representation"},
		{"put, scopes that are not the resource's", put, policy, "", with("scopes", []string{"fly"}), 400, "invalid_request", "Some of the scopes [[fly]] are not valid for resource [" + album + "]"},
		{"put, no scopes", put, policy, "", with("scopes", []string{}), 400, "invalid_request", "scopes is empty"},
		{"put, a name that is taken", put, policy, "", with("name", "there too"), 409, "Policy with name [there too] already exists", "Conflicting policy"},
		{"put, no name", put, policy, "", map[string]any{"users": []string{"bob"}}, 400, "invalid_request", "name is missing"},
		{"put, an unknown user", put, policy, "", with("users", []string{"ghost"}), 400, "invalid_request", "User [ghost] does not exist"},
		{"put, a negative policy", put, policy, "", with("logic", "NEGATIVE"), 400, "invalid_request", ""},
		{"put, another resource", put, policy, "", with("resources", []string{diary}), 400, "invalid_request", "A policy is for the resource [" + album + "] alone"},

		{"get, an unknown policy", "GET", "nope", "", nil, 404, "invalid_request", "Policy with [nope] does not exist"},
		{"get, another's", "GET", policy, "bob", nil, 400, "invalid_request", "Only resource owner can access policies for resource [" + album + "]"},
		{"delete, an unknown policy", "DELETE", "nope", "", nil, 404, "invalid_request", "Policy with [nope] does not exist"},
		{"delete, another's", "DELETE", policy, "bob", nil, 400, "invalid_request", "Only resource owner can access policies for resource [" + album + "]"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			as := tc.as
			if as == "" {
				as = "alice"
			}
			res := e.do(t, request{method: tc.method, url: umaPolicy + "/" + tc.id, as: e.as(t, as, "photoz-api"), json: tc.body})
			res.expect(t, tc.status, tc.code, tc.description)
		})
	}
	bodies := map[string]string{"cut off": `{"name":"x"`, "a name twice": `{"name":"x","name":"y"}`, "two documents": `{"name":"x"}{}`, "nothing": ``, "null": `null`}
	for name, body := range bodies {
		for _, method := range []string{post, put} {
			id, want := album, ""
			if method == put {
				id, want = policy, "Failed to parse representation"
			}
			res := e.do(t, request{method: method, url: umaPolicy + "/" + id, as: e.as(t, "alice", "photoz-api"), body: body, headers: map[string]string{"Content-Type": "application/json"}})
			if res.expect(t, 400, "invalid_request", want); t.Failed() {
				t.Fatalf("%s %s", method, name)
			}
		}
	}
	if after := e.get(t, umaPolicy, e.as(t, "alice", "photoz-api")); string(after.raw) != string(before.raw) {
		t.Errorf("the policies were %s and are %s, want them as they were", before, after)
	}
	if e.decides(t, "bob", album+"#view") {
		t.Error("a refused policy has an effect")
	}
}

// TestUMAPolicyIsAnothersBusiness: nobody but the owner, through the resource
// server that has the resource, reads, lists, changes or makes policies for it
// (A-41; CVE-2026-4636, CVE-2025-14778).
func TestUMAPolicyIsAnothersBusiness(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *options) {
		o.More = []string{strings.Replace(photozRealm(t), "realm: photoz", "realm: other", 1)}
	})
	album := e.resourceID(t, "Holiday album")
	policy := e.shareBy(t, album, policyOf("alice's", map[string]any{"users": []string{"erin"}}))
	alice := e.as(t, "alice", "photoz-api")
	before := e.get(t, umaPolicy+"/"+policy, alice)
	mine := e.send(t, "POST", resourceSet, e.as(t, "bob", "photoz-api"), map[string]any{
		"name": "Bob's", "type": "album", "ownerManagedAccess": true, "resource_scopes": []string{"view"},
	}).str("_id")

	const notOwner, noPAT = "Only resource owner can access policies for resource [", "Could not obtain bearer access_token from request."
	intruders := map[string]struct {
		as     credentials
		status int
		text   string
	}{
		"another owner":                                {e.as(t, "bob", "photoz-api"), 400, notOwner + album + "]"},
		"who it is shared with":                        {e.as(t, "erin", "photoz-api"), 400, notOwner + album + "]"},
		"the resource server":                          {e.service(t, "photoz-api"), 400, notOwner + album + "]"},
		"the owner through another resource server":    {e.as(t, "alice", "other-api"), 404, "Policy with [" + policy + "] does not exist"},
		"another resource server":                      {e.service(t, "other-api"), 404, "Policy with [" + policy + "] does not exist"},
		"the owner's namesake of another realm":        {e.in("other").as(t, "alice", "photoz-api"), 403, noPAT},
		"nobody":                                       {credentials{}, 403, noPAT},
		"the resource server without a token":          {basic("photoz-api"), 403, noPAT},
		"the owner through what is no resource server": {e.as(t, "alice", "photoz-web"), 403, "Client application [photoz-web] is not registered as a resource server."},
		"an RPT of the owner's":                        {bearer(e.uma(t, alice, "permission", album).str("access_token")), 403, noPAT},
		"an ID token of the owner's":                   {bearer(e.idToken(t, "alice", "photoz-api")), 403, noPAT},
	}
	for name, who := range intruders {
		t.Run(name, func(t *testing.T) {
			body := policyOf("intruder", map[string]any{"users": []string{"bob"}})
			for _, r := range []request{
				{method: "GET", url: umaPolicy + "/" + policy},
				{method: "PUT", url: umaPolicy + "/" + policy, json: body},
				{method: "DELETE", url: umaPolicy + "/" + policy},
			} {
				r.as = who.as
				if res := e.do(t, r); res.status != who.status || res.str("error_description") != who.text {
					t.Errorf("%s: got %s, want %d %s", r.method, res, who.status, who.text)
				}
			}
			res := e.send(t, "POST", umaPolicy+"/"+album, who.as, body)
			if res.status != 400 && res.status != 403 || res.str("id") != "" {
				t.Errorf("POST: got %s, want a refusal", res)
			}
			for _, query := range [][]string{nil, {"name", "alice"}, {"resource", album}, {"scope", "view"}} {
				res := e.get(t, umaPolicy, who.as, query...)
				if strings.Contains(string(res.raw), policy) || strings.Contains(string(res.raw), "alice's") {
					t.Errorf("list %v: got %s, want nothing of alice's", query, res)
				}
			}
		})
	}
	t.Run("a policy for one's own that names another's resource", func(t *testing.T) {
		bob := e.as(t, "bob", "photoz-api")
		body := policyOf("bob's", map[string]any{"users": []string{"bob"}})
		own := e.send(t, "POST", umaPolicy+"/"+mine, bob, body)
		if own.status != 200 {
			t.Fatalf("share one's own: got %s", own)
		}
		for _, resources := range [][]string{{album}, {mine, album}, {album, mine}, {"Holiday album"}} {
			body["resources"] = resources
			want := "A policy is for the resource [" + mine + "] alone"
			e.send(t, "POST", umaPolicy+"/"+mine, bob, body).expect(t, 400, "invalid_request", want)
			e.send(t, "PUT", umaPolicy+"/"+own.str("id"), bob, body).expect(t, 400, "invalid_request", want)
		}
		e.send(t, "PUT", umaPolicy+"/"+policy, bob, body).expect(t, 400, "invalid_request", notOwner+album+"]")
	})
	if after := e.get(t, umaPolicy+"/"+policy, alice); string(after.raw) != string(before.raw) {
		t.Errorf("the policy was %s and is %s, want it untouched", before, after)
	}
	if got := asList(e.get(t, umaPolicy, alice).json); len(got) != 1 {
		t.Errorf("alice has policies %v, want her own", got)
	}
	if e.decides(t, "bob", album+"#view") {
		t.Error("bob may view alice's album")
	}
}
