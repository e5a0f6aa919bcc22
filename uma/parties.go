package uma

import (
	"context"
	"time"
)

// Identities reads the parties of trusted issuers. An issuer is named by its URL.
type Identities interface {
	// PartyOf returns the user whose identity this is, or ErrNotFound. The user may be a local
	// one, which the identity was linked to: then it has no Identity.
	PartyOf(ctx context.Context, realm Key, issuer, subject string) (*User, error)

	// IdentitiesOf returns the identities of a user, in the order in which they came: of a
	// party its own first, then those that were linked to it.
	IdentitiesOf(ctx context.Context, realm Key, id string) ([]Identity, error)
}

// Parties keeps who comes from trusted issuers.
type Parties interface {
	// AdmitParty returns the party of an identity, and makes it if there is none: once,
	// whatever races. If the admission proves an e-mail address that the party did not have,
	// the address is kept and the invitations for it become the party's shares: each
	// invitation is taken once, and remembered with who took it. A changed address takes
	// nothing away and does not raise the party's version. A disabled party is returned as
	// it is. ErrNotFound: the realm does not trust the issuer. ErrConflict: the identity was
	// linked to a local user.
	AdmitParty(ctx context.Context, realm Key, a *Admission) (*User, error)

	// PartiesAfter returns at most limit parties by username, those that follow `after`
	// without case; with an issuer's alias only its own.
	PartiesAfter(ctx context.Context, realm Key, alias, after string, limit int) ([]*User, error)

	// EnableParty enables or disables a party, and raises its version if that is a change.
	// Either ends its sessions. ErrNotFound.
	EnableParty(ctx context.Context, realm Key, id string, enabled bool) error

	// LinkIdentity adds an identity to a user: a party, or a local user, whose claim tokens it
	// then may prove something with. It raises the user's version. ErrNotFound: no such user,
	// or issuer. ErrConflict: the identity has a party of its own, or is linked already.
	// ErrFull: the user has MaxIdentities.
	LinkIdentity(ctx context.Context, realm Key, id, issuer, subject string) error

	// UnlinkIdentity takes a linked identity from a user, and raises its version. ErrNotFound:
	// it is not linked to it, or is the party's own.
	UnlinkIdentity(ctx context.Context, realm Key, id, issuer, subject string) error

	// DeleteParty deletes a party with its identities, sessions and requests. Its resources go
	// to another user, or are deleted with what was shared of them. Policies that name it lose
	// it, as when a user is removed: see RealmChange. ErrNotFound: no such party, or nobody to
	// transfer to. ErrConflict: it owns resources and the change does not say what becomes of
	// them, or the other owner has a resource of the same name.
	//
	// It disables the party, then works in batches, the party last: after an error it may be
	// called again.
	DeleteParty(ctx context.Context, d *PartyRemoval) (*PartyReport, error)

	// RenameIssuer moves an alias, with the identities of its issuer, to another URL, and
	// raises the generation. The issuer is not trusted, at either URL, until a realm file with
	// the new one is applied. ErrNotFound: no such alias. ErrConflict: the URL has another one.
	RenameIssuer(ctx context.Context, realm Key, alias, url string) error

	// SpendAssertion spends the id of a client's assertion, which is remembered until it
	// expires. ErrSpent.
	SpendAssertion(ctx context.Context, realm, client Key, id []byte, expires time.Time) error
}

// An Admission is what a verified token says of a party.
type Admission struct {
	ID       string // of the party, if it is new
	Identity Identity
	Name     string // its username is ALIAS/Name; ALIAS/Subject if that is taken; ALIAS/ID if that is, too
	Email    string // proved; empty for none
	Now      time.Time
	NewID    func() string // of requests that invitations become

	Taken []Invitation // set by AdmitParty, also with an error: those that became shares
}

// MaxIdentities bounds how many identities a user has.
const MaxIdentities = 20

// A PartyRemoval is DeleteParty's argument.
type PartyRemoval struct {
	Realm           Key
	ID              string
	TransferTo      string // id of the user that becomes the owner; empty for none
	DeleteResources bool
}

// A PartyReport says what a removal of a party did.
type PartyReport struct {
	Transferred, Deleted int // resources
	Requests, Shares     int // by and for the party
}

// The bounds of invitations that nobody has taken.
const (
	MaxInvitations   = 100 // for one resource
	MaxInvitationsTo = 500 // for one address in a realm
)

// An Invitation is a share with an e-mail address that no user has proved yet. It is taken by
// the party that proves the address first, unless another user has it by then: a local user
// of a later realm file. It is gone with its resource, or when that has another owner, and
// loses the scopes that the resource loses.
type Invitation struct {
	ID         string
	Resource   Key
	ResourceID ResourceID
	Server     Key
	Owner      string  // id
	Email      string  // lower case (of ASCII)
	Scopes     []Scope // empty: a resource without scopes, as a whole
	Created    time.Time

	TakenBy string // id of the party; empty while nobody has
	Taken   time.Time
}
