package sqlite

import (
	"context"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// CreateResource implements uma.Registrar.
func (s *Store) CreateResource(ctx context.Context, r *uma.Resource, newID func() string) error {
	return s.write(ctx, func(tx *conn) error {
		taken, err := tx.exists(`SELECT 1 FROM resource WHERE server = ? AND owner = ? AND name = ?`,
			int64(r.Server), r.Owner, r.Name)
		if err != nil {
			return reading("resource", err)
		}
		if taken { // checked before anything is written, so that nothing must be undone
			return writing("resource", uma.ErrConflict)
		}
		if r.Origin == uma.FromOwner {
			if err := checkClaims(tx, &uma.Resource{}, r); err != nil {
				return err
			}
		}
		if err := addScopes(tx, r.Server, r.Scopes, newID); err != nil {
			return err
		}
		if err := insertResource(tx, r); err != nil {
			return err
		}
		return addParts(tx, r)
	})
}

// ReplaceResource implements uma.Registrar.
func (s *Store) ReplaceResource(ctx context.Context, r *uma.Resource, newID func() string) error {
	return s.write(ctx, func(tx *conn) error {
		old, err := resourceByID(tx, r.Server, r.ID)
		if err != nil {
			return err
		}
		next := *r
		next.Key, next.Owner, next.Origin, next.Version = old.Key, old.Owner, old.Origin, old.Version
		if r.Attributes == nil {
			next.Attributes = old.Attributes
		}
		ended, err := endsClaims(tx, old, r.Origin)
		if err != nil || rows.SameResource(old, &next) && !ended {
			return err
		}
		if r.Origin == uma.FromOwner {
			if err := checkClaims(tx, old, &next); err != nil {
				return err
			}
		}
		if err := addScopes(tx, r.Server, r.Scopes, newID); err != nil {
			return err
		}
		if err := updateResource(tx, old, &next, r.Origin, old.Origin == uma.FromFile); err != nil {
			return err
		}
		if old.Name == next.Name && old.Type == next.Type {
			return nil
		}
		return setParts(tx, &next)
	})
}

// DeleteResource implements uma.Registrar.
func (s *Store) DeleteResource(ctx context.Context, server uma.Key, id uma.ResourceID) error {
	return s.write(ctx, func(tx *conn) error {
		r, err := resourceByID(tx, server, id)
		if err != nil {
			return err
		}
		return removeResource(tx, r)
	})
}

// nextVersion returns a version that no row ever had, so that a row is not mistaken for
// a deleted one with the same id.
func nextVersion(tx *conn) (int64, error) {
	if _, err := tx.exec(`UPDATE counter SET value = value + 1 WHERE name = 'version'`); err != nil {
		return 0, writing("version", err)
	}
	var version int64
	err := tx.row(`SELECT value FROM counter WHERE name = 'version'`, nil, &version)
	return version, reading("version", err)
}

// addScopes stores the scopes that the resource server does not know.
func addScopes(tx *conn, server uma.Key, scopes []uma.Scope, newID func() string) error {
	known, err := knownScopes(tx, server, scopes)
	if err != nil {
		return err
	}
	for _, scope := range scopes {
		if slices.ContainsFunc(known, func(row uma.ScopeRow) bool { return row.Name == scope }) {
			continue
		}
		if err := insertScope(tx, server, uma.ScopeRow{ID: newID(), Name: scope}, uma.FromAPI); err != nil {
			return err
		}
	}
	return nil
}

func insertScope(tx *conn, server uma.Key, row uma.ScopeRow, origin uma.Origin) error {
	_, err := tx.exec(`INSERT INTO scope (server, name, id, origin) VALUES (?, ?, ?, ?) ON CONFLICT (server, name) DO NOTHING`,
		int64(server), string(row.Name), row.ID, string(origin))
	return writing("scope", err)
}

// insertResource stores a new resource, except in resource_part, and sets its key and
// version.
func insertResource(tx *conn, r *uma.Resource) error {
	own, err := isOwn(tx, r)
	if err != nil {
		return err
	}
	version, err := nextVersion(tx)
	if err != nil {
		return err
	}
	attributes, err := rows.DocumentText(r.Attributes)
	if err != nil {
		return writing("resource", err)
	}
	r.Key, err = tx.insert(`INSERT INTO resource
		(id, server, owner, own, name, name_folded, display_name, type, type_folded, icon_uri, uris, scopes,
		 owner_managed, attributes, origin, texts, drifted, version)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`,
		string(r.ID), int64(r.Server), r.Owner, own, r.Name, rows.Fold(r.Name), r.DisplayName, r.Type, rows.Fold(r.Type),
		r.IconURI, rows.ListText(r.URIs), rows.ListText(r.Scopes), r.OwnerManaged, attributes, string(r.Origin),
		rows.TextsText(r.Texts), version)
	if err != nil {
		return writing("resource", conflict(err))
	}
	r.Version = version
	claimed, err := claimsAfter(tx, &uma.Resource{}, r, r.Origin)
	if err != nil {
		return err
	}
	return addIndex(tx, r, own, claimed)
}

// updateResource replaces old by next, with a new version, except in resource_part.
// Requests and shares for scopes that next does not have are deleted. by decides which
// URIs and scopes of next are claims: see claimsAfter.
func updateResource(tx *conn, old, next *uma.Resource, by uma.Origin, drifted bool) error {
	wasOwn, err := isOwn(tx, old)
	if err != nil {
		return err
	}
	own, err := isOwn(tx, next)
	if err != nil {
		return err
	}
	if next.Version, err = nextVersion(tx); err != nil {
		return err
	}
	attributes, err := rows.DocumentText(next.Attributes)
	if err != nil {
		return writing("resource", err)
	}
	_, err = tx.exec(`UPDATE resource SET owner = ?, own = ?, name = ?, name_folded = ?, display_name = ?, type = ?,
		type_folded = ?, icon_uri = ?, uris = ?, scopes = ?, owner_managed = ?, attributes = ?, origin = ?, texts = ?,
		drifted = ?, version = ? WHERE key = ?`,
		next.Owner, own, next.Name, rows.Fold(next.Name), next.DisplayName, next.Type, rows.Fold(next.Type), next.IconURI,
		rows.ListText(next.URIs), rows.ListText(next.Scopes), next.OwnerManaged, attributes, string(next.Origin),
		rows.TextsText(next.Texts), drifted, next.Version, int64(next.Key))
	if err != nil {
		return writing("resource", conflict(err))
	}
	claimed, err := claimsAfter(tx, old, next, by)
	if err != nil {
		return err
	}
	if err := removeIndex(tx, old, wasOwn); err != nil {
		return err
	}
	if err := addIndex(tx, next, own, claimed); err != nil {
		return err
	}
	if err := adjustShares(tx, old, next); err != nil {
		return err
	}
	if err := adjustInvitations(tx, old, next); err != nil {
		return err
	}
	return adjustRequests(tx, old, next)
}

// adjustRequests copies the name and the owner of a resource to its requests, and
// deletes those for scopes that it no longer has. A request for the resource as a whole
// is deleted when the resource gets scopes.
func adjustRequests(tx *conn, old, next *uma.Resource) error {
	if !slices.Equal(old.Scopes, next.Scopes) {
		left := next.Scopes
		if len(left) == 0 {
			left = []uma.Scope{""}
		}
		_, err := tx.exec(`DELETE FROM request WHERE resource = ? AND scope NOT IN (SELECT value FROM json_each(?))`,
			int64(next.Key), rows.ListText(left))
		if err != nil {
			return writing("requests for scopes that are gone", err)
		}
	}
	if old.Name == next.Name && old.Owner == next.Owner {
		return nil
	}
	_, err := tx.exec(`UPDATE request SET resource_name = ?, owner = ? WHERE resource = ?`,
		next.Name, next.Owner, int64(next.Key))
	return writing("requests of a resource", err)
}
