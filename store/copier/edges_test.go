package copier_test

import (
	"context"
	"slices"
	"testing"

	"example.com/umpire/store/copier"
)

// edges is a source with four rows in each table, whose values are those that a driver may get wrong:
// empty and NULL, quotes, other scripts, large numbers.
type edges struct{}

func (edges) Snapshot(context.Context) error                      { return nil }
func (edges) Close() error                                        { return nil }
func (edges) Count(context.Context, *copier.Table) (int64, error) { return 4, nil }
func (e edges) Page(_ context.Context, t *copier.Table, after copier.Row, _ int) (page []copier.Row, err error) {
	if after != nil {
		return nil, nil
	}
	if t.Name == copier.Number {
		for _, name := range copier.Numbers() {
			page = append(page, copier.Row{name, int64(1) << 40})
		}
		return page, nil
	}
	for i := range 4 {
		var row copier.Row
		for _, c := range t.Columns {
			row = append(row, e.value(t.Name+"."+c.Name, c, i))
		}
		page = append(page, row)
	}
	return page, nil
}

// value is that of a column in the ith row. Keys rise with i, and refer to rows that exist.
func (edges) value(column string, c copier.Column, i int) any {
	references := []string{"key", "seq", "realm", "server", "resource", "issuer", "identity", "user_key", "revision", "file", "registered", "share", "client"}
	nullable := []string{"realm.fingerprint", "client.secret", "ticket.gathered", "rpt.ticket", "policy_file.hash"}
	switch {
	case c.Type == copier.Integer && (slices.Contains(references, c.Name) || column == "decision.time"):
		return int64(i + 1)
	case c.Type == copier.Integer:
		return []int64{-1, 0, 1, 1 << 62}[i]
	case c.Type == copier.Text && (c.Name == "details" || c.Name == "claims"):
		return []string{"{ }", "{}", `{"email":"A@ö","resource_server":true}`, `{"email":1}`}[i]
	case c.Type == copier.Text:
		return []string{"", `"q\`, "NULL\n\t,{}", "Ünï – 漢"}[i]
	case c.Type == copier.Bytes && slices.Contains(nullable, column):
		return [][]byte{nil, {}, {0}, {0xff, 0, '\\'}}[i]
	case c.Type == copier.Bytes:
		return [][]byte{{}, {0}, {0, 1}, {0xff, '\\'}}[i]
	case c.Type == copier.Bool:
		return i%2 == 1
	}
	return [][]string{nil, {""}, {`a,b`, `"`, `\`, "{}", "NULL"}, {"Ünï", " ", "x"}}[i]
}

// TestCopyOfEdges: each driver returns what it was given. Copy compares it.
func TestCopyOfEdges(t *testing.T) {
	t.Parallel()
	file, database, last := place{path: newPath(t)}, place{url: newDatabase(t)}, place{path: newPath(t)}
	to := file.openTarget(t)
	report, err := copier.Copy(t.Context(), edges{}, to, silent)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, to)
	if got, want := report.Rows(), int64(4*(len(copier.Tables())-1)+len(copier.Numbers())); got != want {
		t.Errorf("got %d rows, want %d", got, want)
	}
	mustCopy(t, file, database)
	mustCopy(t, database, last)
}
