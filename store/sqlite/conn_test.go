package sqlite

import (
	"errors"
	"strings"
	"testing"
)

// After a panic during a read its connection is used again, and does not continue to
// read the old state of the database.
func TestPanicDuringARead(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	if err := errors.Join(s.SaveTicket(t.Context(), 1, ticket("a")), s.SaveTicket(t.Context(), 1, ticket("b"))); err != nil {
		t.Fatal(err)
	}
	for range 2 * readers {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = s.read(t.Context(), func(c *conn) error {
				return c.rows(`SELECT hash FROM ticket`, nil, func(scanFunc) error { panic("on purpose") })
			})
		}()
	}
	if err := s.SaveTicket(t.Context(), 1, ticket("c")); err != nil {
		t.Fatal(err)
	}
	if got := tickets(t, s, "a", "b", "c"); len(got) != 3 {
		t.Errorf("got %v, want all three", got)
	}
}

// A statement whose rows are being read is not started again: that would never end.
func TestStatementsAreNotNested(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	err := s.read(t.Context(), func(c *conn) error {
		const query = `SELECT name FROM sqlite_schema`
		return c.rows(query, nil, func(scanFunc) error {
			_, err := texts[string](c, query)
			return err
		})
	})
	if err == nil || !strings.Contains(err.Error(), "is being read") {
		t.Errorf("got %v", err)
	}
}
