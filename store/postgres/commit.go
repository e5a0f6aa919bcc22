package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Commit implements uma.Committer.
func (s *Store) Commit(ctx context.Context, st *uma.Settlement) error {
	if s.settler == nil {
		return errReadOnly
	}
	var err error
	if len(st.Requests) == 0 && st.Upgraded == "" {
		err = s.settler.submit(ctx, st)
	} else {
		err = s.commitAlone(ctx, st)
	}
	if errors.Is(err, uma.ErrMoved) {
		s.look(ctx) // what another process has changed is not read from memory again
	}
	return err
}

// commitAlone commits a settlement some of whose statements depend on what others find. Only its records wait for the
// COMMIT: the row that numbers them must not stay locked while a statement waits for another row.
func (s *Store) commitAlone(ctx context.Context, st *uma.Settlement) error {
	batch := []*entry{{Settlement: st}}
	var w *settlements
	settle := func(tx *conn) (err error) {
		if err := s.months.ensure(tx.ctx, s, batch); err != nil {
			return err
		}
		if w, err = newSettlements(batch); err != nil {
			return err
		}
		tx.last = w.records
		done, err := tx.all(w.commands...)
		if stateOf(err) == divisionByZero && len(done) < len(w.guards) {
			return w.guards[len(done)]
		}
		if err != nil {
			return writing("settlement", err)
		}
		if err := submit(tx, st.Requests); err != nil {
			return err
		}
		if st.RPT != nil && st.Upgraded != "" {
			return dropRPT(tx, st.Realm, st.Upgraded)
		}
		return nil
	}
	err := s.write(ctx, settle)
	if stateOf(err) == noPartition { // a month was removed meanwhile
		s.months.forget()
		err = s.write(ctx, settle)
	}
	return w.committed(ctx, s, batch, err)
}

// SaveTicket implements uma.Tickets.
func (s *Store) SaveTicket(ctx context.Context, realm uma.Key, t *uma.Ticket) error {
	return s.Commit(ctx, &uma.Settlement{Realm: realm, Successor: t})
}

// settlements are the statements of a batch. Those that may find that a settlement cannot happen
// come first: each is a guard, which fails with a division by zero if it does not find as many rows as
// it wants. So nothing is stored for a request that lost the race for its ticket.
type settlements struct {
	commands []command
	guards   []error   // what the first commands find when they fail
	records  []command // after all others: see saveRecords
	last     int64     // seq of the last record
}

func newSettlements(batch []*entry) (*settlements, error) {
	w := &settlements{}
	w.spendTickets(batch)
	w.compareRests(batch)
	for _, add := range []func([]*entry) error{w.saveTickets, w.saveRPTs} {
		if err := add(batch); err != nil {
			return nil, err
		}
	}
	w.saveSpentTickets(batch)
	w.saveRefreshTokens(batch)
	w.saveRecords(batch)
	return w, nil
}

// guard adds a statement that fails with err unless it finds as many rows as it wants. query ends
// with a CTE named found.
func (w *settlements) guard(err error, want int, query string, args ...any) {
	if want == 0 {
		return
	}
	w.commands = append(w.commands, command{query: query + ` SELECT 1 / (count(*) = $1)::int FROM found`, args: append([]any{want}, args...)})
	w.guards = append(w.guards, err)
}

func (w *settlements) add(query string, args ...any) {
	w.commands = append(w.commands, command{query: query, args: args})
}

// spendTickets deletes the tickets of a batch, or only checks that they exist if they are reusable.
// One statement checks and deletes, so that a ticket is spent once.
func (w *settlements) spendTickets(batch []*entry) {
	var spent, kept struct {
		realms, now []int64
		hashes      [][]byte
	}
	for _, e := range batch {
		if e.Ticket == nil {
			continue
		}
		to := &spent
		if e.Reusable {
			to = &kept
		}
		to.realms, to.hashes, to.now = append(to.realms, int64(e.Realm)), append(to.hashes, e.Ticket), append(to.now, millis(e.Now))
	}
	const named = ` ticket t USING unnest($2::bigint[], $3::bytea[], $4::bigint[]) x (realm, hash, now)
		WHERE t.realm = x.realm AND t.hash = x.hash AND t.expires + 0 > x.now` // + 0: not by the index of expires
	w.guard(uma.ErrSpent, len(spent.hashes), `WITH found AS (DELETE FROM`+named+` RETURNING 1)`, spent.realms, spent.hashes, spent.now)
	w.guard(uma.ErrSpent, len(kept.hashes), `WITH found AS (SELECT 1 FROM unnest($2::bigint[], $3::bytea[], $4::bigint[]) x (realm, hash, now)
		JOIN ticket t ON t.realm = x.realm AND t.hash = x.hash AND t.expires + 0 > x.now)`, kept.realms, kept.hashes, kept.now)
}

// compareRests compares the rows that grants rest on with the versions that they saw. It locks them
// FOR SHARE: until the grants are committed, nobody can change them.
func (w *settlements) compareRests(batch []*entry) {
	var realms, users, resources, requests, shares []seen
	for _, e := range batch {
		r := e.RestsOn
		if r == nil {
			continue
		}
		realms = append(realms, seen{key: int64(e.Realm), version: r.Generation})
		if r.User != "" {
			users = append(users, seen{key: int64(e.Realm), id: r.User, version: r.UserVersion})
		}
		resources, requests, shares = addSeen(resources, r.Resources), addSeen(requests, r.Requests), addSeen(shares, r.Policies)
	}
	party, row := &uma.MovedError{Party: true}, &uma.MovedError{}
	w.lock(party, realms, `realm r ON r.key = x.key AND r.generation = x.version`)
	w.lock(party, users, `users r ON r.realm = x.key AND r.id = x.id AND r.version = x.version AND r.enabled`)
	w.lock(row, resources, `resource r ON r.key = x.key AND r.version = x.version`)
	w.lock(row, requests, `request r ON r.key = x.key AND r.version = x.version AND r.state = 'granted'
		AND NOT EXISTS (SELECT 1 FROM dropped d WHERE d.resource = r.resource)`)
	w.lock(row, shares, `share r ON r.key = x.key AND r.version = x.version`)
}

// lock adds a guard that finds rows in the versions that were seen, and locks them FOR SHARE.
func (w *settlements) lock(err error, all []seen, table string) {
	slices.SortFunc(all, seen.compare) // transactions lock rows in one order
	all = slices.Compact(all)
	keys, ids, versions := make([]int64, len(all)), make([]string, len(all)), make([]int64, len(all))
	for i, row := range all {
		keys[i], ids[i], versions[i] = row.key, row.id, row.version
	}
	w.guard(err, len(all), `WITH found AS (SELECT 1 FROM unnest($2::bigint[], $3::text[], $4::bigint[]) x (key, id, version)
		JOIN `+table+` FOR SHARE OF r)`, keys, ids, versions)
}

// A seen is a row, of a user by its realm and id, and the version in which a grant saw it.
type seen struct {
	key     int64
	id      string
	version int64
}

func (s seen) compare(t seen) int {
	return cmp.Or(cmp.Compare(s.key, t.key), cmp.Compare(s.id, t.id), cmp.Compare(s.version, t.version))
}

func addSeen(all []seen, versions map[uma.Key]int64) []seen {
	for key, version := range versions {
		all = append(all, seen{key: int64(key), version: version})
	}
	return all
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

// saveRecords appends decision records. Their numbers come from a row of counter, which stays locked
// until the commit: so numbers are given in the order of commits, and whoever reads in their order
// misses none. It is the last statement, sent together with the COMMIT, because transactions of all servers wait
// for each other there.
func (w *settlements) saveRecords(batch []*entry) {
	var cols columns
	for _, e := range batch {
		for i := range e.Records {
			r := &e.Records[i]
			cols.add(millis(r.Time), r.ID, r.Batch, r.Realm, r.Kind, r.Outcome, r.Answered, r.Subject, r.Client, r.Server,
				string(r.Resource), r.Revision, r.Request, arrayText(r.Rules), r.Event)
		}
	}
	if cols.count == 0 {
		return
	}
	w.records = append(w.records, command{
		query: `WITH last AS (UPDATE counter SET value = value + $16 WHERE name = 'decision' RETURNING value),
		stored AS (INSERT INTO decision (seq, time, id, batch, realm, kind, outcome, answered, subject, client, server, resource,
				revision, request, rules, event)
			SELECT last.value - $16 + x.n, x.time, x.id, x.batch, x.realm, x.kind, x.outcome, x.answered, x.subject, x.client, x.server,
				x.resource, x.revision, x.request, x.rules::text[], x.event
			FROM last, unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
				$9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[]) WITH ORDINALITY
				x (time, id, batch, realm, kind, outcome, answered, subject, client, server, resource, revision, request, rules, event, n))
		SELECT value FROM last`,
		args:  append(cols.args(), int64(cols.count)),
		dest:  []any{&w.last},
		again: w.lastNumber(batch),
	})
}

// lastNumber reads the number of the last record of a batch by its id. It is added to 0 so that the index of
// numbers is not read for it.
func (w *settlements) lastNumber(batch []*entry) *command {
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
		if w.last, err = 0, nil; s.readAgain(ctx, w.records) != nil {
			return nil
		}
	}
	if err != nil || w.last == 0 {
		return err
	}
	seq := w.last
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
		w.add(query, cols.args()...)
	}
}
