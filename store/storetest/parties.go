package storetest

import (
	"fmt"
	"strings"
	"time"

	"example.com/umpire/uma"
)

const (
	corp    = "https://login.corp.example/"
	council = "https://council.example"
)

// trusting is the realm with two issuers, as its file then is.
func (e *env) trusting() *uma.RealmChange {
	e.t.Helper()
	c := e.realmFile("photoz")
	c.Realm.Issuers = []uma.TrustedIssuer{{Issuer: corp, Alias: "corp"}, {Issuer: council, Alias: "council"}}
	e.apply(c)
	return c
}

// admission is of a new party.
func (e *env) admission(issuer, subject, name, email string) *uma.Admission {
	return &uma.Admission{ID: e.newID(), Identity: uma.Identity{Issuer: issuer, Subject: subject}, Name: name, Email: email, Now: now, NewID: e.newID}
}

func (e *env) admit(issuer, subject, name, email string) *uma.User {
	e.t.Helper()
	u, err := e.s.AdmitParty(e.t.Context(), e.realm, e.admission(issuer, subject, name, email))
	e.must(err)
	return u
}

func (e *env) partyOf(issuer, subject string) *uma.User {
	e.t.Helper()
	return find(e, func(v uma.View) (*uma.User, error) { return v.PartyOf(e.t.Context(), e.realm, issuer, subject) })
}

func (e *env) byID(id string) *uma.User {
	e.t.Helper()
	return find(e, func(v uma.View) (*uma.User, error) { return v.User(e.t.Context(), e.realm, id) })
}

func (e *env) identitiesOf(id string) []uma.Identity {
	e.t.Helper()
	return read(e, func(v uma.View) ([]uma.Identity, error) { return v.IdentitiesOf(e.t.Context(), e.realm, id) })
}

var partyTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		e.trusting()
		a := e.admission(corp, "00u1", "Bob", "Bob@Corp.example")
		a.Identity.Service = true
		got, err := e.s.AdmitParty(e.t.Context(), e.realm, a)
		e.must(err)
		want := &uma.User{
			Key: got.Key, ID: a.ID, Username: "corp/Bob", Enabled: true, Origin: uma.FromIssuer, Version: got.Version,
			Claims:   map[string]any{"email": "bob@corp.example"},
			Identity: &uma.Identity{Issuer: corp, Alias: "corp", Subject: "00u1", Service: true},
		}
		e.wantNoZeroFields(*want, ".Password", ".Roles", ".ClientRoles", ".Groups")
		e.want("as it was admitted", got, want)
		e.want("by identity", e.partyOf(corp, "00u1"), want)
		e.want("by id", e.byID(a.ID), want)
		e.want("by name", e.user(e.realm, "CORP/bob"), want)
		listed := *want
		listed.Origin = ""
		e.reading(func(v uma.View) {
			byIDs, err := v.UsersByID(e.t.Context(), e.realm, []string{a.ID})
			e.must(err)
			e.want("by ids", byIDs[a.ID], &listed)
			named, err := v.UsersNamed(e.t.Context(), e.realm, []string{"BOB@corp.example", "corp/bob"})
			e.must(err)
			e.want("by e-mail or name", named, map[string][]*uma.User{"BOB@corp.example": {&listed}, "corp/bob": {&listed}})
		})
		e.want("identities", e.identitiesOf(a.ID), []uma.Identity{*want.Identity})
		e.want("identities of a local user", e.identitiesOf(e.alice), []uma.Identity(nil))
		e.must(e.s.StartSession(e.t.Context(), e.realm, &uma.Session{ID: "s", User: a.ID, Client: "web", Started: now, Expires: now.Add(time.Hour)},
			&uma.RefreshToken{Hash: []byte("hash"), SessionID: "s", Client: "web", Expires: now.Add(time.Hour)}))
		e.reading(func(v uma.View) {
			state, err := v.TokenState(e.t.Context(), e.realm, "jti", "s")
			e.must(err)
			e.want("of a session", state.User, &listed)
		})
	},

	"an_identity_is_of_its_issuer_and_realm": func(e *env) {
		e.trusting()
		first, second := e.admit(corp, "1", "bob", ""), e.admit(council, "1", "bob", "")
		e.want("equal subjects are one party", first.ID == second.ID, false)
		e.want("names", []string{first.Username, second.Username}, []string{"corp/bob", "council/bob"})
		for what, issuer := range map[string]string{"another issuer": "https://other.example", "another case": strings.ToUpper(corp), "no slash": strings.TrimSuffix(corp, "/")} {
			e.want(what, e.partyOf(issuer, "1"), (*uma.User)(nil))
			_, err := e.s.AdmitParty(e.t.Context(), e.realm, e.admission(issuer, "1", "bob", ""))
			e.wantErr(what, err, uma.ErrNotFound)
		}
		e.want("no subject", e.partyOf(corp, ""), (*uma.User)(nil))
		_, err := e.s.AdmitParty(e.t.Context(), e.otherRealm, e.admission(corp, "1", "bob", ""))
		e.wantErr("another realm", err, uma.ErrNotFound)
	},

	"admission_of_a_known_party": func(e *env) {
		e.trusting()
		u := e.admit(corp, "1", "bob", "bob@corp.example")
		e.want("again, with another name", e.admit(corp, "1", "robert", "BOB@corp.example"), u)
		e.want("without an address", e.admit(corp, "1", "bob", ""), u)
		moved := e.admit(corp, "1", "bob", "robert@corp.example")
		e.want("another address", moved.Claims, map[string]any{"email": "robert@corp.example"})
		e.want("version", moved.Version, u.Version)
		e.want("stored", e.byID(u.ID), moved)
		e.must(e.s.EnableParty(e.t.Context(), e.realm, u.ID, false))
		off := e.admit(corp, "1", "bob", "new@corp.example")
		e.want("disabled", off.Enabled, false)
		e.want("address of a disabled party", off.Claims, moved.Claims)
	},

	"names_of_parties": func(e *env) {
		e.trusting()
		var got []string
		for _, subject := range []string{"1", "2", "3"} {
			got = append(got, e.admit(corp, subject, "Bob", "").Username)
		}
		taken := e.admission(corp, "4", "3", "")
		u, err := e.s.AdmitParty(e.t.Context(), e.realm, taken)
		e.must(err)
		last := e.admission(corp, "bob", "2", "") // its subject is the name of another
		w, err := e.s.AdmitParty(e.t.Context(), e.realm, last)
		e.must(err)
		got = append(got, u.Username, w.Username, e.admit(corp, "nameless", "", "").Username)
		e.want("names", got, []string{"corp/Bob", "corp/2", "corp/3", "corp/4", "corp/" + last.ID, "corp/nameless"})
	},

	"listed_by_name": func(e *env) {
		e.trusting()
		e.admit(council, "1", "anna", "")
		e.admit(corp, "2", "Zoe", "")
		e.admit(corp, "1", "bob", "")
		list := func(alias, after string, limit int) []string {
			found, err := e.s.PartiesAfter(e.t.Context(), e.realm, alias, after, limit)
			e.must(err)
			for _, u := range found {
				e.want(u.Username, u, e.byID(u.ID))
			}
			return usernamesOf(found)
		}
		e.want("all", list("", "", 10), []string{"corp/bob", "corp/Zoe", "council/anna"})
		e.want("a page", list("", "CORP/BOB", 1), []string{"corp/Zoe"})
		e.want("of one", list("corp", "", 10), []string{"corp/bob", "corp/Zoe"})
		e.want("of one, after", list("corp", "corp/bob", 10), []string{"corp/Zoe"})
		e.want("of none", list("cor", "", 10), []string{})
		other, err := e.s.PartiesAfter(e.t.Context(), e.otherRealm, "", "", 10)
		e.must(err)
		e.want("in another realm", len(other), 0)
	},

	"disabled_and_enabled": func(e *env) {
		e.trusting()
		u := e.admit(corp, "1", "bob", "")
		session := func(id string) {
			e.must(e.s.StartSession(e.t.Context(), e.realm, &uma.Session{ID: id, User: u.ID, Client: "web", Started: now, Expires: now.Add(time.Hour)},
				&uma.RefreshToken{Hash: []byte(id), SessionID: id, Client: "web", Expires: now.Add(time.Hour)}))
		}
		ended := func(id string) bool {
			_, s := e.state("jti", id)
			return s.Ended
		}
		session("s")
		e.must(e.s.EnableParty(e.t.Context(), e.realm, u.ID, true))
		e.want("no change", e.byID(u.ID), u)
		e.want("its session", ended("s"), false)
		rests := &uma.Settlement{Realm: e.realm, Now: now, RestsOn: &uma.Rests{Generation: e.snapshot("photoz").Realm.Generation, User: u.ID, UserVersion: u.Version}}
		e.must(e.s.Commit(e.t.Context(), rests))
		e.must(e.s.EnableParty(e.t.Context(), e.realm, u.ID, false))
		off := e.byID(u.ID)
		e.want("disabled", []bool{off.Enabled, off.Version > u.Version, ended("s")}, []bool{false, true, true})
		e.wantErr("a grant for a disabled party", e.s.Commit(e.t.Context(), rests), uma.ErrMoved)
		e.must(e.s.EnableParty(e.t.Context(), e.realm, u.ID, true))
		on := e.byID(u.ID)
		e.want("enabled", []bool{on.Enabled, on.Version > off.Version, ended("s")}, []bool{true, true, true})
		for what, id := range map[string]string{"a local user": e.alice, "nobody": "nobody"} {
			e.wantErr(what, e.s.EnableParty(e.t.Context(), e.realm, id, false), uma.ErrNotFound)
		}
		e.wantErr("in another realm", e.s.EnableParty(e.t.Context(), e.otherRealm, u.ID, false), uma.ErrNotFound)
		e.want("the local user", e.byID(e.alice).Enabled, true)
	},

	"linked_and_unlinked": func(e *env) {
		e.trusting()
		ctx, u := e.t.Context(), e.admit(corp, "1", "bob", "")
		other := e.admit(corp, "2", "carol", "")
		e.must(e.s.LinkIdentity(ctx, e.realm, u.ID, council, "77"))
		linked := e.byID(u.ID)
		e.want("a higher version", linked.Version > u.Version, true)
		e.want("identities", e.identitiesOf(u.ID), []uma.Identity{*u.Identity, {Issuer: council, Alias: "council", Subject: "77"}})
		e.want("whose it is", e.partyOf(council, "77"), linked)
		e.want("admitted by it", e.admit(council, "77", "doctor", ""), linked)
		for what, err := range map[string]error{
			"linked already": e.s.LinkIdentity(ctx, e.realm, u.ID, council, "77"),
			"another's":      e.s.LinkIdentity(ctx, e.realm, other.ID, council, "77"),
			"a party's own":  e.s.LinkIdentity(ctx, e.realm, u.ID, corp, "2"),
		} {
			e.wantErr(what, err, uma.ErrConflict)
		}
		for what, err := range map[string]error{
			"an unknown issuer":          e.s.LinkIdentity(ctx, e.realm, u.ID, "https://other.example", "1"),
			"nobody":                     e.s.LinkIdentity(ctx, e.realm, "nobody", council, "1"),
			"in another realm":           e.s.LinkIdentity(ctx, e.otherRealm, u.ID, council, "1"),
			"unlink the party's own":     e.s.UnlinkIdentity(ctx, e.realm, u.ID, corp, "1"),
			"unlink another's":           e.s.UnlinkIdentity(ctx, e.realm, other.ID, council, "77"),
			"unlink an unknown one":      e.s.UnlinkIdentity(ctx, e.realm, u.ID, council, "78"),
			"unlink in another realm":    e.s.UnlinkIdentity(ctx, e.otherRealm, u.ID, council, "77"),
			"unlink of another's issuer": e.s.UnlinkIdentity(ctx, e.realm, u.ID, corp, "77"),
		} {
			e.wantErr(what, err, uma.ErrNotFound)
		}
		e.want("nothing has changed", e.byID(u.ID), linked)
		e.must(e.s.UnlinkIdentity(ctx, e.realm, u.ID, council, "77"))
		e.want("after the unlinking", []any{e.partyOf(council, "77"), e.byID(u.ID).Version > linked.Version}, []any{(*uma.User)(nil), true})
	},

	"linked_to_a_local_user": func(e *env) {
		file := e.trusting()
		e.must(e.s.LinkIdentity(e.t.Context(), e.realm, e.alice, council, "9"))
		e.want("whose it is", e.partyOf(council, "9"), e.byID(e.alice))
		e.want("a local user has no identity", e.byID(e.alice).Identity, (*uma.Identity)(nil))
		e.want("identities", e.identitiesOf(e.alice), []uma.Identity{{Issuer: council, Alias: "council", Subject: "9"}})
		_, err := e.s.AdmitParty(e.t.Context(), e.realm, e.admission(council, "9", "alice", ""))
		e.wantErr("admitted", err, uma.ErrConflict)
		for i := range uma.MaxIdentities - 1 {
			e.must(e.s.LinkIdentity(e.t.Context(), e.realm, e.alice, corp, fmt.Sprint(i)))
		}
		e.wantErr("too many", e.s.LinkIdentity(e.t.Context(), e.realm, e.alice, corp, "more"), uma.ErrFull)
		file.Users, file.Prune = file.Users[1:], true
		e.apply(file)
		e.want("after the removal of the user", e.partyOf(council, "9"), (*uma.User)(nil))
	},

	"deleted_with_what_it_owns": func(e *env) {
		e.trusting()
		u, other := e.admit(corp, "1", "bob", ""), e.admit(corp, "2", "carol", "")
		e.must(e.s.LinkIdentity(e.t.Context(), e.realm, u.ID, council, "77"))
		mine, hers := e.at(e.api, u.ID, "Mine", "view"), e.at(e.second, e.alice, "Hers", "view")
		e.share(mine, other.ID, "view")
		e.share(hers, u.ID, "view")
		p := e.sharePolicy(mine, "for carol", other.ID)
		named := e.sharePolicy(e.at(e.api, e.alice, "Album", "view"), "for both", u.ID, other.ID)
		e.must(e.s.StartSession(e.t.Context(), e.realm, &uma.Session{ID: "s", User: u.ID, Client: "web", Started: now, Expires: now.Add(time.Hour)},
			&uma.RefreshToken{Hash: []byte("hash"), SessionID: "s", Client: "web", Expires: now.Add(time.Hour)}))
		remove := func(change func(d *uma.PartyRemoval)) (*uma.PartyReport, error) {
			d := &uma.PartyRemoval{Realm: e.realm, ID: u.ID}
			change(d)
			return e.s.DeleteParty(e.t.Context(), d)
		}
		_, err := remove(func(*uma.PartyRemoval) {})
		e.wantErr("without a word about its resources", err, uma.ErrConflict)
		_, err = remove(func(d *uma.PartyRemoval) { d.ID, d.DeleteResources = e.alice, true })
		e.wantErr("a local user", err, uma.ErrNotFound)
		_, err = remove(func(d *uma.PartyRemoval) { d.Realm, d.DeleteResources = e.otherRealm, true })
		e.wantErr("in another realm", err, uma.ErrNotFound)
		e.want("nothing has changed", e.byID(u.ID).Enabled, true)
		report, err := remove(func(d *uma.PartyRemoval) { d.DeleteResources = true })
		e.must(err)
		e.want("report", report, &uma.PartyReport{Deleted: 1, Requests: 1, Shares: 1})
		e.want("party", []any{e.byID(u.ID), e.partyOf(corp, "1"), e.partyOf(council, "77")}, []any{(*uma.User)(nil), (*uma.User)(nil), (*uma.User)(nil)})
		e.want("its resource", e.get(e.api, mine.ID), (*uma.Resource)(nil))
		e.want("a resource of another", e.get(e.second, hers.ID) != nil, true)
		e.want("its policy", find(e, func(v uma.View) (*uma.Share, error) { return v.Share(e.t.Context(), e.api, p.ID) }), (*uma.Share)(nil))
		e.reading(func(v uma.View) {
			_, err := v.TokenState(e.t.Context(), e.realm, "jti", "s")
			e.wantErr("its session", err, uma.ErrNotFound)
		})
		e.want("a policy that names it", find(e, func(v uma.View) (*uma.Share, error) { return v.Share(e.t.Context(), e.api, named.ID) }).Users, []string{other.ID})
		back := e.admit(corp, "1", "bob", "")
		e.want("as somebody new", []any{back.ID == u.ID, back.Key == u.Key, back.Username}, []any{false, false, "corp/bob"})
	},

	"deleted_after_a_transfer": func(e *env) {
		e.trusting()
		u := e.admit(corp, "1", "bob", "")
		mine, far := e.at(e.api, u.ID, "Mine", "view"), e.at(e.second, u.ID, "Far", "view")
		kept, own := e.share(mine, "carol", "view"), e.share(mine, e.alice, "view")
		same := e.at(e.api, e.alice, "Mine", "view")
		transfer := func(to string) (*uma.PartyReport, error) {
			return e.s.DeleteParty(e.t.Context(), &uma.PartyRemoval{Realm: e.realm, ID: u.ID, TransferTo: to})
		}
		for to, want := range map[string]error{"nobody": uma.ErrNotFound, e.foreignAlice: uma.ErrNotFound, u.ID: uma.ErrConflict, e.alice: uma.ErrConflict} {
			_, err := transfer(to)
			e.wantErr("to "+to, err, want)
		}
		e.want("nothing has changed", e.byID(u.ID), u)
		e.must(e.s.DeleteResource(e.t.Context(), e.api, same.ID))
		report, err := transfer(e.alice)
		e.must(err)
		e.want("report", report, &uma.PartyReport{Transferred: 2})
		for _, r := range []*uma.Resource{mine, far} {
			got := e.get(r.Server, r.ID)
			e.want("owner of "+r.Name, []any{got.Owner, got.Version > r.Version}, []any{e.alice, true})
		}
		e.want("what was shared", e.getRequest(kept.ID).Owner, e.alice)
		e.want("what was shared with the new owner", e.getRequest(own.ID), (*uma.Request)(nil))
		e.want("party", e.byID(u.ID), (*uma.User)(nil))
	},

	"deleted_in_batches": func(e *env) {
		e.trusting()
		u := e.admit(corp, "1", "bob", "")
		for i := range 450 {
			r := e.at(e.api, u.ID, fmt.Sprint("Mine", i), "view")
			if i%2 == 0 {
				e.share(e.at(e.second, e.alice, fmt.Sprint("Hers", i), "view"), u.ID, "view")
			}
			e.share(r, "carol", "view")
		}
		report, err := e.s.DeleteParty(e.t.Context(), &uma.PartyRemoval{Realm: e.realm, ID: u.ID, DeleteResources: true})
		e.must(err)
		e.want("report", report, &uma.PartyReport{Deleted: 450, Requests: 225})
		e.want("party", e.byID(u.ID), (*uma.User)(nil))
		e.want("resources", len(e.owned(e.realm, u.ID, "", 0, -1)), 0)
	},

	"assertions_are_spent_once": func(e *env) {
		ctx, id := e.t.Context(), []byte("jti")
		expires := now.Add(time.Minute)
		e.must(e.s.SpendAssertion(ctx, e.realm, e.api, id, expires))
		e.wantErr("again", e.s.SpendAssertion(ctx, e.realm, e.api, id, expires.Add(time.Hour)), uma.ErrSpent)
		e.must(e.s.SpendAssertion(ctx, e.realm, e.second, id, expires))
		e.must(e.s.SpendAssertion(ctx, e.otherRealm, e.foreign, id, expires))
		e.must(e.s.SpendAssertion(ctx, e.realm, e.api, []byte("other"), expires))
	},
}
