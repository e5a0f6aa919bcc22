package postgres

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/store/copier"
)

// notCopied are tables and columns that are derived from others, or that say something about the
// database and its servers.
var notCopied = []string{
	"goose_db_version", "writer", "lease", "counter", // copier.Number has the numbers
	"decision_span",
	"client.resource_server", "users.email", "share.size",
}

// TestCopiedColumns: whoever adds a table or a column must say how it is copied.
func TestCopiedColumns(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	copied := map[string]bool{}
	for _, table := range copier.Tables() {
		name := table.Name
		switch name {
		case copier.Number:
			continue
		case copier.Party:
			name = "users"
		}
		for _, column := range storedColumns(&table) {
			copied[name+"."+column] = true
		}
	}
	columns, err := fetch(t.Context(), s, "columns", func(c *conn) ([]string, error) {
		return texts[string](c, `SELECT a.attrelid::regclass || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
			WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
			AND a.attnum > 0 AND NOT a.attisdropped AND a.attrelid::regclass::text <> ALL($1)`, notCopied)
	})
	if err != nil || len(columns) < 200 {
		t.Fatalf("%d columns, %v", len(columns), err)
	}
	for _, column := range columns {
		if !copied[column] && !slices.Contains(notCopied, column) {
			t.Errorf("the column %s is not copied", column)
		}
		delete(copied, column)
	}
	for column := range copied {
		t.Errorf("there is no column %s", column)
	}
}

// TestCopyPlans: a page of a copy is read along an index, not sorted out of the whole table.
func TestCopyPlans(t *testing.T) {
	t.Parallel()
	cfg, err := copyConfig(newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, func() error { return c.Close(context.Background()) })
	if _, err := c.Exec(t.Context(), createMonth(monthOf(at))); err != nil {
		t.Fatal(err)
	}
	for _, table := range copier.Tables() {
		if table.Name == copier.Number || slices.Contains(smallTables, table.Name) {
			continue
		}
		for _, after := range []bool{false, true} {
			plan, err := explain(t.Context(), c, pageQuery(&table, after, 100))
			if err != nil {
				t.Fatalf("%s: %v", table.Name, err)
			}
			if found := append(plan.unbounded(false, nil), plan.sorts(nil)...); len(found) > 0 {
				t.Errorf("%s: %q", table.Name, found)
			}
		}
	}
}

// sorts returns where a plan sorts all rows, rather than those with the same beginning of a key.
func (p *plan) sorts(found []string) []string {
	if p.Type == "Sort" {
		found = append(found, p.Type)
	}
	for _, sub := range p.Plans {
		found = sub.sorts(found)
	}
	return found
}

// TestCopiedNumbers: keys that are never used again are copied, too; others are set at the end of a copy.
func TestCopiedNumbers(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	sequences, err := fetch(t.Context(), s, "sequences", func(c *conn) ([]string, error) {
		return texts[string](c, `SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1`)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"admin_token_key_seq", "goose_db_version_id_seq", "policy_file_key_seq", "revision_key_seq"}
	for _, name := range copier.Numbers() {
		if name != "generation" && name != copier.Decision {
			want = append(want, sequenceOf(name))
		}
	}
	slices.Sort(want)
	if !slices.Equal(sequences, want) {
		t.Errorf("got %q, want %q", sequences, want)
	}
}
