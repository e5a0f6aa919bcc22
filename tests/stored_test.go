package tests

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/umpire/store"
	"example.com/umpire/uma"
)

// stored opens the server's database beside it, for reading alone.
func (e *env) stored(t testing.TB) store.Store {
	t.Helper()
	db, err := openStore(t, e.Data, true, e.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// lastDecision is the number of the newest decision record.
func lastDecision(t testing.TB, db uma.Decisions) int64 {
	t.Helper()
	last, err := db.LastDecision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// recordsAfter are all decision records that follow one, in order.
func recordsAfter(t testing.TB, db uma.Decisions, after int64) []uma.Record {
	t.Helper()
	var all []uma.Record
	for {
		page, err := db.DecisionsAfter(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Seq
	}
}

// recordsOf are the records of the decisions that a function brings about.
func recordsOf(t testing.TB, db uma.Decisions, do func()) []uma.Record {
	t.Helper()
	last := lastDecision(t, db)
	do()
	return recordsAfter(t, db, last)
}

// onlyRecord is that of the one decision that a function brings about, with its
// event.
func onlyRecord(t testing.TB, db uma.Decisions, do func()) (uma.Record, map[string]any) {
	t.Helper()
	records := recordsOf(t, db, do)
	if len(records) != 1 {
		t.Fatalf("got %d decision records, want 1", len(records))
	}
	return records[0], eventOf(t, records[0])
}

// eventOf is the decision log event of a record.
func eventOf(t testing.TB, r uma.Record) map[string]any {
	t.Helper()
	var event map[string]any
	if err := json.Unmarshal(r.Event, &event); err != nil {
		t.Fatalf("the event of decision %s: %v", r.ID, err)
	}
	return event
}

// at is a member of a JSON document, by the names of those it is in.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// ticketID is how records name a ticket: a hash of the hash that is stored.
func ticketID(ticket string) string {
	stored := sha256.Sum256([]byte(ticket))
	return fmt.Sprintf("sha256:%x", sha256.Sum256(stored[:]))
}

// writePolicy puts a file into the realm's bundle, whole at once.
func (e *env) writePolicy(t testing.TB, name, text string) {
	t.Helper()
	file := filepath.Join(filepath.Dir(e.File), "policies", name)
	tmp := filepath.Join(filepath.Dir(e.File), filepath.Base(name)+".new")
	if err := errors.Join(os.WriteFile(tmp, []byte(text), 0o600), os.Rename(tmp, file)); err != nil {
		t.Fatal(err)
	}
}

// follow applies a realm file beside the running server and waits until that
// knows of it: by a client that the file has in addition.
func (e *env) follow(t testing.TB, text string) {
	t.Helper()
	marker := fmt.Sprintf("marker-%x", sha256.Sum256([]byte(text)))
	e.apply(t, strings.Replace(text, "\nclients:\n", "\nclients:\n  - {id: "+marker+", public: true}\n", 1))
	within1s(t, "the applied realm file", func() bool {
		res := e.post(t, tokenPath, credentials{}, "grant_type", "password", "client_id", marker)
		return res.str("error") == "unauthorized_client"
	})
}

func sha256Hex(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
