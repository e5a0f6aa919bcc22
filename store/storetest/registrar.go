package storetest

import (
	"example.com/umpire/uma"
)

var registrarTests = map[string]func(e *env){
	"create_fills_key_and_version": func(e *env) {
		r := e.create(e.resource("Album"))
		if r.Key <= 0 || r.Version <= 0 {
			e.t.Errorf("got key %d and version %d", r.Key, r.Version)
		}
	},

	"a_name_is_taken_for_one_owner_at_one_server": func(e *env) {
		e.create(e.resource("Album"))
		e.wantErr("the same", e.s.CreateResource(e.t.Context(), e.resource("Album"), e.newID), uma.ErrConflict)
		for what, change := range map[string]func(r *uma.Resource){
			"owner":  func(r *uma.Resource) { r.Owner = e.bob },
			"server": func(r *uma.Resource) { r.Server = e.second },
			"case":   func(r *uma.Resource) { r.Name = "ALBUM" },
		} {
			r := e.resource("Album")
			change(r)
			if err := e.s.CreateResource(e.t.Context(), r, e.newID); err != nil {
				e.t.Errorf("another %s: %v", what, err)
			}
		}
	},

	"a_conflict_changes_nothing": func(e *env) {
		e.create(e.resource("Album", "view"))
		e.wantErr("create", e.s.CreateResource(e.t.Context(), e.resource("Album", "new"), e.newID), uma.ErrConflict)
		e.reading(func(v uma.View) {
			_, err := v.Scope(e.t.Context(), e.api, "new")
			e.wantErr("scope", err, uma.ErrNotFound)
			got, err := v.Select(e.t.Context(), e.api, uma.Selection{AnyScope: []uma.Scope{"new"}}, 10)
			e.must(err)
			e.want("resources with the scope", len(got), 0)
		})
	},

	"scopes_keep_their_ids": func(e *env) {
		e.create(e.resource("A", "view"))
		before := e.scope("view")
		e.create(e.resource("B", "view", "delete"))
		e.want("scope", e.scope("view"), before)
		if e.scope("delete").ID == before.ID {
			e.t.Error("two scopes have one id")
		}
	},

	"replace_round_trip": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		want := e.fullResource()
		want.ID, want.Attributes = r.ID, map[string][]string{"x": {"y"}}
		e.must(e.s.ReplaceResource(e.t.Context(), want, e.newID))
		got := e.get(e.api, r.ID)
		if got.Version <= r.Version {
			e.t.Errorf("got version %d, want more than %d", got.Version, r.Version)
		}
		want.Key, want.Version = r.Key, got.Version
		e.want("resource", got, want)
	},

	"replace_leaves_owner_and_origin": func(e *env) {
		r := e.create(e.resource("Album"))
		change := *r
		change.Owner, change.Origin, change.Name = e.bob, uma.FromFile, "Renamed"
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		got := e.get(e.api, r.ID)
		e.want("owner", got.Owner, e.alice)
		e.want("origin", got.Origin, uma.FromAPI)
	},

	"replace_with_nil_attributes_keeps_them": func(e *env) {
		r := e.resource("Album")
		r.Attributes = map[string][]string{"a": {"b"}}
		e.create(r)
		change := *r
		change.Name, change.Attributes = "Renamed", nil
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		e.want("attributes", e.get(e.api, r.ID).Attributes, r.Attributes)
		change.Attributes = map[string][]string{}
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		e.want("number of attributes", len(e.get(e.api, r.ID).Attributes), 0)
	},

	"replace_with_the_same_raises_no_version": func(e *env) {
		r := e.create(e.fullResource())
		e.must(e.s.ReplaceResource(e.t.Context(), e.get(e.api, r.ID), e.newID))
		e.want("version", e.get(e.api, r.ID).Version, r.Version)
	},

	"every_field_raises_the_version": func(e *env) {
		r := e.create(e.fullResource())
		for what, change := range map[string]func(r *uma.Resource){
			"name":         func(r *uma.Resource) { r.Name = "Renamed" },
			"display name": func(r *uma.Resource) { r.DisplayName = "" },
			"type":         func(r *uma.Resource) { r.Type = "" },
			"icon":         func(r *uma.Resource) { r.IconURI = "" },
			"URIs":         func(r *uma.Resource) { r.URIs = nil },
			"scopes":       func(r *uma.Resource) { r.Scopes = []uma.Scope{"view"} },
			"management":   func(r *uma.Resource) { r.OwnerManaged = false },
			"attributes":   func(r *uma.Resource) { r.Attributes = map[string][]string{"a": {"c", "b"}} },
			"a text":       func(r *uma.Resource) { r.Texts = map[string]string{"description": "another"} },
			"texts":        func(r *uma.Resource) { r.Texts = nil },
		} {
			before := e.get(e.api, r.ID)
			after := *before
			change(&after)
			e.must(e.s.ReplaceResource(e.t.Context(), &after, e.newID))
			got := e.get(e.api, r.ID)
			if got.Version <= before.Version {
				e.t.Errorf("%s: got version %d, want more than %d", what, got.Version, before.Version)
			}
			after.Version = got.Version
			e.want(what, got, &after)
		}
	},

	"nothing_else_raises_the_version": func(e *env) {
		r, other := e.create(e.resource("Album", "view")), e.create(e.resource("Other", "view"))
		q := e.request(r, e.bob, "view")
		e.must(e.s.CreateRequest(e.t.Context(), q))
		e.must(e.s.DecideRequest(e.t.Context(), e.api, q.ID, true, now))
		other.DisplayName = "changed"
		e.must(e.s.ReplaceResource(e.t.Context(), other, e.newID))
		e.must(e.s.DeleteRequest(e.t.Context(), e.api, q.ID))
		e.want("resource", e.get(e.api, r.ID), r)
	},

	"replace_not_found_and_conflict": func(e *env) {
		e.wantErr("unknown", e.s.ReplaceResource(e.t.Context(), e.resource("Album"), e.newID), uma.ErrNotFound)
		e.create(e.resource("Taken"))
		r := e.create(e.resource("Album", "view"))
		change := *r
		change.Name, change.Scopes = "Taken", []uma.Scope{"new"}
		e.wantErr("taken name", e.s.ReplaceResource(e.t.Context(), &change, e.newID), uma.ErrConflict)
		e.want("resource", e.get(e.api, r.ID), r)
	},

	"replace_deletes_requests_for_removed_scopes": func(e *env) {
		r := e.create(e.resource("Album", "view", "delete"))
		gone, left := e.share(r, e.bob, "delete"), e.share(r, e.bob, "view")
		change := *r
		change.Scopes = []uma.Scope{"view", "comment"}
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		if e.getRequest(gone.ID) != nil {
			e.t.Error("the request for a scope that is gone is left")
		}
		e.want("the other", e.getRequest(left.ID).Version, left.Version)
		change.Scopes = nil
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		if e.getRequest(left.ID) != nil {
			e.t.Error("a request is left for a resource without scopes")
		}
	},

	"a_request_for_the_whole_resource_is_deleted_with_the_first_scope": func(e *env) {
		r := e.create(e.resource("Album"))
		whole := e.share(r, e.bob, "")
		change := *r
		change.Type = "other"
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		if e.getRequest(whole.ID) == nil {
			e.t.Fatal("the request is gone too early")
		}
		change.Scopes = []uma.Scope{"view"}
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		if e.getRequest(whole.ID) != nil {
			e.t.Error("the request for the whole is left")
		}
	},

	"replace_removes_scopes_from_policies": func(e *env) {
		r, other := e.create(e.resource("Album", "view", "delete", "<print>")), e.create(e.resource("Other", "delete"))
		both, one := e.fullPolicy(r, "both"), e.fullPolicy(r, "one")
		both.Scopes, one.Scopes = []uma.Scope{"<print>", "delete", "view"}, []uma.Scope{"delete"}
		e.must(e.s.CreateShare(e.t.Context(), both))
		e.must(e.s.CreateShare(e.t.Context(), one))
		untouched, left := e.sharePolicy(r, "untouched", e.bob), e.sharePolicy(other, "other", e.bob)
		change := *r
		change.Type = "another"
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		e.want("both, before", e.getPolicy(both.ID), both)

		untouched.Scopes = []uma.Scope{"view"}
		e.must(e.s.ReplaceShare(e.t.Context(), untouched))
		change.Scopes = []uma.Scope{"view", "<print>", "comment"}
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		got := e.getPolicy(both.ID)
		e.want("version raised", got.Version > both.Version, true)
		want := *both
		want.Scopes, want.Version = []uma.Scope{"<print>", "view"}, got.Version
		e.want("both", got, &want)
		e.want("one, which would be for the whole", e.getPolicy(one.ID) == nil, true)
		e.want("without the scope", e.getPolicy(untouched.ID), untouched)
		e.want("of another resource", e.getPolicy(left.ID), left)
		wantSet(e, "found", e.sharesFor(&uma.Party{ID: e.bob}, r), both.ID, untouched.ID)

		change.Scopes = nil
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		e.want("policies left", policyNames(e.policies(e.alice)), []string{"other"})
	},

	"a_policy_for_the_whole_resource_is_deleted_with_the_first_scope": func(e *env) {
		r := e.create(e.resource("Album"))
		s := e.sharePolicy(r, "p", e.bob)
		change := *r
		change.Type = "other"
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		e.want("the policy", e.getPolicy(s.ID), s)
		change.Scopes = []uma.Scope{"view"}
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		if e.getPolicy(s.ID) != nil {
			e.t.Error("the policy for the whole is left")
		}
	},

	"rename_changes_requests": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		q := e.share(r, e.bob, "view")
		change := *r
		change.Name = "Renamed"
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		e.want("name in the request", e.getRequest(q.ID).ResourceName, "Renamed")
		e.want("version of the request", e.getRequest(q.ID).Version, q.Version)
		e.reading(func(v uma.View) {
			for name, want := range map[string]int{"Album": 0, "Renamed": 1} {
				got, err := v.SharedWith(e.t.Context(), e.api, e.bob, name, 10)
				e.must(err)
				e.want("shared as "+name, len(got), want)
			}
		})
	},

	"delete_deletes_requests_and_policies": func(e *env) {
		r, other := e.create(e.fullResource()), e.create(e.resource("Other", "view"))
		q, left := e.share(r, e.bob, "view"), e.share(other, e.bob, "view")
		policy, leftPolicy := e.sharePolicy(r, "p", e.bob), e.sharePolicy(other, "q", e.bob)
		e.must(e.s.DeleteResource(e.t.Context(), e.api, r.ID))
		if e.get(e.api, r.ID) != nil || e.getRequest(q.ID) != nil || e.getPolicy(policy.ID) != nil {
			e.t.Error("the resource, its request or its policy is left")
		}
		wantSet(e, "policies found", e.sharesFor(&uma.Party{ID: e.bob}, r, other), left.ID, leftPolicy.ID)
		if e.get(e.api, other.ID) == nil || e.getRequest(left.ID) == nil {
			e.t.Error("another resource or its request is gone")
		}
		e.wantErr("again", e.s.DeleteResource(e.t.Context(), e.api, r.ID), uma.ErrNotFound)
		e.create(e.fullResource()) // its name is free again
	},

	"keys_and_versions_are_never_used_again": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		q := e.share(r, e.bob, "view")
		e.must(e.s.DeleteResource(e.t.Context(), e.api, r.ID))
		again := *r
		e.create(&again)
		if again.Key == r.Key || again.Version == r.Version {
			e.t.Errorf("resource: got key %d and version %d a second time", again.Key, again.Version)
		}
		if q2 := e.share(&again, e.bob, "view"); q2.Key == q.Key || q2.Version == q.Version {
			e.t.Errorf("request: got key %d and version %d a second time", q2.Key, q2.Version)
		}
	},
}

func (e *env) scope(name string) uma.ScopeRow {
	e.t.Helper()
	return read(e, func(v uma.View) (uma.ScopeRow, error) { return v.Scope(e.t.Context(), e.api, name) })
}
