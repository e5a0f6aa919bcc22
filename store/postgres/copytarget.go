package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/store/copier"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A Target is a database that is copied into: see copier.Target. An advisory lock keeps other
// processes from copying into it.
type Target struct{ Source }

var _ copier.Target = (*Target)(nil)

// copyLock is the key of that lock: "copy" in ASCII.
const copyLock = 0x636f7079

// OpenTarget opens a database, and makes its schema.
func OpenTarget(ctx context.Context, url string) (*Target, error) {
	cfg, err := copyConfig(url)
	if err != nil {
		return nil, err
	}
	version, err := lastVersion(migrations)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, cfg, migrations, false); err != nil {
		return nil, opening(url, err)
	}
	if err := checkSchema(ctx, cfg, version, true); err != nil {
		return nil, opening(url, err)
	}
	t := new(Target)
	if t.conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
		return nil, opening(url, err)
	}
	if err := t.prepare(ctx); err != nil {
		return nil, errors.Join(opening(url, err), t.Close())
	}
	return t, nil
}

func (t *Target) prepare(ctx context.Context) error {
	if err := checkDurable(ctx, t.conn); err != nil {
		return err
	}
	_, err := t.conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, copyLock) // the session of a process that was killed takes a moment to end
	if stateOf(err) == lockNotAvailable {
		return errors.New("another process copies into this database")
	}
	if err != nil {
		return err
	}
	return checkUnused(ctx, t.conn)
}

// transact calls f in a transaction.
func (t *Target) transact(ctx context.Context, f func(tx pgx.Tx) error) error {
	if err := t.leave(ctx); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, t.conn, f)
}

// Progress implements copier.Target.
func (t *Target) Progress(ctx context.Context) (*copier.Progress, error) {
	if err := t.leave(ctx); err != nil {
		return nil, err
	}
	unfinished, err := isUnfinished(ctx, t.conn)
	if err != nil || !unfinished {
		return nil, err
	}
	p := new(copier.Progress)
	err = t.conn.QueryRow(ctx, `SELECT source, name, after FROM copying`).Scan(&p.Of, &p.Table, &p.After)
	return p, err
}

// Begin implements copier.Target.
func (t *Target) Begin(ctx context.Context, p copier.Progress) error {
	return t.transact(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `CREATE TABLE copying (source bytea NOT NULL, name text NOT NULL, after bytea)`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO copying VALUES ($1, $2, $3)`, p.Of, p.Table, p.After)
		return err
	})
}

// Write implements copier.Target.
func (t *Target) Write(ctx context.Context, of *copier.Table, page []copier.Row, p copier.Progress) error {
	write := insertRows
	switch of.Name {
	case copier.Number:
		write = setNumbers
	case copier.Party:
		write = setIdentities
	case copier.Decision:
		write = insertRecords
	}
	return t.transact(ctx, func(tx pgx.Tx) error {
		if err := write(ctx, tx, of, page); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE copying SET name = $1, after = $2`, p.Table, p.After)
		return err
	})
}

// insertRows adds rows to a table, with the columns that are derived from the others.
func insertRows(ctx context.Context, tx pgx.Tx, t *copier.Table, page []copier.Row) error {
	names, derive := derivedColumns(t)
	columns := append(storedColumns(t), names...)
	_, err := tx.CopyFrom(ctx, pgx.Identifier{t.Name}, columns, pgx.CopyFromSlice(len(page), func(i int) ([]any, error) {
		row := slices.Clone(page[i])
		for n, value := range row {
			if err := checkTexts(value); err != nil {
				return nil, fmt.Errorf("%s: %s %w", t.Describe(row), columns[n], err)
			}
			if list, ok := value.([]string); ok && list == nil {
				row[n] = []string{} // else it would be NULL
			}
		}
		more, err := derive(row)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Describe(row), err)
		}
		return append(row, more...), nil
	}))
	return err
}

// checkTexts refuses texts that PostgreSQL cannot keep.
func checkTexts(value any) error {
	texts, _ := value.([]string)
	if s, ok := value.(string); ok {
		texts = []string{s}
	}
	for _, s := range texts {
		if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			return errors.New("has a NUL or invalid UTF-8, which PostgreSQL cannot keep: change it in the source")
		}
	}
	return nil
}

// derivedColumns returns the columns of a table that only this driver has, and what their values are made by.
func derivedColumns(t *copier.Table) (columns []string, of func(row copier.Row) ([]any, error)) {
	at := func(row copier.Row, column string) any { return row[slices.Index(t.Names(), column)] }
	text := func(row copier.Row, column string) string { s, _ := at(row, column).(string); return s }
	list := func(row copier.Row, column string) []string { l, _ := at(row, column).([]string); return l }
	switch t.Name {
	case "client":
		return []string{"resource_server"}, func(row copier.Row) ([]any, error) {
			var c uma.Client
			err := rows.ReadDetails(text(row, "details"), &c)
			return []any{c.ResourceServer}, err
		}
	case "users":
		return []string{"email"}, func(row copier.Row) ([]any, error) {
			var claims map[string]any
			err := rows.ReadDocument(text(row, "claims"), &claims)
			return []any{emailOf(claims)}, err
		}
	case "share":
		return []string{"size"}, func(row copier.Row) ([]any, error) {
			s := uma.Share{ID: text(row, "id"), Name: text(row, "name"), Strategy: text(row, "strategy"), Users: list(row, "users"),
				Roles: list(row, "roles"), Groups: list(row, "groups"), Clients: list(row, "clients")}
			for _, scope := range list(row, "scopes") {
				s.Scopes = append(s.Scopes, uma.Scope(scope))
			}
			return []any{rows.ShareSize(&s)}, nil
		}
	}
	return nil, func(copier.Row) ([]any, error) { return nil, nil }
}

// setIdentities gives users who are parties their identities.
func setIdentities(ctx context.Context, tx pgx.Tx, t *copier.Table, page []copier.Row) error {
	var cols columns
	for _, row := range page {
		cols.add(row...)
	}
	tag, err := tx.Exec(ctx, `UPDATE users SET identity = x.identity FROM unnest($1::bigint[], $2::bigint[]) x (key, identity) WHERE users.key = x.key`,
		cols.args()...)
	if err == nil && tag.RowsAffected() != int64(len(page)) {
		err = fmt.Errorf("a user after %s is missing", t.Describe(page[0]))
	}
	return err
}

// insertRecords adds decision records, and the partitions for their months.
func insertRecords(ctx context.Context, tx pgx.Tx, t *copier.Table, page []copier.Row) error {
	made := map[month]bool{}
	for _, row := range page {
		at, _ := row[slices.Index(t.Names(), "time")].(int64)
		of := monthOf(rows.Time(at))
		if made[of] {
			continue
		}
		if _, err := tx.Exec(ctx, createMonth(of)); err != nil {
			return fmt.Errorf("make the partition for %s: %w", t.Describe(row), err)
		}
		made[of] = true
	}
	return insertRows(ctx, tx, t, page)
}

// createMonth is the statement that makes the partition of a month. Unlike attachMonth it waits for all who
// use the records: nobody does.
func createMonth(m month) string {
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s PARTITION OF decision FOR VALUES FROM (%d) TO (%d)`,
		m.table(), millis(m.begin()), millis(m.next().begin()))
}

// setNumbers sets the last numbers that were given.
func setNumbers(ctx context.Context, tx pgx.Tx, _ *copier.Table, page []copier.Row) error {
	for _, row := range page {
		name, _ := row[0].(string)
		value, _ := row[1].(int64)
		query, args := `UPDATE counter SET value = $1 WHERE name = $2`, []any{value, name}
		if name != "generation" && name != copier.Decision {
			query, args = `SELECT setval($2::regclass, greatest($1::bigint, 1), $1::bigint > 0)`, []any{value, sequenceOf(name)}
		}
		if _, err := tx.Exec(ctx, query, args...); err != nil {
			return fmt.Errorf("set the last number of %s: %w", name, err)
		}
	}
	return nil
}

// End implements copier.Target. Keys that may be used again go on after the last one that is used. Servers
// make the spans of decision records.
// Statistics are made at once, because each connection of a server keeps its plans.
func (t *Target) End(ctx context.Context) error {
	return t.transact(ctx, func(tx pgx.Tx) error {
		for _, query := range []string{
			`SELECT setval('admin_token_key_seq', max(key)) FROM admin_token HAVING count(*) > 0`,
			`SELECT setval('policy_file_key_seq', max(key)) FROM policy_file HAVING count(*) > 0`,
			`SELECT setval('revision_key_seq', max(key)) FROM revision HAVING count(*) > 0`,
			`UPDATE counter SET value = coalesce((SELECT min(seq) - 1 FROM decision), (SELECT value FROM counter WHERE name = 'decision'))
				WHERE name = 'pruned'`,
			`ANALYZE`,
			`DROP TABLE copying`,
		} {
			if _, err := tx.Exec(ctx, query); err != nil {
				return err
			}
		}
		return nil
	})
}
