package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"example.com/umpire/uma"
)

// A randomStore has a few rows of each kind that is kept in memory, which random writes change.
type randomStore struct {
	e         *env
	t         *rapid.T
	made      int
	resources []*uma.Resource // also those that were deleted
	requests  []*uma.Request
	policies  []*uma.Share
	sessions  []string
}

var randomTests = map[string]func(e *env){
	"cached_views_agree_with_the_database": func(e *env) {
		e.trusting()
		rapid.Check(e.t, func(t *rapid.T) {
			s := &randomStore{e: e, t: t}
			writes := []func() error{s.create, s.replace, s.remove, s.share, s.decide, s.allow, s.allowOthers, s.forbid,
				s.start, s.end, s.revoke, s.enable, s.changeUser}
			for range rapid.IntRange(5, 25).Draw(t, "steps") {
				if err := rapid.SampledFrom(writes).Draw(t, "write")(); err != nil && !isRefusal(err) {
					t.Fatal(err)
				}
				for range rapid.IntRange(0, 2).Draw(t, "reads") {
					s.compare()
				}
			}
		})
	},
}

// isRefusal reports whether a write was not possible as things are.
func isRefusal(err error) bool {
	return errors.Is(err, uma.ErrNotFound) || errors.Is(err, uma.ErrConflict) || errors.Is(err, uma.ErrSpent)
}

// pick returns one of a list; ok is false if it is empty.
func pick[T any](t *rapid.T, list []T) (one T, ok bool) {
	if len(list) == 0 {
		return one, false
	}
	return rapid.SampledFrom(list).Draw(t, "which"), true
}

func (s *randomStore) name(of string) string {
	s.made++
	return fmt.Sprint(of, " ", s.made, " ", s.e.newID())
}

func (s *randomStore) create() error {
	r := s.e.resource(s.name("album"), "view", "edit")
	s.resources = append(s.resources, r)
	return s.e.s.CreateResource(s.e.t.Context(), r, s.e.newID)
}

func (s *randomStore) replace() error {
	r, ok := pick(s.t, s.resources)
	if !ok {
		return s.create()
	}
	next := *r
	next.Type = s.name("type")
	next.OwnerManaged = rapid.Bool().Draw(s.t, "owner managed")
	next.Scopes = rapid.SampledFrom([][]uma.Scope{nil, {"view"}, {"view", "edit"}}).Draw(s.t, "scopes")
	return s.e.s.ReplaceResource(s.e.t.Context(), &next, s.e.newID)
}

func (s *randomStore) remove() error {
	r, ok := pick(s.t, s.resources)
	if !ok {
		return nil
	}
	return s.e.s.DeleteResource(s.e.t.Context(), s.e.api, r.ID)
}

func (s *randomStore) share() error {
	r, ok := pick(s.t, s.resources)
	if !ok {
		return s.create()
	}
	q := s.e.request(r, s.e.bob, rapid.SampledFrom([]uma.Scope{"view", "edit"}).Draw(s.t, "scope"))
	q.State = rapid.SampledFrom([]string{uma.Pending, uma.Granted}).Draw(s.t, "state")
	q.Decided = now
	s.requests = append(s.requests, q)
	return s.e.s.CreateRequest(s.e.t.Context(), q)
}

func (s *randomStore) decide() error {
	q, ok := pick(s.t, s.requests)
	if !ok {
		return s.share()
	}
	return s.e.s.DecideRequest(s.e.t.Context(), s.e.api, q.ID, rapid.Bool().Draw(s.t, "grant"), now)
}

func (s *randomStore) allow() error {
	r, ok := pick(s.t, s.resources)
	if !ok {
		return s.create()
	}
	p := &uma.Share{ID: s.e.newID(), Kind: uma.ByPolicy, Name: s.name("policy"), Server: r.Server, Resource: r.Key, Owner: r.Owner,
		Scopes: []uma.Scope{"view"}, Users: []string{s.e.bob}, Strategy: "UNANIMOUS"}
	s.policies = append(s.policies, p)
	return s.e.s.CreateShare(s.e.t.Context(), p)
}

func (s *randomStore) allowOthers() error {
	p, ok := pick(s.t, s.policies)
	if !ok {
		return s.allow()
	}
	next := *p
	next.Users, next.Roles = nil, []string{rapid.SampledFrom([]string{"user", "nobody"}).Draw(s.t, "role")}
	return s.e.s.ReplaceShare(s.e.t.Context(), &next)
}

func (s *randomStore) forbid() error {
	p, ok := pick(s.t, s.policies)
	if !ok {
		return nil
	}
	return s.e.s.DeleteShare(s.e.t.Context(), s.e.api, p.ID)
}

func (s *randomStore) start() error {
	id := s.name("session")
	s.sessions = append(s.sessions, id)
	return s.e.s.StartSession(s.e.t.Context(), s.e.realm, s.e.session(id), s.e.refreshToken(id, id))
}

func (s *randomStore) end() error {
	id, ok := pick(s.t, s.sessions)
	if !ok {
		return s.start()
	}
	return s.e.s.EndSession(s.e.t.Context(), s.e.realm, id)
}

func (s *randomStore) revoke() error {
	id, ok := pick(s.t, s.sessions)
	if !ok {
		return s.start()
	}
	return s.e.s.Revoke(s.e.t.Context(), s.e.realm, "jti of "+id, now.Add(time.Hour))
}

func (s *randomStore) enable() error {
	u, err := s.e.s.AdmitParty(s.e.t.Context(), s.e.realm, s.e.admission(corp, "00u1", "Pat", ""))
	if err != nil {
		return err
	}
	return s.e.s.EnableParty(s.e.t.Context(), s.e.realm, u.ID, rapid.Bool().Draw(s.t, "enabled"))
}

func (s *randomStore) changeUser() error {
	roles := rapid.SampledFrom([][]string{{"user"}, {"user", "admin"}}).Draw(s.t, "roles")
	return s.e.changeAlice(func(u *uma.User) { u.Roles = roles })
}

// compare compares what a cached view says of everything with what a view says.
func (s *randomStore) compare() {
	s.e.t.Helper()
	sample := &sample{e: s.e}
	keys, ids := []uma.Key{}, []uma.ResourceID{}
	for _, r := range s.resources {
		keys, ids = append(keys, r.Key), append(ids, r.ID)
	}
	read := func(v uma.View) map[string]any {
		all := map[string]any{}
		for _, r := range s.resources {
			sample.r, sample.name = r, r.Name
			all[r.Name] = sample.read(v)
		}
		for _, id := range s.sessions {
			state, err := v.TokenState(s.e.t.Context(), s.e.realm, "jti of "+id, id)
			s.e.must(err)
			all[id] = state
		}
		shares, requests, err := v.Between(s.e.t.Context(), &uma.Party{ID: s.e.bob, Roles: []string{"user"}}, keys, now.Add(-time.Hour))
		s.e.must(err)
		found, err := v.ResourcesByID(s.e.t.Context(), s.e.api, ids)
		s.e.must(err)
		slices.SortFunc(found, func(a, b *uma.Resource) int { return int(a.Key - b.Key) })
		all["shares"], all["requests"], all["resources"] = shares, requests, found
		return all
	}
	v, err := s.e.s.View(s.e.t.Context())
	s.e.must(err)
	want := read(v)
	s.e.must(v.Close())
	s.e.reading(func(v uma.View) { s.e.want("cached", read(v), want) })
	if s.e.t.Failed() {
		s.t.FailNow()
	}
}
