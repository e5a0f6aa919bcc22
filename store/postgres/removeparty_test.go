package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"example.com/umpire/uma"
)

const issuerURL = "https://login.example.com"

// trustingRealm is smallRealm, which trusts an issuer.
func trustingRealm(t *testing.T, s *Store) *uma.Snapshot {
	t.Helper()
	realm := smallRealm(t, s)
	_, err := s.ApplyRealm(t.Context(), &uma.RealmChange{Now: at, Clients: []*uma.Client{realm.Clients["api"]},
		Users: []*uma.User{{ID: "alice-id", Username: "alice", Enabled: true}},
		Realm: uma.Realm{Name: "photoz", Enabled: true, Issuers: []uma.TrustedIssuer{{Issuer: issuerURL, Alias: "example"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return realm
}

func admissionOf(subject, id, name, email string) *uma.Admission {
	return &uma.Admission{ID: id, Identity: uma.Identity{Issuer: issuerURL, Subject: subject}, Name: name, Email: email, Now: at,
		NewID: newIDs("request-" + id)}
}

// An endingContext ends after some writes.
type endingContext struct {
	context.Context
	writes int
}

func (c *endingContext) Err() error {
	if c.writes--; c.writes < 0 {
		return context.Canceled
	}
	return nil
}

// A deletion that is interrupted leaves the party disabled, with what was not deleted yet, and
// can be repeated.
func TestInterruptedDeletionOfAParty(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	realm := trustingRealm(t, s)
	key := realm.Realm.Key
	u, err := s.AdmitParty(t.Context(), key, admissionOf("1", "bob-id", "bob", ""))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2*partyBatch + 1 {
		r := &uma.Resource{ID: uma.ResourceID(fmt.Sprint(i)), Server: realm.Clients["api"].Key, Owner: u.ID, Name: fmt.Sprint("Album ", i), Origin: uma.FromAPI}
		if err := s.CreateResource(t.Context(), r, newIDs("")); err != nil {
			t.Fatal(err)
		}
	}
	report, err := s.DeleteParty(&endingContext{t.Context(), 2}, &uma.PartyRemoval{Realm: key, ID: u.ID, DeleteResources: true})
	if !errors.Is(err, context.Canceled) || report.Deleted != partyBatch {
		t.Fatalf("got %+v, %v", report, err)
	}
	again, err := s.AdmitParty(t.Context(), key, admissionOf("1", "new-id", "bob", ""))
	if err != nil || again.ID != u.ID || again.Enabled || again.Version <= u.Version {
		t.Errorf("after the interruption: got %+v, %v, want a disabled party", again, err)
	}
	report, err = s.DeleteParty(t.Context(), &uma.PartyRemoval{Realm: key, ID: u.ID, DeleteResources: true})
	if err != nil || report.Deleted != partyBatch+1 {
		t.Errorf("repeated: got %+v, %v", report, err)
	}
}

// Servers that admit an identity at the same time make one party; parties of the same name get
// different ones.
func TestServersAdmitAtOnce(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	servers := []*Store{open(t, Config{URL: url}), open(t, Config{URL: url})}
	key := trustingRealm(t, servers[0]).Realm.Key
	const rounds, subjects, calls = 10, 3, 4
	for round := range rounds {
		found := make([]*uma.User, subjects*calls)
		var wg sync.WaitGroup
		for i := range found {
			wg.Go(func() {
				a := admissionOf(fmt.Sprintf("subject-%d-%d", round, i%subjects), fmt.Sprintf("id-%d-%d", round, i), fmt.Sprint("bob", round), "")
				u, err := servers[i%len(servers)].AdmitParty(t.Context(), key, a)
				if err != nil {
					t.Error(err)
				}
				found[i] = u
			})
		}
		wg.Wait()
		ids, names := map[string]bool{}, map[string]bool{}
		for i, u := range found {
			if u == nil || u.ID != found[i%subjects].ID {
				t.Fatalf("round %d: got %+v and %+v for one identity", round, u, found[i%subjects])
			}
			ids[u.ID], names[u.Username] = true, true
		}
		if len(ids) != subjects || len(names) != subjects {
			t.Errorf("round %d: got parties %v named %v, want %d", round, ids, names, subjects)
		}
	}
}
