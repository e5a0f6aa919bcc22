package storetest

import (
	"fmt"

	"example.com/umpire/uma"
)

// at returns a resource of an owner at a server.
func (e *env) at(server uma.Key, owner, name string, scopes ...uma.Scope) *uma.Resource {
	e.t.Helper()
	r := e.resource(name, scopes...)
	r.Server, r.Owner = server, owner
	return e.create(r)
}

func names(found []*uma.Resource) []string {
	list := []string{}
	for _, r := range found {
		list = append(list, r.Name)
	}
	return list
}

func (e *env) owned(realm uma.Key, owner, name string, first, max int) (found []*uma.Resource) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		var err error
		found, err = v.OwnedResources(e.t.Context(), realm, owner, name, first, max)
		e.must(err)
	})
	return found
}

func (e *env) shared(realm uma.Key, f uma.GrantedFilter, first, max int) (found []*uma.Resource) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		var err error
		found, err = v.SharedResources(e.t.Context(), realm, f, first, max)
		e.must(err)
	})
	return found
}

func (e *env) pending(realm uma.Key, f uma.GrantedFilter, after string, max int) (ids []string) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		read, user := v.PendingOf, f.Owner
		if user == "" {
			read, user = v.PendingBy, f.Requester
		}
		found, err := read(e.t.Context(), realm, user, after, max)
		e.must(err)
		for _, q := range found {
			ids = append(ids, q.ID)
		}
	})
	return ids
}

// pages compares every page of a list with that part of the whole list.
func pages(e *env, what string, want []string, page func(first, max int) []string) {
	e.t.Helper()
	e.want(what+": all", page(0, -1), want)
	for first := range len(want) + 2 {
		for max := range len(want) + 2 {
			from := min(first, len(want))
			e.want(fmt.Sprintf("%s: first %d, max %d", what, first, max), page(first, max), want[from:min(from+max, len(want))])
		}
	}
}

var accountTests = map[string]func(e *env){
	"owned_resource": func(e *env) {
		r := e.create(e.fullResource())
		far := e.at(e.second, e.alice, "Far")
		e.reading(func(v uma.View) {
			ctx := e.t.Context()
			for _, want := range []*uma.Resource{r, far} {
				got, err := v.OwnedResource(ctx, e.realm, e.alice, want.ID)
				e.must(err)
				e.want("owned", got, want)
			}
			_, err := v.OwnedResource(ctx, e.realm, e.bob, r.ID)
			e.wantErr("another's", err, uma.ErrNotFound)
			_, err = v.OwnedResource(ctx, e.otherRealm, e.alice, r.ID)
			e.wantErr("in another realm", err, uma.ErrNotFound)
			_, err = v.OwnedResource(ctx, e.realm, e.alice, "unknown")
			e.wantErr("unknown", err, uma.ErrNotFound)
		})
	},

	"owned_resources_by_name_at_all_servers": func(e *env) {
		full := e.fullResource()
		full.Name = "Cellar"
		e.create(full)
		e.at(e.second, e.alice, "Attic", "view")
		e.at(e.api, e.alice, "Barn")
		e.at(e.second, e.alice, "Barn")
		e.at(e.api, e.alice, "Dåk")
		e.at(e.api, e.bob, "Theirs")
		e.at(e.foreign, e.alice, "Foreign") // by an id that is of this realm
		all := []string{"Attic", "Barn", "Barn", "Cellar", "Dåk"}
		pages(e, "owned", all, func(first, max int) []string { return names(e.owned(e.realm, e.alice, "", first, max)) })
		found := e.owned(e.realm, e.alice, "", 0, 10)
		e.want("the same name by id", found[1].ID < found[2].ID, true)
		light := *full // what a list of an account shows
		light.Attributes, light.Texts = nil, nil
		e.want("a whole one", found[3], &light)
		e.want("in another realm", names(e.owned(e.otherRealm, e.alice, "", 0, -1)), []string{"Foreign"})
		for part, want := range map[string][]string{
			"a": {"Attic", "Barn", "Barn", "Cellar"}, "ar": {"Barn", "Barn", "Cellar"}, "BARN": {"Barn", "Barn"}, "dÅK": {"Dåk"},
			"none": {}, "Theirs": {}, `"`: {}, "%": {},
		} {
			e.want("part "+part, names(e.owned(e.realm, e.alice, part, 0, -1)), want)
		}
		pages(e, "a part", []string{"Barn", "Barn", "Cellar"}, func(first, max int) []string {
			return names(e.owned(e.realm, e.alice, "ar", first, max))
		})
		pages(e, "a longer part", []string{"Barn", "Barn"}, func(first, max int) []string {
			return names(e.owned(e.realm, e.alice, "arn", first, max))
		})
	},

	"shared_resources_are_listed_once": func(e *env) {
		b, a := e.at(e.api, e.alice, "Barn", "x", "y"), e.at(e.second, e.alice, "Attic", "x")
		same, c := e.at(e.second, e.alice, "Barn", "x"), e.at(e.api, e.alice, "Cellar", "x")
		theirs, foreign := e.at(e.api, e.bob, "Theirs", "x"), e.at(e.foreign, e.alice, "Foreign", "x")
		e.share(b, e.bob, "x")
		e.share(b, e.bob, "y")
		e.share(b, "carol", "x")
		e.share(a, e.bob, "x")
		e.share(same, e.bob, "x")
		e.share(same, "dave", "x")
		e.share(theirs, "carol", "x")
		e.share(foreign, e.bob, "x")
		e.ask(c, e.bob, "x")
		denied := e.ask(c, "carol", "x")
		e.must(e.s.DecideRequest(e.t.Context(), e.api, denied.ID, false, now))
		for what, tc := range map[string]struct {
			f    uma.GrantedFilter
			want []string
		}{
			"of an owner":                  {uma.GrantedFilter{Owner: e.alice}, []string{"Attic", "Barn", "Barn"}},
			"with a requester":             {uma.GrantedFilter{Requester: e.bob}, []string{"Attic", "Barn", "Barn"}},
			"with another":                 {uma.GrantedFilter{Requester: "carol"}, []string{"Barn", "Theirs"}},
			"between two":                  {uma.GrantedFilter{Owner: e.alice, Requester: "carol"}, []string{"Barn"}},
			"between two others":           {uma.GrantedFilter{Owner: e.alice, Requester: "dave"}, []string{"Barn"}},
			"between the wrong two":        {uma.GrantedFilter{Owner: e.bob, Requester: e.alice}, []string{}},
			"of an owner at one":           {uma.GrantedFilter{Owner: e.alice, Server: e.api}, []string{"Barn"}},
			"with a requester at one":      {uma.GrantedFilter{Requester: "carol", Server: e.api}, []string{"Barn", "Theirs"}},
			"at one of another realm":      {uma.GrantedFilter{Owner: e.alice, Server: e.foreign}, []string{}},
			"of an owner by part":          {uma.GrantedFilter{Owner: e.alice, Name: "Ar"}, []string{"Barn", "Barn"}},
			"of an owner by a longer part": {uma.GrantedFilter{Owner: e.alice, Name: "ATT"}, []string{"Attic"}},
			"with a requester by part":     {uma.GrantedFilter{Requester: "carol", Name: "hei"}, []string{"Theirs"}},
			"between two by part":          {uma.GrantedFilter{Owner: e.alice, Requester: e.bob, Name: "att"}, []string{"Attic"}},
			"at one by part":               {uma.GrantedFilter{Owner: e.alice, Server: e.second, Name: "bar"}, []string{"Barn"}},
			"only asked for, by part":      {uma.GrantedFilter{Owner: e.alice, Name: "cellar"}, []string{}},
			"another's part":               {uma.GrantedFilter{Owner: e.alice, Name: "Theirs"}, []string{}},
		} {
			pages(e, what, tc.want, func(first, max int) []string { return names(e.shared(e.realm, tc.f, first, max)) })
		}
		e.want("in another realm", names(e.shared(e.otherRealm, uma.GrantedFilter{Requester: e.bob}, 0, -1)), []string{"Foreign"})
		e.want("a whole one", e.shared(e.realm, uma.GrantedFilter{Owner: e.alice}, 0, 1), []*uma.Resource{a})
	},

	"requests_for_resources": func(e *env) {
		a, b := e.at(e.api, e.alice, "A", "x", "y"), e.at(e.second, e.alice, "B", "x", "y")
		third := e.at(e.api, e.alice, "C", "x")
		by := map[*uma.Request]string{}
		var granted, pending, denied []string
		add := func(list *[]string, q *uma.Request) {
			by[q] = q.ID
			*list = append(*list, q.ID)
		}
		add(&granted, e.share(a, "1", "y"))
		add(&pending, e.ask(a, "2", "x"))
		add(&granted, e.share(a, "2", "y"))
		add(&granted, e.share(b, "1", "x"))
		add(&pending, e.ask(b, "1", "y"))
		add(&pending, e.ask(b, "2", "x"))
		add(&denied, e.ask(a, "1", "x"))
		e.must(e.s.DecideRequest(e.t.Context(), e.api, denied[0], false, now))
		e.share(third, "1", "x")
		find := func(state, requester string, of ...*uma.Resource) (ids []string) {
			var keys []uma.Key
			for _, r := range of {
				keys = append(keys, r.Key)
			}
			e.reading(func(v uma.View) {
				found, err := v.RequestsFor(e.t.Context(), keys, state, requester)
				e.must(err)
				for _, q := range found {
					ids = append(ids, q.ID)
				}
			})
			return ids
		}
		e.want("granted, in order", find(uma.Granted, "", b, a), granted)
		e.want("pending, in order", find(uma.Pending, "", b, a), pending)
		e.want("denied", find(uma.Refused, "", a, b), denied)
		e.want("granted, of one", find(uma.Granted, "2", a, b), granted[1:2])
		e.want("pending, of one", find(uma.Pending, "1", a, b), pending[1:2])
		e.want("for one", find(uma.Granted, "", b), granted[2:])
		e.want("for none", find(uma.Granted, ""), []string(nil))
	},

	"request_in_any_state": func(e *env) {
		r := e.at(e.second, e.alice, "A", "x", "y")
		for _, grant := range []bool{true, false} {
			q := e.ask(r, e.bob, map[bool]uma.Scope{true: "x", false: "y"}[grant])
			e.must(e.s.DecideRequest(e.t.Context(), e.second, q.ID, grant, now))
			e.reading(func(v uma.View) {
				want, err := v.Request(e.t.Context(), e.second, q.ID)
				e.must(err)
				got, err := v.RealmRequest(e.t.Context(), e.realm, q.ID)
				e.must(err)
				e.want("request", got, want)
				_, err = v.RealmRequest(e.t.Context(), e.otherRealm, q.ID)
				e.wantErr("in another realm", err, uma.ErrNotFound)
			})
		}
	},

	"pending_requests_by_id": func(e *env) {
		a, b := e.at(e.api, e.alice, "Barn", "x", "y"), e.at(e.second, e.alice, "Attic", "x")
		theirs, foreign := e.at(e.api, e.bob, "Theirs", "x"), e.at(e.foreign, e.alice, "Foreign", "x")
		first, second, third := e.ask(b, e.bob, "x").ID, e.ask(a, e.bob, "y").ID, e.ask(a, "carol", "x").ID
		e.share(a, e.bob, "x")
		e.must(e.s.DecideRequest(e.t.Context(), e.api, e.ask(a, "dave", "x").ID, false, now))
		asked, far := e.ask(theirs, "carol", "x").ID, e.ask(foreign, e.bob, "x").ID
		for what, tc := range map[string]struct {
			f    uma.GrantedFilter
			want []string
		}{
			"of an owner":      {uma.GrantedFilter{Owner: e.alice}, []string{first, second, third}},
			"with a requester": {uma.GrantedFilter{Requester: "carol"}, []string{third, asked}},
			"with nobody":      {uma.GrantedFilter{Owner: "nobody"}, nil},
		} {
			e.want(what, e.pending(e.realm, tc.f, "", 10), tc.want)
			for i, id := range tc.want {
				e.want(what+": the next", e.pending(e.realm, tc.f, id, 1), append([]string(nil), tc.want[i+1:min(i+2, len(tc.want))]...))
			}
		}
		e.want("none", e.pending(e.realm, uma.GrantedFilter{Owner: e.alice}, "", 0), []string(nil))
		e.want("in another realm", e.pending(e.otherRealm, uma.GrantedFilter{Owner: e.alice}, "", 10), []string{far})
	},

	"shared_resources_need_an_owner_or_a_requester": func(e *env) {
		e.share(e.at(e.api, e.alice, "A", "x"), e.bob, "x")
		e.reading(func(v uma.View) {
			for _, f := range []uma.GrantedFilter{{}, {Server: e.api}, {Name: "A"}} {
				if _, err := v.SharedResources(e.t.Context(), e.realm, f, 0, 10); err == nil {
					e.t.Errorf("%+v: shared resources of everybody", f)
				}
			}
		})
	},

	"renamed_resources": func(e *env) {
		r := e.at(e.api, e.alice, "A", "x")
		e.at(e.api, e.alice, "B", "x")
		e.share(r, e.bob, "x")
		change := *r
		change.Name = "Zoo"
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		e.want("owned", names(e.owned(e.realm, e.alice, "", 0, -1)), []string{"B", "Zoo"})
		e.want("shared", names(e.shared(e.realm, uma.GrantedFilter{Owner: e.alice, Name: "zoo"}, 0, -1)), []string{"Zoo"})
		e.want("by the old name", names(e.shared(e.realm, uma.GrantedFilter{Owner: e.alice, Name: "A"}, 0, -1)), []string{})
	},
}
