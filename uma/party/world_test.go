package party

import (
	"testing"
	"time"

	"example.com/umpire/uma/umatest"
)

// A world has the service over the fakes.
type world struct {
	*umatest.World
	service *Service
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return over(umatest.NewWorld(t))
}

func newFullWorld(t *testing.T) *world {
	t.Helper()
	return over(umatest.NewFullWorld(t))
}

func over(fakes *umatest.World) *world {
	w := &world{World: fakes}
	w.service = &Service{
		Log:   w.Log,
		Store: w.Store, Policy: w, Issuer: w.Issuer, Verifier: w.Verifier, Hasher: w.Hasher, Trust: w.Trust, PublicURL: umatest.PublicURL,
		Now: func() time.Time { return w.Now }, NewID: w.NewID, NewSerial: w.NewSerial,
	}
	return w
}

func (w *world) appCaller() *Caller {
	return &Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}
}
