package postgres

import (
	"context"
	"time"
)

// TakeLease implements uma.Leases. Of several transactions that take a lease at once, each waits for
// the row and then sees what the one before it has made of it.
func (s *Store) TakeLease(ctx context.Context, name, holder string, length time.Duration) (held bool, err error) {
	var taken int
	err = s.writeLease(ctx, command{
		query: `WITH taken AS (INSERT INTO lease AS l (name, holder, ends) VALUES ($1, $2, ` + databaseClock + ` + $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends = ` + databaseClock + ` + $3
			WHERE l.holder = excluded.holder OR l.ends <= ` + databaseClock + ` RETURNING 1)
			SELECT count(*) FROM taken`,
		args: []any{name, holder, length.Milliseconds()},
		dest: []any{&taken},
		again: &command{query: `SELECT 1 FROM lease WHERE name = $1 AND holder = $2 AND ends > ` + databaseClock,
			args: []any{name, holder}},
	})
	if err != nil {
		return false, writing("lease "+name, err)
	}
	return taken > 0, nil
}

// ReleaseLease implements uma.Leases.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	return writing("lease "+name, s.writeLease(ctx, command{
		query: `DELETE FROM lease WHERE name = $1 AND holder = $2`, args: []any{name, holder},
	}))
}

// writeLease is writeAll that ends with ctx, also if it has begun: whoever does not learn in time whether it
// has a lease works as if it had none, and a server that is stopped does not wait for a database that hangs.
func (s *Store) writeLease(ctx context.Context, cmd command) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.patience)
	defer cancel()
	return s.withSlot(ctx, func(_ context.Context, sl *slot) error {
		return s.retryAll(ctx, sl, []command{cmd})
	})
}
