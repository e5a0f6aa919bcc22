package sqlite

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const shareColumns = ` s.key, s.id, s.name, s.description, s.server, s.resource, s.resource_id, s.owner, s.scopes,` +
	` s.users, s.roles, s.groups, s.clients, s.strategy, s.version, s.audience `

func scanShare(scan scanFunc) (*uma.Share, error) {
	s := &uma.Share{Kind: uma.ByPolicy}
	err := scan((*integer)(&s.Key), &s.ID, &s.Name, &s.Description, (*integer)(&s.Server), (*integer)(&s.Resource),
		(*namedText)(&s.ResourceID), &s.Owner, (*scopes)(&s.Scopes), (*names)(&s.Users), (*names)(&s.Roles),
		(*names)(&s.Groups), (*names)(&s.Clients), &s.Strategy, (*integer)(&s.Version), (*integer)(&s.Audience))
	return s, err
}

func shareRow(c *conn, query string, args ...any) (*uma.Share, error) {
	s, err := oneRow(c, query, args, scanShare)
	return s, reading("share", err)
}

func shareByID(c *conn, server uma.Key, id string) (*uma.Share, error) {
	return shareRow(c, `SELECT`+shareColumns+`FROM share s WHERE s.server = ? AND s.id = ?`, int64(server), id)
}

// Share implements uma.Shares.
func (v *view) Share(ctx context.Context, server uma.Key, id string) (*uma.Share, error) {
	c := v.reader(ctx)
	return shareByID(c, server, id)
}

// FindShares implements uma.Shares. An index has the policies of an owner, or those for
// one resource, in the order of names; other filters are compared with each. A part of
// a name is looked up in share_part, unless very many names have it.
func (v *view) FindShares(ctx context.Context, server uma.Key, owner string, f uma.UserPolicyFilter, first, max int) ([]*uma.Share, error) {
	c, p := v.reader(ctx), pageSpec{first, max}
	if part := rows.Fold(f.Name); rows.IsPart(part) && f.Resource == "" {
		keys, err := sharesNamed(c, server, part)
		if err != nil {
			return nil, reading("names of shares", err)
		}
		if len(keys) <= maxPartHits {
			found, err := sharesAmong(c, keys, server, owner, f, p)
			return found, reading("shares", err)
		}
	}
	from, args := `s.server = ? AND s.owner = ? AND s.name > ?`, []any{int64(server), owner, f.After}
	if f.Resource != "" {
		from = `s.resource = (SELECT key FROM resource WHERE server = ? AND id = ?) AND s.owner = ? AND s.name > ?`
		args = []any{int64(server), string(f.Resource), owner, f.After}
	}
	query := `SELECT` + shareColumns + `FROM share s WHERE ` + from + ` ORDER BY s.name LIMIT ? + 0 OFFSET ?`
	if f.Name == "" && f.Scope == "" {
		found, err := list(c, query, p.limit(args), scanShare)
		return found, reading("shares", err)
	}
	found, err := filterPage(c, query, wholeList.limit(args), scanShare, rows.MatchesPolicy(f), p)
	return found, reading("shares", err)
}

// sharesNamed returns the policies at a resource server that have a part in their
// names, at most one more than maxPartHits.
func sharesNamed(c *conn, server uma.Key, part string) ([]uma.Key, error) {
	return list(c, `SELECT rowid FROM share_part WHERE share_part MATCH ? LIMIT ? + 0`,
		[]any{`server : "#` + strconv.FormatInt(int64(server), 10) + `#" AND name : ` + quoted(part), maxPartHits + 1}, scanKey)
}

// sharesAmong returns a page of those policies with these keys that match the filter.
func sharesAmong(c *conn, keys []uma.Key, server uma.Key, owner string, f uma.UserPolicyFilter, p pageSpec) ([]*uma.Share, error) {
	args := []any{rows.KeysText(keys), int64(server), owner, f.After}
	found, err := filterPage(c, `SELECT`+shareColumns+`FROM share s WHERE s.key IN (SELECT value FROM json_each(?))
		AND +s.server = ? AND +s.owner = ? AND +s.name > ?`, args, scanShare, rows.MatchesPolicy(f), wholeList)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b *uma.Share) int { return strings.Compare(a.Name, b.Name) })
	return rows.PageIn(found, p.first, p.max), nil
}

// policiesFor returns the user-managed policies of resources that may be for a party.
func policiesFor(c *conn, p *uma.Party, resources []uma.Key) ([]*uma.Share, error) {
	return list(c, `SELECT`+shareColumns+`FROM share s WHERE s.key IN (SELECT x.share FROM share_party x
		WHERE x.resource IN (SELECT value FROM json_each(?)) AND x.party IN (SELECT value FROM json_each(?)))`,
		[]any{rows.KeysText(resources), rows.ListText(rows.PartiesOf(p))}, scanShare)
}

// CreateShare implements uma.Sharing.
func (s *Store) CreateShare(ctx context.Context, sh *uma.Share) error {
	return s.write(ctx, func(tx *conn) error {
		row := *sh
		if err := readShared(tx, &row); err != nil {
			return reading("shared resource", err)
		}
		if err := checkShareName(tx, &row); err != nil {
			return err
		}
		if err := checkShareSize(tx, &row); err != nil {
			return err
		}
		var err error
		if row.Version, err = nextVersion(tx); err != nil {
			return err
		}
		row.Audience = row.Version
		row.Key, err = tx.insert(`INSERT INTO share
			(id, server, resource, resource_id, owner, name, name_folded, description, scopes, users, roles, groups, clients,
			 strategy, version, audience)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			row.ID, int64(row.Server), int64(row.Resource), string(row.ResourceID), row.Owner, row.Name, rows.Fold(row.Name),
			row.Description, rows.ListText(row.Scopes), rows.ListText(row.Users), rows.ListText(row.Roles), rows.ListText(row.Groups),
			rows.ListText(row.Clients), row.Strategy, row.Version, row.Audience)
		if err != nil {
			return writing("share", err)
		}
		if err := addParties(tx, &row); err != nil {
			return err
		}
		sh.Key, sh.ResourceID, sh.Version, sh.Audience = row.Key, row.ResourceID, row.Version, row.Audience
		return nil
	})
}

// readShared sets the resource id of a share. It returns uma.ErrNotFound if the
// resource does not exist or belongs to another owner, if it lacks a scope of the
// share, or if the share is for the resource as a whole and that has scopes.
func readShared(tx *conn, s *uma.Share) error {
	var has []uma.Scope
	err := tx.row(`SELECT id, scopes FROM resource WHERE key = ? AND server = ? AND owner = ?`,
		[]any{int64(s.Resource), int64(s.Server), s.Owner}, (*namedText)(&s.ResourceID), (*scopes)(&has))
	if err != nil {
		return err
	}
	if !rows.MayShare(has, s) {
		return uma.ErrNotFound
	}
	return nil
}

// checkShareName returns uma.ErrConflict if another share of the owner has the name. It
// is called before anything is written, so that nothing must be undone.
func checkShareName(tx *conn, s *uma.Share) error {
	taken, err := tx.exists(`SELECT 1 FROM share WHERE server = ? AND owner = ? AND name = ? AND key <> ?`,
		int64(s.Server), s.Owner, s.Name, int64(s.Key))
	if err == nil && taken {
		err = uma.ErrConflict
	}
	return writing("share", err)
}

// checkShareSize returns uma.ErrFull if the shares of the resource together would be
// too large.
func checkShareSize(tx *conn, s *uma.Share) error {
	var others int64
	err := tx.row(`SELECT coalesce(sum(octet_length(id) + octet_length(name) + octet_length(strategy) + octet_length(scopes)
		+ octet_length(users) + octet_length(roles) + octet_length(groups) + octet_length(clients)), 0)
		FROM share WHERE resource = ? AND key <> ?`, []any{int64(s.Resource), int64(s.Key)}, &others)
	if err != nil {
		return reading("shares of a resource", err)
	}
	if int(others)+rows.ShareSize(s) > uma.MaxShareBytes {
		return uma.ErrFull
	}
	return nil
}

func addParties(tx *conn, s *uma.Share) error {
	var commands []command
	for _, party := range rows.IndexedParties(s) {
		commands = append(commands, command{`INSERT INTO share_party (resource, party, share) VALUES (?, ?, ?)`,
			[]any{int64(s.Resource), party, int64(s.Key)}})
	}
	return runAll(tx, commands)
}

// ReplaceShare implements uma.Sharing.
func (s *Store) ReplaceShare(ctx context.Context, sh *uma.Share) error {
	return s.write(ctx, func(tx *conn) error {
		old, err := shareByID(tx, sh.Server, sh.ID)
		if err != nil {
			return err
		}
		next := *old
		next.Name, next.Description, next.Scopes, next.Strategy = sh.Name, sh.Description, sh.Scopes, sh.Strategy
		next.Users, next.Roles, next.Groups, next.Clients = sh.Users, sh.Roles, sh.Groups, sh.Clients
		if err := readShared(tx, &next); err != nil {
			return reading("shared resource", err)
		}
		if err := checkShareName(tx, &next); err != nil {
			return err
		}
		if rows.ShareSize(&next) > rows.ShareSize(old) {
			if err := checkShareSize(tx, &next); err != nil {
				return err
			}
		}
		if !rows.SameShare(old, &next) {
			if err := updateShare(tx, old, &next); err != nil {
				return err
			}
		}
		*sh = next
		return nil
	})
}

// updateShare replaces old by next, with a new version.
func updateShare(tx *conn, old, next *uma.Share) error {
	var err error
	if next.Version, err = nextVersion(tx); err != nil {
		return err
	}
	if !rows.OnlyAddsParties(old, next) {
		next.Audience = next.Version
	}
	_, err = tx.exec(`UPDATE share SET name = ?, name_folded = ?, description = ?, scopes = ?, users = ?, roles = ?,
		groups = ?, clients = ?, strategy = ?, version = ?, audience = ? WHERE key = ?`,
		next.Name, rows.Fold(next.Name), next.Description, rows.ListText(next.Scopes), rows.ListText(next.Users), rows.ListText(next.Roles),
		rows.ListText(next.Groups), rows.ListText(next.Clients), next.Strategy, next.Version, next.Audience, int64(next.Key))
	if err != nil || slices.Equal(rows.IndexedParties(old), rows.IndexedParties(next)) {
		return writing("share", err)
	}
	if _, err := tx.exec(`DELETE FROM share_party WHERE share = ?`, int64(next.Key)); err != nil {
		return writing("share", err)
	}
	return addParties(tx, next)
}

// DeleteShare implements uma.Sharing.
func (s *Store) DeleteShare(ctx context.Context, server uma.Key, id string) error {
	return s.write(ctx, func(tx *conn) error {
		n, err := tx.exec(`DELETE FROM share WHERE server = ? AND id = ?`, int64(server), id)
		if err == nil && n == 0 {
			err = uma.ErrNotFound
		}
		return writing("share", err)
	})
}

// adjustShares updates the policies of a resource that was replaced. It removes scopes
// that the resource no longer has, and deletes a policy that has none left: without
// scopes it would be for the resource as a whole. It gives policies the new owner of
// the resource; if that owner has a policy of the same name, the id is appended to the
// name.
func adjustShares(tx *conn, old, next *uma.Resource) error {
	key := int64(next.Key)
	if !slices.Equal(old.Scopes, next.Scopes) {
		if err := removeLostScopes(tx, next); err != nil {
			return err
		}
	}
	if old.Owner == next.Owner {
		return nil
	}
	return runAll(tx, []command{
		{`UPDATE share SET name = name || ' ' || id, name_folded = name_folded || ' ' || lower(id) WHERE resource = ?
			AND EXISTS (SELECT 1 FROM share o WHERE o.server = share.server AND o.owner = ? AND o.name = share.name)`,
			[]any{key, next.Owner}},
		{`UPDATE share SET owner = ? WHERE resource = ?`, []any{next.Owner, key}},
	})
}

// removeLostScopes removes scopes that a resource no longer has from the policies for
// it.
func removeLostScopes(tx *conn, next *uma.Resource) error {
	there, err := tx.exists(`SELECT 1 FROM share WHERE resource = ? LIMIT 1`, int64(next.Key))
	if err != nil || !there {
		return reading("shares of a resource", err)
	}
	version, err := nextVersion(tx)
	if err != nil {
		return err
	}
	left, key := rows.ListText(next.Scopes), int64(next.Key)
	return runAll(tx, []command{
		{`UPDATE share SET version = ?, scopes = (SELECT json_group_array(x.value) FROM json_each(share.scopes) x
		WHERE x.value IN (SELECT value FROM json_each(?2))) WHERE resource = ?3 AND EXISTS
		(SELECT 1 FROM json_each(share.scopes) x WHERE x.value NOT IN (SELECT value FROM json_each(?2)))`,
			[]any{version, left, key}},
		{`DELETE FROM share WHERE resource = ? AND scopes = '[]'`, []any{key}},
	})
}
