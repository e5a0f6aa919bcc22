package uma_more_test

import data.uma.authz
import data.uma.sharing

base := {
	"version": "1", "realm": "photoz", "kind": "rpt",
	"subject": {"id": "u-bob", "type": "user", "roles": ["user"], "client_roles": {"photoz-api": ["friend"]}, "groups": ["/family"], "scopes": [], "attributes": {}},
	"claims": {"verified": {}, "pushed": {}, "tokens": []},
	"client": {"id": "photoz-web", "public": true, "authenticated": false},
	"resource_server": "photoz-api",
	"resource": {"id": "r", "name": "r", "type": "team", "owner": "u-alice", "owner_managed": false, "uris": [], "scopes": ["view", "delete"], "attributes": {}},
	"scopes": ["view", "delete"],
	"shares": [],
	"requests": [],
	"context": {"time": "2026-11-22T12:00:00Z", "properties": {}},
}

# the decision on base with a team package that has the given members
decided(team, patch) := decision if {
	decision := authz.decision with input as json.patch(base, patch)
		with data.uma.teams as {"team": true}
		with data.uma.policies.team as team
}

test_nothing_of_a_team_that_says_nothing if {
	decided({}, []) == {"granted": set(), "need_info": set(), "submit": set(), "reasons": set(), "obligations": set(), "rests_on": set(), "rpt": {}}
}

test_everything_a_team_may_say if {
	decided(
		{
			"grant": {"view"}, "submit": {"delete"}, "reasons": {"because"},
			"obligations": {{"id": "log"}}, "rpt": {"ttl": 60},
		},
		[],
	) == {
		"granted": {"view"}, "need_info": set(), "submit": {"delete"}, "reasons": {"because"},
		"obligations": {{"id": "log"}}, "rests_on": set(), "rpt": {"ttl": 60},
	}
}

test_obligations_and_rpt_also_where_something_is_denied if {
	d := decided({"grant": {"*"}, "deny": {{"scope": "delete", "reason": "no"}}, "obligations": {{"id": "log"}}, "rpt": {"ttl": 60}, "reasons": {"because"}}, [])
	d.granted == {"view"}
	d.obligations == {{"id": "log"}}
	d.rpt == {"ttl": 60}
	d.reasons == {"because", "no"}
}

test_a_grant_of_what_was_not_asked_is_none if {
	decided({"grant": {"view", "admin"}}, []).granted == {"view"}
}

test_what_is_denied_is_not_submitted if {
	decided({"submit": {"*"}, "deny": {{"scope": "delete", "reason": "no"}}}, []).submit == {"view"}
}

test_what_is_granted_is_not_submitted if {
	decided({"grant": {"view"}, "submit": {"*"}}, []).submit == {"delete"}
}

test_no_claim_is_wanted_for_what_is_denied if {
	d := decided({"grant": {"*"}, "deny": {{"scope": "delete", "reason": "no"}}, "need_info": {{"name": "mfa", "scopes": ["delete"]}}}, [])
	d.granted == {"view"}
	d.need_info == set()
}

test_no_claim_is_wanted_for_what_was_not_asked if {
	d := decided({"grant": {"*"}, "need_info": {{"name": "mfa", "scopes": ["admin"]}}}, [])
	d.granted == {"view", "delete"}
	d.need_info == set()
}

test_scopes_of_a_wanted_claim_may_be_a_set[name] if {
	some name, c in {
		"named": {"scopes": {"delete"}, "granted": {"view"}},
		"star": {"scopes": {"delete", "*"}, "granted": set()},
		"star in a list": {"scopes": ["delete", "*"], "granted": set()},
	}
	decided({"grant": {"*"}, "need_info": {{"name": "mfa", "scopes": c.scopes}}}, []).granted == c.granted
}

test_lists_deny_and_want_as_sets_do[name] if {
	some name, team in {
		"deny": {"grant": {"*"}, "deny": [{"scope": "delete"}]},
		"need_info": {"grant": {"*"}, "need_info": [{"name": "mfa", "scopes": ["delete"]}]},
	}
	decided(team, []).granted == {"view"}
}

test_what_is_no_set_denies_everything[name] if {
	some name, c in {
		"deny true": {"team": {"deny": true}, "text": "deny of uma.policies.team is not a set: write `deny contains …`"},
		"deny text": {"team": {"deny": "no"}, "text": "deny of uma.policies.team is not a set: write `deny contains …`"},
		"deny object": {"team": {"deny": {"scope": "delete"}}, "text": "deny of uma.policies.team is not a set: write `deny contains …`"},
		"need_info true": {"team": {"need_info": true}, "text": "need_info of uma.policies.team is not a set: write `need_info contains …`"},
	}
	d := decided(object.union({"grant": {"*"}}, c.team), [])
	d.granted == set()
	d.submit == set()
	c.text in d.reasons
}

test_guardrails_that_are_no_set_deny_everything if {
	deny := decided({"grant": {"*"}}, []) with data.uma.guardrails.deny as true
	deny.granted == set()
	deny.reasons == {"deny of uma.guardrails is not a set: write `deny contains …`"}
	wanted := decided({"grant": {"*"}}, []) with data.uma.guardrails.need_info as "mfa"
	wanted.granted == set()
}

test_a_denial_of_no_known_shape_denies_everything[name] if {
	some name, denial in {"scope is a list": {"scope": ["delete"]}, "number": 1, "nothing": {}}
	decided({"grant": {"*"}, "deny": {denial}}, []).granted == set()
}

test_denials_hold_without_scopes if {
	decided({"grant": {"*"}, "deny": {"frozen"}}, [{"op": "replace", "path": "/scopes", "value": []}]).granted == set()
}

test_the_owner_is_denied_too if {
	decided({"deny": {"frozen"}}, [{"op": "replace", "path": "/subject/id", "value": "u-alice"}]).granted == set()
}

test_alias[name] if {
	some name, c in {
		"names a team": {"alias": {"https://example.com/t": "team"}, "granted": {"view"}},
		"names no team": {"alias": {"https://example.com/t": "none"}, "granted": set()},
		"of another type": {"alias": {"https://example.com/u": "team"}, "granted": set()},
	}
	d := decided({"grant": {"view"}}, [{"op": "replace", "path": "/resource/type", "value": "https://example.com/t"}]) with data.uma.facts.type_alias as c.alias
	d.granted == c.granted
}

# A type with an alias has the package that the alias names, or none, even if there is a package of the type's own name.
test_alias_before_type if {
	d := decided({"grant": {"view"}}, []) with data.uma.facts.type_alias as {"team": "none"}
	d.granted == set()
}

test_a_type_that_is_no_team_gets_the_default if {
	d := decided({"grant": {"view"}}, [{"op": "replace", "path": "/resource/type", "value": "other"}])
	d.granted == set()
	d.reasons == {"no policy for this type of resource"}
}

# Without a server there is no data.uma.teams.
test_unlisted[name] if {
	some name, c in {
		"a team": {"type": "team", "alias": {}, "granted": {"view"}},
		"by alias": {"type": "https://example.com/t", "alias": {"https://example.com/t": "team"}, "granted": {"view"}},
		"alias before type": {"type": "team", "alias": {"team": "none"}, "granted": set()},
		"none": {"type": "none", "alias": {}, "granted": set()},
	}
	d := authz.decision with input as json.patch(base, [{"op": "replace", "path": "/resource/type", "value": c.type}])
		with data.uma.teams as false
		with data.uma.facts.type_alias as c.alias
		with data.uma.policies.team as {"grant": {"view"}}
	d.granted == c.granted
}

share(with_whom) := object.union(
	{"id": "s", "kind": "policy", "scopes": ["view"], "users": [], "roles": [], "groups": [], "clients": [], "strategy": "UNANIMOUS"},
	with_whom,
)

shared(shares) := found if {
	found := sharing.shared with input as json.patch(base, [
		{"op": "replace", "path": "/resource/owner_managed", "value": true},
		{"op": "replace", "path": "/shares", "value": shares},
	])
}

test_whom_a_share_is_for[name] if {
	some name, c in {
		"unanimous, all": {"to": {"users": ["u-bob"], "roles": ["user"]}, "n": 1},
		"unanimous, one of two": {"to": {"users": ["u-bob"], "roles": ["admin"]}, "n": 0},
		"affirmative, one of two": {"to": {"users": ["u-bob"], "roles": ["admin"], "strategy": "AFFIRMATIVE"}, "n": 1},
		"affirmative, none of two": {"to": {"users": ["u-eve"], "roles": ["admin"], "strategy": "AFFIRMATIVE"}, "n": 0},
		"consensus, half": {"to": {"users": ["u-bob"], "roles": ["admin"], "strategy": "CONSENSUS"}, "n": 0},
		"consensus, more than half": {"to": {"users": ["u-bob"], "roles": ["admin"], "groups": ["/family"], "strategy": "CONSENSUS"}, "n": 1},
		"consensus, one of one": {"to": {"clients": ["photoz-web"], "strategy": "CONSENSUS"}, "n": 1},
		"nobody, unanimously": {"to": {}, "n": 0},
		"nobody, affirmatively": {"to": {"strategy": "AFFIRMATIVE"}, "n": 0},
		"nobody, by consensus": {"to": {"strategy": "CONSENSUS"}, "n": 0},
		"unknown strategy": {"to": {"users": ["u-bob"], "strategy": "ANY"}, "n": 0},
		"another client": {"to": {"clients": ["other"]}, "n": 0},
		"another group": {"to": {"groups": ["/x"]}, "n": 0},
		"a role of another client": {"to": {"roles": ["other/friend"]}, "n": 0},
	}
	count(shared([share(c.to)])) == c.n
}

test_shares_count_while_the_owner_manages if {
	count(sharing.shared) == 0 with input as json.patch(base, [{"op": "replace", "path": "/shares", "value": [share({"users": ["u-bob"]})]}])
}

managed := json.patch(base, [
	{"op": "replace", "path": "/resource/owner_managed", "value": true},
	{"op": "replace", "path": "/scopes", "value": []},
])

# A denied request for a resource without scopes is not submitted again.
test_refused_as_a_whole if {
	sharing.submit == {"*"} with input as managed
	sharing.submit == set() with input as json.patch(managed, [{"op": "replace", "path": "/requests", "value": [{"id": "q", "state": "denied", "scopes": []}]}])
	sharing.submit == {"*"} with input as json.patch(managed, [{"op": "replace", "path": "/requests", "value": [{"id": "q", "state": "pending", "scopes": []}]}])
}

test_who_shared_is_said if {
	sharing.reasons == {"shared by the owner: s"} with input as json.patch(managed, [{"op": "replace", "path": "/shares", "value": [share({"users": ["u-bob"]})]}])
	sharing.reasons == {"the owner"} with input as json.patch(managed, [{"op": "replace", "path": "/subject/id", "value": "u-alice"}])
}

# A grant does not rest on a share whose scopes are all denied.
test_rests_on_what_is_left if {
	patch := [
		{"op": "replace", "path": "/resource/owner_managed", "value": true},
		{"op": "replace", "path": "/shares", "value": [share({"users": ["u-bob"]}), share({"id": "t", "users": ["u-bob"], "scopes": ["delete"]})]},
	]
	decided({}, patch).rests_on == {"s", "t"}
	decided({"deny": {{"scope": "view"}}}, patch).rests_on == {"t"}
	decided({"deny": {"frozen"}}, patch).rests_on == set()
}

# The reason of a denial is not among the reasons if its scope was not requested.
test_reasons_of_denials_in_question if {
	policy := {"grant": {"*"}, "deny": {{"scope": "delete", "reason": "nobody deletes"}}}
	view := decided(policy, [{"op": "replace", "path": "/scopes", "value": ["view"]}])
	view.granted == {"view"}
	view.reasons == set()
	delete := decided(policy, [{"op": "replace", "path": "/scopes", "value": ["delete"]}])
	delete.granted == set()
	delete.reasons == {"nobody deletes"}
}

# If a team grants all requested scopes, the decision still names the owner and the shares, so that the record has both
# and the RPT ends with the share.
test_a_team_that_grants_all[name] if {
	managed_by_owner := {"op": "replace", "path": "/resource/owner_managed", "value": true}
	some name, c in {
		"alone": {"patch": [], "reasons": {"because"}, "rests_on": set()},
		"beside a share": {
			"patch": [managed_by_owner, {"op": "replace", "path": "/shares", "value": [share({"users": ["u-bob"]})]}],
			"reasons": {"because", "shared by the owner: s"}, "rests_on": {"s"},
		},
		"beside a share with somebody else": {
			"patch": [managed_by_owner, {"op": "replace", "path": "/shares", "value": [share({"users": ["u-eve"]})]}],
			"reasons": {"because"}, "rests_on": set(),
		},
		"to the owner": {
			"patch": [{"op": "replace", "path": "/subject/id", "value": "u-alice"}],
			"reasons": {"because", "the owner"}, "rests_on": set(),
		},
	}
	every grant in [{"view", "delete"}, {"view", "delete", "admin"}, {"*"}] {
		decided({"grant": grant, "reasons": {"because"}, "obligations": {{"id": "log"}}, "rpt": {"ttl": 60}}, c.patch) == {
			"granted": {"view", "delete"}, "need_info": set(), "submit": set(), "reasons": c.reasons,
			"obligations": {{"id": "log"}}, "rests_on": c.rests_on, "rpt": {"ttl": 60},
		}
	}
}

# A guardrail for `delete` has no effect on a request for `view`, and denies all of a request for `delete`.
test_guardrails_about_something_else[name] if {
	some name, c in {
		"denied": {"deny": {{"scope": "delete", "reason": "never"}}, "wanted": set(), "reasons": {"never"}, "need_info": set()},
		"wanted": {"deny": set(), "wanted": {{"name": "mfa", "scopes": ["delete"]}}, "reasons": set(), "need_info": {{"name": "mfa", "scopes": ["delete"]}}},
		"both": {"deny": {{"scope": "delete", "reason": "never"}}, "wanted": {{"name": "mfa", "scopes": ["delete"]}}, "reasons": {"never"}, "need_info": set()},
	}
	view := decided({"grant": {"*"}}, [{"op": "replace", "path": "/scopes", "value": ["view"]}])
		with data.uma.guardrails.deny as c.deny
		with data.uma.guardrails.need_info as c.wanted
	view.granted == {"view"}
	view.reasons == set()
	view.need_info == set()
	delete := decided({"grant": {"*"}}, [{"op": "replace", "path": "/scopes", "value": ["delete"]}])
		with data.uma.guardrails.deny as c.deny
		with data.uma.guardrails.need_info as c.wanted
	delete.granted == set()
	delete.reasons == c.reasons
	delete.need_info == c.need_info
}

test_a_generated_module_decides_first if {
	d := authz.decision with input as base with data.uma.routed.decision as {"granted": {"view"}}
	d == {"granted": {"view"}}
}

test_a_generated_module_may_know_the_team_alone if {
	team := {"grant": {"delete"}, "deny": set(), "need_info": set(), "submit": set(), "reasons": {"generated"}, "obligations": set(), "rpt": {}}
	d := authz.decision with input as base with data.uma.routed.team as team
	d.granted == {"delete"}
	d.reasons == {"generated"}
}
