package storetest

import (
	"errors"
	"time"

	"example.com/umpire/uma"
)

// settlement returns one with every field: a ticket is spent for a grant on r that
// rests on the request q and a policy.
func (e *env) settlement(r *uma.Resource, q *uma.Request) *uma.Settlement {
	e.t.Helper()
	e.must(e.s.SaveTicket(e.t.Context(), e.realm, e.ticket("presented")))
	alice := e.user(e.realm, "alice")
	policy := e.sharePolicy(r, "of the settlement", e.bob)
	epoch := e.epoch()
	return &uma.Settlement{
		Realm: e.realm, Now: now, Ticket: uma.Digest("presented"), Presenter: "web",
		RestsOn: &uma.Rests{
			Epoch: epoch, Generation: e.snapshot("photoz").Realm.Generation, User: alice.ID, UserVersion: alice.Version,
			Resources: map[uma.Key]int64{r.Key: r.Version}, Requests: map[uma.Key]int64{q.Key: q.Version},
			Policies: map[uma.Key]int64{policy.Key: policy.Version},
		},
		Records: []uma.Record{e.record("d1"), e.record("d2")}, Successor: e.ticket("successor"),
		Requests: []uma.Request{*e.request(r, "carol", "view")}, RPT: e.rpt("jti"), Refresh: e.refreshToken("s", "handle"),
	}
}

// happened returns the parts of a settlement that are stored.
func (e *env) happened(st *uma.Settlement) (parts []string) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		ctx := e.t.Context()
		add := func(part string, err error) {
			if err == nil {
				parts = append(parts, part)
			} else if !errors.Is(err, uma.ErrNotFound) {
				e.t.Fatal(err)
			}
		}
		_, err := v.Ticket(ctx, e.realm, uma.Digest("successor"), now)
		add("successor", err)
		_, err = v.RPT(ctx, e.realm, "jti")
		add("rpt", err)
		_, _, err = v.RefreshToken(ctx, e.realm, uma.Digest("handle"), now)
		add("refresh", err)
		_, err = v.Request(ctx, e.api, st.Requests[0].ID)
		add("request", err)
		_, err = v.SpentTicket(ctx, e.realm, uma.Digest("presented"))
		add("remembered", err)
		_, err = e.s.Decision(ctx, "d1")
		add("d1", err)
		_, err = e.s.Decision(ctx, "d2")
		add("d2", err)
	})
	if e.getTicket(e.realm, "presented", now) == nil {
		parts = append(parts, "spent")
	}
	return parts
}

// A move changes something that a settlement rests on, or asks for.
type move struct {
	party bool
	do    func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request)
}

var moves = map[string]move{
	"generation": {true, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		c := e.realmFile("photoz")
		c.Realm.SigningAlg = "RS256"
		e.apply(c)
	}},
	"key_rotation": {true, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		e.must(e.s.AddKey(e.t.Context(), "photoz", e.signingKey("ES256"), time.Time{}))
	}},
	"user": {true, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		c := e.realmFile("photoz")
		c.Users[0].Roles = nil
		e.apply(c)
		st.RestsOn.Generation = e.snapshot("photoz").Realm.Generation // only the user moves
	}},
	"disabled_user": {true, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		c := e.realmFile("photoz")
		c.Users[0].Enabled = false
		e.apply(c)
		st.RestsOn.Generation = e.snapshot("photoz").Realm.Generation
		st.RestsOn.UserVersion = e.user(e.realm, "alice").Version // only enabled moves
	}},
	"unknown_user": {true, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		st.RestsOn.User, st.RestsOn.Epoch = "unknown", 0 // which was not read
	}},
	"resource": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		change := *r
		change.Attributes = map[string][]string{"a": {"b"}}
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
	}},
	"removed_resource": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		st.RestsOn.Requests, st.RestsOn.Policies = nil, nil
		e.must(e.s.DeleteResource(e.t.Context(), e.api, r.ID))
	}},
	"withdrawn_share": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		e.must(e.s.DecideRequest(e.t.Context(), e.api, q.ID, false, now))
	}},
	"deleted_share": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		e.must(e.s.DeleteRequest(e.t.Context(), e.api, q.ID))
	}},
	"withdrawn_and_shared_again": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		e.must(e.s.DeleteRequest(e.t.Context(), e.api, q.ID))
		e.share(r, q.Requester, q.Scope)
	}},
	"deleted_policy": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		e.must(e.s.DeleteShare(e.t.Context(), e.api, e.policies(e.alice)[0].ID))
	}},
	"replaced_policy": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		policy := e.policies(e.alice)[0]
		policy.Users = append(policy.Users, "carol")
		e.must(e.s.ReplaceShare(e.t.Context(), policy))
	}},
	"policy_of_another_version": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		st.RestsOn.Epoch = 0
		for key := range st.RestsOn.Policies {
			st.RestsOn.Policies[key]--
		}
	}},
	"share_of_another_version": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		st.RestsOn.Epoch, st.RestsOn.Requests = 0, map[uma.Key]int64{q.Key: q.Version - 1}
	}},
	"share_that_is_no_longer_granted": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		pending := e.request(r, "dave", "view")
		e.must(e.s.CreateRequest(e.t.Context(), pending))
		st.RestsOn.Requests = map[uma.Key]int64{pending.Key: pending.Version}
	}},
	"requested_resource": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		gone := e.create(e.resource("Gone", "view"))
		st.Requests = append(st.Requests, *e.request(gone, e.bob, "view"))
		e.must(e.s.DeleteResource(e.t.Context(), e.api, gone.ID))
	}},
	"requested_scope": {false, func(e *env, st *uma.Settlement, r *uma.Resource, q *uma.Request) {
		st.Requests = append(st.Requests, *e.request(r, e.bob, "gone"))
	}},
}

var commitTests = withMoves(map[string]func(e *env){
	"commits_everything": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		st := e.settlement(r, e.share(r, e.bob, "view"))
		e.wantNoZeroFields(*st.RestsOn, ".Epoch") // which a store need not know
		e.want("before", e.happened(st), []string(nil))
		e.must(e.s.Commit(e.t.Context(), st))
		e.want("after", e.happened(st), []string{"successor", "rpt", "refresh", "request", "remembered", "d1", "d2", "spent"})
		rpt := e.rpt("jti")
		rpt.Expires, rpt.Keep = kept(rpt.Expires), kept(rpt.Keep)
		e.want("RPT", e.getRPT(e.realm, "jti"), rpt)
		e.want("state of the request", e.getRequest(st.Requests[0].ID).State, uma.Pending)
	},

	"a_spent_ticket_commits_nothing": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		st := e.settlement(r, e.share(r, e.bob, "view"))
		e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, Ticket: st.Ticket}))
		e.wantErr("commit", e.s.Commit(e.t.Context(), st), uma.ErrSpent)
		e.want("happened", e.happened(st), []string{"spent"})
	},

	"the_ticket_is_checked_first": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		st := e.settlement(r, e.share(r, e.bob, "view"))
		st.RestsOn.Generation++
		st.Ticket = uma.Digest("unknown")
		e.wantErr("commit", e.s.Commit(e.t.Context(), st), uma.ErrSpent)
	},

	"ticket_expires_by_the_clock_of_the_settlement": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		st := e.settlement(r, e.share(r, e.bob, "view"))
		st.Now = e.ticket("").Expires
		e.wantErr("when it expires", e.s.Commit(e.t.Context(), st), uma.ErrSpent)
		st.Reusable = true
		e.wantErr("reusable, when it expires", e.s.Commit(e.t.Context(), st), uma.ErrSpent)
		st.Reusable, st.Now = false, st.Now.Add(-time.Millisecond)
		e.must(e.s.Commit(e.t.Context(), st))
	},

	"reusable_ticket_stays": func(e *env) {
		e.must(e.s.SaveTicket(e.t.Context(), e.realm, e.ticket("t")))
		st := &uma.Settlement{Realm: e.realm, Now: now, Ticket: uma.Digest("t"), Reusable: true}
		for range 3 {
			e.must(e.s.Commit(e.t.Context(), st))
		}
		st.Ticket = uma.Digest("unknown")
		e.wantErr("unknown", e.s.Commit(e.t.Context(), st), uma.ErrSpent)
	},

	"stores_what_a_ticket_was_spent_on": func(e *env) {
		spend := func(ticket string, change func(st *uma.Settlement)) {
			e.must(e.s.SaveTicket(e.t.Context(), e.realm, e.ticket(ticket)))
			st := &uma.Settlement{Realm: e.realm, Now: now, Ticket: uma.Digest(ticket), Presenter: "web", RPT: e.rpt("rpt of " + ticket)}
			change(st)
			e.must(e.s.Commit(e.t.Context(), st))
		}
		spend("traded", func(st *uma.Settlement) {})
		spend("refused", func(st *uma.Settlement) { st.RPT = nil })
		spend("reusable", func(st *uma.Settlement) { st.Reusable = true })
		e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, RPT: e.rpt("no ticket")}))
		e.reading(func(v uma.View) {
			got, err := v.SpentTicket(e.t.Context(), e.realm, uma.Digest("traded"))
			e.must(err)
			e.wantNoZeroFields(got)
			e.want("spent on", got, &uma.SpentTicket{Client: "web", RPT: "rpt of traded"})
			for _, ticket := range []string{"refused", "reusable", "unknown"} {
				_, err = v.SpentTicket(e.t.Context(), e.realm, uma.Digest(ticket))
				e.wantErr(ticket, err, uma.ErrNotFound)
			}
			_, err = v.SpentTicket(e.t.Context(), e.otherRealm, uma.Digest("traded"))
			e.wantErr("in another realm", err, uma.ErrNotFound)
		})
	},

	"deletes_the_upgraded_rpt": func(e *env) {
		for _, realm := range []uma.Key{e.realm, e.otherRealm} {
			e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: realm, Now: now, RPT: e.rpt("old")}))
		}
		r := e.create(e.resource("Album", "view"))
		st := e.settlement(r, e.share(r, e.bob, "view"))
		st.Upgraded = "old"
		st.RestsOn.Generation++
		e.wantErr("moved", e.s.Commit(e.t.Context(), st), uma.ErrMoved)
		e.want("kept when the settlement fails", e.getRPT(e.realm, "old") != nil, true)
		st.RestsOn.Generation--
		e.must(e.s.Commit(e.t.Context(), st))
		e.want("upgraded", e.getRPT(e.realm, "old") == nil, true)
		e.want("its successor", e.getRPT(e.realm, "jti") != nil, true)
		e.want("in another realm", e.getRPT(e.otherRealm, "old") != nil, true)
	},

	"a_refusal_is_not_checked": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		st := e.settlement(r, e.share(r, e.bob, "view"))
		change := *r
		change.Type = "other"
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		st.RestsOn = nil
		e.must(e.s.Commit(e.t.Context(), st))
	},

	"service_account_rests_on_no_user": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		st := e.settlement(r, e.share(r, e.bob, "view"))
		st.RestsOn.User, st.RestsOn.UserVersion = "", 0
		e.must(e.s.Commit(e.t.Context(), st))
	},

	"user_of_another_realm": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		st := e.settlement(r, e.share(r, e.bob, "view"))
		foreign := e.user(e.otherRealm, "alice")
		st.RestsOn.Epoch = 0
		st.RestsOn.User, st.RestsOn.UserVersion = foreign.ID, foreign.Version
		e.wantErr("commit", e.s.Commit(e.t.Context(), st), uma.ErrMoved)
	},

	"existing_requests_stay_as_they_are": func(e *env) {
		r := e.create(e.resource("Album", "a", "b", "c"))
		granted, pending, denied := e.share(r, e.bob, "a"), e.request(r, e.bob, "b"), e.request(r, e.bob, "c")
		e.must(e.s.CreateRequest(e.t.Context(), pending))
		e.must(e.s.CreateRequest(e.t.Context(), denied))
		e.must(e.s.DecideRequest(e.t.Context(), e.api, denied.ID, false, now))
		st := &uma.Settlement{Realm: e.realm, Now: now}
		for _, scope := range []uma.Scope{"a", "b", "c"} {
			st.Requests = append(st.Requests, *e.request(r, e.bob, scope))
		}
		e.must(e.s.Commit(e.t.Context(), st))
		e.want("granted", e.getRequest(granted.ID).State, uma.Granted)
		e.want("pending", e.getRequest(pending.ID).Version, pending.Version)
		e.want("denied, asked again", e.getRequest(st.Requests[2].ID).State, uma.Pending)
		ids, _ := e.findRequests(e.api, uma.RequestFilter{}, 0, -1)
		wantSet(e, "requests", ids, granted.ID, pending.ID, st.Requests[2].ID)
	},

	"other_changes_do_not_move_it": func(e *env) {
		r, other := e.create(e.resource("Album", "view")), e.create(e.resource("Other", "view"))
		st := e.settlement(r, e.share(r, e.bob, "view"))
		e.share(r, "dave", "view")
		e.must(e.s.DeleteResource(e.t.Context(), e.api, other.ID))
		c := e.realmFile("elsewhere")
		c.Realm.SigningAlg = "RS256"
		e.apply(c)
		e.must(e.s.Commit(e.t.Context(), st))
	},
})

func withMoves(tests map[string]func(e *env)) map[string]func(e *env) {
	for name, m := range moves {
		tests["moved_by_"+name] = func(e *env) {
			r := e.create(e.resource("Album", "view"))
			q := e.share(r, e.bob, "view")
			st := e.settlement(r, q)
			m.do(e, st, r, q)
			err := e.s.Commit(e.t.Context(), st)
			e.wantErr("commit", err, uma.ErrMoved)
			moved, ok := errors.AsType[*uma.MovedError](err)
			if !ok || moved.Party != m.party {
				e.t.Errorf("got %#v, want Party %v", err, m.party)
			}
			e.want("happened", e.happened(st), []string(nil))
		}
	}
	return tests
}
