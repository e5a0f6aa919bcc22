package postgres

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/jackc/pgx/v5"
)

// A turn is held by who applies a change of a realm, also between two of its batches: servers that
// start at the same time apply their files one after the other. It is an advisory lock on a
// connection of its own, so that the turn of a process that dies ends with it.
type turn struct{ pg *pgx.Conn }

// turns is the first key of these advisory locks; the second is a hash of the realm.
const turns = 0x756d70

// awaitTurn waits for the turn to change a realm. The caller ends it.
func (s *Store) awaitTurn(ctx context.Context, realm string) (*turn, error) {
	if s.slots == nil {
		return nil, errReadOnly
	}
	if s.isClosed() {
		return nil, errClosed
	}
	cfg := s.pool.Config().ConnConfig
	for _, timeout := range []string{"statement_timeout", "lock_timeout"} { // a large change takes its time
		cfg.RuntimeParams[timeout] = "0"
	}
	pg, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, s.acquiring(ctx, err)
	}
	t := &turn{pg}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(realm)) // never fails
	if _, err := pg.Exec(ctx, `SELECT pg_advisory_lock($1, $2)`, turns, int32(hash.Sum32())); err != nil {
		t.end()
		return nil, newConn(ctx, pg, ``).checked(err)
	}
	return t, nil
}

// check returns an error if the turn has ended because its connection was lost.
func (t *turn) check(ctx context.Context) error {
	if err := t.pg.Ping(ctx); err != nil {
		return fmt.Errorf("the turn to change the realm was lost: %w", newConn(ctx, t.pg, ``).checked(err))
	}
	return nil
}

// end lets the next one go on.
func (t *turn) end() {
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	_ = t.pg.Close(ctx) // the lock ends with the connection
}
