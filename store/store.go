// Package store is what the server needs of a database, and opens one by its driver: SQLite in
// a file, unless the configuration has the URL of another.
package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"example.com/umpire/recent"
	"example.com/umpire/store/memory"
	"example.com/umpire/store/postgres"
	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
)

// A Store is an uma.Store with what a server needs to run it. It is safe for concurrent use.
// What only one driver has is asked of it where it is needed.
type Store interface {
	uma.Store

	// Close waits for the writes that are queued and releases the database.
	Close() error

	// Check returns why the store cannot be written, nil if it can. A server calls it once a
	// second.
	Check(ctx context.Context) error

	// QueueLen is how many writes are waiting.
	QueueLen() int

	// Sweep deletes expired rows, a batch of each kind, and returns how many: 0 when there
	// are no more.
	Sweep(ctx context.Context, now time.Time) (int, error)

	// CacheStats returns what each cache of rows that is on holds and how it was used, by its
	// name.
	CacheStats() map[string]recent.Stats

	// CheckCaches returns an error that names the rows in memory that differ from the
	// database. Tests call it, while nobody writes.
	CheckCaches(ctx context.Context) error
}

// Config says where the store is, and how it is used.
type Config struct {
	// Database is the URL of a PostgreSQL database; see CheckURL. It may have a password. Empty:
	// SQLite at Path.
	Database string

	// Replica is the URL of a hot standby of a PostgreSQL database, which Lists reads from; empty for none.
	Replica string

	// Path is the file of the SQLite database, which is made if it does not exist.
	Path string

	// ReadOnly changes nothing in the database, which others may be writing.
	ReadOnly bool

	// Existing refuses a PostgreSQL database that has no schema, instead of making one.
	Existing bool

	// QueueLength is how many writes may wait; 0 stands for the driver's own.
	QueueLength int

	// Observe is called after every commit, with the number of its entries and the
	// time that it took. It may be nil.
	Observe func(batch int, took time.Duration)

	// Now is the clock that commits are timed by; nil stands for time.Now.
	Now func() time.Time

	// Caches are the rows that are kept in memory.
	Caches memory.Caches
}

// errURL quotes nothing of the URL: whatever cannot be parsed may be of a password.
var errURL = errors.New("the URL of the database is not one of PostgreSQL: want such as postgres://umpire@db.example.com:5432/umpire; " +
	"in a password, write characters other than letters and digits as %XX")

// CheckURL returns an error unless a text is the URL of a PostgreSQL database: postgres:// or
// postgresql:// at its beginning, and in the form of a URL. The error has no part of the text.
func CheckURL(database string) error {
	u, err := url.Parse(database)
	switch {
	case err != nil, !strings.HasPrefix(database, "postgres://") && !strings.HasPrefix(database, "postgresql://"):
		return errURL
	case u.User == nil && strings.Contains(database, "@"): // a / or ? in a password ended the host
		return errURL
	}
	return nil
}

// errNoReplica refuses a replica of what has none.
var errNoReplica = errors.New("a replica is named, but no PostgreSQL database: SQLite has none")

// Open opens the store, and migrates its schema to that of this binary unless it is ReadOnly.
func Open(ctx context.Context, cfg Config) (Store, error) {
	if cfg.Database != "" {
		return openPostgres(ctx, cfg)
	}
	if cfg.Replica != "" {
		return nil, errNoReplica
	}
	s, err := sqlite.Open(ctx, sqlite.Config{
		Path: cfg.Path, ReadOnly: cfg.ReadOnly, QueueLength: cfg.QueueLength, Observe: cfg.Observe, Now: cfg.Now,
		Caches: cfg.Caches,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openPostgres(ctx context.Context, cfg Config) (Store, error) {
	if err := CheckURL(cfg.Database); err != nil {
		return nil, err
	}
	if cfg.Replica != "" {
		if err := CheckURL(cfg.Replica); err != nil {
			return nil, fmt.Errorf("the replica: %w", err)
		}
	}
	s, err := postgres.Open(ctx, postgres.Config{
		URL: cfg.Database, Replica: cfg.Replica, ReadOnly: cfg.ReadOnly, Existing: cfg.Existing, QueueLength: cfg.QueueLength, Observe: cfg.Observe, Now: cfg.Now,
		Caches: cfg.Caches,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// A ReplicaState is how the replica of a store is used.
type ReplicaState = postgres.ReplicaState

// Lists returns the store for what people list and search. If it has a replica, that is read from the replica, and
// may be some seconds old: see postgres.Store.Lists. Else it is the store itself.
func Lists(s Store) uma.Store {
	if r, ok := s.(interface{ Lists() uma.Store }); ok {
		return r.Lists()
	}
	return s
}
