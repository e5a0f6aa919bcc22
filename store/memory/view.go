package memory

import (
	"context"

	"example.com/umpire/uma"
)

// A View is the part of a view of a store that reads from memory. Its rows are those of its
// epoch, which is that of its first read. When the view begins to read the database, the snapshot
// there must have the same rows of the kinds that came from memory, or the view is torn:
//
//	v.Begin()
//	before := v.State()
//	... // the database takes the snapshot
//	err := v.Match(before)
//
// The zero value reads nothing from memory. A View is used by one goroutine at a time.
type View struct {
	Kept

	memory   *Memory
	begun    bool
	ended    bool
	torn     bool
	epoch    uma.Epoch // 0: everything is read from the database
	recalled Kinds     // of the rows that came from memory
}

// View returns a view of the present epoch.
func (m *Memory) View() View {
	if m == nil {
		return View{}
	}
	return View{memory: m, Kept: m.Kept}
}

// Begin notes the epoch at the first read.
func (v *View) Begin() {
	if !v.begun {
		v.begun, v.epoch = true, v.memory.Current()
	}
}

// State returns the state before the database takes its snapshot, for Match.
func (v *View) State() uint64 {
	if v.memory == nil {
		return 0
	}
	return v.memory.state.Load()
}

// Match is called when the snapshot was taken, with the state before that. It makes the epoch of
// the snapshot that of the view, or returns uma.ErrTorn.
func (v *View) Match(before uint64) error {
	if v.epoch == 0 {
		return nil
	}
	at := settledEpoch(before)
	known := at != 0 && v.memory.state.Load() == before
	switch {
	case known && v.memory.Unchanged(v.recalled, v.epoch):
		v.epoch = at
	case v.recalled == 0:
		v.epoch = 0 // the snapshot may be before or after a commit that is under way
	default:
		v.torn = true
		return uma.ErrTorn
	}
	return nil
}

// MayRecall reports whether rows may come from memory.
func (v *View) MayRecall() bool {
	if v.ended {
		return false
	}
	v.Begin()
	return v.epoch != 0 && !v.torn
}

// Epoch is that of the method of uma.View.
func (v *View) Epoch() uma.Epoch {
	if v.torn {
		return 0
	}
	return v.epoch
}

// Err returns uma.ErrTorn for a view that is torn.
func (v *View) Err() error {
	if v.torn {
		return uma.ErrTorn
	}
	return nil
}

// End makes the view read nothing more from memory. It returns Err.
func (v *View) End() error {
	v.ended = true
	return v.Err()
}

// ReadAhead says that rows of some kinds, which the view has read from the database, are used like those from
// memory from now on: what the view reads next must have the same.
func (v *View) ReadAhead(of Kinds) {
	if v.epoch == 0 {
		v.torn = true // nothing could tell whether it has
	}
	v.recalled |= of
}

// Holds is Recall for a view that only wants to know what it need not read: it does not count.
func Holds[K comparable, V any](v *View, r *Rows[K, V], key K) (row V, ok bool) {
	if r == nil || !v.MayRecall() {
		return row, false
	}
	found, there := r.kept.Get(key)
	if changed := r.changed.Load(); !there || changed > found.epoch || changed > uint64(v.epoch) {
		return row, false
	}
	return found.value, true
}

// Recall returns a row from memory, if it is there and is that of the view's epoch.
func Recall[K comparable, V any](ctx context.Context, v *View, r *Rows[K, V], key K) (row V, ok bool) {
	if r == nil {
		return row, false
	}
	if ctx.Err() == nil {
		if row, ok = Holds(v, r, key); ok {
			v.recalled |= r.kind
			r.hits.Add(1)
			return row, true
		}
	}
	r.misses.Add(1)
	return row, false
}

// Keep keeps a row that the view has just read from the database, and says how many bytes its key
// and the row take. The key must have no text of a request: all of its body would stay in memory.
func Keep[K comparable, V any](v *View, r *Rows[K, V], key K, row V, bytes int) {
	if r != nil && v.epoch != 0 && r.changed.Load() <= uint64(v.epoch) {
		r.kept.Put(key, keptRow[V]{row, uint64(v.epoch)}, keptBytes+bytes)
	}
}
