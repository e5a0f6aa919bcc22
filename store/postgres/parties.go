package postgres

import (
	"context"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// PartiesAfter implements uma.Parties. The names of the parties of one issuer are a range: a
// slash is followed by 0.
func (s *Store) PartiesAfter(ctx context.Context, realm uma.Key, alias, after string, limit int) ([]*uma.User, error) {
	from, below, args := rows.Fold(after), ``, []any{realm, limit}
	if alias != "" {
		from, below = max(from, rows.Fold(alias)+"/"), ` AND u.folded < $4`
		args = append(args, from, rows.Fold(alias)+"0")
	} else {
		args = append(args, from)
	}
	return fetch(ctx, s, "parties", func(c *conn) ([]*uma.User, error) {
		return list(c, `SELECT`+userColumns+`FROM users u`+ownIdentity+`
			WHERE u.realm = $1 AND u.identity IS NOT NULL AND u.folded > $3`+below+` ORDER BY u.folded LIMIT $2`, args, scanUser)
	})
}

// lockUser is userByID for a transaction that changes the user.
func lockUser(tx *conn, realm uma.Key, id string) (*uma.User, error) {
	u, err := oneRow(tx, `SELECT`+userColumns+`FROM users u`+ownIdentity+` WHERE u.realm = $1 AND u.id = $2 FOR NO KEY UPDATE OF u`,
		[]any{realm, id}, scanUser)
	return u, reading("user", err)
}

// lockParty is lockUser for a user that is a party. A local one is not found.
func lockParty(tx *conn, realm uma.Key, id string) (*uma.User, error) {
	u, err := lockUser(tx, realm, id)
	if err == nil && u.Identity == nil {
		return nil, reading("party", uma.ErrNotFound)
	}
	return u, err
}

// EnableParty implements uma.Parties.
func (s *Store) EnableParty(ctx context.Context, realm uma.Key, id string, enabled bool) error {
	return s.write(ctx, func(tx *conn) error {
		u, err := lockParty(tx, realm, id)
		if err != nil || u.Enabled == enabled {
			return err
		}
		return setEnabled(tx, realm, u, enabled)
	})
}

// setEnabled changes a user that is locked.
func setEnabled(tx *conn, realm uma.Key, u *uma.User, enabled bool) error {
	var all steps
	all.add(command{query: `UPDATE users SET enabled = $1, version = nextval('version') WHERE key = $2`, args: []any{enabled, u.Key}})
	all.walk(endUserSessions(realm, u.ID))
	return writing("party", all.run(tx))
}

// LinkIdentity implements uma.Parties. The lock of the user keeps others from linking more than as
// many as allowed.
func (s *Store) LinkIdentity(ctx context.Context, realm uma.Key, id, issuer, subject string) error {
	return s.write(ctx, func(tx *conn) error {
		u, err := lockUser(tx, realm, id)
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
		_, err = tx.all(
			command{query: `INSERT INTO identity (issuer, subject, user_key, service) VALUES ($1, $2, $3, false)`,
				args: []any{from.Key, subject, u.Key}},
			raiseVersion(u.Key))
		return writing("identity", conflict(err))
	})
}

// checkUnlinked returns the error of LinkIdentity for an identity that somebody has, or a user
// with as many as allowed.
func checkUnlinked(tx *conn, u *uma.User, from *rows.Issuer, subject string) error {
	var taken, full bool
	err := tx.row(`SELECT EXISTS (SELECT 1 FROM identity WHERE issuer = $1 AND subject = $2),
		EXISTS (SELECT 1 FROM identity WHERE user_key = $3 OFFSET $4)`,
		[]any{from.Key, subject, u.Key, uma.MaxIdentities - 1}, &taken, &full)
	switch {
	case err != nil:
		return err
	case taken:
		return uma.ErrConflict
	case full:
		return uma.ErrFull
	}
	return nil
}

// UnlinkIdentity implements uma.Parties.
func (s *Store) UnlinkIdentity(ctx context.Context, realm uma.Key, id, issuer, subject string) error {
	return s.write(ctx, func(tx *conn) error {
		u, err := lockUser(tx, realm, id)
		if err != nil {
			return err
		}
		n, err := tx.exec(`DELETE FROM identity y USING issuer i WHERE i.realm = $1 AND i.url = $2
			AND y.issuer = i.key AND y.subject = $3 AND y.user_key = $4
			AND NOT EXISTS (SELECT 1 FROM users u WHERE u.key = $4 AND u.identity = y.key)`, realm, issuer, subject, u.Key)
		if err == nil && n == 0 {
			err = uma.ErrNotFound
		}
		if err == nil {
			_, err = tx.all(raiseVersion(u.Key))
		}
		return writing("identity", err)
	})
}

// raiseVersion raises the version of a user that is locked.
func raiseVersion(user uma.Key) command {
	return command{query: `UPDATE users SET version = nextval('version') WHERE key = $1`, args: []any{user}}
}

// SpendAssertion implements uma.Parties. One statement looks for the id and keeps it: it divides by
// zero if the id is there.
func (s *Store) SpendAssertion(ctx context.Context, realm, client uma.Key, id []byte, expires time.Time) error {
	err := s.writeAll(ctx, command{query: `WITH spent AS (INSERT INTO spent_assertion (realm, client, id, expires)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING 1) SELECT 1 / count(*) FROM spent`,
		args: []any{realm, client, id, rows.Millis(expires)}})
	if stateOf(err) == divisionByZero && !isUnavailable(err) {
		return uma.ErrSpent
	}
	return writing("spent assertion", err)
}
