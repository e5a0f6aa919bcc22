package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// A schema is what a process knows of the schema while it uses it. A migration first adds what the next
// version needs; servers of both versions work on it side by side. Only a later one removes what the version
// before needs, and raises the minimum: the oldest version whose servers can go on.
type schema struct {
	version int64 // that this binary knows

	// refused is why this process must not use the schema any more; nil while it may.
	refused atomic.Pointer[unavailable]
}

// needs takes note of the minimum of the database. It may have been raised while this process runs, and, by
// a recovery to an earlier time, become less.
func (s *schema) needs(minimum int64) {
	if minimum <= s.version {
		s.refused.Store(nil)
		return
	}
	s.refused.Store(&unavailable{fmt.Errorf("its schema needs an umpire that knows version %d or later; this one knows %d: "+
		"replace this server by a later umpire", minimum, s.version)})
}

// look reads the minimum of the database. Whoever has a new fence of its row of writer looks at it afterwards, by
// a statement of its own: raise_minimum changes the fence and the minimum together, and a statement that has waited
// for the fence may see the minimum of before.
func (s *schema) look(ctx context.Context, pg *pgxpool.Conn) error {
	var minimum int64
	err := pg.QueryRow(ctx, `SELECT value FROM counter WHERE name = 'minimum'`).Scan(&minimum)
	if err == nil {
		s.needs(minimum)
	}
	return err
}

// tooOld returns an error if a later umpire has made the schema one that this process must not use.
func (s *schema) tooOld() error {
	if err := s.refused.Load(); err != nil {
		return err
	}
	return nil
}

// checkSchema refuses a schema that a binary of that version cannot read, or for a copy one that it does not know all
// of. It changes nothing.
func checkSchema(ctx context.Context, cfg *pgx.ConnConfig, version int64, copied bool) (err error) {
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	have, err := schemaVersion(ctx, db)
	switch {
	case err != nil:
		return err
	case have < version:
		return fmt.Errorf("the schema has version %d and this umpire needs %d: "+
			"start `umpire serve` once to bring it up to date", have, version)
	case have > version && copied:
		return fmt.Errorf("the schema has version %d and this umpire copies version %d: use the umpire that made it", have, version)
	}
	return checkMinimum(ctx, db, have, version)
}

// checkMinimum refuses a schema of a later version that this binary cannot work with.
func checkMinimum(ctx context.Context, db *sql.DB, have, want int64) error {
	var minimum int64
	if err := db.QueryRowContext(ctx, `SELECT value FROM counter WHERE name = 'minimum'`).Scan(&minimum); err != nil {
		return fmt.Errorf("read the minimum of the schema: %w", err)
	}
	if minimum > want {
		return fmt.Errorf("the schema has version %d, which needs an umpire that knows version %d or later; this one knows %d: use a later umpire",
			have, minimum, want)
	}
	return nil
}

// lastVersion is the version of the schema after all migrations.
func lastVersion(migrations fs.FS) (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(files[len(files)-1])
}
