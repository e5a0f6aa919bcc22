package copier_test

import (
	"testing"

	"example.com/umpire/store/copier"
)

// TestCopyThereAndBack: a database with rows of every kind, copied from SQLite to PostgreSQL, from
// there to another PostgreSQL, and back to SQLite, is the same.
func TestCopyThereAndBack(t *testing.T) {
	t.Parallel()
	first := place{path: filled(t)}
	last := place{path: newPath(t)}
	route := []place{first, {url: newDatabase(t)}, {url: newDatabase(t)}, last}
	for i := range route[1:] {
		for _, table := range mustCopy(t, route[i], route[i+1]).Tables {
			if table.Rows == 0 {
				t.Errorf("there is nothing in %s", table.Name)
			}
		}
	}
	if _, err := copier.Compare(t.Context(), source(t, first), source(t, last), silent); err != nil {
		t.Error(err)
	}
}
