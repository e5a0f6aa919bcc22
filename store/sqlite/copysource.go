package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/umpire/folder"
	"example.com/umpire/store/copier"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A Source is a database that is copied: see copier.Source. It holds the lock of the folder, so that
// no server uses it meanwhile.
type Source struct {
	conn *conn
	hold *folder.Hold // nil on a disk that is read-only
	open bool         // a transaction was begun
}

var _ copier.Source = (*Source)(nil)

// OpenSource opens the database at path for reading only.
func OpenSource(path string, now time.Time) (*Source, error) {
	hold, err := holdFolder(filepath.Dir(path), now)
	if err != nil && !errors.Is(err, syscall.EROFS) { // no server can run there
		return nil, err
	}
	s := &Source{hold: hold}
	open, err := openStill(path)
	if err == nil {
		s.conn, err = open()
	}
	if err == nil {
		err = refuseUnfinished(s.conn)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), s.Close())
	}
	return s, nil
}

// holdFolder locks a folder as a server does.
func holdFolder(dir string, now time.Time) (*folder.Hold, error) {
	holder, err := folder.Holder(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if holder != "" {
		return nil, fmt.Errorf("%s is in use by %s: stop it while the database is copied", dir, holder)
	}
	hold, err := folder.Take(dir, now)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	return hold, nil
}

// copying is the name of the table that a database has while a copy into it is not complete.
const copying = "copying"

// isUnfinished reports whether a copy into the database is not complete.
func isUnfinished(c *conn) (bool, error) {
	found, err := c.exists(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?`, copying)
	return found, reading("whether a copy is complete", err)
}

func refuseUnfinished(c *conn) error {
	unfinished, err := isUnfinished(c)
	if err == nil && unfinished {
		err = copier.ErrUnfinished
	}
	return err
}

// Close implements copier.Source.
func (s *Source) Close() error {
	var errs []error
	if s.conn != nil {
		errs = append(errs, s.conn.close())
	}
	if s.hold != nil {
		errs = append(errs, s.hold.Release())
	}
	return errors.Join(errs...)
}

// during calls f while statements end with ctx.
func (s *Source) during(ctx context.Context, f func(c *conn) error) error {
	s.conn.limit(ctx, math.MaxInt)
	defer s.conn.unlimit()
	return f(s.conn)
}

// Snapshot implements copier.Source.
func (s *Source) Snapshot(ctx context.Context) error {
	return s.during(ctx, func(c *conn) error {
		if err := s.leave(); err != nil {
			return err
		}
		if _, err := c.exec(`BEGIN`); err != nil {
			return err
		}
		s.open = true
		_, err := c.exists(`SELECT 1 FROM sqlite_schema LIMIT 1`) // the first statement takes the snapshot
		return err
	})
}

// leave ends the transaction.
func (s *Source) leave() error {
	if !s.open {
		return nil
	}
	s.open = false
	_, err := s.conn.exec(`ROLLBACK`)
	return err
}

// Count implements copier.Source.
func (s *Source) Count(ctx context.Context, t *copier.Table) (n int64, err error) {
	query := `SELECT count(*) FROM ` + storedTable(t)
	switch t.Name {
	case copier.Number:
		return int64(len(copier.Numbers())), nil
	case copier.Party:
		query += ` WHERE identity IS NOT NULL`
	case copier.Decision:
		query = `SELECT (SELECT count(*) FROM decision) + (SELECT count(*) FROM decision_log)`
	}
	err = s.during(ctx, func(c *conn) error { return c.row(query, nil, &n) })
	return n, err
}

// Page implements copier.Source.
func (s *Source) Page(ctx context.Context, t *copier.Table, after copier.Row, limit int) (page []copier.Row, err error) {
	err = s.during(ctx, func(c *conn) (err error) {
		switch t.Name {
		case copier.Number:
			page, err = numbersAfter(c, after)
		case copier.Decision:
			page, err = recordsAfter(c, after, limit)
		default:
			page, err = rowsAfter(c, t, after, limit)
		}
		return err
	})
	return page, err
}

// storedTable is the table that keeps a table of package copier.
func storedTable(t *copier.Table) string {
	switch t.Name {
	case "users", copier.Party:
		return "user"
	}
	return t.Name
}

// storedColumn is the column of that table that keeps a column.
func storedColumn(t *copier.Table, column string) string {
	switch t.Name + "." + column {
	case "session.user_id", "identity.user_key":
		return "user"
	case "party.user_key":
		return "key"
	case "admin_token.key": // the order in which they were made
		return "rowid"
	}
	return column
}

func storedColumns(t *copier.Table) []string {
	names := t.Names()
	for i, name := range names {
		names[i] = storedColumn(t, name)
	}
	return names
}

// rowsAfter reads a page of a table that has the columns of a row.
func rowsAfter(c *conn, t *copier.Table, after copier.Row, limit int) ([]copier.Row, error) {
	columns := storedColumns(t)
	key := strings.Join(columns[:t.Key], ", ")
	var where []string
	if t.Name == copier.Party {
		where = append(where, `identity IS NOT NULL`)
	}
	if after != nil {
		where = append(where, `(`+key+`) > (`+parameters(t.Key)+`)`)
	}
	query := `SELECT ` + strings.Join(columns, ", ") + ` FROM ` + storedTable(t)
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	var p pageOfRows
	err := c.rows(query+` ORDER BY `+key+` LIMIT ? + 0`, append(slices.Clone(after), limit), func(scan scanFunc) error {
		row, err := scanRow(scan, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Describe(row), err)
		}
		return p.add(row)
	})
	return p.rows, p.done(err)
}

// parameters are n of them, for a list in a statement.
func parameters(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// scanRow reads a row with the columns of a table. With an error it returns what was read.
func scanRow(scan scanFunc, t *copier.Table) (copier.Row, error) {
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
			dest[i] = new(names)
		}
	}
	err := scan(dest...) // the key comes first, and is there if another column cannot be read
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
		case *names:
			row[i] = []string(*d)
		}
	}
	return row, err
}

// A pageOfRows has at most copier.PageBytes, but for its last row.
type pageOfRows struct {
	rows []copier.Row
	size int
}

// add adds a row. It returns errEnough after the last.
func (p *pageOfRows) add(row copier.Row) error {
	p.rows = append(p.rows, row)
	if p.size += row.Size(); p.size >= copier.PageBytes {
		return errEnough
	}
	return nil
}

func (p *pageOfRows) done(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// recordsAfter reads a page of decision records: those of an earlier schema, then others.
func recordsAfter(c *conn, after copier.Row, limit int) ([]copier.Row, error) {
	seq := int64(math.MinInt64)
	if after != nil {
		seq, _ = after[0].(int64)
	}
	var twice int64
	err := c.row(`SELECT coalesce(max(seq), 0) FROM decision WHERE seq >= (SELECT min(seq) FROM decision_log)`, nil, &twice)
	if err != nil {
		return nil, err
	}
	if twice != 0 {
		return nil, fmt.Errorf("records up to number %d were written by two umpires of different versions at once, and some numbers are used twice: "+
			"export these records, and remove them with `umpire decisions prune`", twice)
	}
	var p pageOfRows
	err = c.rows(`SELECT`+recordColumns+`FROM decision WHERE seq > ? ORDER BY seq LIMIT ? + 0`, []any{seq, limit}, func(scan scanFunc) error {
		r, err := scanRecord(scan)
		if err != nil {
			return fmt.Errorf("the record %d: %w", r.Seq, err)
		}
		return p.add(rowOf(&r))
	})
	if err != nil || len(p.rows) > 0 {
		return p.rows, p.done(err)
	}
	err = c.rows(`SELECT`+loggedColumns+`FROM decision_log WHERE seq > ? ORDER BY seq LIMIT ? + 0`, []any{seq, limit}, func(scan scanFunc) error {
		var r uma.Record
		var encoding int64
		var own, parts []byte
		err := scan(&r.Seq, (*packedFields)(&r), &encoding, &own, &parts)
		if err == nil {
			r.Event, err = decodeEvent(r.ID, encoding, own, parts)
		}
		if err != nil {
			return fmt.Errorf("the record %d: %w", r.Seq, err)
		}
		return p.add(rowOf(&r))
	})
	return p.rows, p.done(err)
}

// rowOf is a decision record as a row of copier.Decision.
func rowOf(r *uma.Record) copier.Row {
	return copier.Row{r.Seq, rows.Millis(r.Time), r.ID, r.Batch, r.Realm, r.Kind, r.Outcome, r.Answered, r.Subject, r.Client, r.Server,
		string(r.Resource), r.Revision, r.Request, r.Rules, r.Event}
}

// numbersAfter reads copier.Number.
func numbersAfter(c *conn, after copier.Row) ([]copier.Row, error) {
	numbers := map[string]int64{}
	err := c.rows(`SELECT name, value FROM counter UNION ALL SELECT name, seq FROM sqlite_sequence`, nil, func(scan scanFunc) error {
		var name string
		var value int64
		err := scan(&name, &value)
		switch name {
		case "user":
			name = "users"
		case "decision_log":
			name = copier.Decision
		}
		numbers[name] = max(numbers[name], value)
		return err
	})
	if err != nil {
		return nil, err
	}
	var page []copier.Row
	for _, name := range copier.Numbers() {
		if after == nil || name > after[0].(string) {
			page = append(page, copier.Row{name, numbers[name]})
		}
	}
	return page, nil
}
