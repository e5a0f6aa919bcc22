package grant

import (
	"context"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/workers"
)

// A Service is the UMA grant: it trades tickets and named permissions for RPTs.
type Service struct {
	Store    Store
	Realms   Realms
	Party    *party.Service // who asks
	Policy   uma.Policy
	Issuer   uma.Issuer
	Verifier uma.Verifier
	Sealer   Sealer // of the claims that tickets remember

	PublicURL uma.PublicURL
	Now       func() time.Time

	// NewID makes a fresh UUID, NewSerial one that begins with the time, for what each
	// request adds to an index; see party.Service.
	NewID, NewSerial func() string

	Log func(ctx context.Context, msg string, args ...any) // of trouble that no client is told about

	// Labels go into every decision record: which server decided.
	Labels map[string]string

	// Decided is called for each decision that is recorded; may be nil.
	Decided func(realm, outcome, answered string, evaluation time.Duration)

	// Stuck is called with 1 for an evaluation that does not end at its deadline, and with -1
	// when it ends; may be nil.
	Stuck func(realm string, delta int)

	evaluations workers.Pool
}

// A Store is what the grant reads from and commits to.
type Store interface {
	uma.Viewer
	uma.Committer

	// DropRPT is as in uma.Sessions.
	DropRPT(ctx context.Context, realm uma.Key, jti string) error
}

// Realms are the realms as they are now.
type Realms interface {
	Realm(ctx context.Context, name string) (*uma.Snapshot, error)
	Reload(ctx context.Context) error
}
