package sqlite

import (
	"sync/atomic"
	"time"

	"example.com/umpire/recent"
	"example.com/umpire/uma"
)

// Caches says which rows are kept in memory. The zero value keeps none.
type Caches struct {
	Memory                             int // bytes of all of them together
	Sessions, Users, Resources, Shares bool
}

// kinds is a set of kinds of rows: those that are kept in memory, and that grants rest on.
type kinds uint8

const (
	realmRows   kinds = 1 << iota // of which no row is kept
	sessionRows                   // sessions and revocations
	userRows                      // users, identities and issuers
	resourceRows
	shareRows // requests and policies

	manyKinds = iota
	allKinds  = 1<<manyKinds - 1

	// restedKinds are those of which Rests names rows.
	restedKinds = allKinds &^ sessionRows
)

const (
	// lookEvery is how often an idle writer looks whether another process has written.
	lookEvery = 250 * time.Millisecond

	// trusted is how long after such a look rows may come from memory: a change that another
	// process made is seen within a second, also if the writer is stuck.
	trusted = 3 * lookEvery
)

// A memory has the rows that are kept in memory, and says in which state of the database they
// are valid. States are counted by the epoch: the writer raises it in every commit that changes
// rows of these kinds, and when it finds that another process has written. While such a commit
// is under way the epoch is odd, because a reader may see the state before it or after it.
//
// A row that was read in epoch e is that of every later epoch up to the next change of its kind.
type memory struct {
	now   func() time.Time
	start time.Time

	epoch   atomic.Uint64
	changed [manyKinds]atomic.Uint64 // the epoch of the last change of each kind
	looked  atomic.Int64             // when, in nanoseconds since start

	// For the writer alone.
	version    int64             // PRAGMA data_version
	compared   map[uma.Key]int64 // generations of realms, as they were found in the database
	comparedAt uint64            // the epoch in which they were found

	caches
}

// caches are nil if they are off.
type caches struct {
	sessions  *rows[sessionKey, *sessionState]
	users     *rows[userKey, *uma.User]
	resources *rows[resourceKey, *uma.Resource]
	shares    *rows[sharingKey, *sharing]
}

// newMemory returns nil if no rows are kept.
func newMemory(cfg Caches, now func() time.Time) *memory {
	m := &memory{now: now, start: now()}
	m.epoch.Store(2)
	if !cfg.Sessions && !cfg.Users && !cfg.Resources && !cfg.Shares {
		return nil
	}
	memory := recent.NewBudget(cfg.Memory)
	if cfg.Sessions {
		m.sessions = newRows[sessionKey, *sessionState](m, sessionRows, memory)
	}
	if cfg.Users {
		m.users = newRows[userKey, *uma.User](m, userRows, memory)
	}
	if cfg.Resources {
		m.resources = newRows[resourceKey, *uma.Resource](m, resourceRows, memory)
	}
	if cfg.Shares {
		m.shares = newRows[sharingKey, *sharing](m, shareRows, memory)
	}
	return m
}

// CacheStats returns what each cache that is on holds and how it was used, by its name.
func (s *Store) CacheStats() map[string]recent.Stats {
	stats := map[string]recent.Stats{}
	if s.memory == nil {
		return stats
	}
	s.memory.sessions.addStats(stats, "sessions")
	s.memory.users.addStats(stats, "users")
	s.memory.resources.addStats(stats, "resources")
	s.memory.shares.addStats(stats, "shares")
	return stats
}

// current returns the epoch in which a view begins, or 0 if it must read the database alone:
// while a commit is under way, and if the writer has not looked for changes of other processes.
func (m *memory) current() uint64 {
	looked := m.looked.Load() // before the epoch, which the look may have raised
	if ago := m.sinceStart() - looked; ago < 0 || ago > int64(trusted) {
		return 0
	}
	if epoch := m.epoch.Load(); isSettled(epoch) {
		return epoch
	}
	return 0
}

func (m *memory) sinceStart() int64 { return int64(m.now().Sub(m.start)) }

// isSettled reports whether no commit is under way in an epoch.
func isSettled(epoch uint64) bool { return epoch%2 == 0 }

// unchanged reports whether no row of some kinds was changed after an epoch.
func (m *memory) unchanged(of kinds, since uint64) bool {
	for i := range m.changed {
		if of&(1<<i) != 0 && m.changed[i].Load() > since {
			return false
		}
	}
	return true
}

// committing is called by the writer before it commits changes of some kinds, settled after it
// has, or has failed to.
func (m *memory) committing(of kinds) {
	if m != nil && of != 0 {
		m.epoch.Add(1)
	}
}

func (m *memory) settled(of kinds) {
	if m == nil || of == 0 {
		return
	}
	next := m.epoch.Load() + 1
	for i := range m.changed {
		if of&(1<<i) != 0 {
			m.changed[i].Store(next)
		}
	}
	m.epoch.Store(next)
}

// look finds out on the writer's connection whether another process has written. If so, or if
// that is not known, no row that was read before is valid.
func (m *memory) look(c *conn) {
	if m == nil {
		return
	}
	began := m.sinceStart()
	var version int64
	err := c.row(`PRAGMA data_version`, nil, &version)
	if err != nil || version != m.version {
		m.version = version
		m.committing(allKinds)
		m.settled(allKinds)
	}
	if err == nil {
		m.looked.Store(began)
	}
}

// spares reports whether the rows that a grant rests on need not be compared: they were read in
// an epoch since which none of their kinds was changed, nor in the present transaction, and the
// generation of the realm was compared since the last change of a realm.
func (m *memory) spares(tx *conn, realm uma.Key, r *uma.Rests) bool {
	if m == nil || r.Epoch == 0 || tx.touched&restedKinds != 0 {
		return false
	}
	generation, ok := m.compared[realm]
	return ok && generation == r.Generation && m.unchanged(restedKinds, uint64(r.Epoch)) && m.unchanged(realmRows, m.comparedAt)
}

// compare notes the generation of a realm that the writer found in the database.
func (m *memory) compare(tx *conn, realm uma.Key, generation int64) {
	if m == nil || tx.touched&realmRows != 0 {
		return
	}
	if m.compared == nil || !m.unchanged(realmRows, m.comparedAt) {
		m.compared = map[uma.Key]int64{}
	}
	m.compared[realm], m.comparedAt = generation, m.epoch.Load()
}
