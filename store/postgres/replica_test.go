package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/uma"
)

// TestReplica: lists are read from the replica, nothing else is, and from the primary while the replica
// is behind, has failed or is gone.
func TestReplica(t *testing.T) {
	t.Parallel()
	r := openReplicated(t)
	realm := smallRealm(t, r.Store)
	r.record(t, "first")
	r.standby.Follow(t, r.primary)

	t.Run("another database", r.testWrong)
	t.Run("lists", func(t *testing.T) { r.testLists(t, realm) })
	t.Run("nothing else", func(t *testing.T) { r.testNothingElse(t, realm) })
	t.Run("behind", r.testBehind)
	t.Run("a gap", r.testGap)
	t.Run("a conflict", r.testConflict)
	t.Run("a list goes on", r.testGoesOn)
	t.Run("a view", func(t *testing.T) { r.testView(t, realm) })
	t.Run("as long as it may", r.testTooLong)
	t.Run("it hangs", r.testHangs)
	t.Run("stopped", r.testStopped)
	t.Run("promoted", r.testPromoted)
}

// testLists calls all that lists has.
func (r *replicated) testLists(t *testing.T, realm *uma.Snapshot) {
	key, api := realm.Realm.Key, realm.Clients["api"].Key
	lists := r.Lists()
	noRecord := func(*uma.Record) error { return nil }
	for name, read := range map[string]func(context.Context) error{
		"FindDecisions":   func(ctx context.Context) error { return second(lists.FindDecisions(ctx, uma.DecisionFilter{}, 1)) },
		"EachDecision":    func(ctx context.Context) error { return lists.EachDecision(ctx, uma.DecisionFilter{}, noRecord) },
		"PartiesAfter":    func(ctx context.Context) error { return second(lists.PartiesAfter(ctx, key, "", "", 1)) },
		"SampleUsers":     func(ctx context.Context) error { return second(lists.SampleUsers(ctx, key, 1, 1)) },
		"SampleResources": func(ctx context.Context) error { return second(lists.SampleResources(ctx, api, 1, 1)) },
		"ScopesOfTypes":   func(ctx context.Context) error { return second(lists.ScopesOfTypes(ctx, api, []string{"album"})) },
		"CachedView": func(ctx context.Context) error {
			return second(uma.Read(ctx, lists, func(v uma.View) (*uma.User, error) { return v.UserByName(ctx, key, "alice") }))
		},
	} {
		sent := r.sent.n.Load()
		replica, primary := r.reads()
		if err := read(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if afterReplica, afterPrimary := r.reads(); afterReplica == replica || afterPrimary != primary || r.sent.n.Load() == sent {
			t.Errorf("%s: got %d reads from the replica and %d from the primary", name, afterReplica-replica, afterPrimary-primary)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// testNothingElse: the store itself, its views, and what is written do not touch the replica, also by
// way of Lists.
func (r *replicated) testNothingElse(t *testing.T, realm *uma.Snapshot) {
	sent := r.sent.n.Load()
	album := &uma.Resource{ID: "album", Server: realm.Clients["api"].Key, Owner: "alice-id", Name: "Album", OwnerManaged: true}
	for _, s := range []uma.Store{r.Store, r.Lists()} {
		if err := s.CreateResource(t.Context(), album, func() string { return "scope" }); err != nil {
			t.Fatal(err)
		}
		if _, err := uma.ReadNow(t.Context(), s, func(v uma.View) (*uma.Resource, error) { return v.Resource(t.Context(), album.Server, album.ID) }); err != nil {
			t.Error(err)
		}
		found := 0
		err := s.FindResources(t.Context(), album.Server, uma.ResourceFilter{}, 0, -1, func(*uma.Resource) error { found++; return nil })
		if err != nil || found != 1 {
			t.Errorf("a list after a resource was registered: got %d resources and %v", found, err)
		}
		if err := s.DeleteResource(t.Context(), album.Server, album.ID); err != nil {
			t.Error(err)
		}
		if _, err := s.Snapshot(t.Context(), "photoz", at); err != nil {
			t.Error(err)
		}
		if _, err := s.DecisionsAfter(t.Context(), 0, 10); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.FindDecisions(t.Context(), uma.DecisionFilter{}, 10); err != nil {
		t.Error(err)
	}
	if _, err := uma.Read(t.Context(), r.Store, func(v uma.View) (*uma.User, error) { return v.User(t.Context(), realm.Realm.Key, "alice-id") }); err != nil {
		t.Error(err)
	}
	if n := r.sent.n.Load() - sent; n != 0 {
		t.Errorf("%d statements were sent to the replica", n)
	}
}

// testBehind: a replica that does not follow is used within its bound, then no longer, and again once it
// has followed. That there is no record is what the primary says.
func (r *replicated) testBehind(t *testing.T) {
	r.standby.Exec(t, `SELECT pg_wal_replay_pause()`)
	r.record(t, "second")
	r.after(t, 9)
	r.want(t, true, "")
	if got := r.list(t, true); got != "first" {
		t.Errorf("got %q, want the records of nine seconds ago", got)
	}
	found, err := r.Lists().FindDecisions(t.Context(), uma.DecisionFilter{Request: "request of second"}, 1)
	if err != nil || len(found) != 1 || found[0].ID != "second" {
		t.Errorf("a search for the new record: got %v and %v", found, err)
	}
	r.clock.Add(2) // before the next look
	if got := r.list(t, false); got != "second first" {
		t.Errorf("got %q, want all records", got)
	}
	r.after(t, 0)
	r.want(t, false, "behind the primary, by more than 10s")
	if got := r.list(t, false); got != "second first" {
		t.Errorf("got %q, want all records", got)
	}
	r.standby.Exec(t, `SELECT pg_wal_replay_resume()`)
	r.standby.Follow(t, r.primary)
	r.after(t, 1)
	r.want(t, true, "")
	if got := r.list(t, true); got != "second first" {
		t.Errorf("got %q, want all records", got)
	}
}

// testGap: a page of a list whose first page was that of the primary has no gap.
func (r *replicated) testGap(t *testing.T) {
	r.standby.Exec(t, `SELECT pg_wal_replay_pause()`)
	r.record(t, "third")
	r.record(t, "fourth")
	r.after(t, 1)
	r.want(t, true, "")
	found, err := r.Lists().FindDecisions(t.Context(), uma.DecisionFilter{Before: 4}, 10)
	if err != nil || len(found) != 3 || found[0].ID != "third" {
		t.Errorf("got %v and %v, want the three records before the last", found, err)
	}
	r.want(t, true, "")
	r.standby.Exec(t, `SELECT pg_wal_replay_resume()`)
	r.standby.Follow(t, r.primary)
}

// ended lets the replica rest, and be used again.
func (r *replicated) ended(t *testing.T, problem string) {
	t.Helper()
	r.want(t, false, problem)
	r.after(t, 9)
	r.want(t, false, problem)
	r.after(t, 2)
	r.want(t, true, "")
}

// failing ends the connections of lists to the standby.
func (r *replicated) failing(t *testing.T) {
	t.Helper()
	r.standby.Exec(t, `SELECT count(pg_terminate_backend(pid, 10000))::text FROM pg_stat_activity
		WHERE application_name = 'umpire' AND pid <> `+fmt.Sprint(r.replica.looking.PgConn().PID()))
}

// testConflict: a query that the replica cancels, because of what it replays, is asked of the primary, and
// the replica rests for ten seconds.
func (r *replicated) testConflict(t *testing.T) {
	times, answer := 0, ""
	err := r.replica.store.read(t.Context(), func(c *conn) error {
		if times++; c.replica == nil {
			return c.row(`SELECT 'the primary'`, nil, &answer)
		}
		if _, err := c.exec(`SELECT FROM users`); err != nil {
			return err
		}
		r.primary.Exec(t, `DO 'BEGIN LOCK TABLE users IN ACCESS EXCLUSIVE MODE; END'`)
		return c.row(`SELECT 'the replica' FROM pg_sleep(60)`, nil, &answer)
	})
	if err != nil || answer != "the primary" || times != 2 {
		t.Errorf("got %q and %v after %d times", answer, err, times)
	}
	r.ended(t, "conflict with recovery")
}

// testGoesOn: a list of pages goes on where it was, without a record that is missing or there twice.
func (r *replicated) testGoesOn(t *testing.T) {
	for n := range 2 * decisionPage {
		r.record(t, fmt.Sprint("more ", n))
	}
	r.standby.Follow(t, r.primary)
	read := 0
	err := r.Lists().EachDecision(t.Context(), uma.DecisionFilter{}, func(rec *uma.Record) error {
		if read++; rec.Seq != int64(read) {
			t.Fatalf("got record %d, want %d", rec.Seq, read)
		}
		if read == decisionPage {
			r.failing(t)
		}
		return nil
	})
	if want := 4 + 2*decisionPage; err != nil || read != want {
		t.Errorf("got %d records and %v, want %d", read, err, want)
	}
	r.ended(t, "terminating connection")
}

// testView: a view of the replica that fails is torn, so that uma.Read reads all of it from the primary.
func (r *replicated) testView(t *testing.T, realm *uma.Snapshot) {
	times := 0
	u, err := uma.Read(t.Context(), r.Lists(), func(v uma.View) (*uma.User, error) {
		times++
		if _, err := v.User(t.Context(), realm.Realm.Key, "alice-id"); err != nil {
			return nil, err
		}
		if times == 1 {
			r.failing(t)
		}
		return v.UserByName(t.Context(), realm.Realm.Key, "alice")
	})
	if err != nil || u.ID != "alice-id" || times != 2 {
		t.Errorf("got %v and %v after %d times", u, err, times)
	}
	r.ended(t, "terminating connection")
}

// testTooLong: what takes as long on the replica as a statement may is not tried again on the primary,
// whose it would take as long. Nor is what nobody waits for. The replica is used on.
func (r *replicated) testTooLong(t *testing.T) {
	_, primary := r.reads()
	err := r.replica.store.read(t.Context(), func(c *conn) error {
		if _, err := c.exec(`SET statement_timeout = 50`); err != nil {
			return err
		}
		_, err := c.exec(`SELECT pg_sleep(60)`)
		return err
	})
	if !isUnavailable(err) || stateOf(err) != queryCanceled {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = r.replica.store.read(ctx, func(c *conn) error {
		cancel()
		_, err := c.exec(`SELECT pg_sleep(60)`)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: got %v", err)
	}
	if _, after := r.reads(); after != primary {
		t.Errorf("%d reads from the primary", after-primary)
	}
	r.want(t, true, "")
}

// testHangs: while no byte comes from the replica, whoever waits for it is answered by the primary after
// the next look.
func (r *replicated) testHangs(t *testing.T) {
	r.list(t, true)
	r.proxy.Hang()
	answered := make(chan string)
	go func() {
		found, err := r.Lists().FindDecisions(t.Context(), uma.DecisionFilter{}, 1)
		answered <- fmt.Sprint(len(found), " ", err)
	}()
	for r.replica.pool.Stat().AcquiredConns() == 0 {
		time.Sleep(time.Millisecond)
	}
	r.after(t, 1)
	if got := <-answered; got != "1 <nil>" {
		t.Errorf("got %s", got)
	}
	r.want(t, false, "")
	r.list(t, false)
	r.proxy.Pass()
	r.after(t, 11)
	r.want(t, true, "")
}

// testStopped: a replica that is stopped and started again.
func (r *replicated) testStopped(t *testing.T) {
	if err := r.standby.Stop(); err != nil {
		t.Fatal(err)
	}
	r.list(t, false)
	r.after(t, 1)
	r.want(t, false, "")
	// a server that is started meanwhile uses it later
	s := open(t, Config{URL: r.primary.URL("postgres"), Replica: r.standby.URL("postgres"), unwatchedReplica: true})
	if state, _ := s.Replica(); state.Used || state.Problem == "" {
		t.Errorf("got %+v of a replica that is stopped", state)
	}
	if _, err := s.Lists().FindDecisions(t.Context(), uma.DecisionFilter{}, 1); err != nil {
		t.Error(err)
	}
	if err := r.standby.Start(pgtest.Replica...); err != nil {
		t.Fatal(err)
	}
	r.standby.Follow(t, r.primary)
	r.after(t, 1)
	r.want(t, false, "")
	r.after(t, 10)
	r.want(t, true, "")
}

// testPromoted: a replica that has become a primary is not read from.
func (r *replicated) testPromoted(t *testing.T) {
	r.standby.Exec(t, `SELECT pg_promote()::text`)
	r.list(t, false)
	r.want(t, false, "not a standby")
	r.after(t, 11)
	r.want(t, false, "not a standby")
}

// testWrong: another cluster, or another database of the replica's, is refused at the start, and the
// error has no password.
func (r *replicated) testWrong(t *testing.T) {
	r.primary.Exec(t, `CREATE DATABASE other`)
	r.standby.Follow(t, r.primary)
	for name, c := range map[string]struct{ url, want string }{
		"another cluster":  {newDatabase(t), "not a replica of the database"},
		"another database": {r.standby.URL("other"), "not a replica of the database"},
		"no URL":           {"postgres://umpire:hunter2@db.example.com:port/umpire", "URL"},
	} {
		s, err := Open(t.Context(), Config{URL: r.primary.URL("postgres"), Replica: strings.Replace(c.url, "postgres@", "postgres:hunter2@", 1)})
		if err == nil || !strings.Contains(err.Error(), "the replica ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", name, err)
		}
		if err == nil {
			mustClose(t, s.Close)
		}
	}
}
