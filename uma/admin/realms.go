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

// snapshots are the realms as of one generation of the store: all their names, and the
// realms that were read.
type snapshots struct {
	generation int64
	names      []string // sorted
	realms     map[string]*uma.Snapshot
}

// Realm returns what a request needs of a realm's configuration: RealmNotFound or
// RealmDisabled otherwise. It reads the store only for an existing realm that was not
// read since the last administrative change: unknown names that callers send cost no
// read.
func (a *Realms) Realm(ctx context.Context, name string) (*uma.Snapshot, error) {
	s, err := a.snapshot(ctx, name)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Refuse(uma.RealmNotFound, "", err)
	case err != nil:
		return nil, err
	case !s.Realm.Enabled:
		return nil, uma.Refuse(uma.RealmDisabled, "", nil)
	}
	return s, nil
}

func (a *Realms) snapshot(ctx context.Context, name string) (*uma.Snapshot, error) {
	for {
		now := a.snapshots.Load()
		if now == nil {
			if err := a.Reload(ctx); err != nil {
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
		s, err := a.Store.Snapshot(ctx, name, a.Now())
		if err != nil {
			return nil, fmt.Errorf("load realm: %w", err)
		}
		next := &snapshots{generation: now.generation, names: now.names, realms: maps.Clone(now.realms)}
		next.realms[name] = s
		// If a change came in between, what was read may be older than it.
		if a.snapshots.CompareAndSwap(now, next) {
			return s, nil
		}
	}
}

// Follow forgets the realms as soon as their generation moves, which it looks
// up once a second, until ctx ends: that is how changes from another process,
// such as `umpire realm apply`, take effect. Changed is called after each move,
// also after one that a request noticed first.
func (a *Realms) Follow(ctx context.Context, tick <-chan time.Time, changed func()) {
	seen := a.snapshots.Load()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if err := a.Reload(ctx); err != nil {
			if ctx.Err() == nil {
				a.Log(ctx, "follow administrative changes", "err", err)
			}
			continue
		}
		now := a.snapshots.Load()
		if seen != nil && now.generation != seen.generation {
			changed()
		}
		seen = now
	}
}

// Reload forgets what is known of the realms if the store has moved on.
func (a *Realms) Reload(ctx context.Context) error {
	g, err := a.Store.Generation(ctx)
	if err != nil {
		return fmt.Errorf("read generation: %w", err)
	}
	now := a.snapshots.Load()
	if now != nil && now.generation == g {
		return nil
	}
	// Read after the generation: what changes in between raises it again.
	names, err := a.Store.RealmNames(ctx)
	if err != nil {
		return fmt.Errorf("read names of realms: %w", err)
	}
	for next := (&snapshots{generation: g, names: names, realms: map[string]*uma.Snapshot{}}); ; now = a.snapshots.Load() {
		if now != nil && now.generation == g || a.snapshots.CompareAndSwap(now, next) {
			return nil
		}
	}
}

// KeySet is the JWK Set that the realm publishes.
func (a *Realms) KeySet(s *uma.Snapshot) ([]byte, error) {
	now := a.Now()
	gone := func(k uma.SigningKey) bool { return !k.Active && !now.Before(k.Expires) }
	if slices.ContainsFunc(s.Keys, gone) {
		left := *s
		left.Keys = slices.DeleteFunc(slices.Clone(s.Keys), gone)
		s = &left
	}
	return a.Verifier.KeySet(s)
}

// ApplyHow says how a realm file is applied; see RealmChange.
type ApplyOptions struct {
	Prune, Lenient, DryRun bool
	Progress               func(done, total int)
}

// ApplyRealm makes a realm what its file says. Applying a file again changes
// nothing.
func (a *Realms) ApplyRealm(ctx context.Context, spec *uma.RealmSpec, how ApplyOptions) (*uma.RealmReport, error) {
	fingerprint, err := a.Hasher.Fingerprint(ctx, spec.Content)
	if err != nil {
		return nil, fmt.Errorf("fingerprint of the realm file: %w", err)
	}
	change := &uma.RealmChange{
		Realm:       spec.Realm,
		Scopes:      map[string][]uma.ScopeRow{},
		Fingerprint: fingerprint,
		Prune:       how.Prune, Lenient: how.Lenient, DryRun: how.DryRun, Progress: how.Progress, Now: a.Now(),
	}
	for _, c := range spec.Clients {
		client, err := a.applyClient(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("client %s: %w", c.ID, err)
		}
		change.Clients = append(change.Clients, client)
	}
	if change.Users, err = a.applyUsers(ctx, spec); err != nil {
		return nil, err
	}
	if change.Key, err = a.missingKey(ctx, spec.Realm.Name, spec.Realm.SigningAlg); err != nil {
		return nil, err
	}
	for server, names := range spec.Scopes {
		for _, name := range names {
			change.Scopes[server] = append(change.Scopes[server], uma.ScopeRow{ID: a.NewID(), Name: name})
		}
	}
	for _, r := range spec.Resources {
		res := uma.ResourceChange{Resource: r.Resource, ServerID: r.ServerID, OwnerName: r.OwnerName}
		for range r.Scopes {
			res.ScopeIDs = append(res.ScopeIDs, a.NewID())
		}
		if res.ID == "" {
			res.ID = uma.ResourceID(a.NewID())
			res.GeneratedID = true
		}
		change.Resources = append(change.Resources, res)
	}
	report, err := a.Store.ApplyRealm(ctx, change)
	if err != nil {
		return report, fmt.Errorf("apply realm %s: %w", spec.Realm.Name, err)
	}
	return report, nil
}

// Unchanged reports whether a realm file is the one that was applied last.
func (a *Realms) Unchanged(ctx context.Context, spec *uma.RealmSpec) (bool, error) {
	had, err := a.Store.RealmFingerprint(ctx, spec.Realm.Name)
	if errors.Is(err, uma.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	fingerprint, err := a.Hasher.Fingerprint(ctx, spec.Content)
	return err == nil && slices.Equal(had, fingerprint), err
}

func (a *Realms) applyClient(ctx context.Context, spec uma.ClientSpec) (*uma.Client, error) {
	c := spec.Client
	c.UUID, c.Origin = a.NewID(), uma.FromFile
	var err error
	switch {
	case spec.PlainSecret != "":
		c.Secret, err = a.Hasher.Secret(ctx, spec.PlainSecret)
	case spec.SecretHash != "":
		c.Secret, err = a.Hasher.SecretFromHash(ctx, spec.SecretHash)
	}
	return &c, err
}

// applyUsers hashes passwords. A password that has not changed keeps its hash,
// so that an unchanged user is an unchanged row. The old hashes are read before:
// hashing takes minutes for some thousands of users, and a view that is open so long
// keeps the write-ahead log from being reset.
func (a *Realms) applyUsers(ctx context.Context, spec *uma.RealmSpec) ([]*uma.User, error) {
	old, err := a.passwords(ctx, spec)
	if err != nil {
		return nil, err
	}
	var users []*uma.User
	for _, u := range spec.Users {
		user := u.User
		user.ID, user.Origin, user.Password = a.NewID(), uma.FromFile, u.PasswordHash
		if u.PlainPassword != "" {
			if user.Password, err = a.passwordHash(ctx, old[u.Username], u.PlainPassword); err != nil {
				return nil, fmt.Errorf("user %s: %w", u.Username, err)
			}
		}
		users = append(users, &user)
	}
	return users, nil
}

// passwords returns the hashes that the realm has of the users of its file, by name.
func (a *Realms) passwords(ctx context.Context, spec *uma.RealmSpec) (old map[string]string, err error) {
	realm, err := a.Store.Snapshot(ctx, spec.Realm.Name, a.Now())
	if errors.Is(err, uma.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load realm: %w", err)
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	var names []string
	for _, u := range spec.Users {
		if u.PlainPassword != "" {
			names = append(names, u.Username)
		}
	}
	if old, err = view.Passwords(ctx, realm.Realm.Key, names); err != nil {
		return nil, fmt.Errorf("read the previous passwords: %w", err)
	}
	return old, nil
}

func (a *Realms) passwordHash(ctx context.Context, had, plain string) (string, error) {
	if had != "" {
		if same, err := a.Hasher.CheckPassword(ctx, uma.Attempt{}, had, plain); err != nil || same {
			return had, err
		}
	}
	return a.Hasher.Password(ctx, plain)
}

// EnsureKeys makes a key for every realm that has none for its algorithm. A realm gets
// one when its file is applied; this is for databases that lack one for any other
// reason, so that a server that starts can sign.
func (a *Realms) EnsureKeys(ctx context.Context) error {
	names, err := a.Store.RealmNames(ctx)
	if err != nil {
		return fmt.Errorf("list realms: %w", err)
	}
	for _, name := range names {
		s, err := a.Store.Snapshot(ctx, name, a.Now())
		if err != nil {
			return fmt.Errorf("load realm %s: %w", name, err)
		}
		k, err := a.missingKey(ctx, name, s.Realm.SigningAlg)
		switch {
		case err != nil:
			return err
		case k == nil:
			continue
		}
		if err := a.Store.AddKey(ctx, name, *k, time.Time{}); err != nil {
			return fmt.Errorf("keep %s key of realm %s: %w", k.Alg, name, err)
		}
	}
	return nil
}

// WithoutKey returns the realms that cannot sign: none of their keys is active for
// the algorithm of their tokens.
func (a *Realms) WithoutKey(ctx context.Context) ([]string, error) {
	names, err := a.Store.RealmNames(ctx)
	if err != nil {
		return nil, fmt.Errorf("list realms: %w", err)
	}
	var without []string
	for _, name := range names {
		s, err := a.snapshot(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("load realm %s: %w", name, err)
		}
		if s.SigningKey() == nil {
			without = append(without, name)
		}
	}
	return without, nil
}

// missingKey makes a key if the realm, which need not be there yet, has no active
// one of that algorithm; else it returns nil.
func (a *Realms) missingKey(ctx context.Context, realm, alg string) (*uma.SigningKey, error) {
	s, err := a.Store.Snapshot(ctx, realm, a.Now())
	switch {
	case errors.Is(err, uma.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("load realm %s: %w", realm, err)
	case s.ActiveKey(alg) != nil:
		return nil, nil
	}
	k, err := a.Issuer.NewKey(ctx, alg)
	if err != nil {
		return nil, fmt.Errorf("make %s key of realm %s: %w", alg, realm, err)
	}
	k.Created, k.Active = a.Now(), true
	return &k, nil
}

// RotateKey makes a new signing key for the realm. The old one stays published
// until the last token it signed has expired.
func (a *Realms) RotateKey(ctx context.Context, realm string) (uma.SigningKey, error) {
	s, err := a.Store.Snapshot(ctx, realm, a.Now())
	if err != nil {
		return uma.SigningKey{}, fmt.Errorf("load realm: %w", err)
	}
	k, err := a.Issuer.NewKey(ctx, s.Realm.SigningAlg)
	if err != nil {
		return k, fmt.Errorf("make %s key: %w", s.Realm.SigningAlg, err)
	}
	k.Created, k.Active = a.Now(), true
	// A server that has not yet seen the new key signs with the old one for as
	// long as it takes to notice: a minute is plenty.
	longest := max(s.Realm.Lifetimes.Access, s.Realm.Lifetimes.RPT) + time.Minute
	if err := a.Store.AddKey(ctx, realm, k, a.Now().Add(longest)); err != nil {
		return k, fmt.Errorf("keep %s key: %w", k.Alg, err)
	}
	return k, nil
}
