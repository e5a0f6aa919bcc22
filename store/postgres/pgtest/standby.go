package pgtest

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// NewStandby makes a hot standby of a cluster in a folder: a copy that streams from it once it is
// started.
func (c *Cluster) NewStandby(dir string) (*Cluster, error) {
	s := &Cluster{dir: dir, bin: c.bin, runAs: c.runAs}
	if err := s.runAs.own(dir); err != nil {
		return nil, err
	}
	return s, s.run("pg_basebackup", "--pgdata", s.data(), "--dbname", "host="+c.dir+" user=postgres", "--write-recovery-conf",
		"--wal-method=stream", "--checkpoint=fast", "--no-sync", "--no-manifest")
}

// Replicated starts a cluster of the test's own and a standby that streams from it, which logs every
// statement. Where there are no programs of PostgreSQL, the test is skipped.
func Replicated(t testing.TB) (primary, standby *Cluster) {
	t.Helper()
	primary, err := NewCluster(temporary(t))
	if err == nil && primary == nil {
		t.Skip("no programs of PostgreSQL to start two: install it (on Debian: apt-get install postgresql)")
	}
	if err != nil {
		t.Fatal(err)
	}
	removeAtEnd(t, primary)
	if err := primary.Start(Careless...); err != nil {
		t.Fatal(err)
	}
	if standby, err = primary.NewStandby(temporary(t)); err != nil {
		t.Fatal(err)
	}
	removeAtEnd(t, standby)
	if err := standby.Start(Replica...); err != nil {
		t.Fatal(err)
	}
	return primary, standby
}

// Replica are settings of a standby: its log has every statement, and it waits for none of them before it
// replays what is in conflict with it.
var Replica = append([]string{"log_statement=all", "log_line_prefix=", "max_standby_streaming_delay=0"}, Careless...)

// temporary makes a folder with a short path, which belongs to a cluster.
func temporary(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(cmp.Or(inMemory(), os.TempDir()), clusterPrefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // the cluster has removed it, if there is one
	return dir
}

func removeAtEnd(t testing.TB, c *Cluster) {
	t.Cleanup(func() {
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	})
}

// Follow waits until a standby has all that its primary has committed.
func (c *Cluster) Follow(t testing.TB, primary *Cluster) {
	t.Helper()
	var position string
	if err := primary.ask(t.Context(), &position, `SELECT pg_current_wal_flush_lsn()::text`); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var there bool
		err := c.ask(t.Context(), &there, `SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)`, position)
		switch {
		case there:
			return
		case err != nil, time.Now().After(end):
			t.Fatalf("the standby has not come to %s: %v", position, err)
		}
	}
}

// Exec runs a statement on a cluster, in the database postgres.
func (c *Cluster) Exec(t testing.TB, statement string) {
	t.Helper()
	var none string
	if err := c.ask(t.Context(), &none, statement); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (c *Cluster) ask(ctx context.Context, dest any, query string, args ...any) (err error) {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return conn.QueryRow(ctx, query, args...).Scan(dest)
}

// Log is what a cluster has written to its log.
func (c *Cluster) Log(t testing.TB) string {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}
