package sqlite

import (
	"example.com/umpire/recent"
	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// A watch is what the writer knows of the rows in memory: whether another process has written,
// and which grants need not be compared with the database. Methods of nil know nothing.
type watch struct {
	*memory.Memory

	version    int64             // PRAGMA data_version
	compared   map[uma.Key]int64 // generations of realms, as they were found in the database
	comparedAt uma.Epoch         // the epoch in which they were found
}

// newWatch returns nil if no rows are kept.
func newWatch(m *memory.Memory) *watch {
	if m == nil {
		return nil
	}
	return &watch{Memory: m}
}

// CacheStats returns what each cache that is on holds and how it was used, by its name.
func (s *Store) CacheStats() map[string]recent.Stats { return s.memory.Stats() }

// look finds out on the writer's connection whether another process has written. If so, or if
// that is not known, no row that was read before is valid.
func (w *watch) look(c *conn) {
	if w == nil {
		return
	}
	began := w.Clock()
	var version int64
	err := c.row(`PRAGMA data_version`, nil, &version)
	var changed memory.Kinds
	if err != nil || version != w.version {
		w.version, changed = version, memory.AllKinds
	}
	if err != nil {
		w.Changed(changed)
		return
	}
	w.Looked(began, changed)
}

// committing and settled enclose the commit of changes of some kinds.
func (w *watch) committing(of memory.Kinds) {
	if w != nil {
		w.Committing(of)
	}
}

func (w *watch) settled(of memory.Kinds) {
	if w != nil {
		w.Settled(of)
	}
}

// spares reports whether the rows that a grant rests on need not be compared: they were read in
// an epoch since which none of their kinds was changed, nor in the present transaction, and the
// generation of the realm was compared since the last change of a realm. There is one writer, so
// no commit is under way.
func (w *watch) spares(tx *conn, realm uma.Key, r *uma.Rests) bool {
	if w == nil || r.Epoch == 0 || tx.touched&memory.RestedKinds != 0 {
		return false
	}
	generation, ok := w.compared[realm]
	return ok && generation == r.Generation && w.Unchanged(memory.RestedKinds, r.Epoch) && w.Unchanged(memory.RealmRows, w.comparedAt)
}

// compare notes the generation of a realm that the writer found in the database.
func (w *watch) compare(tx *conn, realm uma.Key, generation int64) {
	if w == nil || tx.touched&memory.RealmRows != 0 {
		return
	}
	if w.compared == nil || !w.Unchanged(memory.RealmRows, w.comparedAt) {
		w.compared = map[uma.Key]int64{}
	}
	w.compared[realm], w.comparedAt = generation, w.Epoch()
}
