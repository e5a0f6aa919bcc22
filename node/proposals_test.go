package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// compareNow compares the realm with its folder and its period, as the loop does after a
// change.
func compareNow(t *testing.T, n *Node) error {
	t.Helper()
	for _, r := range n.policies.realms {
		r.changed.Store(true)
	}
	n.policies.starting = true // examinations end before it returns
	defer func() { n.policies.starting = false }()
	return n.policies.sync(t.Context())
}

// revisions are those of the periods of the realm r, oldest first.
func revisions(t *testing.T, n *Node) []string {
	t.Helper()
	periods, err := n.Store.PolicyPeriods(t.Context(), "r", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for i := len(periods) - 1; i >= 0; i-- {
		hashes = append(hashes, periods[i].Revision)
	}
	return hashes
}

func active(t *testing.T, n *Node) string {
	t.Helper()
	policy, err := n.engine.Prepare(t.Context(), &uma.Realm{Name: "r"})
	if err != nil {
		t.Fatal(err)
	}
	return policy.Revision()
}

// Two servers of one database whose folders differ do not replace each other's policy for
// ever: each proposes a content once.
func TestFoldersThatDiffer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	extra := filepath.Join(s.folder, "extra.rego")
	first := s.open(t, func(*Node) {})
	beginAndEnd(t, first)
	s.write(t, extra, "package lib.extra\n")
	second := s.open(t, func(*Node) {})
	beginAndEnd(t, second)
	want := revisions(t, first)
	if len(want) != 2 {
		t.Fatalf("got periods %v, want one of each folder", want)
	}
	for range 3 {
		s.remove(t, "extra.rego")
		if err := compareNow(t, first); err != nil {
			t.Fatal(err)
		}
		s.write(t, extra, "package lib.extra\n")
		if err := compareNow(t, second); err != nil {
			t.Fatal(err)
		}
	}
	if got := revisions(t, first); len(got) != 2 || active(t, first) != want[1] || active(t, second) != want[1] {
		t.Errorf("got periods %v, and active %s and %s", got, active(t, first), active(t, second))
	}
}

// A policy that one server activates is active on the other, also if the other's folder has
// a mistake.
func TestPeriodsOfOthersAreFollowed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n, other := s.open(t, func(*Node) {}), s.open(t, func(*Node) {})
	beginAndEnd(t, n)
	beginAndEnd(t, other)
	s.write(t, filepath.Join(s.folder, "bad.rego"), "package lib.bad\n\nx if )\n")
	if err := compareNow(t, n); err == nil {
		t.Fatal("the folder compiles")
	}
	candidate := t.TempDir()
	s.write(t, filepath.Join(candidate, "album.rego"), "package uma.policies.album\n\ngrant contains \"view\"\n")
	change, err := n.Rollout.ActivateFolder(t.Context(), rollout.Order{Realm: "r", By: "carol"}, candidate)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range []*Node{n, other} {
		if err := compareNow(t, each); err != nil {
			t.Errorf("a mistake in a folder that does not decide: %v", err)
		}
		if got := active(t, each); got != change.Revision {
			t.Errorf("got %s, want %s", got, change.Revision)
		}
	}
	state, err := n.Store.PolicyState(t.Context(), "r")
	if err != nil || !strings.Contains(state.Waiting.Problem, "bad.rego:3") {
		t.Errorf("got %+v, %v: want the mistake", state, err)
	}
}

// A pinned policy is active after a restart without the folder.
func TestStartWithAPinnedPolicy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.open(t, func(*Node) {})
	beginAndEnd(t, n)
	change, err := n.Rollout.ActivateRevision(t.Context(), rollout.Order{Realm: "r"}, active(t, n))
	if err != nil {
		t.Fatal(err)
	}
	again := s.open(t, func(*Node) {})
	if err := os.RemoveAll(s.folder); err != nil {
		t.Fatal(err)
	}
	beginAndEnd(t, again)
	if got := active(t, again); got != change.Revision {
		t.Errorf("got %s, want %s", got, change.Revision)
	}
}

// Another entry point makes another revision of the same files, which stays pinned.
func TestEntrypointOfAPinnedPolicy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write(t, filepath.Join(s.folder, "own.rego"), "package lib.own\n\ndecision := {}\n")
	n := s.open(t, func(*Node) {})
	beginAndEnd(t, n)
	change, err := n.Rollout.ActivateRevision(t.Context(), rollout.Order{Realm: "r", Source: "x"}, active(t, n))
	if err != nil {
		t.Fatal(err)
	}
	s.edit(t, "timeout: 1s", "timeout: 1s, entrypoint: data.lib.own.decision")
	again := s.open(t, func(*Node) {})
	beginAndEnd(t, again)
	state, err := again.Store.PolicyState(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	if p := state.Active; p.Revision == change.Revision || p.Revision != active(t, again) || !p.Pinned || p.By != rollout.ByServer || p.Note == "" {
		t.Errorf("got %+v", p)
	}
	if _, err := again.Rollout.Rollback(t.Context(), rollout.Order{Realm: "r"}); !errors.Is(err, rollout.ErrNothingBefore) {
		t.Errorf("a rollback to the same files: got %v", err)
	}
}

// A rollback fails if another policy is activated meanwhile: it would go forward.
func TestRollbackMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.open(t, func(*Node) {})
	beginAndEnd(t, n)
	s.write(t, filepath.Join(s.folder, "extra.rego"), "package lib.extra\n")
	if err := compareNow(t, n); err != nil {
		t.Fatal(err)
	}
	store := n.Rollout.Store
	n.Rollout.Store = &activatingStore{store, func(ctx context.Context, a *uma.Activation) (uma.Key, error) {
		n.Rollout.Store = store
		if _, err := n.Rollout.Rollback(ctx, rollout.Order{Realm: "r"}); err != nil {
			t.Error(err)
		}
		return store.ActivatePolicy(ctx, a)
	}}
	if _, err := n.Rollout.Rollback(t.Context(), rollout.Order{Realm: "r"}); err == nil || !strings.Contains(err.Error(), "activated meanwhile") {
		t.Errorf("got %v", err)
	}
	if got := revisions(t, n); len(got) != 3 || got[2] != got[0] {
		t.Errorf("got %v", got)
	}
}

// A test or manifest that changes alone is no proposal, and is kept by the next activation.
func TestTestsAreNoProposal(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.open(t, func(*Node) {})
	beginAndEnd(t, n)
	s.write(t, filepath.Join(s.folder, "album_test.rego"), "package album_test\n\ntest_one if true\n")
	s.write(t, filepath.Join(s.folder, ".manifest"), "{}")
	if err := compareNow(t, n); err != nil {
		t.Fatal(err)
	}
	if got := revisions(t, n); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	s.write(t, filepath.Join(s.folder, "own.rego"), "package lib.own\n\ndecision := {}\n")
	if err := compareNow(t, n); err != nil {
		t.Fatal(err)
	}
	s.edit(t, "timeout: 1s", "timeout: 1s, entrypoint: data.lib.own.decision")
	again := s.open(t, func(n *Node) { n.StoredPolicies = true }) // begins a period of the stored files
	beginAndEnd(t, again)
	if got := revisions(t, again); len(got) != 3 {
		t.Errorf("got %v", got)
	}
	for _, hash := range revisions(t, again)[1:] {
		rev, err := again.Store.Revision(t.Context(), "r", hash)
		if err != nil || len(rev.Beside) != 2 || !strings.HasPrefix(rev.Beside["album_test.rego"], "package album_test") {
			t.Errorf("%s: got %v, %v", hash, rev, err)
		}
	}
}
