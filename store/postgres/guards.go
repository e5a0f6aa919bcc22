package postgres

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// A kind of rows that settlements must find: their tickets, and what grants rest on.
type kind struct {
	err  error  // of a settlement that does not find its row
	ids  string // the type of the ids of rows
	rows string // the table r, joined with the rows that were seen: x (key, id, version)
}

// The kinds. A ticket is named by its realm and hash, a user by realm and id, the others by their keys. The version of a
// ticket is the time at which it must not have expired.
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

var kinds = [allKinds]kind{
	spentTickets: {uma.ErrSpent, `bytea`, unexpired},
	keptTickets:  {uma.ErrSpent, `bytea`, unexpired},
	realmRows:    {&uma.MovedError{Party: true}, `text`, `realm r ON r.key = x.key AND r.generation = x.version`},
	userRows: {&uma.MovedError{Party: true}, `text`,
		`users r ON r.realm = x.key AND r.id = x.id AND r.version = x.version AND r.enabled`},
	resourceRows: {&uma.MovedError{}, `text`, `resource r ON r.key = x.key AND r.version = x.version`},
	requestRows: {&uma.MovedError{}, `text`, `request r ON r.key = x.key AND r.version = x.version AND r.state = 'granted'
			AND NOT EXISTS (SELECT 1 FROM dropped d WHERE d.resource = r.resource)`},
	shareRows: {&uma.MovedError{}, `text`, `share r ON r.key = x.key AND r.version = x.version`},
}

const unexpired = `ticket r ON r.realm = x.key AND r.hash = x.id AND r.expires + 0 > x.version` // + 0: not by the index of expires

// find is the query for columns of those of some rows that are in the version that was seen. The rows are its parameters
// from a number on: see seenArgs.
func (k *kind) find(columns string, from int) string {
	return fmt.Sprintf(`SELECT %s FROM unnest($%d::bigint[], $%d::%s[], $%d::bigint[]) WITH ORDINALITY x (key, id, version, n) JOIN `,
		columns, from, from+1, k.ids, from+2) + k.rows
}

// freeTickets is the query for columns of those tickets that nobody else is about to spend or delete. It locks them.
func freeTickets(columns string) string {
	return kinds[spentTickets].find(columns, 1) + ` FOR UPDATE OF r SKIP LOCKED`
}

// spend deletes tickets. The statement fails, with a division by zero, unless it finds all.
func spend(tickets []seen) command {
	return command{query: `WITH free AS (` + freeTickets(`r.ctid AS place`) + `),
		spent AS (DELETE FROM ticket t USING free WHERE t.ctid = free.place RETURNING 1)
		SELECT 1 / (count(*) = $4)::int FROM spent`, args: append(seenArgs(tickets), len(tickets))}
}

// compare finds rows in the versions that were seen. The statement fails, with a division by zero, unless it finds all.
// The transaction keeps how often such rows had been changed when it was executed: see takeNumbers.
func compare(all [allKinds][]seen) command {
	var found []string
	var args []any
	for n, rows := range all {
		if n == spentTickets || len(rows) == 0 {
			continue
		}
		found = append(found, fmt.Sprintf(`(%s) = $%d`, kinds[n].find(`count(*)`, len(args)+1), len(args)+4))
		args = append(append(args, seenArgs(rows)...), len(rows))
	}
	return command{query: `SELECT 1 / (` + strings.Join(found, ` AND `) + `)::int, set_config('umpire.rested', rested::text, true)
		FROM counter WHERE name = 'decision'`, args: args}
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

// allRests are the rows that the settlements of a batch must find, by kind. Those of a kind are sorted, and each is there
// once: but a ticket as often as it is to be spent.
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
