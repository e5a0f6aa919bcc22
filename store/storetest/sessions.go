package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/umpire/uma"
)

func (e *env) session(id string) *uma.Session {
	return &uma.Session{ID: id, User: e.alice, Client: "api", Scope: "openid email", Started: now, Expires: now.Add(10 * time.Hour)}
}

func (e *env) refreshToken(session, handle string) *uma.RefreshToken {
	return &uma.RefreshToken{Hash: uma.Digest(handle), SessionID: session, Client: "api", Scope: "openid", RPT: "jti",
		Expires: now.Add(time.Hour)}
}

// plainToken is a refresh token of an access token that is no RPT.
func (e *env) plainToken(session, handle string) *uma.RefreshToken {
	t := e.refreshToken(session, handle)
	t.RPT = ""
	return t
}

// startSession stores a session of alice with its first refresh token, which is not of an RPT.
func (e *env) startSession(id, handle string) {
	e.t.Helper()
	e.must(e.s.StartSession(e.t.Context(), e.realm, e.session(id), e.plainToken(id, handle)))
}

func (e *env) rotate(handle, next string, at time.Time) error {
	return e.s.Rotate(e.t.Context(), e.realm, uma.Digest(handle), e.plainToken("s", next), nil, at)
}

// startRPT stores an RPT of the session s, which has begun, with its refresh token. Its handle is the
// jti.
func (e *env) startRPT(jti string) {
	e.t.Helper()
	rpt, token := e.rpt(jti), e.refreshToken("s", jti)
	rpt.Family, token.RPT = "", jti
	e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, RPT: rpt, Refresh: token}))
}

// refreshRPT refreshes an RPT of a family: see startRPT.
func (e *env) refreshRPT(family, jti, next string) error {
	rpt, token := e.rpt(next), e.refreshToken("s", next)
	rpt.Family, token.RPT = family, next
	return e.s.Rotate(e.t.Context(), e.realm, uma.Digest(jti), token, rpt, now)
}

// state reads the session of a token, and whether the token is revoked.
func (e *env) state(jti, session string) (revoked bool, s *uma.Session) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		state, err := v.TokenState(e.t.Context(), e.realm, jti, session)
		e.must(err)
		revoked, s = state.Revoked, state.Session
		if s == nil {
			e.want("user of a token without a session", state.User == nil, true)
			return
		}
		want, err := v.User(e.t.Context(), e.realm, s.User)
		e.must(err)
		want.Password, want.Origin = "", "" // which no decision may see
		e.want("user of the session", state.User, want)
	})
	return revoked, s
}

func (e *env) rpt(jti string) *uma.RPT {
	return &uma.RPT{
		JTI: jti, Family: "family of " + jti, Within: "in " + jti, Ticket: uma.Digest("ticket of " + jti), SessionID: "s", Subject: e.bob, Client: "web", Server: e.api,
		Permissions: []uma.Grant{{
			Resource: "r", Name: "Album", Scopes: []uma.Scope{"view"}, Claims: map[string][]string{"a": {"b"}}, Version: 3, Owner: "alice",
			Shares: []uma.GrantShare{{ID: "q", Version: 2, Scopes: []uma.Scope{"view"}}}, Inherited: []uma.Scope{"view"}, TTL: 60,
		}},
		Revision: "sha256:abc", Generation: 4, UserVersion: 5, Expires: now.Add(5 * time.Minute), Keep: now.Add(time.Hour),
	}
}

// getRPT reads an RPT, nil if it is not found.
func (e *env) getRPT(realm uma.Key, jti string) *uma.RPT {
	e.t.Helper()
	return find(e, func(v uma.View) (*uma.RPT, error) { return v.RPT(e.t.Context(), realm, jti) })
}

var sessionTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		e.startSession("s", "handle")
		want := e.session("s")
		want.Started, want.Expires = kept(want.Started), kept(want.Expires)
		e.wantNoZeroFields(*want, ".Ended")
		_, got := e.state("jti", "s")
		e.want("session", got, want)
		e.must(e.s.EndSession(e.t.Context(), e.realm, "s"))
		want.Ended = true
		_, got = e.state("jti", "s")
		e.want("ended session", got, want)
	},

	"refresh_token_round_trip": func(e *env) {
		want := e.refreshToken("s", "handle")
		e.must(e.s.StartSession(e.t.Context(), e.realm, e.session("s"), want))
		want = e.refreshToken("s", "handle")
		e.wantNoZeroFields(*want)
		at := want.Expires
		want.Expires = kept(want.Expires)
		e.reading(func(v uma.View) {
			ctx := e.t.Context()
			got, spent, err := v.RefreshToken(ctx, e.realm, want.Hash, now)
			e.must(err)
			e.want("refresh token", got, want)
			e.want("spent", spent, false)
			_, _, err = v.RefreshToken(ctx, e.realm, want.Hash, at)
			e.wantErr("expired", err, uma.ErrNotFound)
			_, _, err = v.RefreshToken(ctx, e.otherRealm, want.Hash, now)
			e.wantErr("in another realm", err, uma.ErrNotFound)
		})
	},

	"rotation": func(e *env) {
		e.startSession("s", "first")
		rpt := e.rpt("jti")
		next := e.refreshToken("s", "second")
		e.must(e.s.Rotate(e.t.Context(), e.realm, uma.Digest("first"), next, rpt, now))
		e.reading(func(v uma.View) {
			ctx := e.t.Context()
			_, spent, err := v.RefreshToken(ctx, e.realm, uma.Digest("first"), now)
			e.must(err)
			e.want("the first is spent", spent, true)
			got, spent, err := v.RefreshToken(ctx, e.realm, uma.Digest("second"), now)
			e.must(err)
			e.want("the second is spent", spent, false)
			next.Expires = kept(next.Expires)
			e.want("successor", got, next)
		})
		rpt.Expires, rpt.Keep = kept(rpt.Expires), kept(rpt.Keep)
		e.wantNoZeroFields(*rpt)
		e.want("RPT", e.getRPT(e.realm, "jti"), rpt)
		if e.getRPT(e.otherRealm, "jti") != nil {
			e.t.Error("the RPT is found in another realm")
		}
		e.must(e.rotate("second", "third", now))
	},

	"reuse_ends_the_session": func(e *env) {
		e.startSession("s", "first")
		e.must(e.rotate("first", "second", now))
		e.wantErr("reuse", e.rotate("first", "stolen", now), uma.ErrSpent)
		_, s := e.state("jti", "s")
		e.want("ended", s.Ended, true)
		e.wantErr("the successor", e.rotate("second", "third", now), uma.ErrNotFound)
		e.wantErr("the token that a thief asked for", e.rotate("stolen", "fourth", now), uma.ErrNotFound)
		e.wantErr("reuse again", e.rotate("first", "again", now), uma.ErrSpent)
	},

	"rotation_of_unknown_and_expired_tokens": func(e *env) {
		e.startSession("s", "handle")
		e.wantErr("unknown", e.rotate("unknown", "next", now), uma.ErrNotFound)
		e.wantErr("expired", e.rotate("handle", "next", now.Add(time.Hour)), uma.ErrNotFound)
		err := e.s.Rotate(e.t.Context(), e.otherRealm, uma.Digest("handle"), e.refreshToken("s", "next"), nil, now)
		e.wantErr("in another realm", err, uma.ErrNotFound)
		_, s := e.state("jti", "s")
		e.want("ended by one of those", s.Ended, false)
		e.must(e.rotate("handle", "next", now)) // none of them spent it
	},

	"rotation_after_the_session_has_ended": func(e *env) {
		t := e.plainToken("s", "handle")
		t.Expires = now.Add(100 * time.Hour)
		e.must(e.s.StartSession(e.t.Context(), e.realm, e.session("s"), t))
		e.wantErr("expired", e.rotate("handle", "next", now.Add(10*time.Hour)), uma.ErrNotFound)
		e.must(e.s.EndSession(e.t.Context(), e.realm, "s"))
		e.wantErr("ended", e.rotate("handle", "next", now), uma.ErrNotFound)
	},

	"an_rpt_may_be_dropped_twice_and_in_its_realm_only": func(e *env) {
		for _, realm := range []uma.Key{e.realm, e.otherRealm} {
			e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: realm, Now: now, RPT: e.rpt("jti")}))
		}
		e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, RPT: e.rpt("other")}))
		for range 2 {
			e.must(e.s.DropRPT(e.t.Context(), e.realm, "jti"))
			e.want("dropped", e.getRPT(e.realm, "jti") == nil, true)
		}
		e.want("another", e.getRPT(e.realm, "other") != nil, true)
		e.want("in another realm", e.getRPT(e.otherRealm, "jti") != nil, true)
	},

	"an_rpt_is_dropped_with_its_refreshed_copies_and_its_access_token": func(e *env) {
		ctx := e.t.Context()
		for _, dropped := range []string{"first", "copy"} {
			first, copied, other := e.rpt("first"), e.rpt("copy"), e.rpt("other")
			first.Family, copied.Family, other.Family, other.Within = "", "first", "", ""
			first.Within = "within " + dropped
			for _, r := range []*uma.RPT{first, copied, other} {
				e.must(e.s.DropRPT(ctx, e.realm, r.JTI))
				e.must(e.s.Commit(ctx, &uma.Settlement{Realm: e.realm, Now: now, RPT: r}))
			}
			e.must(e.s.DropRPT(ctx, e.realm, dropped))
			e.want("the first", e.getRPT(e.realm, "first") == nil, true)
			e.want("its copy", e.getRPT(e.realm, "copy") == nil, true)
			e.want("another", e.getRPT(e.realm, "other") != nil, true)
			revoked, _ := e.state(first.Within, "")
			e.want("the token within", revoked, true)
		}
	},

	// A refresh that has read the RPT before it was dropped must not keep its family alive.
	"an_rpt_that_was_dropped_is_not_refreshed": func(e *env) {
		e.startSession("s", "handle")
		for i, refreshed := range []bool{false, true} {
			first, second, late := fmt.Sprint("first", i), fmt.Sprint("second", i), fmt.Sprint("late", i)
			e.startRPT(first)
			last := first
			if refreshed {
				e.must(e.refreshRPT(first, first, second))
				last = second
			}
			e.must(e.s.DropRPT(e.t.Context(), e.realm, first))
			e.wantErr("refresh of "+last, e.refreshRPT(first, last, late), uma.ErrNotFound)
			e.want("its copy", e.getRPT(e.realm, late) == nil, true)
			e.wantErr("refresh of the copy", e.refreshRPT(first, late, "later"), uma.ErrNotFound)
		}
		e.must(e.rotate("handle", "next", now)) // the session goes on
	},

	"rpt_is_dropped_before_or_after_a_refresh": func(e *env) {
		e.startSession("s", "handle")
		for round := range rounds {
			first := fmt.Sprint("rpt", round)
			names := []string{first, first + "-2", first + "-3", first + "-4"}
			e.startRPT(first)
			var wg sync.WaitGroup
			start := make(chan struct{})
			wg.Go(func() {
				<-start
				for i, next := range names[1:] {
					if err := e.refreshRPT(first, names[i], next); err != nil && !errors.Is(err, uma.ErrNotFound) {
						e.t.Error(err)
					}
				}
			})
			wg.Go(func() {
				<-start
				if err := e.s.DropRPT(e.t.Context(), e.realm, first); err != nil {
					e.t.Error(err)
				}
			})
			close(start)
			wg.Wait()
			for _, name := range names {
				if e.getRPT(e.realm, name) != nil {
					e.t.Errorf("round %d: %s is still there", round, name)
				}
			}
		}
	},

	"may_be_ended_twice_and_in_its_realm_only": func(e *env) {
		e.startSession("s", "handle")
		e.must(e.s.EndSession(e.t.Context(), e.realm, "unknown"))
		e.must(e.s.EndSession(e.t.Context(), e.otherRealm, "s"))
		_, s := e.state("jti", "s")
		e.want("ended", s.Ended, false)
	},

	"state_of_tokens": func(e *env) {
		e.startSession("s", "handle")
		ctx := e.t.Context()
		e.must(e.s.Revoke(ctx, e.realm, "bad", now.Add(time.Minute)))
		e.must(e.s.Revoke(ctx, e.realm, "bad", now.Add(time.Minute)))
		e.must(e.s.Revoke(ctx, e.otherRealm, "good", now.Add(time.Minute)))
		for _, session := range []string{"", "s"} {
			for jti, want := range map[string]bool{"bad": true, "good": false, "BAD": false} {
				revoked, s := e.state(jti, session)
				e.want(jti+" revoked", revoked, want)
				e.want("with a session", s != nil, session != "")
			}
		}
		e.reading(func(v uma.View) {
			_, err := v.TokenState(ctx, e.realm, "good", "unknown")
			e.wantErr("unknown session", err, uma.ErrNotFound)
			_, err = v.TokenState(ctx, e.otherRealm, "good", "s")
			e.wantErr("session of another realm", err, uma.ErrNotFound)
		})
	},
}
