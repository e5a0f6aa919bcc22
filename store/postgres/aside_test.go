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

	"example.com/umpire/uma"
)

// A crowd is a store with a realm of many users, and settlements that one batch commits.
type crowd struct {
	*twoServers // both are the same
	s           *Store
	generation  int64
	batches     atomic.Int64 // that were committed
	holding     sync.RWMutex // while it is held, the settler takes no batch
}

const crowdSize = 50

func newCrowd(t *testing.T, parameters string) *crowd {
	t.Helper()
	c := &crowd{}
	c.s = openTemp(t, func(cfg *Config) {
		cfg.URL += parameters
		cfg.Observe = func(int, time.Duration) {
			c.batches.Add(1)
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
	lock   string
	change string
	want   error // once the row is changed
}

// restings are settlements of a user of the crowd, by the row that they also rest on.
func (c *crowd) restings() map[string]resting {
	c.Helper()
	album := c.album()
	q, p := c.request(album, "u0"), c.policy(album, "a policy")
	err := errors.Join(c.s.CreateRequest(c.Context(), q), c.s.DecideRequest(c.Context(), c.server, q.ID, true, at),
		c.s.CreateShare(c.Context(), p), c.s.SaveTicket(c.Context(), c.realm, ticket("a")))
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
	on := func(change func(r *uma.Rests)) *uma.Settlement {
		st := c.grant(0)
		change(st.RestsOn)
		return st
	}
	spends, elsewhere := c.grant(0), record("in the other realm")
	spends.Ticket, elsewhere.Realm, elsewhere.RestsOn = uma.Digest("a"), other, &uma.Rests{Generation: 7}
	return map[string]resting{
		"a ticket":  {spends, `SELECT 1 FROM ticket FOR UPDATE`, `DELETE FROM ticket`, uma.ErrSpent},
		"a realm":   {elsewhere, `SELECT 1 FROM realm WHERE name = 'other' FOR UPDATE`, `UPDATE realm SET generation = 8 WHERE name = 'other'`, uma.ErrMoved},
		"a user":    {c.grant(0), `SELECT 1 FROM users WHERE id = 'u0' FOR UPDATE`, `UPDATE users SET enabled = false WHERE id = 'u0'`, uma.ErrMoved},
		"a request": {on(func(r *uma.Rests) { r.Requests = map[uma.Key]int64{q.Key: 7} }), `SELECT 1 FROM request FOR UPDATE`, `DELETE FROM request`, uma.ErrMoved},
		"a share":   {on(func(r *uma.Rests) { r.Policies = map[uma.Key]int64{p.Key: 7} }), `SELECT 1 FROM share FOR UPDATE`, `DELETE FROM share`, uma.ErrMoved},
		"a resource": {on(func(r *uma.Rests) { r.Resources = map[uma.Key]int64{album.Key: 7} }), `SELECT 1 FROM resource FOR UPDATE`,
			`UPDATE resource SET version = 8`, uma.ErrMoved},
	}
}

// locked begins a transaction that locks rows.
func (c *crowd) locked(lock string) pgx.Tx {
	c.Helper()
	tx, err := c.s.pool.Begin(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(c.Context(), lock); err != nil {
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
func eachResting(t *testing.T, parameters string, test func(c *crowd, r resting)) {
	t.Helper()
	for _, name := range []string{"a ticket", "a realm", "a user", "a request", "a share", "a resource"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, parameters)
			test(c, c.restings()[name])
		})
	}
}

// A row that somebody has locked stalls only the settlement that rests on it. That is committed when the lock is
// released.
func TestLockedRowStallsNoOthers(t *testing.T) {
	t.Parallel()
	eachResting(t, "", func(c *crowd, r resting) {
		tx := c.locked(r.lock)
		results := c.commit(append(c.others(), r.st)...)
		c.allCommit(results[:crowdSize])
		waits := results[crowdSize]
		awaitWaiting(c.T, c.s, waits)
		c.allCommit(c.commit(c.others()...))
		if err := tx.Rollback(c.Context()); err != nil {
			c.Fatal(err)
		}
		if err := <-waits; err != nil {
			c.Errorf("when the row is free: %v", err)
		}
	})
}

// A settlement is refused once it has waited for lock_timeout.
func TestLockedRowRefusesWhoRestsOnIt(t *testing.T) {
	t.Parallel()
	eachResting(t, "&lock_timeout=500", func(c *crowd, r resting) {
		c.locked(r.lock)
		results := c.commit(append(c.others(), r.st)...)
		c.allCommit(results[:crowdSize])
		if err := <-results[crowdSize]; !errors.Is(err, uma.ErrBusy) {
			c.Errorf("got %v, want %v", err, uma.ErrBusy)
		}
	})
}

// A settlement whose row is locked, and then changed, is told that it has changed; so is one in a batch with others whose
// row has changed before.
func TestLockedRowMoves(t *testing.T) {
	t.Parallel()
	eachResting(t, "", func(c *crowd, r resting) {
		tx := c.locked(r.lock)
		results := c.commit(append(c.others(), r.st)...)
		awaitWaiting(c.T, c.s, results[crowdSize])
		_, err := tx.Exec(c.Context(), r.change)
		if err = errors.Join(err, tx.Commit(c.Context())); err != nil {
			c.Fatal(err)
		}
		if err := <-results[crowdSize]; !errors.Is(err, r.want) {
			c.Errorf("changed while it waited: got %v, want %v", err, r.want)
		}
		c.allCommit(results[:crowdSize])
		results = c.commit(append(c.others(), r.st)...)
		if err := <-results[crowdSize]; !errors.Is(err, r.want) {
			c.Errorf("changed before: got %v, want %v", err, r.want)
		}
		c.allCommit(results[:crowdSize])
	})
}

// A settlement that waits for a row keeps nobody from the others that it rests on.
func TestLockedRowHoldsNoOtherRows(t *testing.T) {
	t.Parallel()
	const patient = "&lock_timeout=1min&statement_timeout=1min"
	c := newCrowd(t, patient)
	hasty := open(t, Config{URL: strings.TrimSuffix(c.s.cfg.URL, patient) + "&lock_timeout=1s", patience: 2 * time.Second})
	tx := c.locked(`SELECT 1 FROM users WHERE id = 'u0' FOR UPDATE`)
	waits := c.commit(c.grant(0))[0]
	awaitWaiting(t, c.s, waits)
	if err := activate(t.Context(), hasty, "next"); err != nil {
		t.Errorf("a policy is activated: %v", err)
	}
	if len(waits) > 0 {
		t.Error("the settlement does not wait any longer")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; !errors.Is(err, uma.ErrMoved) {
		t.Errorf("got %v, want %v", err, uma.ErrMoved)
	}
}

// Settlements that wait for the same row are settled together. There may be more rows that are locked than
// transactions that wait for them.
func TestLockedRowsAndTheirQueues(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, "")
	tx := c.locked(`SELECT 1 FROM users WHERE folded = ANY ('{u0,u1,u2,u3,u4,u5,u6,u7,u8,u9}') FOR UPDATE`)
	all := c.others()
	for range 100 {
		all = append(all, c.grant(0))
	}
	results := c.commit(all...)
	c.allCommit(results[9:crowdSize])
	awaitWaiting(t, c.s, results[0])
	before := c.batches.Load()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.allCommit(append(results[:9:9], results[crowdSize:]...))
	if n := c.batches.Load() - before; n < 10 || n > 30 {
		t.Errorf("%d batches were committed, want one or a few for each of ten rows", n)
	}
}

// Of settlements that wait for locked rows there are not more than may be queued.
func TestLockedRowsAreNotWaitedForByTooMany(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, "")
	c.s.cfg.QueueLength = 5
	tx := c.locked(`SELECT 1 FROM users FOR UPDATE`)
	results := c.commit(c.others()...)
	awaitWaiting(t, c.s, make(chan error))
	for busy := 0; busy < crowdSize-5-asides; runtime.Gosched() { // some transactions of one each wait besides
		busy = 0
		for _, result := range results {
			busy += len(result)
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	committed := 0
	for _, result := range results {
		switch err := <-result; {
		case err == nil:
			committed++
		case !errors.Is(err, uma.ErrBusy):
			t.Errorf("got %v, want %v", err, uma.ErrBusy)
		}
	}
	if committed < 5 || committed > 5+asides {
		t.Errorf("%d were committed, want about 5", committed)
	}
}

// The statements that find and lock rows read them by index.
func TestPlansOfGuards(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, func() error { return conn.Close(context.Background()) })
	planAlike(t, conn)
	for n := range kinds {
		queries := []string{kinds[n].find(`x.n`), kinds[n].lockFound(`x.n`, skipLocked)}
		for _, mode := range []lockMode{waitForLocked, failIfLocked} {
			w := &settlements{}
			w.guard(n, []seen{{kind: n}}, mode)
			queries = append(queries, w.commands[0].query)
		}
		for _, query := range queries {
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
}
