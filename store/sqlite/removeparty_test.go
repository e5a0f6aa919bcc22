package sqlite

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"example.com/umpire/uma"
)

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
	realm := smallRealm(t, s)
	const issuer = "https://login.example.com"
	_, err := s.ApplyRealm(t.Context(), &uma.RealmChange{Now: at, Clients: []*uma.Client{realm.Clients["api"]},
		Users: []*uma.User{{ID: "alice-id", Username: "alice", Enabled: true}},
		Realm: uma.Realm{Name: "photoz", Enabled: true, Issuers: []uma.TrustedIssuer{{Issuer: issuer, Alias: "example"}}}})
	if err != nil {
		t.Fatal(err)
	}
	key := realm.Realm.Key
	u, err := s.AdmitParty(t.Context(), key, &uma.Admission{ID: "bob-id", Identity: uma.Identity{Issuer: issuer, Subject: "1"}, Name: "bob", Now: at})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2*sweepBatch + 1 {
		r := &uma.Resource{ID: uma.ResourceID(fmt.Sprint(i)), Server: realm.Clients["api"].Key, Owner: u.ID, Name: fmt.Sprint("Album ", i), Origin: uma.FromAPI}
		if err := s.CreateResource(t.Context(), r, func() string { return "" }); err != nil {
			t.Fatal(err)
		}
	}
	report, err := s.DeleteParty(&endingContext{t.Context(), 2}, &uma.PartyRemoval{Realm: key, ID: u.ID, DeleteResources: true})
	if !errors.Is(err, context.Canceled) || report.Deleted != sweepBatch {
		t.Fatalf("got %+v, %v", report, err)
	}
	again, err := s.AdmitParty(t.Context(), key, &uma.Admission{ID: "new-id", Identity: uma.Identity{Issuer: issuer, Subject: "1"}, Name: "bob", Now: at})
	if err != nil || again.ID != u.ID || again.Enabled || again.Version <= u.Version {
		t.Errorf("after the interruption: got %+v, %v, want a disabled party", again, err)
	}
	report, err = s.DeleteParty(t.Context(), &uma.PartyRemoval{Realm: key, ID: u.ID, DeleteResources: true})
	if err != nil || report.Deleted != sweepBatch+1 {
		t.Errorf("repeated: got %+v, %v", report, err)
	}
}
