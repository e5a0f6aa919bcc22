package sqlite

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
	err := scan((*integer)(&u.Key), &u.ID, &u.Username, &u.Password, &u.Enabled, (*names)(&u.Roles),
		document{&u.ClientRoles}, (*names)(&u.Groups), document{&u.Claims},
		(*namedText)(&u.Origin), (*integer)(&u.Version), identity{&u.Identity})
	return u, err
}

// partyColumns are the columns of a user that decisions depend on.
const partyColumns = ` u.key, u.id, u.username, u.enabled, u.roles, u.client_roles, u.groups, u.claims, u.version,` +
	identityColumns

func partyFields(u *uma.User) []any {
	return []any{(*integer)(&u.Key), &u.ID, &u.Username, &u.Enabled, (*names)(&u.Roles), document{&u.ClientRoles},
		(*names)(&u.Groups), document{&u.Claims}, (*integer)(&u.Version), identity{&u.Identity}}
}

// User implements uma.Users.
func (v *view) User(ctx context.Context, realm uma.Key, id string) (*uma.User, error) {
	return userByID(v.reader(ctx), realm, id)
}

// UserByName implements uma.Users.
func (v *view) UserByName(ctx context.Context, realm uma.Key, username string) (*uma.User, error) {
	c := v.reader(ctx)
	return userByName(c, realm, username)
}

func userByName(c *conn, realm uma.Key, username string) (*uma.User, error) {
	u, err := oneRow(c, `SELECT`+userColumns+`FROM user u`+ownIdentity+` WHERE u.realm = ? AND u.folded = ?`,
		[]any{int64(realm), rows.Fold(username)}, scanUser)
	return u, reading("user", err)
}

// UsersNamed implements uma.Users.
func (v *view) UsersNamed(ctx context.Context, realm uma.Key, namesOrEmails []string) (map[string][]*uma.User, error) {
	c := v.reader(ctx)
	names, emails := rows.NamesAndEmails(namesOrEmails)
	byName, err := usersBy(c, `u.folded`, realm, names)
	if err != nil {
		return nil, reading("users by name", err)
	}
	byEmail, err := usersBy(c, `lower(json_extract(u.claims, '$.email'))`, realm, emails)
	if err != nil {
		return nil, reading("users by e-mail", err)
	}
	return rows.UsersNamed(namesOrEmails, byName, byEmail), nil
}

// usersBy reads users by a column, or an expression, that has an index.
func usersBy(c *conn, column string, realm uma.Key, values []string) (map[string][]*uma.User, error) {
	found := map[string][]*uma.User{}
	if len(values) == 0 {
		return found, nil
	}
	err := c.rows(`SELECT `+column+`,`+partyColumns+`FROM user u`+ownIdentity+`
		WHERE u.realm = ? AND `+column+` IN (SELECT value FROM json_each(?))`,
		[]any{int64(realm), rows.ListText(values)}, func(scan scanFunc) error {
			u, value := &uma.User{}, ""
			err := scan(append([]any{&value}, partyFields(u)...)...)
			found[value] = append(found[value], u)
			return err
		})
	return found, err
}

// UsersByID implements uma.Users.
func (v *view) UsersByID(ctx context.Context, realm uma.Key, ids []string) (map[string]*uma.User, error) {
	c := v.reader(ctx)
	found := map[string]*uma.User{}
	err := c.rows(`SELECT`+partyColumns+`FROM user u`+ownIdentity+` WHERE u.realm = ? AND u.id IN (SELECT value FROM json_each(?))`,
		[]any{int64(realm), rows.ListText(ids)}, func(scan scanFunc) error {
			u := &uma.User{}
			err := scan(partyFields(u)...)
			found[u.ID] = u
			return err
		})
	return found, reading("users", err)
}

// Usernames implements uma.Users.
func (v *view) Usernames(ctx context.Context, realm uma.Key, ids []string) (map[string]string, error) {
	c := v.reader(ctx)
	found := map[string]string{}
	err := c.rows(`SELECT id, username FROM user WHERE realm = ? AND id IN (SELECT value FROM json_each(?))`,
		[]any{int64(realm), rows.ListText(ids)}, func(scan scanFunc) error {
			var id, username string
			err := scan(&id, &username)
			found[id] = username
			return err
		})
	return found, reading("usernames", err)
}

// Passwords implements uma.Users.
func (v *view) Passwords(ctx context.Context, realm uma.Key, usernames []string) (map[string]string, error) {
	c := v.reader(ctx)
	if len(usernames) == 0 {
		return nil, nil
	}
	asked := make(map[string]string, len(usernames))
	for _, name := range usernames {
		asked[rows.Fold(name)] = name
	}
	found := map[string]string{}
	err := c.rows(`SELECT folded, password FROM user WHERE realm = ? AND folded IN (SELECT value FROM json_each(?))`,
		[]any{int64(realm), rows.ListText(slices.Collect(maps.Keys(asked)))}, func(scan scanFunc) error {
			var folded, password string
			err := scan(&folded, &password)
			found[asked[folded]] = password
			return err
		})
	return found, reading("passwords", err)
}
