package storetest

import (
	"errors"
	"fmt"
	"time"

	"example.com/umpire/uma"
)

var expectedTests = map[string]func(e *env){
	"is_what_is_read_without": func(e *env) {
		x := e.expectations()
		want := x.everything(uma.Expected{})
		for i, expected := range x.variants() {
			e.want(fmt.Sprintf("expecting %d: %+v", i, expected), x.everything(expected), want)
		}
	},

	"changes_are_seen_by_the_next_view": func(e *env) {
		x := e.expectations()
		for _, expected := range x.variants() {
			x.everything(expected)
		}
		e.must(e.s.DeleteShare(e.t.Context(), e.api, x.policies[0].ID))
		e.must(e.s.DeleteResource(e.t.Context(), e.api, x.album.ID))
		e.must(e.s.EndSession(e.t.Context(), e.realm, "session"))
		e.must(e.s.DropRPT(e.t.Context(), e.realm, "rpt"))
		want := x.everything(uma.Expected{})
		for i, expected := range x.variants() {
			e.want(fmt.Sprintf("expecting %d: %+v", i, expected), x.everything(expected), want)
		}
	},
}

// expectations are rows that a decision reads.
type expectations struct {
	*env
	album, board, own *uma.Resource // alice's, of the resource server, and bob's
	policies          []*uma.Share
	party             *uma.Party
	stranger          *uma.Party // of an issuer, with the role and the group that things are shared with
}

// expectations stores a user with roles and groups, resources that are shared with each of them, a
// session, a ticket and an RPT.
func (e *env) expectations() *expectations {
	file := e.realmFile("photoz")
	file.Realm.Issuers = []uma.TrustedIssuer{{Issuer: corp, Alias: "corp"}}
	file.Users[1].Roles, file.Users[1].Groups = []string{"user", "role"}, []string{"/group", "/group/sub"}
	file.Users[1].ClientRoles = map[string][]string{"web": {"of client", "other"}, "api": {"x"}}
	e.apply(file)
	e.photoz = e.snapshot("photoz")
	bob := e.user(e.realm, "bob")
	x := &expectations{env: e, party: uma.NewParty(bob.ID, bob.Roles, bob.ClientRoles, bob.Groups, "web")}
	x.album = e.create(e.resource("Album", "view", "comment"))
	x.board = e.resource("Board", "view")
	x.board.Owner, x.board.OwnerManaged = e.apiUUID, false
	e.create(x.board)
	x.stranger = &uma.Party{ID: e.admit(corp, "stranger", "", "").ID, Roles: []string{"role"}, Groups: []string{"/group"}, Client: "web"}
	typed := e.resource("of the type", "delete")
	typed.Owner, typed.OwnerManaged = e.apiUUID, false
	e.create(typed)
	x.own = e.resource("Own", "view")
	x.own.Owner = e.bob
	e.create(x.own)
	e.share(x.album, e.bob, "comment")
	e.must(e.s.CreateRequest(e.t.Context(), e.request(x.album, e.bob, "view")))
	for name, change := range map[string]func(s *uma.Share){
		"of a user": func(s *uma.Share) { s.Users = []string{e.bob} }, "of a role": func(s *uma.Share) { s.Roles = []string{"role"} },
		"of a client role": func(s *uma.Share) { s.Roles = []string{"web/of client"} }, "of a group": func(s *uma.Share) { s.Groups = []string{"/group"} },
		"of a client": func(s *uma.Share) { s.Clients = []string{"web"} }, "of another": func(s *uma.Share) { s.Users = []string{e.alice} },
		"of a stranger": func(s *uma.Share) { s.Users = []string{x.stranger.ID} },
	} {
		s := e.sharePolicy(x.album, name)
		change(s)
		e.must(e.s.ReplaceShare(e.t.Context(), s))
		x.policies = append(x.policies, s)
	}
	session := e.session("session")
	session.User = e.bob
	e.must(e.s.StartSession(e.t.Context(), e.realm, session, e.refreshToken("session", "refresh")))
	t := &uma.Ticket{Hash: uma.Digest("ticket"), Server: e.api, Issued: now, Expires: now.Add(time.Minute),
		Permissions: []uma.Permission{{Resource: x.album.ID, Scopes: []uma.Scope{"view"}}, {Resource: x.board.ID}, {Scopes: []uma.Scope{"view"}}}}
	e.must(e.s.SaveTicket(e.t.Context(), e.realm, t))
	e.must(e.s.SaveTicket(e.t.Context(), e.realm, &uma.Ticket{Hash: uma.Digest("for nothing"), Server: e.api, Issued: now, Expires: now.Add(time.Minute)}))
	st := &uma.Settlement{Realm: e.realm, Now: now, RPT: e.rpt("rpt")}
	e.must(e.s.Commit(e.t.Context(), st))
	e.must(e.s.Revoke(e.t.Context(), e.realm, "revoked", now.Add(time.Hour)))
	return x
}

// variants are what requests may expect.
func (x *expectations) variants() []uma.Expected {
	owners := []string{x.bob, x.apiUUID}
	tokens := []uma.TokenKey{{JTI: "jti", Session: "session"}, {JTI: "revoked"}}
	ids := []string{string(x.album.ID), string(x.board.ID), string(x.own.ID), "unknown"}
	unnamed := *x.stranger
	unnamed.ID = ""
	identities := []uma.IdentityKey{{Issuer: corp, Subject: "stranger"}, {Issuer: corp, Subject: "unknown"}}
	return []uma.Expected{
		{Realm: x.realm, Identities: identities, Party: &unnamed, Client: "web", Server: x.api, Resources: ids, Scopes: []uma.Scope{"view", "delete", "unknown"}},
		{Realm: x.realm, Identities: identities[1:], Party: &unnamed, Client: "web", Server: x.api, Resources: ids, Scopes: []uma.Scope{"delete"}},
		{Realm: x.realm, Identities: identities, Party: &unnamed, Client: "web", Now: now, Ticket: uma.Digest("ticket")},
		{Realm: x.otherRealm, Identities: identities, Party: &unnamed, Server: x.second, Resources: ids, Scopes: []uma.Scope{"view"}},
		{Realm: x.realm, Identities: identities},
		{Realm: x.realm, Tokens: tokens, Client: "web", Now: now, Server: x.api, Resources: ids, Owners: owners},
		{Realm: x.realm, Tokens: tokens, Client: "web", Now: now, Server: x.api, Resources: []string{"Board", "Own", "Album", "unknown"}, Owners: owners},
		{Realm: x.realm, Tokens: tokens, Client: "web", Now: now, Ticket: uma.Digest("ticket"), RPT: "rpt"},
		{Realm: x.realm, Tokens: tokens, Client: "web", Now: now, Ticket: uma.Digest("for nothing")},
		{Realm: x.realm, Tokens: tokens, Client: "api", Now: now, Ticket: uma.Digest("unknown"), RPT: "unknown"},
		{Realm: x.realm, Tokens: []uma.TokenKey{{JTI: "jti", Session: "unknown"}}, Client: "web", Now: now, Server: x.api, Resources: ids},
		{Realm: x.realm, Party: x.party, Client: "web", Now: now, Server: x.api, Resources: ids},
		{Realm: x.realm, Tokens: tokens, Now: now.Add(time.Hour), Ticket: uma.Digest("ticket")},
		{Realm: x.realm, Tokens: tokens, Server: x.second, Resources: ids, Owners: owners},
		{Realm: x.otherRealm, Tokens: tokens, Ticket: uma.Digest("ticket"), Now: now, RPT: "rpt"},
	}
}

// everything reads all that a decision may read, in a view that expects something.
func (x *expectations) everything(expected uma.Expected) (found []any) {
	ctx, names := x.t.Context(), []string{"Album", "Board", "Own", "unknown"}
	add := func(v any, err error) {
		if err != nil && !errors.Is(err, uma.ErrNotFound) {
			x.t.Fatal(err)
		}
		found = append(found, v, err == nil)
	}
	x.reading(func(v uma.View) {
		if expected.Realm != 0 {
			x.must(v.Expect(ctx, &expected))
		}
		for _, key := range []uma.TokenKey{{JTI: "jti", Session: "session"}, {JTI: "jti", Session: "unknown"}, {JTI: "revoked"}, {JTI: "revoked", Session: "session"}} {
			state, err := v.TokenState(ctx, x.realm, key.JTI, key.Session)
			add(state, err)
		}
		for _, value := range []string{"ticket", "for nothing", "unknown"} {
			t, err := v.Ticket(ctx, x.realm, uma.Digest(value), now)
			add(t, err)
		}
		for _, jti := range []string{"rpt", "unknown"} {
			r, err := v.RPT(ctx, x.realm, jti)
			add(r, err)
		}
		for _, r := range []*uma.Resource{x.album, x.board, x.own} {
			read, err := v.Resource(ctx, x.api, r.ID)
			add(read, err)
		}
		for _, name := range names {
			for _, owner := range []string{x.alice, x.bob, x.apiUUID} {
				r, err := v.ResourceByName(ctx, x.api, owner, name)
				add(r, err)
			}
		}
		all, err := v.ResourcesByID(ctx, x.api, []uma.ResourceID{x.album.ID, "unknown"})
		add(all, err)
		for _, subject := range []string{"stranger", "unknown"} {
			u, err := v.PartyOf(ctx, x.realm, corp, subject)
			add(u, err)
		}
		for _, scopes := range [][]uma.Scope{{"view"}, {"delete", "unknown"}, {"comment", "view"}} {
			known, err := v.KnownScopes(ctx, x.api, scopes)
			add(len(known), err)
			of, err := v.TypeScopes(ctx, x.api, x.album.Type, scopes)
			add(len(of), err)
		}
		for _, party := range []*uma.Party{x.party, x.stranger} {
			shares, requests, err := v.Between(ctx, party, []uma.Key{x.album.Key, x.board.Key, x.own.Key}, now)
			add(shares, err)
			add(requests, nil)
		}
	})
	return found
}
