package postgres

import (
	"context"
	"errors"
	"time"

	"example.com/umpire/uma"
)

// isLacking reports whether a settlement was refused because a row that it rests on was not found. A slot whose row is
// another one divides by zero, too, but is unavailable.
func isLacking(err error) bool { return stateOf(err) == divisionByZero && !isUnavailable(err) }

// errTicketLocked is the error of a settlement whose ticket another transaction is about to spend or to delete. It is
// tried again: see Commit.
var errTicketLocked = errors.New("another transaction has locked the ticket")

// lockedEvery is how often a settlement is tried whose ticket is locked.
const lockedEvery = 10 * time.Millisecond

// A sieve has which rows that settlements rest on were found as they were seen, and which tickets are free.
type sieve struct{ found, free map[seen]bool }

// sieve looks at all rows that the settlements of a batch rest on, one by one, in a transaction that changes nothing.
func (s *Store) sieve(ctx context.Context, batch []*entry) (*sieve, error) {
	v := &sieve{map[seen]bool{}, map[seen]bool{}}
	var questions []question
	for n, rows := range allRests(batch) {
		if len(rows) == 0 {
			continue
		}
		ask := func(query string, into map[seen]bool) {
			questions = append(questions, question{query, seenArgs(rows), func(scan scanFunc) error {
				var nth int
				err := scan(&nth)
				if err == nil {
					into[rows[nth-1]] = true
				}
				return err
			}})
		}
		ask(kinds[n].find(`x.n`, 1), v.found)
		if n == spentTickets {
			ask(freeTickets(`x.n`), v.free)
		}
	}
	pg, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, s.acquiring(ctx, err)
	}
	defer pg.Release()
	tx := newConn(ctx, pg.Conn(), beginWrite)
	tx.trips = &s.trips
	defer s.rollback(tx)
	if err := tx.ask(questions...); err != nil {
		return nil, reading("rows that settlements rest on", err)
	}
	return v, nil
}

// lacks returns the error of a settlement that lacks a row: one that has changed, or else a ticket that is locked.
func (v *sieve) lacks(e *entry) (err error) {
	for _, row := range e.rests() {
		switch {
		case !v.found[row]:
			return kinds[row.kind].err
		case row.kind == spentTickets && !v.free[row]:
			err = errTicketLocked
		}
	}
	return err
}

// lacking returns the error of a settlement of which isLacking holds.
func (s *Store) lacking(ctx context.Context, st *uma.Settlement) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.patience)
	defer cancel()
	e := &entry{Settlement: st}
	v, err := s.sieve(ctx, []*entry{e})
	if err != nil {
		return late(ctx, err)
	}
	if err := v.lacks(e); err != nil {
		return err
	}
	return errTicketLocked // it is free by now
}
