package storetest

import (
	"encoding/json"
	"slices"

	"example.com/umpire/uma"
)

var userTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		c := e.realmFile("photoz")
		u := &uma.User{
			ID: e.newID(), Username: "Zoë", Password: "hash", Enabled: true, Roles: []string{"user", `the "best"`},
			ClientRoles: map[string][]string{"api": {"uma_protection"}}, Groups: []string{"/friends", "/a,b"},
			Claims: map[string]any{"email": "zoe@example.com", "langs": []any{"fr", "nl"}, "account": json.Number("9007199254740993")},
		}
		c.Users = append(c.Users, u)
		e.apply(c)
		got := e.user(e.realm, "zoë")
		want := *u
		want.Origin, want.Key, want.Version = uma.FromFile, got.Key, got.Version
		e.wantNoZeroFields(want, ".Identity") // a local user has none
		e.want("user", *got, want)
		e.reading(func(v uma.View) {
			byID, err := v.User(e.t.Context(), e.realm, u.ID)
			e.must(err)
			e.want("user by id", byID, got)
		})
	},

	"names_are_compared_without_case": func(e *env) {
		e.want("user", e.user(e.realm, "ALICE").ID, e.alice)
	},

	"ids_are_compared_with_case_in_one_realm": func(e *env) {
		e.reading(func(v uma.View) {
			ctx := e.t.Context()
			_, err := v.User(ctx, e.realm, "ID-000004")
			e.wantErr("another case", err, uma.ErrNotFound)
			_, err = v.User(ctx, e.otherRealm, e.alice)
			e.wantErr("user of another realm", err, uma.ErrNotFound)
			_, err = v.UserByName(ctx, e.realm, "carol")
			e.wantErr("unknown name", err, uma.ErrNotFound)
			_, err = v.User(ctx, e.realm, "")
			e.wantErr("empty id", err, uma.ErrNotFound)
		})
	},

	"usernames": func(e *env) {
		e.reading(func(v uma.View) {
			got, err := v.Usernames(e.t.Context(), e.realm, []string{e.alice, e.bob, e.foreignAlice, "nobody"})
			e.must(err)
			e.want("names", got, map[string]string{e.alice: "alice", e.bob: "bob"})
			got, err = v.Usernames(e.t.Context(), e.realm, nil)
			e.must(err)
			e.want("number of names of nobody", len(got), 0)
		})
	},

	"passwords": func(e *env) {
		c := e.realmFile("photoz")
		c.Users[0].Password = "hash of alice"
		e.apply(c)
		e.reading(func(v uma.View) {
			got, err := v.Passwords(e.t.Context(), e.realm, []string{"ALICE", "bob", "nobody", ""})
			e.must(err)
			e.want("passwords", got, map[string]string{"ALICE": "hash of alice", "bob": "hash"})
			got, err = v.Passwords(e.t.Context(), e.realm, nil)
			e.must(err)
			e.want("number of passwords of nobody", len(got), 0)
		})
	},

	"by_names_and_emails": func(e *env) {
		c := e.realmFile("photoz")
		mail := func(name string, email any) string {
			u := &uma.User{ID: e.newID(), Username: name, Password: "hash", Claims: map[string]any{"email": email}}
			c.Users = append(c.Users, u)
			return u.ID
		}
		zoe := mail("zoe", "Zoe@example.com")
		first := mail("twin", "twin@example.com")
		twin := mail("other twin", "TWIN@example.com")
		mail("nobody", "")
		named := mail("zoe@example.org", "somebody@example.org")
		pretender := mail("pretender", "ZOE@example.org")
		both := mail("Max@example.org", "max@example.org")
		e.apply(c)
		e.reading(func(v uma.View) {
			ask := []string{
				"Zoe@example.com", "zoe@EXAMPLE.com", "twin@example.com", "", "ZOE", "unknown@example.com", "Zoe@Example.org", "other twin", "MAX@example.org",
			}
			got, err := v.UsersNamed(e.t.Context(), e.realm, ask)
			e.must(err)
			ids := map[string][]string{}
			for name, users := range got {
				for _, u := range users {
					ids[name] = append(ids[name], u.ID)
					e.want("password of "+name, u.Password, "")
				}
			}
			slices.Sort(ids["twin@example.com"])
			// The user of that name comes first.
			e.want("users", ids, map[string][]string{
				"Zoe@example.com": {zoe}, "zoe@EXAMPLE.com": {zoe}, "ZOE": {zoe}, "other twin": {twin}, "MAX@example.org": {both},
				"twin@example.com": {first, twin}, "Zoe@Example.org": {named, pretender},
			})
			elsewhere, err := v.UsersNamed(e.t.Context(), e.otherRealm, []string{"zoe@example.com", "zoe"})
			e.must(err)
			e.want("number in another realm", len(elsewhere), 0)
			nobody, err := v.UsersNamed(e.t.Context(), e.realm, nil)
			e.must(err)
			e.want("number of nobody", len(nobody), 0)
		})
	},

	"by_the_email_of_the_file_that_was_applied_last": func(e *env) {
		c := e.realmFile("photoz")
		asked := []string{"first@example.com", "second@example.com"}
		for email, want := range map[any]string{asked[0]: asked[0], asked[1]: asked[1], json.Number("1"): ""} {
			c.Users[0].Claims = map[string]any{"email": email}
			e.apply(c)
			e.reading(func(v uma.View) {
				got, err := v.UsersNamed(e.t.Context(), e.realm, asked)
				e.must(err)
				for _, one := range asked {
					e.want(one, len(got[one]) == 1, one == want)
				}
			})
		}
	},

	"by_ids_without_passwords": func(e *env) {
		e.reading(func(v uma.View) {
			got, err := v.UsersByID(e.t.Context(), e.realm, []string{e.alice, e.bob, e.foreignAlice, "nobody", e.alice})
			e.must(err)
			want := map[string]*uma.User{e.alice: e.user(e.realm, "alice"), e.bob: e.user(e.realm, "bob")}
			for _, u := range want {
				u.Password, u.Origin = "", ""
			}
			e.want("users", got, want)
			got, err = v.UsersByID(e.t.Context(), e.realm, nil)
			e.must(err)
			e.want("number of users of no id", len(got), 0)
		})
	},
}
