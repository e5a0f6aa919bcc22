package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// Fields are read as they were written, and damaged ones are an error.
func FuzzPackedRecords(f *testing.F) {
	f.Add("d", "photoz", "rule", int64(1), []byte{packedRecord, 2, 1})
	f.Add("", "\x00\xff", "", int64(0), []byte{})
	f.Fuzz(func(t *testing.T, a, b, rule string, at int64, packed []byte) {
		want := uma.Record{ID: a, Realm: b, Request: a + b, Rules: []string{rule, b}}
		if at %= 1 << 40; at != 0 {
			want.Time = time.UnixMilli(at).UTC()
		}
		var got uma.Record
		if err := unpackRecord(string(packRecord(&want)), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
		if err := unpackRecord(string(packed), &got); err == nil && len(packed) < 14 {
			t.Fatalf("%q was read", packed)
		}
		_, _ = unpackSeqs(1, packed)
	})
}

// A record with fields of a later version, or damaged ones, is an error and not left out,
// whether or not it was indexed before.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.holdIndex = true })
	keepRecord(t, s, variedRecord(1))
	indexAll(t, s, 1)
	keepRecord(t, s, variedRecord(2))
	s.recent = memory.Recent{}
	for _, fields := range []string{`x''`, `x'02'`, `x'0100'`, `substr(fields, 1, length(fields) - 1)`} {
		if err := s.write(t.Context(), func(tx *conn) error {
			_, err := tx.exec(`UPDATE decision_log SET fields = ` + fields)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for what, read := range map[string]func() error{
			"a search":      func() error { _, err := s.FindDecisions(t.Context(), uma.DecisionFilter{}, 1); return err },
			"an indexed id": func() error { _, err := s.Decision(t.Context(), variedRecord(1).ID); return err },
			"an id":         func() error { _, err := s.Decision(t.Context(), "unknown"); return err },
			"indexing":      func() error { _, _, err := s.indexSome(t.Context(), 1); return err },
		} {
			if err := read(); err == nil || !strings.Contains(err.Error(), errPacked.Error()) {
				t.Errorf("%s with %s: got %v", what, fields, err)
			}
		}
	}
}
