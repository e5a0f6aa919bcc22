package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
	"example.com/umpire/uma/admin"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/protection"
)

// A Core has the services of the rooms of uma, which the faces call.
type Core struct {
	PublicURL uma.PublicURL
	Now       func() time.Time

	Realms     *admin.Realms
	Party      *party.Service
	Grant      *grant.Service
	Protection *protection.Service
	Account    *account.Service
}

// Parts are the dependencies of the rooms.
type Parts struct {
	Store    uma.Store
	Policy   uma.Policy
	Issuer   uma.Issuer
	Verifier uma.Verifier
	Hasher   uma.Hasher
	Trust    uma.Trust    // of tokens that others signed
	Wrapper  admin.Sealer // of policy.opa
	Sealer   grant.Sealer // of claims that tickets remember

	PublicURL uma.PublicURL
	Now       func() time.Time

	// NewID makes a UUID for things that clients know by their id, NewSerial one that begins
	// with the time, for rows that each request adds to an index; see party.Service.
	NewID, NewSerial func() string

	Log func(ctx context.Context, msg string, args ...any) // of trouble that no client is told about

	Labels  map[string]string                                               // see grant.Service; may be nil
	Decided func(realm, outcome, answered string, evaluation time.Duration) // see grant.Service; may be nil
	Stuck   func(realm string, delta int)                                   // see grant.Service; may be nil
}

// Validate reports everything that is missing, so that the program can say so when
// it starts and not when the first client calls.
func (p *Parts) Validate() error {
	parts := []struct {
		name string
		ok   bool
	}{
		{"Store", p.Store != nil},
		{"Policy", p.Policy != nil},
		{"Issuer", p.Issuer != nil},
		{"Verifier", p.Verifier != nil},
		{"Hasher", p.Hasher != nil},
		{"Trust", p.Trust != nil},
		{"Wrapper", p.Wrapper != nil},
		{"Sealer", p.Sealer != nil},
		{"PublicURL", p.PublicURL != ""},
		{"Now", p.Now != nil},
		{"NewID", p.NewID != nil},
		{"NewSerial", p.NewSerial != nil},
		{"Log", p.Log != nil},
	}
	var errs []error
	for _, part := range parts {
		if !part.ok {
			errs = append(errs, fmt.Errorf("the server has no %s", part.name))
		}
	}
	return errors.Join(errs...)
}

// NewCore gives each room the parts that it uses.
func NewCore(p Parts) (*Core, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	realms := &admin.Realms{
		Store: p.Store, Hasher: p.Hasher, Issuer: p.Issuer, Verifier: p.Verifier, Sealer: p.Wrapper,
		Now: p.Now, NewID: p.NewID, Log: p.Log,
	}
	verifier := &admin.Verifier{Verifier: p.Verifier, Realms: realms}
	parties := &party.Service{
		Store: p.Store, Policy: p.Policy, Issuer: p.Issuer, Verifier: verifier, Hasher: p.Hasher, Trust: p.Trust,
		PublicURL: p.PublicURL, Now: p.Now, NewID: p.NewID, NewSerial: p.NewSerial, Log: p.Log,
	}
	return &Core{
		PublicURL: p.PublicURL, Now: p.Now, Realms: realms, Party: parties,
		Grant: &grant.Service{
			Store: p.Store, Realms: realms, Party: parties, Policy: p.Policy, Issuer: p.Issuer, Verifier: verifier,
			Sealer: p.Sealer, PublicURL: p.PublicURL, Now: p.Now, NewID: p.NewID, NewSerial: p.NewSerial, Log: p.Log,
			Labels: p.Labels, Decided: p.Decided, Stuck: p.Stuck,
		},
		Protection: &protection.Service{
			Store: p.Store, Issuer: p.Issuer, PublicURL: p.PublicURL,
			Now: p.Now, NewID: p.NewID, NewSerial: p.NewSerial, Log: p.Log,
		},
		Account: &account.Service{Store: p.Store, Now: p.Now, NewID: p.NewID},
	}, nil
}
