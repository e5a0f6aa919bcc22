package protection

import (
	"context"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// A Service is the protection API: what resource servers register, ask tickets for
// and share.
type Service struct {
	Store  Store
	Party  *party.Service // who calls
	Issuer uma.Issuer     // of tickets in JWT form

	PublicURL uma.PublicURL
	Now       func() time.Time

	NewID, NewSerial func() string // see party.Service

	Log func(ctx context.Context, msg string, args ...any) // of trouble that no client is told about
}

// A Store keeps resources, tickets, requests and policies.
type Store interface {
	uma.Viewer
	uma.Registrar
	uma.Tickets
	uma.Sharing
}
