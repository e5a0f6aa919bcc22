package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What became of a transaction when the answer to its COMMIT was lost.

// fate returns whether the last transaction of a slot was committed, after its connection was lost, or after its
// commit was not confirmed.
func (s *slots) fate(ctx context.Context, sl *slot) (committed bool, err error) {
	sl.unsure = true
	var fence, commits int64
	for {
		if fence, commits, err = s.ask(ctx, sl); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(fateEvery):
		}
	}
	if commits < sl.commits {
		sl.commits = commits
		return false, errors.New("the row of the slot was removed meanwhile")
	}
	committed = commits > sl.commits
	sl.fence, sl.commits, sl.unsure = fence, commits, false
	return committed, nil
}

// ask returns the number of commits of a slot. The statement waits until the slot's last transaction has ended; if
// its end is still to come, it fails, because the row has another fence then.
//
// Where commits wait for standbys, the transaction may be visible here and not have been replicated. The commit of
// this statement waits for standbys, too. It follows that of the transaction in the write-ahead log, and who has
// confirmed a place in the log has all before it: so if this commit is confirmed, the transaction is.
func (s *slots) ask(ctx context.Context, sl *slot) (fence, commits int64, err error) {
	pg, err := s.store.pool.Acquire(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer pg.Release()
	_ = unconfirmed(pg.Conn()) // of another transaction
	err = pg.QueryRow(ctx, `UPDATE writer SET fence = fence + 1 WHERE process = $1 AND slot = $2 RETURNING fence, commits`,
		s.process, sl.number).Scan(&fence, &commits)
	if err == nil {
		err = unconfirmed(pg.Conn())
	}
	if err == nil {
		err = s.store.schema.look(ctx, pg)
	}
	return fence, commits, err
}

// fateEvery is how often the fate of a transaction is asked for while the database is unavailable.
const fateEvery = 100 * time.Millisecond

// fence makes sure that no transaction of a slot is under way.
func (s *slots) fence(ctx context.Context, sl *slot) error {
	if !sl.unsure {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cancelPatience) // what has not begun is refused soon
	defer cancel()
	if _, err := s.fate(ctx, sl); err != nil {
		return &unavailable{err}
	}
	s.store.memory.Settled(sl.doubted)
	sl.doubted = 0
	return nil
}

// endDoubts asks for the fate of transactions that may still be under way, with slots that nobody uses.
func (s *slots) endDoubts(ctx context.Context) {
	for range writers {
		select {
		case sl := <-s.free:
			_ = s.fence(ctx, sl) // it is asked again
			s.free <- sl
		default:
			return
		}
	}
}

// errUnread is the error of a transaction that was committed, but what its statements returned was lost with
// the connection.
var errUnread = errors.New("the write has happened, but what it returned was lost")

// readAgain reads what commands have returned, after errUnread. A command has a statement for that if rows show
// what it did. If they do not, it is unknown whether the write happened: it may have changed nothing, or
// another has changed the rows since.
func (s *Store) readAgain(ctx context.Context, commands []command) error {
	for _, cmd := range commands {
		if cmd.dest == nil {
			continue
		}
		err := errUnread
		if again := cmd.again; again != nil {
			err = s.read(ctx, func(c *conn) error {
				c.begin = ""
				return c.row(again.query, again.args, cmd.dest...)
			})
		}
		if err != nil { // %v: that no row shows it is no uma.ErrNotFound
			return &unavailable{fmt.Errorf("it is unknown whether the write happened: %v", err)}
		}
	}
	return nil
}
