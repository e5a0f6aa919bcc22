package postgres

import (
	"context"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Whoever writes policies of a resource locks the resource before, so that their size stays
// bounded, and none is made for a resource that is being deleted.

// CreateShare implements uma.Sharing.
func (s *Store) CreateShare(ctx context.Context, sh *uma.Share) error {
	var found, taken, fits bool
	var key, version int64
	var id string
	lock := command{query: `SELECT 1 FROM client c JOIN resource r ON r.server = c.key WHERE c.key = $1 AND r.key = $2
		FOR KEY SHARE OF c FOR NO KEY UPDATE OF r`, args: []any{sh.Server, sh.Resource}}
	create := command{query: `WITH target AS (SELECT r.id FROM resource r WHERE r.key = $3 AND r.server = $2 AND r.owner = $4
				AND $7::text[] <@ r.scopes AND ($7 <> '{}' OR r.scopes = '{}')),
			room AS (SELECT coalesce(sum(s.size), 0) + $13::bigint <= $14 AS fits FROM share s WHERE s.resource = $3),
			next AS MATERIALIZED (SELECT nextval('version') AS version),
			stored AS (INSERT INTO share (id, server, resource, resource_id, owner, name, name_folded, description, scopes, users, roles,
					groups, clients, strategy, size, version, audience)
				SELECT $1, $2, $3, t.id, $4, $5, $6, $15, $7, $8, $9, $10, $11, $12, $13, n.version, n.version
				FROM target t, room, next n WHERE room.fits
				ON CONFLICT (server, owner, name) WHERE key <> -1 DO NOTHING RETURNING key, version),
			parties AS (INSERT INTO share_party (resource, party, share) SELECT $3, x.party, s.key FROM stored s, unnest($16::text[]) x (party))
		SELECT (SELECT count(*) > 0 FROM target), coalesce((SELECT id FROM target), ''), (SELECT fits FROM room),
			EXISTS (SELECT 1 FROM share s WHERE s.server = $2 AND s.owner = $4 AND s.name = $5` + byShareName + `),
			coalesce((SELECT key FROM stored), 0), coalesce((SELECT version FROM stored), 0)`,
		args: []any{sh.ID, sh.Server, sh.Resource, sh.Owner, sh.Name, rows.Fold(sh.Name), array(sh.Scopes), array(sh.Users),
			array(sh.Roles), array(sh.Groups), array(sh.Clients), sh.Strategy, rows.ShareSize(sh), uma.MaxShareBytes,
			sh.Description, rows.IndexedParties(sh)},
		dest: []any{&found, &id, &fits, &taken, &key, &version},
		again: &command{query: `SELECT true, resource_id, true, true, key, version FROM share WHERE server = $1 AND id = $2 AND audience = version`,
			args: []any{sh.Server, sh.ID}}}
	switch err := s.writeAll(ctx, lock, create); {
	case err != nil:
		return writing("share", err)
	case !found:
		return reading("shared resource", uma.ErrNotFound)
	case key == 0 && (taken || fits): // fits: the name was taken meanwhile
		return writing("share", uma.ErrConflict)
	case key == 0:
		return uma.ErrFull
	}
	sh.Key, sh.ResourceID, sh.Version, sh.Audience = uma.Key(key), uma.ResourceID(id), version, version
	return nil
}

// ReplaceShare implements uma.Sharing.
func (s *Store) ReplaceShare(ctx context.Context, sh *uma.Share) error {
	return s.write(ctx, func(tx *conn) error {
		old, has, others, err := lockReplaced(tx, sh)
		if err != nil {
			return reading("share", err)
		}
		next := *old
		next.Name, next.Description, next.Scopes, next.Strategy = sh.Name, sh.Description, sh.Scopes, sh.Strategy
		next.Users, next.Roles, next.Groups, next.Clients = sh.Users, sh.Roles, sh.Groups, sh.Clients
		size := rows.ShareSize(&next)
		switch {
		case !rows.MayShare(has, &next):
			return reading("shared resource", uma.ErrNotFound)
		case others.taken:
			return writing("share", uma.ErrConflict)
		case size > rows.ShareSize(old) && others.size+size > uma.MaxShareBytes:
			return uma.ErrFull
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

// otherShares are what ReplaceShare must know of them: whether one of the owner has the name,
// and the size of those for the resource.
type otherShares struct {
	taken bool
	size  int
}

// lockReplaced returns a share with the scopes of its resource, both locked.
func lockReplaced(tx *conn, sh *uma.Share) (s *uma.Share, has []uma.Scope, others otherShares, err error) {
	err = tx.ask(question{lockedShare + `s.server = $1 AND s.id = $2` + lockShares, []any{sh.Server, sh.ID}, func(scan scanFunc) error {
		s = &uma.Share{}
		return scan(append(shareFields(s), (*scopes)(&has))...)
	}}, question{`SELECT EXISTS (SELECT 1 FROM share o WHERE o.server = s.server AND o.owner = s.owner AND o.name = $3 AND o.key <> s.key AND o.key <> -1),
			(SELECT coalesce(sum(o.size), 0)::bigint FROM share o WHERE o.resource = s.resource AND o.key <> s.key)
		FROM share s WHERE s.server = $1 AND s.id = $2`, []any{sh.Server, sh.ID, sh.Name}, func(scan scanFunc) error {
		return scan(&others.taken, &others.size)
	}})
	if err == nil && s == nil {
		err = uma.ErrNotFound
	}
	return s, has, others, err
}

const (
	lockedShare = `SELECT` + shareColumns + `, r.scopes FROM share s JOIN resource r ON r.key = s.resource AND r.owner = s.owner WHERE `
	lockShares  = ` FOR NO KEY UPDATE OF r FOR UPDATE OF s`
)

// lockShare returns a share that the transaction changes. It locks the resource and the share.
func lockShare(tx *conn, key uma.Key) (*uma.Share, error) {
	s, err := oneRow(tx, lockedShare+`s.key = $1`+lockShares, []any{key}, func(scan scanFunc) (*uma.Share, error) {
		s := &uma.Share{}
		return s, scan(append(shareFields(s), new(scopes))...)
	})
	return s, reading("share", err)
}

// updateShare replaces old, which is locked, by next, with a new version.
func updateShare(tx *conn, old, next *uma.Share) error {
	err := tx.row(`WITH next AS MATERIALIZED (SELECT nextval('version') AS version),
			stored AS (UPDATE share SET name = $2, name_folded = $3, description = $4, scopes = $5, users = $6, roles = $7, groups = $8,
				clients = $9, strategy = $10, size = $11, version = next.version,
				audience = CASE WHEN $12 THEN share.audience ELSE next.version END
				FROM next WHERE share.key = $1 RETURNING share.resource, share.version, share.audience),
			gone AS (DELETE FROM share_party WHERE share = $1 AND party <> ALL ($13)),
			added AS (INSERT INTO share_party (resource, party, share) SELECT s.resource, x.party, $1 FROM stored s, unnest($13::text[]) x (party)
				ON CONFLICT DO NOTHING)
		SELECT version, audience FROM stored`,
		[]any{next.Key, next.Name, rows.Fold(next.Name), next.Description, array(next.Scopes), array(next.Users), array(next.Roles),
			array(next.Groups), array(next.Clients), next.Strategy, rows.ShareSize(next), rows.OnlyAddsParties(old, next),
			rows.IndexedParties(next)}, &next.Version, &next.Audience)
	return writing("share", conflict(err))
}

// DeleteShare implements uma.Sharing.
func (s *Store) DeleteShare(ctx context.Context, server uma.Key, id string) error {
	found := false
	err := s.writeAll(ctx, command{query: `WITH locked AS (SELECT s.key FROM share s JOIN resource r ON r.key = s.resource
			WHERE s.server = $1 AND s.id = $2 FOR SHARE OF r FOR UPDATE OF s),
		gone AS (DELETE FROM share USING locked WHERE share.key = locked.key),
		parties AS (DELETE FROM share_party USING locked WHERE share_party.share = locked.key)
		SELECT count(*) > 0 FROM locked`, args: []any{server, id}, dest: []any{&found}})
	if err == nil && !found {
		err = uma.ErrNotFound
	}
	return writing("share", err)
}

// deleteShare returns the command that deletes a share, which is locked.
func deleteShare(key uma.Key) command {
	return command{query: `WITH gone AS (DELETE FROM share WHERE key = $1) DELETE FROM share_party WHERE share = $1`, args: []any{key}}
}

// adjustShares returns the commands that update the policies of a resource that is replaced. They
// remove scopes that the resource no longer has, and delete a policy that has none left: without
// scopes it would be for the resource as a whole. They give policies the new owner of the
// resource; if that owner has a policy of the same name, the id is appended to the name.
func adjustShares(old, next *uma.Resource) (commands []command) {
	if !slices.Equal(old.Scopes, next.Scopes) {
		commands = removeLostScopes(old, next)
	}
	if old.Owner != next.Owner {
		commands = append(commands, command{query: `UPDATE share SET owner = $2, name = share.name || x.suffix,
				name_folded = share.name_folded || lower(x.suffix), size = share.size + octet_length(x.suffix), version = nextval('version')
			FROM share s CROSS JOIN LATERAL (SELECT CASE WHEN EXISTS (SELECT 1 FROM share o WHERE o.server = s.server AND o.owner = $2
				AND o.name = s.name AND o.key <> -1) THEN ' ' || s.id ELSE '' END) x (suffix)
			WHERE s.resource = $1 AND share.key = s.key`, args: []any{next.Key, next.Owner}})
	}
	return commands
}

// removeLostScopes returns the commands that remove scopes that a resource no longer has from the
// policies for it. A policy for the resource as a whole ends when that gets scopes. What a scope takes
// of the size is its text in JSON, and a comma.
func removeLostScopes(old, next *uma.Resource) []command {
	lost, sizes := []string{}, []int64{}
	for _, scope := range old.Scopes {
		if !slices.Contains(next.Scopes, scope) {
			lost, sizes = append(lost, string(scope)), append(sizes, int64(len(rows.ListText([]uma.Scope{scope}))-1))
		}
	}
	return []command{
		{query: `WITH gone AS (DELETE FROM share WHERE resource = $1 AND scopes <@ $2 RETURNING key)
			DELETE FROM share_party WHERE share IN (SELECT key FROM gone)`, args: []any{next.Key, lost}},
		{query: `UPDATE share SET scopes = ARRAY (SELECT x.scope FROM unnest(share.scopes) WITH ORDINALITY x (scope, n)
				WHERE x.scope <> ALL ($2) ORDER BY x.n),
			size = size - (SELECT sum(x.size) FROM unnest($2::text[], $3::bigint[]) x (scope, size) WHERE x.scope = ANY (share.scopes)),
			version = nextval('version') WHERE resource = $1 AND scopes && $2`, args: []any{next.Key, lost, sizes}},
	}
}
