package uma

import (
	"time"
)

// A Scope names one thing that can be done to a resource, such as "view".
type Scope string

// A ResourceID is the identifier this server gave a resource when its resource
// server registered it (FedAuthz §3.2.1).
type ResourceID string

// A Resource is what a resource server registered for an owner.
type Resource struct {
	Key          Key
	ID           ResourceID
	Server       Key    // of the resource server's client
	Owner        string // subject id: a user's, or the UUID of the resource server itself
	Name         string
	DisplayName  string
	Type         string
	IconURI      string
	URIs         []string
	Scopes       []Scope // in the order they were registered in
	OwnerManaged bool
	Attributes   map[string][]string
	Origin       Origin

	// Texts are the descriptions and translations that were registered:
	// `description`, `description#fr`, `name#fr` (FedAuthz §3.1).
	Texts map[string]string

	// Version is raised by every change of the row, and of nothing else.
	Version int64
}

// A ScopeRow is a scope that a resource server knows, with the id that
// Keycloak's representations show.
type ScopeRow struct {
	ID   string
	Name Scope
}

// A Permission is some scopes on one resource, or scopes alone. Permissions
// appear in tickets, where they are asked for, and in RPTs, once granted.
type Permission struct {
	Resource ResourceID `json:"resource,omitempty"` // empty: scopes asked for without a resource
	Scopes   []Scope    `json:"scopes,omitempty"`   // empty in a ticket: all scopes of the resource

	// Whole says that the resource had no scopes when it was asked for.
	Whole bool `json:"whole,omitempty"`
}

// A Ticket is the row of a permission ticket: the permissions that a resource server requests
// for a client (FedAuthz §4). The ticket itself is a secret, of which the row has the hash.
type Ticket struct {
	Hash        []byte // Digest of the value
	Server      Key    // the resource server it was made for
	Client      string // client_id it was given to, after a first round; empty until then
	Subject     string // subject of the first round; empty until then
	Permissions []Permission
	Claims      map[string][]string // pushed by the resource server's service account
	Round       int                 // 1 for the first presentation
	Interval    time.Duration       // to wait before it is presented again, after request_submitted; 0 otherwise
	Gathered    []byte              // claims of earlier rounds, sealed; nil for none
	Issued      time.Time
	Expires     time.Time
}

// The states of a permission request.
const (
	Pending = "pending"
	Granted = "granted" // a share, from then on
	Refused = "denied"  // by the owner; remembered for a while and hidden
)

// A Request is what a requesting party asked the owner of a resource for: one
// scope, or the resource as a whole when it has none. A granted one is a share.
type Request struct {
	Key          Key
	ID           string // a UUID
	Server       Key
	Resource     Key
	ResourceID   ResourceID
	Owner        string
	Requester    string
	Scope        Scope  // empty: the resource as a whole
	ScopeID      string // of the ScopeRow; empty with the scope
	State        string
	Created      time.Time
	Decided      time.Time // when it was last granted or denied
	Version      int64
	ResourceName string
}

// The kinds of shares.
const (
	ByRequest = "request" // a granted Request
	ByPolicy  = "policy"  // a user-managed policy, as Keycloak has them
)

// A Share is what an owner granted of a resource, and to whom. A granted Request
// is one too, for one user and one scope.
type Share struct {
	Key         Key
	ID          string // a UUID
	Kind        string
	Name        string // of a policy: unique among those of its owner at the resource server
	Description string
	Server      Key
	Resource    Key
	ResourceID  ResourceID
	Owner       string
	Scopes      []Scope  // empty: the resource as a whole, when it has none
	Users       []string // subject ids
	Roles       []string // realm roles by name, client roles as client/role
	Groups      []string // paths
	Clients     []string // client_ids
	Strategy    string   // UNANIMOUS, AFFIRMATIVE or CONSENSUS
	Version     int64

	// Audience is the Version of the last change that removed parties from the share or
	// required more of them. A grant that rests on an older version is no longer valid.
	Audience int64
}

// A Party is who a share may be for.
type Party struct {
	ID     string
	Roles  []string // realm roles by name, client roles as client/role
	Groups []string
	Client string // client_id
}

// NewParty returns the party of a subject with these roles, by client too, and groups, for a client
// that asks.
func NewParty(subject string, roles []string, clientRoles map[string][]string, groups []string, client string) *Party {
	p := &Party{ID: subject, Roles: make([]string, 0, len(roles)+8), Groups: groups, Client: client}
	p.Roles = append(p.Roles, roles...)
	for c, names := range clientRoles {
		for _, name := range names {
			p.Roles = append(p.Roles, c+"/"+name)
		}
	}
	return p
}

// An RPT is the row of a requesting party token: what it grants and the rows that it rests
// on, so that a withdrawal takes effect whenever the token is presented.
type RPT struct {
	JTI         string
	Family      string // jti of the RPT that it is a refreshed copy of; empty for the first of them
	Within      string // jti of the access token in it; empty for none
	Ticket      []byte // hash of the ticket that it was traded for; nil without one
	SessionID   string // empty for a service account
	Subject     string
	Client      string // azp
	Server      Key
	Permissions []Grant
	Revision    string // of the policy that decided
	Generation  int64  // of the realm
	UserVersion int64
	Expires     time.Time // of the token itself
	Keep        time.Time // the row is kept until then: until its refresh token expires, if it has one
}

// A Grant is a permission of an RPT.
type Grant struct {
	Resource  ResourceID          `json:"rsid,omitempty"`
	Name      string              `json:"rsname,omitempty"`
	Scopes    []Scope             `json:"scopes,omitempty"`
	Claims    map[string][]string `json:"claims,omitempty"`
	Version   int64               `json:"version,omitempty"`   // of the resource
	Owner     string              `json:"owner,omitempty"`     // the owner of the resource, if granted to the owner: it ends when the owner changes
	Shares    []GrantShare        `json:"shares,omitempty"`    // that it rests on
	Inherited []Scope             `json:"inherited,omitempty"` // of Scopes: not the resource's own, but of its type
	TTL       int                 `json:"ttl,omitempty"`       // seconds, what the policy shortened the RPT to
}

// A GrantShare is a share that a grant rests on, with the granted scopes that
// it covered.
type GrantShare struct {
	ID      string  `json:"id"`
	Version int64   `json:"version"`
	Scopes  []Scope `json:"scopes,omitempty"` // empty: the resource as a whole, or none of the grant's scopes
}

// A Session is a user's sign-in. Access tokens carry its id as `sid`.
type Session struct {
	ID      string
	User    string // subject id
	Client  string // client_id it began with
	Scope   string // granted at sign-in, space separated
	Started time.Time
	Expires time.Time
	Ended   bool
}

// A RefreshToken is the row behind a refresh token (a JWT around its handle).
// It is used once: rotation spends it and adds its successor.
type RefreshToken struct {
	Hash      []byte // Digest of the handle
	SessionID string
	Client    string // client_id it is bound to
	Scope     string
	RPT       string // jti of the RPT whose permissions it keeps; empty for a plain one
	Expires   time.Time
}

// The decision strategies of a user-managed policy. It may name parties by users, roles,
// groups and clients: of these kinds all must match, one must, or more must than not.
const (
	Unanimous   = "UNANIMOUS"
	Affirmative = "AFFIRMATIVE"
	Consensus   = "CONSENSUS"
)

// Limits of user-managed policies. All policies of a resource may be candidates for one
// decision, and go into its record.
const (
	MaxShares     = 1000     // of a resource
	MaxNamed      = 16 << 10 // bytes of the users, roles, groups and clients that one names
	MaxShareBytes = 64 << 10 // of all policies of a resource together, as records have them
)
