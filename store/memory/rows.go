package memory

import (
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"example.com/umpire/recent"
)

// Rows are those of one kind that are kept in memory, by key. Requests share them: nobody may
// change one. nil keeps none.
type Rows[K comparable, V any] struct {
	kind         Kinds
	changed      *atomic.Uint64 // of the Memory
	kept         *recent.Sized[K, keptRow[V]]
	hits, misses atomic.Int64
}

// A keptRow is a row, and the epoch in which it was read.
type keptRow[V any] struct {
	value V
	epoch uint64
}

func newRows[K comparable, V any](m *Memory, kind Kinds, budget *recent.Budget) *Rows[K, V] {
	r := &Rows[K, V]{kind: kind, kept: recent.NewSized[K, keptRow[V]](budget)}
	for i := range m.changed {
		if kind == 1<<i {
			r.changed = &m.changed[i]
		}
	}
	return r
}

func (r *Rows[K, V]) addStats(all map[string]recent.Stats, name string) {
	if r == nil {
		return
	}
	stats := r.kept.Stats()
	stats.Hits, stats.Misses = r.hits.Load(), r.misses.Load() // an outdated row is no hit
	all[name] = stats
}

// Clear forgets all rows of the kind.
func (r *Rows[K, V]) Clear() {
	if r != nil {
		r.kept.Clear()
	}
}

// Check compares the rows of one kind with those that read returns, and returns an error that
// names those that differ. Tests call it, while nobody writes.
func Check[K comparable, V any](r *Rows[K, V], read func(K) (V, error)) error {
	if r == nil {
		return nil
	}
	var errs []error
	for key, row := range r.kept.All() {
		if r.changed.Load() > row.epoch {
			continue // it is no longer read
		}
		now, err := read(key)
		if err == nil && !reflect.DeepEqual(row.value, now) {
			err = errors.New("differs from the database")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("kept in memory: %+v: %w", key, err))
		}
	}
	return errors.Join(errs...)
}
