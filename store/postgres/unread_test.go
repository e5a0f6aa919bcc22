package postgres

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/uma"
)

// loseAnswer makes a proxy cut the connection instead of passing the answer to the next COMMIT that is sent after
// bytes with the marker. The database has committed by then. cut reports whether that has happened.
func loseAnswer(proxy *pgtest.Proxy, marker string) (cut func() bool) {
	var sent, lost atomic.Bool
	proxy.Watch(func(b []byte, toDatabase bool) pgtest.Fate {
		switch {
		case toDatabase && bytes.Contains(b, []byte(marker)):
			sent.Store(true)
		case !toDatabase && sent.Load() && bytes.Contains(b, []byte("COMMIT")) && !lost.Swap(true):
			return pgtest.Cut
		}
		return pgtest.Pass
	})
	return lost.Load
}

// checkNumbers fails unless the records have the numbers of their rows, here and in what is kept in memory.
func checkNumbers(t *testing.T, s *Store, records ...uma.Record) {
	t.Helper()
	for i := range records {
		r, err := s.Decision(t.Context(), records[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if records[i].Seq != r.Seq {
			t.Errorf("%s has the number %d, want %d", r.ID, records[i].Seq, r.Seq)
		}
		for _, kept := range s.recent.After(r.Seq-1, 1) {
			if kept.ID != r.ID {
				t.Errorf("record %d is %s in memory, want %s", r.Seq, kept.ID, r.ID)
			}
		}
	}
}

// TestLostAnswerOfBatch: three settlements are committed together, and the answer is lost. Each is told that it is
// committed, and their records have the numbers that the database gave them. So is one with a transaction of its own.
func TestLostAnswerOfBatch(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	proxy, url := pgtest.NewProxy(t, database)
	s, direct := open(t, Config{URL: url}), open(t, Config{URL: database})
	commit := func(st *uma.Settlement) {
		if err := s.Commit(t.Context(), st); err != nil {
			t.Errorf("%s: %v", st.Records[0].ID, err)
		}
	}
	commit(record("before"))
	var wg sync.WaitGroup
	batch := []*uma.Settlement{record("batched 1"), record("batched 2"), record("batched 3")}
	var cut func() bool
	err := direct.write(t.Context(), func(tx *conn) error {
		if _, err := tx.exec(`UPDATE counter SET value = value WHERE name = 'decision'`); err != nil {
			return err
		}
		wg.Go(func() { commit(record("first")) }) // it waits for the row: the others become a batch
		waitUntil(t, "a settlement is under way", func() bool { return waiting(t, tx) == 1 })
		for _, st := range batch {
			wg.Go(func() { commit(st) })
		}
		waitUntil(t, "the others are queued", func() bool { return len(s.settler.queue) == len(batch) })
		cut = loseAnswer(proxy, "batched")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if !cut() {
		t.Fatal("the connection was not cut")
	}
	for _, st := range batch {
		checkNumbers(t, s, st.Records...)
	}
	alone := record("alone 1")
	alone.Records = append(alone.Records, record("alone 2").Records...)
	alone.Upgraded = "an RPT" // so it has a transaction of its own
	cut = loseAnswer(proxy, "alone")
	if commit(alone); !cut() {
		t.Fatal("the connection was not cut")
	}
	checkNumbers(t, s, alone.Records...)
	commit(record("afterwards"))
}

// waiting is how many transactions of the database wait for a lock.
func waiting(t *testing.T, c *conn) (n int) {
	t.Helper()
	_, err := c.exec(`SELECT pg_stat_clear_snapshot()`) // a transaction keeps what it has seen
	if err == nil {
		err = c.row(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`, nil, &n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// waitUntil waits until something holds.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// TestLostAnswerAfterAnotherTry: the first try of a commit gets numbers and is rolled back, another server's
// records get these numbers, and the answer to the second try is lost. The numbers of the first are not used.
func TestLostAnswerAfterAnotherTry(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	proxy, url := pgtest.NewProxy(t, database)
	s, direct := open(t, Config{URL: url}), open(t, Config{URL: database})
	if err := s.Commit(t.Context(), record("before")); err != nil {
		t.Fatal(err)
	}
	_, err := direct.pool.Exec(t.Context(), `UPDATE writer SET fence = fence + 1 WHERE process = $1`, s.slots.process)
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64 // two tries, and the question for the number
	var cut atomic.Bool
	proxy.Watch(func(b []byte, toDatabase bool) pgtest.Fate {
		switch {
		case toDatabase && bytes.Contains(b, []byte("the record")):
			if sent.Add(1) == 2 {
				if err := direct.Commit(t.Context(), record("another server's")); err != nil {
					t.Error(err)
				}
			}
		case !toDatabase && bytes.Contains(b, []byte("COMMIT")) && !cut.Swap(true):
			return pgtest.Cut
		}
		return pgtest.Pass
	})
	st := record("the record")
	if err := s.Commit(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	if sent.Load() < 2 || !cut.Load() {
		t.Fatalf("it was sent %d times, and the connection was cut: %t", sent.Load(), cut.Load())
	}
	checkNumbers(t, s, st.Records...)
}

// TestLostNumbers: the answer to a commit is lost, and the numbers of its records cannot be read afterwards. The
// commit has happened and is told so; its records have no numbers, and later ones have theirs.
func TestLostNumbers(t *testing.T) {
	t.Parallel()
	proxy, url := pgtest.NewProxy(t, newDatabase(t))
	s := open(t, Config{URL: url})
	before := record("before")
	if err := s.Commit(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	var cut, asked atomic.Bool
	proxy.Watch(func(b []byte, toDatabase bool) pgtest.Fate {
		switch {
		case !toDatabase && bytes.Contains(b, []byte("COMMIT")) && !cut.Swap(true),
			toDatabase && bytes.Contains(b, []byte("SELECT max(seq + 0)")) && !asked.Swap(true):
			return pgtest.Cut
		}
		return pgtest.Pass
	})
	st, next := record("the record"), record("the next")
	if err := errors.Join(s.Commit(t.Context(), st), s.Commit(t.Context(), next)); err != nil {
		t.Fatal(err)
	}
	if !cut.Load() || !asked.Load() {
		t.Fatalf("cut at the commit: %t, at the question for its numbers: %t", cut.Load(), asked.Load())
	}
	if st.Records[0].Seq != 0 || countRecords(t, s, "the record") != 1 {
		t.Errorf("the record has the number %d, and is stored %d times", st.Records[0].Seq, countRecords(t, s, "the record"))
	}
	checkNumbers(t, s, next.Records...)
	if found, err := s.DecisionsAfter(t.Context(), before.Records[0].Seq, 2); err != nil || len(found) != 2 || found[0].ID != "the record" {
		t.Errorf("got records %v and error %v", found, err)
	}
}

// TestPanicOfSettler: a panic while a batch is committed is an error of its settlements, and the server goes on.
func TestPanicOfSettler(t *testing.T) {
	t.Parallel()
	var panicked atomic.Bool
	s := openTemp(t, func(c *Config) {
		c.Observe = func(int, time.Duration) {
			if !panicked.Swap(true) {
				panic("in a test")
			}
		}
	})
	if err := s.Commit(t.Context(), record("first")); err == nil {
		t.Error("a panic is no error")
	}
	if err := s.Commit(t.Context(), record("second")); err != nil {
		t.Error(err)
	}
	if n := countRecords(t, s, "first"); n != 1 {
		t.Errorf("the record is stored %d times", n)
	}
}

// A lostWrite is a write whose answer is lost.
type lostWrite struct {
	name, marker string // the marker is in what is sent to the database
	write        func() error
	known        bool // whether it happened can be read afterwards
}

// TestLostResults: a write is committed, and what its statements returned is lost with the answer. It succeeds if the
// rows show that it happened, and else it is unknown: nobody is told that it was refused.
func TestLostResults(t *testing.T) {
	t.Parallel()
	proxy, url := pgtest.NewProxy(t, newDatabase(t))
	sent := &recorder{}
	s := open(t, Config{URL: url, tracer: sent})
	snap := smallRealm(t, s)
	album := &uma.Resource{ID: "album", Server: snap.Clients["api"].Key, Owner: "alice-id", Name: "Album", Scopes: []uma.Scope{"view"}, OwnerManaged: true}
	if err := s.CreateResource(t.Context(), album, func() string { return "scope" }); err != nil {
		t.Fatal(err)
	}
	for _, c := range slices.Concat(requestsToLose(t, s, album), othersToLose(t, s, snap.Realm.Key, album)) {
		cut := loseAnswer(proxy, c.marker)
		err := c.write()
		switch {
		case !cut():
			t.Fatalf("%s: the connection was not cut", c.name)
		case c.known && err != nil:
			t.Errorf("%s: got error %v", c.name, err)
		case !c.known && (!errors.Is(err, uma.ErrBusy) || errors.Is(err, uma.ErrNotFound) || errors.Is(err, uma.ErrConflict)):
			t.Errorf("%s: got error %v, want one that it is unknown", c.name, err)
		}
	}
	if checked := explainAll(t, sent); checked < 20 {
		t.Errorf("the plans of only %d statements were checked", checked)
	}
}

// requestsToLose are writes of requests.
func requestsToLose(t *testing.T, s *Store, album *uma.Resource) []lostWrite {
	ctx, server := t.Context(), album.Server
	request := func(id string, resource uma.Key) *uma.Request {
		return &uma.Request{ID: id, Server: server, Resource: resource, Requester: "for " + id, Scope: "view", State: uma.Pending, Created: at}
	}
	for _, id := range []string{"to grant", "to refuse", "to delete"} {
		if err := s.CreateRequest(ctx, request(id, album.Key)); err != nil {
			t.Fatal(err)
		}
	}
	create := func() error {
		q := request("the request", album.Key)
		if err := s.CreateRequest(ctx, q); err != nil {
			return err
		}
		v, err := s.View(ctx)
		if err != nil {
			return err
		}
		defer mustClose(t, v.Close)
		stored, err := v.Request(ctx, server, q.ID)
		if err == nil && (q.Key == 0 || q.Key != stored.Key || q.Version != stored.Version) {
			t.Errorf("the request was told as %v and is %v", q, stored)
		}
		return err
	}
	return []lostWrite{
		{"CreateRequest", "the request", create, true},
		{"CreateRequest without a resource", "a request", func() error { return s.CreateRequest(ctx, request("a request", -1)) }, false},
		{"DecideRequest grants", "to grant", func() error { return s.DecideRequest(ctx, server, "to grant", true, at) }, true},
		{"DecideRequest refuses", "to refuse", func() error { return s.DecideRequest(ctx, server, "to refuse", false, at) }, false},
		{"DeleteRequest", "to delete", func() error { return s.DeleteRequest(ctx, server, "to delete") }, false},
	}
}

// othersToLose are writes of shares, invitations, leases, sinks and tokens.
func othersToLose(t *testing.T, s *Store, realm uma.Key, album *uma.Resource) []lostWrite {
	ctx, server := t.Context(), album.Server
	share := func(id string) *uma.Share {
		return &uma.Share{ID: id, Server: server, Resource: album.Key, Owner: "alice-id", Name: id, Scopes: []uma.Scope{"view"},
			Users: []string{"bob-id"}, Strategy: "AFFIRMATIVE"}
	}
	lease := func(name string, want bool) func() error {
		return func() error {
			held, err := s.TakeLease(ctx, name, "server", time.Minute)
			if held != want {
				t.Errorf("%s is held: %t, want %t", name, held, want)
			}
			return err
		}
	}
	sinks := []uma.Sink{{Name: "a sink", Kind: uma.SinkFile, Holder: "server"}, {Name: "another's sink", Kind: uma.SinkFile, Holder: "another"}}
	_, err := s.TakeLease(ctx, "another's lease", "another", time.Hour)
	generation, err2 := s.Generation(ctx)
	if err := errors.Join(err, err2, s.CreateShare(ctx, share("old share")), s.KeepSinks(ctx, generation, sinks)); err != nil {
		t.Fatal(err)
	}
	return []lostWrite{
		{"CreateShare", "new share", func() error {
			sh := share("new share")
			err := s.CreateShare(ctx, sh)
			if err == nil && (sh.Key == 0 || sh.ResourceID != album.ID || sh.Version == 0 || sh.Audience != sh.Version) {
				t.Errorf("the share was told as %v", sh)
			}
			return err
		}, true},
		{"CreateShare of a name that is taken", "no share", func() error {
			sh := share("no share")
			sh.Name = "new share"
			return s.CreateShare(ctx, sh)
		}, false},
		{"DeleteShare", "old share", func() error { return s.DeleteShare(ctx, server, "old share") }, false},
		{"WithdrawInvitation", "an invitation", func() error { return s.WithdrawInvitation(ctx, realm, "alice-id", "an invitation") }, false},
		{"TakeLease", "the lease", lease("the lease", true), true},
		{"TakeLease of another's", "another's lease", lease("another's lease", false), false},
		{"SaveSinks", "a sink", func() error {
			sinks[1].Holder, sinks[0].Problem = "server", "none"
			lost, err := s.SaveSinks(ctx, sinks)
			if err == nil && !slices.Equal(lost, []string{"another's sink"}) {
				t.Errorf("%v are lost", lost)
			}
			return err
		}, true},
		{"PruneAdminUses", "gone AS (DELETE FROM admin_use", func() error {
			_, err := s.PruneAdminUses(ctx, at, 10)
			return err
		}, false},
		{"Revoke", "a token", func() error { return s.Revoke(ctx, realm, "a token", at) }, true}, // its statement returns nothing
	}
}
