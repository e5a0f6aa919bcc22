package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// rowsOf returns the texts of the first column of a query.
func rowsOf(t testing.TB, s *Store, query string, args ...any) []string {
	t.Helper()
	found, err := fetch(t.Context(), s, "rows", func(c *conn) ([]string, error) { return texts[string](c, query, args...) })
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// run runs statements in one transaction.
func run(t testing.TB, s *Store, commands ...command) {
	t.Helper()
	if err := s.writeAll(t.Context(), commands...); err != nil {
		t.Fatal(err)
	}
}

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
		`SELECT expires::text FROM ticket`:                        {fmt.Sprint(late.UnixMilli())},
		`SELECT jti FROM revocation ORDER BY 1`:                   {"0", "1"},
		`SELECT encode(id, 'escape') FROM spent_assertion`:        {"0", "1"},
		`SELECT id FROM session`:                                  {"1"},
		`SELECT session FROM refresh_token ORDER BY 1`:            {"1", "ended"},
		`SELECT jti FROM rpt`:                                     {"1"},
		`SELECT rpt FROM spent_ticket`:                            {"1"},
		`SELECT id FROM request ORDER BY 1`:                       {"b", "c"},
		`SELECT kid FROM signing_key ORDER BY 1`:                  {"0", "1"},
		`SELECT seq::text FROM decision ORDER BY seq`:             {"1", "2"},
		`SELECT 'resource ' || id FROM resource WHERE id = 'r'`:   {"resource r"},
		`SELECT resource::text FROM dropped`:                      nil,
		`SELECT 'at least one writer' FROM writer LIMIT 1`:        {"at least one writer"},
		`SELECT 'the user ' || id FROM users ORDER BY id LIMIT 1`: {"the user alice-id"},
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
	must(s.CreateResource(ctx, r, newIDs("scope")))
	for i, expires := range []time.Time{soon, late} {
		id := fmt.Sprint(i)
		must(s.SaveTicket(ctx, realm, &uma.Ticket{Hash: uma.Digest(id), Expires: expires}))
		must(s.SpendAssertion(ctx, realm, server, []byte(id), expires))
		must(s.Revoke(ctx, realm, id, expires))
		must(s.StartSession(ctx, realm, &uma.Session{ID: id, Expires: expires},
			&uma.RefreshToken{Hash: uma.Digest(id), SessionID: id, Expires: expires}))
		must(s.SaveTicket(ctx, realm, &uma.Ticket{Hash: uma.Digest("spent " + id), Expires: late}))
		must(s.Commit(ctx, &uma.Settlement{Realm: realm, Now: at, Ticket: uma.Digest("spent " + id), RPT: &uma.RPT{JTI: id, Expires: soon, Keep: expires},
			Records: []uma.Record{{ID: id, Time: at, Event: []byte("{}")}}}))
		must(s.AddKey(ctx, "photoz", uma.SigningKey{KID: id, Alg: "ES256", Public: []byte{1}, Sealed: []byte{1}}, expires))
	}
	must(s.StartSession(ctx, realm, &uma.Session{ID: "ended", Expires: late},
		&uma.RefreshToken{Hash: uma.Digest("ended"), SessionID: "ended", Expires: late}))
	must(s.EndSession(ctx, realm, "ended"))
	for id, decided := range map[string]time.Time{"a": at.Add(-time.Hour), "b": at, "c": {}} {
		must(s.CreateRequest(ctx, &uma.Request{ID: id, Server: server, Resource: r.Key, Requester: "bob",
			Scope: uma.Scope(id), State: uma.Pending, Created: at}))
		if !decided.IsZero() {
			must(s.DecideRequest(ctx, server, id, false, decided))
		}
	}
}

// newIDs returns a function that returns another id at each call.
func newIDs(prefix string) func() string {
	last := 0
	return func() string {
		last++
		return fmt.Sprint(prefix, "-", last)
	}
}

// A clock that is ahead sweeps rows that have not expired. When it is right again, a
// revoked token must not be active again.
func TestSweepWithAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	if err := s.Revoke(t.Context(), 1, "jti", at.Add(5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		ahead   time.Duration
		revoked int
	}{{time.Hour, 1}, {24 * time.Hour, 1}, {24*time.Hour + 5*time.Minute, 0}} {
		if _, err := s.Sweep(t.Context(), at.Add(tc.ahead)); err != nil {
			t.Fatal(err)
		}
		if got := rowsOf(t, s, `SELECT jti FROM revocation`); len(got) != tc.revoked {
			t.Errorf("swept by a clock that is %v ahead: got revocations %v, want %d", tc.ahead, got, tc.revoked)
		}
	}
}

// manyTickets stores tickets that expire one minute after at.
func manyTickets(t *testing.T, s *Store, n int) {
	t.Helper()
	run(t, s, command{query: `INSERT INTO ticket (realm, hash, server, client, subject, permissions, claims, round, interval, issued, expires)
		SELECT 1, sha256(n::text::bytea), 1, '', '', '[]', '{}', 0, 0, 0, $2 FROM generate_series(1, $1::int) n`,
		args: []any{n, millis(at.Add(time.Minute))}})
}

// A sweep commits batches until nothing is left.
func TestSweepInBatches(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	for _, many := range []int{sweepBatch - 1, sweepBatch, 2*sweepBatch + 1} {
		manyTickets(t, s, many)
		removed, err := s.Sweep(t.Context(), at.Add(time.Hour))
		if left := rowsOf(t, s, `SELECT realm::text FROM ticket`); err != nil || removed != many || len(left) > 0 {
			t.Errorf("got %d removed, %d left, and error %v, want %d removed", removed, len(left), err, many)
		}
	}
}

// Servers that sweep at the same time delete each row once.
func TestServersSweepAtOnce(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	servers := []*Store{open(t, Config{URL: url}), open(t, Config{URL: url}), open(t, Config{URL: url})}
	server := album(t, servers[0], 5*sweepBatch, 5*sweepBatch)
	if err := servers[0].DeleteResource(t.Context(), server, "album"); err != nil {
		t.Fatal(err)
	}
	manyTickets(t, servers[0], 5*sweepBatch)
	const all = 15*sweepBatch + 1
	removed := make([]int, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() {
			// One that waited for the batch of another finds less than a batch, and leaves the rest.
			for sum := -1; removed[i] > sum; {
				sum = removed[i]
				n, err := s.Sweep(t.Context(), at.Add(time.Hour))
				if err != nil {
					t.Error(err)
				}
				removed[i] += n
			}
		})
	}
	wg.Wait()
	if sum := removed[0] + removed[1] + removed[2]; sum != all {
		t.Errorf("got %v removed, want %d together", removed, all)
	}
	if rows, dropped := left(t, servers[0]); rows+dropped > 0 {
		t.Errorf("%d rows and %d dropped resources are left", rows, dropped)
	}
}

// A row that gets more time while the sweep waits for it is kept, also if it was moved.
func TestSweepKeepsWhatGetsMoreTime(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	run(t, s, command{query: `INSERT INTO spent_ticket (realm, hash, client, rpt, expires) SELECT 1, n::text::bytea, '', '', $1
		FROM generate_series(1, 3) n`, args: []any{millis(at)}})
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `UPDATE spent_ticket SET expires = $1 WHERE hash = '2'`, millis(at.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	removed := make(chan int, 1)
	go func() {
		n, err := s.Sweep(t.Context(), at.Add(time.Minute))
		if err != nil {
			t.Error(err)
		}
		removed <- n
	}()
	awaitWaiting(t, s, removed)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-removed; n != 2 {
		t.Errorf("got %d removed, want 2", n)
	}
	if got := rowsOf(t, s, `SELECT encode(hash, 'escape') FROM spent_ticket`); !slices.Equal(got, []string{"2"}) {
		t.Errorf("got %v left, want the one with more time", got)
	}
}

// awaitWaiting waits until a transaction of the database waits for another one. result is where the
// result of that which is to wait is sent.
func awaitWaiting[T any](t *testing.T, s *Store, result chan T) {
	t.Helper()
	awaitWaiters(t, s, 1, result)
}

// awaitWaiters is awaitWaiting for several transactions, the last of which sends its result.
func awaitWaiters[T any](t *testing.T, s *Store, count int, result chan T) {
	t.Helper()
	const waiting = `SELECT 'waits' FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	for len(rowsOf(t, s, waiting)) < count {
		if len(result) > 0 {
			t.Error("it has not waited")
			return
		}
	}
}

// The row of a spent ticket is kept as long as the RPT that it was spent on, or a
// refreshed copy.
func TestSweepKeepsSpentTickets(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	ctx, ticket, soon, late := t.Context(), uma.Digest("ticket"), at.Add(time.Minute), at.Add(time.Hour)
	first := &uma.RPT{JTI: "first", Ticket: ticket, Expires: soon, Keep: soon}
	second := &uma.RPT{JTI: "second", Family: "first", Ticket: ticket, Expires: late, Keep: late}
	err := errors.Join(
		s.SaveTicket(ctx, 1, &uma.Ticket{Hash: ticket, Expires: soon}),
		s.Commit(ctx, &uma.Settlement{Realm: 1, Now: at, Ticket: ticket, Presenter: "web", RPT: first}),
		s.StartSession(ctx, 1, &uma.Session{ID: "s", Expires: late}, &uma.RefreshToken{Hash: uma.Digest("handle"), SessionID: "s", Expires: late}),
		s.Rotate(ctx, 1, uma.Digest("handle"), &uma.RefreshToken{Hash: uma.Digest("next"), SessionID: "s", Expires: late}, second, at))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(ctx, soon); err != nil { // the first is over
		t.Fatal(err)
	}
	if got := rowsOf(t, s, `SELECT client || ' ' || rpt FROM spent_ticket`); !slices.Equal(got, []string{"web first"}) {
		t.Errorf("got %v, want the RPT that it was spent on", got)
	}
}

// A batch is found by an index and deleted by place: no plan reads a whole table, whatever is known
// of its size.
func TestSweepPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s)
	manyTickets(t, s, 10_000)
	refusals, err := s.oldRefusals(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			if _, err := s.pool.Exec(t.Context(), `ANALYZE`); err != nil {
				t.Fatal(err)
			}
		}
		for _, cmd := range slices.Concat(expiredRows(at), droppedRows(), refusals) {
			plan := strings.Join(rowsOf(t, s, `EXPLAIN `+cmd.query, cmd.args...), "\n")
			byPlace := strings.Contains(plan, "Tid Scan") || !strings.Contains(cmd.query, "ctid = ANY")
			if strings.Contains(plan, "Seq Scan") || !byPlace {
				t.Errorf("analyzed %t: %s\n%s", analyzed, cmd.query, plan)
			}
		}
	}
}
