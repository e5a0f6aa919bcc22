package sqlite

import (
	"slices"
	"strings"
	"testing"

	"example.com/umpire/store/copier"
)

// notCopied are tables that are derived from others, or that say something about the file.
var notCopied = []string{
	"goose_db_version", "sqlite_sequence", "counter", // copier.Number has the numbers
	"decision", "decision_log", "decision_shared", "decision_rule", // copier.Decision has the records
	"decision_chunk", "decision_common", "decision_rare",
	"resource_part", "share_part",
	"lease", // of servers that run
}

// TestCopiedColumns: whoever adds a table or a column must say how it is copied.
func TestCopiedColumns(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	copied := map[string][]string{}
	for _, table := range copier.Tables() {
		if table.Name == copier.Decision || table.Name == copier.Number {
			continue
		}
		copied[storedTable(&table)] = append(copied[storedTable(&table)], storedColumns(&table)...)
	}
	tables, err := fetch(t.Context(), s, "tables", func(c *conn) ([]string, error) {
		return texts[string](c, `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		part, _, ofIndex := strings.Cut(table, "_part_") // an FTS5 index has several tables
		if slices.Contains(notCopied, table) || ofIndex && slices.Contains(notCopied, part+"_part") {
			continue
		}
		columns, err := fetch(t.Context(), s, "columns", func(c *conn) ([]string, error) {
			return texts[string](c, `SELECT name FROM pragma_table_info(?)`, table)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range columns {
			if !slices.Contains(copied[table], column) {
				t.Errorf("the column %s of %s is not copied", column, table)
			}
		}
		delete(copied, table)
	}
	for table := range copied {
		t.Errorf("there is no table %s", table)
	}
}

// TestCopiedNumbers: keys that are never used again are copied, too.
func TestCopiedNumbers(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	tables, err := fetch(t.Context(), s, "tables", func(c *conn) ([]string, error) {
		return texts[string](c, `SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%' AND name <> 'goose_db_version'`)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"generation", "version"}
	for _, name := range tables {
		switch name {
		case "user":
			name = "users"
		case "decision_log":
			continue
		}
		want = append(want, name)
	}
	slices.Sort(want)
	if got := copier.Numbers(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
