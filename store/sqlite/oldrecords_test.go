package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/uma"
)

// Records of the schema before stay where they are. They are found and removed with those
// that are appended after them, which are numbered after them.
func TestRecordsOfTheSchemaBefore(t *testing.T) {
	t.Parallel()
	rows := `INSERT INTO decision_shared VALUES (1, CAST('parts' AS BLOB));`
	events := []struct {
		encoding      int
		event, stored string
		shared        string
	}{{plainEvent, "{}", "{}", "NULL"}, {sharedEvent, "{parts}", "{\x01\x00}", "1"}, {sharedEvent, "[parts]", "[\x01\x00]", "1"}}
	for i, e := range events {
		rows += fmt.Sprintf(`INSERT INTO decision (id, batch, realm, time, kind, outcome, answered, subject, client, server, resource, revision, rules, encoding, event, shared, request)
			VALUES ('d%d', 'b', 'photoz', %d, 'rpt', 'granted', 'granted', 'alice', 'web', 'api', 'r', 'v', '["team/rule"]', %d, x'%x', %s, 'q');
			INSERT INTO decision_rule VALUES ('team/rule', %d);`, i, at.UnixMilli(), e.encoding, e.stored, e.shared, i+1)
	}
	s := openAt(t, schemaOf(t, 8, rows))
	for i := len(events); i < 6; i++ {
		keepRecord(t, s, uma.Record{ID: fmt.Sprint("d", i), Realm: "photoz", Time: at.Add(time.Hour), Outcome: "granted", Subject: "alice", Client: "web",
			Resource: "r", Revision: "v", Request: "q", Rules: []string{"team/rule"}, Event: []byte("{}")})
		if _, _, err := s.indexSome(t.Context(), i-3); err != nil {
			t.Fatal(err)
		}
	}
	want := func(first int64) {
		t.Helper()
		var seqs []int64
		for seq := first; seq <= 6; seq++ {
			seqs = append(seqs, seq)
			id := fmt.Sprint("d", seq-1)
			r, err := s.Decision(t.Context(), id)
			if err != nil || r.Seq != seq || seq <= 3 && (string(r.Event) != events[seq-1].event || r.Batch != "b") {
				t.Errorf("%s: got %+v, %v", id, r, err)
			}
		}
		back := slices.Clone(seqs)
		slices.Reverse(back)
		for _, f := range []uma.DecisionFilter{{}, {Realm: "photoz"}, {Outcome: "granted"}, {Subject: "alice"}, {Client: "web"}, {Resource: "r"}, {Revision: "v"},
			{Request: "q"}, {Rule: "team/rule"}, {Since: at}, {Until: at.Add(2 * time.Hour)}, {Rule: "team/rule", Resource: "r", Since: at}} {
			if got := foundBy(t, s, f, oldestFirst); !slices.Equal(got, seqs) {
				t.Errorf("%+v: got %v, want %v", f, got, seqs)
			}
			if got := foundBy(t, s, f, newestFirst); !slices.Equal(got, back) {
				t.Errorf("%+v: got %v, want %v", f, got, back)
			}
		}
		if b, err := s.BacklogOf(t.Context(), "photoz", 0); err != nil || b.Records != len(seqs) {
			t.Errorf("got %+v, %v", b, err)
		}
	}
	want(1)
	for _, step := range []struct{ limit, removed, first int }{{2, 2, 3}, {2, 1, 4}, {10, 0, 4}} {
		if n, err := s.PruneDecisions(t.Context(), at.Add(time.Minute), step.limit); err != nil || n != step.removed {
			t.Fatalf("got %d, %v, want %d", n, err, step.removed)
		}
		want(int64(step.first))
	}
	if left := rowsOf(t, s, `SELECT rule FROM decision_rule UNION ALL SELECT CAST(key AS TEXT) FROM decision_shared`); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
	if n, err := s.PruneDecisions(t.Context(), at.Add(2*time.Hour), 10); err != nil || n != 3 {
		t.Fatalf("got %d, %v", n, err)
	}
}

// No number is that of two records, also if a server of an earlier version added some after
// the migration, which a command of this version had made.
func TestNumbersAfterAnEarlierServer(t *testing.T) {
	t.Parallel()
	add := func(first, last int) string {
		return fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO decision (id, batch, realm, time, kind, outcome, subject, client, server, resource, revision, rules, encoding, event)
			SELECT 'old' || i, '', 'photoz', 0, '', '', '', '', '', '', '', '[]', 0, x'7b7d' FROM n`, first, last)
	}
	for _, before := range []int{0, 3} {
		rows := `SELECT 1`
		if before > 0 {
			rows = add(1, before)
		}
		path := schemaOf(t, 8, rows)
		command, err := Open(t.Context(), Config{Path: path}) // migrates
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Close(); err != nil {
			t.Fatal(err)
		}
		earlier, err := openConn(path, sqlite.OpenReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		_, err = earlier.exec(add(before+1, 7))
		if err := errors.Join(err, earlier.close()); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, path)
		keepRecord(t, s, variedRecord(8), variedRecord(9))
		if got := foundBy(t, s, uma.DecisionFilter{Realm: "photoz"}, oldestFirst); !slices.Equal(got, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("%d before: got %v", before, got)
		}
		again := openAt(t, path)
		keepRecord(t, again, variedRecord(10))
		if last, err := again.LastDecision(t.Context()); err != nil || last != 10 {
			t.Errorf("%d before: got %d, %v", before, last, err)
		}
	}
}
