package uma

import (
	"slices"
	"strings"
	"time"
)

// A Key is how the store knows a row. It means nothing outside the store, is
// positive, and is never shown to a client.
type Key int64

// An Origin says where a row came from: a realm file or an API.
type Origin string

// The origins of rows.
const (
	FromFile  Origin = "file"
	FromAPI   Origin = "api"
	FromOwner Origin = "owner" // of a resource: over the API, by its owner and not the resource server

	FromIssuer Origin = "issuer" // of a user: a party of a trusted issuer
)

// A Profile says which face the realm's own endpoints are.
type Profile string

// The profiles.
const (
	ProfileKeycloak Profile = "keycloak"
	ProfileUMA2     Profile = "uma2" // the Kantara specifications, strictly
)

// A Realm is a tenant: its clients, users, keys, resources and policy. Nothing
// crosses realms.
type Realm struct {
	Key         Key
	Name        string
	Enabled     bool
	Profile     Profile
	Lifetimes   Lifetimes
	SigningAlg  string // RS256, ES256 or EdDSA
	Policy      PolicySettings
	TicketReuse bool // tickets stay usable until they expire, for clients that rely on Keycloak's
	Issuers     []TrustedIssuer
	SinkHold    time.Duration // how long records that are due to be removed wait for the realm's sinks

	// Generation is raised by every administrative change of the realm.
	Generation int64

	// Period is the key of the policy period in force, 0 before the first.
	Period Key
}

// Issuer returns the trusted issuer with a URL, or nil.
func (r *Realm) Issuer(url string) *TrustedIssuer {
	return r.issuerWhere(func(t TrustedIssuer) bool { return t.Issuer == url })
}

// IssuerCalled returns the trusted issuer with an alias, or nil.
func (r *Realm) IssuerCalled(alias string) *TrustedIssuer {
	return r.issuerWhere(func(t TrustedIssuer) bool { return t.Alias == alias })
}

func (r *Realm) issuerWhere(is func(TrustedIssuer) bool) *TrustedIssuer {
	i := slices.IndexFunc(r.Issuers, is)
	if i < 0 {
		return nil
	}
	return &r.Issuers[i]
}

// ProvesAddresses reports whether a party can prove an e-mail address: some issuer maps it.
func (r *Realm) ProvesAddresses() bool {
	return slices.ContainsFunc(r.Issuers, func(t TrustedIssuer) bool { return len(t.Map.Email) > 0 })
}

// Lifetimes are the lifetimes of the tokens, tickets and sessions of a realm.
type Lifetimes struct {
	Access, RPT, Refresh, Session, Ticket, PCT time.Duration
}

// PolicySettings are the `policy` section of a realm file.
type PolicySettings struct {
	Bundle         string // folder or bundle file of the realm's policies, absolute; empty for the shipped library alone
	AllOrNothing   bool   // a partial grant is a refusal
	Timeout        time.Duration
	MaxPermissions int           // to which one request may resolve
	ResubmitAfter  time.Duration // how long an owner's refusal is remembered
	Entrypoint     string        // such as data.uma.authz.decision

	// Removed are packages that may be missing from the folder although they were in
	// force: uma.guardrails and uma.policies.<type>. Any other missing package counts
	// as lost.
	Removed []string

	// Shadow is a folder or bundle file of policies, absolute, that evaluates the realm's
	// decisions again after they were made; empty for none.
	Shadow string

	DecideAnew bool // no answer of the policy is given a second time: see Evaluator.Recall

	Manual bool // every proposal of the folder waits for `umpire policy activate`
	Gates  Gates

	OPA *OPASettings // services of OPA's configuration; may be nil
}

// Source names where the policies come from: Bundle, or an OPA service and its resource.
// Empty: the shipped library alone.
func (p *PolicySettings) Source() string {
	if p.FromService() {
		return p.OPA.Source
	}
	return p.Bundle
}

// FromService reports whether the policies come from an OPA service.
func (p *PolicySettings) FromService() bool { return p.OPA != nil && p.OPA.Source != "" }

// OPASettings are `policy.opa` of a realm file: OPA's own configuration of services.
type OPASettings struct {
	Source string `json:"source,omitempty"` // service and resource of the bundle; empty: policies are in Bundle

	// Sealed is the configuration, in JSON, sealed for OPAContext. It has secrets.
	Sealed []byte `json:"sealed"`

	// Fingerprint is Hasher.Fingerprint of the configuration: the same one has it sealed
	// once, so that settings that did not change are equal.
	Fingerprint []byte `json:"fingerprint"`
}

// OPAContext is the purpose for which OPASettings of a realm are sealed.
func OPAContext(realm string) []byte { return []byte("policy.opa of realm " + realm) }

// A Client is an OAuth client of a realm. One with ResourceServer set may
// register resources and ask for tickets.
type Client struct {
	Key    Key
	ID     string // the public client_id
	UUID   string // the subject of its service account, and the owner of what that registers
	Secret []byte // Hasher.Secret of its secret; nil for a public client

	Enabled        bool
	Public         bool
	ResourceServer bool
	ServiceAccount bool
	PasswordGrant  bool

	Roles              []string            // of its service account
	ClientRoles        map[string][]string // the same
	Groups             []string            // the same
	Claims             map[string]any      // the same; numbers are json.Number, as they were written
	WebOrigins         []string
	ClaimsRedirectURIs []string
	Scopes             []Scope // pre-registered for the grant's `scope` (§3.3.1)
	Origin             Origin

	TokenExchange bool // may trade tokens of trusted issuers for the realm's (RFC 8693)

	// The keys of a client that authenticates by private_key_jwt, which has no secret.
	JWKS    []byte // a JWK Set
	JWKSURI string
}

// HasKeys reports whether the client authenticates by private_key_jwt.
func (c *Client) HasKeys() bool { return c.JWKS != nil || c.JWKSURI != "" }

// ServiceAccountName is the username of the client's service account.
func (c *Client) ServiceAccountName() string { return "service-account-" + c.ID }

// A User is a local user of a realm, or a party of a trusted issuer.
type User struct {
	Key         Key
	ID          string // a UUID: the subject of its tokens
	Username    string
	Password    string // Hasher.Password of its password
	Enabled     bool
	Roles       []string
	ClientRoles map[string][]string
	Groups      []string
	Claims      map[string]any // numbers are json.Number, as they were written
	Origin      Origin

	// Version is raised by every change of the row that a decision may see.
	Version int64

	// Identity is that of a party of a trusted issuer, nil for a local user. Such a row has no
	// password, roles or groups: they are in the token that is presented. Its claims have the
	// last e-mail address that it proved. Its Username begins with the issuer's alias and a
	// slash.
	Identity *Identity
}

// An Identity is how a trusted issuer knows a party.
type Identity struct {
	Issuer  string // the URL
	Alias   string
	Subject string
	Service bool // an application's own tokens have it as their subject
}

// A SigningKey is a key pair of a realm. The private half is sealed.
type SigningKey struct {
	KID     string
	Alg     string // RS256, ES256 or EdDSA
	Public  []byte // PKIX, ASN.1 DER
	Sealed  []byte // the private key, PKCS #8, sealed by the key-encryption key
	Created time.Time

	// Active is the one that signs. A retired key stays published until the
	// last token it signed has expired.
	Active  bool
	Expires time.Time // of a retired key; zero while active
}

// A Snapshot is what a request needs of a realm's configuration, read together.
// It is shared and must not be changed.
type Snapshot struct {
	Realm   Realm
	Clients map[string]*Client // by client_id
	ByUUID  map[string]*Client
	ByKey   map[Key]*Client
	Keys    []SigningKey // active and published ones
}

// NewSnapshot indexes the clients of a realm.
func NewSnapshot(r Realm, clients []*Client, keys []SigningKey) *Snapshot {
	s := &Snapshot{
		Realm: r, Keys: keys,
		Clients: make(map[string]*Client, len(clients)),
		ByUUID:  make(map[string]*Client, len(clients)),
		ByKey:   make(map[Key]*Client, len(clients)),
	}
	for _, c := range clients {
		s.Clients[c.ID], s.ByUUID[c.UUID], s.ByKey[c.Key] = c, c, c
	}
	return s
}

// SigningKey returns the key that signs for the algorithm of the realm, or nil.
func (s *Snapshot) SigningKey() *SigningKey { return s.ActiveKey(s.Realm.SigningAlg) }

// ActiveKey returns the active key of an algorithm, or nil.
func (s *Snapshot) ActiveKey(alg string) *SigningKey {
	i := slices.IndexFunc(s.Keys, func(k SigningKey) bool { return k.Active && k.Alg == alg })
	if i < 0 {
		return nil
	}
	return &s.Keys[i]
}

// AllowsOrigin reports whether a web origin is registered for any client of the realm. A
// preflight request names no client, so any will do.
func (s *Snapshot) AllowsOrigin(origin string) bool {
	for _, c := range s.Clients {
		if c.Enabled && slices.Contains(c.WebOrigins, origin) {
			return true
		}
	}
	return false
}

// A RealmSpec is what a realm file asks for. Secrets in it are plain: they are
// hashed on their way to the store and never shown.
type RealmSpec struct {
	Realm     Realm
	Clients   []ClientSpec
	Users     []UserSpec
	Scopes    map[string][]Scope // by resource server: known beside those of its resources
	Resources []ResourceSpec
	OPA       []byte // policy.opa in JSON, with its secrets; nil without it
	Content   []byte // the file with its secrets resolved, for the keyed fingerprint
}

// A ClientSpec is a client and its secret, in clear or as `sha256:HEX`.
type ClientSpec struct {
	Client
	PlainSecret string
	SecretHash  string
}

// A UserSpec is a user and its password, in clear or as an argon2id PHC string.
type UserSpec struct {
	User
	PlainPassword string
	PasswordHash  string
}

// A ResourceSpec is a resource, its resource server by client_id and its owner
// by username; an empty owner is the resource server itself.
type ResourceSpec struct {
	Resource
	ServerID  string
	OwnerName string
}

// PublicURL is what every URL of the server begins with, without a slash at its end,
// such as https://as.example.com or https://as.example.com/auth.
type PublicURL string

// Realm is the issuer of a realm's tokens, and the base of its endpoints.
func (u PublicURL) Realm(s *Snapshot) string { return string(u) + "/realms/" + s.Realm.Name }

// Root is the base of endpoints that are not Keycloak's: what comes before the /auth
// of its older paths.
func (u PublicURL) Root() string { return strings.TrimSuffix(string(u), "/auth") }
