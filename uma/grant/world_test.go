package grant

import (
	"testing"
	"time"

	"example.com/umpire/uma/admin"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// A world has the service over the fakes.
type world struct {
	*umatest.World
	service  *Service
	observed []string // outcomes
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
		Store: w.Store, Policy: w, Issuer: w.Issuer, Verifier: w.Verifier, PublicURL: umatest.PublicURL,
		Now: now, NewID: w.NewID, NewSerial: w.NewSerial, Log: w.Log,
		Realms: &admin.Realms{Store: w.Store, Now: now, Log: w.Log},
		Party: &party.Service{
			Store: w.Store, Policy: w, Issuer: w.Issuer, Verifier: w.Verifier, Hasher: w.Hasher,
			PublicURL: umatest.PublicURL, Now: now, NewID: w.NewID, NewSerial: w.NewSerial,
		},
		Decided: func(_, outcome, _ string, _ time.Duration) { w.observed = append(w.observed, outcome) },
	}
	return w
}

// bob asks for an RPT.
func (w *world) bob(req *Request) (*Answer, error) {
	w.Helper()
	if req.Ticket == "" && req.Audience == "" {
		req.Audience = "photoz-api"
	}
	return w.service.Token(w.Context(), w.Snap, &party.Caller{HasBearer: true, Bearer: "access.of.bob"}, req)
}
