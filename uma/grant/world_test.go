package grant

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
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
		Store: w.Store, Policy: w, Issuer: w.Issuer, Verifier: w.Verifier, Sealer: umatest.Sealer{}, PublicURL: umatest.PublicURL,
		Now: now, NewID: w.NewID, NewSerial: w.NewSerial, Log: w.Log,
		Realms: &admin.Realms{Store: w.Store, Now: now, Log: w.Log},
		Party: &party.Service{
			Store: w.Store, Policy: w, Issuer: w.Issuer, Verifier: w.Verifier, Hasher: w.Hasher, Trust: w.Trust,
			PublicURL: umatest.PublicURL, Now: now, NewID: w.NewID, NewSerial: w.NewSerial,
		},
		Decided: func(_, outcome, _ string, _ time.Duration) { w.observed = append(w.observed, outcome) },
	}
	return w
}

// strict are the rules of UMA 2.0.
var strict = Rules{
	PollTickets: true, BadClaimIsNeedInfo: true, IdentifyWithIDToken: true, AskForIdentity: true, PublicClaims: true,
	UnavailableScopeIsError: true, IgnoreBadRPT: true, UpgradeAll: true, OneOwner: true,
}

// token asks for an RPT. What is refused has no answer here.
func (w *world) token(caller *party.Caller, req *Request) (*Answer, error) {
	w.Helper()
	answer, err := w.service.Token(w.Context(), w.Snap, caller, req)
	if answer == nil {
		w.Fatal("no answer")
	}
	if err != nil && (answer.Token != nil || answer.Permissions != nil || answer.Upgraded) {
		w.Errorf("refused, %v, with %+v", err, answer)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// bob asks for an RPT.
func (w *world) bob(req *Request) (*Answer, error) {
	w.Helper()
	if req.Ticket == "" && req.Audience == "" {
		req.Audience = "photoz-api"
	}
	return w.token(&party.Caller{HasBearer: true, Bearer: "access.of.bob"}, req)
}

// said is a refusal with what it is about.
func said(err error) string {
	e, ok := errors.AsType[*uma.Error](err)
	if !ok {
		return fmt.Sprint("no refusal: ", err)
	}
	s, f := string(e.Reason), e.Fault
	if f.Kind != "" {
		s += ": " + string(f.Kind)
	}
	for _, fact := range []string{f.Parameter, f.Value, f.Resource, f.Client, f.Setting} {
		if fact != "" {
			s += " " + fact
		}
	}
	if f.Limit > 0 {
		s += fmt.Sprint(" ", f.Limit)
	}
	if len(f.Scopes) > 0 {
		names := make([]string, len(f.Scopes))
		for i, scope := range f.Scopes {
			names[i] = string(scope)
		}
		s += " " + strings.Join(names, ",")
	}
	return s
}
