package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.com/umpire/uma"
)

// snapshots are the names of all realms at one generation of the store, and the realms
// that were read since.
type snapshots struct {
	generation int64
	names      []string // sorted
	realms     map[string]*uma.Snapshot
}

// Realm returns the snapshot of an enabled realm, and refuses others with RealmNotFound or
// RealmDisabled. It reads the store only for an existing realm that was not read since the
// last administrative change: unknown names that callers send cost no read.
func (r *Realms) Realm(ctx context.Context, name string) (*uma.Snapshot, error) {
	s, err := r.snapshot(ctx, name)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Reject(uma.RealmNotFound, uma.Fault{}, err)
	case err != nil:
		return nil, err
	case !s.Realm.Enabled:
		return nil, uma.Reject(uma.RealmDisabled, uma.Fault{}, nil)
	}
	return s, nil
}

func (r *Realms) snapshot(ctx context.Context, name string) (*uma.Snapshot, error) {
	for {
		now := r.snapshots.Load()
		if now == nil {
			if err := r.Reload(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if s := now.realms[name]; s != nil {
			return s, nil
		}
		if _, known := slices.BinarySearch(now.names, name); !known {
			return nil, fmt.Errorf("load realm: %w", uma.ErrNotFound)
		}
		s, err := r.Store.Snapshot(ctx, name, r.Now())
		if err != nil {
			return nil, fmt.Errorf("load realm: %w", err)
		}
		next := &snapshots{generation: now.generation, names: now.names, realms: maps.Clone(now.realms)}
		next.realms[name] = s
		// If a change came in between, the snapshot may be older than it.
		if r.snapshots.CompareAndSwap(now, next) {
			return s, nil
		}
	}
}

// names returns the names of all realms, sorted, without a read if they were read since the last
// administrative change.
func (r *Realms) names(ctx context.Context) ([]string, error) {
	if now := r.snapshots.Load(); now != nil {
		return now.names, nil
	}
	if err := r.Reload(ctx); err != nil {
		return nil, err
	}
	return r.snapshots.Load().names, nil
}

// Only returns the name of the realm if there is only one, else an empty one.
func (r *Realms) Only(ctx context.Context) (string, error) {
	names, err := r.names(ctx)
	if err != nil || len(names) != 1 {
		return "", err
	}
	return names[0], nil
}

// Snapshots returns the snapshots of all realms, also of disabled ones.
func (r *Realms) Snapshots(ctx context.Context) ([]*uma.Snapshot, error) {
	names, err := r.names(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]*uma.Snapshot, len(names))
	for i, name := range names {
		if all[i], err = r.snapshot(ctx, name); err != nil {
			return nil, fmt.Errorf("load realm %s: %w", name, err)
		}
	}
	return all, nil
}

// Follow reads the generation of the realms at each tick until ctx ends, and drops the
// snapshots when it has changed: so changes of another process, such as `umpire realm
// apply`, take effect. It calls changed after each change, also after one that a request
// noticed first.
func (r *Realms) Follow(ctx context.Context, tick <-chan time.Time, changed func()) {
	seen := r.snapshots.Load()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if err := r.Reload(ctx); err != nil {
			if ctx.Err() == nil {
				r.Log(ctx, "follow administrative changes", "err", err)
			}
			continue
		}
		now := r.snapshots.Load()
		if seen != nil && now.generation != seen.generation {
			changed()
		}
		seen = now
	}
}

// Reload drops the snapshots if the generation of the store has changed.
func (r *Realms) Reload(ctx context.Context) error {
	g, err := r.Store.Generation(ctx)
	if err != nil {
		return fmt.Errorf("read generation: %w", err)
	}
	now := r.snapshots.Load()
	if now != nil && now.generation == g {
		return nil
	}
	// Read after the generation: a change in between raises it again.
	names, err := r.Store.RealmNames(ctx)
	if err != nil {
		return fmt.Errorf("read names of realms: %w", err)
	}
	for next := (&snapshots{generation: g, names: names, realms: map[string]*uma.Snapshot{}}); ; now = r.snapshots.Load() {
		if now != nil && now.generation == g || r.snapshots.CompareAndSwap(now, next) {
			return nil
		}
	}
}
