package storetest

import (
	"fmt"
	"slices"
	"time"

	"example.com/umpire/uma"
)

// sharesFor returns the ids of the shares of resources for a party.
func (e *env) sharesFor(p *uma.Party, resources ...*uma.Resource) (ids []string) {
	e.t.Helper()
	var keys []uma.Key
	for _, r := range resources {
		keys = append(keys, r.Key)
	}
	e.reading(func(v uma.View) {
		shares, _, err := v.Between(e.t.Context(), p, keys, now)
		e.must(err)
		for _, s := range shares {
			ids = append(ids, s.ID)
		}
	})
	return ids
}

// shareOf returns a granted request in the form of a share.
func shareOf(q *uma.Request) *uma.Share {
	return &uma.Share{Key: q.Key, ID: q.ID, Kind: "request", Server: q.Server, Resource: q.Resource, ResourceID: q.ResourceID,
		Owner: q.Owner, Scopes: []uma.Scope{q.Scope}, Users: []string{q.Requester}, Strategy: "UNANIMOUS", Version: q.Version}
}

func (e *env) findRequests(server uma.Key, f uma.RequestFilter, first, max int) (ids []string, count int) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		found, err := v.FindRequests(e.t.Context(), server, f, first, max)
		e.must(err)
		for _, q := range found {
			ids = append(ids, q.ID)
		}
		count, err = v.CountRequests(e.t.Context(), server, f)
		e.must(err)
	})
	return ids, count
}

var shareTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		q := e.share(r, e.bob, "view")
		e.reading(func(v uma.View) {
			got, _, err := v.Between(e.t.Context(), &uma.Party{ID: e.bob}, []uma.Key{r.Key}, now)
			e.must(err)
			e.want("shares", got, []uma.Share{*shareOf(q)})
		})
	},

	"of_the_whole_resource_have_no_scope": func(e *env) {
		r := e.create(e.resource("Album"))
		e.share(r, e.bob, "")
		e.reading(func(v uma.View) {
			got, _, err := v.Between(e.t.Context(), &uma.Party{ID: e.bob}, []uma.Key{r.Key}, now)
			e.must(err)
			e.want("scopes", len(got[0].Scopes), 0)
		})
	},

	"are_for_one_party_and_granted": func(e *env) {
		a, b := e.create(e.resource("A", "view", "delete")), e.create(e.resource("B", "view"))
		granted, other := e.share(a, e.bob, "view"), e.share(b, e.bob, "view")
		pending := e.request(a, e.bob, "delete")
		e.must(e.s.CreateRequest(e.t.Context(), pending))
		bob := &uma.Party{ID: e.bob}
		wantSet(e, "of both", e.sharesFor(bob, a, b), granted.ID, other.ID)
		wantSet(e, "of one", e.sharesFor(bob, b), other.ID)
		wantSet(e, "of none", e.sharesFor(bob))
		wantSet(e, "for another", e.sharesFor(&uma.Party{ID: e.alice}, a, b))
		wantSet(e, "for nobody", e.sharesFor(&uma.Party{}, a, b))
		e.must(e.s.DecideRequest(e.t.Context(), e.api, pending.ID, true, now))
		wantSet(e, "after approval", e.sharesFor(bob, a), granted.ID, pending.ID)
		e.must(e.s.DecideRequest(e.t.Context(), e.api, granted.ID, false, now))
		wantSet(e, "after withdrawal", e.sharesFor(bob, a), pending.ID)
	},

	"requests_by_one_party": func(e *env) {
		a, b := e.create(e.resource("A", "view", "delete", "print")), e.create(e.resource("B", "view"))
		e.share(a, e.bob, "view")
		pending, denied := e.request(a, e.bob, "delete"), e.request(a, e.bob, "print")
		other := e.request(a, e.alice, "delete")
		for _, q := range []*uma.Request{pending, denied, other, e.request(b, e.bob, "view")} {
			e.must(e.s.CreateRequest(e.t.Context(), q))
		}
		e.must(e.s.DecideRequest(e.t.Context(), e.api, denied.ID, false, now))
		by := func(since time.Time) (ids []string) {
			e.reading(func(v uma.View) {
				_, got, err := v.Between(e.t.Context(), &uma.Party{ID: e.bob}, []uma.Key{a.Key}, since)
				e.must(err)
				for _, q := range got {
					ids = append(ids, q.ID)
				}
			})
			return ids
		}
		wantSet(e, "denied since", by(now.Add(-time.Hour)), pending.ID, denied.ID)
		wantSet(e, "denied before", by(now), pending.ID)
	},

	"policies_are_found_by_their_parties": func(e *env) {
		r, other := e.create(e.resource("Album", "view")), e.create(e.resource("Other", "view"))
		kinds := map[string]func(s *uma.Share){
			"user":   func(s *uma.Share) { s.Users = []string{e.bob, "carol"} },
			"role":   func(s *uma.Share) { s.Roles = []string{"friend", "api/friend"} },
			"group":  func(s *uma.Share) { s.Groups = []string{"/friends", "/others"} },
			"client": func(s *uma.Share) { s.Clients = []string{"web", "app"} },
		}
		keep := func(r *uma.Resource, name, strategy string, of ...string) {
			s := &uma.Share{ID: name, Name: name, Server: r.Server, Resource: r.Key, Owner: r.Owner, Scopes: r.Scopes, Strategy: strategy}
			for _, kind := range of {
				kinds[kind](s)
			}
			e.must(e.s.CreateShare(e.t.Context(), s))
		}
		for kind := range kinds {
			keep(r, kind, "UNANIMOUS", kind)
		}
		keep(r, "all", "UNANIMOUS", "user", "role", "group", "client")
		keep(r, "all but users", "UNANIMOUS", "client", "group", "role")
		keep(r, "any", "AFFIRMATIVE", "user", "role", "group", "client")
		keep(r, "most", "CONSENSUS", "user", "role", "client")
		keep(r, "nobody", "UNANIMOUS")
		keep(other, "of another", "AFFIRMATIVE", "user", "role", "group", "client")
		for what, tc := range map[string]struct {
			p    uma.Party
			want []string
		}{
			"user":         {uma.Party{ID: e.bob}, []string{"user", "all", "any", "most"}},
			"role":         {uma.Party{ID: e.alice, Roles: []string{"x", "api/friend"}}, []string{"role", "any", "most"}},
			"group":        {uma.Party{ID: e.alice, Groups: []string{"/friends"}}, []string{"group", "all but users", "any"}},
			"client":       {uma.Party{Client: "app"}, []string{"client", "any", "most"}},
			"one of all":   {uma.Party{ID: e.bob, Groups: []string{"/others"}, Client: "web"}, []string{"user", "group", "client", "all", "all but users", "any", "most"}},
			"another kind": {uma.Party{ID: "web", Roles: []string{e.bob}, Groups: []string{"friend"}, Client: "/friends"}, nil},
			"another case": {uma.Party{ID: "CAROL", Roles: []string{"Friend"}, Groups: []string{"/Friends"}, Client: "Web"}, nil},
			"nobody":       {uma.Party{}, nil},
		} {
			wantSet(e, what, e.sharesFor(&tc.p, r), tc.want...)
		}
		bob := &uma.Party{ID: e.bob}
		wantSet(e, "of both", e.sharesFor(bob, r, other), "user", "all", "any", "most", "of another")
		wantSet(e, "of none that has policies", e.sharesFor(bob, e.create(e.resource("Third"))))
		change := *r
		change.OwnerManaged = false // which the policy looks at
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		wantSet(e, "not owner-managed", e.sharesFor(bob, r), "user", "all", "any", "most")
	},

	"policies_are_found_by_their_new_parties": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		s := e.sharePolicy(r, "p", e.bob)
		for _, tc := range []struct {
			change func(s *uma.Share)
			p      uma.Party
		}{
			{func(s *uma.Share) { s.Users = []string{"carol"} }, uma.Party{ID: "carol"}},
			{func(s *uma.Share) { s.Users, s.Groups = nil, []string{"/g"} }, uma.Party{Groups: []string{"/g"}}},
			{func(s *uma.Share) { s.Users = []string{e.bob} }, uma.Party{ID: e.bob}},
			{func(s *uma.Share) { s.Strategy = "AFFIRMATIVE" }, uma.Party{Groups: []string{"/g"}}},
		} {
			before := *s
			tc.change(s)
			e.must(e.s.ReplaceShare(e.t.Context(), s))
			wantSet(e, fmt.Sprintf("%+v", s), e.sharesFor(&tc.p, r), s.ID)
			if before.Users != nil && s.Users == nil {
				wantSet(e, "who it was for", e.sharesFor(&uma.Party{ID: before.Users[0]}, r))
			}
		}
	},

	"shared_with_by_name": func(e *env) {
		for _, name := range []string{"B", "A", "C"} {
			e.share(e.create(e.resource(name, "view")), e.bob, "view")
		}
		second := e.resource("D", "view")
		second.Server = e.second
		e.share(e.create(second), e.bob, "view")
		pending := e.create(e.resource("E", "view"))
		e.must(e.s.CreateRequest(e.t.Context(), e.request(pending, e.bob, "view")))
		shared := func(name string, limit int) []string {
			list := []string{}
			e.reading(func(v uma.View) {
				got, err := v.SharedWith(e.t.Context(), e.api, e.bob, name, limit)
				e.must(err)
				for _, q := range got {
					list = append(list, q.ResourceName)
				}
			})
			return list
		}
		e.want("all", shared("", 10), []string{"A", "B", "C"})
		e.want("two", shared("", 2), []string{"A", "B"})
		e.want("none", shared("", 0), []string{})
		e.want("of one name", shared("B", 10), []string{"B"})
		e.want("in another case", shared("b", 10), []string{})
		e.want("not granted", shared("E", 10), []string{})
	},

	"found_by_every_filter": func(e *env) {
		a, b := e.create(e.resource("A", "view", "delete")), e.resource("B", "view")
		b.Owner = e.bob
		e.create(b)
		pending := e.request(a, e.bob, "view")
		e.must(e.s.CreateRequest(e.t.Context(), pending))
		granted, asked := e.share(a, e.bob, "delete"), e.share(b, e.alice, "view")
		third := e.share(b, "carol", "view")
		both := e.share(b, e.bob, "view") // his own
		denied := e.request(a, "carol", "view")
		e.must(e.s.CreateRequest(e.t.Context(), denied))
		e.must(e.s.DecideRequest(e.t.Context(), e.api, denied.ID, false, now))
		yes, no := true, false
		for what, tc := range map[string]struct {
			f    uma.RequestFilter
			want []string
		}{
			"all":                  {uma.RequestFilter{}, []string{pending.ID, granted.ID, asked.ID, third.ID, both.ID}},
			"resource":             {uma.RequestFilter{Resource: a.ID}, []string{pending.ID, granted.ID}},
			"scope by name":        {uma.RequestFilter{ScopeID: "view"}, []string{pending.ID, asked.ID, third.ID, both.ID}},
			"scope by id":          {uma.RequestFilter{ScopeID: e.scope("view").ID}, []string{pending.ID, asked.ID, third.ID, both.ID}},
			"unknown scope":        {uma.RequestFilter{ScopeID: "unknown"}, nil},
			"owner":                {uma.RequestFilter{Owner: e.alice}, []string{pending.ID, granted.ID}},
			"requester":            {uma.RequestFilter{Requester: e.bob}, []string{pending.ID, granted.ID, both.ID}},
			"resource, not owner":  {uma.RequestFilter{Resource: a.ID, Owner: e.bob}, nil},
			"resource, requester":  {uma.RequestFilter{Resource: a.ID, Requester: e.bob}, []string{pending.ID, granted.ID}},
			"what one was granted": {uma.RequestFilter{Resource: a.ID, Requester: e.bob, Granted: &yes}, []string{granted.ID}},
			"pending of owner":     {uma.RequestFilter{Owner: e.alice, Granted: &no}, []string{pending.ID}},
			"granted of owner":     {uma.RequestFilter{Owner: e.alice, Granted: &yes}, []string{granted.ID}},
			"granted to requester": {uma.RequestFilter{Requester: e.bob, Granted: &yes}, []string{granted.ID, both.ID}},
			"granted of party":     {uma.RequestFilter{Party: e.bob, Granted: &yes}, []string{granted.ID, asked.ID, third.ID, both.ID}},
			"pending of party":     {uma.RequestFilter{Party: e.bob, Granted: &no}, []string{pending.ID}},
			"denied":               {uma.RequestFilter{Requester: "carol", Resource: a.ID}, nil},
			"owner and requester":  {uma.RequestFilter{Owner: e.bob, Requester: e.alice}, []string{asked.ID}},
			"party":                {uma.RequestFilter{Party: e.alice}, []string{pending.ID, granted.ID, asked.ID}},
			"party that is both":   {uma.RequestFilter{Party: e.bob}, []string{pending.ID, granted.ID, asked.ID, third.ID, both.ID}},
			"party and owner":      {uma.RequestFilter{Party: e.alice, Owner: e.bob}, []string{asked.ID}},
			"party and itself":     {uma.RequestFilter{Party: e.alice, Owner: e.alice}, []string{pending.ID, granted.ID}},
			"party of neither":     {uma.RequestFilter{Party: e.alice, Owner: e.bob, Requester: "carol"}, nil},
			"granted":              {uma.RequestFilter{Granted: &yes}, []string{granted.ID, asked.ID, third.ID, both.ID}},
			"not granted":          {uma.RequestFilter{Granted: &no}, []string{pending.ID}},
			"many":                 {uma.RequestFilter{Party: e.alice, Resource: a.ID, ScopeID: "view", Granted: &no}, []string{pending.ID}},
		} {
			slices.Sort(tc.want)
			got, count := e.findRequests(e.api, tc.f, 0, -1)
			if !slices.Equal(got, tc.want) || count != len(tc.want) {
				e.t.Errorf("%s: got %v and a count of %d, want %v in order", what, got, count, tc.want)
			}
			if got, count := e.findRequests(e.second, tc.f, 0, -1); len(got) > 0 || count > 0 {
				e.t.Errorf("%s: got %v at another server", what, got)
			}
			for i, id := range tc.want {
				tc.f.After = id
				if got, _ := e.findRequests(e.api, tc.f, 0, 1); !slices.Equal(got, tc.want[i+1:min(i+2, len(tc.want))]) {
					e.t.Errorf("%s: got %v after %s, want the next of %v", what, got, id, tc.want)
				}
			}
		}
	},

	"found_page_by_page": func(e *env) {
		r := e.create(e.resource("A", "s0", "s1", "s2", "s3", "s4"))
		var want []string
		for i := range 5 {
			want = append(want, e.share(r, e.bob, uma.Scope(fmt.Sprint("s", i))).ID)
		}
		for _, f := range []uma.RequestFilter{{}, {Party: e.bob}, {Owner: e.alice}} {
			for first := range 6 {
				for max := range 6 {
					got, count := e.findRequests(e.api, f, first, max)
					if page := want[first:min(first+max, 5)]; !slices.Equal(got, page) || count != 5 {
						e.t.Errorf("first %d, max %d: got %v of %d, want %v of 5", first, max, got, count, page)
					}
				}
			}
		}
	},
}
