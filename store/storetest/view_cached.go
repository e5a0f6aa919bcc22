package storetest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/uma"
)

// A sample is what a cached view reads in these tests: a token of alice, a party of an issuer,
// and a resource that is shared with bob by a request and by a policy.
type sample struct {
	e       *env
	r       *uma.Resource
	name    string // of r at first
	granted *uma.Request
	pending *uma.Request
	policy  *uma.Share
	party   *uma.User
}

func (e *env) sample() *sample {
	e.t.Helper()
	e.trusting()
	r := e.create(e.resource("Album", "view", "edit"))
	s := &sample{e: e, r: r, name: r.Name, granted: e.share(r, e.bob, "view"), pending: e.request(r, e.bob, "edit"),
		policy: e.sharePolicy(r, "policy", e.bob), party: e.admit(corp, "00u1", "Pat", "")}
	e.must(e.s.CreateRequest(e.t.Context(), s.pending))
	e.startSession("s", "handle")
	return s
}

// read returns what a view says of everything, or the errors of reading it.
func (s *sample) read(v uma.View) map[string]any {
	e, ctx := s.e, s.e.t.Context()
	found := map[string]any{}
	note := func(name string, err error, values ...any) {
		if err != nil && !errors.Is(err, uma.ErrNotFound) {
			e.t.Errorf("%s: %v", name, err)
		}
		found[name] = append(values, errors.Is(err, uma.ErrNotFound))
	}
	state, err := v.TokenState(ctx, e.realm, "jti", "s")
	note("token", err, state)
	state, err = v.TokenState(ctx, e.realm, "jti", "")
	note("token without a session", err, state)
	user, err := v.PartyOf(ctx, e.realm, corp, "00u1")
	note("party", err, user)
	r, err := v.Resource(ctx, e.api, s.r.ID)
	note("resource", err, r)
	r, err = v.ResourceByName(ctx, e.api, e.alice, s.name)
	note("resource by name", err, r)
	list, err := v.ResourcesByID(ctx, e.api, []uma.ResourceID{s.r.ID, "unknown", s.r.ID})
	note("resources", err, list)
	bob := &uma.Party{ID: e.bob, Roles: []string{"user"}, Client: "web"}
	for _, since := range []time.Time{now.Add(-time.Hour), now.Add(time.Hour)} {
		shares, requests, err := v.Between(ctx, bob, []uma.Key{s.r.Key}, since)
		note(fmt.Sprint("shares since ", since), err, shares, requests)
	}
	return found
}

// compare reads everything twice with cached views, and compares it with the database.
func (s *sample) compare(when string) map[string]any {
	s.e.t.Helper()
	v, err := s.e.s.View(s.e.t.Context())
	s.e.must(err)
	want := s.read(v)
	s.e.must(v.Close())
	for range 2 {
		s.e.reading(func(v uma.View) { s.e.want(when, s.read(v), want) })
	}
	return want
}

// changes are those of rows that a store may keep in memory.
var changes = map[string]func(e *env, s *sample) error{
	"revoke":       func(e *env, s *sample) error { return e.s.Revoke(e.t.Context(), e.realm, "jti", now.Add(time.Hour)) },
	"end_session":  func(e *env, s *sample) error { return e.s.EndSession(e.t.Context(), e.realm, "s") },
	"disable_user": func(e *env, s *sample) error { return e.changeAlice(func(u *uma.User) { u.Enabled = false }) },
	"change_roles": func(e *env, s *sample) error { return e.changeAlice(func(u *uma.User) { u.Roles = []string{"admin"} }) },
	"change_claims": func(e *env, s *sample) error {
		return e.changeAlice(func(u *uma.User) { u.Claims = map[string]any{"a": "b"} })
	},
	"delete_user":   func(e *env, s *sample) error { return e.removeAlice() },
	"disable_party": func(e *env, s *sample) error { return e.s.EnableParty(e.t.Context(), e.realm, s.party.ID, false) },
	"link_party": func(e *env, s *sample) error {
		return e.s.LinkIdentity(e.t.Context(), e.realm, s.party.ID, council, "x")
	},
	"rename_resource": func(e *env, s *sample) error { return s.replace(func(r *uma.Resource) { r.Name = "Renamed" }) },
	"change_scopes": func(e *env, s *sample) error {
		return s.replace(func(r *uma.Resource) { r.Scopes = []uma.Scope{"edit"} })
	},
	"stop_sharing":    func(e *env, s *sample) error { return s.replace(func(r *uma.Resource) { r.OwnerManaged = false }) },
	"delete_resource": func(e *env, s *sample) error { return e.s.DeleteResource(e.t.Context(), e.api, s.r.ID) },
	"withdraw_share": func(e *env, s *sample) error {
		return e.s.DecideRequest(e.t.Context(), e.api, s.granted.ID, false, now)
	},
	"delete_share":  func(e *env, s *sample) error { return e.s.DeleteRequest(e.t.Context(), e.api, s.granted.ID) },
	"grant_request": func(e *env, s *sample) error { return e.s.DecideRequest(e.t.Context(), e.api, s.pending.ID, true, now) },
	"deny_request": func(e *env, s *sample) error {
		return e.s.DecideRequest(e.t.Context(), e.api, s.pending.ID, false, now)
	},
	"delete_policy":     func(e *env, s *sample) error { return e.s.DeleteShare(e.t.Context(), e.api, s.policy.ID) },
	"policy_for_others": func(e *env, s *sample) error { return s.policyFor("carol") },
	"one_policy_more":   func(e *env, s *sample) error { e.sharePolicy(s.r, "another", e.bob); return nil },
	"one_share_more": func(e *env, s *sample) error {
		return s.approve(map[string][]uma.Scope{e.bob: {"view", "edit"}})
	},
	"share_with_nobody": func(e *env, s *sample) error { return s.approve(nil) },
}

// changeAlice changes the user alice as an apply does.
func (e *env) changeAlice(change func(u *uma.User)) error {
	c := e.trusting()
	change(c.Users[0])
	_, err := e.s.ApplyRealm(e.t.Context(), c)
	return err
}

// removeAlice applies a realm file without her, which is pruned.
func (e *env) removeAlice() error {
	c := e.trusting()
	c.Users, c.Prune = c.Users[1:], true
	_, err := e.s.ApplyRealm(e.t.Context(), c)
	return err
}

func (s *sample) replace(change func(r *uma.Resource)) error {
	next := *s.r
	change(&next)
	return s.e.s.ReplaceResource(s.e.t.Context(), &next, s.e.newID)
}

func (s *sample) policyFor(users ...string) error {
	next := *s.policy
	next.Users = users
	return s.e.s.ReplaceShare(s.e.t.Context(), &next)
}

func (s *sample) approve(grants map[string][]uma.Scope) error {
	return s.e.s.ShareResource(s.e.t.Context(), &uma.ShareChange{
		Realm: s.e.realm, Resource: s.r.Key, Owner: s.e.alice, Grants: grants, Only: true, NewID: s.e.newID, Now: now,
	})
}

var cachedTests = withChanges(map[string]func(e *env){
	"rows_that_are_new_are_found": func(e *env) {
		s := &sample{e: e, r: &uma.Resource{ID: "id of the album"}, name: "Album"}
		s.compare("of nothing")
		e.trusting()
		r := e.resource("Album", "view")
		r.ID = s.r.ID
		s.r = e.create(r)
		e.startSession("s", "handle")
		e.admit(corp, "00u1", "Pat", "")
		e.share(s.r, e.bob, "view")
		s.compare("of what is there now")
	},

	"a_view_is_of_one_state": func(e *env) {
		s := e.sample()
		s.compare("before")
		for round := range 20 {
			err := e.twice(func(v uma.View, change bool) error {
				before, err := v.Resource(e.t.Context(), e.api, s.r.ID)
				if err != nil || !change {
					return err
				}
				e.must(s.replace(func(r *uma.Resource) { r.Type = fmt.Sprint("type ", round) }))
				q := e.request(s.r, fmt.Sprint("somebody ", round), "view")
				e.must(e.s.CreateRequest(e.t.Context(), q))
				after, err := v.Resource(e.t.Context(), e.api, s.r.ID)
				if err != nil {
					return err
				}
				e.want("resource in the same view", after, before)
				_, err = v.Request(e.t.Context(), e.api, q.ID)
				if !errors.Is(err, uma.ErrNotFound) {
					return fmt.Errorf("a request that was made later: %w", err)
				}
				return nil
			})
			if err != nil && !errors.Is(err, uma.ErrTorn) {
				e.t.Errorf("round %d: %v", round, err)
			}
		}
	},

	"reading_again_succeeds": func(e *env) {
		s := e.sample()
		s.compare("before")
		calls := 0
		got, err := uma.Read(e.t.Context(), e.s, func(v uma.View) (*uma.Resource, error) {
			calls++
			if _, err := v.TokenState(e.t.Context(), e.realm, "jti", "s"); err != nil {
				return nil, err
			}
			e.must(e.s.EndSession(e.t.Context(), e.realm, "s")) // only the first ends it
			if _, err := v.Request(e.t.Context(), e.api, s.granted.ID); err != nil {
				return nil, err
			}
			return v.Resource(e.t.Context(), e.api, s.r.ID)
		})
		e.must(err)
		e.want("resource", got.ID, s.r.ID)
		if calls > 2 {
			e.t.Errorf("read %d times", calls)
		}
	},

	"withdrawal_is_seen_at_once": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		bob := &uma.Party{ID: e.bob, Client: "web"}
		shares := func() int {
			found, err := uma.Read(e.t.Context(), e.s, func(v uma.View) ([]uma.Share, error) {
				found, _, err := v.Between(e.t.Context(), bob, []uma.Key{r.Key}, now)
				return found, err
			})
			if err != nil {
				e.t.Error(err)
			}
			return len(found)
		}
		for range rounds {
			q := e.share(r, e.bob, "view")
			var withdrawn atomic.Bool
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for done := false; !done; {
						done = withdrawn.Load()
						if n := shares(); done && n > 0 {
							e.t.Error("a share is seen after its withdrawal")
						}
					}
				})
			}
			if err := e.s.DecideRequest(e.t.Context(), e.api, q.ID, false, now); err != nil {
				e.t.Error(err)
			}
			withdrawn.Store(true)
			wg.Wait()
		}
	},
})

// twice calls f with a view that reads for the first time, which may fill a cache, and then with
// one that changes rows.
func (e *env) twice(f func(v uma.View, change bool) error) error {
	v := e.view()
	e.must(errors.Join(f(v, false), v.Close()))
	v = e.view()
	err := f(v, true)
	return errors.Join(err, v.Close())
}

// withChanges adds a test for each change: it is seen at once.
func withChanges(tests map[string]func(e *env)) map[string]func(e *env) {
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		tests["sees_"+name] = func(e *env) {
			s := e.sample()
			before := s.compare("before")
			e.must(changes[name](e, s))
			after := s.compare("after")
			if reflect.DeepEqual(before, after) {
				e.t.Error("the change has changed nothing")
			}
		}
	}
	return tests
}
