package postgres

import (
	"context"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// Lists returns the store for what people list and search: without a replica the store itself. It is
// the only way to the replica.
func (s *Store) Lists() uma.Store {
	if s.replica == nil {
		return s
	}
	return &lists{Store: s, from: s.replica.store}
}

// lists is a store whose methods below read from the replica, while it is used. What they return may be
// maxLag old. So nothing else may call them: no grant, no refusal, no answer to a client of the realm,
// nothing that is written, no cursor. All other methods are those of the primary.
type lists struct {
	*Store
	from *Store // of the replica
}

// FindDecisions implements uma.Decisions. What the replica does not have may have been recorded just now:
// that there is nothing is what the primary says.
func (l *lists) FindDecisions(ctx context.Context, f uma.DecisionFilter, limit int) ([]uma.Record, error) {
	found, err := l.from.FindDecisions(ctx, f, limit)
	if err == nil && len(found) == 0 && f.Before == 0 {
		return l.Store.FindDecisions(ctx, f, limit)
	}
	return found, err
}

// EachDecision implements uma.Decisions.
func (l *lists) EachDecision(ctx context.Context, f uma.DecisionFilter, each func(*uma.Record) error) error {
	return l.from.EachDecision(ctx, f, each)
}

// PartiesAfter implements uma.Parties.
func (l *lists) PartiesAfter(ctx context.Context, realm uma.Key, alias, after string, limit int) ([]*uma.User, error) {
	return l.from.PartiesAfter(ctx, realm, alias, after, limit)
}

// SampleUsers implements uma.Population.
func (l *lists) SampleUsers(ctx context.Context, realm uma.Key, n int, seed uint64) ([]*uma.User, error) {
	return l.from.SampleUsers(ctx, realm, n, seed)
}

// SampleResources implements uma.Population.
func (l *lists) SampleResources(ctx context.Context, server uma.Key, n int, seed uint64) ([]*uma.Resource, error) {
	return l.from.SampleResources(ctx, server, n, seed)
}

// ScopesOfTypes implements uma.Population.
func (l *lists) ScopesOfTypes(ctx context.Context, server uma.Key, types []string) (map[string][]uma.Scope, error) {
	return l.from.ScopesOfTypes(ctx, server, types)
}

// CachedView implements uma.Store: a view of the replica. If it fails, it is torn. View is of the primary.
func (l *lists) CachedView(ctx context.Context) (uma.View, error) {
	return l.from.view(ctx, memory.View{})
}
