package adminapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// Local runs operations on a database.
type Local struct {
	Store   Store
	Lists   Store            // of lists, searches and impacts, which may be some seconds behind; nil: Store
	Rollout *rollout.Service // nil: nothing may be changed
	Now     func() time.Time
}

// A Store is what operations read and write.
type Store interface {
	uma.Revisions
	uma.Decisions
	uma.Viewer
	RealmNames
	FindResources(ctx context.Context, server uma.Key, f uma.ResourceFilter, first, max int, each func(*uma.Resource) error) error
	Snapshot(ctx context.Context, realm string, now time.Time) (*uma.Snapshot, error)
}

func (l *Local) lists() Store {
	if l.Lists == nil {
		return l.Store
	}
	return l.Lists
}

// Realm returns the realm of that name, or the only one without a name.
func (l *Local) Realm(ctx context.Context, name string) (string, error) {
	return OneRealm(ctx, l.Store, name)
}

// Realms returns the realm of that name, or all without a name.
func (l *Local) Realms(ctx context.Context, name string) ([]string, error) {
	if name == "" {
		return l.Store.RealmNames(ctx)
	}
	return []string{name}, nil
}

// RealmNames lists realms.
type RealmNames interface {
	RealmNames(ctx context.Context) ([]string, error)
}

// OneRealm returns the realm of that name, or the only one without a name.
func OneRealm(ctx context.Context, realms RealmNames, name string) (string, error) {
	names, err := realms.RealmNames(ctx)
	if err != nil {
		return "", err
	}
	for _, known := range names {
		if known == name || name == "" && len(names) == 1 {
			return known, nil
		}
	}
	if name == "" && len(names) > 0 {
		return "", admin.Errorf(admin.InvalidRequest, "--realm is missing: the realms are %s", strings.Join(names, ", "))
	}
	return "", RealmError(ctx, realms, name, uma.ErrNotFound)
}

// RealmError replaces ErrNotFound of a realm by an error that lists the realms there are.
func RealmError(ctx context.Context, realms RealmNames, name string, err error) error {
	if !errors.Is(err, uma.ErrNotFound) {
		return err
	}
	names, err := realms.RealmNames(ctx)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return admin.Errorf(admin.InvalidRequest, "there is no realm %q, and the database has no realms: `umpire realm apply FILE` creates one", name)
	}
	return admin.Errorf(admin.InvalidRequest, "there is no realm %q: the realms are %s", name, strings.Join(names, ", "))
}
