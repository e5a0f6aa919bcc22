package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// A written is what a server wrote to its decision log.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// ids are those of the records in the log, in order.
func (w *written) ids() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range strings.Lines(w.text.String()) {
		_, id, _ := strings.Cut(line, `"decision_id":"`)
		id, _, _ = strings.Cut(id, `"`)
		ids = append(ids, id)
	}
	return ids
}

// startServer starts the background work of one of several servers of a database, as far as it is not
// about policies. It ends by the returned function.
func (s *site) startServer(t *testing.T, log *written) (n *Node, stop func()) {
	t.Helper()
	n, err := Open(t.Context(), Config{
		Data: s.data, Examine: rollout.InProcess, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		DecisionLog: log, DecisionLogHold: time.Hour, KeepDecisions: LeastKept,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.apply(t, n)
	if err := n.Core.Realms.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	if err := n.start(ctx, &work); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return n, stop
}

// decide stores a record of a decision.
func decide(t *testing.T, n *Node, id string) {
	t.Helper()
	record := uma.Record{ID: id, Realm: "r", Time: time.Now(), Event: fmt.Appendf(nil, `{"decision_id":%q}`, id)}
	if err := n.Store.Commit(t.Context(), &uma.Settlement{Now: time.Now(), Records: []uma.Record{record}}); err != nil {
		t.Fatal(err)
	}
}

// Of two servers of one database one writes what both decide, each decision once and in order, from
// the first on that either of them made. When it is stopped, the other one goes on.
func TestOneServerWritesTheDecisionLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	synctest.Test(t, func(t *testing.T) {
		var first, second written
		a, stop := s.startServer(t, &first)
		b, _ := s.startServer(t, &second)
		var want []string
		for i := range 6 {
			n, id := a, fmt.Sprint("d", i)
			if i%2 == 0 {
				n = b
			}
			decide(t, n, id)
			want = append(want, id)
			pass(2 * time.Second)
		}
		if got := first.ids(); !slices.Equal(got, want) {
			t.Errorf("the first server wrote %q, want %q", got, want)
		}
		if got := second.ids(); len(got) > 0 {
			t.Errorf("the second server wrote %q, want nothing", got)
		}
		// Both show the lag of the sink, one says that it delivers.
		if of, other := a.sinkStats(), b.sinkStats(); len(of) != 1 || !of[0].Runs || len(other) != 1 || other[0].Runs {
			t.Errorf("got metrics of sinks %v and %v, want that the first server delivers alone", of, other)
		}
		stop()
		decide(t, b, "alone")
		pass(leaseEvery + time.Second)
		if got := second.ids(); !slices.Equal(got, []string{"alone"}) {
			t.Errorf("the second server wrote %q after the first was stopped", got)
		}
		if got := first.ids(); !slices.Equal(got, want) {
			t.Errorf("the first server wrote %q, want %q", got, want)
		}
	})
}

// Old records are removed by the server that has the lease, then by the next one.
func TestOneServerPrunes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	synctest.Test(t, func(t *testing.T) {
		var first, second written
		_, stop := s.startServer(t, &first)
		b, _ := s.startServer(t, &second)
		removed := func(when, id string) {
			t.Helper()
			decide(t, b, id)
			pass(LeastKept + 2*time.Minute)
			if _, err := b.Store.Decision(t.Context(), id); !errors.Is(err, uma.ErrNotFound) {
				t.Errorf("%s: got %v, want that the record is removed", when, err)
			}
		}
		removed("while both run", "d1")
		stop()
		removed("after the first was stopped", "d2")
	})
}
