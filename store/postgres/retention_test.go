package postgres

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// dated stores records of these times, in this order, with ids of their numbers.
func dated(t *testing.T, s *Store, times ...time.Time) {
	t.Helper()
	for _, at := range times {
		last, err := s.LastDecision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		st := record(fmt.Sprint(last + 1))
		st.Records[0].Time = at
		if err := s.Commit(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
}

// recordsLeft returns the ids of the records that are left, and the months that have a partition.
func recordsLeft(t *testing.T, s *Store) (ids []string, months []month) {
	t.Helper()
	err := s.EachDecision(t.Context(), uma.DecisionFilter{}, func(r *uma.Record) error {
		ids = append(ids, r.ID)
		return nil
	})
	if err == nil {
		err = s.read(t.Context(), func(c *conn) (err error) {
			months, err = partitions(c)
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return ids, months
}

func pruned(t *testing.T, s *Store, before time.Time, limit, want int) {
	t.Helper()
	n, err := s.PruneDecisions(t.Context(), before, limit)
	if err != nil || n != want {
		t.Errorf("removed %d before %v, error %v, want %d", n, before, err, want)
	}
}

func day(m time.Month, day int) time.Time { return time.Date(2026, m, day, 0, 0, 0, 0, time.UTC) }

// A month all of whose records are old is removed with its partition. Records that clocks of several
// servers put into the next month are removed with it. No gap is left.
func TestMonthsAreDropped(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.spanRecords = 2 })
	dated(t, s, day(1, 1), day(1, 20), day(2, 1), day(1, 31), day(1, 30), day(2, 10), day(2, 11), day(3, 1), day(2, 28), day(3, 2))
	if err := s.PrepareMonths(t.Context(), day(3, 31)); err != nil {
		t.Fatal(err)
	}
	expect := func(ids []string, months ...time.Month) {
		t.Helper()
		gotIDs, gotMonths := recordsLeft(t, s)
		var want []month
		for _, m := range months {
			want = append(want, month{2026, m})
		}
		if !slices.Equal(gotIDs, ids) || !slices.Equal(gotMonths, want) {
			t.Errorf("got records %v and months %v, want %v and %v", gotIDs, gotMonths, ids, want)
		}
	}
	pruned(t, s, day(1, 31), 10, 2) // up to the first that is not old; the last of January is not
	pruned(t, s, day(2, 1), 10, 0)  // January is old, but not the first
	expect([]string{"3", "4", "5", "6", "7", "8", "9", "10"}, 1, 2, 3, 4)
	pruned(t, s, day(2, 5), 10, 3) // with January
	expect([]string{"6", "7", "8", "9", "10"}, 2, 3, 4)
	pruned(t, s, day(3, 1), 1, 1) // not all of February may be removed: a record of March is before its last
	pruned(t, s, day(3, 1), 10, 1)
	pruned(t, s, day(3, 1), 10, 0)
	expect([]string{"8", "9", "10"}, 2, 3, 4)
	pruned(t, s, day(3, 2), 10, 2)
	expect([]string{"10"}, 3, 4)
	pruned(t, s, day(4, 2), 10, 1)
	expect(nil, 4)
	dated(t, s, day(4, 3))
	expect([]string{"11"}, 4)
	err := s.read(t.Context(), func(c *conn) error {
		there, err := c.exists(`SELECT 1 FROM decision_span`)
		if there {
			t.Error("spans of removed records are left")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A month that a sink has not got waits for it, and is then removed record by record, so that what
// the sink loses is counted.
func TestMonthsWaitForSinks(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	sinks := []uma.Sink{{Name: "all", Kind: uma.SinkFile, Hold: 31 * 24 * time.Hour}, {Name: "other", Kind: uma.SinkFile, Realm: "other", Hold: time.Hour}}
	if err := s.KeepSinks(t.Context(), 0, sinks); err != nil {
		t.Fatal(err)
	}
	dated(t, s, day(1, 1), day(1, 2), day(1, 31), day(2, 1))
	pruned(t, s, day(2, 1), 10, 0)
	sinks[0].Cursor = 1
	if _, err := s.SaveSinks(t.Context(), sinks[:1]); err != nil {
		t.Fatal(err)
	}
	pruned(t, s, day(2, 2).Add(time.Hour), 10, 2) // the second waited long enough
	all, err := s.AllSinks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if all[0].Cut != 1 || all[0].Cursor != 2 || all[1].Cut != 0 {
		t.Errorf("got sinks %+v", all)
	}
	sinks[0].Cursor = 3
	if _, err := s.SaveSinks(t.Context(), sinks[:1]); err != nil {
		t.Fatal(err)
	}
	pruned(t, s, day(2, 1), 10, 1)
	if ids, months := recordsLeft(t, s); !slices.Equal(ids, []string{"4"}) || !slices.Equal(months, []month{{2026, 2}}) {
		t.Errorf("got records %v and months %v", ids, months)
	}
}

// Retention does not wait for a transaction that reads records for long, such as a backup: it tries
// again at the next call.
func TestMonthInUse(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	dated(t, s, day(1, 1), day(1, 2), day(2, 1))
	err := s.read(t.Context(), func(backup *conn) error {
		if _, err := backup.exec(`SELECT count(*) FROM decision`); err != nil {
			return err
		}
		pruned(t, s, day(2, 1), 10, 0)
		dated(t, s, day(2, 2))
		if ids, _ := recordsLeft(t, s); len(ids) != 4 {
			t.Errorf("got records %v", ids)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pruned(t, s, day(2, 1), 10, 2)
}

// A process that knows of a month stores a record of it after another process has removed it.
func TestMonthDroppedByAnother(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	s, other := open(t, Config{URL: database}), open(t, Config{URL: database})
	for _, upgraded := range []string{"", "jti"} {
		dated(t, s, day(1, 1))
		pruned(t, other, day(2, 1), 10, 1)
		st := record("late")
		st.Records[0].Time, st.Upgraded = day(1, 2), upgraded
		if err := s.Commit(t.Context(), st); err != nil {
			t.Error(err)
		}
		if ids, months := recordsLeft(t, s); !slices.Equal(ids, []string{"late"}) || !slices.Equal(months, []month{{2026, 1}}) {
			t.Errorf("got records %v and months %v", ids, months)
		}
		pruned(t, other, day(2, 1), 10, 1)
	}
}

// Two processes that remove records at the same time count each record and each cut once.
func TestRetentionByTwoProcesses(t *testing.T) {
	t.Parallel()
	for name, sinks := range map[string][]uma.Sink{"without sinks": nil, "with a sink": {{Name: "all", Kind: uma.SinkFile}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const records, want = 48, 44 // four of each month
			database := newDatabase(t)
			s, other := open(t, Config{URL: database}), open(t, Config{URL: database})
			if err := s.KeepSinks(t.Context(), 0, sinks); err != nil {
				t.Fatal(err)
			}
			for i := range records {
				dated(t, s, day(time.Month(1+i*12/records), 1))
			}
			var removed atomic.Int64
			var wg sync.WaitGroup
			start := make(chan struct{})
			for _, by := range []*Store{s, other} {
				wg.Go(func() {
					<-start
					for {
						n, err := by.PruneDecisions(t.Context(), day(12, 1), 3)
						if err != nil {
							t.Error(err)
						}
						if n == 0 {
							return
						}
						removed.Add(int64(n))
					}
				})
			}
			close(start)
			wg.Wait()
			ids, _ := recordsLeft(t, s)
			if removed.Load() != want || len(ids) != records-want {
				t.Errorf("removed %d, left %d, want %d and %d", removed.Load(), len(ids), want, records-want)
			}
			all, err := s.AllSinks(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range all {
				if k.Cut != want {
					t.Errorf("cut %d, want %d", k.Cut, want)
				}
			}
		})
	}
}

// The partitions of this month and the next are there before the first record.
func TestPrepareMonths(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	s, other := open(t, Config{URL: database}), open(t, Config{URL: database})
	var wg sync.WaitGroup
	for _, by := range []*Store{s, other, s, other} {
		wg.Go(func() {
			if err := by.PrepareMonths(t.Context(), time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, months := recordsLeft(t, s); !slices.Equal(months, []month{{2026, 12}, {2027, 1}}) {
		t.Errorf("got months %v", months)
	}
}

// A record that is stored while its month is about to be removed is not lost: it waits for its sink.
func TestMonthIsWrittenWhileItIsDropped(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	sink := uma.Sink{Name: "all", Kind: uma.SinkFile, Hold: 365 * 24 * time.Hour}
	if err := s.KeepSinks(t.Context(), 0, []uma.Sink{sink}); err != nil {
		t.Fatal(err)
	}
	dated(t, s, day(1, 1), day(1, 2))
	sink.Cursor = 2
	if _, err := s.SaveSinks(t.Context(), []uma.Sink{sink}); err != nil {
		t.Fatal(err)
	}
	late := record("3") // of a server whose clock is slow
	late.Records[0].Time = day(1, 31)
	w, err := newSettlements([]*entry{{Settlement: late}}, false)
	if err != nil {
		t.Fatal(err)
	}
	writer, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range w.last {
		if _, err := writer.Exec(t.Context(), cmd.query, cmd.args...); err != nil {
			t.Fatal(err)
		}
	}
	removed := make(chan int, 1)
	go func() {
		n, err := s.PruneDecisions(t.Context(), day(3, 1), 10)
		if err != nil {
			t.Error(err)
		}
		removed <- n
	}()
	awaitWaiting(t, s, removed)
	if err := writer.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := <-removed; n > 0 && n != 2 {
		t.Errorf("%d were removed, want the two that the sink has got", n)
	}
	if ids, _ := recordsLeft(t, s); !slices.Contains(ids, "3") {
		t.Errorf("the late record is lost: got %v", ids)
	}
	sink.Cursor = 3
	if _, err := s.SaveSinks(t.Context(), []uma.Sink{sink}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		if n, err = s.PruneDecisions(t.Context(), day(3, 1), 10); err != nil {
			t.Fatal(err)
		}
	}
	if ids, months := recordsLeft(t, s); len(ids) > 0 || len(months) > 0 {
		t.Errorf("got records %v and months %v, want none", ids, months)
	}
}
