package uma

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A world's view reads accounts from its resources and requests.

func (v *fakeView) UsersNamed(_ context.Context, _ Key, namesOrEmails []string) (map[string][]*User, error) {
	found := map[string][]*User{}
	for _, called := range namesOrEmails {
		name, _, _ := strings.Cut(strings.ToLower(called), "@")
		if u := v.users["u-"+name]; u != nil {
			found[called] = []*User{u}
		}
	}
	return found, v.read("UsersNamed")
}

func (v *fakeView) UsersByID(_ context.Context, _ Key, ids []string) (map[string]*User, error) {
	found := map[string]*User{}
	for _, id := range ids {
		if u := v.users[id]; u != nil {
			found[id] = u
		}
	}
	return found, v.read("UsersByID")
}

func (v *fakeView) owned(owner string) (found []*Resource) {
	for _, r := range v.resources {
		if r.Owner == owner {
			found = append(found, r)
		}
	}
	return found
}

func (v *fakeView) OwnedResource(_ context.Context, _ Key, owner string, id ResourceID) (*Resource, error) {
	var found *Resource
	for _, r := range v.owned(owner) {
		if r.ID == id {
			found = r
		}
	}
	return row(v.read("OwnedResource"), found)
}

func (v *fakeView) OwnedResources(_ context.Context, _ Key, owner, _ string, _, _ int) ([]*Resource, error) {
	return v.owned(owner), v.read("OwnedResources")
}

func (v *fakeView) SharedResources(_ context.Context, _ Key, f GrantedFilter, _, _ int) ([]*Resource, error) {
	var found []*Resource
	for _, r := range v.resources {
		if r.OwnerManaged && (f.Owner == "" || r.Owner == f.Owner) {
			found = append(found, r)
		}
	}
	return found, v.read("SharedResources")
}

func (v *fakeView) where(is func(*Request) bool) (found []Request) {
	for _, q := range v.requests {
		if is(&q) {
			found = append(found, q)
		}
	}
	slices.SortFunc(found, func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), strings.Compare(a.Requester, b.Requester), strings.Compare(string(a.Scope), string(b.Scope)))
	})
	return found
}

func (v *fakeView) RequestsFor(_ context.Context, resources []Key, state, requester string) ([]Request, error) {
	return v.where(func(q *Request) bool {
		return slices.Contains(resources, q.Resource) && q.State == state && (requester == "" || q.Requester == requester)
	}), v.read("RequestsFor")
}

func (v *fakeView) RealmRequest(_ context.Context, _ Key, id string) (*Request, error) {
	var found *Request
	for i := range v.requests {
		if v.requests[i].ID == id {
			found = &v.requests[i]
		}
	}
	return row(v.read("RealmRequest"), found)
}

func (v *fakeView) PendingOf(_ context.Context, _ Key, owner, after string, most int) ([]Request, error) {
	return v.pendingPage(func(q *Request) bool { return q.Owner == owner }, after, most), v.read("PendingOf")
}

func (v *fakeView) PendingBy(_ context.Context, _ Key, requester, after string, most int) ([]Request, error) {
	return v.pendingPage(func(q *Request) bool { return q.Requester == requester }, after, most), v.read("PendingBy")
}

func (v *fakeView) pendingPage(of func(*Request) bool, after string, most int) []Request {
	found := v.where(func(q *Request) bool { return q.State == Pending && q.ID > after && of(q) })
	slices.SortFunc(found, func(a, b Request) int { return strings.Compare(a.ID, b.ID) })
	return found[:min(most, len(found))]
}

func (v *fakeView) PendingBeside(_ context.Context, keys []Key) ([]Request, error) {
	of := v.where(func(q *Request) bool { return slices.Contains(keys, q.Key) })
	return v.where(func(q *Request) bool {
		return q.State == Pending && slices.ContainsFunc(of, func(o Request) bool { return o.Resource == q.Resource && o.Requester == q.Requester })
	}), v.read("PendingBeside")
}

func (s fakeStore) ShareResource(context.Context, *ShareChange) error { return s.write() }

func (s fakeStore) DecideRequests(_ context.Context, _ Key, _ string, granted map[string]bool, _ time.Time) error {
	return s.w.view.decide(granted)
}

// decide answers requests, all or none.
func (v *fakeView) decide(granted map[string]bool) error {
	v.w.step("write")
	at := map[int]bool{}
	for id, yes := range granted {
		i := slices.IndexFunc(v.requests, func(q Request) bool { return q.ID == id })
		switch {
		case i < 0:
			return ErrNotFound
		case v.requests[i].State != Pending:
			return ErrConflict
		}
		at[i] = yes
	}
	for i, yes := range at {
		v.requests[i].State = Refused
		if yes {
			v.requests[i].State = Granted
		}
	}
	return nil
}

// owner is a user who calls the account API.
func (w *world) owner(name string) *Owner {
	return &Owner{snap: w.snap, user: w.view.users["u-"+name]}
}

// asks adds pending requests for the album of alice, "ID REQUESTER SCOPE" each.
func (w *world) asks(requests ...string) {
	w.view.requests = nil
	for i, text := range requests {
		f := append(strings.Fields(text), "")
		w.view.requests = append(w.view.requests, Request{
			Key: Key(i + 1), ID: f[0], Server: 10, Resource: 103, ResourceID: "r-album", Owner: "u-alice", Requester: f[1], Scope: Scope(f[2]),
			State: Pending, Created: w.now.Add(time.Duration(-i) * time.Minute),
		})
	}
}

// states are those of all requests, in the order they were added in.
func (w *world) states() string {
	var out []string
	for _, q := range w.view.requests {
		out = append(out, q.ID+" "+q.State)
	}
	return strings.Join(out, ", ")
}

func TestOwner(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world, *Claims)
		bearer string
		want   Reason
	}{
		"a user":                 {func(*world, *Claims) {}, "access.of.bob", ""},
		"no token":               {func(*world, *Claims) {}, "", InvalidToken},
		"garbage":                {func(*world, *Claims) {}, "garbage", InvalidToken},
		"an ID token":            {func(_ *world, c *Claims) { c.Type = TypeID }, "access.of.bob", InvalidToken},
		"for a resource server":  {func(_ *world, c *Claims) { c.Audience = Audience{"photoz-api"} }, "access.of.bob", InsufficientScope},
		"for nobody":             {func(_ *world, c *Claims) { c.Audience = nil }, "access.of.bob", InsufficientScope},
		"of a service account":   {func(_ *world, c *Claims) { c.Subject, c.AuthorizedParty, c.SessionID = "uuid-app", "photoz-app", "" }, "access.of.bob", InsufficientScope},
		"of a user who is gone":  {func(w *world, _ *Claims) { delete(w.view.users, "u-bob") }, "access.of.bob", InvalidToken},
		"of a disabled user":     {func(w *world, _ *Claims) { w.view.users["u-bob"].Enabled = false }, "access.of.bob", InvalidToken},
		"account among audience": {func(_ *world, c *Claims) { c.Audience = Audience{"photoz-api", "account"} }, "access.of.bob", ""},
	} {
		w := newWorld(t)
		tc.change(w, w.tokens["access.of.bob"])
		c := &Caller{Bearer: tc.bearer, HasBearer: tc.bearer != ""}
		o, err := w.authority.Owner(t.Context(), w.snap, c)
		if reason(err) != tc.want || (err == nil) != (tc.want == "") {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
			continue
		}
		if err == nil && o.User().Username != "bob" {
			t.Errorf("%s: got %s", name, o.User().Username)
		}
		if known := tc.want != InvalidToken; known != (c.Client != nil) { // whose pages may read the answer
			t.Errorf("%s: got client %v", name, c.Client)
		}
	}
}

func TestShareWith(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		id    string
		how   ShareHow
		store error
		want  Reason
	}{
		"its own":                  {"r-album", ShareHow{}, nil, ""},
		"another's":                {"r-board", ShareHow{}, nil, NotFound},
		"gone meanwhile":           {"r-album", ShareHow{}, ErrNotFound, NotFound},
		"shared though to be new":  {"r-album", ShareHow{New: true}, ErrConflict, Conflict},
		"not shared though it was": {"r-album", ShareHow{There: true}, ErrConflict, NotFound},
		"too much to write":        {"r-album", ShareHow{}, ErrBusy, Busy},
	} {
		w := newWorld(t)
		s := &sharer{fakeStore: fakeStore{w: w}, err: tc.store}
		w.authority.Store = s
		err := w.authority.ShareWith(t.Context(), w.owner("alice"), tc.id, []UserScopes{{"BOB", scopesOf("view view")}}, tc.how)
		if reason(err) != tc.want || (err == nil) != (tc.want == "") {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
		if c := s.last; c != nil && (c.Owner != "u-alice" || c.Resource != 103 || fmt.Sprint(c.Grants) != "map[u-bob:[view]]" || c.New != tc.how.New || c.There != tc.how.There) {
			t.Errorf("%s: got change %+v", name, c)
		}
		if (s.last == nil) != (tc.id == "r-board") {
			t.Errorf("%s: got change %+v", name, s.last)
		}
	}
}

// A sharer remembers what it was to share.
type sharer struct {
	fakeStore
	err  error
	last *ShareChange
}

func (s *sharer) ShareResource(_ context.Context, c *ShareChange) error {
	s.last = c
	return s.err
}

// What one user asks of one resource is one pending request, whichever page its
// parts are on.
func TestPendingRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.asks("f u-bob view", "a u-bob comment", "b u-carol view", "e u-dave view", "c u-dave comment", "d u-erin view")
	for _, size := range []int{1, 2, 3, 10} {
		var got []string
		for after := ""; ; {
			page, err := w.authority.PendingRequests(t.Context(), w.owner("alice"), after, size)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				first, _, _ := strings.Cut(p.ID, ".")
				got = append(got, fmt.Sprintf("%s %s %v %d", first, p.User.ID, p.Scopes, w.now.Sub(p.When)/time.Minute))
			}
			if len(page) < size {
				break
			}
			after = page[len(page)-1].ID
		}
		want := []string{"a u-bob [comment view] 1", "b u-carol [view] 2", "c u-dave [comment view] 4", "d u-erin [view] 5"}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: got %q, want %q", size, got, want)
		}
	}
	if got, err := w.authority.PendingRequests(t.Context(), w.owner("bob"), "", 10); err != nil || len(got) > 0 {
		t.Errorf("who owns nothing: got %v %v", got, err)
	}
	var mine []string
	err := w.authority.RequestsBy(t.Context(), w.owner("bob"), func(r *SharedResource) error {
		mine = append(mine, fmt.Sprint(r.Name, r.Client.ID, r.Users[0].User.Username, r.Users[0].Scopes()))
		return nil
	})
	if want := []string{"Album photoz-api alice [comment]", "Album photoz-api alice [view]"}; err != nil || len(mine) != len(want) {
		t.Errorf("by bob: got %q %v, want %q", mine, err, want)
	}
}

func TestAnswerRequest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		who, id string
		approve bool
		scopes  []Scope
		reason  Reason
		states  string
	}{
		"approve":                   {"alice", "a", true, nil, "", "a granted, b granted, c pending"},
		"by another of its ids":     {"alice", "b", true, nil, Conflict, "a pending, b pending, c pending"},
		"by the first id alone":     {"alice", "-", true, nil, NotFound, "a pending, b pending, c pending"},
		"deny":                      {"alice", "a", false, nil, "", "a denied, b denied, c pending"},
		"approve in part":           {"alice", "a", true, scopesOf("view"), "", "a granted, b denied, c pending"},
		"approve nothing":           {"alice", "a", true, []Scope{}, InvalidScope, "a pending, b pending, c pending"},
		"approve what nobody asked": {"alice", "a", true, scopesOf("view delete"), InvalidScope, "a pending, b pending, c pending"},
		"one's own":                 {"bob", "a", true, nil, NotFound, "a pending, b pending, c pending"},
		"none":                      {"alice", "x", true, nil, NotFound, "a pending, b pending, c pending"},
	} {
		w := newWorld(t)
		w.asks("a u-bob view", "b u-bob comment", "c u-carol view")
		id := strings.Replace(tc.id, "-", "a", 1)
		switch tc.id {
		case "a":
			id = idOfAll([]Request{{ID: "b"}, {ID: "a"}})
		case "b":
			id = "b" + idOfAll([]Request{{ID: "a"}, {ID: "b"}})[1:]
		}
		err := w.authority.AnswerRequest(t.Context(), w.owner(tc.who), id, tc.approve, tc.scopes)
		if reason(err) != tc.reason || (err == nil) != (tc.reason == "") || w.states() != tc.states {
			t.Errorf("%s: got %v and %s, want %s and %s", name, err, w.states(), tc.reason, tc.states)
		}
		if err != nil {
			continue
		}
		if err := w.authority.AnswerRequest(t.Context(), w.owner(tc.who), id, !tc.approve, nil); reason(err) != Conflict || w.states() != tc.states {
			t.Errorf("%s: answered again: got %v and %s, want a conflict", name, err, w.states())
		}
	}
}

// An answer is to what the owner has seen: what is asked besides since then is not
// approved unseen.
func TestAnswerWhatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.asks("a u-bob view")
	seen, err := w.authority.PendingRequests(t.Context(), w.owner("alice"), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	w.asks("a u-bob view", "b u-bob delete")
	err = w.authority.AnswerRequest(t.Context(), w.owner("alice"), seen[0].ID, true, nil)
	if reason(err) != Conflict || w.states() != "a pending, b pending" {
		t.Errorf("got %v and %s, want a conflict", err, w.states())
	}
}

// A racer answers a request before everybody else does.
type racer struct {
	fakeStore
	before func()
}

func (r *racer) DecideRequests(_ context.Context, _ Key, _ string, granted map[string]bool, _ time.Time) error {
	r.before()
	return r.w.view.decide(granted)
}

func TestAnswerAll(t *testing.T) {
	t.Parallel()
	many := func(w *world) {
		var all []string
		for i := range 2*requestPage + 1 {
			all = append(all, fmt.Sprintf("q-%04d u-%d view", i, i))
		}
		w.asks(all...)
	}
	w := newWorld(t)
	many(w)
	if n, err := w.authority.AnswerAll(t.Context(), w.owner("alice"), true, nil); err != nil || n != 2*requestPage+1 || w.count("write") != 3 {
		t.Errorf("got %d %v in %d writes, want all in 3", n, err, w.count("write"))
	}
	if strings.Contains(w.states(), Pending) || strings.Contains(w.states(), Refused) {
		t.Errorf("got %s", w.states())
	}

	w.asks("a u-bob view", "b u-bob comment", "c u-carol view")
	if n, err := w.authority.AnswerAll(t.Context(), w.owner("alice"), false, scopesOf("view")); err != nil || n != 2 || w.states() != "a denied, b pending, c denied" {
		t.Errorf("of a scope: got %d %v and %s", n, err, w.states())
	}

	w.asks("a u-bob view", "b u-bob comment", "c u-carol view")
	turn := 0
	w.authority.Store = &racer{fakeStore{w: w}, func() {
		if turn++; turn == 1 {
			w.view.requests[1].State = Refused
		}
	}}
	if n, err := w.authority.AnswerAll(t.Context(), w.owner("alice"), true, nil); err != nil || n != 2 || w.states() != "a granted, b denied, c granted" {
		t.Errorf("in a race: got %d %v and %s", n, err, w.states())
	}

	many(w)
	w.authority.Store = &racer{fakeStore{w: w}, func() { w.view.requests = w.view.requests[1:] }}
	if _, err := w.authority.AnswerAll(t.Context(), w.owner("alice"), true, nil); reason(err) != Busy {
		t.Errorf("in a race that never ends: got %v, want busy", err)
	}
	w.authority.Store = &racer{fakeStore{w: w}, func() { panic(errors.New("nothing is to be answered")) }}
	if n, err := w.authority.AnswerAll(t.Context(), w.owner("bob"), true, nil); err != nil || n != 0 {
		t.Errorf("of who owns nothing: got %d %v", n, err)
	}
}

// A part of a name that too many names would have to be looked through for is no list.
// The exit turns the error into a refusal, since a list that was begun may end so, too.
func TestListsOfTooManyNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.owner("alice")
	w.authority.Store = &vagueStore{Store: w.authority.Store}
	for what, list := range map[string]func() (int, error){
		"owned": func() (int, error) {
			rows, err := w.authority.OwnedResources(t.Context(), alice, "y", 0, 10)
			return len(rows), err
		},
		"shared with others": func() (int, error) {
			rows, err := w.authority.SharedWithOthers(t.Context(), alice, &GrantedQuery{Name: "y", Max: 10})
			return len(rows), err
		},
		"shared with me": func() (int, error) {
			rows, err := w.authority.SharedWithMe(t.Context(), alice, "y", 0, 10)
			return len(rows), err
		},
	} {
		if n, err := list(); n > 0 || !errors.Is(err, ErrVague) {
			t.Errorf("%s: got %d resources and error %v, want %v", what, n, err, ErrVague)
		}
	}
}

// A vagueStore has too many names to look through.
type vagueStore struct{ Store }

func (s *vagueStore) View(ctx context.Context) (View, error) {
	v, err := s.Store.View(ctx)
	return &vagueView{v}, err
}

type vagueView struct{ View }

func (v *vagueView) OwnedResources(context.Context, Key, string, string, int, int) ([]*Resource, error) {
	return nil, ErrVague
}

func (v *vagueView) SharedResources(context.Context, Key, GrantedFilter, int, int) ([]*Resource, error) {
	return nil, ErrVague
}

// However many users are named, they are read together.
func TestUsersAreReadTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var grants []UserScopes
	var names []string
	for i := range 50 {
		name := fmt.Sprint("user", i)
		w.view.users["u-"+name] = &User{ID: "u-" + name, Username: name, Enabled: true}
		names, grants = append(names, name), append(grants, UserScopes{User: name, Scopes: scopesOf("view")})
	}
	w.authority.Store = &sharer{fakeStore: fakeStore{w: w}}
	if err := w.authority.ShareWith(t.Context(), w.owner("alice"), "r-album", grants, ShareHow{}); err != nil {
		t.Fatal(err)
	}
	if len(w.view.reads) > 3 {
		t.Errorf("to share with 50 users took the reads %q", w.view.reads)
	}
	p := &Protection{snap: w.snap, server: w.api, id: &identity{subject: "u-alice"}}
	w.view.reads, w.view.open = nil, 1
	ids, err := p.usersNamed(t.Context(), w.view, names)
	if err != nil || len(ids) != len(names) || len(w.view.reads) > 2 {
		t.Errorf("to name 50 users in a policy: got %d, %v after the reads %q", len(ids), err, w.view.reads)
	}
}
