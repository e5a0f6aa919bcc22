package storetest

import (
	"example.com/umpire/uma"
)

var validityTests = map[string]func(e *env){
	"rows_that_still_exist": func(e *env) {
		kept, gone := e.create(e.resource("A", "view")), e.create(e.resource("B", "view"))
		q, withdrawn := e.share(kept, e.bob, "view"), e.share(gone, e.bob, "view")
		pending := e.request(kept, e.alice, "view")
		e.must(e.s.CreateRequest(e.t.Context(), pending))
		grants := []uma.Grant{
			{Resource: kept.ID, Scopes: []uma.Scope{"view"}, Shares: []uma.GrantShare{{ID: q.ID}, {ID: pending.ID}, {ID: "unknown"}}},
			{Resource: gone.ID, Shares: []uma.GrantShare{{ID: withdrawn.ID}}},
			{Scopes: []uma.Scope{"view", "unknown"}},
		}
		e.must(e.s.DeleteResource(e.t.Context(), e.api, gone.ID))
		validity := e.validity(e.api, grants)
		e.want("resources", validity.Resources, map[uma.ResourceID]*uma.Resource{kept.ID: kept})
		e.want("shares", validity.Shares, map[string]*uma.Share{q.ID: shareOf(q)})
		e.want("scopes", validity.Scopes, map[uma.Scope]bool{"view": true})

		other := e.validity(e.second, grants)
		e.want("at another server", len(other.Resources)+len(other.Shares)+len(other.Scopes), 0)
	},

	"inherited_scopes": func(e *env) {
		e.create(e.resource("A", "print"))
		r := e.create(e.resource("B", "view"))
		validity := e.validity(e.api, []uma.Grant{{Resource: r.ID, Scopes: []uma.Scope{"view", "print", "gone"},
			Inherited: []uma.Scope{"print", "gone"}}})
		e.want("print", validity.Scopes["print"], true)
		e.want("gone", validity.Scopes["gone"], false)
	},

	"policies_beside_requests": func(e *env) {
		r := e.create(e.resource("A", "view"))
		q, kept, gone := e.share(r, e.bob, "view"), e.sharePolicy(r, "kept", e.bob), e.sharePolicy(r, "gone", e.bob)
		e.must(e.s.DeleteShare(e.t.Context(), e.api, gone.ID))
		kept.Users = []string{"carol"}
		e.must(e.s.ReplaceShare(e.t.Context(), kept))
		grants := []uma.Grant{
			{Resource: r.ID, Shares: []uma.GrantShare{{ID: q.ID}, {ID: kept.ID}}},
			{Resource: r.ID, Shares: []uma.GrantShare{{ID: kept.ID}, {ID: gone.ID}}},
		}
		want := map[string]*uma.Share{q.ID: shareOf(q), kept.ID: kept}
		e.want("shares", e.validity(e.api, grants).Shares, want)
		e.want("at another server", len(e.validity(e.second, grants).Shares), 0)
	},

	"share_of_what_is_no_longer_owner_managed": func(e *env) {
		r := e.create(e.resource("A", "view"))
		q, policy := e.share(r, e.bob, "view"), e.sharePolicy(r, "p", e.bob)
		grants := []uma.Grant{{Resource: r.ID, Shares: []uma.GrantShare{{ID: q.ID}, {ID: policy.ID}}}}
		e.want("shares before", len(e.validity(e.api, grants).Shares), 2)
		change := *r
		change.OwnerManaged = false
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		e.want("shares after", len(e.validity(e.api, grants).Shares), 0)
	},

	"of_no_grants": func(e *env) {
		validity := e.validity(e.api, nil)
		e.want("anything", len(validity.Resources)+len(validity.Shares)+len(validity.Scopes), 0)
	},
}

func (e *env) validity(server uma.Key, grants []uma.Grant) *uma.Validity {
	e.t.Helper()
	return read(e, func(v uma.View) (*uma.Validity, error) { return v.Validity(e.t.Context(), server, grants) })
}
