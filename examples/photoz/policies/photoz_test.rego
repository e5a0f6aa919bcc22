# Tests of the realm's policies together with the library: they ask the entry point, as the server does. A package below
# uma.policies would be taken for a team's.
package photoz_test

import data.uma.authz

bob := {
	"id": "u-bob", "type": "user", "username": "bob",
	"roles": ["user"], "client_roles": {}, "groups": ["/friends"], "scopes": [], "attributes": {},
}

carol := object.union(bob, {"id": "u-carol", "username": "carol", "groups": []})

dave := object.union(bob, {"id": "u-dave", "username": "dave", "roles": [], "groups": []})

alice := object.union(bob, {"id": "u-alice", "username": "alice", "groups": []})

service := object.union(bob, {"id": "u-service", "type": "service", "roles": [], "groups": []})

holiday := {
	"id": "r-1", "name": "Holiday album", "type": "album", "owner": "u-alice", "owner_managed": true,
	"uris": ["/album/1"], "scopes": ["view", "comment", "delete"], "attributes": {"visibility": ["friends"]},
}

diary := object.union(holiday, {"id": "r-2", "name": "Diary", "uris": ["/album/2"], "attributes": {"visibility": ["private"]}})

board := {
	"id": "r-3", "name": "Public board", "type": "board", "owner": "u-api", "owner_managed": false,
	"uris": ["/board"], "scopes": ["view", "post"], "attributes": {},
}

albums := object.union(board, {"id": "r-4", "name": "Albums", "type": "albums", "uris": ["/album"], "scopes": ["create"]})

shared_with_carol := {
	"id": "s-1", "kind": "request", "scopes": ["view", "comment", "delete"],
	"users": ["u-carol"], "roles": [], "groups": [], "clients": [], "strategy": "UNANIMOUS",
}

confirmed := {"pushed": {"delete_confirmed": ["yes"]}}

request(subject, resource, scopes) := {
	"version": "1", "realm": "photoz", "kind": "rpt",
	"subject": subject, "resource": resource, "scopes": scopes,
	"claims": {"verified": {}, "pushed": {}, "tokens": []},
	"client": {"id": "photoz-web", "public": true, "authenticated": false, "scopes": []},
	"resource_server": "photoz-api", "shares": [], "requests": [],
	"context": {"time": "2026-11-22T12:00:00Z", "properties": {}},
}

all := ["view", "comment", "delete"]

# who asks for what, with what else -> granted, submitted to the owner, withheld for a claim
cases := {
	"the owner has her album": {"in": request(alice, holiday, all), "granted": {"view", "comment"}, "submit": set(), "wanted": {"delete_confirmed"}},
	"the owner confirms": {"in": object.union(request(alice, holiday, all), {"claims": confirmed}), "granted": {"view", "comment", "delete"}, "submit": set(), "wanted": set()},
	"the owner says no": {"in": object.union(request(alice, holiday, ["delete"]), {"claims": {"pushed": {"delete_confirmed": ["no"]}}}), "granted": set(), "submit": set(), "wanted": {"delete_confirmed"}},
	"the owner says yes and no": {"in": object.union(request(alice, holiday, ["delete"]), {"claims": {"pushed": {"delete_confirmed": ["yes", "no"]}}}), "granted": set(), "submit": set(), "wanted": {"delete_confirmed"}},
	"nothing to confirm": {"in": request(alice, holiday, ["view"]), "granted": {"view"}, "submit": set(), "wanted": set()},
	"a friend views, asks for the rest": {"in": request(bob, holiday, all), "granted": {"view"}, "submit": {"comment"}, "wanted": set()},
	"a friend never deletes": {"in": object.union(request(bob, holiday, ["delete"]), {"claims": confirmed}), "granted": set(), "submit": set(), "wanted": set()},
	"a friend asks for the diary": {"in": request(bob, diary, ["view"]), "granted": set(), "submit": {"view"}, "wanted": set()},
	"a friend at another resource server": {"in": object.union(request(bob, holiday, ["view"]), {"resource_server": "other-api"}), "granted": set(), "submit": {"view"}, "wanted": set()},
	"a stranger asks": {"in": request(carol, holiday, ["view", "comment"]), "granted": set(), "submit": {"view", "comment"}, "wanted": set()},
	"a share lets in, never delete": {"in": object.union(request(carol, holiday, all), {"shares": [shared_with_carol], "claims": confirmed}), "granted": {"view", "comment"}, "submit": set(), "wanted": set()},
	"a service has nothing": {"in": object.union(request(service, holiday, all), {"claims": confirmed}), "granted": set(), "submit": set(), "wanted": set()},
	"everyone reads the board": {"in": request(dave, board, ["view", "post"]), "granted": {"view"}, "submit": set(), "wanted": set()},
	"members write on it": {"in": request(carol, board, ["view", "post"]), "granted": {"view", "post"}, "submit": set(), "wanted": set()},
	"a service does not": {"in": request(service, board, ["view", "post"]), "granted": set(), "submit": set(), "wanted": set()},
	"another server's board": {"in": object.union(request(carol, board, ["view", "post"]), {"resource_server": "other-api"}), "granted": set(), "submit": set(), "wanted": set()},
	"members add albums": {"in": request(carol, albums, ["create"]), "granted": {"create"}, "submit": set(), "wanted": set()},
	"others do not": {"in": request(dave, albums, ["create"]), "granted": set(), "submit": set(), "wanted": set()},
	"another server's collection": {"in": object.union(request(carol, albums, ["create"]), {"resource_server": "other-api"}), "granted": set(), "submit": set(), "wanted": set()},
	"another type": {"in": request(bob, object.union(board, {"type": "vault"}), ["view", "post"]), "granted": set(), "submit": set(), "wanted": set()},
}

test_decision[name] if {
	some name, c in cases
	d := authz.decision with input as c["in"]
	d.granted == c.granted
	d.submit == c.submit
	{i.name | some i in d.need_info} == c.wanted
}

test_denial_has_a_reason if {
	d := authz.decision with input as request(bob, holiday, ["delete"])
	"only its owner deletes an album" in d.reasons
}

test_share_is_named if {
	d := authz.decision with input as object.union(request(carol, holiday, ["view"]), {"shares": [shared_with_carol]})
	d.rests_on == {"s-1"}
}
