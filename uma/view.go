package uma

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// A View is one consistent reading of the store, for one goroutine. Close it.
type View interface {
	io.Closer
	Users
	Identities
	Resources
	Shares
	Accounts
	Tokens

	// Epoch is the state of the store that the view has read so far.
	Epoch() Epoch

	// Expect says what is going to be read, before anything is. A store that is far away reads it
	// in one round trip; others need not do anything. What was not expected may be read, too.
	Expect(ctx context.Context, e *Expected) error
}

// An Expected names what a request is going to read, as far as the request says so itself; empty
// fields name nothing.
type Expected struct {
	Realm  Key
	Tokens []TokenKey // the states of these tokens
	RPT    string     // jti

	Identities []IdentityKey // the parties of these

	// The party, for what is shared with it: that of the first token's session, unless Party is
	// given; if that has no ID, the first of Identities has it. Client is the one that asks.
	Party  *Party
	Client string

	Ticket []byte // hash; then also the resources that it is for
	Now    time.Time

	// Resources of Server, by their ids, or by their names if one of Owners owns them, and which of
	// Scopes the server knows, and resources have from their types.
	Server    Key
	Resources []string
	Owners    []string
	Scopes    []Scope
}

// An IdentityKey names the identity of a party at an issuer: see Identities.PartyOf.
type IdentityKey struct{ Issuer, Subject string }

// A TokenKey names a token by its jti and its session, empty without one: see Tokens.TokenState.
type TokenKey struct{ JTI, Session string }

// An Epoch names a state of the rows that grants rest on, for the store that said it. 0 names
// none.
type Epoch uint64

// cachedTries is how often Read uses a view that may read from memory.
const cachedTries = 3

// Read calls read with a view and closes the view. read is called again if the view is torn: it
// must have no effect but what it returns. If the view cannot be closed, that is the error,
// whatever read returned: after a failure of the store nothing that was read is reliable.
func Read[T any](ctx context.Context, v Viewer, read func(View) (T, error)) (T, error) {
	for range cachedTries {
		got, err := readOnce(ctx, v.CachedView, read)
		if !errors.Is(err, ErrTorn) {
			return got, err
		}
	}
	return readOnce(ctx, v.View, read)
}

// ReadNow is Read without memory: what another process committed before is seen. It is for rare
// reads whose outcome lasts longer than rows in memory.
func ReadNow[T any](ctx context.Context, v Viewer, read func(View) (T, error)) (T, error) {
	return readOnce(ctx, v.View, read)
}

func readOnce[T any](ctx context.Context, open func(context.Context) (View, error), read func(View) (T, error)) (_ T, err error) {
	view, err := open(ctx)
	if err != nil {
		var none T
		return none, fmt.Errorf("open view: %w", err)
	}
	defer closeView(view, &err)
	return read(view)
}

// closeView closes a view when its reader returns, and makes a failure to close it the
// error. That replaces any other error, a refusal too: after a failure of the store
// nothing that was read is reliable.
func closeView(view View, err *error) {
	if failed := view.Close(); failed != nil {
		failed = fmt.Errorf("close view: %w", failed)
		if *err != nil {
			failed = fmt.Errorf("%w, after: %v", failed, *err)
		}
		*err = failed
	}
}

// Users reads local users and parties of trusted issuers.
type Users interface {
	// User returns the user with the given subject id, or ErrNotFound.
	User(ctx context.Context, realm Key, id string) (*User, error)

	// UserByName is the same by username, without case.
	UserByName(ctx context.Context, realm Key, username string) (*User, error)

	// UsersNamed returns, for each text, the user with that name, without case, then
	// the users with that claim `email`, without case (of ASCII): of a party the address
	// that it proved last. If there are several,
	// the caller must refuse: one user must not be taken for another. The users have no
	// passwords; texts without a user are left out.
	UsersNamed(ctx context.Context, realm Key, namesOrEmails []string) (map[string][]*User, error)

	// UsersByID returns the users with these ids, without passwords; ids of no
	// user are left out.
	UsersByID(ctx context.Context, realm Key, ids []string) (map[string]*User, error)

	// Usernames returns the names of the users with these ids; ids of no user
	// are left out.
	Usernames(ctx context.Context, realm Key, ids []string) (map[string]string, error)

	// Passwords returns the password hashes of the users with these names, without
	// case, by the name that was asked for; names of no user are left out.
	Passwords(ctx context.Context, realm Key, usernames []string) (map[string]string, error)
}

// Resources reads what resource servers registered. All methods stay inside
// one resource server: what another registered is not found.
type Resources interface {
	// Resource returns one by its id, or ErrNotFound.
	Resource(ctx context.Context, server Key, id ResourceID) (*Resource, error)

	// ResourcesByID returns those that exist, in no order.
	ResourcesByID(ctx context.Context, server Key, ids []ResourceID) ([]*Resource, error)

	// ResourceByName returns the one of that name and owner, or ErrNotFound.
	ResourceByName(ctx context.Context, server Key, owner, name string) (*Resource, error)

	// Select returns at most limit resources that q describes, by name then id.
	Select(ctx context.Context, server Key, q Selection, limit int) ([]*Resource, error)

	// KnownScopes returns those of names that the resource server knows.
	KnownScopes(ctx context.Context, server Key, names []Scope) ([]ScopeRow, error)

	// TypeScopes returns those of names that some resource of that type, owned
	// by the resource server itself, has.
	TypeScopes(ctx context.Context, server Key, typ string, names []Scope) ([]Scope, error)

	// URIShapes returns the distinct template shapes (see uripath.Key) of the URIs of
	// resources that the resource server owns itself.
	URIShapes(ctx context.Context, server Key) ([]string, error)

	// URICandidates returns the URIs, of resources owned by the resource server
	// itself, whose uripath.Key is among keys. (A key has no case.)
	URICandidates(ctx context.Context, server Key, keys []string) ([]URICandidate, error)

	// Scope returns the scope that the resource server knows by that id or name,
	// or ErrNotFound.
	Scope(ctx context.Context, server Key, idOrName string) (ScopeRow, error)
}

// A URICandidate is a registered URI and its resource.
type URICandidate struct {
	URI      string
	Resource ResourceID
}

// A Selection names a set of resources by one of the keys that requests may
// name. Exactly one of the groups of fields is used.
type Selection struct {
	// Owner, and with Type only those of that type.
	Owner string

	// NotOwner: those of Type whose owner is another.
	NotOwner string

	// Type alone: those of that type, whoever owns them.
	Type string

	// AnyScope: those that have at least one of these.
	AnyScope []Scope

	// URI: those that have a URI with this uripath.Fold.
	URI string

	// Registered, beside AnyScope or URI: only those whose scope or URI was
	// registered so. 0: however.
	Registered Registered
}

// Registered says who registered a URI or a scope of a resource. A user may register
// any: a URI or scope that only the owner registered must not answer for the resource
// server.
type Registered int

// A URI or scope is of a resource of the resource server's own, or of a user's: then it
// was registered by the resource server or a realm file, or by the owner alone.
const (
	OwnOfServer Registered = iota + 1
	ForOwner
	ByOwner
)

// A ResourceFilter is what a listing is narrowed to; empty fields do not narrow.
type ResourceFilter struct {
	ID        ResourceID
	Name      string // without case, a part, unless ExactName
	ExactName bool
	URI       string // uripath.Fold of it

	// Registered, beside a URI and without an ID: only those whose URI was registered
	// so. 0: however.
	Registered Registered

	Owner string // subject id
	Type  string // without case, a part
	Scope string // a part of a scope's name
}

// Shares reads what owners shared and were asked for.
type Shares interface {
	// Between returns what there is between a party and resources: the shares of
	// them with its id, roles, groups or client, granted requests among them (kind
	// "request"), and its own requests that are pending, or were denied after since.
	// A UNANIMOUS policy may be left out when the party is in one of its lists and
	// not in another; one that is found may yet not be for the party.
	Between(ctx context.Context, p *Party, resources []Key, since time.Time) ([]Share, []Request, error)

	// SharedWith returns at most limit granted requests of one party at one
	// resource server, by resource name; with a name only those for resources
	// of that name.
	SharedWith(ctx context.Context, server Key, requester, name string, limit int) ([]Request, error)

	// Request returns one by its id, or ErrNotFound.
	Request(ctx context.Context, server Key, id string) (*Request, error)

	// FindRequests returns a page of requests by id, denied ones left out.
	// max < 0 is no limit. A filter by scope reads rows that do not match: ErrVague after
	// thousands of them for one page.
	FindRequests(ctx context.Context, server Key, f RequestFilter, first, max int) ([]Request, error)

	// CountRequests counts what FindRequests would return without a page: entries
	// of an index, all that there are.
	CountRequests(ctx context.Context, server Key, f RequestFilter) (int, error)

	// Share returns a user-managed policy by its id, or ErrNotFound.
	Share(ctx context.Context, server Key, id string) (*Share, error)

	// FindShares returns a page of the user-managed policies of an owner, by name.
	// max < 0 is no limit. ErrVague: as in FindRequests, by a part of a name or a scope.
	FindShares(ctx context.Context, server Key, owner string, f UserPolicyFilter, first, max int) ([]*Share, error)

	// SharesAfter returns at most max user-managed policies of a resource server, by
	// id, those that follow `after`: whoever owns them, unless p says more.
	SharesAfter(ctx context.Context, server Key, p UserPoliciesOf, after string, max int) ([]*Share, error)
}

// A UserPoliciesOf says which user-managed policies are looked at; empty fields do not
// narrow.
type UserPoliciesOf struct {
	Owner    string // subject id
	User     string // subject id: one of its users
	Resource ResourceID
}

// A UserPolicyFilter is what a listing of user-managed policies is narrowed to; empty
// fields do not narrow.
type UserPolicyFilter struct {
	Name     string // without case, a part
	Resource ResourceID
	Scope    Scope  // one of its scopes
	After    string // name: only those that follow it
}

// Accounts reads what a user owns, shares and asked for, at all resource servers
// of a realm together. Lists have resources without attributes and texts.
type Accounts interface {
	// OwnedResource returns a resource of that owner by its id, or ErrNotFound.
	OwnedResource(ctx context.Context, realm Key, owner string, id ResourceID) (*Resource, error)

	// OwnedResources returns a page of them, by name, and those of one name by
	// resource server; with a name those that have it as a part, without case.
	// ErrVague: the part is very short, or in very many names of the store, and the
	// page is not full after the thousands of the owner's names that were looked at.
	OwnedResources(ctx context.Context, realm Key, owner, name string, first, max int) ([]*Resource, error)

	// SharedResources returns a page of the resources that f describes for which
	// there are granted requests, by name. A part of a name is sought as in
	// OwnedResources.
	SharedResources(ctx context.Context, realm Key, f GrantedFilter, first, max int) ([]*Resource, error)

	// RequestsFor returns the requests in a state for any of these resources, by
	// resource, requester and scope; with a requester only its own.
	RequestsFor(ctx context.Context, resources []Key, state, requester string) ([]Request, error)

	// RealmRequest returns a request by its id, whatever its state, or ErrNotFound.
	RealmRequest(ctx context.Context, realm Key, id string) (*Request, error)

	// PendingOf returns at most max of the pending requests that an owner is asked
	// for, by id, those that follow `after`.
	PendingOf(ctx context.Context, realm Key, owner, after string, max int) ([]Request, error)

	// PendingBy is the same of those that a requester asks for.
	PendingBy(ctx context.Context, realm Key, requester, after string, max int) ([]Request, error)

	// PendingBeside returns the pending requests that are for the resource and by
	// the requester of one of these, by resource, requester and scope.
	PendingBeside(ctx context.Context, requests []Key) ([]Request, error)

	// Invitations returns the invitations for these resources that nobody has taken, by
	// resource and address.
	Invitations(ctx context.Context, resources []Key) ([]Invitation, error)

	// InvitationsOf returns at most max invitations of an owner, taken or not, by id, those
	// that follow `after`.
	InvitationsOf(ctx context.Context, realm Key, owner, after string, max int) ([]Invitation, error)
}

// A GrantedFilter says whose sharing is looked at: that of an owner, with a
// requester, or what is between the two. One of them is given.
type GrantedFilter struct {
	Owner     string
	Requester string
	Server    Key    // 0: all of the realm
	Name      string // of the resource, without case, a part
}

// A RequestFilter is what a listing of requests is narrowed to; empty fields do
// not narrow.
type RequestFilter struct {
	Resource  ResourceID
	ScopeID   string // id or name
	Owner     string
	Requester string
	Party     string // owner or requester: all that a user may see
	Granted   *bool
	After     string // id: only those that follow it
}

// Tokens reads tickets, and what the validity of tokens depends on.
type Tokens interface {
	// Ticket returns a ticket that is neither spent nor expired, or ErrNotFound.
	Ticket(ctx context.Context, realm Key, hash []byte, now time.Time) (*Ticket, error)

	// TokenState returns what the validity of a token depends on besides its claims.
	// ErrNotFound: its session is unknown.
	TokenState(ctx context.Context, realm Key, jti, session string) (*TokenState, error)

	// RPT returns the row of an RPT, or ErrNotFound. RPTs of a withdrawn revision
	// (Activation.Withdrawn) are not found.
	RPT(ctx context.Context, realm Key, jti string) (*RPT, error)

	// Validity returns the resources and shares that grants rest on, if they still exist, with
	// their present versions and scopes. Shares of a resource that is no longer
	// owner-managed are left out.
	Validity(ctx context.Context, server Key, grants []Grant) (*Validity, error)

	// SpentTicket returns what a ticket was spent on, or ErrNotFound. It is known
	// as long as the RPT it was traded for.
	SpentTicket(ctx context.Context, realm Key, hash []byte) (*SpentTicket, error)

	// RefreshToken returns a refresh token that has not expired, spent or not,
	// or ErrNotFound.
	RefreshToken(ctx context.Context, realm Key, hash []byte, now time.Time) (t *RefreshToken, spent bool, err error)
}

// TokenState is what the validity of a token depends on besides its claims.
type TokenState struct {
	Revoked bool
	Session *Session // nil for a token without one
	User    *User    // of the session, without password and origin; nil if it is gone
}

// A SpentTicket is what is remembered of a ticket that was traded for an RPT.
type SpentTicket struct {
	Client string // client_id that presented it
	RPT    string // jti
}

// Validity has those rows that grants rest on which still exist.
type Validity struct {
	Resources map[ResourceID]*Resource
	Shares    map[string]*Share // by id
	Scopes    map[Scope]bool    // known to the resource server, of those granted without a resource or inherited
}
