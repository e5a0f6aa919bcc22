package postgres

import (
	"errors"
	"fmt"
	"slices"
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

// An owner invites an address while a party proves it at another server: either the invitation is
// seen and taken, or the owner learns that a user has the address.
func TestServersInviteAndAdmitAtOnce(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	inviting, admitting := open(t, Config{URL: url}), open(t, Config{URL: url})
	realm := trustingRealm(t, inviting)
	r := addAlbum(t, inviting, realm)
	const rounds = 30
	granted := 0
	for round := range rounds {
		email := fmt.Sprintf("bob-%d@example.com", round)
		var invited error
		var wg sync.WaitGroup
		wg.Go(func() {
			invited = inviting.ShareResource(t.Context(), &uma.ShareChange{Realm: realm.Realm.Key, Resource: r.Key, Owner: r.Owner,
				Invite: map[string][]uma.Scope{email: {"view"}}, NewID: newIDs(email), Now: at})
		})
		wg.Go(func() {
			a := admissionOf(fmt.Sprint(round), fmt.Sprint("bob-", round), "bob", email)
			if _, err := admitting.AdmitParty(t.Context(), realm.Realm.Key, a); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		switch {
		case invited == nil:
			granted++
		case !errors.Is(invited, uma.ErrMoved):
			t.Error(invited)
		}
	}
	open := rowsOf(t, inviting, `SELECT email FROM invitation WHERE taken_by = ''`)
	shares := rowsOf(t, inviting, `SELECT id FROM request WHERE state = 'granted'`)
	if len(open) > 0 || len(shares) != granted {
		t.Errorf("got invitations %v and %d shares, want %d shares", open, len(shares), granted)
	}
}

// addAlbum makes a resource of alice.
func addAlbum(t *testing.T, s *Store, realm *uma.Snapshot) *uma.Resource {
	t.Helper()
	r := &uma.Resource{ID: "album", Server: realm.Clients["api"].Key, Owner: "alice-id", Name: "Album", Scopes: []uma.Scope{"view"},
		OwnerManaged: true, Origin: uma.FromAPI}
	if err := s.CreateResource(t.Context(), r, newIDs("scope")); err != nil {
		t.Fatal(err)
	}
	return r
}

// Of parties that prove an address at the same time one takes the invitations for it.
func TestAddressIsProvedOnce(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	servers := []*Store{open(t, Config{URL: url}), open(t, Config{URL: url})}
	realm := trustingRealm(t, servers[0])
	r := addAlbum(t, servers[0], realm)
	for round := range 10 {
		email := fmt.Sprintf("bob-%d@example.com", round)
		err := servers[0].ShareResource(t.Context(), &uma.ShareChange{Realm: realm.Realm.Key, Resource: r.Key, Owner: r.Owner,
			Invite: map[string][]uma.Scope{email: {"view"}}, NewID: newIDs(email), Now: at})
		if err != nil {
			t.Fatal(err)
		}
		admissions := make([]*uma.Admission, 4)
		var wg sync.WaitGroup
		for i := range admissions {
			admissions[i] = admissionOf(fmt.Sprintf("%d-%d", round, i), fmt.Sprintf("bob-%d-%d", round, i), "bob", email)
			wg.Go(func() {
				if _, err := servers[i%2].AdmitParty(t.Context(), realm.Realm.Key, admissions[i]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var takers []string
		for _, a := range admissions {
			for _, v := range a.Taken {
				takers = append(takers, v.TakenBy)
			}
		}
		shared := rowsOf(t, servers[0], `SELECT requester FROM request WHERE requester LIKE $1`, fmt.Sprintf("bob-%d-%%", round))
		if len(takers) != 1 || !slices.Equal(takers, shared) {
			t.Errorf("round %d: taken by %v, shared with %v", round, takers, shared)
		}
	}
}
