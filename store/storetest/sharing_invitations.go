package storetest

import (
	"fmt"
	"sync"

	"example.com/umpire/uma"
)

// inviting shares a resource with addresses.
func (e *env) inviting(r *uma.Resource, g grants) *uma.ShareChange {
	c := e.sharing(r, nil)
	c.Owner, c.Invite = r.Owner, g
	return c
}

func (e *env) invite(r *uma.Resource, g grants) {
	e.t.Helper()
	e.must(e.s.ShareResource(e.t.Context(), e.inviting(r, g)))
}

// open returns the invitations for a resource that nobody has taken.
func (e *env) open(r *uma.Resource) grants {
	e.t.Helper()
	found := grants{}
	for _, v := range read(e, func(v uma.View) ([]uma.Invitation, error) { return v.Invitations(e.t.Context(), []uma.Key{r.Key}) }) {
		found[v.Email] = v.Scopes
	}
	return found
}

// openOf returns the invitations of one address.
func (e *env) openOf(email string, resources ...*uma.Resource) (open []uma.Key) {
	e.t.Helper()
	for _, r := range resources {
		if _, there := e.open(r)[email]; there {
			open = append(open, r.Key)
		}
	}
	return open
}

func (e *env) invitationsOf(owner string) []uma.Invitation {
	e.t.Helper()
	return read(e, func(v uma.View) ([]uma.Invitation, error) {
		return v.InvitationsOf(e.t.Context(), e.realm, owner, "", 1000)
	})
}

var invitationTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		r := e.create(e.resource("Album", "view", "comment"))
		e.invite(r, grants{"ann@corp.example": {"view", "comment"}})
		want := uma.Invitation{Resource: r.Key, ResourceID: r.ID, Server: e.api, Owner: e.alice, Email: "ann@corp.example",
			Scopes: []uma.Scope{"view", "comment"}, Created: kept(now)}
		got := e.invitationsOf(e.alice)
		e.want("invitations", len(got), 1)
		want.ID = got[0].ID
		e.wantNoZeroFields(want, ".TakenBy", ".Taken")
		e.want("invitation", got[0], want)
		e.want("of another", e.invitationsOf(e.bob), []uma.Invitation(nil))
		e.reading(func(v uma.View) {
			elsewhere, err := v.InvitationsOf(e.t.Context(), e.otherRealm, e.alice, "", 10)
			e.must(err)
			e.want("in another realm", len(elsewhere), 0)
		})
	},

	"listed_by_address_and_by_id": func(e *env) {
		a, b := e.create(e.resource("A", "view")), e.create(e.resource("B"))
		e.invite(b, grants{"zoe@corp.example": {uma.Everything}})
		e.invite(a, grants{"zoe@corp.example": {"view"}, "ann@corp.example": {"view"}})
		e.reading(func(v uma.View) {
			found, err := v.Invitations(e.t.Context(), []uma.Key{b.Key, a.Key})
			e.must(err)
			var got []string
			for _, i := range found {
				got = append(got, fmt.Sprint(i.Email, i.Scopes, i.ResourceID == a.ID))
			}
			e.want("by resource and address", got, []string{"ann@corp.example[view] true", "zoe@corp.example[view] true", "zoe@corp.example[] false"})
			all, err := v.InvitationsOf(e.t.Context(), e.realm, e.alice, "", 10)
			e.must(err)
			page, err := v.InvitationsOf(e.t.Context(), e.realm, e.alice, all[0].ID, 1)
			e.must(err)
			e.want("a page", page, all[1:2])
		})
	},

	"exactly_what_the_owner_says": func(e *env) {
		r := e.create(e.resource("Album", "view", "comment"))
		e.invite(r, grants{"ann@corp.example": {"view"}, "bob@corp.example": {"view"}})
		e.invite(r, grants{"ann@corp.example": {"comment"}, "zoe@corp.example": nil})
		e.want("changed", e.open(r), grants{"ann@corp.example": {"comment"}, "bob@corp.example": {"view"}})
		only := e.inviting(r, grants{"ann@corp.example": {"view"}})
		only.Only = true
		e.must(e.s.ShareResource(e.t.Context(), only))
		e.want("only one", e.open(r), grants{"ann@corp.example": {"view"}})
		e.invite(r, grants{"ann@corp.example": nil})
		e.want("none", e.open(r), grants{})
	},

	"checks_that_they_are_those_that_were_seen": func(e *env) {
		e.trusting()
		r := e.create(e.resource("Album", "view"))
		invite := func(g grants, seen map[string]int64) error {
			c := e.inviting(r, g)
			c.Only, c.Seen = true, seen
			return e.s.ShareResource(e.t.Context(), c)
		}
		e.must(invite(grants{"ann@corp.example": {"view"}}, map[string]int64{}))
		id := e.invitationsOf(e.alice)[0].ID
		e.wantErr("one, and none was seen", invite(grants{"zoe@corp.example": {"view"}}, map[string]int64{}), uma.ErrMoved)
		e.wantErr("another one", invite(grants{"zoe@corp.example": {"view"}}, map[string]int64{"other": 0}), uma.ErrMoved)
		e.must(invite(grants{"ann@corp.example": {"view"}}, map[string]int64{id: 0}))
		e.wantErr("one that was made anew", invite(grants{"zoe@corp.example": {"view"}}, map[string]int64{id: 0}), uma.ErrMoved)
		e.want("open", e.open(r), grants{"ann@corp.example": {"view"}})
		id = e.invitationsOf(e.alice)[0].ID
		e.admit(corp, "1", "ann", "ann@corp.example")
		e.wantErr("one that was taken", invite(grants{"zoe@corp.example": {"view"}}, map[string]int64{id: 0}), uma.ErrMoved)
		e.must(invite(nil, e.seen(r)))
	},

	"count_as_shared": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		fresh, there := e.inviting(r, grants{"ann@corp.example": {"view"}}), e.inviting(r, nil)
		fresh.New, there.There = true, true
		e.wantErr("there, and nobody was invited", e.s.ShareResource(e.t.Context(), there), uma.ErrConflict)
		e.must(e.s.ShareResource(e.t.Context(), fresh))
		e.wantErr("new, and somebody was", e.s.ShareResource(e.t.Context(), fresh), uma.ErrConflict)
		e.must(e.s.ShareResource(e.t.Context(), there))
	},

	"refused": func(e *env) {
		e.trusting()
		e.admit(corp, "1", "bob", "bob@corp.example")
		r, whole := e.create(e.resource("Album", "view")), e.create(e.resource("Whole"))
		unmanaged := e.resource("Unmanaged", "view")
		unmanaged.OwnerManaged = false
		e.create(unmanaged)
		for what, tc := range map[string]struct {
			r    *uma.Resource
			g    grants
			want error
		}{
			"an address that a party has": {r, grants{"bob@corp.example": {"view"}}, uma.ErrMoved},
			"an unknown scope":            {r, grants{"ann@corp.example": {"delete"}}, uma.ErrNotFound},
			"everything of one with":      {r, grants{"ann@corp.example": {uma.Everything}}, uma.ErrNotFound},
			"a scope of one without":      {whole, grants{"ann@corp.example": {"view"}}, uma.ErrNotFound},
			"not owner-managed":           {unmanaged, grants{"ann@corp.example": {"view"}}, uma.ErrNotFound},
		} {
			e.wantErr(what, e.s.ShareResource(e.t.Context(), e.inviting(tc.r, tc.g)), tc.want)
		}
		e.invite(r, grants{"bob@corp.example": nil}) // nothing is shared
		theirs := e.inviting(r, grants{"ann@corp.example": {"view"}})
		theirs.Owner = e.bob
		e.wantErr("another's", e.s.ShareResource(e.t.Context(), theirs), uma.ErrNotFound)
		e.want("invitations", e.invitationsOf(e.alice), []uma.Invitation(nil))
	},

	"bounded": func(e *env) {
		r, other := e.create(e.resource("Album", "view")), e.create(e.resource("Other", "view"))
		many := grants{}
		for i := range uma.MaxInvitations {
			many[fmt.Sprintf("u%d@corp.example", i)] = []uma.Scope{"view"}
		}
		e.invite(r, many)
		e.wantErr("one more", e.s.ShareResource(e.t.Context(), e.inviting(r, grants{"ann@corp.example": {"view"}})), uma.ErrFull)
		e.invite(r, grants{"u1@corp.example": {"view"}})
		e.invite(other, grants{"ann@corp.example": {"view"}})
		for i := range uma.MaxInvitationsTo - 1 {
			e.invite(e.create(e.resource(fmt.Sprint("R", i), "view")), grants{"ann@corp.example": {"view"}})
		}
		e.wantErr("one more for an address", e.s.ShareResource(e.t.Context(),
			e.inviting(e.create(e.resource("Last", "view")), grants{"ann@corp.example": {"view"}})), uma.ErrFull)
	},

	"withdrawn": func(e *env) {
		e.trusting()
		r := e.create(e.resource("Album", "view"))
		e.invite(r, grants{"ann@corp.example": {"view"}, "zoe@corp.example": {"view"}})
		ids := map[string]string{}
		for _, v := range e.invitationsOf(e.alice) {
			ids[v.Email] = v.ID
		}
		ctx := e.t.Context()
		e.wantErr("by another", e.s.WithdrawInvitation(ctx, e.realm, e.bob, ids["ann@corp.example"]), uma.ErrNotFound)
		e.wantErr("in another realm", e.s.WithdrawInvitation(ctx, e.otherRealm, e.alice, ids["ann@corp.example"]), uma.ErrNotFound)
		e.must(e.s.WithdrawInvitation(ctx, e.realm, e.alice, ids["ann@corp.example"]))
		e.wantErr("again", e.s.WithdrawInvitation(ctx, e.realm, e.alice, ids["ann@corp.example"]), uma.ErrNotFound)
		ann := e.admit(corp, "1", "ann", "ann@corp.example")
		e.admit(corp, "2", "zoe", "zoe@corp.example")
		e.wantErr("one that was taken", e.s.WithdrawInvitation(ctx, e.realm, e.alice, ids["zoe@corp.example"]), uma.ErrNotFound)
		e.want("granted to who was not invited any more", e.granted(r)[ann.ID], []uma.Scope(nil))
	},

	"taken_by_who_proves_the_address": func(e *env) {
		e.trusting()
		r, whole := e.create(e.resource("Album", "view", "comment")), e.create(e.resource("Whole"))
		e.invite(r, grants{"ann@corp.example": {"view", "comment"}, "zoe@corp.example": {"view"}})
		e.invite(whole, grants{"ann@corp.example": {uma.Everything}})
		unproved := e.admit(corp, "1", "ann", "")
		e.want("without an address", e.granted(r), grants{})
		asked := e.ask(r, unproved.ID, "view")
		a := e.admission(corp, "1", "ann", "Ann@Corp.example")
		ann, err := e.s.AdmitParty(e.t.Context(), e.realm, a)
		e.must(err)
		e.want("version", ann.Version, unproved.Version)
		e.want("granted", []grants{e.granted(r), e.granted(whole)}, []grants{{ann.ID: {"comment", "view"}}, {ann.ID: {""}}})
		e.want("what was asked for", e.stateOf(asked), uma.Granted)
		e.want("left", e.open(r), grants{"zoe@corp.example": {"view"}})
		var taken []uma.Invitation
		for _, v := range e.invitationsOf(e.alice) {
			if v.TakenBy != "" {
				e.want("taken by", []any{v.TakenBy, v.Taken}, []any{ann.ID, kept(now)})
				taken = append(taken, v)
			}
		}
		e.want("taken", len(taken), 2)
		for i := range a.Taken {
			a.Taken[i].Taken = kept(a.Taken[i].Taken)
		}
		wantSet(e, "reported", idsOf(a.Taken), idsOf(taken)...)
		q := e.granted(r)
		e.must(e.s.ShareResource(e.t.Context(), e.sharing(r, grants{ann.ID: nil})))
		e.admit(corp, "1", "ann", "new@corp.example")
		e.admit(corp, "1", "ann", "ann@corp.example")
		e.admit(council, "1", "other", "ann@corp.example")
		e.want("not again, though there was "+fmt.Sprint(q), e.granted(r), grants{})
	},

	"taken_once_in_a_race": func(e *env) {
		e.trusting()
		for round := range rounds {
			r := e.create(e.resource(fmt.Sprint("Album", round), "view"))
			email := fmt.Sprintf("ann%d@corp.example", round)
			e.invite(r, grants{email: {"view"}})
			var wg sync.WaitGroup
			start := make(chan struct{})
			for racer := range racers {
				wg.Go(func() {
					<-start
					_, err := e.s.AdmitParty(e.t.Context(), e.realm, e.admission(corp, fmt.Sprint(round, "-", racer), "ann", email))
					if err != nil {
						e.t.Error(err)
					}
				})
			}
			close(start)
			wg.Wait()
			if got := e.granted(r); len(got) != 1 {
				e.t.Fatalf("round %d: granted to %v", round, got)
			}
		}
	},

	// An owner can invite an address to many resources of many scopes. Other writers do not wait
	// until all of them are taken.
	"many_taken_in_several_steps": func(e *env) {
		e.trusting()
		var names []uma.Scope
		for i := range uma.MaxMembers {
			names = append(names, uma.Scope(fmt.Sprint("s", i)))
		}
		var all []*uma.Resource
		for i := range 4 {
			all = append(all, e.create(e.resource(fmt.Sprint("Album", i), names...)))
			e.invite(all[i], grants{"ann@corp.example": names})
		}
		a := e.admission(corp, "1", "ann", "ann@corp.example")
		seen := 0 // how many are taken as others see it, while the rest is
		a.NewID = func() string {
			seen = max(seen, 4-len(e.openOf("ann@corp.example", all...)))
			return e.newID()
		}
		ann, err := e.s.AdmitParty(e.t.Context(), e.realm, a)
		e.must(err)
		if seen == 0 || seen == 4 {
			e.t.Errorf("others saw %d of 4 invitations taken before the last was", seen)
		}
		e.want("reported", len(a.Taken), 4)
		for _, r := range all {
			e.want("granted", len(e.granted(r)[ann.ID]), len(names))
		}
		e.want("the address", e.byID(ann.ID).Claims["email"], any("ann@corp.example"))
	},

	"not_taken": func(e *env) {
		file := e.trusting()
		r := e.create(e.resource("Album", "view"))
		e.invite(r, grants{"ann@corp.example": {"view"}, "zoe@corp.example": {"view"}, "eve@corp.example": {"view"}})
		off := e.admit(corp, "1", "zoe", "")
		e.must(e.s.EnableParty(e.t.Context(), e.realm, off.ID, false))
		e.admit(corp, "1", "zoe", "zoe@corp.example")
		file.Users = append(file.Users, &uma.User{ID: e.newID(), Username: "ann", Password: "hash", Enabled: true,
			Claims: map[string]any{"email": "ANN@corp.example"}})
		e.apply(file)
		e.admit(corp, "2", "ann", "ann@corp.example")
		e.want("by a disabled party, or of an address that another has", e.granted(r), grants{})
		e.want("open", e.open(r), grants{"ann@corp.example": {"view"}, "zoe@corp.example": {"view"}, "eve@corp.example": {"view"}})
		owner := e.admit(corp, "3", "owner", "")
		own := e.at(e.api, owner.ID, "Own", "view")
		e.invite(own, grants{"eve@corp.example": {"view"}})
		e.admit(corp, "3", "owner", "eve@corp.example")
		e.want("by the owner: of another, of its own", []grants{e.granted(r), e.granted(own), e.open(own)},
			[]grants{{owner.ID: {"view"}}, {}, {}})
	},

	"follow_their_resource": func(e *env) {
		e.trusting()
		r, whole := e.create(e.resource("Album", "view", "comment")), e.create(e.resource("Whole"))
		gone := e.create(e.resource("Gone", "view"))
		for _, one := range []*uma.Resource{r, gone} {
			e.invite(one, grants{"ann@corp.example": {"view"}, "zoe@corp.example": one.Scopes})
		}
		e.invite(whole, grants{"ann@corp.example": {uma.Everything}})
		change := func(r *uma.Resource, scopes ...uma.Scope) {
			next := *r
			next.Scopes = scopes
			e.must(e.s.ReplaceResource(e.t.Context(), &next, e.newID))
		}
		change(r, "comment", "print")
		e.want("a scope is gone", e.open(r), grants{"zoe@corp.example": {"comment"}})
		change(r, "view", "comment")
		e.want("and back", e.open(r), grants{"zoe@corp.example": {"comment"}})
		change(r)
		e.want("all scopes are gone", e.open(r), grants{})
		change(whole, "view")
		e.want("the first scope", e.open(whole), grants{})
		e.must(e.s.DeleteResource(e.t.Context(), e.api, gone.ID))
		e.want("of a deleted resource", e.invitationsOf(e.alice), []uma.Invitation(nil))

		u := e.admit(corp, "9", "owner", "")
		theirs := e.at(e.api, u.ID, "Theirs", "view")
		e.invite(theirs, grants{"ann@corp.example": {"view"}})
		_, err := e.s.DeleteParty(e.t.Context(), &uma.PartyRemoval{Realm: e.realm, ID: u.ID, TransferTo: e.alice})
		e.must(err)
		e.want("of another owner", e.open(theirs), grants{})
	},
}

func idsOf(all []uma.Invitation) (ids []string) {
	for _, v := range all {
		ids = append(ids, v.ID)
	}
	return ids
}
