package postgres

import (
	"cmp"
	"slices"

	"example.com/umpire/uma"
)

// A kind of rows that settlements must find: their tickets, and what grants rest on.
type kind struct {
	err  error  // of a settlement that does not find its row
	ids  string // the type of the ids of rows
	rows string // the table r, joined with the rows that were seen: x (key, id, version)
	lock string // how rows are locked; empty: they are not
}

// The kinds, in the order in which rows are found and locked. A ticket is named by its realm and hash, a user by
// realm and id, the others by their keys. The version of a ticket is the time at which it must not have expired.
const (
	spentTickets = iota
	keptTickets
	realmRows
	userRows
	resourceRows
	requestRows
	shareRows
	allKinds
)

// What grants rest on is locked FOR SHARE: until they are committed, nobody can change it.
var kinds = [allKinds]kind{
	spentTickets: {err: uma.ErrSpent, ids: `bytea`, lock: ` FOR UPDATE OF r`, rows: unexpired},
	keptTickets:  {err: uma.ErrSpent, ids: `bytea`, rows: unexpired},
	realmRows: {err: &uma.MovedError{Party: true}, ids: `text`, lock: ` FOR SHARE OF r`,
		rows: `realm r ON r.key = x.key AND r.generation = x.version`},
	userRows: {err: &uma.MovedError{Party: true}, ids: `text`, lock: ` FOR SHARE OF r`,
		rows: `users r ON r.realm = x.key AND r.id = x.id AND r.version = x.version AND r.enabled`},
	resourceRows: {err: &uma.MovedError{}, ids: `text`, lock: ` FOR SHARE OF r`,
		rows: `resource r ON r.key = x.key AND r.version = x.version`},
	requestRows: {err: &uma.MovedError{}, ids: `text`, lock: ` FOR SHARE OF r`,
		rows: `request r ON r.key = x.key AND r.version = x.version AND r.state = 'granted'
			AND NOT EXISTS (SELECT 1 FROM dropped d WHERE d.resource = r.resource)`},
	shareRows: {err: &uma.MovedError{}, ids: `text`, lock: ` FOR SHARE OF r`,
		rows: `share r ON r.key = x.key AND r.version = x.version`},
}

const unexpired = `ticket r ON r.realm = x.key AND r.hash = x.id AND r.expires + 0 > x.version` // + 0: not by the index of expires

// A lockMode is what a query does about rows that others have locked.
type lockMode string

const (
	waitForLocked lockMode = ``             // it waits until they are free, as long as lock_timeout
	failIfLocked  lockMode = ` NOWAIT`      // it fails
	skipLocked    lockMode = ` SKIP LOCKED` // it does not find them
)

// find is the query for columns of those of the rows $1 to $3 that are in the version that was seen.
func (k *kind) find(columns string) string {
	return `SELECT ` + columns + ` FROM unnest($1::bigint[], $2::` + k.ids + `[], $3::bigint[]) WITH ORDINALITY x (key, id, version, n) JOIN ` + k.rows
}

// lockFound is find for a query that locks what it finds.
func (k *kind) lockFound(columns string, p lockMode) string {
	query := k.find(columns)
	switch {
	case k.lock == "":
		return query
	case k != &kinds[realmRows]:
	case p == waitForLocked:
		query += ` AND ` + shareRealm(`x.key`) + ` IS NOT NULL`
	default:
		query += ` AND ` + tryShareRealm(`x.key`)
	}
	return query + k.lock + string(p)
}

// guard adds a statement that fails, with a division by zero, unless it finds all rows of a kind. Tickets are
// deleted by the statement that finds them, so that each is spent once.
func (w *settlements) guard(n int, rows []seen, p lockMode) {
	if len(rows) == 0 {
		return
	}
	k := &kinds[n]
	query := `WITH found AS (` + k.lockFound(`1`, p) + `)`
	if n == spentTickets {
		query = `WITH locked AS (` + k.lockFound(`r.ctid AS place`, p) + `),
			found AS (DELETE FROM ticket t USING locked WHERE t.ctid = locked.place RETURNING 1)`
	}
	w.add(query+` SELECT 1 / (count(*) = $4)::int FROM found`, append(seenArgs(rows), len(rows))...)
	w.guards = append(w.guards, n)
}

// failed returns the kind of the guard that has failed, if one has: done is how many commands were run.
func (w *settlements) failed(done int, err error) (n int, failed bool) {
	switch stateOf(err) {
	case divisionByZero, lockNotAvailable:
		if done >= w.first && done < w.first+len(w.guards) {
			return w.guards[done-w.first], true
		}
	}
	return 0, false
}

// A seen is a row, by its key or by its realm and id, and the version in which a settlement saw it.
type seen struct {
	kind    int
	key     int64
	id      string
	version int64
}

func (s seen) compare(t seen) int {
	return cmp.Or(cmp.Compare(s.key, t.key), cmp.Compare(s.id, t.id), cmp.Compare(s.version, t.version))
}

// rests are the rows that the settlement must find, in the order of kinds.
func (e *entry) rests() (all []seen) {
	realm := int64(e.Realm)
	if e.Ticket != nil {
		ticket := seen{spentTickets, realm, string(e.Ticket), millis(e.Now)}
		if e.Reusable {
			ticket.kind = keptTickets
		}
		all = append(all, ticket)
	}
	r := e.RestsOn
	if r == nil {
		return all
	}
	all = append(all, seen{realmRows, realm, "", r.Generation})
	if r.User != "" {
		all = append(all, seen{userRows, realm, r.User, r.UserVersion})
	}
	all = addSeen(all, resourceRows, r.Resources)
	all = addSeen(all, requestRows, r.Requests)
	return addSeen(all, shareRows, r.Policies)
}

func addSeen(all []seen, kind int, versions map[uma.Key]int64) []seen {
	for key, version := range versions {
		all = append(all, seen{kind, int64(key), "", version})
	}
	return all
}

// allRests are the rows that the settlements of a batch must find, by kind. Those of a kind are sorted, because
// transactions lock rows in one order, and each is there once: but a ticket as often as it is to be spent.
func allRests(batch []*entry) (all [allKinds][]seen) {
	for _, e := range batch {
		for _, row := range e.rests() {
			all[row.kind] = append(all[row.kind], row)
		}
	}
	for n := range all {
		slices.SortFunc(all[n], seen.compare)
		if n != spentTickets {
			all[n] = slices.Compact(all[n])
		}
	}
	return all
}

// seenArgs are the parameters $1 to $3 of a query for rows of one kind.
func seenArgs(rows []seen) []any {
	keys, versions := make([]int64, len(rows)), make([]int64, len(rows))
	var texts []string
	var hashes [][]byte
	for i, row := range rows {
		keys[i], versions[i] = row.key, row.version
		if kinds[row.kind].ids == `bytea` {
			hashes = append(hashes, []byte(row.id))
		} else {
			texts = append(texts, row.id)
		}
	}
	if hashes != nil {
		return []any{keys, hashes, versions}
	}
	return []any{keys, texts, versions}
}
