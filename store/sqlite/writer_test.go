package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/uma"
)

// hold keeps the writer busy until the returned function is called. Writes wait
// meanwhile, and then share a batch.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	started, end := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.write(context.Background(), func(*conn) error {
			close(started)
			<-end
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-started
	return func() {
		close(end)
		wg.Wait()
	}
}

// enqueueWrite puts a write into the queue.
func enqueueWrite(t *testing.T, s *Store, run func(tx *conn) error) <-chan error {
	t.Helper()
	e := &entry{run: run, result: make(chan error, 1)}
	if err := s.writer.enqueue(e); err != nil {
		t.Fatal(err)
	}
	return e.result
}

// saveTicketEntry returns a write that stores a ticket.
func saveTicketEntry(value string) func(tx *conn) error {
	return func(tx *conn) error { return saveTicket(tx, 1, ticket(value)) }
}

func TestBusyHasNoEffect(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.QueueLength = 1 })
	release := hold(t, s)
	first := enqueueWrite(t, s, saveTicketEntry("first"))
	if err := s.SaveTicket(t.Context(), 1, ticket("second")); !errors.Is(err, uma.ErrBusy) {
		t.Errorf("got %v, want uma.ErrBusy", err)
	}
	release()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if got := tickets(t, s, "first", "second"); !slices.Equal(got, []string{"first"}) {
		t.Errorf("got tickets %v, want the first", got)
	}
}

func TestFailingEntriesDoNotAffectOthers(t *testing.T) {
	t.Parallel()
	var sizes []int
	s := openTemp(t, func(c *Config) {
		c.Observe = func(batch int, took time.Duration) { sizes = append(sizes, batch) }
	})
	boom := errors.New("boom")
	then := func(value string, end func() error) func(tx *conn) error {
		return func(tx *conn) error {
			if err := saveTicket(tx, 1, ticket(value)); err != nil {
				return err
			}
			return end()
		}
	}
	release := hold(t, s)
	results := []<-chan error{
		enqueueWrite(t, s, saveTicketEntry("before")),
		enqueueWrite(t, s, then("failed", func() error { return boom })),
		enqueueWrite(t, s, then("panicked", func() error { panic("at the disco") })),
		enqueueWrite(t, s, saveTicketEntry("before")), // a second time: a constraint
		enqueueWrite(t, s, saveTicketEntry("after")),
	}
	release()
	for i, want := range []string{"", "boom", "at the disco", "constraint", ""} {
		err := <-results[i]
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("entry %d: got error %v, want %q", i, err, want)
		}
	}
	if got := tickets(t, s, "before", "failed", "panicked", "after"); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("got tickets %v, want before and after", got)
	}
	if err := s.Close(); err != nil { // so that Observe is done
		t.Fatal(err)
	}
	if !slices.Equal(sizes, []int{1, 5}) {
		t.Errorf("got batches of %v, want 1 and 5", sizes)
	}
}

// A batch is run again only if an entry failed after it had written. An entry that is
// alone never is.
func TestBatchRunsAgainOnlyToUndo(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, tc := range []struct {
		name  string
		fails func(tx *conn) error
		alone bool
		want  []int // calls of each entry
	}{
		{"clean", func(*conn) error { return boom }, false, []int{1, 1, 1}},
		{"dirty", func(tx *conn) error { return errors.Join(saveTicketEntry("dirty")(tx), boom) }, false, []int{2, 2, 1}},
		{"dirty and alone", func(tx *conn) error { return errors.Join(saveTicketEntry("dirty")(tx), boom) }, true, []int{1, 1, 1}},
		{"nothing found to write", func(tx *conn) error {
			_, err := tx.exec(`DELETE FROM ticket WHERE realm = 1 AND hash = x'00'`)
			return errors.Join(err, boom)
		}, false, []int{1, 1, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := openTemp(t, nil)
			calls := make([]int, 3)
			counting := func(i int, run func(tx *conn) error) func(tx *conn) error {
				return func(tx *conn) error { calls[i]++; return run(tx) }
			}
			release := hold(t, s)
			first := enqueueWrite(t, s, counting(0, saveTicketEntry("first")))
			e := &entry{run: counting(1, tc.fails), alone: tc.alone, result: make(chan error, 1)}
			if err := s.writer.enqueue(e); err != nil {
				t.Fatal(err)
			}
			last := enqueueWrite(t, s, counting(2, saveTicketEntry("last")))
			release()
			if err := errors.Join(<-first, <-last); err != nil {
				t.Error(err)
			}
			if err := <-e.result; !errors.Is(err, boom) {
				t.Errorf("got error %v, want boom", err)
			}
			if !slices.Equal(calls, tc.want) {
				t.Errorf("got %v calls, want %v", calls, tc.want)
			}
			if got := tickets(t, s, "first", "dirty", "last"); !slices.Equal(got, []string{"first", "last"}) {
				t.Errorf("got tickets %v", got)
			}
		})
	}
}

// If an entry ends the transaction, every entry of the batch fails. The next batch
// succeeds.
func TestBatchFailsAsOne(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	release := hold(t, s)
	results := []<-chan error{
		enqueueWrite(t, s, saveTicketEntry("first")),
		enqueueWrite(t, s, func(tx *conn) error {
			// As SQLite does by itself when the disk is full.
			_, err := tx.exec(`ROLLBACK`)
			_, failure := tx.exec(`INSERT INTO no_such_table VALUES (1)`)
			return errors.Join(err, failure)
		}),
		enqueueWrite(t, s, saveTicketEntry("last")),
	}
	release()
	for i, result := range results {
		if err := <-result; err == nil {
			t.Errorf("entry %d: got no error", i)
		}
	}
	if got := tickets(t, s, "first", "last"); len(got) > 0 {
		t.Errorf("got tickets %v, want none", got)
	}
	if err := s.SaveTicket(t.Context(), 1, ticket("next")); err != nil {
		t.Errorf("the next batch: %v", err)
	}
}

func TestWriteWaitsForItsOutcome(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.SaveTicket(ctx, 1, ticket("t")) }()
	for s.QueueLen() == 0 {
		runtime.Gosched()
	}
	cancel()
	release()
	err := <-result
	if got := tickets(t, s, "t"); (err == nil) != (len(got) == 1) {
		t.Errorf("got error %v, but tickets %v", err, got)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	var sizes []int
	s := openTemp(t, func(c *Config) {
		c.Observe = func(batch int, took time.Duration) { sizes = append(sizes, batch) }
	})
	release := hold(t, s)
	var results []<-chan error
	for i := range maxBatch + 10 {
		results = append(results, enqueueWrite(t, s, saveTicketEntry(fmt.Sprint("t", i))))
	}
	release()
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sizes, []int{1, maxBatch, 10}) {
		t.Errorf("got batches of %v", sizes)
	}
}

// A write waits for another process that writes. If that does not end, the error is
// uma.ErrBusy.
func TestAnotherProcessWrites(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	other, err := openConn(pathOf(t, s), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, other.close)
	begin := func(statement string) {
		t.Helper()
		if _, err := other.exec(statement); err != nil {
			t.Fatal(err)
		}
	}

	begin(`BEGIN IMMEDIATE`)
	result := make(chan error, 1)
	go func() { result <- s.SaveTicket(context.Background(), 1, ticket("waits")) }()
	begin(`INSERT INTO sealed VALUES ('other', x'00')`)
	begin(`COMMIT`)
	if err := <-result; err != nil {
		t.Errorf("a short wait: %v", err)
	}

	// A short busy timeout for this one, so that the test need not wait.
	if err := s.write(t.Context(), func(tx *conn) error { return tx.row(`PRAGMA busy_timeout = 1`, nil, new(int64)) }); err != nil {
		t.Fatal(err)
	}
	begin(`BEGIN IMMEDIATE`)
	if err := s.SaveTicket(t.Context(), 1, ticket("busy")); !errors.Is(err, uma.ErrBusy) {
		t.Errorf("got %v, want uma.ErrBusy", err)
	}
	begin(`ROLLBACK`)
	if got := tickets(t, s, "waits", "busy"); !slices.Equal(got, []string{"waits"}) {
		t.Errorf("got tickets %v, want the one that waited", got)
	}
	if _, err := s.Sealed(t.Context(), "other"); err != nil {
		t.Errorf("what the other wrote: %v", err)
	}
}
