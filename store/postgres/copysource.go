package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/store/copier"
)

// A Source is a database that is copied: see copier.Source. No server may use it meanwhile: that is
// looked for whenever a snapshot is taken.
type Source struct {
	conn *pgx.Conn
	open bool // a transaction was begun
}

var _ copier.Source = (*Source)(nil)

// OpenSource opens a database for reading only.
func OpenSource(ctx context.Context, url string) (*Source, error) {
	cfg, err := copyConfig(url)
	if err != nil {
		return nil, err
	}
	version, err := lastVersion(migrations)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, cfg, version, true); err != nil {
		return nil, opening(url, err)
	}
	cfg.RuntimeParams["default_transaction_read_only"] = "on"
	s := new(Source)
	if s.conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
		return nil, opening(url, err)
	}
	if err := refuseUnfinished(ctx, s.conn); err != nil {
		return nil, errors.Join(opening(url, err), s.Close())
	}
	return s, nil
}

// copyConfig is the configuration of a connection whose transactions take as long as they need: one
// reads all of a database.
func copyConfig(url string) (*pgx.ConnConfig, error) {
	cfg, err := parse(url, maxConnections)
	if err != nil {
		return nil, err
	}
	for _, timeout := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		cfg.ConnConfig.RuntimeParams[timeout] = "0"
	}
	cfg.ConnConfig.RuntimeParams["enable_sort"] = "off" // a page is read along an index, whatever is known of a table
	return cfg.ConnConfig, nil
}

func opening(url string, err error) error { return fmt.Errorf("open %s: %w", Shown(url), err) }

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// isUnfinished reports whether a copy into the database is not complete: it has the table copying
// meanwhile.
func isUnfinished(ctx context.Context, q querier) (unfinished bool, err error) {
	err = q.QueryRow(ctx, `SELECT to_regclass('copying') IS NOT NULL`).Scan(&unfinished)
	return unfinished, reading("whether a copy is complete", err)
}

func refuseUnfinished(ctx context.Context, q querier) error {
	unfinished, err := isUnfinished(ctx, q)
	if err == nil && unfinished {
		err = copier.ErrUnfinished
	}
	return err
}

// Close implements copier.Source.
func (s *Source) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	return s.conn.Close(ctx)
}

// Snapshot implements copier.Source.
func (s *Source) Snapshot(ctx context.Context) error {
	if err := s.leave(ctx); err != nil {
		return err
	}
	if _, err := s.conn.Exec(ctx, snapshot); err != nil {
		return err
	}
	s.open = true
	return checkUnused(ctx, s.conn)
}

// leave ends the transaction.
func (s *Source) leave(ctx context.Context) error {
	if !s.open {
		return nil
	}
	s.open = false
	_, err := s.conn.Exec(ctx, `ROLLBACK`)
	return err
}

// unusedAfter is how long a process that uses the database may have said nothing: three times
// aliveEvery.
const unusedAfter = 3 * aliveEvery

// checkUnused returns an error if a server or a command uses the database.
func checkUnused(ctx context.Context, q querier) error {
	var process string
	err := q.QueryRow(ctx, `SELECT process FROM writer WHERE seen > `+databaseClock+` - $1 LIMIT 1`, unusedAfter.Milliseconds()).Scan(&process)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return reading("who uses the database", err)
	}
	return fmt.Errorf("the process %s uses the database: stop all its servers while it is copied "+
		"(of one that was killed, this is said for %v)", process, unusedAfter)
}

// Count implements copier.Source.
func (s *Source) Count(ctx context.Context, t *copier.Table) (n int64, err error) {
	query := `SELECT count(*) FROM ` + storedTable(t)
	switch t.Name {
	case copier.Number:
		return int64(len(copier.Numbers())), nil
	case copier.Party:
		query += ` WHERE identity IS NOT NULL`
	}
	err = s.conn.QueryRow(ctx, query).Scan(&n)
	return n, err
}

// storedTable is the table that keeps a table of package copier, in quotes.
func storedTable(t *copier.Table) string {
	if t.Name == copier.Party {
		return quoted("users")
	}
	return quoted(t.Name)
}

// storedColumns are the columns of that table that keep the columns, without quotes.
func storedColumns(t *copier.Table) []string {
	names := t.Names()
	if t.Name == copier.Party {
		names[0] = "key"
	}
	return names
}

func quoted(names ...string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = pgx.Identifier{name}.Sanitize()
	}
	return strings.Join(all, ", ")
}

// Page implements copier.Source.
func (s *Source) Page(ctx context.Context, t *copier.Table, after copier.Row, limit int) ([]copier.Row, error) {
	if t.Name == copier.Number {
		return s.numbers(ctx, after)
	}
	found, err := s.conn.Query(ctx, pageQuery(t, after != nil, limit), after...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var page []copier.Row
	for size := 0; size < copier.PageBytes && found.Next(); {
		row, err := scanRow(found, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Describe(row), err)
		}
		page = append(page, row)
		size += row.Size()
	}
	found.Close()
	return page, found.Err()
}

// pageQuery reads the rows of a table from its beginning, or after one whose key is given.
func pageQuery(t *copier.Table, after bool, limit int) string {
	key, last := order(t)
	var where []string
	if t.Name == copier.Party {
		where = append(where, `identity IS NOT NULL`)
	}
	if after {
		where = append(where, `(`+key+`) > (`+last+`)`)
	}
	query := `SELECT ` + quoted(storedColumns(t)...) + ` FROM ` + storedTable(t)
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	return query + fmt.Sprint(` ORDER BY `, key, ` LIMIT `, limit)
}

// order returns what the rows of a table are in the order of, and the same of a row whose key is given. Indexes have
// only the beginnings of URIs: see long_digest in the schema.
func order(t *copier.Table) (key, of string) {
	var columns, values []string
	for i, name := range storedColumns(t)[:t.Key] {
		column, value := quoted(name), fmt.Sprint("$", i+1)
		if t.Name == "resource_uri" && name == "uri" || t.Name == "uri_pattern" && name == "key" {
			columns, values = append(columns, `left(`+column+`, 400)`), append(values, `left(`+value+`, 400)`)
		}
		columns, values = append(columns, column), append(values, value)
	}
	return strings.Join(columns, ", "), strings.Join(values, ", ")
}

// scanRow reads a row with the columns of a table. With an error it returns what was read.
func scanRow(found pgx.Rows, t *copier.Table) (copier.Row, error) {
	dest := make([]any, len(t.Columns))
	for i, column := range t.Columns {
		switch column.Type {
		case copier.Integer:
			dest[i] = new(int64)
		case copier.Text:
			dest[i] = new(string)
		case copier.Bytes:
			dest[i] = new([]byte)
		case copier.Bool:
			dest[i] = new(bool)
		case copier.List:
			dest[i] = new([]string)
		}
	}
	err := found.Scan(dest...)
	row := make(copier.Row, len(dest))
	for i, d := range dest {
		switch d := d.(type) {
		case *int64:
			row[i] = *d
		case *string:
			row[i] = *d
		case *[]byte:
			row[i] = *d
		case *bool:
			row[i] = *d
		case *[]string:
			row[i] = *d
		}
	}
	return row, err
}

// sequenceOf is the sequence that gives the keys of a table, or the versions.
func sequenceOf(name string) string {
	switch name {
	case "version":
		return name
	case "admin_use":
		return "admin_use_seq_seq"
	}
	return name + "_key_seq"
}

// numbers reads copier.Number.
func (s *Source) numbers(ctx context.Context, after copier.Row) ([]copier.Row, error) {
	found, err := s.conn.Query(ctx, `SELECT name, value FROM counter
		UNION ALL SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = current_schema()`)
	if err != nil {
		return nil, err
	}
	last := map[string]int64{}
	var name string
	var value int64
	if _, err := pgx.ForEachRow(found, []any{&name, &value}, func() error { last[name] = value; return nil }); err != nil {
		return nil, err
	}
	var page []copier.Row
	for _, name := range copier.Numbers() {
		of := name
		if name != "generation" && name != copier.Decision {
			of = sequenceOf(name)
		}
		value, known := last[of]
		switch {
		case !known:
			return nil, fmt.Errorf("there is no counter or sequence %s", of)
		case after == nil || name > after[0].(string):
			page = append(page, copier.Row{name, value})
		}
	}
	return page, nil
}
