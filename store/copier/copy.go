package copier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// A Source is a database that is read. It is for one goroutine at a time, and nobody else uses the
// database meanwhile: see the drivers for how they make sure.
type Source interface {
	// Snapshot makes all that is read from now on the state of the database as of now.
	Snapshot(ctx context.Context) error

	// Count returns how many rows a table has.
	Count(ctx context.Context, t *Table) (int64, error)

	// Page returns the next rows of a table in the order of keys: those after a key, from the
	// first on if it is nil, at most limit, and none once they have PageBytes. It returns no rows
	// if there are no more.
	Page(ctx context.Context, t *Table, after Row, limit int) ([]Row, error)

	// Close releases the database.
	Close() error
}

// A Target is a database that is copied into. Servers refuse it from Begin to End.
type Target interface {
	Source

	// Progress returns how far a copy has come that was begun and not ended; nil: none was.
	Progress(ctx context.Context) (*Progress, error)

	// Begin notes that a copy begins.
	Begin(ctx context.Context, p Progress) error

	// Write adds rows and notes how far the copy has come, in one transaction.
	Write(ctx context.Context, t *Table, rows []Row, p Progress) error

	// End derives what is not derived row by row, and notes that the copy is complete.
	End(ctx context.Context) error
}

// A Progress says how far a copy has come.
type Progress struct {
	Of    []byte // what is copied: see identify
	Table string // that was written to last; empty: none was yet
	After []byte // the key of the last row there, encoded
}

const (
	// PageBytes is how many bytes a page has, but for its last row.
	PageBytes = 4 << 20

	firstPage = 100  // rows, while it is not known how large those of a table are
	maxPage   = 2000 // rows
)

// ErrUnfinished is the error of opening a database that a copy is not complete in.
var ErrUnfinished = errors.New("a copy into this database is not complete: run `umpire store copy` again, with the same --from and --to")

var (
	errNotEmpty = errors.New("the target is not empty: copy into a new database")
	errOther    = errors.New("the target has an unfinished copy of another database, or of an earlier state of this one: " +
		"remove the target, and copy into a new one")
)

// A Step tells what is being done.
type Step struct {
	Verb  string // copied or compared
	Table string
	Rows  int64 // with which it was done so far, and when the copy was begun before
	Of    int64
}

// A Report is what was copied and compared.
type Report struct {
	Resumed bool // a copy that was begun before went on
	Tables  []TableReport
}

// A TableReport says what a table has, in both databases.
type TableReport struct {
	Name   string
	Rows   int64
	SHA256 [sha256.Size]byte // of the SHA-256 of each row in its encoded form, in the order of keys
}

// Rows are the rows of all tables together.
func (r *Report) Rows() (n int64) {
	for _, t := range r.Tables {
		n += t.Rows
	}
	return n
}

// Copy copies all rows of a database into an empty one, or goes on with a copy of the same database
// that was interrupted; then it compares all rows. It calls tell after each page.
func Copy(ctx context.Context, from Source, to Target, tell func(Step)) (report *Report, err error) {
	defer func() {
		if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) { // of a statement that was canceled
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}()
	if err := from.Snapshot(ctx); err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	of, err := identify(ctx, from)
	if err != nil {
		return nil, err
	}
	at, resumed, err := begin(ctx, to, of)
	if err != nil {
		return nil, err
	}
	if err := copyTables(ctx, from, to, at, tell); err != nil {
		return nil, err
	}
	report = &Report{Resumed: resumed}
	if report.Tables, err = Compare(ctx, from, to, tell); err != nil {
		return report, err
	}
	if err := to.End(ctx); err != nil {
		return nil, fmt.Errorf("end the copy: %w", err)
	}
	return report, nil
}

// identify returns a digest that no other database has, nor the same one after its server has
// changed it: of its secrets, and of the last numbers.
func identify(ctx context.Context, from Source) ([]byte, error) {
	all := sha256.New()
	for _, t := range Tables() {
		if t.Name != "sealed" && t.Name != Number {
			continue
		}
		err := eachPage(ctx, from, &t, nil, func(rows []Row) error {
			for _, row := range rows {
				all.Write(row.Encode(nil)) // a hash returns no errors
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the source: %w", err)
		}
	}
	return all.Sum(nil), nil
}

// begin returns how far a copy has come, after it began a new one in an empty database.
func begin(ctx context.Context, to Target, of []byte) (at Progress, resumed bool, err error) {
	there, err := to.Progress(ctx)
	switch {
	case err != nil:
		return at, false, fmt.Errorf("read how far the copy has come: %w", err)
	case there == nil:
		if err := checkEmpty(ctx, to); err != nil {
			return at, false, err
		}
		at.Of = of
		return at, false, to.Begin(ctx, at)
	case !bytes.Equal(there.Of, of):
		return at, false, errOther
	}
	return *there, true, nil
}

func checkEmpty(ctx context.Context, to Target) error {
	if err := to.Snapshot(ctx); err != nil {
		return fmt.Errorf("read the target: %w", err)
	}
	for _, t := range Tables() {
		rows, err := to.Page(ctx, &t, nil, len(Numbers()))
		if err != nil {
			return fmt.Errorf("read the target: %w", err)
		}
		used := func(row Row) bool { return t.Name != Number || row[1] != int64(0) }
		if slices.ContainsFunc(rows, used) {
			return fmt.Errorf("%w (%s has rows)", errNotEmpty, t.Name)
		}
	}
	return nil
}

// copyTables copies the rows that follow those that were copied before.
func copyTables(ctx context.Context, from Source, to Target, at Progress, tell func(Step)) error {
	tables := Tables()
	first := max(0, slices.IndexFunc(tables, func(t Table) bool { return t.Name == at.Table }))
	after, err := decodeKey(at.After)
	if err != nil {
		return err
	}
	for _, t := range tables[first:] {
		of, err := from.Count(ctx, &t)
		if err != nil {
			return fmt.Errorf("count the rows of %s: %w", t.Name, err)
		}
		step := Step{Verb: "copied", Table: t.Name, Of: of}
		err = eachPage(ctx, from, &t, after, func(rows []Row) error {
			last := rows[len(rows)-1]
			at.Table, at.After = t.Name, last[:t.Key].Encode(nil)
			if err := to.Write(ctx, &t, rows, at); err != nil {
				return fmt.Errorf("write the target: %w", err)
			}
			step.Rows += int64(len(rows))
			tell(step)
			return nil
		})
		if err != nil {
			return fmt.Errorf("copy %s: %w", t.Name, err)
		}
		after = nil
	}
	return nil
}
