package postgres

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
