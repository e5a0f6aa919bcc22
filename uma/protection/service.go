package protection

import (
	"context"
	"time"

	"example.com/umpire/uma"
)

// A Service does what the protection API offers to resource servers and owners.
type Service struct {
	Store  Store
	Issuer uma.Issuer // of tickets in JWT form

	PublicURL uma.PublicURL
	Now       func() time.Time

	NewID, NewSerial func() string // see party.Service

	Log func(ctx context.Context, msg string, args ...any) // for failures that no client is told about
}

// A Store keeps resources, tickets, requests and policies.
type Store interface {
	uma.Viewer
	uma.Registrar
	uma.Tickets
	uma.Sharing

	// AdmitParty is that of uma.Parties.
	AdmitParty(ctx context.Context, realm uma.Key, a *uma.Admission) (*uma.User, error)
}
