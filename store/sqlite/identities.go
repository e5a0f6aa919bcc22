package sqlite

import (
	"context"
	"errors"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// identityColumns are the identity of a user that is a party. They are last among the columns
// of a user. Of a local user SQLite looks up nothing for them.
const (
	identityColumns = ` i.url, i.alias, y.subject, y.service `
	ownIdentity     = ` LEFT JOIN identity y ON y.key = u.identity LEFT JOIN issuer i ON i.key = y.issuer`
)

// An identity reads identityColumns, which are NULL for a local user.
type identity struct{ of **uma.Identity }

func (d identity) read(s *sqlite.Stmt, i int) error {
	*d.of = nil
	if s.ColumnType(i) == sqlite.TypeNull {
		return nil
	}
	y := &uma.Identity{}
	for n, dest := range identityFields(y) {
		if err := scanOne(s, i+n, dest); err != nil {
			return err
		}
	}
	*d.of = y
	return nil
}

func identityFields(y *uma.Identity) []any { return []any{&y.Issuer, &y.Alias, &y.Subject, &y.Service} }

// PartyOf implements uma.Identities.
func (v *view) PartyOf(ctx context.Context, realm uma.Key, issuer, subject string) (*uma.User, error) {
	key := memory.UserKey{Realm: realm, Issuer: issuer, Subject: subject}
	if u, ok := memory.Recall(ctx, &v.View, v.Users, key); ok {
		return u, nil
	}
	u, err := partyOf(v.reader(ctx), realm, issuer, subject)
	if err == nil && u.Identity != nil { // a local user has a password, which is not kept
		key.Issuer, key.Subject = strings.Clone(issuer), strings.Clone(subject)
		memory.Keep(&v.View, v.Users, key, u, key.Bytes()+memory.UserBytes(u))
	}
	return u, err
}

func partyOf(c *conn, realm uma.Key, issuer, subject string) (*uma.User, error) {
	u, err := oneRow(c, `SELECT`+userColumns+`FROM issuer o CROSS JOIN identity p ON p.issuer = o.key AND p.subject = ?3
		CROSS JOIN user u ON u.key = p.user`+ownIdentity+` WHERE o.realm = ?1 AND o.url = ?2`,
		[]any{int64(realm), issuer, subject}, scanUser)
	return u, reading("party", err)
}

// IdentitiesOf implements uma.Identities. The identity of a party is older than those that
// were linked to it.
func (v *view) IdentitiesOf(ctx context.Context, realm uma.Key, id string) ([]uma.Identity, error) {
	c := v.reader(ctx)
	found, err := list(c, `SELECT`+identityColumns+`FROM user u CROSS JOIN identity y ON y.user = u.key
		CROSS JOIN issuer i ON i.key = y.issuer WHERE u.realm = ? AND u.id = ? ORDER BY y.key`,
		[]any{int64(realm), id}, func(scan scanFunc) (uma.Identity, error) {
			var y uma.Identity
			err := scan(identityFields(&y)...)
			return y, err
		})
	return found, reading("identities", err)
}

// PartiesAfter implements uma.Parties. The names of the parties of one issuer are a range: a
// slash is followed by 0.
func (s *Store) PartiesAfter(ctx context.Context, realm uma.Key, alias, after string, limit int) ([]*uma.User, error) {
	query, args := ``, []any{int64(realm), rows.Fold(after)}
	if alias != "" {
		query = ` AND u.folded > ? AND u.folded < ?`
		args = append(args, rows.Fold(alias)+"/", rows.Fold(alias)+"0")
	}
	return fetch(ctx, s, "parties", func(c *conn) ([]*uma.User, error) {
		return list(c, `SELECT`+userColumns+`FROM user u INDEXED BY user_party`+ownIdentity+`
			WHERE u.realm = ? AND u.identity IS NOT NULL AND u.folded > ?`+query+` ORDER BY u.folded LIMIT ? + 0`,
			append(args, limit), scanUser)
	})
}

// EnableParty implements uma.Parties.
func (s *Store) EnableParty(ctx context.Context, realm uma.Key, id string, enabled bool) error {
	return s.write(ctx, func(tx *conn) error {
		u, err := partyByID(tx, realm, id)
		if err != nil || u.Enabled == enabled {
			return err
		}
		return setEnabled(tx, realm, u, enabled)
	})
}

func setEnabled(tx *conn, realm uma.Key, u *uma.User, enabled bool) error {
	version, err := nextVersion(tx)
	if err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE user SET enabled = ?, version = ? WHERE key = ?`, enabled, version, int64(u.Key))
	if err != nil {
		return writing("party", err)
	}
	return endUserSessions(tx, realm, u.ID)
}

// userByID returns a user, local or not.
func userByID(c *conn, realm uma.Key, id string) (*uma.User, error) {
	u, err := oneRow(c, `SELECT`+userColumns+`FROM user u`+ownIdentity+` WHERE u.realm = ? AND u.id = ?`,
		[]any{int64(realm), id}, scanUser)
	return u, reading("user", err)
}

// partyByID returns a user that is a party, or uma.ErrNotFound.
func partyByID(c *conn, realm uma.Key, id string) (*uma.User, error) {
	u, err := userByID(c, realm, id)
	if err == nil && u.Identity == nil {
		return nil, reading("party", uma.ErrNotFound)
	}
	return u, err
}

// LinkIdentity implements uma.Parties.
func (s *Store) LinkIdentity(ctx context.Context, realm uma.Key, id, issuer, subject string) error {
	return s.write(ctx, func(tx *conn) error {
		u, err := userByID(tx, realm, id)
		if err != nil {
			return err
		}
		from, err := issuerRow(tx, realm, issuer)
		if err != nil {
			return err
		}
		if err := checkUnlinked(tx, u, from, subject); err != nil {
			return writing("identity", err)
		}
		if _, err := addIdentity(tx, from, &uma.Identity{Subject: subject}, u.Key); err != nil {
			return err
		}
		return raiseVersion(tx, u.Key)
	})
}

// checkUnlinked returns the error of LinkIdentity for an identity that somebody has, or a user
// with as many as allowed.
func checkUnlinked(tx *conn, u *uma.User, from *rows.Issuer, subject string) error {
	taken, err := tx.exists(`SELECT 1 FROM identity WHERE issuer = ? AND subject = ?`, int64(from.Key), subject)
	if err == nil && taken {
		err = uma.ErrConflict
	}
	if err != nil {
		return err
	}
	full, err := tx.exists(`SELECT 1 FROM identity WHERE user = ? LIMIT 1 OFFSET ?`, int64(u.Key), uma.MaxIdentities-1)
	if err == nil && full {
		err = uma.ErrFull
	}
	return err
}

// UnlinkIdentity implements uma.Parties.
func (s *Store) UnlinkIdentity(ctx context.Context, realm uma.Key, id, issuer, subject string) error {
	return s.write(ctx, func(tx *conn) error {
		u, err := userByID(tx, realm, id)
		if err != nil {
			return err
		}
		n, err := tx.exec(`DELETE FROM identity WHERE key = (SELECT y.key FROM issuer i CROSS JOIN identity y
			ON y.issuer = i.key AND y.subject = ?3 WHERE i.realm = ?1 AND i.url = ?2) AND user = ?4
			AND NOT EXISTS (SELECT 1 FROM user WHERE key = ?4 AND identity = identity.key)`,
			int64(realm), issuer, subject, int64(u.Key))
		if err == nil && n == 0 {
			err = uma.ErrNotFound
		}
		if err != nil {
			return writing("identity", err)
		}
		return raiseVersion(tx, u.Key)
	})
}

func raiseVersion(tx *conn, user uma.Key) error {
	version, err := nextVersion(tx)
	if err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE user SET version = ? WHERE key = ?`, version, int64(user))
	return writing("version of a user", err)
}

// SpendAssertion implements uma.Parties. One statement looks for the id and keeps it.
func (s *Store) SpendAssertion(ctx context.Context, realm, client uma.Key, id []byte, expires time.Time) error {
	return s.write(ctx, func(tx *conn) error {
		n, err := tx.exec(`INSERT INTO spent_assertion (realm, client, id, expires) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			int64(realm), int64(client), id, rows.Millis(expires))
		if err == nil && n == 0 {
			return uma.ErrSpent
		}
		return writing("spent assertion", err)
	})
}

// issuerRow returns an issuer that a realm trusts or has trusted.
func issuerRow(c *conn, realm uma.Key, url string) (*rows.Issuer, error) {
	i := &rows.Issuer{URL: url}
	err := c.row(`SELECT key, alias FROM issuer WHERE realm = ? AND url = ?`, []any{int64(realm), url}, (*integer)(&i.Key), &i.Alias)
	return i, reading("issuer", err)
}

func scanIssuer(scan scanFunc) (i rows.Issuer, err error) {
	err = scan((*integer)(&i.Key), &i.Alias, &i.URL)
	return i, err
}

// addIdentity adds an identity to a user.
func addIdentity(tx *conn, from *rows.Issuer, y *uma.Identity, user uma.Key) (uma.Key, error) {
	key, err := tx.insert(`INSERT INTO identity (issuer, subject, user, service) VALUES (?, ?, ?, ?)`,
		int64(from.Key), y.Subject, int64(user), y.Service)
	return key, writing("identity", conflict(err))
}

// AdmitParty implements uma.Parties. Invitations for many scopes are taken in several
// transactions, because other writers wait for each: the address is kept by the last, with the
// last invitations for it.
func (s *Store) AdmitParty(ctx context.Context, realm uma.Key, a *uma.Admission) (*uma.User, error) {
	a.Taken = nil
	for {
		var admitted *uma.User
		var taken []uma.Invitation
		var more bool
		err := s.write(ctx, func(tx *conn) (err error) {
			admitted, taken, more, err = admit(tx, realm, a)
			return err
		})
		if err != nil {
			return nil, err
		}
		if a.Taken = append(a.Taken, taken...); !more {
			return admitted, nil
		}
	}
}

// admit returns the party, the invitations that it has taken, and whether there are more.
func admit(tx *conn, realm uma.Key, a *uma.Admission) (u *uma.User, taken []uma.Invitation, more bool, err error) {
	u, err = partyOf(tx, realm, a.Identity.Issuer, a.Identity.Subject)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		if u, err = addParty(tx, realm, a); err != nil {
			return nil, nil, false, err
		}
	case err != nil:
		return nil, nil, false, err
	case u.Identity == nil:
		return nil, nil, false, writing("party", uma.ErrConflict)
	}
	email := rows.LowerASCII(a.Email)
	if had, _ := u.Claims["email"].(string); !u.Enabled || email == "" || email == had {
		return u, nil, false, nil
	}
	if taken, more, err = takeInvitations(tx, realm, u, email, a); err != nil || more {
		return u, taken, more, err
	}
	u.Claims = map[string]any{"email": email}
	claims, err := rows.DocumentText(u.Claims)
	if err != nil {
		return nil, nil, false, writing("party", err)
	}
	_, err = tx.exec(`UPDATE user SET claims = ? WHERE key = ?`, claims, int64(u.Key))
	return u, taken, false, writing("e-mail address of a party", err)
}

// addParty makes the row of a party.
func addParty(tx *conn, realm uma.Key, a *uma.Admission) (*uma.User, error) {
	from, err := issuerRow(tx, realm, a.Identity.Issuer)
	if err != nil {
		return nil, err
	}
	y := uma.Identity{Issuer: from.URL, Alias: from.Alias, Subject: a.Identity.Subject, Service: a.Identity.Service}
	u := &uma.User{ID: a.ID, Enabled: true, Origin: uma.FromIssuer, Identity: &y}
	if u.Username, err = partyName(tx, realm, from.Alias, a); err != nil {
		return nil, err
	}
	texts, err := rows.TextsOf(u)
	if err != nil {
		return nil, writing("user", err)
	}
	if u.Key, u.Version, err = insertUser(tx, realm, u, texts); err != nil {
		return nil, err
	}
	key, err := addIdentity(tx, from, &y, u.Key)
	if err != nil {
		return nil, err
	}
	_, err = tx.exec(`UPDATE user SET identity = ? WHERE key = ?`, int64(key), int64(u.Key))
	return u, writing("party", err)
}

// partyName returns the first of the names of an admission that no user has.
func partyName(tx *conn, realm uma.Key, alias string, a *uma.Admission) (string, error) {
	for _, name := range []string{a.Name, a.Identity.Subject} {
		if name == "" {
			continue
		}
		name = alias + "/" + name
		taken, err := tx.exists(`SELECT 1 FROM user WHERE realm = ? AND folded = ?`, int64(realm), rows.Fold(name))
		if err != nil || !taken {
			return name, reading("username", err)
		}
	}
	return alias + "/" + a.ID, nil
}
