package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/umpire/uma"
)

// KeySet is the JWK Set that the realm publishes, without keys that are retired and have
// expired.
func (r *Realms) KeySet(s *uma.Snapshot) ([]byte, error) {
	now := r.Now()
	expired := func(k uma.SigningKey) bool { return !k.Active && !now.Before(k.Expires) }
	if slices.ContainsFunc(s.Keys, expired) {
		published := *s
		published.Keys = slices.DeleteFunc(slices.Clone(s.Keys), expired)
		s = &published
	}
	return r.Verifier.KeySet(s)
}

// EnsureKeys makes a key for every realm that has none for its algorithm, so that a server
// that starts can sign. Usually a realm gets a key when its file is applied.
func (r *Realms) EnsureKeys(ctx context.Context) error {
	names, err := r.Store.RealmNames(ctx)
	if err != nil {
		return fmt.Errorf("list realms: %w", err)
	}
	for _, name := range names {
		s, err := r.Store.Snapshot(ctx, name, r.Now())
		if err != nil {
			return fmt.Errorf("load realm %s: %w", name, err)
		}
		k, err := r.missingKey(ctx, name, s.Realm.SigningAlg)
		switch {
		case err != nil:
			return err
		case k == nil:
			continue
		}
		if err := r.Store.AddKey(ctx, name, *k, time.Time{}); err != nil {
			return fmt.Errorf("keep %s key of realm %s: %w", k.Alg, name, err)
		}
	}
	return nil
}

// WithoutKey returns the realms that cannot sign: they have no active key for the algorithm
// of their tokens.
func (r *Realms) WithoutKey(ctx context.Context) ([]string, error) {
	all, err := r.Snapshots(ctx)
	if err != nil {
		return nil, err
	}
	var without []string
	for _, s := range all {
		if s.SigningKey() == nil {
			without = append(without, s.Realm.Name)
		}
	}
	return without, nil
}

// missingKey makes a key if the realm, which may not exist yet, has no active key for that
// algorithm; else it returns nil.
func (r *Realms) missingKey(ctx context.Context, realm, alg string) (*uma.SigningKey, error) {
	s, err := r.Store.Snapshot(ctx, realm, r.Now())
	switch {
	case errors.Is(err, uma.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("load realm %s: %w", realm, err)
	case s.ActiveKey(alg) != nil:
		return nil, nil
	}
	k, err := r.Issuer.NewKey(ctx, alg)
	if err != nil {
		return nil, fmt.Errorf("make %s key of realm %s: %w", alg, realm, err)
	}
	k.Created, k.Active = r.Now(), true
	return &k, nil
}

// RotateKey makes a new signing key for the realm. The old one stays published
// until the last token it signed has expired.
func (r *Realms) RotateKey(ctx context.Context, realm string) (uma.SigningKey, error) {
	s, err := r.Store.Snapshot(ctx, realm, r.Now())
	if err != nil {
		return uma.SigningKey{}, fmt.Errorf("load realm: %w", err)
	}
	k, err := r.Issuer.NewKey(ctx, s.Realm.SigningAlg)
	if err != nil {
		return k, fmt.Errorf("make %s key: %w", s.Realm.SigningAlg, err)
	}
	k.Created, k.Active = r.Now(), true
	// A server signs with the old key until it has noticed the new one. That takes seconds;
	// a minute is added.
	longest := max(s.Realm.Lifetimes.Access, s.Realm.Lifetimes.RPT) + time.Minute
	if err := r.Store.AddKey(ctx, realm, k, r.Now().Add(longest)); err != nil {
		return k, fmt.Errorf("keep %s key: %w", k.Alg, err)
	}
	return k, nil
}
