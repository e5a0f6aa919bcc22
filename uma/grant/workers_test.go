package grant

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
	"example.com/umpire/workers"
)

// An evaluation that cannot be stopped ends in a refusal of its own request and delays no
// other; it is in the record, in the log and counted.
func TestEvaluationThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begun, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	w.service.evaluations.Size = 1
	w.service.evaluations.After = func(_ time.Duration, f func()) func() bool {
		go func() {
			if _, ok := <-begun; ok {
				f()
			}
		}()
		return func() bool { return true }
	}
	var stuck atomic.Int64
	w.service.Stuck = func(realm string, delta int) {
		if realm != "photoz" {
			t.Errorf("got realm %s", realm)
		}
		if stuck.Add(int64(delta)) == 0 {
			close(ended)
		}
	}
	decide := w.Answer
	w.Answer = func(*uma.Input) (*uma.Evaluation, error) {
		begun <- struct{}{}
		<-release
		return nil, nil
	}
	board := []AskedPermission{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}
	_, err := w.bob(&Request{Permissions: board})
	if umatest.Reason(err) != uma.PolicyFailed || stuck.Load() != 1 {
		t.Errorf("got %v, %d stuck", err, stuck.Load())
	}
	if got := string(w.Settlements[0].Records[0].Event); !strings.Contains(got, "cannot be stopped") {
		t.Errorf("got record %s", got)
	}
	w.Answer = decide
	close(begun)
	if _, err := w.bob(&Request{Permissions: board}); err != nil {
		t.Errorf("another request: %v", err)
	}
	close(release)
	<-ended
}

// Signatures do not wait for evaluations.
func TestSignaturesHaveTheirOwnWorkers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service.evaluations.Size = 1
	begun, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	go func() {
		_, _ = workers.Do(context.Background(), &w.service.evaluations, 0, nil, func() (struct{}, error) {
			close(begun)
			<-release
			return struct{}{}, nil
		})
	}()
	<-begun
	if _, err := w.service.Party.Respond(t.Context(), w.Snap, &uma.Claims{Expires: w.Unix() + 60}, nil); err != nil {
		t.Error(err)
	}
}
