package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// owner is a user who calls the account API.
func (w *world) owner(name string) *Owner {
	return &Owner{Snap: w.Snap, User: w.View.Users["u-"+name]}
}

// asks adds pending requests for the album of alice, "ID REQUESTER SCOPE" each.
func (w *world) asks(requests ...string) {
	w.View.Requests = nil
	for i, text := range requests {
		f := append(strings.Fields(text), "")
		w.View.Requests = append(w.View.Requests, uma.Request{
			Key: uma.Key(i + 1), ID: f[0], Server: 10, Resource: 103, ResourceID: "r-album", Owner: "u-alice", Requester: f[1], Scope: uma.Scope(f[2]),
			State: uma.Pending, Created: w.Now.Add(time.Duration(-i) * time.Minute),
		})
	}
}

// states are those of all requests, in the order they were added in.
func (w *world) states() string {
	var out []string
	for _, q := range w.View.Requests {
		out = append(out, q.ID+" "+q.State)
	}
	return strings.Join(out, ", ")
}

func TestOwner(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world, *uma.Claims)
		bearer string
		want   uma.Reason
	}{
		"a user":                {func(*world, *uma.Claims) {}, "access.of.bob", ""},
		"no token":              {func(*world, *uma.Claims) {}, "", uma.InvalidToken},
		"garbage":               {func(*world, *uma.Claims) {}, "garbage", uma.InvalidToken},
		"an ID token":           {func(_ *world, c *uma.Claims) { c.Type = uma.TypeID }, "access.of.bob", uma.InvalidToken},
		"for a resource server": {func(_ *world, c *uma.Claims) { c.Audience = uma.Audience{"photoz-api"} }, "access.of.bob", uma.InsufficientScope},
		"for nobody":            {func(_ *world, c *uma.Claims) { c.Audience = nil }, "access.of.bob", uma.InsufficientScope},
		"of a service account": {func(_ *world, c *uma.Claims) {
			c.Subject, c.AuthorizedParty, c.SessionID = "uuid-app", "photoz-app", ""
		}, "access.of.bob", uma.InsufficientScope},
		"of a user who is gone":  {func(w *world, _ *uma.Claims) { delete(w.View.Users, "u-bob") }, "access.of.bob", uma.InvalidToken},
		"of a disabled user":     {func(w *world, _ *uma.Claims) { w.View.Users["u-bob"].Enabled = false }, "access.of.bob", uma.InvalidToken},
		"account among audience": {func(_ *world, c *uma.Claims) { c.Audience = uma.Audience{"photoz-api", "account"} }, "access.of.bob", ""},
	} {
		w := newWorld(t)
		tc.change(w, w.Tokens["access.of.bob"])
		id, err := w.party.Presented(t.Context(), w.Snap, &party.Caller{Bearer: tc.bearer, HasBearer: tc.bearer != ""}, uma.InvalidToken)
		var o *Owner
		if err == nil {
			o, err = OwnerOf(w.Snap, id)
		}
		if umatest.Reason(err) != tc.want || (err == nil) != (tc.want == "") {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
			continue
		}
		if err == nil && o.User.Username != "bob" {
			t.Errorf("%s: got %s", name, o.User.Username)
		}
		if known := tc.want != uma.InvalidToken; known != (id != nil) { // whose pages may read the answer
			t.Errorf("%s: got identity %v", name, id)
		}
	}
}

func TestShareWith(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		id    string
		how   ShareOptions
		store error
		want  uma.Reason
	}{
		"its own":                  {"r-album", ShareOptions{}, nil, ""},
		"another's":                {"r-board", ShareOptions{}, nil, uma.NotFound},
		"gone meanwhile":           {"r-album", ShareOptions{}, uma.ErrNotFound, uma.NotFound},
		"shared though to be new":  {"r-album", ShareOptions{New: true}, uma.ErrConflict, uma.Conflict},
		"not shared though it was": {"r-album", ShareOptions{There: true}, uma.ErrConflict, uma.NotFound},
		"too much to write":        {"r-album", ShareOptions{}, uma.ErrBusy, uma.Busy},
	} {
		w := newWorld(t)
		s := &sharer{FakeStore: umatest.FakeStore{W: w.World}, err: tc.store}
		w.service.Store = s
		err := w.service.ShareWith(t.Context(), w.owner("alice"), tc.id, []UserScopes{{"BOB", umatest.ScopesOf("view view")}}, tc.how)
		if umatest.Reason(err) != tc.want || (err == nil) != (tc.want == "") {
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
	umatest.FakeStore
	err  error
	last *uma.ShareChange
}

func (s *sharer) ShareResource(_ context.Context, c *uma.ShareChange) error {
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
			page, err := w.service.PendingRequests(t.Context(), w.owner("alice"), after, size)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				first, _, _ := strings.Cut(p.ID, ".")
				got = append(got, fmt.Sprintf("%s %s %v %d", first, p.User.ID, p.Scopes, w.Now.Sub(p.When)/time.Minute))
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
	if got, err := w.service.PendingRequests(t.Context(), w.owner("bob"), "", 10); err != nil || len(got) > 0 {
		t.Errorf("who owns nothing: got %v %v", got, err)
	}
	var mine []string
	err := w.service.RequestsBy(t.Context(), w.owner("bob"), func(r *SharedResource) error {
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
		scopes  []uma.Scope
		reason  uma.Reason
		states  string
	}{
		"approve":                   {"alice", "a", true, nil, "", "a granted, b granted, c pending"},
		"by another of its ids":     {"alice", "b", true, nil, uma.Conflict, "a pending, b pending, c pending"},
		"by the first id alone":     {"alice", "-", true, nil, uma.NotFound, "a pending, b pending, c pending"},
		"deny":                      {"alice", "a", false, nil, "", "a denied, b denied, c pending"},
		"approve in part":           {"alice", "a", true, umatest.ScopesOf("view"), "", "a granted, b denied, c pending"},
		"approve nothing":           {"alice", "a", true, []uma.Scope{}, uma.InvalidScope, "a pending, b pending, c pending"},
		"approve what nobody asked": {"alice", "a", true, umatest.ScopesOf("view delete"), uma.InvalidScope, "a pending, b pending, c pending"},
		"one's own":                 {"bob", "a", true, nil, uma.NotFound, "a pending, b pending, c pending"},
		"none":                      {"alice", "x", true, nil, uma.NotFound, "a pending, b pending, c pending"},
	} {
		w := newWorld(t)
		w.asks("a u-bob view", "b u-bob comment", "c u-carol view")
		id := strings.Replace(tc.id, "-", "a", 1)
		switch tc.id {
		case "a":
			id = groupID([]uma.Request{{ID: "b"}, {ID: "a"}})
		case "b":
			id = "b" + groupID([]uma.Request{{ID: "a"}, {ID: "b"}})[1:]
		}
		err := w.service.AnswerRequest(t.Context(), w.owner(tc.who), id, tc.approve, tc.scopes)
		if umatest.Reason(err) != tc.reason || (err == nil) != (tc.reason == "") || w.states() != tc.states {
			t.Errorf("%s: got %v and %s, want %s and %s", name, err, w.states(), tc.reason, tc.states)
		}
		if err != nil {
			continue
		}
		if err := w.service.AnswerRequest(t.Context(), w.owner(tc.who), id, !tc.approve, nil); umatest.Reason(err) != uma.Conflict || w.states() != tc.states {
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
	seen, err := w.service.PendingRequests(t.Context(), w.owner("alice"), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	w.asks("a u-bob view", "b u-bob delete")
	err = w.service.AnswerRequest(t.Context(), w.owner("alice"), seen[0].ID, true, nil)
	if umatest.Reason(err) != uma.Conflict || w.states() != "a pending, b pending" {
		t.Errorf("got %v and %s, want a conflict", err, w.states())
	}
}

// A racer answers a request before everybody else does.
type racer struct {
	umatest.FakeStore
	before func()
}

func (r *racer) DecideRequests(_ context.Context, _ uma.Key, _ string, granted map[string]bool, _ time.Time) error {
	r.before()
	return r.W.View.Decide(granted)
}

func TestAnswerAll(t *testing.T) {
	t.Parallel()
	many := func(w *world) {
		var all []string
		for i := range 2*uma.RequestPage + 1 {
			all = append(all, fmt.Sprintf("q-%04d u-%d view", i, i))
		}
		w.asks(all...)
	}
	w := newWorld(t)
	many(w)
	if n, err := w.service.AnswerAll(t.Context(), w.owner("alice"), true, nil); err != nil || n != 2*uma.RequestPage+1 || w.Count("write") != 3 {
		t.Errorf("got %d %v in %d writes, want all in 3", n, err, w.Count("write"))
	}
	if strings.Contains(w.states(), uma.Pending) || strings.Contains(w.states(), uma.Refused) {
		t.Errorf("got %s", w.states())
	}

	w.asks("a u-bob view", "b u-bob comment", "c u-carol view")
	if n, err := w.service.AnswerAll(t.Context(), w.owner("alice"), false, umatest.ScopesOf("view")); err != nil || n != 2 || w.states() != "a denied, b pending, c denied" {
		t.Errorf("of a scope: got %d %v and %s", n, err, w.states())
	}

	w.asks("a u-bob view", "b u-bob comment", "c u-carol view")
	turn := 0
	w.service.Store = &racer{umatest.FakeStore{W: w.World}, func() {
		if turn++; turn == 1 {
			w.View.Requests[1].State = uma.Refused
		}
	}}
	if n, err := w.service.AnswerAll(t.Context(), w.owner("alice"), true, nil); err != nil || n != 2 || w.states() != "a granted, b denied, c granted" {
		t.Errorf("in a race: got %d %v and %s", n, err, w.states())
	}

	many(w)
	w.service.Store = &racer{umatest.FakeStore{W: w.World}, func() { w.View.Requests = w.View.Requests[1:] }}
	if _, err := w.service.AnswerAll(t.Context(), w.owner("alice"), true, nil); umatest.Reason(err) != uma.Busy {
		t.Errorf("in a race that never ends: got %v, want busy", err)
	}
	w.service.Store = &racer{umatest.FakeStore{W: w.World}, func() { panic(errors.New("nothing is to be answered")) }}
	if n, err := w.service.AnswerAll(t.Context(), w.owner("bob"), true, nil); err != nil || n != 0 {
		t.Errorf("of who owns nothing: got %d %v", n, err)
	}
}

// A part of a name that too many names would have to be looked through for is no list.
// The exit turns the error into a refusal, since a list that was begun may end so, too.
func TestListsOfTooManyNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.owner("alice")
	w.service.Store = &vagueStore{Store: w.World.Store}
	for what, list := range map[string]func() (int, error){
		"owned": func() (int, error) {
			rows, err := w.service.OwnedResources(t.Context(), alice, "y", 0, 10)
			return len(rows), err
		},
		"shared with others": func() (int, error) {
			rows, err := w.service.SharedWithOthers(t.Context(), alice, &GrantedQuery{Name: "y", Max: 10})
			return len(rows), err
		},
		"shared with me": func() (int, error) {
			rows, err := w.service.SharedWithMe(t.Context(), alice, "y", 0, 10)
			return len(rows), err
		},
	} {
		if n, err := list(); n > 0 || !errors.Is(err, uma.ErrVague) {
			t.Errorf("%s: got %d resources and error %v, want %v", what, n, err, uma.ErrVague)
		}
	}
}

// A vagueStore has too many names to look through.
type vagueStore struct{ uma.Store }

func (s *vagueStore) View(ctx context.Context) (uma.View, error) {
	v, err := s.Store.View(ctx)
	return &vagueView{v}, err
}

type vagueView struct{ uma.View }

func (v *vagueView) OwnedResources(context.Context, uma.Key, string, string, int, int) ([]*uma.Resource, error) {
	return nil, uma.ErrVague
}

func (v *vagueView) SharedResources(context.Context, uma.Key, uma.GrantedFilter, int, int) ([]*uma.Resource, error) {
	return nil, uma.ErrVague
}

// However many users are named, they are read together.
func TestUsersAreReadTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var grants []UserScopes
	for i := range 50 {
		name := fmt.Sprint("user", i)
		w.View.Users["u-"+name] = &uma.User{ID: "u-" + name, Username: name, Enabled: true}
		grants = append(grants, UserScopes{User: name, Scopes: umatest.ScopesOf("view")})
	}
	w.service.Store = &sharer{FakeStore: umatest.FakeStore{W: w.World}}
	if err := w.service.ShareWith(t.Context(), w.owner("alice"), "r-album", grants, ShareOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(w.View.Reads) > 3 {
		t.Errorf("to share with 50 users took the reads %q", w.View.Reads)
	}
}
