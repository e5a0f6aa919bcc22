package postgres

import (
	"errors"
	"testing"

	"example.com/umpire/uma"
)

// TestRoundTrips: what a decision reads takes one round trip, and none if it is in memory; its commit
// takes one.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){"caches": allCaches, "no caches": func(*Config) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTemp(t, change)
			snap := smallRealm(t, s)
			album := &uma.Resource{ID: "album", Server: snap.Clients["api"].Key, Owner: "alice-id", Name: "Album", Scopes: []uma.Scope{"view"}, OwnerManaged: true}
			if err := s.CreateResource(t.Context(), album, func() string { return "scope" }); err != nil {
				t.Fatal(err)
			}
			session := &uma.Session{ID: "session", User: "alice-id", Started: at, Expires: at.AddDate(0, 0, 1)}
			if err := s.StartSession(t.Context(), snap.Realm.Key, session, &uma.RefreshToken{Hash: []byte("refresh"), SessionID: "session"}); err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(t.Context(), record("the first of its month")); err != nil {
				t.Fatal(err)
			}
			decide := func() (reading, committing int64) {
				before := s.RoundTrips()
				rests := readDecision(t, s, snap, album)
				read := s.RoundTrips()
				st := record("a record")
				st.RestsOn = rests
				if err := s.Commit(t.Context(), st); err != nil {
					t.Fatal(err)
				}
				return read - before, s.RoundTrips() - read
			}
			s.look(t.Context())
			if reading, committing := decide(); reading != 1 || committing != 1 {
				t.Errorf("%d round trips to read, and %d to commit, want one each", reading, committing)
			}
			want := int64(1)
			if name == "caches" {
				want = 0
			}
			s.look(t.Context())
			if reading, committing := decide(); reading != want || committing != 1 {
				t.Errorf("the second time %d round trips to read, and %d to commit, want %d and 1", reading, committing, want)
			}
		})
	}
}

// readDecision reads what a decision about a resource reads, and returns what a grant would rest on.
func readDecision(t *testing.T, s *Store, snap *uma.Snapshot, r *uma.Resource) *uma.Rests {
	t.Helper()
	rests, err := uma.Read(t.Context(), s, func(v uma.View) (*uma.Rests, error) {
		err := v.Expect(t.Context(), &uma.Expected{
			Realm: snap.Realm.Key, Tokens: []uma.TokenKey{{JTI: "jti", Session: "session"}}, Client: "api", Now: at,
			Server: r.Server, Resources: []string{string(r.ID)}, Owners: []string{"alice-id", "api-uuid"},
		})
		if err != nil {
			return nil, err
		}
		state, err := v.TokenState(t.Context(), snap.Realm.Key, "jti", "session")
		if err != nil {
			return nil, err
		}
		found, err := v.Resource(t.Context(), r.Server, r.ID)
		if err != nil {
			return nil, err
		}
		u := state.User
		_, _, err = v.Between(t.Context(), uma.NewParty(u.ID, u.Roles, u.ClientRoles, u.Groups, "api"), []uma.Key{found.Key}, at)
		return &uma.Rests{Generation: snap.Realm.Generation, User: u.ID, UserVersion: u.Version, Resources: map[uma.Key]int64{found.Key: found.Version}}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rests
}

// TestRoundTripsOfParties: a decision for a party of a trusted issuer, about scopes that a resource has
// from its type or that no resource has, is read in one round trip, too.
func TestRoundTripsOfParties(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(*Config) {})
	snap := smallRealm(t, s)
	id := uma.IdentityKey{Issuer: "https://corp.example", Subject: "bob"}
	admission := &uma.Admission{ID: "bob-id", Identity: uma.Identity{Issuer: id.Issuer, Alias: "corp", Subject: id.Subject}, Now: at, NewID: func() string { return "x" }}
	if _, err := s.AdmitParty(t.Context(), snap.Realm.Key, admission); err != nil {
		t.Fatal(err)
	}
	album := &uma.Resource{ID: "album", Server: snap.Clients["api"].Key, Owner: "alice-id", Name: "Album", Type: "album", Scopes: []uma.Scope{"view"}}
	if err := s.CreateResource(t.Context(), album, func() string { return "scope" }); err != nil {
		t.Fatal(err)
	}
	before := s.RoundTrips()
	_, err := uma.Read(t.Context(), s, func(v uma.View) (any, error) {
		ctx := t.Context()
		errs := []error{v.Expect(ctx, &uma.Expected{
			Realm: snap.Realm.Key, Identities: []uma.IdentityKey{id}, Party: &uma.Party{Roles: []string{"user"}, Client: "api"}, Client: "api",
			Server: album.Server, Resources: []string{"album"}, Scopes: []uma.Scope{"view", "delete"},
		})}
		u, err := v.PartyOf(ctx, snap.Realm.Key, id.Issuer, id.Subject)
		errs = append(errs, err)
		r, err := v.Resource(ctx, album.Server, album.ID)
		errs = append(errs, err)
		_, err = v.TypeScopes(ctx, album.Server, "album", []uma.Scope{"delete"})
		errs = append(errs, err)
		_, err = v.KnownScopes(ctx, album.Server, []uma.Scope{"delete"})
		errs = append(errs, err)
		_, _, err = v.Between(ctx, &uma.Party{ID: u.ID, Roles: []string{"user"}, Client: "api"}, []uma.Key{r.Key}, at)
		return nil, errors.Join(append(errs, err)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.RoundTrips() - before; got != 1 {
		t.Errorf("%d round trips to read, want 1", got)
	}
}
