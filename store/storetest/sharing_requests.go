package storetest

import (
	"time"

	"example.com/umpire/uma"
)

var requestTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		want := e.share(r, e.bob, "view")
		want.ScopeID = e.scope("view").ID
		want.Created, want.Decided = kept(want.Created), kept(want.Decided)
		e.wantNoZeroFields(*want)
		e.want("request", e.getRequest(want.ID), want)
		e.reading(func(v uma.View) {
			found, err := v.FindRequests(e.t.Context(), e.api, uma.RequestFilter{}, 0, -1)
			e.must(err)
			e.want("found", found, []uma.Request{*want})
			shared, err := v.SharedWith(e.t.Context(), e.api, e.bob, "", 10)
			e.must(err)
			e.want("shared", shared, []uma.Request{*want})
		})
	},

	"stay_inside_their_server": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		q := e.share(r, e.bob, "view")
		for what, server := range map[string]uma.Key{"second": e.second, "foreign": e.foreign} {
			e.reading(func(v uma.View) {
				_, err := v.Request(e.t.Context(), server, q.ID)
				e.wantErr(what+": read", err, uma.ErrNotFound)
			})
			e.wantErr(what+": decide", e.s.DecideRequest(e.t.Context(), server, q.ID, false, now), uma.ErrNotFound)
			e.wantErr(what+": delete", e.s.DeleteRequest(e.t.Context(), server, q.ID), uma.ErrNotFound)
			other := e.request(r, "carol", "view")
			other.Server = server
			e.wantErr(what+": create", e.s.CreateRequest(e.t.Context(), other), uma.ErrNotFound)
		}
	},

	"are_unique_by_resource_requester_and_scope": func(e *env) {
		r := e.create(e.resource("Album", "view", "delete"))
		for what, state := range map[string]string{"pending": uma.Pending, "granted": uma.Granted} {
			q := e.request(r, "requester of "+what, "view")
			q.State = state
			e.must(e.s.CreateRequest(e.t.Context(), q))
			again := e.request(r, q.Requester, "view")
			e.wantErr(what, e.s.CreateRequest(e.t.Context(), again), uma.ErrConflict)
			e.want(what+": the state of the first", e.getRequest(q.ID).State, state)
			if e.getRequest(again.ID) != nil {
				e.t.Errorf("%s: the second is kept", what)
			}
			e.must(e.s.CreateRequest(e.t.Context(), e.request(r, q.Requester, "delete")))
		}
	},

	"a_denied_one_is_replaced": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		q := e.request(r, e.bob, "view")
		e.must(e.s.CreateRequest(e.t.Context(), q))
		e.must(e.s.DecideRequest(e.t.Context(), e.api, q.ID, false, now))
		again := e.request(r, e.bob, "view")
		e.must(e.s.CreateRequest(e.t.Context(), again))
		if e.getRequest(q.ID) != nil {
			e.t.Error("the denied one is left")
		}
		e.want("state", e.getRequest(again.ID).State, uma.Pending)
	},

	"of_missing_resources_and_scopes": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		whole := e.create(e.resource("Whole"))
		e.wantErr("unknown scope", e.s.CreateRequest(e.t.Context(), e.request(r, e.bob, "delete")), uma.ErrNotFound)
		e.wantErr("the whole of one with scopes", e.s.CreateRequest(e.t.Context(), e.request(r, e.bob, "")), uma.ErrNotFound)
		e.wantErr("a scope of one without", e.s.CreateRequest(e.t.Context(), e.request(whole, e.bob, "view")), uma.ErrNotFound)
		e.must(e.s.DeleteResource(e.t.Context(), e.api, r.ID))
		e.wantErr("removed resource", e.s.CreateRequest(e.t.Context(), e.request(r, e.bob, "view")), uma.ErrNotFound)
	},

	"copy_the_current_name_and_owner_of_their_resource": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		q := e.request(r, e.bob, "view")
		q.ResourceName, q.Owner, q.ResourceID, q.ScopeID = "stale", "stale", "stale", "stale"
		e.must(e.s.CreateRequest(e.t.Context(), q))
		got := e.getRequest(q.ID)
		e.want("request", []string{got.ResourceName, got.Owner, string(got.ResourceID), got.ScopeID},
			[]string{"Album", e.alice, string(r.ID), e.scope("view").ID})
	},

	"decided": func(e *env) {
		r := e.create(e.resource("Album", "a", "b", "c"))
		later := now.Add(time.Hour)
		grant, deny, keep := e.request(r, e.bob, "a"), e.request(r, e.bob, "b"), e.request(r, e.bob, "c")
		for _, q := range []*uma.Request{grant, deny, keep} {
			e.must(e.s.CreateRequest(e.t.Context(), q))
		}
		e.must(e.s.DecideRequest(e.t.Context(), e.api, grant.ID, true, later))
		e.must(e.s.DecideRequest(e.t.Context(), e.api, deny.ID, false, later))
		got := e.getRequest(grant.ID)
		e.want("granted", []any{got.State, got.Decided}, []any{uma.Granted, kept(later)})
		if got.Version <= grant.Version {
			e.t.Errorf("granted: got version %d, want more than %d", got.Version, grant.Version)
		}
		got = e.getRequest(deny.ID)
		e.want("denied", []any{got.State, got.Decided}, []any{uma.Refused, kept(later)})
		e.want("another", e.getRequest(keep.ID).Version, keep.Version)
		found, _ := e.findRequests(e.api, uma.RequestFilter{}, 0, -1)
		wantSet(e, "found", found, grant.ID, keep.ID)
	},

	"decided_twice": func(e *env) {
		r := e.create(e.resource("Album", "a", "b"))
		granted, denied := e.share(r, e.bob, "a"), e.request(r, e.bob, "b")
		e.must(e.s.CreateRequest(e.t.Context(), denied))
		e.must(e.s.DecideRequest(e.t.Context(), e.api, denied.ID, false, now))

		e.must(e.s.DecideRequest(e.t.Context(), e.api, granted.ID, true, now.Add(time.Hour)))
		e.want("granted again", e.getRequest(granted.ID).Version, granted.Version)
		for _, grant := range []bool{true, false} {
			e.wantErr("a denied one is no more", e.s.DecideRequest(e.t.Context(), e.api, denied.ID, grant, now), uma.ErrNotFound)
		}
		e.must(e.s.DecideRequest(e.t.Context(), e.api, granted.ID, false, now))
		if e.getRequest(granted.ID) != nil {
			e.t.Error("a withdrawn share is remembered")
		}
		e.wantErr("withdrawn again", e.s.DecideRequest(e.t.Context(), e.api, granted.ID, false, now), uma.ErrNotFound)
		e.wantErr("unknown", e.s.DecideRequest(e.t.Context(), e.api, "unknown", true, now), uma.ErrNotFound)
	},

	"deleted": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		q := e.share(r, e.bob, "view")
		e.must(e.s.DeleteRequest(e.t.Context(), e.api, q.ID))
		if e.getRequest(q.ID) != nil {
			e.t.Error("the request is left")
		}
		e.wantErr("again", e.s.DeleteRequest(e.t.Context(), e.api, q.ID), uma.ErrNotFound)
	},
}
