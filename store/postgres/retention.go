package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// PruneDecisions implements uma.Decisions. Records are removed from the oldest on and leave no gap, so
// that one number says which were removed: the row pruned of counter, whose lock lets one process after
// the other remove some. Searches for the oldest begin after it: at the beginning of the index there may
// be very many entries of removed records, until vacuum removes them.
//
// A month all of whose records are to be removed is removed at once, however many they are.
func (s *Store) PruneDecisions(ctx context.Context, before time.Time, limit int) (int, error) {
	for {
		removed, dropped, err := s.dropMonth(ctx, before, limit)
		switch {
		case errors.Is(err, errInUse): // the next call tries again
			return 0, nil
		case errors.Is(err, errWritten):
			return s.pruneRecords(ctx, before, limit)
		case err != nil || removed > 0:
			return removed, err
		case !dropped:
			return s.pruneRecords(ctx, before, limit)
		}
	}
}

// pruneRecords removes records, at most limit.
func (s *Store) pruneRecords(ctx context.Context, before time.Time, limit int) (removed int, err error) {
	err = s.write(ctx, func(tx *conn) error {
		removed = 0
		pruned, sinks, err := lockRetention(tx)
		if err != nil {
			return err
		}
		old, err := list(tx, `SELECT seq, realm, time FROM decision WHERE seq > $1 ORDER BY seq LIMIT $2`, []any{pruned, limit}, scanOld)
		if err != nil {
			return reading("old decision records", err)
		}
		n, cut := rows.Removable(old, sinks, before)
		if n == 0 {
			return nil
		}
		earliest, latest := old[0].Time, old[0].Time
		for _, r := range old[:n] {
			if r.Time.Before(earliest) {
				earliest = r.Time
			}
			if r.Time.After(latest) {
				latest = r.Time
			}
		}
		last := old[n-1].Seq
		commands := append(cutSinks(sinks, cut, last), notePruned(last)...)
		changed, err := tx.all(append(commands, command{query: `DELETE FROM decision WHERE seq > $1 AND seq <= $2 AND time >= $3 AND time <= $4`,
			args: []any{pruned, last, millis(earliest), millis(latest)}})...)
		if err == nil {
			removed = changed[len(changed)-1]
		}
		return writing("decision records", err)
	})
	return removed, err
}

func scanOld(scan scanFunc) (r rows.OldRecord, err error) {
	err = scan(&r.Seq, &r.Realm, (*moment)(&r.Time))
	return r, err
}

// lockRetention locks and returns the number of the last record that was removed, and the sinks.
func lockRetention(tx *conn) (pruned int64, sinks []uma.Sink, err error) {
	err = tx.row(`SELECT value FROM counter WHERE name = 'pruned' FOR UPDATE`, nil, &pruned)
	if err == nil {
		sinks, err = list(tx, `SELECT`+sinkColumns+`FROM sink ORDER BY name FOR NO KEY UPDATE`, nil, scanSink)
	}
	return pruned, sinks, reading("sinks", err)
}

// cutSinks moves the cursors of sinks beyond the records that are removed, up to last, so that each is
// counted once.
func cutSinks(sinks []uma.Sink, cut []int64, last int64) (commands []command) {
	for i, n := range cut {
		if n > 0 {
			commands = append(commands, command{query: `UPDATE sink SET cursor = $1, cut = cut + $2 WHERE name = $3`, args: []any{last, n, sinks[i].Name}})
		}
	}
	return commands
}

// notePruned notes that the records up to last are removed.
func notePruned(last int64) []command {
	return []command{
		{query: `UPDATE counter SET value = $1 WHERE name = 'pruned'`, args: []any{last}},
		{query: `DELETE FROM decision_span WHERE first <= $1 AND last <= $1`, args: []any{last}},
	}
}

var (
	errInUse   = errors.New("a partition of decision records is being read by somebody for long")
	errWritten = errors.New("a partition of decision records has got one meanwhile")
)

// dropPatience is how long a transaction that removes a partition waits for others that use the table.
// All later ones wait for it.
const dropPatience = `300ms`

// dropMonth removes the oldest month with its partition, if all of its records are to be removed. It
// returns how many there were: numbers have no gaps, so that they need not be counted one by one. A
// month that sinks have not got all of is left to pruneRecords.
func (s *Store) dropMonth(ctx context.Context, before time.Time, limit int) (removed int, dropped bool, err error) {
	err = s.write(ctx, func(tx *conn) error {
		removed, dropped = 0, false
		pruned, sinks, err := lockRetention(tx)
		if err != nil {
			return err
		}
		months, err := partitions(tx)
		if err != nil || len(months) == 0 || millis(months[0].next().begin()) > millis(before) {
			return err
		}
		oldest := months[0]
		var first, last int64
		if err := tx.row(`SELECT coalesce((SELECT min(seq) FROM decision WHERE seq > $1), 0), coalesce((SELECT max(seq) FROM `+oldest.table()+`), 0)`,
			[]any{pruned}, &first, &last); err != nil {
			return reading("numbers of decision records", err)
		}
		var commands []command
		if last != 0 {
			whole, err := isRemovable(tx, oldest, pruned, last, sinks, before, limit)
			if err != nil || !whole {
				return err
			}
			removed = int(last - first + 1)
			commands = append(notePruned(last), command{query: `DELETE FROM decision WHERE seq > $1 AND seq <= $2 AND time >= $3`,
				args: []any{pruned, last, millis(oldest.next().begin())}})
		}
		dropped = true
		_, err = tx.all(append(commands, dropPartition(oldest, last)...)...)
		switch stateOf(err) {
		case lockNotAvailable:
			return fmt.Errorf("%w: %s", errInUse, oldest.table())
		case divisionByZero:
			return fmt.Errorf("%w: %s", errWritten, oldest.table())
		}
		return writing("partition of decision records", err)
	})
	if err == nil && dropped {
		s.months.forget()
	}
	return removed, dropped, err
}

// isRemovable reports whether all records up to last, which is that of the oldest month, may be removed.
// Some of them may be of later months, because clocks differ: not more than limit.
func isRemovable(tx *conn, oldest month, pruned, last int64, sinks []uma.Sink, before time.Time, limit int) (bool, error) {
	later, err := list(tx, `SELECT seq, realm, time FROM decision WHERE seq > $1 AND seq <= $2 AND time >= $3 ORDER BY seq LIMIT $4`,
		[]any{pruned, last, millis(oldest.next().begin()), limit + 1}, scanOld)
	if err != nil {
		return false, reading("decision records of the next month", err)
	}
	if len(later) > limit || slices.ContainsFunc(later, func(r rows.OldRecord) bool { return millis(r.Time) >= millis(before) }) {
		return false, nil
	}
	for i := range sinks {
		k := &sinks[i]
		waits := k.Cursor < last
		if waits && k.Realm != "" {
			waits, err = tx.exists(`SELECT 1 FROM decision WHERE `+keyRange(`realm`, `$1`, `$2`, `$3`)+` ORDER BY realm, seq LIMIT 1`, k.Realm, k.Cursor, last+1)
		}
		if err != nil || waits {
			return false, reading("undelivered decision records", err)
		}
	}
	return true, nil
}
