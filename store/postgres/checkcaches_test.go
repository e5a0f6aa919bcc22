package postgres

import (
	"testing"

	"example.com/umpire/uma"
)

// A row in memory that the database does not have is named, and none if all are the same.
func TestCheckCaches(t *testing.T) {
	t.Parallel()
	s := openTemp(t, allCaches)
	realm := smallRealm(t, s).Realm.Key
	session := &uma.Session{ID: "s", User: "alice-id", Started: at, Expires: at}
	if err := s.StartSession(t.Context(), realm, session, &uma.RefreshToken{Hash: []byte("hash"), SessionID: "s", Expires: at}); err != nil {
		t.Fatal(err)
	}
	_, err := uma.Read(t.Context(), s, func(v uma.View) (*uma.TokenState, error) { return v.TokenState(t.Context(), realm, "jti", "s") })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckCaches(t.Context()); err != nil {
		t.Error(err)
	}
	for _, table := range []string{"session SET ended = true", "users SET enabled = false"} {
		if _, err := s.pool.Exec(t.Context(), `UPDATE `+table); err != nil { // which nobody is told of
			t.Fatal(err)
		}
		if err := s.CheckCaches(t.Context()); err == nil {
			t.Errorf("%s: no error", table)
		}
		if _, err := s.pool.Exec(t.Context(), `UPDATE session SET ended = false; UPDATE users SET enabled = true`); err != nil {
			t.Fatal(err)
		}
	}
}
