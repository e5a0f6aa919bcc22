package postgres

import (
	"testing"
	"time"

	"example.com/umpire/uma"
)

// TestGather: a batch waits only after another server has committed between the last two of this one, for as
// many entries as the last had, and not longer than a commit takes.
func TestGather(t *testing.T) {
	t.Parallel()
	of := func(seqs ...int64) (batch []*entry) {
		for _, seq := range seqs {
			batch = append(batch, &entry{Settlement: &uma.Settlement{Records: []uma.Record{{Seq: seq}}}})
		}
		return batch
	}
	var g gathering
	waits := func(when string, queued int, want bool) {
		t.Helper()
		if got := g.end(queued) != nil; got != want {
			t.Errorf("%s, with %d entries: waits %t, want %t", when, queued, got, want)
		}
	}
	g.committed(of(1, 2, 3), time.Millisecond)
	waits("after the first batch", 1, false)
	g.committed(of(4, 5), time.Millisecond)
	waits("alone", 1, false)
	g.committed(of(9, 10, 11), time.Millisecond) // 6 to 8 are of another server
	waits("beside another server", 2, true)
	waits("beside another server", 3, false)
	g.committed([]*entry{{Settlement: &uma.Settlement{}}}, time.Millisecond)
	waits("after a batch without records", 2, true)
	g.committed(of(14), time.Millisecond)
	waits("after a batch of one", 1, false)
	g.committed(of(20, 21), time.Hour)
	select {
	case <-g.end(1):
	case <-time.After(10 * time.Second):
		t.Error("a batch waits as long as the slowest commit")
	}
}
