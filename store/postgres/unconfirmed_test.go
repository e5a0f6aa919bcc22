package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/uma"
)

// TestStandbyCutOff: commits wait for a standby that does not answer. A write is not told to have happened, also
// not by the question for its fate, also if an administrator ends its wait. Once the standby is given up, all
// goes on, and nothing is stored twice.
func TestStandbyCutOff(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t)
	admin := newAdmin(t, cluster.URL("postgres"))
	s := open(t, Config{URL: cluster.URL("postgres") + "&client_min_messages=error", patience: time.Second})
	if err := s.Commit(t.Context(), record("before")); err != nil {
		t.Fatal(err)
	}
	admin.run(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
	t.Cleanup(admin.giveUpStandby)
	admin.run(`SELECT pg_reload_conf()`)
	waitUntil(t, "commits wait for the standby", admin.waits)
	unknown := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, uma.ErrBusy) {
			t.Errorf("%s: got error %v, want %v", what, err, uma.ErrBusy)
		}
	}
	err := s.Commit(t.Context(), record("the record"))
	if unknown("a settlement", err); err != nil && !strings.Contains(err.Error(), "unknown") {
		t.Errorf("got error %v, want one that it is unknown", err)
	}
	unknown("the next settlement", s.Commit(t.Context(), record("the next")))
	unknown("a revocation", s.Revoke(t.Context(), 1, "a token", at))
	result := make(chan error, 1)
	go func() { result <- s.Revoke(t.Context(), 1, "another token", at) }()
	waitUntil(t, "a commit is canceled", admin.cancelWait)
	unknown("a commit whose wait an administrator ended", <-result)
	if err := s.writeAll(t.Context()); err == nil {
		t.Error("the store can be written")
	}

	admin.giveUpStandby()
	waitUntil(t, "records are stored again", func() bool { return s.Commit(t.Context(), record("afterwards")) == nil })
	if n := countRecords(t, s, "the record"); n != 1 {
		t.Errorf("the record is stored %d times, want once: it was committed, and nobody knew", n)
	}
	if n := countRecords(t, s, "afterwards"); n != 1 {
		t.Errorf("a record that was committed afterwards is stored %d times", n)
	}
}

// An admin is a connection of an administrator.
type admin struct {
	*testing.T
	pg *pgx.Conn
}

func newAdmin(t *testing.T, url string) *admin {
	t.Helper()
	pg, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, func() error { return pg.Close(context.Background()) }) })
	return &admin{t, pg}
}

func (a *admin) run(statement string) {
	a.Helper()
	if _, err := a.pg.Exec(context.Background(), statement); err != nil {
		a.Fatal(err)
	}
}

// waits reports whether a commit waits for the standby, by a connection that then is lost.
func (a *admin) waits() bool {
	a.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	pg, err := pgx.ConnectConfig(context.Background(), a.pg.Config())
	if err != nil {
		a.Fatal(err)
	}
	defer func() { _ = pg.Close(context.Background()) }() // it may be lost
	_, err = pg.Exec(ctx, `SELECT pg_logical_emit_message(true, 'a test', '')`)
	return err != nil
}

// cancelWait cancels a commit of a store that waits for the standby, unless there is none.
func (a *admin) cancelWait() (canceled bool) {
	a.Helper()
	err := a.pg.QueryRow(context.Background(), `SELECT coalesce(bool_or(pg_cancel_backend(pid)), false) FROM pg_stat_activity
		WHERE wait_event = 'SyncRep' AND application_name = 'umpire'`).Scan(&canceled)
	if err != nil {
		a.Fatal(err)
	}
	return canceled
}

// giveUpStandby makes commits no longer wait.
func (a *admin) giveUpStandby() {
	a.run(`ALTER SYSTEM RESET synchronous_standby_names`)
	a.run(`SELECT pg_reload_conf()`)
}
