package postgres

import (
	"errors"
	"fmt"
	"testing"

	"example.com/umpire/uma"
)

// TestChangesOfWhoIsGone: a process that changes rows and ends, all of it between two looks of
// another one, is noticed by that; also a process whose rows are removed because it seems dead. A
// process that changes nothing is not.
func TestChangesOfWhoIsGone(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	realm := trustingRealm(t, s)
	others := func() int64 {
		t.Helper()
		n, err := s.othersChanges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := 0
	change := func(s *Store) {
		t.Helper()
		n++
		if err := s.Revoke(t.Context(), realm.Realm.Key, fmt.Sprint("token ", n), at.AddDate(1, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	before := others()
	brief, err := Open(t.Context(), Config{URL: s.cfg.URL})
	if err != nil {
		t.Fatal(err)
	}
	change(brief)
	if err := brief.Close(); err != nil {
		t.Fatal(err)
	}
	after := others()
	if after <= before {
		t.Errorf("a process has come and gone: got %d changes, want more than %d", after, before)
	}
	idle := open(t, Config{URL: s.cfg.URL})
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	change(s)
	if got := others(); got != after {
		t.Errorf("nobody else has changed anything: got %d changes, want %d", got, after)
	}
	lost := open(t, Config{URL: s.cfg.URL})
	change(lost)
	before = others()
	if _, err := s.pool.Exec(t.Context(), forget(`process = $1`), lost.slots.process); err != nil {
		t.Fatal(err)
	}
	if got := others(); got < before {
		t.Errorf("rows of a process were removed: got %d changes, want %d", got, before)
	}
}

// TestMovedIsReadAgain: who is told that a row has changed reads the new one, also if another process
// has changed it just now.
func TestMovedIsReadAgain(t *testing.T) {
	t.Parallel()
	s := openTemp(t, allCaches)
	other := open(t, Config{URL: s.cfg.URL})
	snap := smallRealm(t, s)
	album := &uma.Resource{ID: "album", Server: snap.Clients["api"].Key, Owner: "alice-id", Name: "Album", Scopes: []uma.Scope{"view"}, OwnerManaged: true}
	if err := s.CreateResource(t.Context(), album, func() string { return "scope" }); err != nil {
		t.Fatal(err)
	}
	session := &uma.Session{ID: "session", User: "alice-id", Started: at, Expires: at.AddDate(0, 0, 1)}
	if err := s.StartSession(t.Context(), snap.Realm.Key, session, &uma.RefreshToken{Hash: []byte("refresh"), SessionID: "session"}); err != nil {
		t.Fatal(err)
	}
	s.look(t.Context())
	readDecision(t, s, snap, album)
	grant := record("a grant")
	grant.RestsOn = readDecision(t, s, snap, album)
	changed := *album
	changed.Type = "album"
	if err := other.ReplaceResource(t.Context(), &changed, func() string { return "scope" }); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), grant); !errors.Is(err, uma.ErrMoved) {
		t.Errorf("got %v, want %v", err, uma.ErrMoved)
	}
	grant.RestsOn = readDecision(t, s, snap, album)
	if err := s.Commit(t.Context(), grant); err != nil {
		t.Errorf("read again: got %v", err)
	}
}
