package sqlite

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// The last records are read from memory, the others from the file, with the same
// result. Records of a transaction that was rolled back are in neither.
func TestRecentRecords(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	for i := range memory.RecentRecords + 50 {
		st := &uma.Settlement{Now: at, Records: []uma.Record{{ID: fmt.Sprint("d", i), Time: at, Event: []byte("{}")}}}
		if i == 200 {
			st.Records[0].Event = make([]byte, memory.MaxRecent+1)
		}
		if i == 20 {
			undone := &uma.Settlement{Now: at, Successor: ticket("once"), Records: []uma.Record{{ID: "undone", Event: []byte("{}")}}}
			if err := errors.Join(s.SaveTicket(t.Context(), 0, ticket("once")), s.Commit(t.Context(), undone)); err == nil {
				t.Fatal("the same ticket was stored twice")
			}
		}
		if err := s.Commit(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
	other, err := Open(t.Context(), Config{Path: pathOf(t, s), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, other.Close)
	last := int64(memory.RecentRecords + 50)
	for _, after := range []int64{-1, 0, 49, 50, 51, 100, 190, 191, 200, 201, last - 6, last - 1, last, last + 94} {
		got, err1 := s.DecisionsAfter(t.Context(), after, 10)
		want, err2 := other.DecisionsAfter(t.Context(), after, 10)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if after >= 0 && len(want) != int(max(0, min(10, last-after))) {
			t.Errorf("after %d: the file has %d", after, len(want))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("after %d: got and want\n%+v\n%+v", after, got, want)
		}
		tooLarge := after < 201 && after+10 >= 201
		if kept := len(s.recent.After(after, 10)) > 0; kept != (after >= 50 && after < last && !tooLarge) {
			t.Errorf("after %d: kept is %v", after, kept)
		}
	}
}

// A search by time reads few pages, however many chunks there are.
func TestTimesReadBounded(t *testing.T) {
	t.Parallel()
	const chunks = 20_000
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	err := s.write(t.Context(), func(tx *conn) error {
		_, err := tx.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
			INSERT INTO decision_chunk (first, last, earliest, latest) SELECT 100 * i, 100 * i + 99, ?2 + i, ?2 + i FROM n`, chunks, rows.Millis(at))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	later := at.Add(time.Hour)
	for what, tc := range map[string]struct {
		find  func(c *conn) (int64, error)
		want  int64
		pages int
	}{
		"since a time after all": {func(c *conn) (int64, error) { return firstSince(c, later) }, 100*chunks + 100, 30},
		"until a time after all": {func(c *conn) (int64, error) { return lastUntil(c, later) }, 100*chunks + 99, 200},
		"until a time within":    {func(c *conn) (int64, error) { return lastUntil(c, at.Add(51*time.Millisecond)) }, 100*50 + 99, 30},
	} {
		err := s.read(t.Context(), func(c *conn) error {
			m := &meter{t: t, c: c}
			m.looked()
			got, err := tc.find(c)
			if pages := m.looked(); got != tc.want || pages > tc.pages {
				t.Errorf("%s: got %d after %d pages, want %d", what, got, pages, tc.want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A search since a time after all records of an earlier schema begins after them, before
// any record is indexed, too.
func TestTimesOfTheSchemaBefore(t *testing.T) {
	t.Parallel()
	path := schemaOf(t, 8, `INSERT INTO decision (id, batch, realm, time, kind, outcome, subject, client, server, resource, revision, rules, encoding, event)
		VALUES ('a', '', '', 0, '', '', '', '', '', '', '', '[]', 0, x'7b7d'), ('b', '', '', 1000, '', '', '', '', '', '', '', '[]', 0, x'7b7d')`)
	s, err := Open(t.Context(), Config{Path: path, holdIndex: true})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s.Close)
	for _, tc := range []struct {
		since time.Time
		want  int64
	}{{time.UnixMilli(0), 1}, {time.UnixMilli(1000), 2}, {at, 3}} {
		err := s.read(t.Context(), func(c *conn) error {
			got, err := firstSince(c, tc.since)
			if got != tc.want {
				t.Errorf("since %v: got %d, want %d", tc.since, got, tc.want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	keepRecord(t, s, variedRecord(1))
	if got := foundBy(t, s, uma.DecisionFilter{Since: at}, oldestFirst); !slices.Equal(got, []int64{3}) {
		t.Errorf("got %v", got)
	}
}

// A record that the index names and that is gone is not found, nor is another in its place.
func TestDecisionThatIsGone(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	keepRecord(t, s, variedRecord(1), variedRecord(2))
	indexAll(t, s, 10)
	for i, id := range []string{"d1", "d2"} {
		err := s.write(t.Context(), func(tx *conn) error {
			_, err := tx.exec(`DELETE FROM decision_log WHERE seq = ?`, i+1)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := s.Decision(t.Context(), id); !errors.Is(err, uma.ErrNotFound) {
			t.Errorf("%s: got %+v, %v", id, r, err)
		}
	}
}

// A record is found by its id in the chunks of the time in which the id was made, however many
// others there are.
func TestIDsReadBounded(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	var ids []string
	for hour := range 300 {
		made := at.Add(time.Duration(hour) * time.Hour)
		id := uuid.UUID{6: 0x70, 8: 0x80, 15: byte(hour), 14: byte(hour >> 8)}
		for i := range 6 {
			id[i] = byte(made.UnixMilli() >> (40 - 8*i))
		}
		ids = append(ids, id.String())
		keepRecord(t, s, uma.Record{ID: id.String(), Time: made, Event: []byte("{}")})
		if _, _, err := s.indexSome(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range []int{0, 1, 150, 299} {
		err := s.read(t.Context(), func(c *conn) error {
			m := &meter{t: t, c: c}
			m.looked()
			seq, err := numberOf(c, ids[i])
			if pages := m.looked(); seq != int64(i+1) || pages > 40 {
				t.Errorf("id of record %d: got %d after %d pages", i+1, seq, pages)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
