package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/folder"
	"example.com/umpire/store/copier"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A Target is a database that is copied into: see copier.Target. It holds the lock of the folder.
type Target struct{ Source }

var _ copier.Target = (*Target)(nil)

// targetPragmas are those of a target's connection. Foreign keys are checked at the end, all
// together. Rows come in the order of their keys, so that other indexes are written all over: a
// larger cache saves many reads.
var targetPragmas = []string{busyTimeout, `journal_mode = WAL`, `synchronous = FULL`, `foreign_keys = OFF`, `cache_size = -65536`}

// OpenTarget opens the database at path, and makes it with its folder if it does not exist.
func OpenTarget(ctx context.Context, path string, now time.Time) (*Target, error) {
	if _, err := folder.Secure(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("prepare the data folder: %w", err)
	}
	hold, err := holdFolder(filepath.Dir(path), now)
	if err != nil {
		return nil, err
	}
	t := &Target{Source{hold: hold}}
	if err := t.prepare(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), t.Close())
	}
	return t, nil
}

func (t *Target) prepare(ctx context.Context, path string) (err error) {
	if err := folder.Keep(path, "-wal", "-shm"); err != nil {
		return err
	}
	if err := prepareSchema(ctx, path); err != nil {
		return err
	}
	if t.conn, err = openConn(path, sqlite.OpenReadWrite, targetPragmas...); err != nil {
		return err
	}
	return checkDurable(t.conn)
}

// transact calls f in a transaction.
func (t *Target) transact(ctx context.Context, f func(tx *conn) error) error {
	return t.during(ctx, func(c *conn) error {
		if err := t.leave(); err != nil {
			return err
		}
		if _, err := c.exec(`BEGIN IMMEDIATE`); err != nil {
			return err
		}
		err := f(c)
		if err == nil {
			_, err = c.exec(`COMMIT`)
		}
		if err != nil {
			c.unlimit() // an interrupt does not keep the transaction open
			_, failed := c.exec(`ROLLBACK`)
			return errors.Join(err, failed)
		}
		return nil
	})
}

// Progress implements copier.Target.
func (t *Target) Progress(ctx context.Context) (p *copier.Progress, err error) {
	err = t.during(ctx, func(c *conn) error {
		unfinished, err := isUnfinished(c)
		if err != nil || !unfinished {
			return err
		}
		p = new(copier.Progress)
		return c.row(`SELECT source, name, after FROM copying`, nil, &p.Of, &p.Table, &p.After)
	})
	return p, err
}

// Begin implements copier.Target.
func (t *Target) Begin(ctx context.Context, p copier.Progress) error {
	return t.transact(ctx, func(tx *conn) error {
		if _, err := tx.exec(`CREATE TABLE copying (source BLOB NOT NULL, name TEXT NOT NULL, after BLOB) STRICT`); err != nil {
			return err
		}
		_, err := tx.exec(`INSERT INTO copying VALUES (?, ?, ?)`, p.Of, p.Table, p.After)
		return err
	})
}

// Write implements copier.Target.
func (t *Target) Write(ctx context.Context, of *copier.Table, page []copier.Row, p copier.Progress) error {
	write := insertRows
	switch of.Name {
	case copier.Number:
		write = setNumbers
	case copier.Decision:
		write = insertRecords
	case "resource":
		write = insertResources
	}
	return t.transact(ctx, func(tx *conn) error {
		if err := write(tx, of, page); err != nil {
			return err
		}
		_, err := tx.exec(`UPDATE copying SET name = ?, after = ?`, p.Table, p.After)
		return err
	})
}

// insertRows adds rows to a table that has their columns.
func insertRows(tx *conn, t *copier.Table, page []copier.Row) error {
	query := `INSERT INTO ` + storedTable(t) + ` (` + strings.Join(storedColumns(t), ", ") + `) VALUES (` + parameters(len(t.Columns)) + `)`
	if t.Name == copier.Party {
		query = `UPDATE user SET identity = ?2 WHERE key = ?1`
	}
	args := make([]any, len(t.Columns))
	for _, row := range page {
		for i, value := range row {
			if list, ok := value.([]string); ok {
				value = rows.ListText(list)
			}
			args[i] = value
		}
		changed, err := tx.exec(query, args...)
		if err == nil && changed == 0 {
			err = errors.New("the row that it belongs to is missing")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.Describe(row), err)
		}
	}
	return nil
}

// insertResources adds resources, and what finds parts of their names.
func insertResources(tx *conn, t *copier.Table, page []copier.Row) error {
	if err := insertRows(tx, t, page); err != nil {
		return err
	}
	for _, row := range page {
		values := map[string]any{}
		for i, c := range t.Columns {
			values[c.Name] = row[i]
		}
		key, _ := values["key"].(int64)
		server, _ := values["server"].(int64)
		name, _ := values["name"].(string)
		of, _ := values["type"].(string)
		if err := addParts(tx, &uma.Resource{Key: uma.Key(key), Server: uma.Key(server), Name: name, Type: of}); err != nil {
			return err
		}
	}
	return nil
}

// insertRecords adds decision records. Those of one request follow each other, and share parts.
func insertRecords(tx *conn, t *copier.Table, page []copier.Row) error {
	var records []uma.Record
	for i, row := range page {
		r, err := recordOf(row)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Describe(row), err)
		}
		if n := len(records); n > 0 && records[n-1].Batch != r.Batch {
			if err := insertBatch(tx, records); err != nil {
				return err
			}
			records = records[:0]
		}
		records = append(records, r)
		if i == len(page)-1 {
			return insertBatch(tx, records)
		}
	}
	return nil
}

// insertBatch adds the records of one request, with the numbers that they have.
func insertBatch(tx *conn, records []uma.Record) error {
	seqs := make([]int64, len(records))
	for i := range records {
		seqs[i] = records[i].Seq
	}
	if err := saveNumbered(tx, records, packRecords(records), func(i int) any { return seqs[i] }); err != nil {
		return fmt.Errorf("the record %d: %w", seqs[0], err)
	}
	return nil
}

// recordOf is the record of a row of copier.Decision.
func recordOf(row copier.Row) (r uma.Record, err error) {
	var ok bool
	if r.Seq, ok = row[0].(int64); !ok {
		return r, errPacked
	}
	at, ok := row[1].(int64)
	r.Time = rows.Time(at)
	for i, text := range []*string{&r.ID, &r.Batch, &r.Realm, &r.Kind, &r.Outcome, &r.Answered, &r.Subject, &r.Client, &r.Server,
		(*string)(&r.Resource), &r.Revision, &r.Request} {
		s, is := row[2+i].(string)
		*text, ok = s, ok && is
	}
	var rules, event bool
	r.Rules, rules = row[14].([]string)
	r.Event, event = row[15].([]byte)
	if !ok || !rules || !event {
		return r, errPacked
	}
	return r, nil
}

// setNumbers sets the last numbers that were given.
func setNumbers(tx *conn, _ *copier.Table, page []copier.Row) error {
	for _, row := range page {
		name, value := row[0], row[1]
		commands := []command{
			{`DELETE FROM sqlite_sequence WHERE name = ?`, []any{name}},
			{`INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)`, []any{name, value}},
		}
		switch name {
		case "generation", "version":
			commands = []command{{`UPDATE counter SET value = ? WHERE name = ?`, []any{value, name}}}
		case "users":
			commands[0].args[0], commands[1].args[0] = "user", "user"
		case copier.Decision:
			commands[0].args[0], commands[1].args[0] = "decision_log", "decision_log"
		}
		if err := runAll(tx, commands); err != nil {
			return err
		}
	}
	return nil
}

// End implements copier.Target. It indexes the decision records.
func (t *Target) End(ctx context.Context) error {
	for more := true; more; {
		err := t.transact(ctx, func(tx *conn) error {
			next, err := readChunk(tx, nil, maxIndexChunk)
			if more = err == nil && len(next.records) > 0; !more {
				return err
			}
			terms := next.terms()
			_, err = terms.add(tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("index decision records: %w", err)
		}
	}
	return t.transact(ctx, func(tx *conn) error {
		var table string
		switch err := tx.row(`SELECT "table" FROM pragma_foreign_key_check LIMIT 1`, nil, &table); {
		case err == nil:
			return fmt.Errorf("a row of %s refers to one that does not exist", table)
		case !errors.Is(err, uma.ErrNotFound):
			return err
		}
		_, err := tx.exec(`DROP TABLE copying`)
		return err
	})
}
