package sqlite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
)

func TestSweep(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	soon, late := at.Add(time.Minute), at.Add(time.Hour)
	storeExpiring(t, s, soon, late)
	sweep := func(what string, now time.Time, want int) {
		t.Helper()
		if removed, err := s.Sweep(t.Context(), now); removed != want || err != nil {
			t.Errorf("%s: got %d removed and error %v, want %d", what, removed, err, want)
		}
	}
	// One row of each kind has expired; the retired key expires later.
	sweep("soon", soon, 7)
	for query, want := range map[string][]string{
		`SELECT CAST(expires AS TEXT) FROM ticket`:     {fmt.Sprint(late.UnixMilli())},
		`SELECT jti FROM revocation ORDER BY 1`:        {"0", "1"},
		`SELECT hex(id) FROM spent_assertion`:          {"30", "31"},
		`SELECT id FROM session`:                       {"1"},
		`SELECT session FROM refresh_token ORDER BY 1`: {"1", "ended"},
		`SELECT jti FROM rpt`:                          {"1"},
		`SELECT rpt FROM spent_ticket`:                 {"1"},
		`SELECT id FROM request ORDER BY 1`:            {"b", "c"},
		`SELECT kid FROM signing_key ORDER BY 1`:       {"0", "1"},
		`SELECT CAST(seq AS TEXT) FROM decision_log`:   {"1", "2"},
	} {
		if got := rowsOf(t, s, query); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", query, got, want)
		}
	}
	sweep("soon, again", soon, 0)
	sweep("late", late, 9) // all but the pending request, the active key, the records, the revocations and the late assertion
}

// storeExpiring stores a row of each kind that expires soon and one that expires late, an
// ended session, and requests that were denied before, denied now and not answered.
func storeExpiring(t *testing.T, s *Store, soon, late time.Time) {
	t.Helper()
	snapshot := smallRealm(t, s)
	realm, server := snapshot.Realm.Key, snapshot.Clients["api"].Key
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	r := &uma.Resource{ID: "r", Server: server, Owner: "alice-id", Name: "Album", Scopes: []uma.Scope{"a", "b", "c"}}
	must(s.CreateResource(ctx, r, func() string { return fmt.Sprint(time.Now().UnixNano()) }))
	for i, expires := range []time.Time{soon, late} {
		id := fmt.Sprint(i)
		must(s.SaveTicket(ctx, realm, &uma.Ticket{Hash: uma.Digest(id), Expires: expires}))
		must(s.SpendAssertion(ctx, realm, server, []byte(id), expires))
		must(s.Revoke(ctx, realm, id, expires))
		must(s.StartSession(ctx, realm, &uma.Session{ID: id, Expires: expires},
			&uma.RefreshToken{Hash: uma.Digest(id), SessionID: id, Expires: expires}))
		must(s.SaveTicket(ctx, realm, &uma.Ticket{Hash: uma.Digest("spent " + id), Expires: late}))
		must(s.Commit(ctx, &uma.Settlement{Realm: realm, Now: at, Ticket: uma.Digest("spent " + id), RPT: &uma.RPT{JTI: id, Expires: soon, Keep: expires},
			Records: []uma.Record{{ID: id, Event: []byte("{}")}}}))
		must(s.AddKey(ctx, "photoz", uma.SigningKey{KID: id, Alg: "ES256", Public: []byte{1}, Sealed: []byte{1}}, expires))
	}
	must(s.StartSession(ctx, realm, &uma.Session{ID: "ended", Expires: late},
		&uma.RefreshToken{Hash: uma.Digest("ended"), SessionID: "ended", Expires: late}))
	must(s.EndSession(ctx, realm, "ended"))
	for id, decided := range map[string]time.Time{"a": at.Add(-time.Hour), "b": at, "c": time.Time{}} {
		must(s.CreateRequest(ctx, &uma.Request{ID: id, Server: server, Resource: r.Key, Requester: "bob",
			Scope: uma.Scope(id), State: uma.Pending, Created: at}))
		if !decided.IsZero() {
			must(s.DecideRequest(ctx, server, id, false, decided))
		}
	}
}

// A clock that is ahead sweeps rows that have not expired. When it is right again, a
// revoked token must not be active again.
func TestSweepWithAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	realm := smallRealm(t, s).Realm.Key
	ctx := t.Context()
	if err := s.Revoke(ctx, realm, "jti", at.Add(5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		ahead   time.Duration
		revoked bool
	}{{time.Hour, true}, {24 * time.Hour, true}, {24*time.Hour + 5*time.Minute, false}} {
		if _, err := s.Sweep(ctx, at.Add(tc.ahead)); err != nil {
			t.Fatal(err)
		}
		view, err := s.View(ctx)
		if err != nil {
			t.Fatal(err)
		}
		state, err := view.TokenState(ctx, realm, "jti", "")
		if err != nil || state.Revoked != tc.revoked {
			t.Errorf("swept by a clock that is %v ahead: got %+v, %v, want revoked: %t", tc.ahead, state, err, tc.revoked)
		}
		if err := view.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A sweep commits in small batches, so that other writes do not wait long.
func TestSweepInBatches(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	const many = 2*sweepBatch + 1
	err := s.write(t.Context(), func(tx *conn) error {
		for i := range many {
			if err := saveTicket(tx, 1, ticket(fmt.Sprint("t", i))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	removed, err := s.Sweep(t.Context(), at.Add(time.Hour))
	if err != nil || removed != many {
		t.Errorf("got %d removed and error %v, want %d", removed, err, many)
	}
}

// The row of a spent ticket is kept as long as the RPT that it was spent on, or a
// refreshed copy.
func TestSweepKeepsSpentTickets(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	realm := smallRealm(t, s).Realm.Key
	ctx, ticket, soon, late := t.Context(), uma.Digest("ticket"), at.Add(time.Minute), at.Add(time.Hour)
	first := &uma.RPT{JTI: "first", Ticket: ticket, Expires: soon, Keep: soon}
	second := &uma.RPT{JTI: "second", Family: "first", Ticket: ticket, Expires: late, Keep: late}
	session := &uma.Session{ID: "s", Expires: late}
	for _, err := range []error{
		s.SaveTicket(ctx, realm, &uma.Ticket{Hash: ticket, Expires: soon}),
		s.Commit(ctx, &uma.Settlement{Realm: realm, Now: at, Ticket: ticket, Presenter: "web", RPT: first}),
		s.StartSession(ctx, realm, session, &uma.RefreshToken{Hash: uma.Digest("handle"), SessionID: "s", Expires: late}),
		s.Rotate(ctx, realm, uma.Digest("handle"), &uma.RefreshToken{Hash: uma.Digest("next"), SessionID: "s", Expires: late}, second, at),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Sweep(ctx, soon); err != nil { // the first is over
		t.Fatal(err)
	}
	view, err := s.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, view.Close)
	spent, err := view.SpentTicket(ctx, realm, ticket)
	if err != nil || spent.RPT != "first" || spent.Client != "web" {
		t.Errorf("got %+v, %v, want the RPT that it was spent on", spent, err)
	}
}
