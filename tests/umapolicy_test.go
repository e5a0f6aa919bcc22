package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const umaPolicy = "/authz/protection/uma-policy"

// friendlyPhotoz is the photoz realm with bob in a group.
func friendlyPhotoz(t *testing.T) func(*options) {
	t.Helper()
	return photozWith(t, nil, "{username: bob, password: bob,", "{username: bob, password: bob, groups: [/friends],")
}

// shareBy shares a resource of alice's by a policy and returns its id.
func (e *env) shareBy(t testing.TB, resource string, policy map[string]any) string {
	t.Helper()
	res := e.send(t, "POST", umaPolicy+"/"+resource, e.as(t, "alice", "photoz-api"), policy)
	if res.status != 200 || res.str("id") == "" {
		t.Fatalf("share %s by %v: got %s", resource, policy, res)
	}
	return res.str("id")
}

// policyOf is a policy for the scope view.
func policyOf(name string, members map[string]any) map[string]any {
	policy := map[string]any{"name": name, "scopes": []string{"view"}}
	for member, value := range members {
		policy[member] = value
	}
	return policy
}

// decides reports whether a user through photoz-web has a permission.
func (e *env) decides(t testing.TB, user, permission string) bool {
	t.Helper()
	res := e.uma(t, e.as(t, user, "photoz-web"), "permission", permission, "response_mode", "decision")
	if res.status != 200 && res.status != 403 {
		t.Errorf("%s asks for %s: got %s", user, permission, res)
	}
	return res.status == 200
}

// TestUMAPolicyForWhom: lists mean any of, the kinds that a policy names combine by
// its strategy. Bob is a friend; he and erin hold photoz-api's uma_protection; dave
// is an admin; all three are users, carol is not. All ask through photoz-web.
func TestUMAPolicyForWhom(t *testing.T) {
	t.Parallel()
	e := start(t, friendlyPhotoz(t))
	tests := []struct {
		name   string
		policy map[string]any
		want   string
	}{
		{"any of the users", map[string]any{"users": []string{"bob", "erin"}}, "bob erin"},
		{"a user in another case", map[string]any{"users": []string{"BOB"}}, "bob"},
		{"any of the roles", map[string]any{"roles": []string{"admin", "nobody-has-it"}}, "dave"},
		{"a client role", map[string]any{"roles": []string{"photoz-api/uma_protection"}}, "bob erin"},
		{"the client role of another client", map[string]any{"roles": []string{"other-api/uma_protection"}}, ""},
		{"a realm role named like a client role", map[string]any{"roles": []string{"uma_protection"}}, ""},
		{"any of the groups", map[string]any{"groups": []string{"/nobody", "/friends"}}, "bob"},
		{"a group below theirs", map[string]any{"groups": []string{"/friends/close"}}, ""},
		{"a group in another case", map[string]any{"groups": []string{"/Friends"}}, ""},
		{"any of the clients", map[string]any{"clients": []string{"photoz-app", "photoz-web"}}, "bob carol dave erin"},
		{"another client", map[string]any{"clients": []string{"photoz-app"}}, ""},

		{"unanimous is what is not said", map[string]any{"users": []string{"bob", "carol"}, "roles": []string{"user"}}, "bob"},
		{"unanimous", map[string]any{"decisionStrategy": "UNANIMOUS", "users": []string{"bob", "dave"}, "roles": []string{"user"}, "groups": []string{"/friends"}, "clients": []string{"photoz-web"}}, "bob"},
		{"unanimous, through another client", map[string]any{"users": []string{"bob"}, "clients": []string{"photoz-app"}}, ""},
		{"affirmative", map[string]any{"decisionStrategy": "AFFIRMATIVE", "users": []string{"bob"}, "roles": []string{"admin"}, "clients": []string{"photoz-app"}}, "bob dave"},
		{"consensus, half is not enough", map[string]any{"decisionStrategy": "CONSENSUS", "users": []string{"bob"}, "roles": []string{"admin"}}, ""},
		{"consensus, two of three", map[string]any{"decisionStrategy": "CONSENSUS", "users": []string{"bob", "carol"}, "roles": []string{"user"}, "groups": []string{"/friends"}}, "bob"},
		{"consensus, three of four", map[string]any{"decisionStrategy": "CONSENSUS", "users": []string{"dave"}, "roles": []string{"user"}, "groups": []string{"/friends"}, "clients": []string{"photoz-web"}}, "bob dave"},

		{"nobody", map[string]any{}, ""},
		{"nobody, affirmatively", map[string]any{"decisionStrategy": "AFFIRMATIVE", "users": []string{}, "roles": []string{}}, ""},
		{"nobody, by consensus", map[string]any{"decisionStrategy": "CONSENSUS"}, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			album := e.album(t, "For "+tc.name)
			e.shareBy(t, album, policyOf(tc.name, tc.policy))
			for _, user := range []string{"bob", "carol", "dave", "erin"} {
				want := slices.Contains(strings.Fields(tc.want), user)
				if got := e.decides(t, user, album+"#view"); got != want {
					t.Errorf("%s may view: got %t, want %t", user, got, want)
				}
				if e.decides(t, user, album+"#comment") {
					t.Errorf("%s may comment, which is not shared", user)
				}
			}
			if !e.decides(t, "alice", album+"#comment") {
				t.Error("the owner may not")
			}
		})
	}
}

// TestUMAPolicyReach: what a policy shares is found by id, URI, type and scope, and
// through tickets; not by the name of what is another's, nor among all entitlements
// (as in Keycloak).
func TestUMAPolicyReach(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-app")
	album := e.create(t, map[string]any{
		"name": "Reach", "type": "reach", "owner": "alice", "ownerManagedAccess": true, "uris": []string{"/reach"},
		"resource_scopes": []string{"reach", "comment"},
	})
	e.shareBy(t, album, map[string]any{"name": "reach", "scopes": []string{"reach"}, "users": []string{"bob"}})

	for _, permission := range []string{album, album + "#reach", album + "#reach,comment", "resource-type-any:reach", "resource-type-instance:reach", "#reach"} {
		e.uma(t, bob, "permission", permission).expectGranted(t, "Reach: reach")
	}
	e.uma(t, bob, "permission", "/reach", "permission_resource_format", "uri").expectGranted(t, "Reach: reach")
	e.uma(t, bob, "ticket", e.ticket(t, perm{Resource: album, Scopes: []string{"reach", "comment"}})).expectGranted(t, "Reach: reach")
	e.uma(t, bob, "permission", "Reach#reach").expect(t, 400, "invalid_resource", "Resource with id [Reach] does not exist.")
	for _, p := range granted(t, e.uma(t, bob)) {
		if strings.HasPrefix(p, "Reach") {
			t.Errorf("all entitlements have %q", p)
		}
	}
	e.uma(t, e.as(t, "erin", "photoz-app"), "permission", "#reach").expect(t, 403, "access_denied", "not_authorized")

	// Of the ticket above, what is not shared was asked of the owner, and nothing else.
	asked := asList(e.get(t, requests, e.as(t, "alice", "photoz-api"), "resourceId", album, "returnNames", "true").json)
	if len(asked) != 1 || at(asked[0], "scopeName") != "comment" {
		t.Errorf("got requests %v, want one, for comment", asked)
	}

	t.Run("an owner without the role uma_protection", func(t *testing.T) {
		family := e.resourceID(t, "Family album")
		body := policyOf("for carol", map[string]any{"users": []string{"carol"}})
		if res := e.send(t, "POST", umaPolicy+"/"+family, e.as(t, "dave", "photoz-api"), body); res.status != 200 {
			t.Fatalf("got %s", res)
		}
		if !e.decides(t, "carol", family+"#view") {
			t.Error("carol may not view what dave shared with her")
		}
	})
	t.Run("a resource without scopes", func(t *testing.T) {
		whole := e.create(t, map[string]any{"name": "Whole", "type": "reach", "owner": "alice", "ownerManagedAccess": true})
		e.shareBy(t, whole, map[string]any{"name": "whole", "users": []string{"bob"}})
		h := e.hold(t, whole)
		e.expectRemaining(t, h.rpt, "Whole")

		// With scopes it is another thing, which was not shared.
		replace(t, e, whole, map[string]any{"name": "Whole", "type": "reach", "ownerManagedAccess": true, "resource_scopes": []string{"view"}})
		e.expectRemaining(t, h.rpt)
		e.uma(t, bob, "permission", whole).expect(t, 403, "access_denied", "not_authorized")
	})
	t.Run("the scopes have left the resource", func(t *testing.T) {
		id := e.album(t, "Left")
		policy := e.shareBy(t, id, policyOf("left", map[string]any{"users": []string{"bob"}}))
		replace(t, e, id, map[string]any{"name": "Left", "type": "album", "ownerManagedAccess": true, "resource_scopes": []string{"comment"}})
		e.uma(t, bob, "permission", id).expect(t, 403, "access_denied", "not_authorized")
		res := e.get(t, umaPolicy+"/"+policy, e.as(t, "alice", "photoz-api"))
		res.expect(t, 404, "invalid_request", "Policy with ["+policy+"] does not exist")
	})
	t.Run("all scopes, those of now", func(t *testing.T) {
		id := e.album(t, "All of it")
		e.shareBy(t, id, map[string]any{"name": "all of it", "users": []string{"bob"}})
		e.uma(t, bob, "permission", id).expectGranted(t, "All of it: view comment")
		replace(t, e, id, map[string]any{"name": "All of it", "type": "album", "ownerManagedAccess": true, "resource_scopes": []string{"view", "comment", "delete"}})
		e.uma(t, bob, "permission", id).expectGranted(t, "All of it: view comment")
	})
}

// TestUMAPolicyReplaced: PUT says all anew but for the scopes, when they are left
// out; for nobody it deletes the policy, as Keycloak does.
func TestUMAPolicyReplaced(t *testing.T) {
	t.Parallel()
	e := start(t)
	alice := e.as(t, "alice", "photoz-api")
	album := e.album(t, "Replaced")
	id := e.shareBy(t, album, policyOf("before", map[string]any{
		"description": "d", "users": []string{"bob"}, "clients": []string{"photoz-web"}, "decisionStrategy": "AFFIRMATIVE",
	}))
	put := func(policy map[string]any) {
		t.Helper()
		res := e.send(t, "PUT", umaPolicy+"/"+id, alice, policy)
		if res.status != 201 || len(res.raw) > 0 {
			t.Fatalf("replace by %v: got %s, want 201 and nothing", policy, res)
		}
	}
	read := func(want map[string]any) {
		t.Helper()
		res := e.get(t, umaPolicy+"/"+id, alice)
		want["id"], want["type"], want["logic"], want["owner"] = id, "uma", "POSITIVE", ownerOf(t, e, "Holiday album")
		got, err := json.Marshal(res.json)
		text, err2 := json.Marshal(want)
		if err := errors.Join(err, err2); err != nil || res.status != 200 || string(got) != string(text) {
			t.Errorf("got %s, want %s", res, text)
		}
	}
	read(map[string]any{"name": "before", "description": "d", "scopes": []string{"view"}, "users": []string{"bob"}, "clients": []string{"photoz-web"}, "decisionStrategy": "AFFIRMATIVE"})
	put(map[string]any{"name": "after", "users": []string{"erin", "bob"}, "roles": []string{"user"}})
	read(map[string]any{"name": "after", "scopes": []string{"view"}, "users": []string{"erin", "bob"}, "roles": []string{"user"}, "decisionStrategy": "UNANIMOUS"})
	put(map[string]any{"name": "after", "scopes": []string{"comment"}, "users": []string{"bob"}, "resources": []string{album}, "owner": "bob"})
	if e.decides(t, "bob", album+"#view") || !e.decides(t, "bob", album+"#comment") || e.decides(t, "erin", album+"#comment") {
		t.Error("want the policy for bob, to comment")
	}
	e.shareBy(t, album, policyOf("before", map[string]any{})) // the name is free again
	put(map[string]any{"name": "after", "users": []string{}})
	e.get(t, umaPolicy+"/"+id, alice).expect(t, 404, "invalid_request", "Policy with ["+id+"] does not exist")
	if e.decides(t, "bob", album+"#comment") {
		t.Error("a policy for nobody is for bob")
	}
}

// TestUMAPolicyListed: the caller's own policies by name, narrowed and paged.
func TestUMAPolicyListed(t *testing.T) {
	t.Parallel()
	e := start(t)
	alice := e.as(t, "alice", "photoz-api")
	albums := []string{e.album(t, "Listed"), e.album(t, "Listed too")}
	var names []string
	for i := range 25 {
		name := fmt.Sprintf("Policy %02d", i)
		scope := []string{"view", "comment"}[i%2]
		e.shareBy(t, albums[i%5/4], map[string]any{"name": name, "scopes": []string{scope}, "users": []string{"bob", "erin"}})
		names = append(names, name)
	}
	scopeID := at(e.send(t, "POST", resourceSet, e.service(t, "photoz-api"), map[string]any{"name": "Ids", "resource_scopes": []string{"view"}}).json, "resource_scopes")
	viewID := at(asList(scopeID)[0], "id").(string)
	pick := func(which func(int) bool) []string {
		var picked []string
		for i, name := range names {
			if which(i) {
				picked = append(picked, name)
			}
		}
		return picked
	}
	tests := []struct {
		query []string
		want  []string
	}{
		{nil, names},
		{[]string{"name", "policy 1"}, names[10:20]},
		{[]string{"name", "ICY 03"}, names[3:4]},
		{[]string{"name", "07"}, names[7:8]},
		{[]string{"name", "%"}, nil},
		{[]string{"name", "nobody's"}, nil},
		{[]string{"resource", albums[1]}, pick(func(i int) bool { return i%5 == 4 })},
		{[]string{"resource", "Listed too"}, pick(func(i int) bool { return i%5 == 4 })},
		{[]string{"scope", "comment"}, pick(func(i int) bool { return i%2 == 1 })},
		{[]string{"scope", viewID}, pick(func(i int) bool { return i%2 == 0 })},
		{[]string{"scope", "delete"}, nil},
		{[]string{"resource", albums[1], "scope", "comment", "name", "policy 1"}, []string{"Policy 19"}},
		{[]string{"first", "20"}, names[20:]},
		{[]string{"first", "3", "max", "2"}, names[3:5]},
		{[]string{"max", "-1"}, names},
		{[]string{"max", "0"}, nil},
		{[]string{"first", "100"}, nil},
		{[]string{"scope", "view", "first", "2", "max", "2"}, []string{"Policy 04", "Policy 06"}},
		{[]string{"permission", "x", "type", "uma"}, names},
	}
	for _, tc := range tests {
		res := e.get(t, umaPolicy, alice, tc.query...)
		got := []string{}
		for _, p := range asList(res.json) {
			got = append(got, fmt.Sprint(at(p, "name")))
			if users := fmt.Sprint(at(p, "users")); users != "[bob erin]" {
				t.Errorf("got users %s", users)
			}
		}
		if res.status != 200 || res.json == nil || !slices.Equal(got, tc.want) {
			t.Errorf("?%v: got %d %q, want %q", tc.query, res.status, got, tc.want)
		}
	}
	for _, query := range [][]string{
		{"resource", "nope"}, {"scope", "nope"}, {"resource", newUUID()}, {"scope", newUUID()},
		{"resource", e.resourceID(t, "Family album")}, {"resource", "Family album"}, {"resource", albums[0], "scope", "nope"},
	} {
		if res := e.get(t, umaPolicy, alice, query...); res.status != 204 || len(res.raw) > 0 {
			t.Errorf("?%v: got %s, want 204", query, res)
		}
	}
	for _, query := range [][]string{{"first", "x"}, {"max", "-2"}, {"max", ""}} {
		e.get(t, umaPolicy, alice, query...).expect(t, 400, "invalid_request", "")
	}
	if got := len(asList(e.get(t, umaPolicy, e.as(t, "bob", "photoz-api")).json)); got != 0 {
		t.Errorf("bob sees %d policies, want none", got)
	}
	t.Run("an approved request is no policy", func(t *testing.T) {
		e.share(t, albums[0], "bob", "view")
		if got := asList(e.get(t, umaPolicy, alice, "max", "-1").json); len(got) != len(names) {
			t.Errorf("got %d policies, want %d", len(got), len(names))
		}
	})
}

// TestRefusalIsRemembered: an owner's no is remembered for policy.resubmit_after
// (24 h), shown in no list, and the owner is not asked again meanwhile.
func TestRefusalIsRemembered(t *testing.T) {
	t.Parallel()
	e := start(t)
	album := e.album(t, "Refused")
	ask := func() *response {
		return e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", e.ticket(t, perm{Resource: album, Scopes: []string{"view"}}))
	}
	shown := func() map[string]int {
		n := map[string]int{}
		for who, as := range map[string]credentials{"alice": e.as(t, "alice", "photoz-api"), "bob": e.as(t, "bob", "photoz-api"), "photoz-api": e.service(t, "photoz-api")} {
			list := asList(e.get(t, requests, as, "resourceId", album).json)
			if count := e.get(t, requests+"/count", as, "resourceId", album).json; count != float64(len(list)) {
				t.Errorf("%s: got %d requests and count %v", who, len(list), count)
			}
			n[who] = len(list)
		}
		return n
	}
	expectShown := func(want int) {
		t.Helper()
		for who, n := range shown() {
			if n != want {
				t.Errorf("%s sees %d requests, want %d", who, n, want)
			}
		}
	}
	ask().expect(t, 403, "access_denied", "request_submitted")
	expectShown(1)
	id := at(asList(e.get(t, requests, e.as(t, "alice", "photoz-api"), "resourceId", album).json)[0], "id").(string)
	no := map[string]any{"id": id, "granted": false}
	if res := e.send(t, "PUT", requests, e.as(t, "alice", "photoz-api"), no); res.status != 204 {
		t.Fatalf("refuse: got %s", res)
	}
	expectShown(0)
	for _, d := range []time.Duration{0, 12 * time.Hour, 12*time.Hour - time.Minute} {
		e.Clock.Advance(d)
		ask().expect(t, 403, "access_denied", "request_denied")
		expectShown(0)
		// It cannot be looked at nor answered once more.
		e.send(t, "PUT", requests, e.as(t, "alice", "photoz-api"), map[string]any{"id": id, "granted": true}).expect(t, 400, "invalid_request", "invalid_ticket")
		e.do(t, request{method: "DELETE", url: requests + "/" + id, as: e.as(t, "bob", "photoz-api")}).expect(t, 400, "invalid_request", "invalid_ticket")
	}
	e.Clock.Advance(2 * time.Minute)
	ask().expect(t, 403, "access_denied", "request_submitted")
	expectShown(1)

	// What was refused the owner may share all the same.
	e.shareBy(t, album, policyOf("after all", map[string]any{"users": []string{"bob"}}))
	ask().expectGranted(t, "Refused: view")
}
