package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// A change of a realm that waits for the numbers is not overtaken by later grants. Otherwise it could wait for ever: those
// of several servers follow each other without a gap.
func TestGrantsDoNotOvertakeChangesOfRealms(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(ctx context.Context, s *Store, realm uma.Key) error{
		"a policy is activated": func(ctx context.Context, s *Store, _ uma.Key) error { return activate(ctx, s, "next") },
		"a key is added": func(ctx context.Context, s *Store, _ uma.Key) error {
			return s.AddKey(ctx, "photoz", uma.SigningKey{KID: "next", Alg: "ES256", Public: []byte{1}, Sealed: []byte{1}}, time.Time{})
		},
		"an issuer is renamed": func(ctx context.Context, s *Store, realm uma.Key) error {
			return s.RenameIssuer(ctx, realm, "example", "https://next.example.com")
		},
		"a file is applied": func(ctx context.Context, s *Store, _ uma.Key) error {
			_, err := s.ApplyRealm(ctx, photos("album"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newDatabase(t)
			s, other := open(t, Config{URL: url}), open(t, Config{URL: url})
			realm := trustingRealm(t, s).Realm.Key
			snapshot, err := s.Snapshot(t.Context(), "photoz", at)
			if err != nil {
				t.Fatal(err)
			}
			grant := record("a grant")
			grant.Realm, grant.RestsOn = realm, &uma.Rests{Generation: snapshot.Realm.Generation}
			if err := other.Commit(t.Context(), grant); err != nil {
				t.Fatal(err)
			}
			first, err := s.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = first.Rollback(context.Background()) }()
			tag, err := first.Exec(t.Context(), lockNumbers)
			if err != nil || tag.RowsAffected() != 1 {
				t.Fatal(tag, err)
			}
			changed, granted := make(chan error, 1), make(chan error, 1)
			go func() { changed <- change(t.Context(), s, realm) }()
			awaitWaiting(t, s, changed)
			go func() { granted <- other.Commit(t.Context(), grant) }()
			awaitWaiters(t, s, 2, granted)
			if err := first.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-changed; err != nil {
				t.Errorf("the change: %v", err)
			}
			if err := <-granted; !errors.Is(err, uma.ErrMoved) && name != "a file is applied" { // that is committed in batches
				t.Errorf("the grant that came later: got %v, want %v", err, uma.ErrMoved)
			}
		})
	}
}
