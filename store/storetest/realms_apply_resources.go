package storetest

import (
	"example.com/umpire/uma"
)

var applyResourceTests = map[string]func(e *env){
	"resource_round_trip": func(e *env) {
		c := e.realmFile("photoz")
		res := e.fileResource("Album", "alice", "view", "delete")
		res.DisplayName, res.IconURI = "The album", "/icon"
		res.URIs, res.Attributes = []string{"/album/1"}, map[string][]string{"a": {"b"}}
		c.Resources = []uma.ResourceChange{res}
		e.apply(c)
		got := e.get(e.api, res.ID)
		want := res.Resource
		want.Server, want.Owner, want.Origin = e.api, e.alice, uma.FromFile
		want.Key, want.Version = got.Key, got.Version
		e.wantNoZeroFields(want, ".Texts")
		e.want("resource", *got, want)
		e.reading(func(v uma.View) {
			rows, err := v.KnownScopes(e.t.Context(), e.api, []uma.Scope{"view"})
			e.must(err)
			e.want("scope", rows, []uma.ScopeRow{{ID: res.ScopeIDs[0], Name: "view"}})
		})
	},

	"resource_without_owner_is_the_servers_own": func(e *env) {
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "")}
		e.apply(c)
		e.want("owner", e.get(e.api, c.Resources[0].ID).Owner, e.apiUUID)
	},

	"resource_is_matched_by_its_id": func(e *env) {
		c := e.realmFile("photoz")
		res := e.fileResource("Album", "alice", "view")
		res.GeneratedID = false
		c.Resources = []uma.ResourceChange{res}
		e.apply(c)
		c.Resources[0].Name, c.Resources[0].OwnerName = "Renamed", "bob"
		report := e.apply(c)
		e.want("updated", report.Updated, []string{"resource Renamed"})
		got := e.get(e.api, res.ID)
		e.want("name and owner", []string{got.Name, got.Owner}, []string{"Renamed", e.bob})
		e.unchanged(c)
	},

	"resources_may_swap_their_names": func(e *env) {
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("A", "alice", "view"), e.fileResource("B", "alice", "view")}
		c.Resources[0].GeneratedID, c.Resources[1].GeneratedID = false, false
		e.apply(c)
		c.Resources[0].Name, c.Resources[1].Name = "B", "A"
		e.apply(c)
		e.want("first", e.get(e.api, c.Resources[0].ID).Name, "B")
		e.want("second", e.get(e.api, c.Resources[1].ID).Name, "A")
		e.unchanged(c)
	},

	"an_id_is_matched_before_a_name": func(e *env) {
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("A", "alice", "view")}
		c.Resources[0].GeneratedID = false
		e.apply(c)
		c.Resources[0].Name = "B"
		c.Resources = append([]uma.ResourceChange{e.fileResource("A", "alice", "view")}, c.Resources...)
		e.apply(c)
		e.want("the one with the id", e.get(e.api, c.Resources[1].ID).Name, "B")
		e.want("the new one", e.get(e.api, c.Resources[0].ID).Name, "A")
		e.unchanged(c)
	},

	"resources_of_the_api_stay": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		e.unchanged(e.realmFile("photoz"))
		if e.get(e.api, r.ID) == nil {
			e.t.Error("the resource is gone")
		}
	},

	"adoption_keeps_shares": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		q, policy := e.share(r, e.bob, "view"), e.sharePolicy(r, "p", e.bob)
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view", "delete")}
		c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "view"}}}
		report := e.apply(c)
		wantSet(e, "adopted", report.Adopted, "resource Album", "scope view of api")
		got := e.get(e.api, r.ID)
		e.want("origin", got.Origin, uma.FromFile)
		e.want("scopes", got.Scopes, []uma.Scope{"view", "delete"})
		e.want("key", got.Key, r.Key)
		if e.getRequest(q.ID) == nil {
			e.t.Error("the share is gone")
		}
		e.want("policy", e.getPolicy(policy.ID), policy)
		e.unchanged(c)
	},

	"shares_follow_a_resource_to_another_owner": func(e *env) {
		c := e.realmFile("photoz")
		res := e.fileResource("Album", "alice", "view")
		res.GeneratedID = false
		c.Resources = []uma.ResourceChange{res}
		e.apply(c)
		r := e.get(e.api, res.ID)
		q, p, taken := e.share(r, "carol", "view"), e.sharePolicy(r, "p", "carol"), e.sharePolicy(r, "Taken", "carol")
		theirs := e.resource("Theirs", "view")
		theirs.Owner = e.bob
		e.sharePolicy(e.create(theirs), "Taken", "carol")
		c.Resources[0].OwnerName = "bob"
		e.apply(c)
		e.want("owner of the request", e.getRequest(q.ID).Owner, e.bob)
		e.want("owner of the policy", e.getPolicy(p.ID).Owner, e.bob)
		wantSet(e, "names", policyNames(e.policies(e.bob)), "p", "Taken", "Taken "+taken.ID)
		e.want("found by the new name", len(e.findPolicies(e.bob, uma.UserPolicyFilter{Name: "taken " + taken.ID}, 0, -1)), 1)
		wantSet(e, "shares", e.sharesFor(&uma.Party{ID: "carol"}, r), q.ID, p.ID, taken.ID)
	},

	"texts_of_the_api_are_removed": func(e *env) {
		r := e.resource("Album", "view")
		r.Texts = map[string]string{"description": "of the API"}
		e.create(r)
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view")}
		e.apply(c)
		e.want("adopted", len(e.get(e.api, r.ID).Texts), 0)
		change := *e.get(e.api, r.ID)
		change.Texts = map[string]string{"name#fr": "Album"}
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		e.want("drifted", e.apply(c).Drifted, []string{"resource Album"})
		e.want("reset", len(e.get(e.api, r.ID).Texts), 0)
	},

	"drift_is_reset_and_listed": func(e *env) {
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view")}
		e.apply(c)
		r := *e.get(e.api, c.Resources[0].ID)
		r.Scopes, r.DisplayName = []uma.Scope{"view", "delete"}, "changed"
		e.must(e.s.ReplaceResource(e.t.Context(), &r, e.newID))
		e.want("origin of what drifted", e.get(e.api, r.ID).Origin, uma.FromFile)
		report := e.apply(c)
		e.want("drifted", report.Drifted, []string{"resource Album"})
		e.want("updated", report.Updated, []string(nil))
		e.want("scopes", e.get(e.api, r.ID).Scopes, []uma.Scope{"view"})
		e.unchanged(c)
		c.Resources[0].DisplayName = "by the file"
		report = e.apply(c)
		e.want("drifted, when the file changed", report.Drifted, []string(nil))
		e.want("updated, when the file changed", report.Updated, []string{"resource Album"})
	},

	"a_change_that_was_undone_is_no_drift": func(e *env) {
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view")}
		e.apply(c)
		r := *e.get(e.api, c.Resources[0].ID)
		for _, name := range []string{"Renamed", "Album"} {
			r.Name = name
			e.must(e.s.ReplaceResource(e.t.Context(), &r, e.newID))
		}
		e.unchanged(c)
		c.Resources[0].Type = "other"
		e.want("drifted", e.apply(c).Drifted, []string(nil))
	},

	"a_resource_deleted_over_the_api_is_created_again": func(e *env) {
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view")}
		e.apply(c)
		e.must(e.s.DeleteResource(e.t.Context(), e.api, c.Resources[0].ID))
		e.want("created", e.apply(c).Created, []string{"resource Album"})
	},

	"a_taken_name_is_a_conflict": func(e *env) {
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view")}
		c.Resources[0].GeneratedID = false
		e.apply(c)
		e.create(e.resource("Taken", "view"))
		c.Resources[0].Name = "Taken"
		_, err := e.s.ApplyRealm(e.t.Context(), c)
		e.wantErr("apply", err, uma.ErrConflict)
		e.want("name", e.get(e.api, c.Resources[0].ID).Name, "Album")
	},
}
