package uma

import (
	"context"
	"time"
)

// An AdminRight is what a token of the admin API permits in its realm.
type AdminRight string

// The rights.
const (
	AdminRead   AdminRight = "read"   // to see policies and decision records
	AdminPolicy AdminRight = "policy" // also to change which policy is in force
)

// An AdminToken is a token of the admin API, without its secret.
type AdminToken struct {
	ID      string
	Realm   string
	Name    string // one of a realm's tokens that are not revoked has it
	Right   AdminRight
	Note    string
	By      string // who made it
	Hash    []byte // Digest of the secret
	Created time.Time
	Expires time.Time // zero: never
	Revoked time.Time // zero: not revoked
}

// Ended reports whether the token was revoked or has expired by now.
func (t *AdminToken) Ended(now time.Time) bool {
	return !t.Revoked.IsZero() || !t.Expires.IsZero() && !now.Before(t.Expires)
}

// An AdminUse is a call of the admin API with a token.
type AdminUse struct {
	Seq       int64
	Token     string // id
	Name      string // of the token
	Realm     string // of the token
	Time      time.Time
	IP        string
	Request   string // id of the HTTP request
	Operation string // such as policy activate
	Detail    string // what it was about, such as a revision
	Outcome   string // ok or an error code; empty: it did not end, or the server was stopped before
}

// How long and how many uses of admin tokens are kept.
const (
	KeepAdminUses  = 400 * 24 * time.Hour
	AdminUsesToken = 20_000 // the last of each token
)

// AdminTokens keeps the tokens of the admin API, and a record of their uses.
type AdminTokens interface {
	// CreateAdminToken keeps a token. ErrConflict: a token of the realm that is not revoked
	// has its name. ErrNotFound: there is no such realm.
	CreateAdminToken(ctx context.Context, t *AdminToken) error

	// AdminToken returns the token with a hash, also one that has ended, or ErrNotFound.
	AdminToken(ctx context.Context, hash []byte) (*AdminToken, error)

	// ListAdminTokens returns the tokens of a realm, or of all with an empty name, oldest
	// first.
	ListAdminTokens(ctx context.Context, realm string) ([]AdminToken, error)

	// RevokeAdminToken revokes the token of a realm with that id, or the one of that name
	// that is not revoked, and returns it. ErrNotFound: there is none.
	RevokeAdminToken(ctx context.Context, realm, idOrName string, now time.Time) (*AdminToken, error)

	// BeginAdminUse records a use and sets u.Seq, if the token with the id u.Token has not
	// ended by u.Time, or else returns ErrNotFound. It removes the token's oldest uses beyond
	// AdminUsesToken.
	BeginAdminUse(ctx context.Context, u *AdminUse) error

	// EndAdminUse sets detail and outcome of a use.
	EndAdminUse(ctx context.Context, u *AdminUse) error

	// FindAdminUses returns a page of uses, newest first.
	FindAdminUses(ctx context.Context, f AdminUseFilter, limit int) ([]AdminUse, error)

	// PruneAdminUses removes the oldest uses before a time, at most limit, and returns how
	// many it removed.
	PruneAdminUses(ctx context.Context, before time.Time, limit int) (int, error)
}

// An AdminUseFilter narrows a search; empty fields do not.
type AdminUseFilter struct {
	Realm  string
	Token  string // id
	Before int64  // seq: the next page
}
