package copier

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"strings"
)

// A Difference is the first one that was found between two databases. It has no values of rows
// but keys.
type Difference struct{ what string }

func (d *Difference) Error() string { return "the databases differ: " + d.what }

// Compare compares all rows of two databases by their SHA-256, as they are now. Its error is a
// *Difference if they differ: then it returns the tables before, which are equal. It calls tell for each table, and from time to time.
func Compare(ctx context.Context, a, b Source, tell func(Step)) ([]TableReport, error) {
	if err := a.Snapshot(ctx); err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	if err := b.Snapshot(ctx); err != nil {
		return nil, fmt.Errorf("read the target: %w", err)
	}
	var reports []TableReport
	for _, t := range Tables() {
		of, err := a.Count(ctx, &t)
		if err != nil {
			return nil, fmt.Errorf("count the rows of %s: %w", t.Name, err)
		}
		report, err := compareTable(ctx, a, b, &t, func(rows int64) { tell(Step{"compared", t.Name, rows, of}) })
		if err != nil {
			return reports, fmt.Errorf("compare %s: %w", t.Name, err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// A tableSum is the SHA-256 of the rows that were found equal.
type tableSum struct {
	rows int64
	all  hash.Hash
	x, y []byte // room for encoded rows
}

func compareTable(ctx context.Context, a, b Source, t *Table, tell func(rows int64)) (TableReport, error) {
	report := TableReport{Name: t.Name}
	ra, rb := read(ctx, a, t, nil), read(ctx, b, t, nil)
	defer ra.close()
	defer rb.close()
	sum := tableSum{all: sha256.New()}
	for {
		x, y, err := both(ra, rb)
		if err != nil {
			return report, err
		}
		if x == nil && y == nil {
			report.Rows = sum.rows
			tell(sum.rows)
			sum.all.Sum(report.SHA256[:0])
			return report, nil
		}
		if err := sum.add(t, x, y); err != nil {
			return report, err
		}
		if sum.rows%maxPage == 0 {
			tell(sum.rows)
		}
	}
}

// add adds a row of each database, or returns how they differ.
func (s *tableSum) add(t *Table, x, y Row) error {
	switch {
	case y == nil || x != nil && compare(x[:t.Key], y[:t.Key]) < 0:
		return &Difference{t.Describe(x) + " is not in the target"}
	case x == nil || compare(x[:t.Key], y[:t.Key]) > 0:
		return &Difference{t.Describe(y) + " is not in the source"}
	}
	s.x, s.y = x.Encode(s.x[:0]), y.Encode(s.y[:0])
	have, want := sha256.Sum256(s.x), sha256.Sum256(s.y)
	if have != want {
		return &Difference{fmt.Sprintf("%s has another value of: %s", t.Describe(x), strings.Join(t.differing(x, y), ", "))}
	}
	s.rows++
	s.all.Write(have[:]) // a hash returns no errors
	return nil
}

// differing returns the names of the columns that differ.
func (t *Table) differing(x, y Row) (names []string) {
	for i, c := range t.Columns {
		if string(Row{x[i]}.Encode(nil)) != string(Row{y[i]}.Encode(nil)) {
			names = append(names, c.Name)
		}
	}
	return names
}
