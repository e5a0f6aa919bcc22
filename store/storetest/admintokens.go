package storetest

import (
	"fmt"
	"time"

	"example.com/umpire/uma"
)

// adminToken makes an admin token of photoz.
func (e *env) adminToken(name string) *uma.AdminToken {
	return &uma.AdminToken{
		ID: e.newID(), Realm: "photoz", Name: name, Right: uma.AdminPolicy, Note: "for the pipeline", By: "carol",
		Hash: uma.Digest(name), Created: now, Expires: now.Add(time.Hour),
	}
}

func (e *env) createAdminToken(name string) *uma.AdminToken {
	e.t.Helper()
	t := e.adminToken(name)
	e.must(e.s.CreateAdminToken(e.t.Context(), t))
	return t
}

func (e *env) adminUse(t *uma.AdminToken, at time.Time) *uma.AdminUse {
	return &uma.AdminUse{
		Token: t.ID, Name: t.Name, Realm: t.Realm, Time: at, IP: "10.0.0.1", Request: "r-1", Operation: "policy activate", Detail: "revision a",
	}
}

func (e *env) use(t *uma.AdminToken, at time.Time) *uma.AdminUse {
	e.t.Helper()
	u := e.adminUse(t, at)
	e.must(e.s.BeginAdminUse(e.t.Context(), u))
	return u
}

func (e *env) adminUses(f uma.AdminUseFilter, limit int) (seqs []int64) {
	e.t.Helper()
	found, err := e.s.FindAdminUses(e.t.Context(), f, limit)
	e.must(err)
	for _, u := range found {
		seqs = append(seqs, u.Seq)
	}
	return seqs
}

var adminTokenTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		t := e.createAdminToken("deploy-bot")
		want := *t
		want.Created, want.Expires = kept(t.Created), kept(t.Expires)
		e.wantNoZeroFields(want, ".Revoked")
		got, err := e.s.AdminToken(e.t.Context(), t.Hash)
		e.must(err)
		e.want("token", *got, want)
		_, err = e.s.AdminToken(e.t.Context(), uma.Digest("another"))
		e.wantErr("another hash", err, uma.ErrNotFound)
	},

	"lists": func(e *env) {
		first, second, foreign := e.createAdminToken("z"), e.createAdminToken("a"), e.adminToken("b")
		foreign.Realm = "elsewhere"
		e.must(e.s.CreateAdminToken(e.t.Context(), foreign))
		for realm, want := range map[string][]string{
			"photoz": {first.ID, second.ID}, "elsewhere": {foreign.ID}, "": {first.ID, second.ID, foreign.ID}, "nowhere": nil,
		} {
			tokens, err := e.s.ListAdminTokens(e.t.Context(), realm)
			e.must(err)
			var got []string
			for _, t := range tokens {
				got = append(got, t.ID)
			}
			e.want("tokens of "+realm, got, want)
		}
	},

	"names_are_unique_until_revoked": func(e *env) {
		t := e.createAdminToken("deploy-bot")
		again := e.adminToken("deploy-bot")
		again.Hash = uma.Digest("again")
		e.wantErr("a second of that name", e.s.CreateAdminToken(e.t.Context(), again), uma.ErrConflict)
		foreign := *again
		foreign.ID, foreign.Realm, foreign.Hash = e.newID(), "elsewhere", uma.Digest("foreign")
		e.must(e.s.CreateAdminToken(e.t.Context(), &foreign))
		_, err := e.s.RevokeAdminToken(e.t.Context(), "photoz", t.ID, now)
		e.must(err)
		e.must(e.s.CreateAdminToken(e.t.Context(), again))
		nowhere := e.adminToken("other")
		nowhere.Realm = "nowhere"
		e.wantErr("of no realm", e.s.CreateAdminToken(e.t.Context(), nowhere), uma.ErrNotFound)
	},

	"revoked_by_name_or_id": func(e *env) {
		byName, byID := e.createAdminToken("a"), e.createAdminToken("b")
		for _, each := range []struct {
			word string
			t    *uma.AdminToken
		}{{"a", byName}, {byID.ID, byID}} {
			_, err := e.s.RevokeAdminToken(e.t.Context(), "elsewhere", each.word, now)
			e.wantErr("of another realm", err, uma.ErrNotFound)
			got, err := e.s.RevokeAdminToken(e.t.Context(), "photoz", each.word, now.Add(time.Minute))
			e.must(err)
			e.want("revoked", got.ID, each.t.ID)
			stored, err := e.s.AdminToken(e.t.Context(), each.t.Hash)
			e.must(err)
			e.want("stored", stored, got)
			e.want("at", stored.Revoked, kept(now.Add(time.Minute)))
		}
		_, err := e.s.RevokeAdminToken(e.t.Context(), "photoz", "a", now)
		e.wantErr("a name of none that is left", err, uma.ErrNotFound)
		again, err := e.s.RevokeAdminToken(e.t.Context(), "photoz", byID.ID, now.Add(time.Hour))
		e.must(err)
		e.want("the first revocation", again.Revoked, kept(now.Add(time.Minute)))
	},

	"use_round_trip": func(e *env) {
		t := e.createAdminToken("deploy-bot")
		u := e.use(t, now)
		found, err := e.s.FindAdminUses(e.t.Context(), uma.AdminUseFilter{}, 10)
		e.must(err)
		want := *u
		want.Time = kept(now)
		e.wantNoZeroFields(want, ".Outcome")
		e.want("begun", found, []uma.AdminUse{want})
		u.Outcome, u.Detail = "ok", "revision b"
		e.must(e.s.EndAdminUse(e.t.Context(), u))
		want.Outcome, want.Detail = "ok", "revision b"
		found, err = e.s.FindAdminUses(e.t.Context(), uma.AdminUseFilter{}, 10)
		e.must(err)
		e.want("ended", found, []uma.AdminUse{want})
	},

	"no_use_of_a_token_that_has_ended": func(e *env) {
		t := e.createAdminToken("deploy-bot")
		e.use(t, now)
		e.wantErr("expired", e.s.BeginAdminUse(e.t.Context(), e.adminUse(t, t.Expires)), uma.ErrNotFound)
		_, err := e.s.RevokeAdminToken(e.t.Context(), "photoz", t.ID, now)
		e.must(err)
		e.wantErr("revoked", e.s.BeginAdminUse(e.t.Context(), e.adminUse(t, now)), uma.ErrNotFound)
		e.wantErr("unknown", e.s.BeginAdminUse(e.t.Context(), e.adminUse(e.adminToken("x"), now)), uma.ErrNotFound)
		e.want("uses", len(e.adminUses(uma.AdminUseFilter{}, 10)), 1)

		forever := e.adminToken("forever")
		forever.Expires = time.Time{}
		e.must(e.s.CreateAdminToken(e.t.Context(), forever))
		e.use(forever, now.AddDate(100, 0, 0))
	},

	"uses_are_found_newest_first": func(e *env) {
		a, b, foreign := e.createAdminToken("a"), e.createAdminToken("b"), e.adminToken("c")
		foreign.Realm = "elsewhere"
		e.must(e.s.CreateAdminToken(e.t.Context(), foreign))
		var s []int64
		for _, t := range []*uma.AdminToken{a, b, foreign, a} {
			s = append(s, e.use(t, now).Seq)
		}
		for what, test := range map[string]struct {
			f     uma.AdminUseFilter
			limit int
			want  []int64
		}{
			"all":                     {uma.AdminUseFilter{}, 10, []int64{s[3], s[2], s[1], s[0]}},
			"a page":                  {uma.AdminUseFilter{}, 2, []int64{s[3], s[2]}},
			"the next":                {uma.AdminUseFilter{Before: s[2]}, 10, []int64{s[1], s[0]}},
			"of a realm":              {uma.AdminUseFilter{Realm: "photoz"}, 10, []int64{s[3], s[1], s[0]}},
			"of a realm, the next":    {uma.AdminUseFilter{Realm: "photoz", Before: s[3]}, 1, []int64{s[1]}},
			"of a token":              {uma.AdminUseFilter{Token: a.ID}, 10, []int64{s[3], s[0]}},
			"of a token and realm":    {uma.AdminUseFilter{Token: a.ID, Realm: "elsewhere"}, 10, nil},
			"of a token, the next":    {uma.AdminUseFilter{Token: a.ID, Before: s[3]}, 10, []int64{s[0]}},
			"of a token that has not": {uma.AdminUseFilter{Token: "none"}, 10, nil},
		} {
			e.want(what, e.adminUses(test.f, test.limit), test.want)
		}
	},

	"old_uses_are_pruned": func(e *env) {
		t := e.createAdminToken("a")
		var s []int64
		for i := range 4 {
			s = append(s, e.use(t, now.Add(time.Duration(i)*time.Minute)).Seq)
		}
		for _, want := range []int{2, 1, 0} {
			n, err := e.s.PruneAdminUses(e.t.Context(), now.Add(3*time.Minute), 2)
			e.must(err)
			e.want(fmt.Sprint("removed, of ", want), n, want)
		}
		e.want("left", e.adminUses(uma.AdminUseFilter{}, 10), s[3:])
		if after := e.use(t, now).Seq; after <= s[3] {
			e.t.Errorf("got number %d after %d", after, s[3])
		}
	},
}
