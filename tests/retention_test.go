package tests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/uma"
)

// TestKeepDecisions: a server removes records older than KeepDecisions, and policies
// that only those name. Younger records, and policies in force, stay.
func TestKeepDecisions(t *testing.T) {
	t.Parallel()
	const old = 300 // more than one batch
	r := run(t, func(c *node.Config) {
		c.KeepDecisions = 90 * 24 * time.Hour
		s, err := openStore(t, c.Data, false, c.Now)
		if err != nil {
			t.Fatal(err)
		}
		st := &uma.Settlement{Now: c.Now()}
		for i := range old + 1 {
			age := 91 * 24 * time.Hour
			if i == old {
				age = 89 * 24 * time.Hour
			}
			st.Records = append(st.Records, uma.Record{ID: fmt.Sprint("d", i), Time: c.Now().Add(-age), Event: []byte("{}")})
		}
		if err := s.Commit(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		var period uma.Key
		for i := range uma.KeepRevisions + 1 {
			period, err = s.ActivatePolicy(t.Context(), &uma.Activation{Over: period, Revision: &uma.Revision{
				Hash: fmt.Sprint("once in force ", i), Realm: "photoz", Since: c.Now().Add(-time.Hour),
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
	db := r.stored(t)
	within1s(t, "the end of old records", func() bool { return len(recordsAfter(t, db, 0)) == 1 })
	if left := recordsAfter(t, db, 0); left[0].ID != fmt.Sprint("d", old) {
		t.Errorf("got %s left, want the youngest", left[0].ID)
	}
	within1s(t, "the metrics", func() bool {
		metrics := string(r.admin(t, "/metrics").raw)
		return strings.Contains(metrics, fmt.Sprintf("umpire_pruned_total{what=\"decisions\"} %d\n", old)) &&
			strings.Contains(metrics, "umpire_pruned_total{what=\"revisions\"} 2\n")
	})
	within1s(t, "a line of log", func() bool { return r.logged(t, "decision records pruned", fmt.Sprintf(`"decisions":%d`, old)) })
	r.uma(t, r.as(t, "bob", "photoz-app"), "permission", "Public board#view").expectGranted(t, "Public board: view")
	last := recordsAfter(t, db, old+1)[0]
	if _, err := db.Revision(t.Context(), last.Realm, last.Revision); err != nil {
		t.Errorf("the policy in force: %v", err)
	}
}

// TestKeepDecisionsCuts: records that a sink does not take are deleted once they have waited
// for longer than its hold. The log and the metrics say so.
func TestKeepDecisionsCuts(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	log := &failingLog{full: true}
	r := run(t, func(c *node.Config) {
		c.KeepDecisions, c.DecisionLogHold, c.DecisionLog = 90*day, 7*day, log
		s, err := openStore(t, c.Data, false, c.Now)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.KeepSinks(t.Context(), 0, []uma.Sink{{Name: "decision-log"}}); err != nil { // of a server before
			t.Fatal(err)
		}
		st := &uma.Settlement{Now: c.Now()}
		for i, age := range []time.Duration{98 * day, 98 * day, 96 * day} {
			st.Records = append(st.Records, uma.Record{ID: fmt.Sprint("d", i), Time: c.Now().Add(-age), Event: []byte("{}")})
		}
		if err := s.Commit(t.Context(), st); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
	db := r.stored(t)
	within1s(t, "the end of records that waited for too long", func() bool { return len(recordsAfter(t, db, 0)) == 1 })
	within1s(t, "the log", func() bool {
		return r.logged(t, "records were deleted before the sink had them", `"sink":"decision-log"`, `"records":2`)
	})
	within1s(t, "the metrics", func() bool {
		return strings.Contains(string(r.admin(t, "/metrics").raw), `umpire_sink_cut_total{kind="stdout",realm="",sink="decision-log"} 2`)
	})
	log.lines(false)
	within1s(t, "the record that waited", func() bool { return log.lines(false) >= 1 })
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if got := log.buf.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"seq":3`) {
		t.Errorf("got %s, want the third record", got)
	}
}
