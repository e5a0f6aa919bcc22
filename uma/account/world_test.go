package account

import (
	"testing"
	"time"

	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// A world has the service over the fakes.
type world struct {
	*umatest.World
	service *Service
	party   *party.Service
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: umatest.NewWorld(t)}
	now := func() time.Time { return w.Now }
	w.service = &Service{Store: w.Store, Now: now, NewID: w.NewID}
	w.party = &party.Service{
		Store: w.Store, Policy: w, Issuer: w.Issuer, Verifier: w.Verifier, Hasher: w.Hasher,
		PublicURL: umatest.PublicURL, Now: now, NewID: w.NewID, NewSerial: w.NewSerial,
	}
	return w
}
