// Package memory keeps rows of a database in memory, and says in which state of the database
// they are valid. Drivers of package store tell it of commits, and of what other processes
// committed; it knows no database.
package memory

import (
	"sync"
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

// Kinds is a set of kinds of rows: those that are kept in memory, and that grants rest on.
type Kinds uint8

const (
	RealmRows   Kinds = 1 << iota // of which no row is kept
	SessionRows                   // sessions and revocations
	UserRows                      // users, identities and issuers
	ResourceRows
	ShareRows // requests and policies

	manyKinds = iota

	AllKinds Kinds = 1<<manyKinds - 1

	// RestedKinds are those of which uma.Rests names rows.
	RestedKinds = AllKinds &^ SessionRows
)

const (
	// LookEvery is how often a driver looks, when it is idle, whether another process has
	// written.
	LookEvery = 250 * time.Millisecond

	// Trusted is how long after such a look rows may come from memory: a change that another
	// process made is seen within a second, also if the driver is stuck.
	Trusted = 3 * LookEvery
)

// A Memory has the rows that are kept in memory, and says in which state of the database they
// are valid. States are counted by the epoch, which each commit that changes rows of these kinds
// raises twice: before it, and when it has settled. So does a change that another process was
// found to have made. Several commits may be under way at once. Meanwhile a reader may see the
// state before or after each of them, so that no row is read from memory or kept.
//
// A row that was read in epoch e is that of every later epoch up to the next change of its kind.
//
// Methods of nil keep nothing. All may be called at the same time.
type Memory struct {
	Kept

	now   func() time.Time
	start time.Time

	state   atomic.Uint64            // the epoch, and the number of commits under way: see oneEpoch
	changed [manyKinds]atomic.Uint64 // the epoch of the last change of each kind
	looked  atomic.Int64             // when, in nanoseconds since start

	mu sync.Mutex // held to raise the epoch
}

// The state is one number, so that it is read at once: the commits under way in its low bits, the
// epoch above them.
const (
	epochShift = 16
	oneEpoch   = 1 << epochShift
	oneCommit  = 1
	underWay   = oneEpoch - 1 // the bits of the number of commits
)

// Kept are the rows of each kind; nil for a kind that is off.
type Kept struct {
	Sessions  *Rows[SessionKey, *SessionState]
	Users     *Rows[UserKey, *uma.User]
	Resources *Rows[ResourceKey, *uma.Resource]
	Shares    *Rows[SharingKey, *Sharing]
}

// New returns nil if no rows are kept. No row comes from memory before the first look.
func New(cfg Caches, now func() time.Time) *Memory {
	if !cfg.Sessions && !cfg.Users && !cfg.Resources && !cfg.Shares {
		return nil
	}
	m := &Memory{now: now, start: now()}
	m.state.Store(oneEpoch)
	m.looked.Store(-int64(Trusted) - 1)
	budget := recent.NewBudget(cfg.Memory)
	if cfg.Sessions {
		m.Sessions = newRows[SessionKey, *SessionState](m, SessionRows, budget)
	}
	if cfg.Users {
		m.Users = newRows[UserKey, *uma.User](m, UserRows, budget)
	}
	if cfg.Resources {
		m.Resources = newRows[ResourceKey, *uma.Resource](m, ResourceRows, budget)
	}
	if cfg.Shares {
		m.Shares = newRows[SharingKey, *Sharing](m, ShareRows, budget)
	}
	return m
}

// Stats returns what each cache that is on holds and how it was used, by its name. The map is
// the caller's.
func (m *Memory) Stats() map[string]recent.Stats {
	stats := map[string]recent.Stats{}
	if m == nil {
		return stats
	}
	m.Sessions.addStats(stats, "sessions")
	m.Users.addStats(stats, "users")
	m.Resources.addStats(stats, "resources")
	m.Shares.addStats(stats, "shares")
	return stats
}

// Committing is called before a transaction that changed rows of some kinds is committed, Settled
// with the same kinds when it is known whether it was. A driver that has lost the answer of its
// database finds out first: the commit may take effect later.
func (m *Memory) Committing(of Kinds) {
	if m == nil || of == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Add(oneEpoch + oneCommit)
}

// Settled ends what Committing began.
func (m *Memory) Settled(of Kinds) {
	if m == nil || of == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.state.Load()>>epochShift + 1
	for i := range m.changed {
		if of&(1<<i) != 0 {
			m.changed[i].Store(next) // before a view can begin in that epoch
		}
	}
	m.state.Add(oneEpoch - oneCommit)
}

// Changed says that rows of some kinds were changed by another process, or may have been.
func (m *Memory) Changed(of Kinds) {
	m.Committing(of)
	m.Settled(of)
}

// Clock returns the time at which a look begins, for Looked.
func (m *Memory) Clock() time.Time {
	if m == nil {
		return time.Time{}
	}
	return m.now()
}

// Looked says that a look for changes of other processes, which began at a time by Clock, was
// made, and what had changed since the look before. Looks are made one after the other.
func (m *Memory) Looked(began time.Time, changed Kinds) {
	if m == nil {
		return
	}
	m.Changed(changed)
	m.looked.Store(int64(began.Sub(m.start)))
}

// Current returns the epoch in which a view begins, or 0 if it must read the database alone:
// while a commit is under way, and if nobody has looked for changes of other processes.
func (m *Memory) Current() uma.Epoch {
	if m == nil {
		return 0
	}
	looked := m.looked.Load() // before the epoch, which the look may have raised
	if ago := int64(m.now().Sub(m.start)) - looked; ago < 0 || ago > int64(Trusted) {
		return 0
	}
	return settledEpoch(m.state.Load())
}

// settledEpoch returns the epoch of a state, or 0 while a commit is under way.
func settledEpoch(state uint64) uma.Epoch {
	if state&underWay != 0 {
		return 0
	}
	return uma.Epoch(state >> epochShift)
}

// Epoch returns the present epoch, also while a commit is under way.
func (m *Memory) Epoch() uma.Epoch { return uma.Epoch(m.state.Load() >> epochShift) }

// Unchanged reports whether no row of some kinds was changed after an epoch, by a commit that
// has settled.
func (m *Memory) Unchanged(of Kinds, since uma.Epoch) bool {
	for i := range m.changed {
		if of&(1<<i) != 0 && m.changed[i].Load() > uint64(since) {
			return false
		}
	}
	return true
}
