package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/uma"
)

// A crowd is a store with a realm of many users, and settlements that one batch commits.
type crowd struct {
	*twoServers // both are the same
	s           *Store
	generation  int64
	holding     sync.RWMutex // while it is held, the settler takes no batch
}

const crowdSize = 50

func newCrowd(t *testing.T, patience time.Duration) *crowd {
	t.Helper()
	c := &crowd{}
	c.s = openTemp(t, func(cfg *Config) {
		cfg.patience = patience
		cfg.Observe = func(int, time.Duration) {
			c.holding.RLock()
			defer c.holding.RUnlock()
		}
	})
	snapshot := smallRealm(t, c.s)
	c.twoServers = &twoServers{T: t, servers: []*Store{c.s, c.s}, realm: snapshot.Realm.Key, server: snapshot.Clients["api"].Key}
	c.generation = snapshot.Realm.Generation
	run(t, c.s, command{query: `INSERT INTO users (realm, id, username, folded, password, enabled, roles, client_roles, groups, claims, origin, version)
		SELECT $1, 'u' || n, 'u' || n, 'u' || n, '', true, '{}', '{}', '{}', '{}', 'api', n FROM generate_series(0, $2::int) n`,
		args: []any{c.realm, crowdSize}})
	if err := c.s.Commit(t.Context(), record("the first of its month")); err != nil {
		t.Fatal(err)
	}
	return c
}

// grant is a settlement that rests on a user of the crowd.
func (c *crowd) grant(user int) *uma.Settlement {
	st := record(fmt.Sprint("for u", user))
	st.Realm = c.realm
	st.RestsOn = &uma.Rests{Generation: c.generation, User: fmt.Sprint("u", user), UserVersion: int64(user)}
	return st
}

// commit commits settlements in one batch. The channels get their errors.
func (c *crowd) commit(all ...*uma.Settlement) []chan error {
	c.Helper()
	results := make([]chan error, len(all)+1)
	c.holding.Lock()
	for i, st := range append([]*uma.Settlement{record(c.newID())}, all...) {
		results[i] = make(chan error, 1)
		go func() { results[i] <- c.s.Commit(c.Context(), st) }()
		for i == 0 && countRecords(c.T, c.s, st.Records[0].ID) == 0 { // then the settler waits for Observe
			runtime.Gosched()
		}
	}
	for len(c.s.settler.queue) < len(all) {
		runtime.Gosched()
	}
	c.holding.Unlock()
	return results[1:]
}

// A resting is a settlement that rests on a row of some kind, which others lock and change.
type resting struct {
	st     *uma.Settlement
	change string
	want   error // once the row is changed
}

// restings are settlements of a user of the crowd, by the row that they also rest on.
func (c *crowd) restings() map[string]resting {
	c.Helper()
	album := c.album()
	q, p := c.request(album, "u0"), c.policy(album, "a policy")
	err := errors.Join(c.s.CreateRequest(c.Context(), q), c.s.DecideRequest(c.Context(), c.server, q.ID, true, at),
		c.s.CreateShare(c.Context(), p), c.s.SaveTicket(c.Context(), c.realm, ticket("a")), c.s.SaveTicket(c.Context(), c.realm, ticket("b")))
	if err != nil {
		c.Fatal(err)
	}
	run(c.T, c.s, command{query: `UPDATE resource SET version = 7`}, command{query: `UPDATE request SET version = 7`},
		command{query: `UPDATE share SET version = 7`},
		command{query: `INSERT INTO realm (name, settings, generation, applying) VALUES ('other', '{}', 7, false)`})
	var other uma.Key
	if err := c.s.read(c.Context(), func(c *conn) error { return c.row(`SELECT key FROM realm WHERE name = 'other'`, nil, &other) }); err != nil {
		c.Fatal(err)
	}
	on := func(change func(st *uma.Settlement, r *uma.Rests)) *uma.Settlement {
		st := c.grant(0)
		change(st, st.RestsOn)
		return st
	}
	requested := func(st *uma.Settlement, r *uma.Rests) { r.Requests = map[uma.Key]int64{q.Key: 7} }
	return map[string]resting{
		"a ticket": {on(func(st *uma.Settlement, _ *uma.Rests) { st.Ticket, st.Now = uma.Digest("a"), at }), `DELETE FROM ticket`, uma.ErrSpent},
		"a reusable ticket": {on(func(st *uma.Settlement, _ *uma.Rests) { st.Ticket, st.Now, st.Reusable = uma.Digest("b"), at, true }),
			`DELETE FROM ticket`, uma.ErrSpent},
		"a realm": {on(func(st *uma.Settlement, r *uma.Rests) { st.Realm, r.User, r.Generation = other, "", 7 }),
			`UPDATE realm SET generation = 8 WHERE name = 'other'`, uma.ErrMoved},
		"a user":             {c.grant(0), `UPDATE users SET enabled = false WHERE id = 'u0'`, uma.ErrMoved},
		"a request":          {on(requested), `DELETE FROM request`, uma.ErrMoved},
		"a dropped resource": {on(requested), `INSERT INTO dropped SELECT key FROM resource`, uma.ErrMoved},
		"a share": {on(func(_ *uma.Settlement, r *uma.Rests) { r.Policies = map[uma.Key]int64{p.Key: 7} }), `DELETE FROM share`,
			uma.ErrMoved},
		"a resource": {on(func(_ *uma.Settlement, r *uma.Rests) { r.Resources = map[uma.Key]int64{album.Key: 7} }),
			`UPDATE resource SET version = 8`, uma.ErrMoved},
	}
}

// changed begins a transaction that has executed statements.
func (c *crowd) changed(statements string) pgx.Tx {
	c.Helper()
	tx, err := c.s.pool.Begin(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(c.Context(), statements); err != nil {
		c.Fatal(err)
	}
	return tx
}

// others are settlements that rest on the rest of the crowd.
func (c *crowd) others() (all []*uma.Settlement) {
	for n := range crowdSize {
		all = append(all, c.grant(n+1))
	}
	return all
}

// allCommit fails if a settlement is refused, or is not committed soon.
func (c *crowd) allCommit(results []chan error) {
	c.Helper()
	soon := time.After(3 * time.Second) // an idle machine takes a hundredth
	for i, result := range results {
		select {
		case err := <-result:
			if err != nil {
				c.Errorf("settlement %d: %v", i, err)
			}
		case <-soon:
			c.Fatalf("settlement %d waits", i)
		}
	}
}

// eachResting runs a test for each row that a settlement rests on, with a crowd of its own.
func eachResting(t *testing.T, test func(t *testing.T, c *crowd, name string, r resting)) {
	t.Helper()
	for _, name := range []string{"a ticket", "a reusable ticket", "a realm", "a user", "a request", "a dropped resource", "a share", "a resource"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, time.Minute)
			test(t, c, name, c.restings()[name])
		})
	}
}

// A settlement whose row is about to be changed is committed: the change is not, until then. Only one whose ticket is about
// to be spent waits, and stalls no others. Once the row is changed, a settlement in a batch with others is told so.
func TestSettlementsRestOnWhatIsCommitted(t *testing.T) {
	t.Parallel()
	eachResting(t, func(t *testing.T, c *crowd, name string, r resting) {
		tx := c.changed(r.change)
		results := c.commit(append(c.others(), r.st)...)
		c.allCommit(results[:crowdSize])
		waits := results[crowdSize]
		if name != "a ticket" {
			c.allCommit(results[crowdSize:])
			waits = make(chan error, 1)
			waits <- r.want
		}
		c.allCommit(c.commit(c.others()...))
		if len(waits) == 0 != (name == "a ticket") {
			t.Errorf("a settlement whose row is about to be changed: got an answer: %v", len(waits) > 0)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-waits; !errors.Is(err, r.want) {
			t.Errorf("changed while it waited: got %v, want %v", err, r.want)
		}
		results = c.commit(append(c.others(), r.st)...)
		if err := <-results[crowdSize]; !errors.Is(err, r.want) {
			t.Errorf("changed before: got %v, want %v", err, r.want)
		}
		c.allCommit(results[:crowdSize])
	})
}

// A ticket that was about to be spent is free when that has failed.
func TestLockedTicketIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, time.Minute)
	st := c.restings()["a ticket"].st
	tx := c.changed(`DELETE FROM ticket`)
	waits := c.commit(st)[0]
	c.allCommit(c.commit(c.others()...))
	if len(waits) > 0 {
		t.Errorf("while it is locked: got %v", <-waits)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Errorf("when it is free: %v", err)
	}
}

// A settlement whose ticket stays locked is refused after a while.
func TestLockedTicketIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, time.Second)
	st := c.restings()["a ticket"].st
	c.changed(`SELECT 1 FROM ticket FOR UPDATE`)
	if err := <-c.commit(st)[0]; !errors.Is(err, uma.ErrBusy) {
		t.Errorf("got %v, want %v", err, uma.ErrBusy)
	}
}

// While a ticket is locked, and when it has been for too long, others are committed.
func TestLockedTicketSpoilsNoBatch(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, time.Second)
	st := c.restings()["a ticket"].st
	c.changed(`SELECT 1 FROM ticket FOR UPDATE`)
	var over atomic.Bool
	var others sync.WaitGroup
	for user := range 8 {
		others.Go(func() {
			for !over.Load() {
				if err := c.s.Commit(t.Context(), c.grant(user+1)); err != nil {
					t.Errorf("u%d: %v", user+1, err)
				}
			}
		})
	}
	if err := c.s.Commit(t.Context(), st); !errors.Is(err, uma.ErrBusy) {
		t.Errorf("got %v, want %v", err, uma.ErrBusy)
	}
	over.Store(true)
	others.Wait()
}

// Why a settlement was refused is asked for as long as a write may take.
func TestLackingHasItsTime(t *testing.T) {
	t.Parallel()
	proxy, url := pgtest.NewProxy(t, newDatabase(t))
	s := open(t, Config{URL: url, patience: 100 * time.Millisecond})
	proxy.Hang()
	defer proxy.Pass()
	st := record("of no ticket")
	st.Ticket, st.Now = uma.Digest("none"), at
	if err := s.lacking(t.Context(), st); !errors.Is(err, uma.ErrBusy) {
		t.Errorf("got %v, want %v", err, uma.ErrBusy)
	}
}

// A grant that something was changed for while it waited for the numbers compares again what it rests on.
func TestGrantsCompareAgain(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, time.Minute)
	for _, tc := range []struct {
		change string
		want   error
	}{{`UPDATE users SET enabled = false WHERE id = 'u1'`, nil}, {`UPDATE users SET enabled = false WHERE id = 'u2'`, uma.ErrMoved}} {
		tx := c.changed(tc.change + `; ` + countRested)
		done := make(chan error, 1)
		go func() { done <- c.s.Commit(t.Context(), c.grant(2)) }()
		awaitWaiting(t, c.s, done)
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.change, err, tc.want)
		}
	}
}

// What changes between the comparison and the numbers is found, the first time and the second.
func TestGrantsCompareWithTheNumbers(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, time.Minute)
	for user, again := range []bool{false, true} {
		w, err := newSettlements([]*entry{{Settlement: c.grant(user)}}, again)
		if err != nil {
			t.Fatal(err)
		}
		tx := c.changed(`SELECT 1`)
		for _, cmd := range w.first {
			if _, err := tx.Exec(t.Context(), cmd.query, cmd.args...); err != nil {
				t.Fatal(err)
			}
		}
		change := c.changed(fmt.Sprintf(`UPDATE users SET enabled = false WHERE id = 'u%d'; `, user) + countRested)
		if err := change.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, cmd := range w.last {
			if _, err = tx.Exec(t.Context(), cmd.query, cmd.args...); err != nil {
				break
			}
		}
		if !isLacking(err) {
			t.Errorf("again %t: got %v", again, err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever changes a row that grants rest on commits that with the lock of the numbers.
func TestChangesWaitForTheNumbers(t *testing.T) {
	t.Parallel()
	eachResting(t, func(t *testing.T, c *crowd, name string, r resting) {
		if strings.HasSuffix(name, "ticket") {
			return // whoever spends it has locked it
		}
		tx := c.changed(lockNumbers)
		done := make(chan error, 1)
		go func() { done <- c.s.writeAll(c.Context(), command{query: r.change}) }()
		awaitWaiting(t, c.s, done)
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := c.s.Commit(t.Context(), r.st); !errors.Is(err, r.want) {
			t.Errorf("got %v, want %v", err, r.want)
		}
	})
}

// The statements that find rows read them by index.
func TestPlansOfGuards(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, func() error { return conn.Close(context.Background()) })
	planAlike(t, conn)
	var all [allKinds][]seen
	queries := []string{freeTickets(`x.n`), spend([]seen{{kind: spentTickets}}).query, takeNumbers, countRested}
	for n := range kinds {
		all[n] = []seen{{kind: n}}
		queries = append(queries, kinds[n].find(`x.n`, 1))
	}
	for _, query := range append(queries, compare(all).query) {
		plan, err := explain(t.Context(), conn, query)
		if err != nil {
			t.Errorf("explain %s: %v", query, err)
			continue
		}
		for _, bad := range plan.unbounded(false, nil) {
			t.Errorf("%s of\n%s", bad, query)
		}
	}
}
