package postgres

import (
	"example.com/umpire/uma"
)

// identityColumns are the identity of a user that is a party. They are last among the columns
// of a user, and NULL for a local one: see nullIdentity.
const (
	identityColumns = ` i.url, i.alias, y.subject, y.service `
	ownIdentity     = ` LEFT JOIN identity y ON y.key = u.identity LEFT JOIN issuer i ON i.key = y.issuer`
)

// A nullIdentity reads identityColumns.
type nullIdentity struct {
	issuer, alias, subject *string
	service                *bool
}

func (n *nullIdentity) fields() []any { return []any{&n.issuer, &n.alias, &n.subject, &n.service} }

// identity returns nil for a local user.
func (n *nullIdentity) identity() *uma.Identity {
	if n.issuer == nil {
		return nil
	}
	return &uma.Identity{Issuer: *n.issuer, Alias: *n.alias, Subject: *n.subject, Service: *n.service}
}

// userByID returns a user, local or not.
func userByID(c *conn, realm uma.Key, id string) (*uma.User, error) {
	u, err := oneRow(c, `SELECT`+userColumns+`FROM users u`+ownIdentity+` WHERE u.realm = $1 AND u.id = $2`,
		[]any{realm, id}, scanUser)
	return u, reading("user", err)
}
