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
	"example.com/umpire/uma"
)

//go:embed migrations/*.sql
var migrations embed.FS

// prepareSchema brings the schema up to date under a lock: several processes that start
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

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithGoMigrations(goMigrations()...),
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
func checkSchema(c *conn) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	want, err := goose.NumericComponent(files[len(files)-1])
	if err != nil {
		return err
	}
	for _, m := range goMigrations() {
		want = max(want, m.Version)
	}
	var have int64
	if err := c.row(`SELECT max(version_id) FROM goose_db_version`, nil, &have); err != nil {
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

// goMigrations are the migrations that need more than SQL. Their versions have no file.
func goMigrations() []*goose.Migration {
	return []*goose.Migration{goose.NewGoMigration(9, &goose.GoFunc{RunTx: foldKeys}, nil)}
}

// foldKeys makes the keys of patterns what uma.URIKey returns: without case. SQL folds
// those in ASCII, which are nearly all, without reading them into memory.
func foldKeys(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `UPDATE uri_pattern SET key = lower(key) WHERE key <> lower(key)`); err != nil {
		return err
	}
	keys, err := keysBeyondASCII(ctx, tx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		folded, _ := uma.URIKey(key) // the key of a key is the key, folded
		if folded == key {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE uri_pattern SET key = ? WHERE server IN (SELECT key FROM client) AND key = ?`, folded, key); err != nil {
			return err
		}
	}
	return nil
}

func keysBeyondASCII(ctx context.Context, tx *sql.Tx) (keys []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT DISTINCT key FROM uri_pattern WHERE key GLOB '*[^ -~]*'`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, rows.Err()
}

func tooNew(have, want int64) error {
	return errors.New("the schema was made by a later umpire " +
		fmt.Sprintf("(version %d, this one knows %d): use that one", have, want))
}
