package postgres

import (
	"context"
	"maps"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const userColumns = ` u.key, u.id, u.username, u.password, u.enabled, u.roles, u.client_roles, u.groups, u.claims,` +
	` u.origin, u.version,` + identityColumns

func scanUser(scan scanFunc) (*uma.User, error) {
	u := &uma.User{}
	var own nullIdentity
	err := scan(append([]any{&u.Key, &u.ID, &u.Username, &u.Password, &u.Enabled, (*names)(&u.Roles),
		document{&u.ClientRoles}, (*names)(&u.Groups), document{&u.Claims}, &u.Origin, &u.Version}, own.fields()...)...)
	u.Identity = own.identity()
	return u, err
}

// partyColumns are the columns of a user that decisions depend on.
const partyColumns = ` u.key, u.id, u.username, u.enabled, u.roles, u.client_roles, u.groups, u.claims, u.version,` +
	identityColumns

// scanParty reads partyColumns, after the columns that are read into before.
func scanParty(scan scanFunc, before ...any) (*uma.User, error) {
	u := &uma.User{}
	var own nullIdentity
	dest := append(before, &u.Key, &u.ID, &u.Username, &u.Enabled, (*names)(&u.Roles), document{&u.ClientRoles},
		(*names)(&u.Groups), document{&u.Claims}, &u.Version)
	err := scan(append(dest, own.fields()...)...)
	u.Identity = own.identity()
	return u, err
}

// User implements uma.Users.
func (v *view) User(ctx context.Context, realm uma.Key, id string) (*uma.User, error) {
	return userByID(v.conn(ctx), realm, id)
}

// UserByName implements uma.Users.
func (v *view) UserByName(ctx context.Context, realm uma.Key, username string) (*uma.User, error) {
	return userByName(v.conn(ctx), realm, username)
}

func userByName(c *conn, realm uma.Key, username string) (*uma.User, error) {
	u, err := oneRow(c, `SELECT`+userColumns+`FROM users u`+ownIdentity+` WHERE u.realm = $1 AND u.folded = $2`,
		[]any{realm, rows.Fold(username)}, scanUser)
	return u, reading("user", err)
}

// UsersNamed implements uma.Users.
func (v *view) UsersNamed(ctx context.Context, realm uma.Key, namesOrEmails []string) (map[string][]*uma.User, error) {
	c := v.conn(ctx)
	names, emails := rows.NamesAndEmails(namesOrEmails)
	byName, err := usersBy(c, `u.folded`, realm, names)
	if err != nil {
		return nil, reading("users by name", err)
	}
	byEmail, err := usersBy(c, `u.email`, realm, emails)
	if err != nil {
		return nil, reading("users by e-mail", err)
	}
	return rows.UsersNamed(namesOrEmails, byName, byEmail), nil
}

// usersBy reads users by a column that has an index.
func usersBy(c *conn, column string, realm uma.Key, values []string) (map[string][]*uma.User, error) {
	found := map[string][]*uma.User{}
	if len(values) == 0 {
		return found, nil
	}
	err := c.rows(`SELECT `+column+`,`+partyColumns+`FROM users u`+ownIdentity+` WHERE u.realm = $1 AND `+column+` = ANY($2)`,
		[]any{realm, values}, func(scan scanFunc) error {
			var value string
			u, err := scanParty(scan, &value)
			found[value] = append(found[value], u)
			return err
		})
	return found, err
}

// UsersByID implements uma.Users.
func (v *view) UsersByID(ctx context.Context, realm uma.Key, ids []string) (map[string]*uma.User, error) {
	found := map[string]*uma.User{}
	err := v.conn(ctx).rows(`SELECT`+partyColumns+`FROM users u`+ownIdentity+` WHERE u.realm = $1 AND u.id = ANY($2)`,
		[]any{realm, array(ids)}, func(scan scanFunc) error {
			u, err := scanParty(scan)
			found[u.ID] = u
			return err
		})
	return found, reading("users", err)
}

// Usernames implements uma.Users.
func (v *view) Usernames(ctx context.Context, realm uma.Key, ids []string) (map[string]string, error) {
	return pairs(v.conn(ctx), "usernames", `SELECT id, username FROM users WHERE realm = $1 AND id = ANY($2)`, realm, array(ids))
}

// Passwords implements uma.Users.
func (v *view) Passwords(ctx context.Context, realm uma.Key, usernames []string) (map[string]string, error) {
	c := v.conn(ctx)
	if len(usernames) == 0 {
		return nil, nil
	}
	asked := make(map[string]string, len(usernames))
	for _, name := range usernames {
		asked[rows.Fold(name)] = name
	}
	kept, err := pairs(c, "passwords", `SELECT folded, password FROM users WHERE realm = $1 AND folded = ANY($2)`,
		realm, slices.Collect(maps.Keys(asked)))
	found := make(map[string]string, len(kept))
	for folded, password := range kept {
		found[asked[folded]] = password
	}
	return found, err
}

// pairs returns the rows of a query of two texts.
func pairs(c *conn, what, query string, args ...any) (map[string]string, error) {
	found := map[string]string{}
	err := c.rows(query, args, func(scan scanFunc) error {
		var key, value string
		err := scan(&key, &value)
		found[key] = value
		return err
	})
	return found, reading(what, err)
}

// emailOf is users.email: the claim email in lower case, nil if it is no text.
func emailOf(claims map[string]any) *string {
	text, ok := claims["email"].(string)
	if !ok {
		return nil
	}
	text = rows.LowerASCII(text)
	return &text
}
