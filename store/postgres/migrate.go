package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// lockPatience is how many seconds a process waits for another that migrates.
const lockPatience = 600

// ErrNoSchema is the error of Open for a database that it must not make the schema in.
var ErrNoSchema = errors.New("it has no schema of umpire: name another with --database, or create it with `umpire realm apply FILE`")

//go:embed migrations/*.sql
var migrations embed.FS

// migrate makes the schema, or brings it up to date. Any number of processes may call it at once:
// an advisory lock lets one after the other go on.
// existing refuses a database that has none.
func migrate(ctx context.Context, cfg *pgx.ConnConfig, migrations fs.FS, existing bool) (err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	patient := cfg.Copy()
	for _, timeout := range []string{"statement_timeout", "lock_timeout"} { // an index of a large table takes its time
		patient.RuntimeParams[timeout] = "0"
	}
	db := stdlib.OpenDB(*patient)
	defer func() { err = errors.Join(err, db.Close()) }()
	if existing {
		if _, err := schemaVersion(ctx, db); err != nil {
			return err
		}
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, lockPatience))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()), goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if have > want {
		return checkMinimum(ctx, db, have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema from version %d to %d: %w", have, want, err)
	}
	return nil
}

// schemaVersion returns the version of the schema of a database. It changes nothing.
func schemaVersion(ctx context.Context, db *sql.DB) (have int64, err error) {
	var found bool
	err = db.QueryRowContext(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&found)
	if err == nil && found {
		err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&have)
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the version of the schema: %w", err)
	case have == 0:
		return 0, ErrNoSchema
	}
	return have, nil
}
