package admin

import (
	"testing"
	"time"

	"example.com/umpire/uma/umatest"
)

// A world has the realms over the fakes.
type world struct {
	*umatest.World
	service *Realms
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: umatest.NewWorld(t)}
	w.service = &Realms{
		Store: w.Store, Hasher: w.Hasher, Issuer: w.Issuer, Verifier: w.Verifier,
		Now: func() time.Time { return w.Now }, NewID: w.NewID, Log: w.Log,
	}
	return w
}
