package postgres

import (
	"context"
	"errors"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// takenAtOnce is for how many scopes invitations are taken in one transaction, give or take those
// of one invitation: the resources are locked until its end.
const takenAtOnce = 500

// AdmitParty implements uma.Parties. Invitations for many scopes are taken in several
// transactions: the address is kept by the last, with the last invitations for it.
//
// If the identity, or the name, is given to another user meanwhile, the unique constraint says
// so, and the next try finds it.
func (s *Store) AdmitParty(ctx context.Context, realm uma.Key, a *uma.Admission) (*uma.User, error) {
	a.Taken = nil
	for n := 1; ; {
		var d admission
		err := s.write(ctx, func(tx *conn) error {
			d = admission{Admission: a, realm: realm}
			return d.run(tx)
		})
		switch {
		case stateOf(err) == uniqueViolation && n < tries:
			n++
			continue
		case err != nil:
			return nil, err
		}
		if a.Taken = append(a.Taken, d.taken...); !d.more {
			return d.user, nil
		}
	}
}

// An admission is one transaction of AdmitParty.
type admission struct {
	*uma.Admission
	realm uma.Key
	user  *uma.User
	taken []uma.Invitation
	more  bool // there are more invitations to take
}

func (d *admission) run(tx *conn) (err error) {
	d.user, err = partyOf(tx, d.realm, d.Identity.Issuer, d.Identity.Subject, ` FOR NO KEY UPDATE OF u`)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		if err := d.addParty(tx); err != nil {
			return err
		}
	case err != nil:
		return err
	case d.user.Identity == nil:
		return writing("party", uma.ErrConflict)
	}
	email := rows.LowerASCII(d.Email)
	if had, _ := d.user.Claims["email"].(string); !d.user.Enabled || email == "" || email == had {
		return nil
	}
	if err := d.takeInvitations(tx, email); err != nil || d.more {
		return err
	}
	d.user.Claims = map[string]any{"email": email}
	claims, err := rows.DocumentText(d.user.Claims)
	if err != nil {
		return writing("party", err)
	}
	_, err = tx.exec(`UPDATE users SET claims = $1, email = $2 WHERE key = $3`, claims, emailOf(d.user.Claims), d.user.Key)
	return writing("e-mail address of a party", err)
}

// addParty makes the rows of a party, which refer to each other.
func (d *admission) addParty(tx *conn) error {
	from, err := issuerRow(tx, d.realm, d.Identity.Issuer)
	if err != nil {
		return err
	}
	y := uma.Identity{Issuer: from.URL, Alias: from.Alias, Subject: d.Identity.Subject, Service: d.Identity.Service}
	u := &uma.User{ID: d.ID, Enabled: true, Origin: uma.FromIssuer, Identity: &y}
	if u.Username, err = d.name(tx, from.Alias); err != nil {
		return err
	}
	err = tx.row(`WITH k AS (SELECT nextval('users_key_seq') AS user_key, nextval('identity_key_seq') AS own),
		y AS (INSERT INTO identity (key, issuer, subject, user_key, service) SELECT k.own, $1, $2, k.user_key, $3 FROM k)
		INSERT INTO users (key, realm, id, username, folded, password, enabled, roles, client_roles, groups, claims, origin, version, identity)
		SELECT k.user_key, $4, $5, $6, $7, '', true, '{}', '{}', '{}', '{}', $8, nextval('version'), k.own FROM k
		RETURNING key, version`,
		[]any{from.Key, y.Subject, y.Service, d.realm, u.ID, u.Username, rows.Fold(u.Username), string(u.Origin)}, &u.Key, &u.Version)
	d.user = u
	return writing("party", err)
}

// name returns the first of the names of an admission that no user has.
func (d *admission) name(tx *conn, alias string) (string, error) {
	var wanted, folded []string
	for _, name := range []string{d.Name, d.Identity.Subject} {
		if name != "" {
			wanted, folded = append(wanted, alias+"/"+name), append(folded, rows.Fold(alias+"/"+name))
		}
	}
	found, err := texts[string](tx, `SELECT folded FROM users WHERE realm = $1 AND folded = ANY($2)`, d.realm, folded)
	if err != nil {
		return "", reading("usernames", err)
	}
	taken := make(map[string]bool, len(found))
	for _, name := range found {
		taken[name] = true
	}
	for i, name := range folded {
		if !taken[name] {
			return wanted[i], nil
		}
	}
	return alias + "/" + d.ID, nil
}

// takeInvitations makes invitations for the address that a party proves its shares, unless another
// user has the address.
func (d *admission) takeInvitations(tx *conn, email string) error {
	if _, err := tx.all(lockAddresses(d.realm, email)); err != nil {
		return reading("e-mail addresses", err)
	}
	held, err := hasAddress(tx, d.realm, email, d.user.Key)
	if err != nil || held {
		return reading("users with an e-mail address", err)
	}
	open, resources, err := d.openInvitations(tx, email)
	if err != nil || len(open) == 0 {
		return reading("invitations", err)
	}
	// What locks a resource and then changes the invitations for it must not wait for us while we
	// wait for the resource.
	_, err = tx.exec(`SELECT 1 FROM resource WHERE key = ANY($1) ORDER BY key FOR SHARE`, resources)
	if err != nil {
		return reading("resources of invitations", err)
	}
	d.taken, err = list(tx, `WITH v AS (UPDATE invitation SET taken_by = $1, taken = $2 WHERE key = ANY($3) AND taken_by = '' RETURNING *)
		SELECT`+invitationColumns+`FROM v JOIN resource r ON r.key = v.resource ORDER BY v.key`,
		[]any{d.user.ID, rows.Millis(d.Now), open}, scanInvitation)
	if err != nil {
		return writing("invitations", err)
	}
	for i := range d.taken {
		d.taken[i].Taken = d.Now
	}
	return d.grantInvited(tx)
}

// openInvitations returns the keys of the oldest invitations for an address that nobody has taken,
// and those of their resources, and sets more.
func (d *admission) openInvitations(tx *conn, email string) (open, resources []int64, err error) {
	granted := 0
	err = tx.rows(`SELECT key, resource, greatest(cardinality(scopes), 1) FROM invitation
		WHERE realm = $1 AND email = $2 AND taken_by = '' ORDER BY key LIMIT $3`, []any{d.realm, email, takenAtOnce},
		func(scan scanFunc) error {
			var key, resource int64
			var scopes int
			if err := scan(&key, &resource, &scopes); err != nil {
				return err
			}
			if d.more = d.more || granted >= takenAtOnce; !d.more {
				open, resources = append(open, key), append(resources, resource)
			}
			granted += scopes
			return nil
		})
	return open, resources, err
}

// grantInvited shares the scopes of the invitations that were taken with the party. What it has
// already, it keeps; what it has asked for is approved.
func (d *admission) grantInvited(tx *conn) error {
	var wanted columns
	for i := range d.taken {
		v := &d.taken[i]
		if v.Owner == d.user.ID {
			continue
		}
		scopes := v.Scopes
		if len(scopes) == 0 {
			scopes = []uma.Scope{""}
		}
		for _, scope := range scopes {
			wanted.add(int64(v.Resource), string(scope), d.NewID())
		}
	}
	if wanted.count == 0 {
		return nil
	}
	args := append(wanted.args(), d.user.ID)
	_, err := tx.all(
		command{query: `DELETE FROM request q USING unnest($1::bigint[], $2::text[]) x (resource, scope)
			WHERE q.resource = x.resource AND q.requester = $3 AND q.scope = x.scope AND ` + refused,
			args: []any{args[0], args[1], d.user.ID}},
		command{query: `INSERT INTO request (id, server, resource, resource_id, resource_name, owner, requester, scope, scope_id,
				state, created, decided, version)
			SELECT DISTINCT ON (r.key, x.scope) x.id, r.server, r.key, r.id, r.name, r.owner, $4, x.scope, coalesce(s.id, ''),
				'granted', $5::bigint, $5::bigint, nextval('version')
			FROM unnest($1::bigint[], $2::text[], $3::text[]) x (resource, scope, id) JOIN resource r ON r.key = x.resource
			LEFT JOIN scope s ON s.server = r.server AND s.name = x.scope
			ON CONFLICT (resource, requester, scope) DO UPDATE SET state = 'granted', decided = excluded.decided, version = excluded.version
			WHERE request.state <> 'granted'`, args: append(args, rows.Millis(d.Now))})
	return writing("shares of a party", err)
}

// hasAddress reports whether a user, other than one, has an e-mail address.
func hasAddress(tx *conn, realm uma.Key, email string, except uma.Key) (bool, error) {
	return tx.exists(`SELECT 1 FROM users WHERE realm = $1 AND email = $2 AND key <> $3 LIMIT 1`, realm, rows.LowerASCII(email), except)
}
