package grant

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// count is how often a step was taken.
// The order of a token request: everything is read from one view that is closed
// before the policy runs, and nothing is signed before its decision is kept.
func TestTokenOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ticket := w.Ticket(uma.Permission{Resource: "r-board", Scopes: umatest.ScopesOf("view")})
	answer, err := w.bob(&Request{Ticket: ticket})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"view", "close", "decide", "commit", "sign", "sign"} // the RPT and its refresh token
	if !slices.Equal(w.Steps, want) {
		t.Errorf("got %q, want %q", w.Steps, want)
	}
	st := w.Settlements[0]
	if !slices.Equal(st.Ticket, uma.Digest(ticket)) || st.Reusable || st.Realm != 1 || st.Successor != nil || len(st.Requests) != 0 || len(st.Records) != 1 {
		t.Errorf("settlement: got %+v", st)
	}
	// What it rests on: the realm, the user and the resource as they were read.
	if r := st.RestsOn; r == nil || r.Generation != 7 || r.User != "u-bob" || r.UserVersion != 3 ||
		!maps.Equal(r.Resources, map[uma.Key]int64{101: 21}) || len(r.Requests) != 0 {
		t.Errorf("rests on: got %+v", r)
	}
	rpt := w.Signed[0]
	if !slices.Equal(rpt.Audience, uma.Audience{"photoz-api"}) || rpt.AuthorizedParty != "photoz-web" || rpt.Subject != "u-bob" || rpt.Type != "Bearer" ||
		rpt.ID != st.RPT.JTI || rpt.Expires != st.RPT.Expires.Unix() || rpt.Expires != w.Unix()+300 {
		t.Errorf("RPT: got %+v", rpt)
	}
	if k := st.RPT; k.Revision != "revision-1" || k.Generation != 7 || k.UserVersion != 3 || k.Server != 10 || k.SessionID != "s-bob" ||
		!k.Keep.Equal(w.Now.Add(30*time.Minute)) || st.Refresh.RPT != k.JTI {
		t.Errorf("row of the RPT: got %+v, refresh token %+v", k, st.Refresh)
	}
	if answer.Upgraded {
		t.Error("upgraded without an RPT")
	}
}

// What moved starts again, three times, then 503 with the ticket unspent.
func TestTokenRetries(t *testing.T) {
	t.Parallel()
	moved, party := &uma.MovedError{}, &uma.MovedError{Party: true}
	tests := []struct {
		name    string
		commits []error    // of one after the other; then nil
		want    uma.Reason // "" for an RPT
		tries   int
		reloads int
	}{
		{"nothing moves", nil, "", 1, 0},
		{"once", []error{moved}, "", 2, 0},
		{"three times", []error{moved, moved, moved}, "", 4, 0},
		{"four times", []error{moved, moved, moved, moved}, uma.Busy, 5, 0}, // the fifth is the record of what came to nothing
		{"wrapped", []error{fmt.Errorf("batch: %w", moved)}, "", 2, 0},
		{"the party: from the beginning", []error{party}, "", 2, 1},
		{"both", []error{moved, party, moved}, "", 4, 1},
		{"the party, each time", []error{party, party, party, party}, uma.Busy, 5, 3},
		{"spent meanwhile", []error{moved, uma.ErrSpent}, uma.UnusableTicket, 3, 0}, // the third is the loser's record
		{"full meanwhile", []error{moved, uma.ErrBusy}, uma.Busy, 2, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if _, err := w.service.Realms.Realm(t.Context(), "photoz"); err != nil { // as the server does first
				t.Fatal(err)
			}
			w.Steps = nil
			w.Commit = func(*uma.Settlement) error {
				if n := len(w.Settlements); n <= len(tc.commits) {
					return tc.commits[n-1]
				}
				return nil
			}
			answer, err := w.bob(&Request{Ticket: w.Ticket(uma.Permission{Resource: "r-board"})})
			if got := umatest.Reason(err); got != tc.want || (err == nil) != (tc.want == "") || (answer != nil) != (tc.want == "") {
				t.Errorf("got %v, %v, want %q", answer, err, tc.want)
			}
			if got := len(w.Settlements); got != tc.tries {
				t.Errorf("got %d commits, want %d", got, tc.tries)
			}
			if got := w.Count("reload"); got != tc.reloads {
				t.Errorf("got %d reloads, want %d", got, tc.reloads)
			}
			if got := w.Count("sign") > 0; got != (tc.want == "") {
				t.Errorf("signed: %q", w.Steps)
			}
			if w.View.Open != 0 {
				t.Errorf("%d views are open", w.View.Open)
			}
		})
	}
}

// When the party moved, the second attempt sees the realm as it is now.
func TestTokenReloadsTheParty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, err := w.service.Realms.Realm(t.Context(), "photoz")
	if err != nil {
		t.Fatal(err)
	}
	w.Commit = func(*uma.Settlement) error {
		if len(w.Settlements) > 1 {
			return nil
		}
		realm := s.Realm
		realm.Generation = 8
		next := uma.NewSnapshot(realm, []*uma.Client{w.API, w.Other, w.Web, w.App}, nil)
		w.Generation, w.Snapshot = 8, func() (*uma.Snapshot, error) { return next, nil }
		w.View.Users["u-bob"].Version = 4
		return &uma.MovedError{Party: true}
	}
	if _, err := w.bob(&Request{Permissions: asked("r-board")}); err != nil {
		t.Fatal(err)
	}
	if r := w.Settlements[1].RestsOn; r.Generation != 8 || r.UserVersion != 4 {
		t.Errorf("got %+v, want generation 8 and version 4 of the user", r)
	}
}

// A realm that is disabled, or a user that is, gets nothing out of a retry.
func TestTokenRetryRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		turn func(*world)
		want uma.Reason
	}{
		{"the user is disabled", func(w *world) { w.View.Users["u-bob"].Enabled = false }, uma.UnusableBearer},
		{"the session has ended", func(w *world) { w.View.Sessions["s-bob"].Ended = true }, uma.UnusableBearer},
		{"the ticket is spent", func(w *world) { clear(w.View.Tickets) }, uma.UnusableTicket},
		{"the resource is gone", func(w *world) { w.View.Resources = nil }, uma.UnusableTicket},
		{"the realm is disabled", func(w *world) {
			realm := w.Snap.Realm
			realm.Enabled = false
			off := uma.NewSnapshot(realm, nil, nil)
			w.Generation, w.Snapshot = 8, func() (*uma.Snapshot, error) { return off, nil }
		}, uma.RealmDisabled},
		{"the realm is gone", func(w *world) {
			w.Generation, w.Snapshot = 8, func() (*uma.Snapshot, error) { return nil, uma.ErrNotFound }
		}, uma.RealmNotFound},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Commit = func(*uma.Settlement) error {
				tc.turn(w)
				return &uma.MovedError{Party: true}
			}
			_, err := w.bob(&Request{Ticket: w.Ticket(uma.Permission{Resource: "r-board"})})
			if got := umatest.Reason(err); got != tc.want || len(w.Settlements) != 1 || len(w.Signed) != 0 {
				t.Errorf("got %v after %d commits, want %s after one, nothing signed", err, len(w.Settlements), tc.want)
			}
		})
	}
}

// A search that finds more than a request may ask for is refused, although what others
// did not share, and is left out, would make room.
func TestSearchOfTooMany(t *testing.T) {
	t.Parallel()
	for _, ask := range []string{"resource-type-any:heap", "#fly"} {
		w := newWorld(t)
		w.View.Scopes = append(w.View.Scopes, "fly")
		w.Snap.Realm.Policy.MaxPermissions = 3
		for i := range 4 {
			w.View.Resources = append(w.View.Resources, &uma.Resource{
				Key: uma.Key(1000 + i), ID: uma.ResourceID(fmt.Sprintf("r-%d", i)), Server: 10, Owner: "u-alice", OwnerManaged: true,
				Name: fmt.Sprint(i), Type: "heap", Scopes: umatest.ScopesOf("fly"),
			})
		}
		_, err := w.bob(&Request{Permissions: asked(ask)})
		if got, want := said(err), "invalid_request: too_many_permissions policy.max_permissions 3"; got != want {
			t.Errorf("%s: got %s, want %s", ask, got, want)
		}
	}
}
