package account

import (
	"context"
	"fmt"
	"strings"
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
		"too many invitations":     {"r-album", ShareOptions{}, uma.ErrFull, uma.InvalidPermission},
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

// Who gets what: an address that no user has is invited, if an issuer of the realm could prove
// it, and whatever else names nobody is refused.
func TestShareWithAddresses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		users  string
		proves bool
		want   uma.Reason
		grants string
	}{
		"an address":                        {"New@Corp.Example", true, "", "map[] map[new@corp.example:[view]]"},
		"an address of a user":              {"bob@example.com", true, "", "map[u-bob:[view]] map[]"},
		"both":                              {"bob new@corp.example", true, "", "map[u-bob:[view]] map[new@corp.example:[view]]"},
		"an address, and nobody proves":     {"new@corp.example", false, uma.UnknownUser, ""},
		"no address":                        {"nobody", true, uma.UnknownUser, ""},
		"one of two is no address":          {"new@corp.example nobody", true, uma.UnknownUser, ""},
		"an address twice, in other case":   {"new@corp.example NEW@corp.example", true, uma.InvalidPermission, ""},
		"a user twice, by name and address": {"bob bob@example.com", true, uma.InvalidPermission, ""},
	} {
		w := newWorld(t)
		if w.Snap.Realm.Issuers = []uma.TrustedIssuer{{Issuer: "https://corp.example", Alias: "corp"}}; tc.proves {
			w.Snap.Realm.Issuers[0].Map.Email = uma.ClaimPath{"email"}
		}
		s := &sharer{FakeStore: umatest.FakeStore{W: w.World}}
		w.service.Store = s
		var grants []UserScopes
		for _, user := range strings.Fields(tc.users) {
			grants = append(grants, UserScopes{user, umatest.ScopesOf("view")})
		}
		err := w.service.ShareWith(t.Context(), w.owner("alice"), "r-album", grants, ShareOptions{})
		if umatest.Reason(err) != tc.want || (err == nil) != (tc.want == "") {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
		if got := s.last; (got != nil) != (tc.want == "") || got != nil && fmt.Sprint(got.Grants, got.Invite) != tc.grants {
			t.Errorf("%s: got %+v, want %s", name, got, tc.grants)
		}
	}
}

// If a party proves the address while it is invited, the owner's request is not in vain: the
// party is found then. If that goes on and on, or the owner has looked at other sharing, the
// answer is a conflict.
func TestShareWithAddressThatIsProvedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		moves int
		seen  *SharedResource
		want  uma.Reason
		calls int
	}{
		"once":         {1, nil, "", 2},
		"all the time": {100, nil, uma.Conflict, attempts},
		"seen":         {1, &SharedResource{}, uma.Conflict, 1},
	} {
		w := newWorld(t)
		w.Snap.Realm.Issuers = []uma.TrustedIssuer{{Issuer: "https://corp.example", Alias: "corp", Map: uma.ClaimsMap{Email: uma.ClaimPath{"email"}}}}
		s := &sharer{FakeStore: umatest.FakeStore{W: w.World}, moves: tc.moves}
		w.service.Store = s
		grants := []UserScopes{{"new@corp.example", umatest.ScopesOf("view")}}
		err := w.service.ShareWith(t.Context(), w.owner("alice"), "r-album", grants, ShareOptions{Seen: tc.seen})
		if umatest.Reason(err) != tc.want || (err == nil) != (tc.want == "") || s.calls != tc.calls {
			t.Errorf("%s: got %v after %d calls, want %s after %d", name, err, s.calls, tc.want, tc.calls)
		}
	}
}

// A sharer is a store that keeps the change that it was given.
type sharer struct {
	umatest.FakeStore
	err   error
	moves int // so many calls find that something has moved
	calls int
	last  *uma.ShareChange
}

func (s *sharer) ShareResource(_ context.Context, c *uma.ShareChange) error {
	s.last = c
	if s.calls++; s.calls <= s.moves {
		return uma.ErrMoved
	}
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
