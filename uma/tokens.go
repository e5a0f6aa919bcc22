package uma

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Resource returns the id of the resource, whichever of the two members has it.
func (p *GrantedPermission) Resource() ResourceID {
	if p.ID == "" {
		return p.SetID
	}
	return p.ID
}

// GrantedPermissions returns grants as an RPT shows them.
func GrantedPermissions(grants []Grant) []GrantedPermission {
	out := make([]GrantedPermission, len(grants))
	for i, g := range grants {
		out[i] = GrantedPermission{Scopes: g.Scopes, Claims: g.Claims, ID: g.Resource, Name: g.Name}
	}
	return out
}

// The `typ` claims of the tokens this server signs, as Keycloak writes them.
const (
	TypeBearer  = "Bearer"  // access tokens and RPTs
	TypeID      = "ID"      // ID tokens
	TypeRefresh = "Refresh" // refresh tokens
	TypeTicket  = "Ticket"  // permission tickets in JWT form

	// TypeEntitlement is that of the RPTs of Keycloak's Authorization API before version 4.
	TypeEntitlement = "kc_ett"
)

// Claims are those of a token that this server signs: those of RFC 9068 and OpenID
// Connect, and what Keycloak's clients read beside them.
type Claims struct {
	ID              string             `json:"jti"`
	Issuer          string             `json:"iss"`
	Audience        Audience           `json:"aud,omitempty"`
	Subject         string             `json:"sub"`
	SubjectID       *SubjectID         `json:"sub_id,omitempty"` // of a party of a trusted issuer
	Type            string             `json:"typ"`
	AuthorizedParty string             `json:"azp"`
	ClientID        string             `json:"client_id,omitempty"`
	SessionID       string             `json:"sid,omitempty"`
	ACR             string             `json:"acr,omitempty"`
	AuthTime        int64              `json:"auth_time,omitempty"`
	AccessTokenHash string             `json:"at_hash,omitempty"` // of an ID token
	Scope           string             `json:"scope,omitempty"`
	RealmAccess     *RoleSet           `json:"realm_access,omitempty"`
	ResourceAccess  map[string]RoleSet `json:"resource_access,omitempty"`
	Groups          []string           `json:"groups,omitempty"`
	Username        string             `json:"preferred_username,omitempty"`
	AllowedOrigins  []string           `json:"allowed-origins,omitempty"`
	Authorization   *Authorization     `json:"authorization,omitempty"`

	// Of tokens of parties of trusted issuers, as those had them in the token that they
	// presented.
	GroupsKnown    bool       `json:"groups_known,omitempty"`
	Attributes     Attributes `json:"attributes,omitempty"`  // not in RPTs
	SubjectVersion int64      `json:"sub_version,omitempty"` // the version of the party's row
	Application    bool       `json:"application,omitempty"` // an application's own token

	// Of the RPTs of the legacy API alone.
	Permissions []GrantedPermission `json:"permissions,omitempty"`
	AccessToken string              `json:"accessToken,omitempty"`
	NotBefore   *int64              `json:"nbf,omitempty"`

	Handle   string `json:"handle,omitempty"` // of a refresh token or a ticket
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`

	// Extra are the user's own claims (email, given_name, ...), written beside
	// the others; none of them may have the name of one of those.
	Extra map[string]any `json:"-"`
}

// Attributes are those of a party, by name. Numbers are json.Number.
type Attributes map[string]any

// UnmarshalJSON implements json.Unmarshaler.
func (a *Attributes) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	return dec.Decode((*map[string]any)(a))
}

// MaxRPT is how many characters an RPT may have: this server must be able to read it
// again in a header, and in a form beside other parameters.
const MaxRPT = 48_000

// A RoleSet is the value of realm_access and of a member of resource_access.
type RoleSet struct {
	Roles []string `json:"roles"`
}

// Authorization is what makes an access token an RPT.
type Authorization struct {
	Permissions []GrantedPermission `json:"permissions"`
}

// A GrantedPermission is a permission as RPTs and `response_mode=permissions`
// show it. In RPTs of the legacy API its last two members stand for those before.
type GrantedPermission struct {
	Scopes  []Scope             `json:"scopes,omitempty"`
	Claims  map[string][]string `json:"claims,omitempty"`
	ID      ResourceID          `json:"rsid,omitempty"`
	Name    string              `json:"rsname,omitempty"`
	SetID   ResourceID          `json:"resource_set_id,omitempty"`
	SetName string              `json:"resource_set_name,omitempty"`
}

// An Audience is written as a string when it is one, else as an array.
type Audience []string

// MarshalJSON implements json.Marshaler.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		*a = Audience{s}
		return err
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// Issuer makes the realm's tokens and keys. Methods with a context may ask a key service or
// a hardware module. They return the context's error if the context ends first.
type Issuer interface {
	// Sign signs with the realm's active key: access tokens, RPTs and ID tokens.
	Sign(ctx context.Context, s *Snapshot, c *Claims) (string, error)

	// Length returns the number of characters of the token that Sign would return. It
	// needs no private key.
	Length(s *Snapshot, c *Claims) (int, error)

	// SignOwn signs a refresh token or a ticket, which only this server reads
	// (HS256).
	SignOwn(ctx context.Context, s *Snapshot, c *Claims) (string, error)

	// NewKey makes a key pair for an algorithm, sealed, active and created now.
	NewKey(ctx context.Context, alg string) (SigningKey, error)
}

// ErrUnverified is a Verifier's error for a token that it does not accept. Any other
// error says that the token could not be checked.
var ErrUnverified = errors.New("not a token of this realm")

// ErrUnknownKey is an ErrUnverified for a token that would be one of this realm if the snapshot had
// the key that its header names: another server may have begun to sign with a new key.
var ErrUnknownKey = fmt.Errorf("%w: its key is unknown", ErrUnverified)

// Verifier reads tokens that this server signed. An error never quotes them. Methods with a
// context may ask a key service. They return the context's error if the context ends first.
type Verifier interface {
	// Verify checks the signature (by any key of the snapshot), the issuer, and that the
	// token has an expiry and a known typ. Callers check whether it has expired, its
	// session, audience and revocation. ErrUnknownKey: the key is not in the snapshot, and the rest
	// looks well.
	Verify(ctx context.Context, s *Snapshot, issuer, raw string) (*Claims, error)

	// VerifyRefresh does the same for refresh tokens.
	VerifyRefresh(ctx context.Context, s *Snapshot, issuer, raw string) (*Claims, error)

	// VerifyTicket does the same for permission tickets in JWT form.
	VerifyTicket(ctx context.Context, s *Snapshot, issuer, raw string) (*Claims, error)

	// KeySet returns the JWK Set of the snapshot's keys as JSON (RFC 7517). It needs no
	// private key.
	KeySet(s *Snapshot) ([]byte, error)
}

// Hasher hashes passwords, secrets and files for the store. Its methods may ask a key
// service. They return the context's error if the context ends first.
type Hasher interface {
	// Password hashes with argon2id, one at a time, because each hash takes much memory.
	Password(ctx context.Context, plain string) (string, error)

	// CheckPassword compares, one at a time too. With an empty hash it returns false and
	// takes as long. ErrBusy: too many requests wait, most of them from this address.
	CheckPassword(ctx context.Context, from Attempt, hash, plain string) (bool, error)

	// Secret is HMAC-SHA-256 of SHA-256(plain) under a sealed key.
	Secret(ctx context.Context, plain string) ([]byte, error)

	// SecretFromHash is the same from `sha256:HEX`, the SHA-256 of the secret.
	SecretFromHash(ctx context.Context, hash string) ([]byte, error)

	// Fingerprint is a keyed digest of the content of a realm file.
	Fingerprint(ctx context.Context, content []byte) ([]byte, error)
}

// An Attempt says whose password is checked and from which address, so that many
// guesses do not delay other users. The zero value is for the server's own calls.
type Attempt struct {
	User    string // realm and name
	Address string
	Known   bool // the user has signed in from that address lately
}

// Digest is the form in which a secret with 32 random bytes is kept: its SHA-256, after the
// time if the secret begins with one.
func Digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	if len(secret) == base64.RawURLEncoding.EncodedLen(timeBytes+secretBytes) {
		if begins, err := base64.RawURLEncoding.DecodeString(secret[:timeLetters]); err == nil {
			return append(begins, sum[:]...)
		}
	}
	return sum[:]
}

// SumOf is the SHA-256 in a digest.
func SumOf(digest []byte) []byte { return digest[max(0, len(digest)-sha256.Size):] }

const (
	secretBytes = 32 // random ones
	timeBytes   = 6  // milliseconds, as those of a UUID of version 7
	timeLetters = 8  // that encode them
)

// NewSecret returns 32 random bytes in base64url.
func NewSecret() string {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails, see its documentation
	return base64.RawURLEncoding.EncodeToString(b)
}

// NewHandle returns a ticket, or the handle of a refresh token (§5.4): the time and 32 random
// bytes, in base64url. Its digest begins with the time, too, so that rows of the same moment
// are stored on the same page.
func NewHandle(now time.Time) string {
	b := make([]byte, timeBytes+secretBytes)
	binary.BigEndian.PutUint64(b, uint64(now.UnixMilli())<<16) // the last two bytes become random ones
	rand.Read(b[timeBytes:])
	return base64.RawURLEncoding.EncodeToString(b)
}

// FromUnix returns the UTC time of a NumericDate (RFC 7519 §2).
func FromUnix(sec int64) time.Time { return time.Unix(sec, 0).UTC() }
