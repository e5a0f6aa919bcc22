package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/uma"
)

// writeBytes writes a row of so many bytes.
func writeBytes(ctx context.Context, s *Store, name string, bytes int) error {
	return s.write(ctx, func(tx *conn) error {
		_, err := tx.exec(`INSERT INTO sealed (name, value) VALUES (?, zeroblob(?))`, name, bytes)
		return err
	})
}

// readOnce reads through a view: without a read it would keep nothing of the log.
func readOnce(t *testing.T, s *Store) uma.View {
	t.Helper()
	v, err := s.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.User(t.Context(), 1, "nobody"); !errors.Is(err, uma.ErrNotFound) {
		t.Error(err)
	}
	return v
}

// The write-ahead log starts again and again although there is always a writer and a
// reader.
func TestWriteAheadLogStaysShort(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	const writers, each, bytes = 4, 200, 20 * 4096
	var reading, writing sync.WaitGroup
	var stop atomic.Bool
	reading.Go(func() {
		for !stop.Load() {
			if err := readOnce(t, s).Close(); err != nil {
				t.Error(err)
			}
		}
	})
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				if err := writeBytes(t.Context(), s, fmt.Sprint(w, "-", i), bytes); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	stop.Store(true)
	reading.Wait()
	if written := int64(writers * each * bytes); s.WALSize() > written*3/4 {
		t.Errorf("of %d bytes that were written the log has %d", written, s.WALSize())
	}
	if got := s.count(t, `SELECT count(*) FROM sealed WHERE length(value) = ?`, bytes); got != writers*each {
		t.Errorf("got %d rows, want %d", got, writers*each)
	}
}

// It also starts again if every commit adds more than lastPages.
func TestWriteAheadLogOfLargeCommits(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	const pages, commits = 1000, 24
	for i := range commits {
		if err := writeBytes(t.Context(), s, fmt.Sprint(i), pages*4096); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.WALSize(), int64((fullAt+2*pages)*(4096+24)); got > want { // a page has a header there
		t.Errorf("after %d pages the log has %d bytes, want at most %d", commits*pages, got, want)
	}
}

// While another connection moves pages, the writer does not wait for the next time to try it, wakes
// nobody that would be in its way again, and keeps the error of an earlier checkpoint.
func TestCheckpointBesideAnother(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	open := func() *conn {
		t.Helper()
		c, err := openConn(s.path, sqlite.OpenReadWrite, busyTimeout, `wal_autocheckpoint = 0`)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { mustClose(t, c.close) })
		return c
	}
	writer, other := open(), open()
	v := readOnce(t, s) // so that the other waits, and pages are left
	if _, err := writer.exec(`INSERT INTO sealed (name, value) VALUES ('large', zeroblob(?))`, fullAt*4096); err != nil {
		t.Fatal(err)
	}
	p := &checkpointer{conn: other, damage: &s.damage, wake: make(chan struct{}, 1)}
	if p.committed(writer, 1, true, at); !p.triedAt.Equal(at) {
		t.Fatalf("the writer tried at %v, want %v", p.triedAt, at)
	}
	if p.committed(writer, 1, true, at.Add(retried/2)); len(p.wake) > 0 {
		t.Error("the goroutine is woken although the writer is about to try again")
	}
	moved := make(chan error, 1)
	go func() {
		err := errMoving
		for errors.Is(err, errMoving) { // it met that of the writer, or waited for five seconds
			_, _, err = checkpoint(other, `PRAGMA wal_checkpoint(FULL)`)
		}
		moved <- err
	}()
	for began := time.Now(); time.Since(began) < time.Minute; {
		if _, _, err := checkpoint(writer, `PRAGMA wal_checkpoint(PASSIVE)`); errors.Is(err, errMoving) {
			break
		}
	}
	failed := sqlite.ResultIOErr.ToError()
	p.failed.Store(&failed)
	p.committed(writer, 1, true, at.Add(2*retried))
	if !p.triedAt.Equal(at) || len(p.wake) > 0 || p.failed.Load() == nil {
		t.Errorf("beside another: tried at %v, %d woken, error %v", p.triedAt, len(p.wake), p.failed.Load())
	}
	if err := errors.Join(v.Close(), <-moved); err != nil {
		t.Error(err)
	}
	if p.committed(writer, 1, true, at.Add(2*retried)); len(p.wake) > 0 {
		t.Error("the goroutine is woken although all pages were moved")
	}
}

// count returns the number that a query has.
func (s *Store) count(t *testing.T, query string, args ...any) int64 {
	t.Helper()
	n, err := fetch(t.Context(), s, "count", func(c *conn) (n int64, err error) {
		return n, c.row(query, args, &n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// After a long read transaction the write-ahead log is cut to its usual size.
func TestWriteAheadLogIsCut(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	const limit = 100_000 // in place of walKept, which would take a while
	n := 0
	grow := func(bytes int) {
		t.Helper()
		n++
		if err := writeBytes(t.Context(), s, fmt.Sprint(n), bytes); err != nil {
			t.Fatal(err)
		}
	}
	err := s.write(t.Context(), func(tx *conn) error {
		var n int64
		return tx.row(fmt.Sprint(`PRAGMA journal_size_limit = `, limit), nil, &n)
	})
	if err != nil {
		t.Fatal(err)
	}
	v := readOnce(t, s)
	for range 10 {
		grow(2_000_000) // together more than fullAt, and a commit more than lastPages
	}
	if s.WALSize() < 20_000_000 {
		t.Errorf("during a read transaction the log has %d bytes, want all that was written", s.WALSize())
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); s.WALSize() > limit && time.Since(began) < time.Minute; { // pages are moved in the background
		grow(1)
	}
	if s.WALSize() > limit {
		t.Errorf("afterwards the log has %d bytes, want at most %d", s.WALSize(), limit)
	}
}

// A checkpoint that fails is reported by Check, which tries another; writes go on.
func TestCheckpointFails(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	c, err := openConn(s.path, sqlite.OpenReadOnly, busyTimeout)
	if err != nil {
		t.Fatal(err)
	}
	working, broken := s.writer.checkpoints, newCheckpointer(c, &s.damage)
	defer broken.close()
	use := func(p *checkpointer) {
		t.Helper()
		if err := s.write(t.Context(), func(*conn) error { s.writer.checkpoints = p; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	// until checks the store until the outcome is as wanted: a checkpoint is in the background.
	until := func(want func(err error) bool) (err error) {
		for began := time.Now(); time.Since(began) < time.Minute; {
			if err = s.Check(t.Context()); want(err) {
				return err
			}
		}
		return err
	}
	use(broken)
	if err := writeBytes(t.Context(), s, "large", 2*movedAt*4096); err != nil {
		t.Fatal(err)
	}
	err = until(func(err error) bool { return err != nil })
	if !isOfFile(err) { // SQLite calls the read-only file an I/O error
		t.Errorf("got %v, want an error of the file", err)
	}
	if err := writeBytes(t.Context(), s, "small", 1); err != nil {
		t.Error(err)
	}
	use(working)
	working.failed.Store(&err)
	if err := until(func(err error) bool { return err == nil }); err != nil {
		t.Errorf("after a checkpoint that succeeded: %v", err)
	}
}

// Nothing is moved into a damaged file.
func TestNoCheckpointOfADamagedFile(t *testing.T) {
	t.Parallel()
	s := openForDamage(t)
	if err := writeBytes(t.Context(), s, "one", 10_000); err != nil {
		t.Fatal(err)
	}
	s.damage.note(sqlite.ResultCorrupt.ToError())
	p := s.writer.checkpoints
	p.move(p.conn)
	length, moved, err := checkpoint(p.conn, `PRAGMA wal_checkpoint(NOOP)`)
	if err != nil || length == 0 || moved != 0 {
		t.Errorf("%d of %d pages were moved, error %v", moved, length, err)
	}
}

// TestKillDuringCheckpoints: a process is killed while it writes, and pages of its log are
// moved. No row that it said to have written is lost, and the file is sound.
func TestKillDuringCheckpoints(t *testing.T) {
	t.Parallel()
	const variable = "UMPIRE_TEST_CHECKPOINTS"
	if path := os.Getenv(variable); path != "" {
		writeForEver(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "umpire.db")
	made, err := empty()
	if err := errors.Join(err, os.WriteFile(path, made, 0o600)); err != nil {
		t.Fatal(err)
	}
	var said []string
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), variable+"="+path)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			said = append(said, lines.Text())
			if n == 60+43*round { // the log starts again every 130 rows or so
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
		s, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range said {
			if s.count(t, `SELECT count(*) FROM sealed WHERE name = ?`, name) != 1 {
				t.Errorf("round %d: row %q is lost", round, name)
			}
		}
		if s.count(t, `SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'`) != 0 {
			t.Errorf("round %d: the file is damaged", round)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// writeForEver writes rows of 30 pages, and prints the name of each once it is written.
func writeForEver(t *testing.T, path string) {
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d of writer %d in process %d", i, w, os.Getpid())
				if err := writeBytes(t.Context(), s, name, 30*4096); err != nil {
					t.Error(err)
					return
				}
				fmt.Println(name)
			}
		})
	}
	wg.Wait()
}

// A writer that is busy looks how long the log is after so many entries, an idle one after each batch.
func TestLogIsLookedAt(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	writer, err := openConn(s.path, sqlite.OpenReadWrite, busyTimeout, `wal_autocheckpoint = 0`)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, writer.close)
	v := readOnce(t, s) // so that pages are left
	defer mustClose(t, v.Close)
	if _, err := writer.exec(`INSERT INTO sealed (name, value) VALUES ('large', zeroblob(?))`, 2*movedAt*4096); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		entries []int
		idle    bool
		looks   bool
	}{
		{[]int{1}, true, true}, {[]int{unseenEntries - 1}, false, false}, {[]int{unseenEntries - 1, 1}, false, true},
		{[]int{unseenEntries}, false, true}, {[]int{unseenEntries, 1}, false, false}, {[]int{unseenEntries, unseenEntries}, false, true},
	} {
		p := &checkpointer{damage: &s.damage, wake: make(chan struct{}, 1)}
		for i, n := range tc.entries {
			select {
			case <-p.wake: // of a batch before
			default:
			}
			p.committed(writer, n, tc.idle, at.Add(time.Duration(i)*retried))
		}
		if looked := len(p.wake) > 0; looked != tc.looks {
			t.Errorf("%v entries, idle %t: looked is %t", tc.entries, tc.idle, looked)
		}
	}
}
