package sqlite

import (
	"context"
	"time"

	"example.com/umpire/store/rows"
)

// TakeLease implements uma.Leases. The clock is that of this process: one server uses the folder.
func (s *Store) TakeLease(ctx context.Context, name, holder string, length time.Duration) (held bool, err error) {
	err = s.write(ctx, func(tx *conn) error {
		now := s.writer.now()
		changed, err := tx.exec(`INSERT INTO lease (name, holder, ends) VALUES (?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends = excluded.ends
			WHERE holder = excluded.holder OR ends <= ?`, name, holder, rows.Millis(now.Add(length)), rows.Millis(now))
		held = changed > 0
		return writing("lease "+name, err)
	})
	return held && err == nil, err
}

// ReleaseLease implements uma.Leases.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	return s.write(ctx, func(tx *conn) error {
		_, err := tx.exec(`DELETE FROM lease WHERE name = ? AND holder = ?`, name, holder)
		return writing("lease "+name, err)
	})
}
