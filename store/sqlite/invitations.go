package sqlite

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const invitationColumns = ` v.id, v.resource, r.id, r.server, v.owner, v.email, v.scopes, v.created, v.taken_by, v.taken `

func scanInvitation(scan scanFunc) (uma.Invitation, error) {
	var v uma.Invitation
	err := scan(&v.ID, (*integer)(&v.Resource), (*namedText)(&v.ResourceID), (*integer)(&v.Server), &v.Owner, &v.Email,
		(*scopes)(&v.Scopes), (*moment)(&v.Created), &v.TakenBy, (*moment)(&v.Taken))
	return v, err
}

// Invitations implements uma.Accounts.
func (v *view) Invitations(ctx context.Context, resources []uma.Key) ([]uma.Invitation, error) {
	found, err := list(v.reader(ctx), `SELECT`+invitationColumns+`FROM json_each(?) x CROSS JOIN resource r ON r.key = x.value
		CROSS JOIN invitation v ON v.resource = r.key AND v.taken_by = ''`, []any{rows.KeysText(resources)}, scanInvitation)
	slices.SortFunc(found, func(a, b uma.Invitation) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Email, b.Email))
	})
	return found, reading("invitations", err)
}

// InvitationsOf implements uma.Accounts.
func (v *view) InvitationsOf(ctx context.Context, realm uma.Key, owner, after string, max int) ([]uma.Invitation, error) {
	found, err := list(v.reader(ctx), `SELECT`+invitationColumns+`FROM invitation v CROSS JOIN resource r ON r.key = v.resource
		WHERE v.realm = ? AND v.owner = ? AND v.id > ? ORDER BY v.id LIMIT ? + 0`, []any{int64(realm), owner, after, max}, scanInvitation)
	return found, reading("invitations", err)
}

// WithdrawInvitation implements uma.Sharing.
func (s *Store) WithdrawInvitation(ctx context.Context, realm uma.Key, owner, id string) error {
	return s.write(ctx, func(tx *conn) error {
		n, err := tx.exec(`DELETE FROM invitation WHERE realm = ? AND owner = ? AND id = ? AND taken_by = ''`, int64(realm), owner, id)
		if err == nil && n == 0 {
			err = uma.ErrNotFound
		}
		return writing("invitation", err)
	})
}

// checkInvited returns uma.ErrMoved if a user has an address that the change invites.
func checkInvited(tx *conn, c *uma.ShareChange) error {
	for email, granted := range c.Invite {
		if len(granted) == 0 {
			continue
		}
		held, err := hasAddress(tx, c.Realm, email, 0)
		if err == nil && held {
			err = uma.ErrMoved
		}
		if err != nil {
			return reading("users with an e-mail address", err)
		}
	}
	return nil
}

// hasAddress reports whether a user, other than one, has an e-mail address.
func hasAddress(tx *conn, realm uma.Key, email string, except uma.Key) (bool, error) {
	return tx.exists(`SELECT 1 FROM user u WHERE u.realm = ? AND lower(json_extract(u.claims, '$.email')) = ? AND u.key <> ? LIMIT 1`,
		int64(realm), rows.LowerASCII(email), int64(except))
}

// invite makes the invitations of a change all that there are for its addresses and, with
// Only, for the resource.
func invite(tx *conn, c *uma.ShareChange, r *uma.Resource) error {
	addresses := slices.Sorted(maps.Keys(c.Invite))
	withdrawn := command{`DELETE FROM invitation WHERE resource = ? AND taken_by = '' AND email IN (SELECT value FROM json_each(?))`,
		[]any{int64(r.Key), rows.ListText(addresses)}}
	if c.Only {
		withdrawn = command{`DELETE FROM invitation WHERE resource = ? AND taken_by = ''`, []any{int64(r.Key)}}
	}
	if len(addresses) > 0 || c.Only {
		if err := runAll(tx, []command{withdrawn}); err != nil {
			return err
		}
	}
	for _, email := range addresses {
		if len(c.Invite[email]) > 0 {
			if err := addInvitation(tx, c, r, email); err != nil {
				return writing("invitation", err)
			}
		}
	}
	return nil
}

func addInvitation(tx *conn, c *uma.ShareChange, r *uma.Resource, email string) error {
	for _, bound := range []command{
		{`SELECT 1 FROM invitation WHERE resource = ? AND taken_by = '' LIMIT 1 OFFSET ?`, []any{int64(r.Key), uma.MaxInvitations - 1}},
		{`SELECT 1 FROM invitation WHERE realm = ? AND email = ? AND taken_by = '' LIMIT 1 OFFSET ?`,
			[]any{int64(c.Realm), email, uma.MaxInvitationsTo - 1}},
	} {
		full, err := tx.exists(bound.query, bound.args...)
		if err == nil && full {
			err = uma.ErrFull
		}
		if err != nil {
			return err
		}
	}
	granted := c.Invite[email]
	if slices.Contains(granted, uma.Everything) {
		granted = nil // as policies store it
	}
	_, err := tx.exec(`INSERT INTO invitation (id, realm, resource, owner, email, scopes, created, taken_by, taken)
		VALUES (?, ?, ?, ?, ?, ?, ?, '', 0)`,
		c.NewID(), int64(c.Realm), int64(r.Key), r.Owner, email, rows.ListText(granted), rows.Millis(c.Now))
	return err
}

// takenAtOnce is for how many scopes invitations are taken in one transaction, give or take those
// of one invitation.
const takenAtOnce = 500

// takeInvitations makes invitations for the address that a party proves its shares, and reports
// whether there are more of them.
func takeInvitations(tx *conn, realm uma.Key, u *uma.User, email string, a *uma.Admission) (taken []uma.Invitation, more bool, err error) {
	held, err := hasAddress(tx, realm, email, u.Key)
	if err != nil || held {
		return nil, false, reading("users with an e-mail address", err)
	}
	found, err := list(tx, `SELECT`+invitationColumns+`FROM invitation v CROSS JOIN resource r ON r.key = v.resource
		WHERE v.realm = ? AND v.email = ? AND v.taken_by = '' ORDER BY v.key LIMIT ? + 0`,
		[]any{int64(realm), email, takenAtOnce}, scanInvitation)
	if err != nil {
		return nil, false, reading("invitations", err)
	}
	granted := 0
	for _, v := range found {
		if granted >= takenAtOnce {
			return taken, true, nil
		}
		if v.Owner != u.ID {
			if err := grantInvited(tx, &v, u.ID, a); err != nil {
				return nil, false, err
			}
		}
		granted += max(1, len(v.Scopes))
		v.TakenBy, v.Taken = u.ID, a.Now
		_, err := tx.exec(`UPDATE invitation SET taken_by = ?, taken = ? WHERE realm = ? AND owner = ? AND id = ?`,
			u.ID, rows.Millis(a.Now), int64(realm), v.Owner, v.ID)
		if err != nil {
			return nil, false, writing("invitation", err)
		}
		taken = append(taken, v)
	}
	return taken, len(found) == takenAtOnce, nil
}

// grantInvited shares the scopes of an invitation with a party. What it has already, it keeps;
// what it has asked for is approved.
func grantInvited(tx *conn, v *uma.Invitation, party string, a *uma.Admission) error {
	granted := v.Scopes
	if len(granted) == 0 {
		granted = []uma.Scope{""}
	}
	for _, scope := range granted {
		q := &uma.Request{ID: a.NewID(), Server: v.Server, Resource: v.Resource, Requester: party, Scope: scope,
			State: uma.Granted, Created: a.Now, Decided: a.Now}
		err := createRequest(tx, q)
		if errors.Is(err, uma.ErrConflict) {
			err = approve(tx, v.Resource, party, scope, a.Now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// approve grants a request if it is pending.
func approve(tx *conn, resource uma.Key, requester string, scope uma.Scope, now time.Time) error {
	q, err := requestRow(tx, `SELECT`+requestColumns+`FROM request q
		WHERE q.resource = ? AND q.requester = ? AND q.scope = ?`, int64(resource), requester, string(scope))
	if err != nil || q.State != uma.Pending {
		return err
	}
	return setState(tx, q.Key, uma.Granted, now)
}

// adjustInvitations takes scopes that a resource no longer has from the invitations for it,
// which are deleted with their last, as are those of another owner.
func adjustInvitations(tx *conn, old, next *uma.Resource) error {
	key := int64(next.Key)
	if old.Owner != next.Owner {
		_, err := tx.exec(`DELETE FROM invitation WHERE resource = ? AND taken_by = ''`, key)
		return writing("invitations", err)
	}
	if slices.Equal(old.Scopes, next.Scopes) {
		return nil
	}
	open, err := list(tx, `SELECT key, scopes FROM invitation WHERE resource = ? AND taken_by = ''`, []any{key},
		func(scan scanFunc) (keyScopes, error) {
			var k keyScopes
			err := scan((*integer)(&k.key), (*scopes)(&k.scopes))
			return k, err
		})
	if err != nil {
		return reading("invitations", err)
	}
	for _, k := range open {
		left := slices.DeleteFunc(slices.Clone(k.scopes), func(s uma.Scope) bool { return !slices.Contains(next.Scopes, s) })
		switch {
		case len(left) == 0: // it would be for the resource as a whole, or was
			_, err = tx.exec(`DELETE FROM invitation WHERE key = ?`, int64(k.key))
		case len(left) < len(k.scopes):
			_, err = tx.exec(`UPDATE invitation SET scopes = ? WHERE key = ?`, rows.ListText(left), int64(k.key))
		}
		if err != nil {
			return writing("invitation", err)
		}
	}
	return nil
}

type keyScopes struct {
	key    uma.Key
	scopes []uma.Scope
}
