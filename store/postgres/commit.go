package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Commit implements uma.Committer. A settlement whose ticket another transaction has locked is tried again until that has
// ended, for a third of the time that a write has: the ticket is spent then, or free.
func (s *Store) Commit(ctx context.Context, st *uma.Settlement) error {
	if s.settler == nil {
		return errReadOnly
	}
	until := time.Now().Add(s.cfg.patience)
	for end := time.Now().Add(s.cfg.patience / 3); ; time.Sleep(lockedEvery) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if len(st.Requests) == 0 && st.Upgraded == "" {
			err = s.settler.submit(st, until)
		} else {
			err = s.commitAlone(ctx, st)
		}
		switch {
		case errors.Is(err, uma.ErrMoved):
			s.look(ctx) // what another process has changed is not read from memory again
		case errors.Is(err, errTicketLocked):
			if time.Now().Before(end) {
				continue
			}
			err = uma.ErrBusy
		}
		return err
	}
}

// commitAlone commits a settlement some of whose statements depend on what others find. Those come first: the row that
// numbers records must not stay locked while a statement waits for another row.
func (s *Store) commitAlone(ctx context.Context, st *uma.Settlement) error {
	batch := []*entry{{Settlement: st}}
	var w *settlements
	again := false
	settle := func(tx *conn) (err error) {
		if w, err = newSettlements(batch, again); err != nil {
			return err
		}
		tx.last = w.last
		if _, err := tx.all(w.first...); err != nil {
			return writing("settlement", err)
		}
		if err := submit(tx, st.Realm, st.Requests); err != nil {
			return err
		}
		if st.RPT != nil && st.Upgraded != "" {
			return dropRPT(tx, st.Realm, st.Upgraded)
		}
		return nil
	}
	write := func() error {
		if err := s.months.ensure(ctx, s, batch); err != nil { // before: it needs a connection, too
			return err
		}
		return s.write(ctx, settle)
	}
	err := write()
	if stateOf(err) == noPartition { // a month was removed meanwhile
		s.months.forget()
		err = write()
	}
	if isLacking(err) {
		again = true
		err = write()
	}
	if isLacking(err) {
		return s.lacking(ctx, st)
	}
	return w.committed(ctx, s, batch, err)
}

// SaveTicket implements uma.Tickets.
func (s *Store) SaveTicket(ctx context.Context, realm uma.Key, t *uma.Ticket) error {
	return s.Commit(ctx, &uma.Settlement{Realm: realm, Successor: t})
}

// settlements are the statements of a batch. Those that may find that a settlement cannot happen fail with a division by zero:
// see spend, compare and takeNumbers.
type settlements struct {
	first []command
	last  []command // that are sent with the COMMIT, because servers wait for each other there: see finish
	seq   int64     // of the last record
}

// newSettlements returns the statements of a batch. What grants rest on is compared before the numbers of records are locked: it may have
// to be read from the disk, and nobody shall wait for that. If it has changed before they were locked, the batch is tried
// again, and compares once more when it has the lock.
func newSettlements(batch []*entry, again bool) (*settlements, error) {
	w := &settlements{}
	all := allRests(batch)
	if tickets := all[spentTickets]; len(tickets) > 0 {
		w.first = append(w.first, spend(tickets))
	}
	compared := slices.ContainsFunc(all[spentTickets+1:], func(rows []seen) bool { return len(rows) > 0 })
	if compared {
		w.first = append(w.first, compare(all))
	}
	for _, add := range []func([]*entry) error{w.saveTickets, w.saveRPTs} {
		if err := add(batch); err != nil {
			return nil, err
		}
	}
	w.saveSpentTickets(batch)
	w.saveRefreshTokens(batch)
	w.finish(batch, compared, again, all)
	return w, nil
}

// saveSpentTickets stores which RPTs tickets were spent on.
func (w *settlements) saveSpentTickets(batch []*entry) {
	var cols columns
	for _, e := range batch {
		if e.RPT != nil && e.Ticket != nil && !e.Reusable {
			cols.add(int64(e.Realm), e.Ticket, e.Presenter, e.RPT.JTI, millis(e.RPT.Keep))
		}
	}
	w.insert(&cols, `INSERT INTO spent_ticket (realm, hash, client, rpt, expires)
		SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::bigint[])`)
}

// saveTickets stores the tickets that clients present next.
func (w *settlements) saveTickets(batch []*entry) error {
	var cols columns
	for _, e := range batch {
		t := e.Successor
		if t == nil {
			continue
		}
		permissions, err := rows.DocumentText(t.Permissions)
		claims, err2 := rows.DocumentText(t.Claims)
		if err := errors.Join(err, err2); err != nil {
			return writing("ticket", err)
		}
		cols.add(int64(e.Realm), t.Hash, int64(t.Server), t.Client, t.Subject, permissions, claims,
			int64(t.Round), t.Interval.Milliseconds(), t.Gathered, millis(t.Issued), millis(t.Expires))
	}
	w.insert(&cols, `INSERT INTO ticket
		(realm, hash, server, client, subject, permissions, claims, round, interval, gathered, issued, expires)
		SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
			$8::bigint[], $9::bigint[], $10::bytea[], $11::bigint[], $12::bigint[])`)
	return nil
}

// saveRPTs stores the rows of RPTs.
func (w *settlements) saveRPTs(batch []*entry) error {
	var cols columns
	for _, e := range batch {
		if e.RPT == nil {
			continue
		}
		if err := cols.addRPT(e.Realm, e.RPT); err != nil {
			return err
		}
	}
	w.insert(&cols, insertRPTs)
	return nil
}

const insertRPTs = `INSERT INTO rpt (realm, jti, family, within, ticket, session, subject, client, server, permissions, revision,
		generation, user_version, expires, keep)
	SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::bigint[],
		$10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])`

func (c *columns) addRPT(realm uma.Key, r *uma.RPT) error {
	permissions, err := rows.DocumentText(r.Permissions)
	if err != nil {
		return writing("RPT", err)
	}
	c.add(int64(realm), r.JTI, r.Family, r.Within, r.Ticket, r.SessionID, r.Subject, r.Client, int64(r.Server), permissions,
		r.Revision, r.Generation, r.UserVersion, millis(r.Expires), millis(r.Keep))
	return nil
}

// saveRefreshTokens stores refresh tokens.
func (w *settlements) saveRefreshTokens(batch []*entry) {
	var cols columns
	for _, e := range batch {
		if e.Refresh != nil {
			cols.addRefreshToken(e.Realm, e.Refresh)
		}
	}
	w.insert(&cols, insertRefreshTokens)
}

const insertRefreshTokens = `INSERT INTO refresh_token (realm, hash, session, client, scope, rpt, expires, spent)
	SELECT *, false FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])`

func (c *columns) addRefreshToken(realm uma.Key, t *uma.RefreshToken) {
	c.add(int64(realm), t.Hash, t.SessionID, t.Client, t.Scope, t.RPT, millis(t.Expires))
}

// The row decision of counter has the number of the last decision record, and how often rows were changed that grants rest on.
// Whoever commits grants has its lock, and so does whoever commits such a change. So a grant that finds no change since it
// compared is committed before the next one.
const (
	countRested = `UPDATE counter SET rested = rested + 1 WHERE name = 'decision'`

	// takeNumbers takes numbers for $1 records and returns the last. It divides by zero if something has changed since compare.
	takeNumbers = `WITH taken AS (UPDATE counter SET value = value + $1
			WHERE name = 'decision' AND rested = nullif(current_setting('umpire.rested', true), '')::bigint RETURNING value)
		SELECT coalesce(max(value), 0) / count(*) FROM taken`

	// takeAnyNumbers is takeNumbers whatever has changed.
	takeAnyNumbers = `UPDATE counter SET value = value + $1 WHERE name = 'decision' RETURNING value`
)

// finish appends decision records. Their numbers come from the row of counter, which stays locked until the commit: so
// numbers are given in the order of commits, and whoever reads in their order misses none.
func (w *settlements) finish(batch []*entry, compared, again bool, all [allKinds][]seen) {
	var cols columns
	for _, e := range batch {
		for i := range e.Records {
			r := &e.Records[i]
			cols.add(millis(r.Time), r.ID, r.Batch, r.Realm, r.Kind, r.Outcome, r.Answered, r.Subject, r.Client, r.Server,
				string(r.Resource), r.Revision, r.Request, arrayText(r.Rules), r.Event)
		}
	}
	if cols.count == 0 && !compared {
		return
	}
	take := command{query: takeAnyNumbers, args: []any{int64(cols.count)}}
	if compared && !again {
		take.query = takeNumbers
	}
	if cols.count > 0 {
		take.dest, take.again = []any{&w.seq}, lastNumber(batch)
	}
	w.last = append(w.last, take)
	if compared && again {
		w.last = append(w.last, compare(all))
	}
	if cols.count > 0 {
		w.last = append(w.last, command{
			query: `INSERT INTO decision (seq, time, id, batch, realm, kind, outcome, answered, subject, client, server, resource,
				revision, request, rules, event)
			SELECT c.value - $16 + x.n, x.time, x.id, x.batch, x.realm, x.kind, x.outcome, x.answered, x.subject, x.client, x.server,
				x.resource, x.revision, x.request, x.rules::text[], x.event
			FROM counter c, unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
				$9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[]) WITH ORDINALITY
				x (time, id, batch, realm, kind, outcome, answered, subject, client, server, resource, revision, request, rules, event, n)
			WHERE c.name = 'decision'`,
			args: append(cols.args(), int64(cols.count))})
	}
}

// lastNumber reads the number of the last record of a batch by its id. It is added to 0 so that the index of
// numbers is not read for it.
func lastNumber(batch []*entry) *command {
	var last uma.Record
	for _, e := range batch {
		for _, r := range e.Records {
			last = r
		}
	}
	return &command{query: `SELECT max(seq + 0) FROM decision WHERE id = $1 AND time = $2 HAVING count(*) > 0`, args: []any{last.ID, millis(last.Time)}}
}

// committed returns the error of a commit, and if there is none, sets the numbers of the records of the batch
// and keeps them in memory. If the numbers were lost with the answer and cannot be read, the records are stored
// all the same: they have no numbers here, and are not kept.
func (w *settlements) committed(ctx context.Context, s *Store, batch []*entry, err error) error {
	if errors.Is(err, errUnread) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelPatience)
		defer cancel()
		if w.seq, err = 0, nil; s.readAgain(ctx, w.last) != nil {
			return nil
		}
	}
	if err != nil || w.seq == 0 {
		return err
	}
	seq := w.seq
	for _, e := range slices.Backward(batch) {
		for i := range slices.Backward(e.Records) {
			e.Records[i].Seq = seq
			seq--
		}
	}
	for _, e := range batch {
		s.recent.Add(e.Records)
	}
	return nil
}

// insert adds a statement that inserts rows, if there are any.
func (w *settlements) insert(cols *columns, query string) {
	if cols.count > 0 {
		w.first = append(w.first, command{query: query, args: cols.args()})
	}
}
