package store

import (
	"context"
	"time"

	"example.com/umpire/store/copier"
	"example.com/umpire/store/postgres"
	"example.com/umpire/store/sqlite"
)

// A Place names a database: that at the URL, or without one SQLite at the path.
type Place struct {
	Database string // see CheckURL
	Path     string
}

// Shown is the place without a password.
func (p Place) Shown() string {
	if p.Database != "" {
		return postgres.Shown(p.Database)
	}
	return p.Path
}

// OpenSource opens a database whose rows are read. It fails if a server uses it.
func (p Place) OpenSource(ctx context.Context, now time.Time) (copier.Source, error) {
	if p.Database != "" {
		s, err := postgres.OpenSource(ctx, p.Database)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := sqlite.OpenSource(p.Path, now)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// OpenTarget opens a database that is copied into, and makes its schema. It fails if a server uses
// it.
func (p Place) OpenTarget(ctx context.Context, now time.Time) (copier.Target, error) {
	if p.Database != "" {
		t, err := postgres.OpenTarget(ctx, p.Database)
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	t, err := sqlite.OpenTarget(ctx, p.Path, now)
	if err != nil {
		return nil, err
	}
	return t, nil
}
