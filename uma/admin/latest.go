package admin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/uma"
)

// latest makes reloads that are wanted at the same time one.
type latest struct {
	once  sync.Once
	turn  chan struct{} // has an element while one reloads
	begun atomic.Int64  // reloads
	last  error         // of the last one; it belongs to who has the turn
}

// Latest returns a realm with all changes that were made before the call, also by other servers.
// Callers may cause calls at will: at most one of them reads the store at a time, and those that wait
// for it share the next read.
func (r *Realms) Latest(ctx context.Context, realm string) (*uma.Snapshot, error) {
	if err := r.reloadOnce(ctx); err != nil {
		return nil, err
	}
	return r.Realm(ctx, realm)
}

func (r *Realms) reloadOnce(ctx context.Context) error {
	l := &r.latest
	l.once.Do(func() { l.turn = make(chan struct{}, 1) })
	before := l.begun.Load()
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the generation: %w", ctx.Err())
	}
	if l.begun.Load() > before && l.last == nil { // it began after this call
		return nil
	}
	l.begun.Add(1)
	l.last = r.Reload(ctx)
	return l.last
}

// A Verifier verifies tokens also by keys that the snapshot of a realm does not have yet: another
// server noticed a new key first and has signed with it.
type Verifier struct {
	uma.Verifier
	Realms *Realms
}

// Verify implements uma.Verifier.
func (v *Verifier) Verify(ctx context.Context, s *uma.Snapshot, issuer, raw string) (*uma.Claims, error) {
	claims, err := v.Verifier.Verify(ctx, s, issuer, raw)
	if !errors.Is(err, uma.ErrUnknownKey) {
		return claims, err
	}
	now, failed := v.Realms.Latest(ctx, s.Realm.Name)
	switch {
	case failed != nil:
		return nil, failed
	case now.Realm.Generation == s.Realm.Generation:
		return nil, err
	}
	return v.Verifier.Verify(ctx, now, issuer, raw)
}

// patience is how long LatestKeySet waits for the store.
const patience = time.Second

// LatestKeySet is KeySet of the realm with the keys that others have added just now: who asks may have
// a token that another server signed. If the store does not answer, it is that of the snapshot.
func (r *Realms) LatestKeySet(ctx context.Context, s *uma.Snapshot) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if now, err := r.Latest(ctx, s.Realm.Name); err == nil {
		s = now
	}
	return r.KeySet(s)
}
