package memory

import (
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// What a kept row takes besides its texts: its place in a map, its key and structure, and for
// each value in it the header and what allocation rounds up.
const (
	keptBytes  = 200
	valueBytes = 32
)

// A SessionKey is that of a token: the state of its session, and whether it is revoked.
type SessionKey struct {
	Realm        uma.Key
	JTI, Session string
}

// A SessionState is a uma.TokenState without the user.
type SessionState struct {
	Revoked bool
	Session *uma.Session // nil for a token without one
}

// Bytes is how many bytes the texts of the key take.
func (k *SessionKey) Bytes() int { return len(k.JTI) + len(k.Session) }

// Bytes is about how many bytes the state takes.
func (s *SessionState) Bytes() int {
	if s.Session == nil {
		return 0
	}
	return 200 + len(s.Session.User) + len(s.Session.Client) + len(s.Session.Scope)
}

// A UserKey is that of a user, by id, or of a party, by issuer and subject. A user that is found
// by id has the columns that decisions depend on: neither password nor origin.
type UserKey struct {
	Realm               uma.Key
	ID, Issuer, Subject string
}

// Bytes is how many bytes the texts of the key take.
func (k *UserKey) Bytes() int { return len(k.ID) + len(k.Issuer) + len(k.Subject) }

// UserBytes is about how many bytes a user takes.
func UserBytes(u *uma.User) int {
	n := 300 + len(u.ID) + len(u.Username) + len(u.Password) + listBytes(u.Roles) + listBytes(u.Groups) + documentBytes(u.Claims)
	for client, roles := range u.ClientRoles {
		n += 3*valueBytes + len(client) + listBytes(roles)
	}
	if y := u.Identity; y != nil {
		n += 3*valueBytes + len(y.Issuer) + len(y.Alias) + len(y.Subject)
	}
	return n
}

// A ResourceKey is that of a resource, by id or by owner and name.
type ResourceKey struct {
	Server      uma.Key
	ID          uma.ResourceID
	Owner, Name string
}

// Bytes is how many bytes the texts of the key take.
func (k *ResourceKey) Bytes() int { return len(k.ID) + len(k.Owner) + len(k.Name) }

// ResourceBytes is about how many bytes a resource takes.
func ResourceBytes(r *uma.Resource) int {
	n := 400 + rows.ResourceSize(r) + len(r.ID) + len(r.Owner) + valueBytes*(len(r.URIs)+len(r.Scopes)+2*len(r.Texts))
	for _, values := range r.Attributes {
		n += valueBytes * (3 + len(values))
	}
	return n
}

// listBytes is about how many bytes a list takes.
func listBytes[T ~string](list []T) int {
	n := 0
	for _, s := range list {
		n += valueBytes + len(s)
	}
	return n
}

// documentBytes is about how many bytes a value takes that was read from JSON.
func documentBytes(v any) int {
	switch v := v.(type) {
	case string:
		return valueBytes + len(v)
	case []any:
		n := valueBytes
		for _, one := range v {
			n += documentBytes(one)
		}
		return n
	case map[string]any:
		n := 10 * valueBytes // an empty map of Go has 300 bytes
		for name, one := range v {
			n += 2*valueBytes + len(name) + documentBytes(one)
		}
		return n
	}
	return valueBytes
}
