package rollout

import (
	"context"
	"fmt"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// ActiveProber compiles the active policy of a realm, to ask what it decides.
func ActiveProber(ctx context.Context, store ImpactStore, realm *uma.Realm) (audit.Prober, error) {
	p, err := activePolicy(ctx, store, realm.Name, realm.Policy, NewStoredProber)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Reach says what parties could do under the candidate that they cannot do under the active
// policy, and the other way round: of users and resources as they are stored, whether or not
// anybody asked.
func (i *Impact) Reach(ctx context.Context, store ImpactStore, r *audit.Reach) (*audit.ReachReport, error) {
	realm := &r.Realm.Realm
	active, err := ActiveProber(ctx, store, realm)
	if err != nil {
		return nil, err
	}
	var candidate *engine.Prober
	if i.Candidate == nil {
		candidate, err = storedCandidate(ctx, store, i.Realm, i.Revision, realm.Policy, NewStoredProber)
	} else if candidate, err = engine.NewProber(ctx, realm.Name, realm.Policy, *i.Candidate); err != nil {
		err = &RefusedError{err}
	}
	if err != nil {
		return nil, err
	}
	report, err := r.Run(ctx, active, candidate)
	if err != nil {
		return nil, fmt.Errorf("compare what parties may do: %w", err)
	}
	return report, nil
}
