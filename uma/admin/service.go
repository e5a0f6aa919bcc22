package admin

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/umpire/uma"
)

// Realms are the realms that a server serves: their present configuration, the application
// of realm files, and keys.
type Realms struct {
	Store    Store
	Hasher   uma.Hasher
	Issuer   uma.Issuer   // of keys
	Verifier uma.Verifier // of the sets of keys that realms publish
	Sealer   Sealer       // of policy.opa; nil: files that have it are refused
	Now      func() time.Time
	NewID    func() string
	Log      func(ctx context.Context, msg string, args ...any) // of trouble that no client is told about

	snapshots atomic.Pointer[snapshots]
	latest    latest
}

// A Sealer encrypts secrets that a server needs in clear, for one purpose.
type Sealer interface {
	Wrap(ctx context.Context, plain, about []byte) ([]byte, error)
}

// A Store keeps realms.
type Store interface {
	uma.Viewer
	uma.Realms
}
