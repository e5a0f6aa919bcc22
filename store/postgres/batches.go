package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"example.com/umpire/uma"
)

// walkRows is how many rows one statement changes of those that depend on a row, however many there are.
const walkRows = applyRows

// A walk changes rows that depend on one row: in batches along an index, all in one transaction. The parameters of its
// query are args, the columns of the index in the last row of the batch before, and walkRows. It returns those columns
// of its own last row, and how many rows it has read.
type walk struct {
	query string
	args  []any
	last  []string // empty at first
	rows  int
}

// newWalk returns a walk along so many columns.
func newWalk(columns int, query string, args ...any) *walk {
	return &walk{query: query, args: args, last: make([]string, columns)}
}

// batch is the command for the next rows.
func (w *walk) batch() command {
	args, dest := slices.Clone(w.args), make([]any, len(w.last), len(w.last)+1)
	for i := range w.last {
		args, dest[i] = append(args, w.last[i]), &w.last[i]
	}
	return command{query: w.query, args: append(args, walkRows), dest: append(dest, &w.rows)}
}

// rest runs the batches after the first. Each has as much time as other writes have altogether: a change with many
// batches would never be committed otherwise.
func (w *walk) rest(tx *conn) error {
	tx.wrote += w.rows
	for w.rows == walkRows {
		ctx, cancel := context.WithCancel(context.WithoutCancel(tx.ctx))
		time.AfterFunc(patience, cancel) // not when this returns: the commit is still to come
		tx.ctx = ctx
		if _, err := tx.all(w.batch()); err != nil {
			return err
		}
		tx.wrote += w.rows
	}
	return nil
}

// steps are commands that are run in one round trip, if no walk among them has more than a batch.
type steps struct {
	commands []command
	walks    []*walk
}

func (s *steps) add(commands ...command) { s.commands = append(s.commands, commands...) }

func (s *steps) walk(w *walk) {
	s.add(w.batch())
	s.walks = append(s.walks, w)
}

func (s *steps) run(tx *conn) error {
	if _, err := tx.all(s.commands...); err != nil {
		return err
	}
	for _, w := range s.walks {
		if err := w.rest(tx); err != nil {
			return err
		}
	}
	return nil
}

// endUserSessions ends every session of a user.
func endUserSessions(realm uma.Key, user string) *walk { return endSessions(`user_id`, realm, user) }

// endClientSessions ends every session through a client.
func endClientSessions(realm uma.Key, client string) *walk {
	return endSessions(`client`, realm, client)
}

func endSessions(column string, realm uma.Key, of string) *walk {
	return newWalk(1, `WITH batch AS MATERIALIZED (SELECT id FROM session WHERE realm = $1 AND `+column+` = $2 AND id > $3 ORDER BY id LIMIT $4),
		done AS (UPDATE session s SET ended = true FROM batch WHERE s.realm = $1 AND s.id = batch.id AND NOT s.ended)
		SELECT coalesce(max(id), ''), count(*) FROM batch`, realm, of)
}

// renameRequests gives the requests for a resource its name and its owner.
func renameRequests(r *uma.Resource) *walk {
	return walkRequests(`UPDATE request q SET resource_name = $2, owner = $3 FROM batch WHERE q.key = batch.key`, r.Key, r.Name, r.Owner)
}

// dropRequests deletes the requests for a resource that are not for one of the scopes.
func dropRequests(r *uma.Resource, left []uma.Scope) *walk {
	return walkRequests(`DELETE FROM request q USING batch WHERE q.key = batch.key AND q.scope <> ALL ($2)`, r.Key, array(left))
}

// walkRequests changes the requests for the resource $1.
func walkRequests(change string, args ...any) *walk {
	n := len(args)
	return newWalk(2, fmt.Sprintf(`WITH batch AS MATERIALIZED (SELECT key, requester, scope FROM request WHERE resource = $1
			AND (requester, scope) > ($%d, $%d) ORDER BY requester, scope LIMIT $%d),
		done AS (%s),
		last AS (SELECT requester, scope FROM batch ORDER BY requester DESC, scope DESC LIMIT 1)
		SELECT coalesce((SELECT requester FROM last), ''), coalesce((SELECT scope FROM last), ''), (SELECT count(*) FROM batch)`,
		n+1, n+2, n+3, change), args...)
}
