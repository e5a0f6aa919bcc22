package storetest

import (
	"errors"

	"example.com/umpire/uma"
)

// refused applies a file that must be refused without a change.
func (e *env) refused(what string, c *uma.RealmChange, want error) {
	e.t.Helper()
	before := e.generation()
	for _, dry := range []bool{true, false} {
		c.DryRun = dry
		_, err := e.s.ApplyRealm(e.t.Context(), c)
		e.wantErr(what, err, uma.ErrConflict)
		if got := errors.Unwrap(err); got == nil || got.Error() != want.Error() {
			if err == nil || err.Error() != want.Error() {
				e.t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
	}
	c.DryRun = false
	e.want(what+": generation", e.generation(), before)
}

var issuerTests = map[string]func(e *env){
	"an_alias_is_never_given_to_another": func(e *env) {
		file := e.trusting()
		both := file.Realm.Issuers
		file.Realm.Issuers = []uma.TrustedIssuer{{Issuer: "https://new.example", Alias: "corp"}}
		moved := &uma.AliasError{Alias: "corp", Issuer: "https://new.example", HasAlias: "corp", HasIssuer: corp}
		e.refused("another issuer", file, moved)
		file.Realm.Issuers = []uma.TrustedIssuer{{Issuer: corp, Alias: "new"}}
		e.refused("another alias", file, &uma.AliasError{Alias: "new", Issuer: corp, HasAlias: "corp", HasIssuer: corp})
		file.Realm.Issuers = nil
		e.apply(file)
		file.Realm.Issuers = []uma.TrustedIssuer{{Issuer: "https://new.example", Alias: "corp"}}
		e.refused("also not of an issuer that is gone", file, moved)
		file.Realm.Issuers = both
		e.apply(file)
	},

	"local_users_are_no_parties": func(e *env) {
		file := e.trusting()
		e.admit(corp, "1", "bob", "")
		file.Users = append(file.Users, &uma.User{ID: e.newID(), Username: "Corp/bob", Password: "hash", Enabled: true})
		e.refused("the name of a party", file, &uma.UsernameError{Username: "Corp/bob", Alias: "corp"})
		file.Realm.Issuers = nil
		e.refused("of an issuer that is gone", file, &uma.UsernameError{Username: "Corp/bob", Alias: "corp"})
		file.Users[2].Username = "corporal/bob"
		e.apply(file)
		e.want("the party", e.partyOf(corp, "1").Username, "corp/bob")
	},

	"parties_of_an_issuer_that_is_gone_stay": func(e *env) {
		file := e.trusting()
		u := e.admit(corp, "1", "bob", "")
		e.admit(corp, "2", "carol", "")
		r := e.at(e.api, u.ID, "Mine", "view")
		file.Realm.Issuers = nil
		file.Prune, file.DryRun = true, true
		want := []uma.Distrusted{{Alias: "corp", Issuer: corp, Parties: 2}}
		e.want("report of a dry run", e.apply(file).Distrusted, want)
		file.DryRun = false
		e.want("report", e.apply(file).Distrusted, want)
		e.want("report of no change", e.apply(file).Distrusted, []uma.Distrusted(nil))
		e.want("party", e.partyOf(corp, "1"), u)
		e.want("its resource", e.get(e.api, r.ID), r)
	},

	"renamed": func(e *env) {
		file := e.trusting()
		ctx, next, u := e.t.Context(), "https://login.corp.example/v2", e.admit(corp, "1", "bob", "")
		before := e.generation()
		e.wantErr("no such alias", e.s.RenameIssuer(ctx, e.realm, "nobody", next), uma.ErrNotFound)
		e.wantErr("in another realm", e.s.RenameIssuer(ctx, e.otherRealm, "corp", next), uma.ErrNotFound)
		e.wantErr("the URL of another", e.s.RenameIssuer(ctx, e.realm, "corp", council), uma.ErrConflict)
		e.must(e.s.RenameIssuer(ctx, e.realm, "corp", corp))
		e.want("generation without a change", e.generation(), before)
		e.must(e.s.RenameIssuer(ctx, e.realm, "corp", next))
		e.want("generation", e.generation(), before+1)
		trusted := e.snapshot("photoz").Realm.Issuers
		e.want("issuers until a file is applied", trusted, file.Realm.Issuers[1:])
		moved := e.partyOf(next, "1")
		e.want("the party", []any{moved.ID, moved.Version, moved.Identity, e.partyOf(corp, "1")},
			[]any{u.ID, u.Version, &uma.Identity{Issuer: next, Alias: "corp", Subject: "1"}, (*uma.User)(nil)})
		e.refused("the file with the old URL", file, &uma.AliasError{Alias: "corp", Issuer: corp, HasAlias: "corp", HasIssuer: next})
		fingerprint, err := e.s.RealmFingerprint(ctx, "photoz")
		e.must(err)
		e.want("a file that must be applied again", fingerprint, []byte(nil))
		file.Realm.Issuers[0].Issuer = next
		e.apply(file)
		e.want("issuers", e.snapshot("photoz").Realm.Issuers, file.Realm.Issuers)
	},
}
