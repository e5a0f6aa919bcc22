package storetest

import (
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// fullPolicy returns a policy that has no field at its zero value, once it is stored.
func (e *env) fullPolicy(r *uma.Resource, name string) *uma.Share {
	return &uma.Share{
		ID: e.newID(), Kind: uma.ByPolicy, Name: name, Description: `Whom "it" is for`, Server: r.Server, Resource: r.Key,
		ResourceID: r.ID, Owner: r.Owner, Scopes: r.Scopes, Users: []string{e.bob, "carol"}, Roles: []string{"user", "api/admin"},
		Groups: []string{"/friends", `/"quoted"`}, Clients: []string{"web"}, Strategy: "UNANIMOUS",
	}
}

// sharePolicy stores a policy for some users.
func (e *env) sharePolicy(r *uma.Resource, name string, users ...string) *uma.Share {
	e.t.Helper()
	s := &uma.Share{ID: e.newID(), Kind: uma.ByPolicy, Name: name, Server: r.Server, Resource: r.Key, ResourceID: r.ID,
		Owner: r.Owner, Scopes: r.Scopes, Users: users, Strategy: "UNANIMOUS"}
	e.must(e.s.CreateShare(e.t.Context(), s))
	return s
}

// getPolicy reads a policy, nil if it is not found.
func (e *env) getPolicy(id string) *uma.Share {
	e.t.Helper()
	return find(e, func(v uma.View) (*uma.Share, error) { return v.Share(e.t.Context(), e.api, id) })
}

// policies returns all policies of an owner at api.
func (e *env) policies(owner string) []*uma.Share {
	return e.findPolicies(owner, uma.UserPolicyFilter{}, 0, -1)
}

func (e *env) findPolicies(owner string, f uma.UserPolicyFilter, first, max int) (found []*uma.Share) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		var err error
		found, err = v.FindShares(e.t.Context(), e.api, owner, f, first, max)
		e.must(err)
	})
	return found
}

func policyNames(found []*uma.Share) []string {
	list := []string{}
	for _, s := range found {
		list = append(list, s.Name)
	}
	return list
}

var policyTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		r := e.create(e.resource("Album", "view", "delete"))
		want := e.fullPolicy(r, `Ålbum "1"`)
		want.ResourceID = "stale"
		e.must(e.s.CreateShare(e.t.Context(), want))
		e.wantNoZeroFields(*want)
		e.want("resource", want.ResourceID, r.ID)
		e.want("audience", want.Audience, want.Version)
		e.want("by id", e.getPolicy(want.ID), want)
		e.want("found", e.policies(e.alice), []*uma.Share{want})
		e.reading(func(v uma.View) {
			for _, keys := range [][]uma.Key{{r.Key}, {r.Key, r.Key + 1}} {
				got, _, err := v.Between(e.t.Context(), &uma.Party{ID: e.bob}, keys, now)
				e.must(err)
				e.want("between", got, []uma.Share{*want})
			}
		})
		validity := e.validity(e.api, []uma.Grant{{Resource: r.ID, Shares: []uma.GrantShare{{ID: want.ID}}}})
		e.want("validity", validity.Shares, map[string]*uma.Share{want.ID: want})

		want.Name, want.Description, want.Scopes, want.Strategy = "renamed", "another", []uma.Scope{"view"}, "AFFIRMATIVE"
		want.Users, want.Roles, want.Groups, want.Clients = []string{"dave"}, []string{"r"}, []string{"/g"}, []string{"c"}
		e.must(e.s.ReplaceShare(e.t.Context(), want))
		e.want("replaced", e.getPolicy(want.ID), want)
		e.wantNoZeroFields(*want)
	},

	"of_the_whole_resource_have_no_scope": func(e *env) {
		s := e.sharePolicy(e.create(e.resource("Album")), "p", e.bob)
		e.want("scopes", len(e.getPolicy(s.ID).Scopes), 0)
	},

	"of_one_resource_are_bounded_in_size": func(e *env) {
		r, other := e.create(e.resource("Album", "view")), e.create(e.resource("Other", "view"))
		large := func(r *uma.Resource, name string) *uma.Share {
			s := e.fullPolicy(r, name)
			s.Roles = []string{strings.Repeat("r", uma.MaxShareBytes/3)}
			return s
		}
		e.must(e.s.CreateShare(e.t.Context(), large(r, "a")))
		b := large(r, "b")
		e.must(e.s.CreateShare(e.t.Context(), b))
		e.wantErr("a third", e.s.CreateShare(e.t.Context(), large(r, "c")), uma.ErrFull)
		e.want("names", policyNames(e.policies(e.alice)), []string{"a", "b"})
		e.must(e.s.CreateShare(e.t.Context(), large(other, "c")))
		small := e.sharePolicy(r, "d", e.bob)

		grown := *small
		grown.Roles = b.Roles
		e.wantErr("grown", e.s.ReplaceShare(e.t.Context(), &grown), uma.ErrFull)
		e.want("kept", e.getPolicy(small.ID), small)
		b.Roles, b.Name = []string{strings.Repeat("s", uma.MaxShareBytes/3)}, "B"
		e.must(e.s.ReplaceShare(e.t.Context(), b)) // no larger
	},

	"stay_inside_their_server": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		s := e.sharePolicy(r, "p", e.bob)
		for what, server := range map[string]uma.Key{"second": e.second, "foreign": e.foreign} {
			e.reading(func(v uma.View) {
				_, err := v.Share(e.t.Context(), server, s.ID)
				e.wantErr(what+": read", err, uma.ErrNotFound)
				for _, f := range []uma.UserPolicyFilter{{}, {Resource: r.ID}} {
					found, err := v.FindShares(e.t.Context(), server, e.alice, f, 0, -1)
					e.must(err)
					e.want(what+": found", len(found), 0)
				}
			})
			other := *s
			other.Server, other.Description = server, "changed"
			e.wantErr(what+": replace", e.s.ReplaceShare(e.t.Context(), &other), uma.ErrNotFound)
			e.wantErr(what+": delete", e.s.DeleteShare(e.t.Context(), server, s.ID), uma.ErrNotFound)
			other.ID, other.Name = e.newID(), "another"
			e.wantErr(what+": create", e.s.CreateShare(e.t.Context(), &other), uma.ErrNotFound)
			validity := e.validity(server, []uma.Grant{{Shares: []uma.GrantShare{{ID: s.ID}}}})
			e.want(what+": validity", len(validity.Shares), 0)
		}
		e.want("the policy", e.getPolicy(s.ID), s)
	},

	"names_are_unique_for_an_owner": func(e *env) {
		a, b := e.create(e.resource("A", "view")), e.create(e.resource("B", "view"))
		theirs, second := e.resource("C", "view"), e.resource("D", "view")
		theirs.Owner, second.Server = e.bob, e.second
		e.sharePolicy(a, "p", e.bob)
		e.sharePolicy(e.create(theirs), "p", e.alice)
		e.sharePolicy(e.create(second), "p", e.bob)
		e.sharePolicy(a, "P", e.bob)
		again := e.fullPolicy(b, "p")
		e.wantErr("create", e.s.CreateShare(e.t.Context(), again), uma.ErrConflict)
		if e.getPolicy(again.ID) != nil {
			e.t.Error("the second is kept")
		}
		other := e.sharePolicy(b, "other", e.bob)
		change := *other
		change.Name, change.Users = "p", []string{"carol"}
		e.wantErr("replace", e.s.ReplaceShare(e.t.Context(), &change), uma.ErrConflict)
		e.want("the other", e.getPolicy(other.ID), other)
	},

	"of_missing_resources_and_those_of_others": func(e *env) {
		r, whole := e.create(e.resource("A", "view")), e.create(e.resource("B"))
		kept := e.sharePolicy(r, "kept", e.bob)
		for what, change := range map[string]func(s *uma.Share){
			"another's":                  func(s *uma.Share) { s.Owner = e.bob },
			"unknown scope":              func(s *uma.Share) { s.Scopes = []uma.Scope{"view", "delete"} },
			"the whole of one with some": func(s *uma.Share) { s.Scopes = nil },
			"a scope of one without":     func(s *uma.Share) { s.Resource, s.ResourceID = whole.Key, whole.ID },
			"unknown resource":           func(s *uma.Share) { s.Resource += 1000 },
		} {
			s := e.fullPolicy(r, what)
			change(s)
			e.wantErr(what, e.s.CreateShare(e.t.Context(), s), uma.ErrNotFound)
		}
		for what, scopes := range map[string][]uma.Scope{"unknown scope": {"delete"}, "the whole of one with some": nil} {
			change := *kept
			change.Scopes = scopes
			e.wantErr("replace: "+what, e.s.ReplaceShare(e.t.Context(), &change), uma.ErrNotFound)
		}
		e.wantErr("replace what is not there", e.s.ReplaceShare(e.t.Context(), e.fullPolicy(r, "new")), uma.ErrNotFound)
		e.want("all", e.policies(e.alice), []*uma.Share{kept})
	},

	"replaced_by_the_same_keeps_the_version": func(e *env) {
		s := e.sharePolicy(e.create(e.resource("Album", "view")), "p", e.bob)
		same := *s
		same.Version, same.Audience = 0, 0
		e.must(e.s.ReplaceShare(e.t.Context(), &same))
		e.want("what is filled in", &same, s)
		e.want("what is kept", e.getPolicy(s.ID), s)
	},

	"every_field_raises_the_version": func(e *env) {
		s := e.fullPolicy(e.create(e.resource("Album", "view", "delete")), "p")
		e.must(e.s.CreateShare(e.t.Context(), s))
		for what, change := range map[string]func(s *uma.Share){
			"name":        func(s *uma.Share) { s.Name = "renamed" },
			"description": func(s *uma.Share) { s.Description = "" },
			"scopes":      func(s *uma.Share) { s.Scopes = []uma.Scope{"view"} },
			"users":       func(s *uma.Share) { s.Users = append(slices.Clone(s.Users), "erin") },
			"roles":       func(s *uma.Share) { s.Roles = append(slices.Clone(s.Roles), "r") },
			"groups":      func(s *uma.Share) { s.Groups = append(slices.Clone(s.Groups), "/g") },
			"clients":     func(s *uma.Share) { s.Clients = append(slices.Clone(s.Clients), "c") },
			"strategy":    func(s *uma.Share) { s.Strategy = "CONSENSUS" },
		} {
			before := e.getPolicy(s.ID)
			after := *before
			change(&after)
			e.must(e.s.ReplaceShare(e.t.Context(), &after))
			if after.Version <= before.Version {
				e.t.Errorf("%s: got version %d, want more than %d", what, after.Version, before.Version)
			}
			e.want(what, e.getPolicy(s.ID), &after)
		}
	},

	"audience_rises_unless_parties_are_only_added": func(e *env) {
		r := e.create(e.resource("Album", "view", "delete"))
		for i, tc := range []struct {
			what, strategy string
			change         func(s *uma.Share)
			rises          bool
		}{
			{"name", "UNANIMOUS", func(s *uma.Share) { s.Name = "renamed" }, false},
			{"scopes", "UNANIMOUS", func(s *uma.Share) { s.Scopes = []uma.Scope{"view"} }, false},
			{"one more user", "UNANIMOUS", func(s *uma.Share) { s.Users = append(s.Users, "dave") }, false},
			{"one more role", "CONSENSUS", func(s *uma.Share) { s.Roles = append(s.Roles, "r") }, false},
			{"another order", "UNANIMOUS", func(s *uma.Share) { s.Users = []string{"carol", e.bob} }, false},
			{"one user less", "UNANIMOUS", func(s *uma.Share) { s.Users = []string{e.bob} }, true},
			{"one role less", "AFFIRMATIVE", func(s *uma.Share) { s.Roles = []string{"a"} }, true},
			{"another user", "UNANIMOUS", func(s *uma.Share) { s.Users = []string{e.bob, "dave"} }, true},
			{"no users", "AFFIRMATIVE", func(s *uma.Share) { s.Users = nil }, true},
			{"a new kind, all of which must agree", "UNANIMOUS", func(s *uma.Share) { s.Groups = []string{"/g"} }, true},
			{"a new kind, most of which must agree", "CONSENSUS", func(s *uma.Share) { s.Clients = []string{"c"} }, true},
			{"a new kind, any of which will do", "AFFIRMATIVE", func(s *uma.Share) { s.Groups = []string{"/g"} }, false},
			{"another strategy", "UNANIMOUS", func(s *uma.Share) { s.Strategy = "AFFIRMATIVE" }, true},
		} {
			s := e.fullPolicy(r, fmt.Sprint("p", i))
			s.Groups, s.Clients, s.Roles, s.Strategy = nil, nil, []string{"a", "b"}, tc.strategy
			e.must(e.s.CreateShare(e.t.Context(), s))
			before := s.Audience
			tc.change(s)
			e.must(e.s.ReplaceShare(e.t.Context(), s))
			want := before
			if tc.rises {
				want = s.Version
			}
			e.want(tc.what, []int64{s.Audience, e.getPolicy(s.ID).Audience}, []int64{want, want})
		}
	},

	"deleted": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		s := e.sharePolicy(r, "p", e.bob)
		e.must(e.s.DeleteShare(e.t.Context(), e.api, s.ID))
		if e.getPolicy(s.ID) != nil {
			e.t.Error("the policy is left")
		}
		wantSet(e, "shares", e.sharesFor(&uma.Party{ID: e.bob}, r))
		e.wantErr("again", e.s.DeleteShare(e.t.Context(), e.api, s.ID), uma.ErrNotFound)
		again := e.sharePolicy(r, "p", e.bob)
		if again.Key == s.Key || again.Version == s.Version {
			e.t.Errorf("got key %d and version %d a second time", again.Key, again.Version)
		}
	},

	"found_by_every_filter": func(e *env) {
		a, b := e.create(e.resource("A", "view", "delete")), e.create(e.resource("B", "view"))
		for _, tc := range []struct {
			of     *uma.Resource
			name   string
			scopes []uma.Scope
		}{{a, "Friends", []uma.Scope{"view"}}, {b, "familÿ", []uma.Scope{"view"}}, {a, "work", []uma.Scope{"view", "delete"}}} {
			s := e.fullPolicy(tc.of, tc.name)
			s.Scopes = tc.scopes
			e.must(e.s.CreateShare(e.t.Context(), s))
		}
		theirs := e.resource("Theirs", "view")
		theirs.Owner = e.bob
		e.sharePolicy(e.create(theirs), "Friends", e.alice)
		for what, tc := range map[string]struct {
			f    uma.UserPolicyFilter
			want []string
		}{
			"all":               {uma.UserPolicyFilter{}, []string{"Friends", "familÿ", "work"}},
			"name":              {uma.UserPolicyFilter{Name: "friends"}, []string{"Friends"}},
			"a part":            {uma.UserPolicyFilter{Name: "F"}, []string{"Friends", "familÿ"}},
			"a part of no name": {uma.UserPolicyFilter{Name: "%"}, []string{}},
			"another letter":    {uma.UserPolicyFilter{Name: "LŸ"}, []string{"familÿ"}},
			"a longer part":     {uma.UserPolicyFilter{Name: "MILŸ"}, []string{"familÿ"}},
			"part and scope":    {uma.UserPolicyFilter{Name: "ork", Scope: "view"}, []string{"work"}},
			"resource":          {uma.UserPolicyFilter{Resource: a.ID}, []string{"Friends", "work"}},
			"another's":         {uma.UserPolicyFilter{Resource: theirs.ID}, []string{}},
			"unknown resource":  {uma.UserPolicyFilter{Resource: "unknown"}, []string{}},
			"scope":             {uma.UserPolicyFilter{Scope: "delete"}, []string{"work"}},
			"a part of a scope": {uma.UserPolicyFilter{Scope: "del"}, []string{}},
			"many":              {uma.UserPolicyFilter{Name: "r", Resource: a.ID, Scope: "view"}, []string{"Friends", "work"}},
		} {
			pages(e, what, tc.want, func(first, max int) []string {
				return policyNames(e.findPolicies(e.alice, tc.f, first, max))
			})
			for i, name := range tc.want {
				tc.f.After = name
				e.want(what+" after "+name, policyNames(e.findPolicies(e.alice, tc.f, 0, -1)), append([]string{}, tc.want[i+1:]...))
			}
		}
	},
}
