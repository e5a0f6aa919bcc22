package storetest

import (
	"time"

	"example.com/umpire/uma"
)

// ask stores a pending request.
func (e *env) ask(r *uma.Resource, requester string, scope uma.Scope) *uma.Request {
	e.t.Helper()
	q := e.request(r, requester, scope)
	e.must(e.s.CreateRequest(e.t.Context(), q))
	return q
}

// stateOf returns the state of a request, empty if it is not found.
func (e *env) stateOf(q *uma.Request) string {
	e.t.Helper()
	if q = e.getRequest(q.ID); q == nil {
		return ""
	}
	return q.State
}

// sharing returns a change of the shares of r by alice, who owns it.
func (e *env) sharing(r *uma.Resource, grants map[string][]uma.Scope) *uma.ShareChange {
	return &uma.ShareChange{Realm: e.realm, Resource: r.Key, Owner: e.alice, Grants: grants, NewID: e.newID, Now: now}
}

// granted returns the granted scopes of a resource by requester.
func (e *env) granted(r *uma.Resource) map[string][]uma.Scope {
	e.t.Helper()
	found := map[string][]uma.Scope{}
	e.reading(func(v uma.View) {
		requests, err := v.RequestsFor(e.t.Context(), []uma.Key{r.Key}, uma.Granted, "")
		e.must(err)
		for _, q := range requests {
			found[q.Requester] = append(found[q.Requester], q.Scope)
		}
	})
	return found
}

type grants = map[string][]uma.Scope

var approveTests = map[string]func(e *env){
	"decides_all_together": func(e *env) {
		r, far := e.create(e.resource("Album", "view", "delete")), e.resource("Far", "view")
		far.Server = e.second
		e.create(far)
		yes, no, other := e.ask(r, e.bob, "view"), e.ask(r, e.bob, "delete"), e.ask(far, "carol", "view")
		untouched := e.ask(r, "carol", "view")
		later := now.Add(time.Hour)
		e.must(e.s.DecideRequests(e.t.Context(), e.realm, e.alice, map[string]bool{yes.ID: true, no.ID: false, other.ID: true}, later))
		e.reading(func(v uma.View) {
			for q, want := range map[*uma.Request]string{yes: uma.Granted, no: uma.Refused, other: uma.Granted} {
				got, err := v.Request(e.t.Context(), q.Server, q.ID)
				e.must(err)
				e.want("state and time", []any{got.State, got.Decided, got.Version > q.Version}, []any{want, kept(later), true})
			}
		})
		e.want("another", e.getRequest(untouched.ID).Version, untouched.Version)
		e.must(e.s.DecideRequests(e.t.Context(), e.realm, e.alice, nil, later))
	},

	"decides_none_if_one_fails": func(e *env) {
		r, theirs := e.create(e.resource("Album", "view", "delete", "print")), e.resource("Theirs", "view")
		theirs.Owner = e.bob
		e.create(theirs)
		pending := e.ask(r, e.bob, "view")
		denied, granted, another := e.ask(r, e.bob, "delete"), e.share(r, e.bob, "print"), e.ask(theirs, e.alice, "view")
		e.must(e.s.DecideRequest(e.t.Context(), e.api, denied.ID, false, now))
		decide := func(realm uma.Key, id string) error {
			return e.s.DecideRequests(e.t.Context(), realm, e.alice, map[string]bool{pending.ID: true, id: true}, now)
		}
		e.wantErr("granted", decide(e.realm, granted.ID), uma.ErrConflict)
		e.wantErr("denied", decide(e.realm, denied.ID), uma.ErrConflict)
		e.wantErr("another's", decide(e.realm, another.ID), uma.ErrNotFound)
		e.wantErr("unknown", decide(e.realm, "unknown"), uma.ErrNotFound)
		e.wantErr("in another realm", decide(e.otherRealm, pending.ID), uma.ErrNotFound)
		e.want("the pending one", e.getRequest(pending.ID).Version, pending.Version)
		e.want("the other owner's", e.stateOf(another), uma.Pending)
	},

	"grants_exactly_the_given_scopes": func(e *env) {
		r := e.create(e.resource("Album", "a", "b", "c", "d", "e"))
		had, loses, asked, refused := e.share(r, e.bob, "a"), e.share(r, e.bob, "b"), e.ask(r, e.bob, "c"), e.ask(r, e.bob, "d")
		denied := e.ask(r, e.bob, "e")
		e.must(e.s.DecideRequest(e.t.Context(), e.api, denied.ID, false, now.Add(-time.Hour)))
		others, othersAsk := e.share(r, "carol", "a"), e.ask(r, "carol", "b")
		e.must(e.s.ShareResource(e.t.Context(), e.sharing(r, grants{e.bob: {"c", "a", "e", "a"}, "dave": {"a"}})))
		e.want("granted", e.granted(r), grants{e.bob: {"a", "c", "e"}, "carol": {"a"}, "dave": {"a"}})
		e.want("what was granted before", e.getRequest(had.ID).Version, had.Version)
		e.want("what is no longer", e.stateOf(loses), "")
		got := e.getRequest(asked.ID)
		e.want("what was asked for", []any{got.State, got.Decided}, []any{uma.Granted, kept(now)})
		got = e.getRequest(refused.ID)
		e.want("what was asked for and is not granted", []any{got.State, got.Decided}, []any{uma.Refused, kept(now)})
		e.want("what was denied and is granted now", e.stateOf(denied), "")
		e.want("another's", []string{e.stateOf(others), e.stateOf(othersAsk)}, []string{uma.Granted, uma.Pending})
	},

	"stores_complete_requests": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		e.must(e.s.ShareResource(e.t.Context(), e.sharing(r, grants{e.bob: {"view"}})))
		e.reading(func(v uma.View) {
			got, err := v.RequestsFor(e.t.Context(), []uma.Key{r.Key}, uma.Granted, e.bob)
			e.must(err)
			e.wantNoZeroFields(got[0])
			want := *e.request(r, e.bob, "view")
			want.Key, want.ID, want.Version, want.ScopeID = got[0].Key, got[0].ID, got[0].Version, e.scope("view").ID
			want.State, want.Created, want.Decided = uma.Granted, kept(now), kept(now)
			e.want("request", got, []uma.Request{want})
		})
	},

	"revokes_all_scopes_of_a_user": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		e.share(r, e.bob, "view")
		e.share(r, "carol", "view")
		e.must(e.s.ShareResource(e.t.Context(), e.sharing(r, grants{e.bob: nil})))
		e.want("granted", e.granted(r), grants{"carol": {"view"}})
	},

	"revokes_those_of_all_other_users": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		other := e.create(e.resource("Other", "view"))
		e.share(r, e.bob, "view")
		e.share(r, "carol", "view")
		e.share(other, "carol", "view")
		pending := e.ask(r, "dave", "view")
		c := e.sharing(r, grants{e.bob: {"view"}})
		c.Only = true
		e.must(e.s.ShareResource(e.t.Context(), c))
		e.want("granted", e.granted(r), grants{e.bob: {"view"}})
		e.want("of another resource", e.granted(other), grants{"carol": {"view"}})
		e.want("what another asks for", e.stateOf(pending), uma.Pending)
		c.Grants = nil
		e.must(e.s.ShareResource(e.t.Context(), c))
		e.want("granted in the end", e.granted(r), grants{})
	},

	"shares_a_resource_without_scopes": func(e *env) {
		r := e.create(e.resource("Album"))
		asked := e.ask(r, e.bob, "")
		e.must(e.s.ShareResource(e.t.Context(), e.sharing(r, grants{e.bob: {uma.Everything}, "carol": {uma.Everything}})))
		e.want("granted", e.granted(r), grants{e.bob: {""}, "carol": {""}})
		e.want("what was asked for", e.stateOf(asked), uma.Granted)
	},

	"refuses_missing_resources_and_scopes": func(e *env) {
		r, theirs, unmanaged := e.create(e.resource("Album", "view")), e.resource("Theirs", "view"), e.resource("Unmanaged", "view")
		theirs.Owner, unmanaged.OwnerManaged = e.bob, false
		e.create(theirs)
		e.create(unmanaged)
		whole := e.create(e.resource("Whole"))
		e.share(r, "carol", "view")
		for what, change := range map[string]func(c *uma.ShareChange){
			"another's":              func(c *uma.ShareChange) { c.Resource = theirs.Key },
			"another owner":          func(c *uma.ShareChange) { c.Owner = e.bob },
			"not owner-managed":      func(c *uma.ShareChange) { c.Resource = unmanaged.Key },
			"unknown":                func(c *uma.ShareChange) { c.Resource += 1000 },
			"another realm":          func(c *uma.ShareChange) { c.Realm = e.otherRealm },
			"unknown scope":          func(c *uma.ShareChange) { c.Grants["dave"] = []uma.Scope{"delete"} },
			"everything of one with": func(c *uma.ShareChange) { c.Grants["dave"] = []uma.Scope{uma.Everything} },

			"a scope of one without":    func(c *uma.ShareChange) { c.Resource = whole.Key },
			"unknown scope, to be sure": func(c *uma.ShareChange) { c.Grants = grants{e.bob: {"view", "delete"}}; c.Only = true },
		} {
			c := e.sharing(r, grants{e.bob: {"view"}})
			change(c)
			e.wantErr(what, e.s.ShareResource(e.t.Context(), c), uma.ErrNotFound)
		}
		for _, one := range []*uma.Resource{theirs, unmanaged, whole} {
			e.want("granted of "+one.Name, e.granted(one), grants{})
		}
		e.want("granted", e.granted(r), grants{"carol": {"view"}})
	},

	"checks_whether_anything_was_shared": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		pending := e.ask(r, "carol", "view")
		e.share(e.create(e.resource("Other", "view")), "dave", "view")
		fresh, there := e.sharing(r, grants{e.bob: {"view"}}), e.sharing(r, grants{e.bob: nil})
		fresh.New, there.There = true, true
		e.wantErr("there, and nobody was granted anything", e.s.ShareResource(e.t.Context(), there), uma.ErrConflict)
		e.must(e.s.ShareResource(e.t.Context(), fresh))
		e.wantErr("new, and somebody was", e.s.ShareResource(e.t.Context(), fresh), uma.ErrConflict)
		e.want("what is asked for", e.stateOf(pending), uma.Pending)
		e.must(e.s.ShareResource(e.t.Context(), there))
		e.want("granted", e.granted(r), grants{})
	},

	"checks_that_shares_are_those_that_were_seen": func(e *env) {
		r := e.create(e.resource("Album", "view", "comment"))
		e.share(e.create(e.resource("Other", "view")), "dave", "view")
		share := func(g grants, seen map[string]int64) error {
			c := e.sharing(r, g)
			c.Only, c.Seen = true, seen
			return e.s.ShareResource(e.t.Context(), c)
		}
		e.must(share(grants{e.bob: {"view"}, "carol": {"view"}}, map[string]int64{}))
		first := e.seen(r)
		e.wantErr("something, and nothing was seen", share(grants{"dave": {"view"}}, map[string]int64{}), uma.ErrMoved)
		e.must(share(grants{e.bob: {"view"}}, first))
		second := e.seen(r)
		e.wantErr("a share that is gone", share(grants{"dave": {"view"}}, first), uma.ErrMoved)
		e.ask(r, "carol", "comment") // asked, not granted
		e.must(share(grants{e.bob: {"view", "comment"}}, second))
		e.wantErr("a share that came", share(grants{"dave": {"view"}}, second), uma.ErrMoved)
		third := e.seen(r)
		e.must(share(grants{"carol": {"view", "comment"}}, third))
		e.wantErr("as many shares, but others", share(grants{"dave": {"view"}}, third), uma.ErrMoved)
		e.want("granted", e.granted(r), grants{"carol": {"comment", "view"}})
	},
}

// seen returns the versions of the granted requests for a resource by id.
func (e *env) seen(r *uma.Resource) map[string]int64 {
	e.t.Helper()
	versions := map[string]int64{}
	e.reading(func(v uma.View) {
		requests, err := v.RequestsFor(e.t.Context(), []uma.Key{r.Key}, uma.Granted, "")
		e.must(err)
		for _, q := range requests {
			versions[q.ID] = q.Version
		}
	})
	return versions
}
