package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver that migrations run on
)

//go:embed migrations/*.sql
var migrations embed.FS

// prepareSchema brings the schema up to date, or, of a store that is only to be
// read, sees that it is.
func prepareSchema(ctx context.Context, cfg Config) (err error) {
	uri := url.URL{Scheme: "file", Opaque: (&url.URL{Path: cfg.Path}).EscapedPath()}
	uri.RawQuery = "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
	if cfg.ReadOnly {
		uri.RawQuery = "mode=ro&_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if cfg.ReadOnly {
		return checkSchema(ctx, db)
	}
	return migrate(ctx, db)
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// migrate brings the schema up to date. It refuses one that a later Umpire made.
func migrate(ctx context.Context, db *sql.DB) error {
	p, err := newProvider(db)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if have > want {
		return tooNew(have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema from version %d to %d: %w", have, want, err)
	}
	return nil
}

// checkSchema refuses every schema but the one of this binary.
func checkSchema(ctx context.Context, db *sql.DB) error {
	p, err := newProvider(db)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	want := sources[len(sources)-1].Version
	var have int64
	err = db.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&have)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	switch {
	case have > want:
		return tooNew(have, want)
	case have < want:
		return fmt.Errorf("the schema has version %d and this umpire needs %d: "+
			"start `umpire serve` once to bring it up to date", have, want)
	}
	return nil
}

func tooNew(have, want int64) error {
	return errors.New("the schema was made by a later umpire " +
		fmt.Sprintf("(version %d, this one knows %d): use that one", have, want))
}
