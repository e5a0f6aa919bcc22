package tests

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"example.com/umpire/uma"
)

// TestKillIndex: a server is killed in the middle of sixteen writers, wherever its index of
// records ends then. After the next start each record is found by each of its fields, at
// once, and also when all are indexed, which they are within seconds.
func TestKillIndex(t *testing.T) {
	t.Parallel()
	databases.OnlySQLite(t, "records that are indexed later")
	o := newOptions(t, nil)
	files := o.write(t)
	records, told := 0, newAnswered() // one for all rounds: it names what is made
	for round := range rounds(4) {
		p := spawn(t, o, files)
		writeUntilDeath(t, p, told, 60+40*round)
		p = spawn(t, o, files)
		records = expectIndexed(t, p.stored(t), records+1)
		indexed := func() bool { return p.metric(t, "umpire_decision_index_lag_records") == "0" }
		within1s(t, "the index of records", indexed)
		if age := p.metric(t, "umpire_decision_index_lag_seconds"); age != "0" {
			t.Errorf("all is indexed and the oldest has waited for %s s", age)
		}
		if again := expectIndexed(t, p.stored(t), 1); again < records {
			t.Errorf("got %d records, then %d", records, again)
		}
		if state := p.end(t, syscall.SIGTERM); !state.Success() {
			t.Errorf("stopped by SIGTERM: %s", state)
		}
	}
}

// expectIndexed looks for each record by its id and by each field, and returns how many
// there are.
func expectIndexed(t *testing.T, db uma.Decisions, least int) int {
	t.Helper()
	all := recordsAfter(t, db, 0)
	if len(all) < least {
		t.Fatalf("got %d records, want at least %d", len(all), least)
	}
	ids := map[string][]string{} // by filter
	filters := map[string]uma.DecisionFilter{}
	for _, r := range all {
		if found, err := db.Decision(t.Context(), r.ID); err != nil || found.Seq != r.Seq {
			t.Errorf("%s: got %+v, %v", r.ID, found, err)
		}
		fields := []uma.DecisionFilter{{Realm: r.Realm}, {Subject: r.Subject}, {Client: r.Client}, {Outcome: r.Outcome}, {Resource: r.Resource},
			{Request: r.Request}, {Revision: r.Revision}}
		for _, rule := range r.Rules {
			fields = append(fields, uma.DecisionFilter{Rule: rule})
		}
		for _, f := range fields {
			if key := fmt.Sprint(f); f != (uma.DecisionFilter{}) {
				ids[key], filters[key] = append(ids[key], r.ID), f
			}
		}
	}
	for key, want := range ids {
		var got []string
		err := db.EachDecision(t.Context(), filters[key], func(r *uma.Record) error {
			got = append(got, r.ID)
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v: got %d records, %v, want %d", filters[key], len(got), err, len(want))
		}
	}
	return len(all)
}

// A decision is found by each command at once, from the process that made it and beside it.
func TestDecisionsAreFoundAtOnce(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-app")
	for range 5 {
		e.uma(t, bob, "permission", "Public board#view", "audience", "photoz-api")
		newest := lastDecision(t, e.stored(t))
		if r := recordsAfter(t, e.stored(t), newest-1); len(r) != 1 {
			t.Fatalf("got %d records", len(r))
		} else if _, stderr, code := umpire(t, "decisions", "show", "--data", e.Data, r[0].ID); code != 0 {
			t.Errorf("decisions show: exit %d, %s", code, stderr)
		}
		expectIndexed(t, e.stored(t), 1)
	}
}
