package rows

import (
	"slices"
	"time"

	"example.com/umpire/uma"
)

// An OldRecord is what retention needs of a decision record.
type OldRecord struct {
	Seq   int64
	Realm string
	Time  time.Time
}

// Removable returns how many of the oldest records, in the order of Seq, may be removed because they
// are older than before, and what that cuts from each sink: its undelivered records among them. A
// record that a sink has not delivered stays until it is older by more than the sink's Hold.
func Removable(records []OldRecord, sinks []uma.Sink, before time.Time) (n int, cut []int64) {
	cut = make([]int64, len(sinks))
	for ; n < len(records) && Millis(records[n].Time) < Millis(before); n++ {
		r := &records[n]
		waits := func(s uma.Sink) bool { return undelivered(&s, r) && Millis(r.Time) >= Millis(before.Add(-s.Hold)) }
		if slices.ContainsFunc(sinks, waits) {
			break
		}
		for i := range sinks {
			if undelivered(&sinks[i], r) {
				cut[i]++
			}
		}
	}
	return n, cut
}

func undelivered(s *uma.Sink, r *OldRecord) bool {
	return r.Seq > s.Cursor && (s.Realm == "" || s.Realm == r.Realm)
}
