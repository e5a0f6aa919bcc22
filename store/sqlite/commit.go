package sqlite

import (
	"context"
	"errors"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Commit implements uma.Committer.
func (s *Store) Commit(ctx context.Context, st *uma.Settlement) error {
	stored := packRecords(st.Records)
	return s.submit(ctx, &entry{
		run: func(tx *conn) error { return settle(tx, st, stored) },
		after: func() {
			s.recent.Add(st.Records)
			s.indexer.note(st.Records)
		},
	})
}

// settle does in one transaction what a token request changes. It spends the ticket first, so
// that nothing is stored for a request that lost the race for its ticket.
func settle(tx *conn, st *uma.Settlement, stored storedRecords) error {
	if st.Ticket != nil {
		if err := spendTicket(tx, st.Realm, st.Ticket, st.Reusable, st.Now); err != nil {
			return err
		}
	}
	if st.RestsOn != nil {
		if err := checkRests(tx, st.Realm, st.RestsOn); err != nil {
			return err
		}
	}
	if err := saveRecords(tx, st.Records, stored); err != nil {
		return err
	}
	for i := range st.Requests {
		err := createRequest(tx, &st.Requests[i])
		switch {
		case errors.Is(err, uma.ErrConflict): // it was requested before
		case errors.Is(err, uma.ErrNotFound):
			return &uma.MovedError{}
		case err != nil:
			return err
		}
	}
	if st.Successor != nil {
		if err := saveTicket(tx, st.Realm, st.Successor); err != nil {
			return err
		}
	}
	if st.RPT != nil {
		if err := replaceRPT(tx, st); err != nil {
			return err
		}
	}
	if st.Refresh != nil {
		return saveRefreshToken(tx, st.Realm, st.Refresh)
	}
	return nil
}

// spendTicket deletes a ticket, or only checks that it exists if it is reusable. One
// statement checks and deletes it, so that a ticket is spent once.
func spendTicket(tx *conn, realm uma.Key, hash []byte, reusable bool, now time.Time) error {
	if reusable {
		there, err := tx.exists(`SELECT 1 FROM ticket WHERE realm = ? AND hash = ? AND expires > ?`,
			int64(realm), hash, rows.Millis(now))
		if err == nil && !there {
			return uma.ErrSpent
		}
		return reading("ticket", err)
	}
	n, err := tx.exec(`DELETE FROM ticket WHERE realm = ? AND hash = ? AND expires > ?`,
		int64(realm), hash, rows.Millis(now))
	if err == nil && n == 0 {
		return uma.ErrSpent
	}
	return writing("ticket", err)
}

// replaceRPT stores the RPT of a settlement, deletes the one that it upgrades, and
// stores which RPT the ticket was spent on.
func replaceRPT(tx *conn, st *uma.Settlement) error {
	if st.Upgraded != "" {
		if err := dropRPT(tx, st.Realm, st.Upgraded); err != nil {
			return err
		}
	}
	if st.Ticket != nil && !st.Reusable {
		_, err := tx.exec(`INSERT INTO spent_ticket (realm, hash, client, rpt, expires) VALUES (?, ?, ?, ?, ?)`,
			int64(st.Realm), st.Ticket, st.Presenter, st.RPT.JTI, rows.Millis(st.RPT.Keep))
		if err != nil {
			return writing("spent ticket", err)
		}
	}
	return saveRPT(tx, st.Realm, st.RPT)
}

// checkRests returns a MovedError if anything that a grant rests on has changed since
// it was read.
func checkRests(tx *conn, realm uma.Key, r *uma.Rests) error {
	if tx.memory.spares(tx, realm, r) {
		return nil
	}
	// One statement for the realm and the user, which every grant rests on: a statement
	// costs time in which no other entry is written.
	same, err := tx.exists(`SELECT 1 FROM realm WHERE key = ?1 AND generation = ?2 AND
		(?3 = '' OR EXISTS (SELECT 1 FROM user WHERE realm = ?1 AND id = ?3 AND version = ?4 AND enabled))`,
		int64(realm), r.Generation, r.User, r.UserVersion)
	if err != nil {
		return reading("realm and user of a grant", err)
	}
	if !same {
		return &uma.MovedError{Party: true}
	}
	tx.memory.compare(tx, realm, r.Generation)
	for _, rows := range []struct {
		query string
		seen  map[uma.Key]int64
	}{
		{`SELECT 1 FROM resource WHERE key = ? AND version = ?`, r.Resources},
		{`SELECT 1 FROM live_request WHERE key = ? AND version = ? AND state = 'granted'`, r.Requests},
		{`SELECT 1 FROM share WHERE key = ? AND version = ?`, r.Policies},
	} {
		for key, version := range rows.seen {
			same, err := tx.exists(rows.query, int64(key), version)
			if err != nil {
				return reading("rows that a grant rests on", err)
			}
			if !same {
				return &uma.MovedError{}
			}
		}
	}
	return nil
}
