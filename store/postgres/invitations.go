package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const invitationColumns = ` v.id, v.resource, r.id, r.server, v.owner, v.email, v.scopes, v.created, v.taken_by, v.taken `

func scanInvitation(scan scanFunc) (uma.Invitation, error) {
	var v uma.Invitation
	err := scan(&v.ID, &v.Resource, &v.ResourceID, &v.Server, &v.Owner, &v.Email, (*scopes)(&v.Scopes), (*moment)(&v.Created),
		&v.TakenBy, (*moment)(&v.Taken))
	return v, err
}

// Invitations implements uma.Accounts.
func (v *view) Invitations(ctx context.Context, resources []uma.Key) ([]uma.Invitation, error) {
	found, err := list(v.conn(ctx), `SELECT`+invitationColumns+`FROM invitation v JOIN resource r ON r.key = v.resource
		WHERE v.resource = ANY ($1) AND v.taken_by = ''`, []any{resources}, scanInvitation)
	slices.SortFunc(found, func(a, b uma.Invitation) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Email, b.Email))
	})
	return found, reading("invitations", err)
}

// InvitationsOf implements uma.Accounts.
func (v *view) InvitationsOf(ctx context.Context, realm uma.Key, owner, after string, max int) ([]uma.Invitation, error) {
	found, err := list(v.conn(ctx), `SELECT`+invitationColumns+`FROM invitation v JOIN resource r ON r.key = v.resource
		WHERE v.realm = $1 AND v.owner = $2 AND v.id > $3 ORDER BY v.id LIMIT $4`, []any{realm, owner, after, max}, scanInvitation)
	return found, reading("invitations", err)
}

// WithdrawInvitation implements uma.Sharing. It locks the resource, so that ShareResource decides
// upon all invitations for it.
func (s *Store) WithdrawInvitation(ctx context.Context, realm uma.Key, owner, id string) error {
	found := false
	err := s.writeAll(ctx, command{query: `WITH locked AS (SELECT v.key FROM invitation v JOIN resource r ON r.key = v.resource
			WHERE v.realm = $1 AND v.owner = $2 AND v.id = $3 AND v.taken_by = '' FOR SHARE OF r FOR UPDATE OF v),
		gone AS (DELETE FROM invitation USING locked WHERE invitation.key = locked.key)
		SELECT count(*) > 0 FROM locked`, args: []any{realm, owner, id}, dest: []any{&found}})
	if err == nil && !found {
		err = uma.ErrNotFound
	}
	return writing("invitation", err)
}

// addresses is the first key of the advisory locks of e-mail addresses; the second is a hash.
const addresses = 0x756d71

// lockAddresses returns the command that locks e-mail addresses of a realm until the transaction ends: who gives a user an
// address that is proved, and who invites an address, do it one after the other. So each
// invitation is seen by whoever could take it. The command is run before resources are locked.
func lockAddresses(realm uma.Key, emails ...string) command {
	return command{query: `SELECT pg_advisory_xact_lock($1, hash) FROM (SELECT DISTINCT hashtext($2::bigint || ' ' || email) AS hash
		FROM unnest($3::text[]) email ORDER BY hash) h`, args: []any{addresses, realm, emails}}
}

// invitedBy are the addresses that a change invites, sorted. Others in it lose their invitations.
func invitedBy(c *uma.ShareChange) []string {
	emails := []string{}
	for email, granted := range c.Invite {
		if len(granted) > 0 {
			emails = append(emails, email)
		}
	}
	slices.Sort(emails)
	return emails
}

// invite returns the commands that make the invitations of a change all that there are for its
// addresses and, with Only, for the resource.
func invite(c *uma.ShareChange, r *uma.Resource) (commands []command) {
	switch {
	case c.Only:
		commands = []command{{query: `DELETE FROM invitation WHERE resource = $1 AND taken_by = ''`, args: []any{r.Key}}}
	case len(c.Invite) > 0:
		commands = []command{{query: `DELETE FROM invitation WHERE resource = $1 AND taken_by = '' AND email = ANY ($2)`,
			args: []any{r.Key, slices.Sorted(maps.Keys(c.Invite))}}}
	}
	var cols columns
	for _, email := range invitedBy(c) {
		granted := c.Invite[email]
		if slices.Contains(granted, uma.Everything) {
			granted = nil // as policies store it
		}
		cols.add(c.NewID(), email, arrayText(array(granted)))
	}
	if cols.count == 0 {
		return commands
	}
	return append(commands, command{query: `INSERT INTO invitation (id, realm, resource, owner, email, scopes, created, taken_by, taken)
		SELECT x.id, $4, $5, $6, x.email, x.scopes::text[], $7, '', 0 FROM unnest($1::text[], $2::text[], $3::text[]) x (id, email, scopes)`,
		args: append(cols.args(), c.Realm, r.Key, r.Owner, rows.Millis(c.Now))})
}

// adjustInvitations returns the commands that take scopes that a resource no longer has from the
// invitations for it, which are deleted with their last, as are those of another owner. One for
// the resource as a whole ends when that gets scopes.
func adjustInvitations(old, next *uma.Resource) []command {
	if old.Owner != next.Owner {
		return []command{{query: `DELETE FROM invitation WHERE resource = $1 AND taken_by = ''`, args: []any{next.Key}}}
	}
	if slices.Equal(old.Scopes, next.Scopes) {
		return nil
	}
	args := []any{next.Key, array(next.Scopes)}
	return []command{
		{query: `DELETE FROM invitation WHERE resource = $1 AND taken_by = '' AND NOT scopes && $2`, args: args},
		{query: `UPDATE invitation SET scopes = ARRAY (SELECT x.scope FROM unnest(scopes) WITH ORDINALITY x (scope, n)
			WHERE x.scope = ANY ($2) ORDER BY x.n) WHERE resource = $1 AND taken_by = '' AND NOT scopes <@ $2`, args: args},
	}
}
