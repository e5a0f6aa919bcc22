package postgres

import (
	"errors"
	"testing"

	"example.com/umpire/store/postgres/pgtest"
)

// TestOpenExisting: who needs a schema that is there, or only reads, makes none.
func TestOpenExisting(t *testing.T) {
	t.Parallel()
	url := server.Database(t, "bare", func(string) error { return nil })
	for name, cfg := range map[string]Config{"existing": {URL: url, Existing: true}, "reading": {URL: url, ReadOnly: true}} {
		s, err := Open(t.Context(), cfg)
		if !errors.Is(err, ErrNoSchema) || s != nil {
			t.Errorf("%s: got %v, %v, want ErrNoSchema", name, s, err)
		}
		if rows, err := pgtest.Dump(t.Context(), url); err != nil || len(rows) > 0 {
			t.Errorf("%s: got a database with %d bytes of rows, %v, want none", name, len(rows), err)
		}
	}
	open(t, Config{URL: url})
	open(t, Config{URL: url, Existing: true})
	open(t, Config{URL: url, ReadOnly: true})
}
