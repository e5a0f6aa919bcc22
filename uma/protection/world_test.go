package protection

import (
	"errors"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
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
	now := func() time.Time { return w.Now }
	w.service = &Service{
		Store: w.Store, Now: now, NewID: w.NewID, Issuer: w.Issuer, PublicURL: umatest.PublicURL, NewSerial: w.NewSerial, Log: w.Log,
	}
	return w
}

func (w *world) pat() *Caller {
	return &Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: "uuid-api", Client: w.API, Claims: &uma.Claims{}}}
}

// faultOf returns what a refusal says is wrong.
func faultOf(err error) uma.Fault {
	if e, ok := errors.AsType[*uma.Error](err); ok {
		return e.Fault
	}
	return uma.Fault{}
}
