package node

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// unconfirmed makes a node whose realm has an activation that is to be confirmed within a
// minute of start, and returns the revision from before with the change.
func unconfirmed(t *testing.T, s *site, start time.Time) (*Node, string, *rollout.Change) {
	t.Helper()
	n := s.open(t, func(n *Node) { at(n, start) })
	beginAndEnd(t, n)
	before := active(t, n)
	change, err := n.Rollout.ActivateFolder(t.Context(), rollout.Order{Realm: "r", By: "carol", Confirm: time.Minute}, s.candidate(t))
	if err != nil {
		t.Fatal(err)
	}
	return n, before, change
}

// at sets the clock of a node.
func at(n *Node, now time.Time) {
	n.Now = func() time.Time { return now }
	n.Rollout.Now = n.Now
}

func (s *site) candidate(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s.write(t, filepath.Join(dir, "album.rego"), "package uma.policies.album\n\ngrant contains \"view\"\n")
	return dir
}

// wantInForce compares the period in force.
func wantInForce(t *testing.T, n *Node, what, revision, by string, periods int) *uma.Period {
	t.Helper()
	state, err := n.Store.PolicyState(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	if p := state.Active; p.Revision != revision || p.By != by || !p.Pinned || active(t, n) != revision {
		t.Errorf("%s: got %+v and active %s, want %s", what, p, active(t, n), revision)
	}
	if got := revisions(t, n); len(got) != periods {
		t.Errorf("%s: got periods %v, want %d", what, got, periods)
	}
	return state.Active
}

// A policy that was not confirmed in time while no server ran is rolled back at the start, by
// one of several servers, also by one that takes its policies from the database.
func TestUnconfirmedPolicyAtTheStart(t *testing.T) {
	t.Parallel()
	s, start := newSite(t), time.Now()
	_, before, change := unconfirmed(t, s, start)
	again := s.open(t, func(n *Node) { at(n, start.Add(time.Minute-time.Millisecond)) })
	beginAndEnd(t, again)
	wantInForce(t, again, "in time", change.Revision, "carol", 2)
	late := s.open(t, func(n *Node) {
		at(n, start.Add(time.Minute))
		n.StoredPolicies = true
	})
	beginAndEnd(t, late)
	if p := wantInForce(t, late, "late", before, rollout.ByServer, 3); !strings.Contains(p.Note, "was not confirmed by") {
		t.Errorf("got %+v", p)
	}
	at(again, start.Add(time.Hour))
	if err := compareNow(t, again); err != nil {
		t.Fatal(err)
	}
	wantInForce(t, again, "on another server", before, rollout.ByServer, 3)
	beginAndEnd(t, s.open(t, func(n *Node) { at(n, start.Add(2*time.Hour)) }))
	wantInForce(t, again, "after another start", before, rollout.ByServer, 3)
}

// Another activation meanwhile stays. If it is not confirmed either, the policy from before
// both is in force again.
func TestActivationOverAnUnconfirmedOne(t *testing.T) {
	t.Parallel()
	s, start := newSite(t), time.Now()
	n, _, _ := unconfirmed(t, s, start)
	other := s.candidate(t)
	s.write(t, filepath.Join(other, "more.rego"), "package lib.more\n\nx := 1\n")
	change, err := n.Rollout.ActivateFolder(t.Context(), rollout.Order{Realm: "r", By: "dave"}, other)
	if err != nil {
		t.Fatal(err)
	}
	at(n, start.Add(time.Hour))
	if err := compareNow(t, n); err != nil {
		t.Fatal(err)
	}
	wantInForce(t, n, "an activation meanwhile", change.Revision, "dave", 3)

	s = newSite(t)
	n, before, _ := unconfirmed(t, s, start)
	if _, err := n.Rollout.ActivateFolder(t.Context(), rollout.Order{Realm: "r", By: "dave", Confirm: time.Minute}, other); err != nil {
		t.Fatal(err)
	}
	at(n, start.Add(time.Hour))
	if err := compareNow(t, n); err != nil {
		t.Fatal(err)
	}
	wantInForce(t, n, "two that were not confirmed", before, rollout.ByServer, 4)
}

// What is in force already, activated again to be confirmed, stays the policy in force.
func TestUnconfirmedPolicyOfTheSameFiles(t *testing.T) {
	t.Parallel()
	s, start := newSite(t), time.Now()
	n := s.open(t, func(n *Node) { at(n, start) })
	beginAndEnd(t, n)
	s.write(t, filepath.Join(s.folder, "extra.rego"), "package lib.extra\n")
	if err := compareNow(t, n); err != nil {
		t.Fatal(err)
	}
	same := active(t, n)
	if _, err := n.Rollout.ActivateRevision(t.Context(), rollout.Order{Realm: "r", By: "carol", Confirm: time.Minute}, same); err != nil {
		t.Fatal(err)
	}
	at(n, start.Add(time.Hour))
	if err := compareNow(t, n); err != nil {
		t.Fatal(err)
	}
	wantInForce(t, n, "the same files", same, rollout.ByServer, 4)
}

// Another entry point, or library, makes another revision of the files, which must be confirmed
// all the same.
func TestUnconfirmedPolicyWithAnotherEntrypoint(t *testing.T) {
	t.Parallel()
	s, start := newSite(t), time.Now()
	s.write(t, filepath.Join(s.folder, "own.rego"), "package lib.own\n\ndecision := {}\n")
	n := s.open(t, func(n *Node) { at(n, start) })
	beginAndEnd(t, n)
	candidate := s.candidate(t)
	s.write(t, filepath.Join(candidate, "own.rego"), "package lib.own\n\ndecision := {\"granted\": []}\n")
	if _, err := n.Rollout.ActivateFolder(t.Context(), rollout.Order{Realm: "r", By: "carol", Confirm: time.Minute}, candidate); err != nil {
		t.Fatal(err)
	}
	s.edit(t, "timeout: 1s", "timeout: 1s, entrypoint: data.lib.own.decision")
	again := s.open(t, func(n *Node) { at(n, start) })
	beginAndEnd(t, again)
	state, err := again.Store.PolicyState(t.Context(), "r")
	if err != nil || state.Active.By != rollout.ByServer || state.Active.ConfirmBy.IsZero() {
		t.Fatalf("got %+v, %v: want a period to be confirmed", state.Active, err)
	}
	at(again, start.Add(time.Minute))
	if err := compareNow(t, again); err != nil {
		t.Fatal(err)
	}
	if files := again.policies.realms["r"].files; files["album.rego"] != "package uma.policies.album\n" {
		t.Errorf("got %v", files)
	}
}

// An activation that must be confirmed needs a policy to go back to.
func TestFirstPolicyNeedsNoConfirmation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.open(t, func(*Node) {})
	_, err := n.Rollout.ActivateFolder(t.Context(), rollout.Order{Realm: "r", Confirm: time.Minute}, s.candidate(t))
	if err == nil || !strings.Contains(err.Error(), "no period with another policy before") {
		t.Errorf("got %v", err)
	}
	if got := revisions(t, n); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// A rollback that fails keeps no server from starting, and is tried again.
func TestUnconfirmedPolicyThatCannotBeRolledBack(t *testing.T) {
	t.Parallel()
	s, start := newSite(t), time.Now()
	_, before, change := unconfirmed(t, s, start)
	fails := true
	n := s.open(t, func(n *Node) {
		at(n, start.Add(time.Hour))
		n.Rollout.Store = &activatingStore{n.Store, func(ctx context.Context, a *uma.Activation) (uma.Key, error) {
			if fails {
				return 0, uma.ErrBusy
			}
			return n.Store.ActivatePolicy(ctx, a)
		}}
	})
	beginAndEnd(t, n)
	wantInForce(t, n, "at the start", change.Revision, "carol", 2)
	if !n.policies.anyOverdue() || n.policies.anyOverdue() {
		t.Error("the loop does not compare the overdue period once")
	}
	if err := n.policies.sync(t.Context()); err == nil || !strings.Contains(err.Error(), "which was not confirmed in time") {
		t.Errorf("got %v", err)
	}
	fails = false
	if err := compareNow(t, n); err != nil {
		t.Fatal(err)
	}
	wantInForce(t, n, "after a retry", before, rollout.ByServer, 3)
}
