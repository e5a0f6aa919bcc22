# Tests ask the entry point, as the server does: `umpire policy test realm.yaml` runs them together with the library. Their
# package is not below uma.policies, where it would be a policy itself.
package document_test

import data.uma.authz

bob := {
	"id": "u-bob", "type": "user", "username": "bob",
	"roles": ["member"], "client_roles": {}, "groups": ["/friends"], "scopes": [], "attributes": {},
}

alice := object.union(bob, {"id": "u-alice", "username": "alice"})

guest := object.union(bob, {"id": "u-guest", "username": "guest", "roles": []})

service := object.union(bob, {"id": "u-service", "type": "service"})

handbook := {
	"id": "r-1", "name": "Handbook", "type": "document", "owner": "u-api", "owner_managed": false,
	"uris": ["/documents/handbook"], "scopes": ["view", "edit"], "attributes": {},
}

diary := object.union(handbook, {"id": "r-2", "name": "Diary", "owner": "u-alice", "owner_managed": true})

asks(subject, resource) := {
	"version": "1", "realm": "example", "kind": "rpt",
	"subject": subject, "resource": resource, "scopes": ["view", "edit"],
	"claims": {"verified": {}, "pushed": {}, "tokens": []},
	"client": {"id": "app", "public": true, "authenticated": false, "scopes": []},
	"resource_server": "api", "shares": [], "requests": [],
	"context": {"time": "2026-11-22T12:00:00Z", "properties": {}},
}

# who asks for which document -> the granted scopes, the scopes submitted to the owner
cases := {
	"a member reads the handbook": {"in": asks(bob, handbook), "granted": {"view"}, "submit": set()},
	"a guest does not": {"in": asks(guest, handbook), "granted": set(), "submit": set()},
	"alice has her diary": {"in": asks(alice, diary), "granted": {"view", "edit"}, "submit": set()},
	"bob asks her for it": {"in": asks(bob, diary), "granted": set(), "submit": {"view", "edit"}},
	"a service reads, and does not write": {"in": asks(service, handbook), "granted": {"view"}, "submit": set()},
}

test_document[name] if {
	some name, c in cases
	d := authz.decision with input as c["in"]
	d.granted == c.granted
	d.submit == c.submit
}
