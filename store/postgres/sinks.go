package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"example.com/umpire/uma"
)

const sinkColumns = ` name, kind, realm, target, hold, holder, cursor, delivered, failed, problem, skipped, cut `

func scanSink(scan scanFunc) (uma.Sink, error) {
	var s uma.Sink
	var hold int64
	err := scan(&s.Name, (*string)(&s.Kind), &s.Realm, &s.Target, &hold, &s.Holder, &s.Cursor,
		(*moment)(&s.Delivered), (*moment)(&s.Failed), &s.Problem, &s.Skipped, &s.Cut)
	s.Hold = time.Duration(hold) * time.Millisecond
	return s, err
}

// AllSinks implements uma.Sinks.
func (s *Store) AllSinks(ctx context.Context) ([]uma.Sink, error) {
	return fetch(ctx, s, "sinks", func(c *conn) ([]uma.Sink, error) {
		return list(c, `SELECT`+sinkColumns+`FROM sink ORDER BY name`, nil, scanSink)
	})
}

// lockSinks locks sinks in the order of their names, as everybody does who changes several.
const lockSinks = ` FROM sink WHERE name = ANY($1) ORDER BY name FOR NO KEY UPDATE`

// KeepSinks implements uma.Sinks. The first statement divides by zero if the generation is another one, and
// locks it until the commit. The second one waits for retention, which would not count what it removes from
// a new sink.
func (s *Store) KeepSinks(ctx context.Context, generation int64, wanted []uma.Sink) error {
	var sinks columns
	keep := []string{}
	for i := range wanted {
		w := &wanted[i]
		keep = append(keep, w.Name)
		sinks.add(w.Name, string(w.Kind), w.Realm, w.Target, w.Hold.Milliseconds(), w.Holder)
	}
	commands := []command{
		{query: `SELECT 1 / (value = $1)::int FROM counter WHERE name = 'generation' FOR SHARE`, args: []any{generation}},
		{query: `SELECT value FROM counter WHERE name = 'pruned' FOR SHARE`},
		{query: `DELETE FROM sink WHERE name <> ALL($1)`, args: []any{keep}},
	}
	if sinks.count > 0 {
		commands = append(commands, command{query: `INSERT INTO sink (` + sinkColumns + `)
			SELECT x.name, x.kind, x.realm, x.target, x.hold, x.holder, (SELECT value FROM counter WHERE name = 'decision'), 0, 0, '', 0, 0
			FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[]) x (name, kind, realm, target, hold, holder)
			ORDER BY x.name COLLATE "C"
			ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, realm = excluded.realm, target = excluded.target, hold = excluded.hold`,
			args: sinks.args()})
	}
	err := s.writeAll(ctx, commands...)
	if stateOf(err) == divisionByZero && !isUnavailable(err) {
		return uma.ErrMoved
	}
	return writing("sinks", err)
}

// TakeSinks implements uma.Sinks.
func (s *Store) TakeSinks(ctx context.Context, holder string, names []string) error {
	err := s.writeAll(ctx,
		command{query: `SELECT 1` + lockSinks, args: []any{names}},
		command{query: `UPDATE sink SET holder = $2 WHERE name = ANY($1)`, args: []any{names, holder}})
	return writing("sinks", err)
}

// SaveSinks implements uma.Sinks.
func (s *Store) SaveSinks(ctx context.Context, sinks []uma.Sink) (lost []string, err error) {
	var rows columns
	names := []string{}
	for i := range sinks {
		k := &sinks[i]
		names = append(names, k.Name)
		rows.add(k.Name, k.Holder, k.Cursor, millis(k.Delivered), millis(k.Failed), k.Problem, k.Skipped)
	}
	if rows.count == 0 {
		return nil, nil
	}
	var saved []string
	err = s.writeAll(ctx,
		command{query: `SELECT 1` + lockSinks, args: []any{names}},
		command{query: `WITH saved AS (UPDATE sink k SET cursor = greatest(k.cursor, x.cursor), delivered = x.delivered, failed = x.failed,
				problem = x.problem, skipped = x.skipped
			FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[])
				x (name, holder, cursor, delivered, failed, problem, skipped)
			WHERE k.name = x.name AND k.holder = x.holder RETURNING k.name)
			SELECT coalesce(array_agg(name), '{}') FROM saved`, args: rows.args(), dest: []any{&saved},
			again: &command{query: `SELECT coalesce(array_agg(k.name), '{}') FROM sink k JOIN unnest($1::text[], $2::text[]) x (name, holder)
				ON k.name = x.name AND k.holder = x.holder`, args: rows.args()[:2]}})
	if err != nil {
		return nil, writing("sinks", err)
	}
	for _, name := range names {
		if !slices.Contains(saved, name) {
			lost = append(lost, name)
		}
	}
	return lost, nil
}

// RecordsFor implements uma.Sinks. The index has the records of a realm in the order of seq.
func (s *Store) RecordsFor(ctx context.Context, realm string, seq int64, limit int) ([]uma.Record, error) {
	if realm == "" {
		return s.DecisionsAfter(ctx, seq, limit)
	}
	return fetchOnce(ctx, s, "decision records", func(c *conn) ([]uma.Record, error) {
		return findBetween(c, uma.DecisionFilter{Realm: realm, After: seq}, oldestFirst, limit)
	})
}

// BacklogOf implements uma.Sinks. Records of all realms are numbered without gaps, so they need not be
// counted.
func (s *Store) BacklogOf(ctx context.Context, realm string, seq int64) (uma.Backlog, error) {
	return fetch(ctx, s, "undelivered decision records", func(c *conn) (b uma.Backlog, err error) {
		undelivered, args := `FROM decision WHERE seq > $1 ORDER BY seq`, []any{seq}
		if realm != "" {
			undelivered, args = `FROM decision WHERE `+keyRange(`realm`, `$2`, `$1`, `$3`)+` ORDER BY realm, seq`, []any{seq, realm, maxSeq}
		}
		var first int64
		err = c.rows(`SELECT seq, time `+undelivered+` LIMIT 1`, args, func(scan scanFunc) error {
			return scan(&first, (*moment)(&b.Oldest))
		})
		switch {
		case err != nil || first == 0:
			return b, err
		case realm == "":
			last, err := lastRecord(c)
			b.Records = int(last - first + 1)
			return b, err
		}
		err = c.row(fmt.Sprint(`SELECT count(*) FROM (SELECT 1 `, undelivered, ` LIMIT `, uma.MaxBacklog, `) AS undelivered`), args, &b.Records)
		return b, err
	})
}
