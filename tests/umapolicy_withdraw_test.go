package tests

import (
	"testing"
	"time"
)

// TestWhatAnRPTOfAPolicyRestsOn is TestWhatAnRPTRestsOn for what an owner shared by a
// policy (UMA Grant §6.1): with the policy, or the part of it that it was granted for, goes
// the permission.
func TestWhatAnRPTOfAPolicyRestsOn(t *testing.T) {
	t.Parallel()
	e := start(t, friendlyPhotoz(t))
	both := []string{"view", "comment"}
	forBob := map[string]any{"scopes": both, "users": []string{"bob", "erin"}}
	// put replaces the policy's members.
	put := func(members map[string]any) func(*testing.T, string, string) {
		return func(t *testing.T, _, policy string) {
			t.Helper()
			now := e.get(t, umaPolicy+"/"+policy, e.as(t, "alice", "photoz-api")).object()
			for name, value := range members {
				now[name] = value
			}
			if res := e.send(t, "PUT", umaPolicy+"/"+policy, e.as(t, "alice", "photoz-api"), now); res.status != 201 {
				t.Fatalf("replace the policy by %v: got %s", now, res)
			}
		}
	}
	album := func(name string, members map[string]any) map[string]any {
		r := map[string]any{"name": name, "type": "album", "owner": "alice", "ownerManagedAccess": true, "resource_scopes": both}
		for member, value := range members {
			r[member] = value
		}
		return r
	}
	const all, comment, view = ": view comment", ": comment", ": view"
	tests := []struct {
		name     string
		policy   map[string]any // forBob when nil
		withdraw func(t *testing.T, resource, policy string)
		left     string
		refresh  bool
	}{
		{name: "nothing happens", withdraw: func(*testing.T, string, string) {}, left: all, refresh: true},
		{name: "the policy is deleted", withdraw: func(t *testing.T, _, policy string) { e.unshareBy(t, policy) }},
		{name: "the policy is deleted and made again", withdraw: func(t *testing.T, resource, policy string) {
			e.unshareBy(t, policy)
			e.shareBy(t, resource, policyOf("again", forBob))
		}},
		{name: "a scope leaves the policy", withdraw: put(map[string]any{"scopes": []string{"comment"}}), left: comment},
		{name: "a scope leaves the policy and comes back", withdraw: func(t *testing.T, resource, policy string) {
			put(map[string]any{"scopes": []string{"comment"}})(t, resource, policy)
			put(map[string]any{"scopes": both})(t, resource, policy)
		}, left: all},
		{name: "the user leaves the policy", withdraw: put(map[string]any{"users": []string{"erin"}})},
		{name: "the user leaves the policy and comes back", withdraw: func(t *testing.T, resource, policy string) {
			put(map[string]any{"users": []string{"erin"}})(t, resource, policy)
			put(map[string]any{"users": []string{"bob", "erin"}})(t, resource, policy)
		}},
		{name: "all users leave the policy", withdraw: put(map[string]any{"users": []string{}})},
		{name: "the role leaves the policy", policy: map[string]any{"roles": []string{"user", "admin"}}, withdraw: put(map[string]any{"roles": []string{"admin"}})},
		{name: "the group leaves the policy", policy: map[string]any{"groups": []string{"/friends", "/x"}}, withdraw: put(map[string]any{"groups": []string{"/x"}})},
		{name: "the client leaves the policy", policy: map[string]any{"clients": []string{"photoz-app", "photoz-web"}}, withdraw: put(map[string]any{"clients": []string{"photoz-web"}})},
		{name: "another kind is wanted as well", withdraw: put(map[string]any{"clients": []string{"photoz-web"}})},
		{name: "another strategy", policy: map[string]any{"users": []string{"bob"}, "clients": []string{"photoz-web"}, "decisionStrategy": "AFFIRMATIVE"}, withdraw: put(map[string]any{"decisionStrategy": "UNANIMOUS"})},
		{name: "somebody is added", withdraw: put(map[string]any{"users": []string{"bob", "erin", "dave"}}), left: all},
		{name: "the policy gets another name", withdraw: put(map[string]any{"name": "renamed", "description": "d"}), left: all},
		{name: "another policy comes in and goes", withdraw: func(t *testing.T, resource, _ string) {
			e.unshareBy(t, e.shareBy(t, resource, policyOf("in passing", forBob)))
		}, left: all, refresh: true},
		{name: "a policy that nobody needed goes", withdraw: func(t *testing.T, resource, _ string) {
			e.unshareBy(t, e.shareBy(t, resource, policyOf("for erin", map[string]any{"users": []string{"erin"}})))
		}, left: all, refresh: true},

		{name: "a scope leaves the resource", withdraw: func(t *testing.T, resource, _ string) {
			replace(t, e, resource, album("a scope leaves the resource", map[string]any{"resource_scopes": []string{"comment"}}))
		}, left: comment},
		{name: "a scope leaves the resource and comes back", withdraw: func(t *testing.T, resource, _ string) {
			replace(t, e, resource, album("a scope leaves the resource and comes back", map[string]any{"resource_scopes": []string{"view"}}))
			replace(t, e, resource, album("a scope leaves the resource and comes back", nil))
		}, left: view},
		{name: "the owner no longer manages it", withdraw: func(t *testing.T, resource, _ string) {
			replace(t, e, resource, album("the owner no longer manages it", map[string]any{"ownerManagedAccess": false}))
		}},
		{name: "the resource is deleted", withdraw: func(t *testing.T, resource, _ string) { remove(t, e, resource) }},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			members := map[string]any{"scopes": both}
			if tc.policy == nil {
				tc.policy = forBob
			}
			for name, value := range tc.policy {
				members[name] = value
			}
			resource := e.create(t, album(tc.name, nil))
			policy := e.shareBy(t, resource, policyOf(tc.name, members))
			h := e.hold(t, resource)
			e.expectRemaining(t, h.rpt, tc.name+all)
			tc.withdraw(t, resource, policy)
			var left []string
			if tc.left != "" {
				left = []string{tc.name + tc.left}
			}
			e.expectRemaining(t, h.rpt, left...)
			// Carried by a new request it is judged anew, as it is now.
			e.expectCarried(t, h.rpt, resource)
			if res := e.refresh(t, h.refresh); tc.refresh {
				res.expectGranted(t, h.permissions...)
			} else {
				res.expect(t, 400, "invalid_grant", "")
			}
		})
	}

	t.Run("one of two ways is withdrawn", func(t *testing.T) {
		t.Parallel()
		resource := e.create(t, album("Twice", nil))
		e.share(t, resource, "bob", "view")
		policy := e.shareBy(t, resource, policyOf("twice", forBob))
		h := e.hold(t, resource)
		e.unshareBy(t, policy)
		e.expectRemaining(t, h.rpt, "Twice: view")
		e.unshare(t, resource, "view", false)
		e.expectRemaining(t, h.rpt)
	})
	t.Run("an expired RPT", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		resource := e.album(t, "Expired")
		policy := e.shareBy(t, resource, policyOf("expired", forBob))
		h := e.hold(t, resource)
		e.unshareBy(t, policy)
		e.Clock.Advance(5*time.Minute + time.Second)
		e.expectCarried(t, h.rpt, resource)
	})
}

// unshareBy deletes a policy of alice's.
func (e *env) unshareBy(t testing.TB, policy string) {
	t.Helper()
	if res := e.do(t, request{method: "DELETE", url: umaPolicy + "/" + policy, as: e.as(t, "alice", "photoz-api")}); res.status != 204 {
		t.Fatalf("delete the policy: got %s", res)
	}
}

// expectCarried fails unless an RPT that is upgraded with the public board carries of
// a resource exactly what bob would be granted without it.
func (e *env) expectCarried(t *testing.T, rpt, resource string) {
	t.Helper()
	bob := e.as(t, "bob", "photoz-app")
	now := e.uma(t, bob, "permission", resource)
	want := append([]string{"Public board: view"}, granted(t, now)...)
	e.uma(t, bob, "permission", "Public board#view", "rpt", rpt).expectGranted(t, want...)
}
