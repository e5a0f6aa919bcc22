package tests

import (
	"strings"
	"testing"
)

// TestPingAMParties: parties of trusted issuers own, are asked, approve and share by PingAM's
// endpoints; an address that nobody has proved is a subject like others, until somebody has.
func TestPingAMParties(t *testing.T) {
	t.Parallel()
	corp := mailIssuer(t, "corp")
	corp.Realm["clients"] = map[string]string{"app-guid": "photoz-app"}
	p := startPing(t, withRealm(strings.Replace(alphaRealm, "\nclients:\n", "\nissuers: ["+corp.entry(t)+"]\nclients:\n", 1), map[string]string{}))
	sets := p.service(t, "photoz-api")
	res := p.send(t, "POST", resourceSet, sets, map[string]any{
		"name": "Plans", "resource_scopes": []string{"view"}, "owner": map[string]any{"iss": corp.URL, "sub": "ann"}, "ownerManagedAccess": true,
	})
	id, _ := ownerIn(res)
	plans := res.str("_id")
	if res.status != 201 || id == "" || plans == "" {
		t.Fatalf("register: got %s", res)
	}
	ann, zoe := corp.of(t, p.env, "ann", ""), corp.of(t, p.env, "zoe", "zoe@corp.example")
	byName, byID := pingUser+"corp%2Fann/uma/", pingUser+id+"/uma/"

	// Zoe asks, Ann approves.
	p.uma(t, zoe, "ticket", p.ticket(t, perm{Resource: plans, Scopes: []string{"view"}})).expect(t, 403, "access_denied", "request_submitted")
	for _, path := range []string{byName, byID, pingUser + "CORP%2Fann/uma/"} {
		res := p.call(t, "GET", path+"pendingrequests?_queryFilter=true", ann, nil)
		if res.status != 200 || res.object()["resultCount"] != 1.0 {
			t.Fatalf("%s: got %s, want one request", path, res)
		}
	}
	asked := asObject(asList(p.call(t, "GET", byName+"pendingrequests?_queryFilter=true", ann, nil).object()["result"])[0])
	if asked["user"] != "corp/zoe" || asked["resource"] != "Plans" {
		t.Errorf("got %v", asked)
	}
	for what, as := range map[string]credentials{"another party": zoe, "a local user": p.owner(t, "alice")} {
		if res := p.call(t, "GET", byName+"policies/"+plans, as, nil); res.status != 403 {
			t.Errorf("%s: got %s, want 403", what, res)
		}
	}
	if res := p.call(t, "POST", byID+"pendingrequests/"+asked["_id"].(string)+"?_action=approve", ann, nil); res.status != 200 {
		t.Fatalf("approve: got %s", res)
	}
	p.uma(t, zoe, "permission", plans+"#view").expectGranted(t, "Plans: view")

	// A policy with an address: it is shown, kept by who writes back what it read, and changed
	// by whoever takes it.
	write := func(policy any, match string) *response {
		r := request{method: "PUT", url: p.URL + byID + "policies/" + plans, as: ann, json: policy, headers: map[string]string{}}
		if match != "" {
			r.headers["If-Match"] = match
		}
		return p.do(t, r)
	}
	if res := write(aPolicy(plans, grantTo("corp/zoe", "view"), grantTo("New@corp.example", "view")), ""); res.status != 200 {
		t.Fatalf("got %s", res)
	}
	shown := p.call(t, "GET", byID+"policies/"+plans, ann, nil)
	expectLines(t, "policy", pingGrants(shown.object()), "corp/zoe: view", "new@corp.example: view")
	listed := p.call(t, "GET", byID+"policies?_queryFilter=true", ann, nil)
	if first := asObject(asList(listed.object()["result"])[0]); first["_rev"] != shown.str("_rev") {
		t.Errorf("the list has revision %v, want %s", first["_rev"], shown.str("_rev"))
	}
	if res := write(map[string]any{"policyId": plans, "permissions": shown.object()["permissions"]}, shown.str("_rev")); res.status != 200 {
		t.Fatalf("write back what was read: got %s", res)
	}
	shown = p.call(t, "GET", byID+"policies/"+plans, ann, nil)
	expectLines(t, "policy", pingGrants(shown.object()), "corp/zoe: view", "new@corp.example: view")
	p.uma(t, corp.of(t, p.env, "nora", "new@corp.example"), "permission", plans+"#view").expectGranted(t, "Plans: view")
	if res := write(aPolicy(plans, grantTo("corp/zoe", "view")), shown.str("_rev")); res.status != 412 {
		t.Errorf("A-42 the address was taken meanwhile: got %s, want 412", res)
	}
	expectLines(t, "policy", pingGrants(p.call(t, "GET", byID+"policies/"+plans, ann, nil).object()), "corp/nora: view", "corp/zoe: view")

	// One that has nothing but an address is a policy, and is deleted as one.
	if res := write(aPolicy(plans, grantTo("new2@corp.example", "view")), ""); res.status != 200 {
		t.Fatalf("got %s", res)
	}
	if res := p.call(t, "DELETE", byID+"policies/"+plans, ann, nil); res.status != 200 {
		t.Errorf("delete: got %s", res)
	}
	if res := p.call(t, "GET", byID+"policies/"+plans, ann, nil); res.status != 404 {
		t.Errorf("after it was deleted: got %s, want 404", res)
	}
	if res := p.uma(t, corp.of(t, p.env, "late", "new2@corp.example"), "permission", plans+"#view"); res.status != 403 {
		t.Errorf("the address of a policy that was deleted: got %s, want 403", res)
	}
}
