package tests

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/umpire/store/postgres/pgtest"
)

// TestDatabaseReplica: the admin API and commands list from the replica that the operator names. What
// clients and resource servers ask is not sent to it: a resource is listed as soon as it is registered. When
// the replica ends, the lists come from the primary, and the log says so.
func TestDatabaseReplica(t *testing.T) {
	t.Parallel()
	primary, standby := pgtest.Replicated(t)
	databases := []string{"--database", primary.URL("postgres"), "--database-replica", standby.URL("postgres")}
	o := newOptions(t, nil)
	p := spawn(t, o, o.write(t), databases...)
	list := func(want int, args ...string) (stderr string) {
		t.Helper()
		stdout, stderr, code := umpire(t, slices.Concat(args, databases)...)
		if code != 0 || strings.Count(stdout, "\n") < want {
			t.Errorf("%v: got exit %d, %s, %s", args, code, stdout, stderr)
		}
		return stderr
	}
	created, _, _ := umpire(t, append([]string{"admin", "token", "create", "--realm", p.Realm, "--can", "read", "--name", "reader", "--data", p.Data}, databases...)...)
	token := strings.TrimSpace(created)
	decisions := func() (rows []any) {
		t.Helper()
		res := p.do(t, request{method: "GET", url: p.Admin + "/v1/realms/" + p.Realm + "/decisions", headers: map[string]string{"Authorization": "Bearer " + token}})
		if rows, _ = res.json.([]any); res.status != 200 {
			t.Fatalf("got %s", res)
		}
		return rows
	}
	standby.Follow(t, primary)

	for _, name := range []string{"A board", "Another board", "A third board"} {
		p.create(t, map[string]any{"name": name, "type": "board", "resource_scopes": []string{"read"}})
		p.resourceID(t, name) // fails unless it is listed
	}
	p.uma(t, p.as(t, "bob", "photoz-web"), "ticket", boardTicket(t, p.env))
	p.uma(t, p.as(t, "bob", "photoz-web"))
	if got := tables(standby.Log(t)); !slices.Equal(got, []string{"pg_database"}) {
		t.Errorf("before a list is asked for, the replica was asked for %q", got)
	}

	standby.Follow(t, primary)
	before := decisions()
	if len(before) == 0 {
		t.Error("no decisions are listed")
	}
	if got := tables(standby.Log(t)); !slices.Equal(got, []string{"decision", "pg_database"}) {
		t.Errorf("for a list of decisions the replica was asked for %q", got)
	}
	metrics := string(p.admin(t, "/metrics").raw)
	for _, line := range []string{`umpire_database_replica_used 1`, `umpire_database_replica_reads_total{from="replica"} 1`, `umpire_database_replica_reads_total{from="primary"} 0`} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics have no line %s", line)
		}
	}

	for _, args := range [][]string{
		{"decisions", "list"}, {"decisions", "export"}, {"shares", "list", "--realm", p.Realm}, {"party", "list", "--realm", p.Realm},
		{"policy", "impact", "--realm", p.Realm, "--candidate", filepath.Join(filepath.Dir(p.File), "policies"), "--reach"},
	} {
		list(1, args...)
	}
	got := tables(standby.Log(t))
	for _, table := range []string{"request", "resource", "share", "users"} {
		if !slices.Contains(got, table) {
			t.Errorf("the replica was asked for %q, want also %s", got, table)
		}
	}
	for _, table := range []string{"ticket", "session", "refresh_token", "rpt", "sealed", "signing_key", "writer"} {
		if slices.Contains(got, table) {
			t.Errorf("the replica was asked for %s", table)
		}
	}

	standby.Signal(syscall.SIGQUIT)
	standby.Wait()
	after := decisions()
	was, _ := json.Marshal(before)
	if is, _ := json.Marshal(after); string(is) != string(was) {
		t.Errorf("the replica has ended: got %s, want %s", is, was)
	}
	within1s(t, "the log says that the replica is not used", func() bool {
		return strings.Contains(string(readFile(t, filepath.Join(p.Data, "server.log"))), "the replica of the database is not used")
	})
	if stderr := list(1, "decisions", "list"); !strings.Contains(stderr, "the replica is not used") {
		t.Errorf("got %q", stderr)
	}
}

var fromTable = regexp.MustCompile(`(?:FROM|JOIN|INTO|UPDATE) ([a-z_]{2,})\b[^(]`)

// tables are the tables that the statements in a log name, sorted.
func tables(log string) (names []string) {
	for _, found := range fromTable.FindAllStringSubmatch(log, -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}
