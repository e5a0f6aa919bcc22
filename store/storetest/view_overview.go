package storetest

import (
	"slices"

	"example.com/umpire/uma"
)

// policy stores a policy of alice and returns its id.
func (e *env) policy(r *uma.Resource, name string, users ...string) string {
	e.t.Helper()
	s := &uma.Share{
		ID: e.newID(), Kind: uma.ByPolicy, Name: name, Server: r.Server, Resource: r.Key, Owner: r.Owner,
		Scopes: r.Scopes, Users: users, Roles: []string{"user"}, Strategy: "UNANIMOUS",
	}
	e.must(e.s.CreateShare(e.t.Context(), s))
	return s.ID
}

var overviewTests = map[string]func(e *env){
	"policies_by_id": func(e *env) {
		a, b := e.create(e.resource("A", "view")), e.resource("B", "view")
		b.Owner = e.bob
		e.create(b)
		far := e.resource("A", "view")
		far.Server = e.second
		first, second, third := e.policy(a, "z", e.bob), e.policy(a, "y", "carol", e.bob), e.policy(b, "x", e.alice)
		e.policy(e.create(far), "w", e.bob)
		e.share(a, e.bob, "view") // no policy
		for what, tc := range map[string]struct {
			of    uma.UserPoliciesOf
			after string
			max   int
			want  []string
		}{
			"all":              {uma.UserPoliciesOf{}, "", 10, []string{first, second, third}},
			"a page":           {uma.UserPoliciesOf{}, "", 2, []string{first, second}},
			"the next page":    {uma.UserPoliciesOf{}, second, 2, []string{third}},
			"of an owner":      {uma.UserPoliciesOf{Owner: e.alice}, "", 10, []string{first, second}},
			"for a user":       {uma.UserPoliciesOf{User: e.bob}, "", 10, []string{first, second}},
			"for a second":     {uma.UserPoliciesOf{User: "carol"}, "", 10, []string{second}},
			"of a resource":    {uma.UserPoliciesOf{Resource: b.ID}, "", 10, []string{third}},
			"of all of these":  {uma.UserPoliciesOf{Owner: e.alice, User: "carol", Resource: a.ID}, "", 10, []string{second}},
			"of none of these": {uma.UserPoliciesOf{Owner: e.bob, Resource: a.ID}, "", 10, nil},
		} {
			var got []string
			e.reading(func(v uma.View) {
				found, err := v.SharesAfter(e.t.Context(), e.api, tc.of, tc.after, tc.max)
				e.must(err)
				for _, s := range found {
					got = append(got, s.ID)
				}
			})
			e.want(what, got, tc.want)
		}
	},

	"pending_beside": func(e *env) {
		a, b := e.create(e.resource("A", "view", "delete", "print")), e.create(e.resource("B", "view"))
		ask := func(r *uma.Resource, requester string, scope uma.Scope) *uma.Request {
			q := e.request(r, requester, scope)
			e.must(e.s.CreateRequest(e.t.Context(), q))
			return q
		}
		view, del, denied := ask(a, e.bob, "view"), ask(a, e.bob, "delete"), ask(a, e.bob, "print")
		e.must(e.s.DecideRequest(e.t.Context(), e.api, denied.ID, false, now))
		carol, elsewhere := ask(a, "carol", "view"), ask(b, e.bob, "view")
		for what, tc := range map[string]struct{ of, want []*uma.Request }{
			"one of two":       {[]*uma.Request{view}, []*uma.Request{del, view}},
			"both of two":      {[]*uma.Request{view, del}, []*uma.Request{del, view}},
			"one that is not":  {[]*uma.Request{denied}, []*uma.Request{del, view}},
			"another's":        {[]*uma.Request{carol}, []*uma.Request{carol}},
			"another resource": {[]*uma.Request{elsewhere}, []*uma.Request{elsewhere}},
			"none":             {nil, nil},
		} {
			var keys []uma.Key
			for _, q := range tc.of {
				keys = append(keys, q.Key)
			}
			e.reading(func(v uma.View) {
				got, err := v.PendingBeside(e.t.Context(), keys)
				e.must(err)
				if !slices.EqualFunc(got, tc.want, func(a uma.Request, b *uma.Request) bool { return a.ID == b.ID }) {
					e.t.Errorf("%s: got %+v", what, got)
				}
			})
		}
	},
}
