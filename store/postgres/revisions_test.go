package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// activate makes a revision the policy of a realm. Its sources are a file of its own, and one that all
// revisions have.
func activate(ctx context.Context, s *Store, hash string) error {
	state, err := s.PolicyState(ctx, "photoz")
	if err != nil {
		return err
	}
	a := &uma.Activation{Content: hash, Revision: &uma.Revision{Hash: hash, Realm: "photoz", Since: at,
		Sources: map[string]string{"own.rego": hash, "same.rego": "package same\n"}, Beside: map[string]string{"own_test.rego": "test of " + hash}}}
	if state.Active != nil {
		a.Over = state.Active.Key
	}
	_, err = s.ActivatePolicy(ctx, a)
	return err
}

// A revision that is activated again while another process removes old ones has all of its files.
func TestRevisionIsActivatedWhileOldOnesAreRemoved(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	s, other := open(t, Config{URL: database}), open(t, Config{URL: database})
	next := 0
	for range 20 {
		old := fmt.Sprint("r", next)
		for range uma.KeepRevisions + 1 {
			if err := activate(t.Context(), s, fmt.Sprint("r", next)); err != nil {
				t.Fatal(err)
			}
			next++
		}
		var wg sync.WaitGroup
		start := make(chan struct{})
		for _, do := range []func() error{
			func() error { return activate(t.Context(), s, old) },
			func() error {
				_, err := other.PruneRevisions(t.Context(), at.Add(time.Hour))
				return err
			},
		} {
			wg.Go(func() {
				<-start
				if err := do(); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		r, err := s.RevisionInForce(t.Context(), "photoz")
		if err != nil {
			t.Fatal(err)
		}
		if r.Hash != old || r.Sources["own.rego"] != old || len(r.Sources) != 2 || len(r.Beside) != 1 {
			t.Fatalf("got revision %s with files %v and %v", r.Hash, r.Sources, r.Beside)
		}
	}
}
