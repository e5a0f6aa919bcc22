package party

import (
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/workers"
)

// A Service knows whom tokens and clients speak for, and issues tokens to them.
type Service struct {
	Store    Store
	Policy   uma.Policy // its revision: a refreshed RPT must be of the one that is active
	Issuer   uma.Issuer
	Verifier uma.Verifier
	Hasher   uma.Hasher

	PublicURL uma.PublicURL
	Now       func() time.Time

	// NewID makes a fresh UUID for what clients know by its id, NewSerial one that
	// begins with the time (RFC 9562 §5.7) for what each request adds to an index: a
	// row follows the one before it there, and not every row is on a page of its own.
	NewID, NewSerial func() string

	// Signatures do not wait for evaluations, which last as long as a policy makes
	// them.
	signatures workers.Pool
}

// A Store is what is read of users and tokens, and keeps sessions.
type Store interface {
	uma.Viewer
	uma.Sessions
}
