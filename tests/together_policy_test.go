package tests

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/umpire/rollout"
)

// TestActivationOnAnotherServer: as soon as one server has answered that a stricter policy is activated, the other
// one commits no grant of the policy before, although requests of it are under way all the time. It refuses within
// a second, by the new policy, and grants again by one that permits.
func TestActivationOnAnotherServer(t *testing.T) {
	t.Parallel()
	a, b := together(t, photozWith(t, nil, "grant: partial", "grant: partial, gates: {lint: off, tests: off, coverage: off, impact: off}"))
	db := a.stored(t)
	strict, open := a.candidate(t, "board.rego", closedBoard), filepath.Join(filepath.Dir(a.File), "policies")
	activate := func(folder string) string {
		t.Helper()
		change, err := a.node.Rollout.ActivateFolder(t.Context(), rollout.Order{Realm: "photoz", By: "carol"}, folder)
		if err != nil {
			t.Fatal(err)
		}
		return change.Revision
	}
	permissive := activate(open)
	within1s(t, "both servers grant", func() bool { return a.board(t) == 200 && b.board(t) == 200 })
	for range rounds(8) {
		before := lastDecision(t, db)
		stop := askAllTheTime(t, b)
		stricter := activate(strict)
		told := lastDecision(t, db)
		stop()
		within1s(t, "the other server refuses", func() bool { return b.board(t) == 403 })
		granted := 0
		for _, r := range recordsAfter(t, db, before) {
			switch {
			case r.Outcome != "granted":
			case r.Seq > told || r.Revision != permissive:
				t.Errorf("record %d: granted by revision %s after record %d, when revision %s was in force", r.Seq, r.Revision, told, stricter)
			default:
				granted++
			}
		}
		if granted == 0 {
			t.Error("nothing was granted before")
		}
		if last := recordsAfter(t, db, lastDecision(t, db)-1)[0]; last.Revision != stricter || last.Outcome != "denied" {
			t.Errorf("the last decision is %s by %s, want denied by %s", last.Outcome, last.Revision, stricter)
		}
		activate(open)
		within1s(t, "both servers grant again", func() bool { return a.board(t) == 200 && b.board(t) == 200 })
	}
}

// askAllTheTime has four clients ask a server until they are told to stop. Each asks once more then, and must not be granted.
func askAllTheTime(t *testing.T, e *running) (stop func()) {
	t.Helper()
	var told atomic.Bool
	var wait sync.WaitGroup
	var asked atomic.Int64
	for range 4 {
		wait.Go(func() {
			for last := false; !last; asked.Add(1) {
				last = told.Load()
				switch got := e.board(t); {
				case last && got == 200:
					t.Error("granted after the activation")
				case got != 200 && got != 403 && got != 503:
					t.Errorf("got %d", got)
				}
			}
		})
	}
	within1s(t, "requests", func() bool { return asked.Load() > 8 })
	return func() {
		told.Store(true)
		wait.Wait()
	}
}
