package tests

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"example.com/umpire/uma"
)

// TestKillActivation: a server and the command that activates policies beside it are killed in
// the middle of decisions and activations, twenty times, and started again on the same data.
// One revision is in force, the history has no gap, no activation and no decision that was
// answered is lost, and the next start goes on.
func TestKillActivation(t *testing.T) {
	t.Parallel()
	// Without gates more activations are answered before the end.
	o := newOptions(t, []func(*options){photozWith(t, nil, "grant: partial", "grant: partial, gates: {lint: off, tests: off, coverage: off, impact: off}")})
	files := o.write(t)
	a := &activations{known: map[string]bool{}}
	t.Cleanup(func() {
		if t.Failed() {
			showTrouble(t, filepath.Join(o.Data, "server.log"))
		}
	})
	for round := range rounds(20) {
		p := spawn(t, o, files)
		a.check(t, p.env)
		a.untilDeath(t, p, round)
	}
	p := spawn(t, o, files)
	a.check(t, p.env)
	if len(a.known) == 0 || a.total == 0 || a.activated == 0 {
		t.Errorf("%d revisions, %d decisions and %d activations were answered", len(a.known), a.total, a.activated)
	}
	p.policy(t, "activate", p.candidate(t, "board.rego", closedBoard))
	within1s(t, "an activation", func() bool { return p.board(t) == 403 })
	if out, stderr, code := umpire(t, "policy", "release", "--data", p.Data); code != 0 {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	p.writePolicy(t, "last.rego", "package lib.last\n\nx := 1\n")
	within1s(t, "a change of the folder", func() bool { return p.board(t) == 200 })
	a.check(t, p.env)
	if state := p.end(t, syscall.SIGTERM); !state.Success() {
		t.Errorf("stopped by SIGTERM: %s", state)
	}
}

// closedBoard is board.rego without its grants. It has no denials: a server would not start with
// a folder that lost them.
const closedBoard = "package uma.policies.board\n\nreasons contains \"closed\"\n"

// activations is what clients and the user of the command were told.
type activations struct {
	mu        sync.Mutex
	decisions map[string]string // outcomes by id of the request, since the last check
	revisions []string          // that were activated by the command since the last check

	total, activated int
	seen             int64           // the newest record
	known            map[string]bool // revisions that records name
}

// untilDeath decides and activates until the processes are killed: after some decisions, and in every other round after an
// activation, too.
func (a *activations) untilDeath(t *testing.T, p *process, round int) {
	t.Helper()
	a.decisions, a.revisions = map[string]string{}, nil
	bob := p.as(t, "bob", "photoz-app")
	var decided, activated atomic.Int64
	var wait sync.WaitGroup
	enough, killed := make(chan struct{}), make(chan struct{})
	isEnough := sync.OnceFunc(func() { close(enough) })
	for writer := range 8 {
		wait.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprint("r-", round, "-", writer, "-", n)
				res, err := attempt(p.newRequest(t, request{method: "POST", url: tokenPath, as: bob, headers: map[string]string{"X-Request-Id": id},
					form: form("grant_type", umaGrant, "audience", "photoz-api", "permission", "Public board#view", "response_mode", "decision")}))
				if err != nil || res.status >= 500 {
					return
				}
				outcome := map[int]string{200: "granted", 403: "denied"}[res.status]
				a.mu.Lock()
				a.decisions[id] = outcome
				a.mu.Unlock()
				if decided.Add(1) >= int64(20+10*round) && (round%2 == 0 || activated.Load() > 0) {
					isEnough()
				}
			}
		})
	}
	candidates := []string{p.candidate(t, "board.rego", closedBoard), p.candidate(t, "open.rego", "package lib.open\n\nx := 1\n")}
	wait.Go(func() {
		for n := 0; ; n++ {
			p.writePolicy(t, "round.rego", fmt.Sprintf("package lib.round\n\nx := \"%d of %d\"\n", n, round))
			for _, args := range [][]string{{"activate", candidates[n%2]}, {"release"}} {
				out, ok := untilKilled(t, killed, command(t, append([]string{"policy", "-o", "json", "--data", p.Data}, args...)...))
				if !ok {
					return
				}
				a.revisions = append(a.revisions, out.Revision)
				activated.Add(1)
			}
		}
	})
	<-enough
	close(killed)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	wait.Wait()
	p.end(t, syscall.SIGKILL)
}

// untilKilled runs a command, and kills it when a channel is closed.
func untilKilled(t *testing.T, killed <-chan struct{}, cmd *exec.Cmd) (out ordered, ok bool) {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return out, false
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil || json.Unmarshal([]byte(stdout.String()), &out) != nil {
			t.Errorf("%q: %v\n%s%s", cmd.Args, err, &stdout, &stderr)
			return out, false
		}
		return out, true
	case <-killed:
		if err := cmd.Process.Kill(); err != nil && !strings.Contains(err.Error(), "already finished") {
			t.Error(err)
		}
		<-ended
		return out, false
	}
}

// check compares the database of a server that was started again with what was told.
func (a *activations) check(t *testing.T, e *env) {
	t.Helper()
	got := e.board(t) // answered when the policies are in force
	db := e.stored(t)
	periods, err := db.PolicyPeriods(t.Context(), e.Realm, 0, 10_000)
	if err != nil || len(periods) == 0 {
		t.Fatalf("got %d periods, %v", len(periods), err)
	}
	for i, p := range periods {
		if current := i == 0; p.Until.IsZero() != current || !current && !p.Until.Equal(periods[i-1].Since) {
			t.Errorf("period %d of %d: got %+v after %+v", i, len(periods), p, periods[max(i-1, 0)])
		}
	}
	for _, hash := range a.revisions {
		a.activated++
		if !slices.ContainsFunc(periods, func(p uma.Period) bool { return p.Revision == hash }) {
			t.Errorf("the activation of %s is lost", hash)
		}
	}
	rev, err := db.Revision(t.Context(), e.Realm, periods[0].Revision)
	if err != nil {
		t.Fatal(err)
	}
	want := 200
	if rev.Sources["board.rego"] == closedBoard {
		want = 403
	}
	if got != want {
		t.Errorf("revision %s is in force: got %d, want %d", rev.Hash, got, want)
	}
	stored := map[string]string{}
	for _, r := range recordsAfter(t, db, a.seen) {
		a.seen, stored[r.Request] = r.Seq, r.Outcome
		if !a.known[r.Revision] {
			a.known[r.Revision] = true
			if _, err := db.Revision(t.Context(), r.Realm, r.Revision); err != nil {
				t.Errorf("the revision of decision %s: %v", r.ID, err)
			}
		}
	}
	for id, outcome := range a.decisions {
		a.total++
		if stored[id] != outcome {
			t.Errorf("decision %s: got %q on record, want %q", id, stored[id], outcome)
		}
	}
	a.decisions, a.revisions = nil, nil
}
