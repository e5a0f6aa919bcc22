package party

import (
	"context"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/workers"
)

// A Service authenticates clients, identifies the subjects of tokens, and issues tokens.
type Service struct {
	Store    Store
	Policy   uma.Policy // an RPT is refreshed only under the revision that granted it
	Issuer   uma.Issuer
	Verifier uma.Verifier
	Hasher   uma.Hasher
	Trust    uma.Trust

	PublicURL uma.PublicURL
	Now       func() time.Time

	// NewID makes a UUID for things that clients know by their id. NewSerial makes one that
	// begins with the time (RFC 9562 §5.7), for rows that each request adds to an index:
	// such rows are beside each other there, instead of each on another page.
	NewID, NewSerial func() string

	Log func(ctx context.Context, msg string, args ...any) // of what nobody is told otherwise

	// Signatures have workers of their own, so that they do not wait for evaluations of slow
	// policies.
	signatures workers.Pool
}

// A Store is where users and tokens are read, and sessions kept.
type Store interface {
	uma.Viewer
	uma.Sessions

	// AdmitParty and SpendAssertion are those of uma.Parties.
	AdmitParty(ctx context.Context, realm uma.Key, a *uma.Admission) (*uma.User, error)
	SpendAssertion(ctx context.Context, realm, client uma.Key, id []byte, expires time.Time) error
}
