package account

import (
	"context"
	"fmt"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

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

// A sharer is a store that keeps the change that it was given.
type sharer struct {
	umatest.FakeStore
	err  error
	last *uma.ShareChange
}

func (s *sharer) ShareResource(_ context.Context, c *uma.ShareChange) error {
	s.last = c
	return s.err
}

// All users that are named are read together.
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
