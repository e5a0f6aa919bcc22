package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
)

// ApplyOptions say how a realm file is applied; see uma.RealmChange.
type ApplyOptions struct {
	Prune, Lenient, DryRun bool
	Progress               func(done, total int)
}

// ApplyRealm applies a realm file. Applying it again changes nothing.
func (r *Realms) ApplyRealm(ctx context.Context, spec *uma.RealmSpec, options ApplyOptions) (*uma.RealmReport, error) {
	fingerprint, err := r.Hasher.Fingerprint(ctx, spec.Content)
	if err != nil {
		return nil, fmt.Errorf("fingerprint of the realm file: %w", err)
	}
	change := &uma.RealmChange{
		Realm:       spec.Realm,
		Scopes:      map[string][]uma.ScopeRow{},
		Fingerprint: fingerprint, Names: uma.NamesOf(spec),
		Prune: options.Prune, Lenient: options.Lenient, DryRun: options.DryRun, Progress: options.Progress, Now: r.Now(),
	}
	if change.Realm.Policy.OPA, err = r.sealOPA(ctx, spec); err != nil {
		return nil, err
	}
	for _, c := range spec.Clients {
		client, err := r.applyClient(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("client %s: %w", c.ID, err)
		}
		change.Clients = append(change.Clients, client)
	}
	if change.Users, err = r.applyUsers(ctx, spec); err != nil {
		return nil, err
	}
	if change.Key, err = r.missingKey(ctx, spec.Realm.Name, spec.Realm.SigningAlg); err != nil {
		return nil, err
	}
	for server, names := range spec.Scopes {
		for _, name := range names {
			change.Scopes[server] = append(change.Scopes[server], uma.ScopeRow{ID: r.NewID(), Name: name})
		}
	}
	for _, resource := range spec.Resources {
		res := uma.ResourceChange{Resource: resource.Resource, ServerID: resource.ServerID, OwnerName: resource.OwnerName}
		for range resource.Scopes {
			res.ScopeIDs = append(res.ScopeIDs, r.NewID())
		}
		if res.ID == "" {
			res.ID = uma.ResourceID(r.NewID())
			res.GeneratedID = true
		}
		change.Resources = append(change.Resources, res)
	}
	report, err := r.Store.ApplyRealm(ctx, change)
	if moved, ok := errors.AsType[*uma.AliasError](err); ok && moved.Alias == moved.HasAlias {
		err = fmt.Errorf("%w: choose another alias or, if it is the same issuer at another URL, move it with its parties by `umpire issuer rename %s %s --realm %s`",
			err, moved.Alias, moved.Issuer, spec.Realm.Name)
	}
	if err != nil {
		return report, fmt.Errorf("apply realm %s: %w", spec.Realm.Name, err)
	}
	return report, nil
}

// sealOPA seals policy.opa. If it is the one that is stored, it stays as it was sealed then, so
// that the settings of an unchanged file are equal.
func (r *Realms) sealOPA(ctx context.Context, spec *uma.RealmSpec) (*uma.OPASettings, error) {
	o := spec.Realm.Policy.OPA
	switch {
	case o == nil:
		return nil, nil
	case r.Sealer == nil:
		return nil, fmt.Errorf("realm %s has policy.opa, and there is no key to seal it", spec.Realm.Name)
	}
	fingerprint, err := r.Hasher.Fingerprint(ctx, spec.OPA)
	if err != nil {
		return nil, fmt.Errorf("fingerprint of policy.opa: %w", err)
	}
	old, err := r.Store.Snapshot(ctx, spec.Realm.Name, r.Now())
	switch {
	case errors.Is(err, uma.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("load realm: %w", err)
	case old.Realm.Policy.OPA != nil && slices.Equal(old.Realm.Policy.OPA.Fingerprint, fingerprint):
		return old.Realm.Policy.OPA, nil
	}
	sealed, err := r.Sealer.Wrap(ctx, spec.OPA, uma.OPAContext(spec.Realm.Name))
	if err != nil {
		return nil, fmt.Errorf("seal policy.opa: %w", err)
	}
	return &uma.OPASettings{Source: o.Source, Sealed: sealed, Fingerprint: fingerprint}, nil
}

// Unchanged reports whether a realm file is the one that was applied last.
func (r *Realms) Unchanged(ctx context.Context, spec *uma.RealmSpec) (bool, error) {
	had, err := r.Store.RealmFingerprint(ctx, spec.Realm.Name)
	if errors.Is(err, uma.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	fingerprint, err := r.Hasher.Fingerprint(ctx, spec.Content)
	return err == nil && slices.Equal(had, fingerprint), err
}

func (r *Realms) applyClient(ctx context.Context, spec uma.ClientSpec) (*uma.Client, error) {
	c := spec.Client
	c.UUID, c.Origin = r.NewID(), uma.FromFile
	var err error
	switch {
	case spec.PlainSecret != "":
		c.Secret, err = r.Hasher.Secret(ctx, spec.PlainSecret)
	case spec.SecretHash != "":
		c.Secret, err = r.Hasher.SecretFromHash(ctx, spec.SecretHash)
	}
	return &c, err
}

// applyUsers hashes passwords. An unchanged password keeps its hash, so that the row of an
// unchanged user does not change. The old hashes are read first: hashing takes minutes for
// some thousands of users, and a view that is open so long keeps the write-ahead log from
// being reset.
func (r *Realms) applyUsers(ctx context.Context, spec *uma.RealmSpec) ([]*uma.User, error) {
	old, err := r.passwords(ctx, spec)
	if err != nil {
		return nil, err
	}
	var users []*uma.User
	for _, u := range spec.Users {
		user := u.User
		user.ID, user.Origin, user.Password = r.NewID(), uma.FromFile, u.PasswordHash
		if u.PlainPassword != "" {
			if user.Password, err = r.passwordHash(ctx, old[u.Username], u.PlainPassword); err != nil {
				return nil, fmt.Errorf("user %s: %w", u.Username, err)
			}
		}
		users = append(users, &user)
	}
	return users, nil
}

// passwords returns the present password hashes of the users of a realm file, by name.
func (r *Realms) passwords(ctx context.Context, spec *uma.RealmSpec) (map[string]string, error) {
	realm, err := r.Store.Snapshot(ctx, spec.Realm.Name, r.Now())
	if errors.Is(err, uma.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load realm: %w", err)
	}
	var names []string
	for _, u := range spec.Users {
		if u.PlainPassword != "" {
			names = append(names, u.Username)
		}
	}
	return uma.Read(ctx, r.Store, func(view uma.View) (map[string]string, error) {
		old, err := view.Passwords(ctx, realm.Realm.Key, names)
		if err != nil {
			return nil, fmt.Errorf("read the previous passwords: %w", err)
		}
		return old, nil
	})
}

func (r *Realms) passwordHash(ctx context.Context, had, plain string) (string, error) {
	if had != "" {
		if same, err := r.Hasher.CheckPassword(ctx, uma.Attempt{}, had, plain); err != nil || same {
			return had, err
		}
	}
	return r.Hasher.Password(ctx, plain)
}
