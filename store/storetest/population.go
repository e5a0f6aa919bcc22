package storetest

import (
	"fmt"
	"slices"

	"example.com/umpire/uma"
)

var populationTests = map[string]func(e *env){
	"users_by_name": func(e *env) {
		c := e.realmFile("photoz")
		c.Users = append(c.Users, &uma.User{ID: e.newID(), Username: "Anna", Password: "hash", Roles: []string{}})
		e.apply(c)
		for after, want := range map[string][]string{"": {"alice", "Anna"}, "ALICE": {"Anna", "bob"}, "bob": {}} {
			got, err := e.s.UsersAfter(e.t.Context(), e.realm, after, 2)
			e.must(err)
			e.want("users after "+after, usernamesOf(got), want)
			for _, u := range got {
				e.want("password", u.Password, "")
			}
		}
	},

	"a_sample_of_users_has_every_combination_of_roles": func(e *env) {
		c := e.realmFile("photoz")
		for i := range 40 {
			c.Users = append(c.Users, &uma.User{ID: e.newID(), Username: fmt.Sprintf("member-%02d", i), Password: "hash", Enabled: i > 0, Roles: []string{"user"}})
		}
		c.Users = append(c.Users, &uma.User{ID: e.newID(), Username: "auditor", Password: "hash", Enabled: true, Groups: []string{"/auditors"}})
		e.apply(c)
		sample := func(n int, seed uint64) []string {
			got, err := e.s.SampleUsers(e.t.Context(), e.realm, n, seed)
			e.must(err)
			return usernamesOf(got)
		}
		some := sample(10, 1)
		e.want("size", len(some), 10)
		e.want("the auditor is there", slices.Contains(some, "auditor"), true)
		e.want("the same seed", sample(10, 1), some)
		e.want("another seed", slices.Equal(sample(10, 2), some), false)
		all := sample(1000, 1)
		e.want("all that are enabled", len(all), 42)
		e.want("one who is disabled", slices.Contains(all, "member-00"), false)
		e.want("sorted", slices.IsSorted(all), true)
	},

	"a_sample_of_resources_has_every_type": func(e *env) {
		for i := range 30 {
			e.create(&uma.Resource{ID: uma.ResourceID(e.newID()), Server: e.api, Owner: e.apiUUID, Name: fmt.Sprintf("board-%02d", i), Type: "board", Origin: uma.FromAPI})
		}
		for _, r := range []uma.Resource{{Owner: e.alice, Name: "hers", Type: "board"}, {Owner: e.apiUUID, Name: "vault", Type: "vault"}, {Owner: e.bob, Name: "his"}} {
			r.ID, r.Server, r.Origin = uma.ResourceID(e.newID()), e.api, uma.FromAPI
			e.create(&r)
		}
		e.create(&uma.Resource{ID: uma.ResourceID(e.newID()), Server: e.second, Owner: e.alice, Name: "elsewhere", Type: "other", Origin: uma.FromAPI})
		sample := func(n int, seed uint64) (names []string) {
			got, err := e.s.SampleResources(e.t.Context(), e.api, n, seed)
			e.must(err)
			for _, r := range got {
				names = append(names, r.Name)
			}
			return names
		}
		some := sample(6, 1)
		e.want("size", len(some), 6)
		for _, name := range []string{"hers", "vault", "his"} {
			e.want(name+" is there", slices.Contains(some, name), true)
		}
		e.want("the same seed", sample(6, 1), some)
		e.want("another seed", slices.Equal(sample(6, 2), some), false)
		e.want("all", len(sample(1000, 1)), 33)
		e.want("sorted", slices.IsSorted(sample(1000, 1)), true)
	},

	"scopes_of_types": func(e *env) {
		for i, r := range []uma.Resource{
			{Owner: e.apiUUID, Type: "board", Scopes: []uma.Scope{"view", "post"}},
			{Owner: e.alice, Type: "board", Scopes: []uma.Scope{"mine"}},
			{Owner: e.apiUUID, Type: "vault", Scopes: []uma.Scope{"open"}},
		} {
			r.ID, r.Server, r.Name, r.Origin = uma.ResourceID(e.newID()), e.api, fmt.Sprint("r", i), uma.FromAPI
			e.create(&r)
		}
		got, err := e.s.ScopesOfTypes(e.t.Context(), e.api, []string{"board", "none"})
		e.must(err)
		e.want("scopes", got, map[string][]uma.Scope{"board": {"post", "view"}})
	},
}

func usernamesOf(users []*uma.User) []string {
	names := []string{}
	for _, u := range users {
		names = append(names, u.Username)
	}
	return names
}
