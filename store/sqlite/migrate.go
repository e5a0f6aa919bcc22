package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver that migrations run on

	"example.com/umpire/folder"
)

//go:embed migrations/*.sql
var migrations embed.FS

// prepareSchema makes or migrates the schema, under a lock: several processes that start
// on a new folder at the same time would make the same tables.
func prepareSchema(ctx context.Context, path string) error {
	return folder.Alone(ctx, filepath.Dir(path), func() (err error) {
		db, err := sql.Open("sqlite", fileURI(path, "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		return migrate(ctx, db)
	})
}

// fileURI names a file for SQLite, whatever characters its path has.
func fileURI(path, query string) string {
	uri := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query}
	return uri.String()
}

// migrate runs the migrations that the database does not have yet.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	var application int64
	if err := db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&application); err != nil {
		return fmt.Errorf("read the application id: %w", err)
	}
	if err := checkVersion(have, want, application); err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema from version %d to %d: %w", have, want, err)
	}
	return nil
}

// checkSchema refuses every schema but the one of this binary. It changes nothing.
func checkSchema(c *conn) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	want, err := goose.NumericComponent(files[len(files)-1])
	if err != nil {
		return err
	}
	var have, application int64
	if err := c.row(`SELECT max(version_id) FROM goose_db_version`, nil, &have); err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if err := c.row(`PRAGMA application_id`, nil, &application); err != nil {
		return fmt.Errorf("read the application id: %w", err)
	}
	if err := checkVersion(have, want, application); err != nil {
		return err
	}
	if have < want {
		return fmt.Errorf("the schema has version %d and this umpire needs %d: "+
			"start `umpire serve` once to bring it up to date", have, want)
	}
	return nil
}

// errUnreleased refuses a database of an unreleased build. These builds had other
// migrations, with the versions 1 to 9, and set no application id, as the first
// migration does now.
var errUnreleased = errors.New("the database was made by an unreleased build of umpire and cannot be upgraded: " +
	"move it, with its -wal and -shm files, to another folder and start `umpire serve` with the realm files, which makes a new one")

// checkVersion refuses a database that cannot be migrated to the version that is wanted.
func checkVersion(have, want, application int64) error {
	switch {
	case have > 0 && application == 0:
		return errUnreleased
	case have > want:
		return fmt.Errorf("the schema was made by a later umpire (version %d, this one knows %d): use that one", have, want)
	}
	return nil
}

// continueNumbers makes new records follow those of the table decision. The migration did
// that, but a server of an earlier version that was not stopped may have added some since.
// A database without such records is not written to.
func (s *Store) continueNumbers(ctx context.Context) error {
	var behind bool
	err := s.read(ctx, func(c *conn) (err error) {
		behind, err = c.exists(`SELECT 1 FROM sqlite_sequence o WHERE o.name = 'decision'
			AND o.seq > coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'decision_log'), 0)`)
		return err
	})
	if err == nil && behind {
		err = s.write(ctx, func(tx *conn) error {
			return runAll(tx, []command{
				{`UPDATE sqlite_sequence SET seq = max(seq, (SELECT seq FROM sqlite_sequence WHERE name = 'decision')) WHERE name = 'decision_log'`, nil},
				{`INSERT INTO sqlite_sequence (name, seq) SELECT 'decision_log', seq FROM sqlite_sequence
					WHERE name = 'decision' AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'decision_log')`, nil},
			})
		})
	}
	if err != nil {
		return fmt.Errorf("continue the numbers of decision records: %w", err)
	}
	return nil
}
