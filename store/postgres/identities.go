package postgres

import (
	"context"
	"strings"

	"example.com/umpire/store/memory"
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

// PartyOf implements uma.Identities.
func (v *view) PartyOf(ctx context.Context, realm uma.Key, issuer, subject string) (*uma.User, error) {
	key := memory.UserKey{Realm: realm, Issuer: issuer, Subject: subject}
	if u, ok := memory.Recall(ctx, &v.rows, v.rows.Users, key); ok {
		return u, nil
	}
	var err error
	u, ok := v.ahead.party(key)
	if !ok {
		u, err = partyOf(v.conn(ctx), realm, issuer, subject, ``)
	} else if u == nil {
		err = reading("party", uma.ErrNotFound)
	}
	if err == nil && u.Identity != nil { // a local user has a password, which is not kept
		key.Issuer, key.Subject = strings.Clone(issuer), strings.Clone(subject)
		memory.Keep(&v.rows, v.rows.Users, key, u, key.Bytes()+memory.UserBytes(u))
	}
	return u, err
}

// partyOf returns the user of an identity. lock may be a clause that locks the row u.
func partyOf(c *conn, realm uma.Key, issuer, subject, lock string) (*uma.User, error) {
	u, err := oneRow(c, userOfIdentity+lock, []any{realm, issuer, subject}, scanUser)
	return u, reading("party", err)
}

const userOfIdentity = `SELECT` + userColumns + `FROM issuer o JOIN identity p ON p.issuer = o.key AND p.subject = $3
	JOIN users u ON u.key = p.user_key` + ownIdentity + ` WHERE o.realm = $1 AND o.url = $2`

// IdentitiesOf implements uma.Identities. The identity of a party is older than those that
// were linked to it.
func (v *view) IdentitiesOf(ctx context.Context, realm uma.Key, id string) ([]uma.Identity, error) {
	found, err := list(v.conn(ctx), `SELECT`+identityColumns+`FROM users u JOIN identity y ON y.user_key = u.key
		JOIN issuer i ON i.key = y.issuer WHERE u.realm = $1 AND u.id = $2 ORDER BY y.key`,
		[]any{realm, id}, func(scan scanFunc) (uma.Identity, error) {
			var y uma.Identity
			err := scan(&y.Issuer, &y.Alias, &y.Subject, &y.Service)
			return y, err
		})
	return found, reading("identities", err)
}
