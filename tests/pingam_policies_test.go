package tests

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// aPolicy is a policy as PingAM's documentation writes one.
func aPolicy(id string, grants ...any) map[string]any {
	return map[string]any{"policyId": id, "permissions": grants}
}

func grantTo(subject string, scopes ...string) map[string]any {
	return map[string]any{"subject": subject, "scopes": append([]string{}, scopes...)}
}

// put writes a policy of alice, with the headers name, value, name, value...
func (p ping) put(t testing.TB, id string, policy any, headers ...string) *response {
	t.Helper()
	r := request{method: "PUT", url: p.URL + pingAlice + "policies/" + id, as: p.owner(t, "alice"), json: policy, headers: map[string]string{}}
	for _, kv := range form(headers...) {
		r.headers[kv[0]] = kv[1]
	}
	return p.do(t, r)
}

func (p ping) policy(t testing.TB, id string) *response {
	t.Helper()
	return p.call(t, "GET", pingAlice+"policies/"+id, p.owner(t, "alice"), nil)
}

// pingGrants are the permissions of a policy, a line each: "bob: comment view".
func pingGrants(policy any) []string {
	lines := []string{}
	for _, permission := range asList(asObject(policy)["permissions"]) {
		var scopes []string
		for _, s := range asList(asObject(permission)["scopes"]) {
			scopes = append(scopes, fmt.Sprint(s))
		}
		slices.Sort(scopes)
		lines = append(lines, fmt.Sprint(asObject(permission)["subject"])+": "+strings.Join(scopes, " "))
	}
	slices.Sort(lines)
	return lines
}

// query lists alice's policies.
func (p ping) query(t testing.TB, kv ...string) *response {
	t.Helper()
	r := request{method: "GET", url: p.URL + pingAlice + "policies", as: p.owner(t, "alice"), query: map[string][]string{}}
	for _, pair := range form(kv...) {
		r.query.Set(pair[0], pair[1])
	}
	return p.do(t, r)
}

// pingIDs are the policies of a list.
func pingIDs(res *response) []string {
	found := []string{}
	for _, policy := range asList(res.object()["result"]) {
		found = append(found, fmt.Sprint(asObject(policy)["_id"]))
	}
	return found
}

// TestPingAMPolicy is the life of a policy: created, read, replaced, deleted, with
// what the conditions of requests ask for.
func TestPingAMPolicy(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	p.policy(t, photos).expectCREST(t, 404, "UMA Policy not found, "+photos)
	p.put(t, photos, aPolicy(photos, grantTo("bob", "view")), "If-Match", "*").expectCREST(t, 404, "UMA Policy not found, "+photos)
	p.grant(t, "bob", p.newTicket(t, photos, "comment")).expect(t, 403, "request_submitted", "")

	created := p.put(t, photos, aPolicy(photos, grantTo("bob", "view", "comment")), "If-None-Match", "*")
	rev := created.str("_rev")
	if created.status != 201 || created.str("_id") != photos || rev == "" || len(created.object()) != 2 {
		t.Fatalf("create: got %s, want 201 with _id and _rev", created)
	}
	if got := created.header.Get("Location"); got != p.URL+pingAlice+"policies/"+photos || created.header.Get("ETag") != `"`+rev+`"` {
		t.Errorf("got Location %q, ETag %q", got, created.header.Get("ETag"))
	}
	p.put(t, photos, aPolicy(photos, grantTo("bob", "view")), "If-None-Match", "*").expectCREST(t, 412, "The policy exists already")

	read := p.policy(t, photos)
	if read.status != 200 || read.str("_id") != photos || read.str("policyId") != photos || read.str("name") != "Photos" || read.str("_rev") != rev ||
		!slices.Equal(pingGrants(read.json), []string{"bob: comment view"}) || len(read.object()) != 5 || read.header.Get("ETag") != `"`+rev+`"` {
		t.Errorf("read: got %s", read)
	}
	granted := p.grant(t, "bob", p.newTicket(t, photos, "comment"))
	rpt := granted.str("access_token")
	if granted.status != 200 || p.introspect(t, rpt).object()["active"] != true {
		t.Fatalf("got %s, want what was shared", granted)
	}

	// The pending request for what was shared was answered with it.
	if pending := p.call(t, "GET", pingAlice+"pendingrequests?_queryFilter=true", p.owner(t, "alice"), nil); len(pingIDs(pending)) != 0 {
		t.Errorf("got %s, want nothing pending", pending)
	}

	p.put(t, photos, aPolicy(photos, grantTo("bob", "view")), "If-Match", `"0123456789abcdef"`).expectCREST(t, 412, "The policy is no longer the one of If-Match")
	updated := p.put(t, photos, aPolicy(photos, grantTo("bob", "view"), grantTo("carol", "download")), "If-Match", `"`+rev+`"`)
	if updated.status != 200 || updated.str("_rev") == rev || updated.str("_rev") == "" || !slices.Equal(pingGrants(updated.json), []string{"bob: view", "carol: download"}) {
		t.Errorf("replace: got %s", updated)
	}
	if got := p.introspect(t, rpt); got.object()["active"] != false {
		t.Errorf("got %s for a scope that was taken back", got)
	}
	p.put(t, photos, aPolicy(photos, grantTo("bob", "view")), "If-Match", rev).expectCREST(t, 412, "")
	whatever := p.put(t, photos, aPolicy(photos, grantTo("bob", "view")), "If-Match", "*")
	if whatever.status != 200 || !slices.Equal(pingGrants(whatever.json), []string{"bob: view"}) {
		t.Errorf("replace whatever is there: got %s", whatever)
	}
	plain := p.put(t, photos, aPolicy(photos, grantTo("bob", "view", "download")))
	if plain.status != 200 || !slices.Equal(pingGrants(plain.json), []string{"bob: download view"}) {
		t.Errorf("replace without a condition: got %s", plain)
	}
	if again := p.put(t, photos, aPolicy(photos, grantTo("bob", "view", "download"))); again.str("_rev") != plain.str("_rev") {
		t.Errorf("got %s, want the _rev of before: nothing changed", again)
	}

	del := func(headers map[string]string) *response {
		return p.do(t, request{method: "DELETE", url: p.URL + pingAlice + "policies/" + photos, as: p.owner(t, "alice"), headers: headers})
	}
	del(map[string]string{"If-Match": `"x"`}).expectCREST(t, 412, "")
	if res := del(map[string]string{"If-Match": plain.str("_rev")}); res.status != 200 || string(res.raw) != "{}" {
		t.Errorf("delete: got %s, want {}", res)
	}
	del(nil).expectCREST(t, 404, "UMA Policy not found, "+photos)
	p.policy(t, photos).expectCREST(t, 404, "UMA Policy not found, "+photos)
	p.grant(t, "bob", p.newTicket(t, photos, "view")).expect(t, 403, "request_submitted", "")
	if res := p.put(t, photos, aPolicy(photos, grantTo("bob", "view"))); res.status != 201 {
		t.Errorf("create without a condition: got %s", res)
	}
}

// TestPingAMPolicyErrors: what is said of policies that are none, in the texts of
// PingAM, and nothing is shared.
func TestPingAMPolicyErrors(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	const permission = "Invalid UMA policy permission. "
	tests := []struct {
		name, body, message string
	}{
		{"no subject", `{"policyId":"ID","permissions":[{"scopes":["view"]}]}`, permission + "Missing required attribute, 'subject'."},
		{"a subject that is null", `{"policyId":"ID","permissions":[{"subject":null,"scopes":["view"]}]}`, permission + "Missing required attribute, 'subject'."},
		{"a subject that is a number", `{"policyId":"ID","permissions":[{"subject":1,"scopes":["view"]}]}`, permission + "Required attribute, 'subject', must be a String."},
		{"a blank subject", `{"policyId":"ID","permissions":[{"subject":" ","scopes":["view"]}]}`, "Subject cannot be a blank string"},
		{"another case", `{"policyId":"ID","permissions":[{"Subject":"bob","scopes":["view"]}]}`, permission + "Missing required attribute, 'subject'."},
		{"an unknown subject", `{"policyId":"ID","permissions":[{"subject":"nobody","scopes":["view"]}]}`, "There is no such user"},
		{"the owner", `{"policyId":"ID","permissions":[{"subject":"alice","scopes":["view"]}]}`, "A resource cannot be shared with its owner"},
		{"one subject twice", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":["view"]},{"subject":"BOB","scopes":["comment"]}]}`, "User [BOB] is named twice"},
		{"no scopes", `{"policyId":"ID","permissions":[{"subject":"bob"}]}`, permission + "Missing required attribute, 'scopes'."},
		{"scopes that are a string", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":"view"}]}`, permission + "Required attribute, 'scopes', must be an array of Strings."},
		{"a scope that is a number", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":[1]}]}`, permission + "Required attribute, 'scopes', must be an array of Strings."},
		{"an empty list of scopes", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":[]}]}`, permission + "Required attribute, 'scopes', must not be empty."},
		{"an unknown scope", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":["view","fly"]}]}`, "Scope [fly] is invalid"},
		{"a scope in another case", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":["View"]}]}`, "Scope [View] is invalid"},
		{"a star", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":["*"]}]}`, "Scope [*] is invalid"},
		{"a permission that is a string", `{"policyId":"ID","permissions":["bob"]}`, permission + "It must be a JSON object."},
		{"the id of another", `{"policyId":"whole","permissions":[{"subject":"bob","scopes":["view"]}]}`, "Policy ID does not match policy ID in the body."},
		{"no id", `{"permissions":[{"subject":"bob","scopes":["view"]}]}`, "Invalid UMA policy. Missing required attribute, 'policyId'."},
		{"an id that is a number", `{"policyId":1,"permissions":[]}`, "Invalid UMA policy. Required attribute, 'policyId', must be a String."},
		{"no permissions", `{"policyId":"ID"}`, "Invalid UMA policy. Missing required attribute, 'permissions'."},
		{"permissions that are an object", `{"policyId":"ID","permissions":{}}`, "Invalid UMA policy. Required attribute, 'permissions', must be an array."},
		{"an empty list of permissions", `{"policyId":"ID","permissions":[]}`, "Invalid UMA policy. It grants nothing: DELETE takes everything back."},
		{"a condition", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":["view"]}],"type":"AND","conditions":[{"type":"Expiration","expirationDate":"1638263100"}]}`,
			"Conditions of UMA policies are not supported."},
		{"a condition of one permission", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":["view"],"conditions":[{"type":"ClientId","clientIds":["x"]}]}]}`,
			"Conditions of UMA policies are not supported."},
		{"an array", `[]`, "Invalid UMA policy. It must be a JSON object."},
		{"nothing", ``, "Invalid UMA policy. It must be a JSON object."},
		{"no JSON", `{"policyId"`, ""},
		{"a name twice", `{"policyId":"ID","permissions":[],"permissions":[{"subject":"bob","scopes":["view"]}]}`, ""},
		{"two documents", `{"policyId":"ID","permissions":[{"subject":"bob","scopes":["view"]}]} {}`, ""},
		{"deep", `{"policyId":"ID","permissions":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := p.do(t, request{
				method: "PUT", url: p.URL + pingAlice + "policies/" + photos, as: p.owner(t, "alice"),
				body: strings.ReplaceAll(tc.body, `"ID"`, `"`+photos+`"`), headers: map[string]string{"Content-Type": "application/json"},
			})
			res.expectCREST(t, 400, tc.message)
			p.policy(t, photos).expectCREST(t, 404, "UMA Policy not found, "+photos)
		})
	}

	good := aPolicy(photos, grantTo("bob", "view"))
	p.put(t, photos, good, "If-None-Match", `"x"`).expectCREST(t, 400, "If-None-Match may be *")
	p.put(t, photos, good, "If-None-Match", "*", "If-Match", "*").expectCREST(t, 400, "If-Match and If-None-Match exclude one another")
	for _, match := range []string{`"a", "b"`, `""`, `W/""`, `"`} { // an empty one is not any
		p.put(t, photos, good, "If-Match", match).expectCREST(t, 400, "If-Match may be * or the _rev of the policy")
	}
	p.put(t, photos, good, "Content-Type", "text/plain").expectCREST(t, 415, "the body must be application/json")
	p.put(t, "fixed", aPolicy("fixed", grantTo("bob", "view"))).expectCREST(t, 400, "The resource is not managed by its owner")
	res := p.do(t, request{
		method: "PUT", url: p.URL + pingAlice + "policies/" + photos, as: p.owner(t, "alice"),
		body: `{"policyId":"` + strings.Repeat("x", 2<<20) + `"}`, headers: map[string]string{"Content-Type": "application/json"},
	})
	res.expectCREST(t, 413, "the body is too large")
	p.policy(t, photos).expectCREST(t, 404, "")
	for _, method := range []string{"POST", "PATCH"} {
		p.call(t, method, pingAlice+"policies/"+photos, p.owner(t, "alice"), good).expectCREST(t, 405, "")
		p.call(t, method, pingAlice+"policies", p.owner(t, "alice"), good).expectCREST(t, 405, "")
	}
	p.call(t, "GET", pingAlice+"nothing", p.owner(t, "alice"), nil).expectCREST(t, 404, "")
}

// TestPingAMPolicyWhole: a resource without scopes is shared as a whole, by an
// empty list.
func TestPingAMPolicyWhole(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	if res := p.put(t, "whole", aPolicy("whole", grantTo("bob@example.com"))); res.status != 201 {
		t.Fatalf("got %s", res)
	}
	if got := p.policy(t, "whole"); !slices.Equal(pingGrants(got.json), []string{"bob: "}) {
		t.Errorf("got %s", got)
	}
	res := p.grant(t, "bob", p.newTicket(t, "whole"))
	if permissions := asList(p.introspect(t, res.str("access_token")).object()["permissions"]); res.status != 200 || len(permissions) != 1 {
		t.Errorf("got %s and %v", res, permissions)
	}
}

// TestPingAMPolicyList: the documented filters, pages and order, and nothing else.
func TestPingAMPolicyList(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	if got := p.query(t, "_queryFilter", "true"); got.status != 200 || got.object()["result"] == nil || len(pingIDs(got)) != 0 || got.object()["resultCount"] != 0.0 {
		t.Errorf("got %s, want none", got)
	}
	for id, grants := range map[string][]any{
		photos: {grantTo("bob", "view"), grantTo("carol", "comment")}, "whole": {grantTo("carol")}, "of-another": {grantTo("bob", "view")},
	} {
		if res := p.put(t, id, aPolicy(id, grants...)); res.status != 201 {
			t.Fatalf("got %s", res)
		}
	}
	filters := map[string][]string{
		`true`:                                                             {photos, "of-another", "whole"}, // Photos, Thing, Whole
		`resourceServer eq "photoz-api"`:                                   {photos, "whole"},
		`resourceServer eq "other-api"`:                                    {"of-another"},
		`resourceServer eq "nobody"`:                                       {},
		`resourceServer eq "photoz-web"`:                                   {},
		`permissions/subject eq "bob"`:                                     {photos, "of-another"},
		`/permissions/subject eq "carol"`:                                  {photos, "whole"},
		`permissions/subject eq "alice"`:                                   {},
		`permissions/subject eq "nobody"`:                                  {},
		`resourceServer eq "photoz-api" and permissions/subject eq "bob"`:  {photos},
		`permissions/subject eq "carol" AND resourceServer eq "other-api"`: {},
		`permissions/subject eq "bob' OR 1=1--"`:                           {},
	}
	for filter, want := range filters {
		got := p.query(t, "_queryFilter", filter, "_sortKeys", "name")
		o := got.object()
		if got.status != 200 || !slices.Equal(pingIDs(got), want) || o["resultCount"] != float64(len(want)) || o["remainingPagedResults"] != 0.0 {
			t.Errorf("%s: got %s, want %v", filter, got, want)
		}
		if cookie, ok := o["pagedResultsCookie"]; !ok || cookie != nil {
			t.Errorf("%s: got cookie %v, want null", filter, cookie)
		}
	}

	// A policy that is found by one subject shows all of them: who writes back what
	// was read must not withdraw what the others have.
	found := p.query(t, "_queryFilter", `permissions/subject eq "bob" and resourceServer eq "photoz-api"`)
	if got := pingGrants(asList(found.object()["result"])[0]); !slices.Equal(got, []string{"bob: view", "carol: comment"}) {
		t.Errorf("got %v", got)
	}
	if rev := asObject(asList(found.object()["result"])[0])["_rev"]; rev != p.policy(t, photos).str("_rev") {
		t.Errorf("got _rev %v in a list, another alone", rev)
	}

	var seen []string
	for offset, want := range []int{1, 1, 1, 0} {
		page := p.query(t, "_queryFilter", "true", "_pageSize", "1", "_pagedResultsOffset", fmt.Sprint(offset))
		seen = append(seen, pingIDs(page)...)
		more := map[bool]float64{true: -1, false: 0}[offset < 2]
		if len(pingIDs(page)) != want || page.object()["remainingPagedResults"] != more {
			t.Errorf("page %d: got %s", offset, page)
		}
	}
	if !slices.Equal(seen, []string{photos, "of-another", "whole"}) {
		t.Errorf("got pages of %v", seen)
	}
	if got := p.query(t, "_queryFilter", "true", "_pageSize", "0"); len(pingIDs(got)) != 3 {
		t.Errorf("without a page size: got %s", got)
	}

	const filters400 = `_queryFilter must be true, or resourceServer eq '...' and permissions/subject eq '...'`
	for _, bad := range []struct {
		query   []string
		message string
	}{
		{nil, filters400}, {[]string{"_queryFilter", ""}, filters400}, {[]string{"_queryFilter", "false"}, filters400},
		{[]string{"_queryFilter", `name eq "x"`}, filters400}, {[]string{"_queryFilter", `resourceServer co "x"`}, filters400},
		{[]string{"_queryFilter", `resourceServer eq "a" or true`}, filters400}, {[]string{"_queryFilter", `resourceServer eq ""`}, filters400},
		{[]string{"_queryId", "searchAll"}, filters400},
		{[]string{"_queryFilter", "true", "_sortKeys", "policyId"}, "_sortKeys may be name"},
		{[]string{"_queryFilter", "true", "_sortKeys", "-name"}, "_sortKeys may be name"},
		{[]string{"_queryFilter", "true", "_sortKeys", "name;drop table request"}, "_sortKeys may be name"},
		{[]string{"_queryFilter", "true", "_pageSize", "-1"}, "_pageSize must be a number of at least 0"},
		{[]string{"_queryFilter", "true", "_pageSize", "x"}, "_pageSize must be a number of at least 0"},
		{[]string{"_queryFilter", "true", "_pagedResultsOffset", "-1"}, "_pagedResultsOffset must be a number of at least 0"},
	} {
		p.query(t, bad.query...).expectCREST(t, 400, bad.message)
	}
}

// TestRaceForAPolicy: of many who create a policy only one does, of many who replace
// the one they read too, and of many who delete it.
func TestRaceForAPolicy(t *testing.T) {
	t.Parallel()
	p := startPing(t)
	p.owner(t, "alice")
	race := func(do func() *response) map[int]int {
		var mu sync.Mutex
		statuses := map[int]int{}
		one := func() {
			status := do().status
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		}
		atOnce(one, one, one, one, one, one, one, one)
		return statuses
	}
	writers := []string{"bob", "carol"}
	for range rounds(10) {
		created := race(func() *response {
			return p.put(t, photos, aPolicy(photos, grantTo("bob", "view")), "If-None-Match", "*")
		})
		if created[201] != 1 || created[412] != 7 {
			t.Errorf("create: got %v, want one 201 and seven 412", created)
		}
		rev, next := p.policy(t, photos).str("_rev"), atomic.Int32{}
		replaced := race(func() *response {
			n := int(next.Add(1))
			return p.put(t, photos, aPolicy(photos, grantTo(writers[n%2], "view", "comment")), "If-Match", rev)
		})
		if replaced[200] != 1 || replaced[412] != 7 {
			t.Errorf("replace: got %v, want one 200 and seven 412", replaced)
		}
		deleted := race(func() *response {
			return p.call(t, "DELETE", pingAlice+"policies/"+photos, p.owner(t, "alice"), nil)
		})
		if deleted[200] != 1 || deleted[404] != 7 {
			t.Errorf("delete: got %v, want one 200 and seven 404", deleted)
		}
	}
}
