package node

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

const (
	failing = "package album_test\n\ntest_wrong if 1 == 2\n"
	passing = "package album_test\n\ntest_right if 1 == 1\n"
)

// counting counts the jobs that an examiner does.
func counting(jobs *int) rollout.Examiner {
	return func(ctx context.Context, job *rollout.Job) (*rollout.Outcome, error) {
		*jobs++
		return rollout.InProcess(ctx, job)
	}
}

// A proposal that was refused is examined again only if it, the settings of the gates, or what
// it is compared with has changed.
func TestRefusedProposalIsExaminedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	jobs := 0
	n := s.open(t, func(n *Node) { n.Rollout.Examine = counting(&jobs) })
	beginAndEnd(t, n)
	first := active(t, n)
	s.write(t, filepath.Join(s.folder, "album_test.rego"), failing)
	if err := compareNow(t, n); err != nil || jobs != 0 {
		t.Errorf("a test alone: got %v, %d jobs", err, jobs)
	}
	s.write(t, filepath.Join(s.folder, "more.rego"), "package lib.more\n")
	for range 3 {
		if err := compareNow(t, n); err != nil {
			t.Fatal(err)
		}
	}
	state, err := n.Store.PolicyState(t.Context(), "r")
	if err != nil || jobs != 1 || active(t, n) != first || !strings.Contains(state.Waiting.Problem, "gate tests refuses") || state.Waiting.Report == "" {
		t.Errorf("got %d jobs, %+v, %v", jobs, state, err)
	}
	s.edit(t, "type: album, scopes: [view]", "type: album, scopes: [view, edit]") // another name to compare with
	s.apply(t, n)
	if err := compareNow(t, n); err != nil || jobs != 2 || active(t, n) != first {
		t.Errorf("another realm file: got %v, %d jobs", err, jobs)
	}
	s.edit(t, "timeout: 1s", "timeout: 1s, gates: {tests: warn}")
	s.apply(t, n)
	if err := compareNow(t, n); err != nil || jobs != 3 || active(t, n) == first {
		t.Errorf("tests only warn: got %v, %d jobs", err, jobs)
	}
	if state, err = n.Store.PolicyState(t.Context(), "r"); err != nil || !strings.Contains(state.Active.Report, "test_wrong failed") || state.Waiting.Problem != "" {
		t.Errorf("got %+v, %v, want the report of the gates", state, err)
	}
}

// An error that is none of the policy is no verdict: the proposal is examined again.
func TestExaminationThatFailed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	failed := false
	n := s.open(t, func(n *Node) {
		n.Rollout.Examine = func(ctx context.Context, job *rollout.Job) (*rollout.Outcome, error) {
			if !failed {
				failed = true
				return nil, errors.New("no process")
			}
			return rollout.InProcess(ctx, job)
		}
	})
	beginAndEnd(t, n)
	first := active(t, n)
	s.write(t, filepath.Join(s.folder, "album_test.rego"), passing)
	s.write(t, filepath.Join(s.folder, "more.rego"), "package lib.more\n")
	if err := compareNow(t, n); err == nil || active(t, n) != first {
		t.Errorf("got %v", err)
	}
	if err := compareNow(t, n); err != nil || active(t, n) == first {
		t.Errorf("again: got %v", err)
	}
}

// A panic in the gates ends no server: the policy from before stays.
func TestGatesThatPanic(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.open(t, func(n *Node) {
		n.Rollout.Examine = func(context.Context, *rollout.Job) (*rollout.Outcome, error) { panic("at the gates") }
	})
	beginAndEnd(t, n)
	first := active(t, n)
	s.write(t, filepath.Join(s.folder, "album_test.rego"), passing)
	s.write(t, filepath.Join(s.folder, "more.rego"), "package lib.more\n")
	if err := compareNow(t, n); err == nil || !strings.Contains(err.Error(), "panic: at the gates") || active(t, n) != first {
		t.Errorf("got %v", err)
	}
}

// While a proposal is examined, the loop follows a rollback.
func TestRollbackDuringAnExamination(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	n := s.open(t, func(*Node) {})
	beginAndEnd(t, n)
	first := active(t, n)
	s.write(t, filepath.Join(s.folder, "more.rego"), "package lib.more\n")
	if err := compareNow(t, n); err != nil {
		t.Fatal(err)
	}
	second := active(t, n)
	began, release := make(chan struct{}), make(chan struct{})
	n = s.open(t, func(n *Node) {
		n.Rollout.Examine = func(ctx context.Context, job *rollout.Job) (*rollout.Outcome, error) {
			close(began)
			select {
			case <-release:
			case <-ctx.Done():
			}
			return rollout.InProcess(ctx, job)
		}
	})
	if err := begin(t, n); err != nil {
		t.Fatal(err)
	}
	s.write(t, filepath.Join(s.folder, "album_test.rego"), passing)
	s.write(t, filepath.Join(s.folder, "more.rego"), "package lib.more\n\nx := 1\n")
	<-began
	if _, err := n.Rollout.Rollback(t.Context(), rollout.Order{Realm: "r"}); err != nil {
		t.Fatal(err)
	}
	state, err := n.Store.PolicyState(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	n.policies.compare()
	policy, err := n.engine.Prepare(t.Context(), &uma.Realm{Name: "r", Period: state.Active.Key})
	if err != nil || policy.Revision() != first {
		t.Errorf("got %v, %v, want the policy that was rolled back to: the loop waits for the examination", policy, err)
	}
	close(release)
	if got := revisions(t, n); len(got) != 3 || got[1] != second || got[2] != first {
		t.Errorf("got %v: what is examined waits once the policy is pinned", got)
	}
}

// The first policy of a realm passes the gates, too: else the server does not start. With a
// policy in force it starts, and that decides.
func TestStartWithARefusedPolicy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	wrong := "package uma.policies.album\n\ngrant contains \"veiw\"\n"
	s.write(t, filepath.Join(s.folder, "album.rego"), wrong)
	if err := begin(t, s.open(t, func(*Node) {})); err == nil || !strings.Contains(err.Error(), `gate lint refuses the policy of realm r:`) || !strings.Contains(err.Error(), `album.rego:3: no resource of type album in realm r has the scope "veiw": did you mean "view"?`) {
		t.Fatalf("got %v", err)
	}
	s.write(t, filepath.Join(s.folder, "album.rego"), strings.Replace(wrong, "veiw", "view", 1))
	n := s.open(t, func(*Node) {})
	beginAndEnd(t, n)
	first := active(t, n)
	s.write(t, filepath.Join(s.folder, "album.rego"), wrong)
	n = s.open(t, func(*Node) {})
	beginAndEnd(t, n)
	if got := active(t, n); got != first {
		t.Errorf("got %s, want the policy that was in force", got)
	}
}
