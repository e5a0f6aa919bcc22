package uma

import (
	"context"
	"time"
)

// Store is all that must outlive a request: the sum of the roles below, for who
// implements it. A room of uma asks for the roles that it uses. store/storetest has a test
// for every promise made here.
//
// Reads that belong together share a View (view.go). A method that writes is atomic. When
// it returns nil, the write has reached the disk. When too many writes are waiting, it
// returns ErrBusy and changes nothing. Times are kept to the millisecond, in UTC. Names
// and ids are compared with case unless a method says otherwise.
type Store interface {
	Realms
	Registrar
	Tickets
	Sharing
	Sessions
	Parties
	Committer
	Decisions
	Sinks
	Revisions
	Population
	Shadows
	AdminTokens
	Leases
	Viewer
}

// A Viewer reads.
type Viewer interface {
	// View returns a consistent view of the store, as of now. Reading ends with ctx,
	// also in the middle of a statement. One view may read a bounded number of rows and
	// bytes, far more than a request needs: ErrTooMuch beyond it.
	View(ctx context.Context) (View, error)

	// CachedView is View, except that rows may come from memory. They are those of one state,
	// which had every change that this store had made when the first row was read, and every
	// change that another process had made a second before. If rows that were read no longer
	// fit together with the next, the view is torn: its reads and Close return ErrTorn. Use
	// Read, which reads again.
	CachedView(ctx context.Context) (View, error)
}

// Realms keeps the configuration: realms, clients, users, keys.
type Realms interface {
	// Generation is a counter that every administrative change of any realm raises.
	Generation(ctx context.Context) (int64, error)

	// Snapshot returns a realm with its clients and published keys (active ones
	// and those that have not expired by now), or ErrNotFound.
	Snapshot(ctx context.Context, realm string, now time.Time) (*Snapshot, error)

	// RealmNames lists the realms, sorted.
	RealmNames(ctx context.Context) ([]string, error)

	// ApplyRealm makes the realm what the change says; see RealmChange. A large change
	// commits in batches, the generation last.
	ApplyRealm(ctx context.Context, c *RealmChange) (*RealmReport, error)

	// TypesInUse returns those of the types that a resource of the realm has, in
	// their order. It costs a look-up for each type and resource server.
	TypesInUse(ctx context.Context, realm string, types []string) ([]string, error)

	// PolicyNames returns the names that a policy of the realm is compared with: those of
	// the realm file that was applied last; the types and scopes of resources that a
	// resource server owns itself, at most MaxOwnNames; and those of the types that such a
	// resource has, also without scopes. It costs that many rows, and a look-up for each
	// type and resource server.
	PolicyNames(ctx context.Context, realm string, types []string) (*PolicyNames, error)

	// RealmFingerprint returns the fingerprint that the last complete ApplyRealm of the
	// realm stored, nil if there was none.
	RealmFingerprint(ctx context.Context, realm string) ([]byte, error)

	// AddKey makes k the active key of its algorithm and retires the one before,
	// which expires then, and raises the generation. With a zero expires it adds
	// k only if the algorithm has no active key, and does nothing otherwise.
	AddKey(ctx context.Context, realm string, k SigningKey, expires time.Time) error

	// Sealed returns a sealed secret of the server, or ErrNotFound.
	Sealed(ctx context.Context, name string) ([]byte, error)

	// PutSealed keeps a sealed secret unless there is one of that name already. It returns
	// the one that is kept.
	PutSealed(ctx context.Context, name string, sealed []byte) ([]byte, error)

	// AnySealed reports whether anything sealed is kept: keys or secrets.
	AnySealed(ctx context.Context) (bool, error)
}

// A RealmChange is a realm file on its way into the store: its secrets are hashed, and
// there are ids for rows that do not exist yet.
//
// Rows from the file that the change does not name are removed. Rows are found by their
// keys: a client by client_id, a user by username, a resource by id, or else by server,
// owner and name, a scope by server and name. If an API has made a row with the key of one
// of the file, the file takes it over, with its shares and requests.
//
// An issuer keeps its alias also while it is not trusted: *AliasError, and *UsernameError for
// local users, before anything is changed.
//
// Other rows (resources, requests, policies, sessions) may depend on a client, user,
// resource or scope. Prune removes it with them. Without Prune nothing is changed then, and
// ErrPrune is returned with a report that lists such rows and counts what depends on each.
// With Lenient such clients and users are disabled, such resources and scopes stay, and the
// report lists them.
//
// A user who is removed is taken out of user-managed policies. If a policy would then be
// for others than before, it is removed, or keeps the id of the user. Decision records
// always stay.
//
// The sessions of a user end when the password changes, and when a disabled user is
// enabled again. The sessions through a disabled client end when the client is enabled
// again. So tokens that were inactive meanwhile stay inactive.
type RealmChange struct {
	Realm       Realm
	Clients     []*Client
	Users       []*User
	Scopes      map[string][]ScopeRow // by client_id of the resource server
	Resources   []ResourceChange
	Fingerprint []byte
	Names       *FileNames // kept up to MaxFileNames; may be nil
	Prune       bool
	Lenient     bool

	// DryRun makes the whole change in one transaction and rolls it back. The report is
	// that of the change.
	DryRun bool

	// Key becomes the active key of its algorithm, unless the realm has one. It is stored
	// by the commit that creates the realm, so that every realm has a key. May be nil.
	Key *SigningKey

	Progress func(done, total int) // may be nil
	Now      time.Time
}

// A ResourceChange is a resource with its server by client_id and its owner by
// username; an empty owner is the resource server itself.
type ResourceChange struct {
	Resource
	ServerID  string
	OwnerName string
	ScopeIDs  []string // for scopes that are new, in the order of Scopes

	// GeneratedID: the file names no id. The resource is found by server, owner and name,
	// and ID is used only if it is new.
	GeneratedID bool
}

// MaxDependents bounds the numbers in RealmReport.Dependents.
const MaxDependents = 1000

// A RealmReport says what ApplyRealm did, a line each: "client photoz-api".
type RealmReport struct {
	Created, Updated, Adopted, Removed, Disabled []string
	Kept                                         []string // other rows depend on them; removed with Prune

	// Dependents has, with ErrPrune, for each entry of Kept the number of the sessions,
	// requests, policies and resources that depend on it, by these names. MaxDependents or
	// more means that the rest was not counted.
	Dependents []map[string]int

	Drifted []string // file rows changed over an API since, now reset

	// Distrusted are the issuers that the realm trusted until now, and that have parties.
	Distrusted []Distrusted
}

// A Distrusted is an issuer that a realm no longer trusts. Its parties and what they own stay.
type Distrusted struct {
	Alias, Issuer string
	Parties       int // and identities that were linked; MaxDependents or more: the rest was not counted
}

// Registrar lists and changes resources.
type Registrar interface {
	// FindResources calls each with the resources that match f, by name then id. max < 0
	// is no limit. It reads pages of some hundred rows and about a megabyte, each in a read
	// transaction of its own, so that neither a slow consumer nor a search with few matches
	// keeps a transaction open for long. ErrVague, also after some matches: thousands of
	// resources were read without a match, and some hundred more for each match.
	FindResources(ctx context.Context, server Key, f ResourceFilter, first, max int, each func(*Resource) error) error

	// CreateResource keeps a new resource and makes the scopes that the resource
	// server does not know yet, with ids from newID. It fills r.Key and
	// r.Version. ErrConflict: the owner has one of that name there.
	//
	// A resource FromOwner must not collide with others. ErrConflict: the resource
	// server itself has a resource of that name. *URITakenError: another resource has
	// the URI, or a pattern of the resource server matches it without case.
	CreateResource(ctx context.Context, r *Resource, newID func() string) error

	// ReplaceResource replaces name, display name, type, URIs, icon, owner management,
	// scopes, texts, and, unless they are nil, attributes of the resource with r.Server
	// and r.ID. FromOwner, a new name and new URIs must not collide, as above, and
	// added URIs and scopes are ByOwner; from anybody else, no URI or scope of the
	// resource is ByOwner afterwards. Requests for removed scopes are removed. Policies
	// lose removed scopes, and are removed with their last; a policy for the whole
	// resource is removed when the resource gets its first scope. ErrNotFound,
	// ErrConflict as above.
	ReplaceResource(ctx context.Context, r *Resource, newID func() string) error

	// DeleteResource removes it with all requests and policies for it. ErrNotFound.
	DeleteResource(ctx context.Context, server Key, id ResourceID) error
}

// Population reads who there is in a realm and what they could ask for, for questions about
// a policy. It never looks at more than some 100,000 rows of a kind.
type Population interface {
	// UsersAfter returns at most limit users, without passwords, by username: those that
	// follow `after`, without case.
	UsersAfter(ctx context.Context, realm Key, after string, limit int) ([]*User, error)

	// SampleUsers returns at most n enabled users, without passwords, by username: the
	// same for the same seed. Each combination of roles and groups has a turn before one
	// has a second.
	SampleUsers(ctx context.Context, realm Key, n int, seed uint64) ([]*User, error)

	// SampleResources is the same of the resources of a resource server, by name. Each
	// type has a turn, its own resources of the type and those of users apart.
	SampleResources(ctx context.Context, server Key, n int, seed uint64) ([]*Resource, error)

	// ScopesOfTypes returns the scopes that users' resources have from these types (see
	// TypeScopes), by type.
	ScopesOfTypes(ctx context.Context, server Key, types []string) (map[string][]Scope, error)
}

// Tickets keeps permission tickets.
type Tickets interface {
	SaveTicket(ctx context.Context, realm Key, t *Ticket) error
}

// Sharing changes requests.
type Sharing interface {
	// CreateRequest keeps a request or share. ErrConflict: there is one of that
	// resource, requester and scope (a denied one is replaced). ErrNotFound:
	// the resource or the scope of it is gone.
	CreateRequest(ctx context.Context, r *Request) error

	// DecideRequest makes a pending request granted or denied, and a granted
	// one denied: removed, then, not remembered. ErrNotFound.
	DecideRequest(ctx context.Context, server Key, id string, grant bool, now time.Time) error

	// DeleteRequest removes it. ErrNotFound.
	DeleteRequest(ctx context.Context, server Key, id string) error

	// DecideRequests makes pending requests of one owner granted or denied, all or
	// none. ErrNotFound: one is not there or not the owner's. ErrConflict: one
	// is no longer pending.
	DecideRequests(ctx context.Context, realm Key, owner string, granted map[string]bool, now time.Time) error

	// ShareResource does what the change says, all or nothing. ErrNotFound: the
	// resource is gone, not the owner's, or no longer owner-managed, or one of the
	// scopes is gone. ErrConflict: New or There does not hold. ErrMoved: Seen does not, or
	// a user has an address of Invite. ErrFull: there would be more than MaxInvitations
	// open ones for the resource, or MaxInvitationsTo for an address.
	ShareResource(ctx context.Context, c *ShareChange) error

	// CreateShare keeps a user-managed policy and fills in what it repeats of its
	// resource, Key, Version and Audience. ErrConflict: the owner has one of that
	// name there. ErrNotFound: the resource is gone or not the owner's, or a scope
	// of it is gone; it is gone as a whole when it has scopes. ErrFull: with it the
	// policies of the resource would have more than MaxShareBytes together.
	CreateShare(ctx context.Context, s *Share) error

	// ReplaceShare replaces name, description, scopes, strategy and whom it is for of
	// the policy with s.Server and s.ID, and fills in the rest of s. Any change raises the
	// version. It raises the audience, too, unless the change only adds parties: it takes
	// nobody out, and adds no kind of party that must agree (with AFFIRMATIVE one kind is
	// enough). Errors as above; ErrNotFound also when there is none. A change that makes a
	// policy no larger never returns ErrFull.
	ReplaceShare(ctx context.Context, s *Share) error

	// DeleteShare removes it. ErrNotFound.
	DeleteShare(ctx context.Context, server Key, id string) error

	// WithdrawInvitation removes an invitation that nobody has taken. ErrNotFound.
	WithdrawInvitation(ctx context.Context, realm Key, owner, id string) error
}

// A ShareChange is what an owner makes of the sharing of one resource. For each
// user in Grants exactly those scopes are granted then: pending requests for
// them are approved, missing ones made, other pending ones denied and other
// granted ones removed.
type ShareChange struct {
	Realm    Key
	Resource Key
	Owner    string
	Grants   map[string][]Scope // by subject id; Everything: a resource without scopes
	Invite   map[string][]Scope // the same for e-mail addresses, in lower case (of ASCII), that no user has
	Only     bool               // other users lose what they were granted, and other invitations are withdrawn
	New      bool               // only if nobody was granted anything or invited
	There    bool               // only if somebody was
	Seen     map[string]int64   // only if these granted requests, by id, are there in these versions, and these open invitations, in version 0, and no others; nil: whatever
	NewID    func() string
	Now      time.Time
}

// Sessions keeps sessions, refresh tokens and revocations.
type Sessions interface {
	// StartSession keeps a session with its first refresh token.
	StartSession(ctx context.Context, realm Key, s *Session, t *RefreshToken) error

	// Rotate spends a refresh token and keeps its successor, with the row of
	// the RPT that comes with it, if any. Of any number of calls with one hash,
	// however they race, one succeeds; the rest get ErrSpent and end the
	// session. ErrNotFound: unknown, expired, its session has ended, or its RPT was
	// dropped, also since the caller has read it.
	Rotate(ctx context.Context, realm Key, hash []byte, next *RefreshToken, rpt *RPT, now time.Time) error

	// EndSession ends a session and all that was issued in it. Unknown: no error.
	EndSession(ctx context.Context, realm Key, id string) error

	// Revoke makes a token inactive. The row is kept for a day after the token has
	// expired: a clock that was ahead for a while must not make the token good again.
	Revoke(ctx context.Context, realm Key, jti string, expires time.Time) error

	// DropRPT removes the row of an RPT, and those of its refreshed copies, so that
	// neither the tokens nor their refresh tokens are good for anything, and revokes
	// the access token in it. Unknown: no error.
	DropRPT(ctx context.Context, realm Key, jti string) error
}

// Committer settles token requests.
type Committer interface {
	// Commit does all of a settlement or nothing. The ticket comes first:
	// ErrSpent if it was used or has expired. Then, with RestsOn, what the grant rests on:
	// a *MovedError if something of it has changed.
	Commit(ctx context.Context, s *Settlement) error
}

// A MovedError says that rows which a grant rests on have changed. It is an ErrMoved.
type MovedError struct {
	Party bool // the user or the realm has changed: identify the party again
}

func (e *MovedError) Error() string { return ErrMoved.Error() }

// Is makes errors.Is(err, ErrMoved) true.
func (e *MovedError) Is(target error) bool { return target == ErrMoved }

// A Settlement is everything that one token request changes.
type Settlement struct {
	Realm     Key
	Now       time.Time
	Ticket    []byte    // hash of the ticket presented; nil without one
	Presenter string    // client_id that presented it: see SpentTicket
	Reusable  bool      // the ticket stays (it must still be there)
	RestsOn   *Rests    // nil: nothing is granted
	Records   []Record  // of every decision made
	Successor *Ticket   // the ticket that the client presents next; nil for none
	Requests  []Request // to submit: existing ones stay as they are
	RPT       *RPT
	Upgraded  string // jti of the RPT that the new one replaces: see DropRPT
	Refresh   *RefreshToken
}

// Rests are the rows that a grant rests on, with the versions it saw.
type Rests struct {
	// Epoch is that of the view in which all of the rows were read; 0: unknown. The store need
	// not compare the versions of rows that nothing has changed since.
	Epoch Epoch

	Generation  int64
	User        string // subject id; empty for a service account
	UserVersion int64
	Resources   map[Key]int64
	Requests    map[Key]int64 // granted requests
	Policies    map[Key]int64 // user-managed policies
}
