package memory

import (
	"sync"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const (
	// RecentRecords is how many records a Recent has.
	RecentRecords = 512

	// MaxRecent is how many bytes the event of one may have: a resource may have attributes of a
	// megabyte.
	MaxRecent = 8 << 10
)

// Recent has the last decision records that were committed, so that who delivers them need not read
// them from the database. The zero value is empty.
type Recent struct {
	mu   sync.Mutex
	last int64                     // the highest seq
	ring [RecentRecords]uma.Record // by seq; a new record replaces the oldest
}

// Add adds records that were committed. Commits that were under way at once may be added in any
// order.
func (r *Recent) Add(records []uma.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range records {
		r.last = max(r.last, record.Seq)
		kept := &r.ring[record.Seq%int64(len(r.ring))]
		if record.Seq < kept.Seq {
			continue
		}
		*kept = uma.Record{}
		if len(record.Event) <= MaxRecent {
			*kept = record
			kept.Time = rows.Time(rows.Millis(record.Time)) // as it is stored
		}
	}
}

// After returns the records that follow seq, at most limit, or none if not all of them are in
// memory. It knows no records of other processes beyond its last. nil has none.
func (r *Recent) After(seq int64, limit int) (found []uma.Record) {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	end := min(seq+int64(limit), r.last)
	if seq < 0 || end <= seq || end-seq > int64(len(r.ring)) {
		return nil
	}
	found = make([]uma.Record, 0, end-seq)
	for seq++; seq <= end; seq++ {
		record := &r.ring[seq%int64(len(r.ring))]
		if record.Seq != seq {
			return nil
		}
		found = append(found, *record)
	}
	return found
}
