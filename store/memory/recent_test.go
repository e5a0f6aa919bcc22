package memory

import (
	"slices"
	"testing"

	"example.com/umpire/uma"
)

// numbered returns the records from first to last.
func numbered(first, last int64) (records []uma.Record) {
	for ; first <= last; first++ {
		records = append(records, uma.Record{Seq: first})
	}
	return records
}

func numbers(records []uma.Record) (seqs []int64) {
	for _, r := range records {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

// Of commits that are under way at once, the later may be added first. Until the earlier is there,
// no record after it is returned without it.
func TestRecentInAnyOrder(t *testing.T) {
	t.Parallel()
	var r Recent
	r.Add(numbered(1, 2))
	r.Add(numbered(5, 6))
	if got := r.After(0, 10); got != nil {
		t.Errorf("with a gap: got %v", numbers(got))
	}
	if got, want := numbers(r.After(4, 10)), []int64{5, 6}; !slices.Equal(got, want) {
		t.Errorf("after the gap: got %v, want %v", got, want)
	}
	r.Add(numbered(3, 4))
	if got, want := numbers(r.After(0, 10)), []int64{1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("all: got %v, want %v", got, want)
	}
	r.Add(numbered(RecentRecords+1, RecentRecords+4))
	r.Add(numbered(1, 4)) // very late
	if got, want := numbers(r.After(RecentRecords, 10)), []int64{RecentRecords + 1, RecentRecords + 2, RecentRecords + 3, RecentRecords + 4}; !slices.Equal(got, want) {
		t.Errorf("the last: got %v, want %v", got, want)
	}
}

// A record whose event is too large is not kept, nor are records after it returned without it.
func TestRecentLargeEvents(t *testing.T) {
	t.Parallel()
	var r Recent
	records := numbered(1, 3)
	records[1].Event = make([]byte, MaxRecent+1)
	r.Add(records)
	if got := r.After(0, 10); got != nil {
		t.Errorf("got %v", numbers(got))
	}
	if got, want := numbers(r.After(2, 10)), []int64{3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
