package postgres

import (
	"context"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// CreateResource implements uma.Registrar.
func (s *Store) CreateResource(ctx context.Context, r *uma.Resource, newID func() string) error {
	return s.writeClaims(ctx, func(tx *conn) error {
		taken, err := tx.exists(`SELECT 1 FROM resource WHERE server = $1 AND owner = $2 AND name = $3`, r.Server, r.Owner, r.Name)
		if err != nil {
			return reading("resource", err)
		}
		if taken { // before claims are checked: this is the error of an owner who registers a resource twice
			return writing("resource", uma.ErrConflict)
		}
		if r.Origin == uma.FromOwner {
			if err := checkClaims(tx, &uma.Resource{}, r); err != nil {
				return err
			}
		}
		return insertResources(tx, r.Server, []*uma.Resource{r}, addScopes(r, newID)...)
	})
}

// ReplaceResource implements uma.Registrar.
func (s *Store) ReplaceResource(ctx context.Context, r *uma.Resource, newID func() string) error {
	return s.writeClaims(ctx, func(tx *conn) error {
		old, self, err := lockResource(tx, r.Server, r.ID)
		if err != nil {
			return err
		}
		next := *r
		next.Key, next.Owner, next.Origin, next.Version = old.Key, old.Owner, old.Origin, old.Version
		if r.Attributes == nil {
			next.Attributes = old.Attributes
		}
		had, err := claimsOf(tx, old)
		if err != nil || rows.SameResource(old, &next) && (r.Origin == uma.FromOwner || had.isEmpty()) {
			return err
		}
		if r.Origin == uma.FromOwner {
			if err := checkClaims(tx, old, &next); err != nil {
				return err
			}
		}
		u := replacement{old: old, next: &next, self: self, had: had, by: r.Origin, drifted: old.Origin == uma.FromFile}
		return u.write(tx, addScopes(r, newID)...)
	})
}

// DeleteResource implements uma.Registrar.
func (s *Store) DeleteResource(ctx context.Context, server uma.Key, id uma.ResourceID) error {
	return s.write(ctx, func(tx *conn) error {
		r, self, err := lockResource(tx, server, id)
		if err != nil {
			return err
		}
		return removeResource(tx, r, self)
	})
}

// writeClaims is write for f that may claim URIs. If another transaction claimed one after f looked, f
// looks again.
func (s *Store) writeClaims(ctx context.Context, f func(tx *conn) error) error {
	for n := 1; ; n++ {
		err := s.write(ctx, f)
		if !isConstraint(err, claimedURIs) {
			return err
		}
		if n == tries {
			return conflict(err)
		}
	}
}

// addScopes returns the commands that store the scopes that the resource server does not know.
func addScopes(r *uma.Resource, newID func() string) []command {
	if len(r.Scopes) == 0 {
		return nil
	}
	scopes := make([]uma.ScopeRow, len(r.Scopes))
	for i, name := range r.Scopes {
		scopes[i] = uma.ScopeRow{ID: newID(), Name: name}
	}
	return []command{insertScopes(r.Server, scopes, uma.FromAPI)}
}

// insertScopes returns the command that stores those of the scopes that are not there.
func insertScopes(server uma.Key, scopes []uma.ScopeRow, origin uma.Origin) command {
	scopes = slices.Clone(scopes)
	slices.SortStableFunc(scopes, func(a, b uma.ScopeRow) int { return compareText(a.Name, b.Name) }) // transactions insert rows in one order
	names, ids := make([]string, len(scopes)), make([]string, len(scopes))
	for i, row := range scopes {
		names[i], ids[i] = string(row.Name), row.ID
	}
	return command{query: `INSERT INTO scope (server, name, id, origin)
		SELECT $1, x.name, x.id, $2 FROM unnest($3::text[], $4::text[]) x (name, id)
		ON CONFLICT (server, name) DO NOTHING`, args: []any{server, origin, names, ids}}
}

// insertResources stores new resources of a resource server, and sets their keys and versions. It runs
// the commands before, in the same round trip.
func insertResources(tx *conn, server uma.Key, all []*uma.Resource, before ...command) error {
	var keys, versions []int64
	var self string
	err := tx.row(`SELECT uuid, ARRAY(SELECT nextval('resource_key_seq') FROM generate_series(1, $2::int)),
			ARRAY(SELECT nextval('version') FROM generate_series(1, $2::int))
		FROM client WHERE key = $1 FOR KEY SHARE`, []any{server, len(all)}, &self, &keys, &versions)
	if err != nil {
		return reading("resource server", err)
	}
	var cols columns
	is := newDerived(server)
	for i, r := range all {
		r.Key, r.Version = uma.Key(keys[i]), versions[i]
		attributes, err := rows.DocumentText(r.Attributes)
		if err != nil {
			return writing("resource", err)
		}
		cols.add(int64(r.Key), string(r.ID), r.Owner, r.Owner == self, r.Name, rows.Fold(r.Name), r.DisplayName, r.Type, rows.Fold(r.Type),
			r.IconURI, arrayText(r.URIs), arrayText(array(r.Scopes)), r.OwnerManaged, attributes, string(r.Origin), rows.TextsText(r.Texts),
			r.Version)
		is.add(r, r.Owner == self, claimsAfter(claims{}, &uma.Resource{}, r, r.Origin))
	}
	insert := command{query: `INSERT INTO resource (server, key, id, owner, own, name, name_folded, display_name, type, type_folded,
			icon_uri, uris, scopes, owner_managed, attributes, origin, texts, drifted, version)
		SELECT $18, x.key, x.id, x.owner, x.own, x.name, x.name_folded, x.display_name, x.type, x.type_folded,
			x.icon_uri, x.uris::text[], x.scopes::text[], x.owner_managed, x.attributes, x.origin, x.texts, false, x.version
		FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
			$10::text[], $11::text[], $12::text[], $13::boolean[], $14::text[], $15::text[], $16::text[], $17::bigint[])
			x (key, id, owner, own, name, name_folded, display_name, type, type_folded, icon_uri, uris, scopes, owner_managed,
			attributes, origin, texts, version)`,
		args: append(cols.args(), server)}
	_, err = tx.all(slices.Concat(before, []command{insert}, changeDerived(nil, newDerived(server), is))...)
	return writing("resource", taken(err))
}

// taken is conflict, except for URIs that others claimed meanwhile: see writeClaims.
func taken(err error) error {
	if isConstraint(err, claimedURIs) {
		return err
	}
	return conflict(err)
}

// A replacement of a resource, by an origin, which decides what of it are claims: see claimsAfter. The
// row is locked.
type replacement struct {
	old, next *uma.Resource
	self      string // id of the resource server as an owner
	had       claims // of old
	by        uma.Origin
	drifted   bool
}

// write runs the commands before, and updates the resource and what depends on it.
func (u *replacement) write(tx *conn, before ...command) error {
	all := steps{commands: before}
	if err := u.addTo(&all); err != nil {
		return writing("resource", err)
	}
	return writing("resource", taken(all.run(tx)))
}

// addTo adds the commands that update the resource, with a new version, and what depends on it: requests and shares for
// scopes that next does not have are deleted.
func (u *replacement) addTo(all *steps) error {
	old, next := u.old, u.next
	attributes, err := rows.DocumentText(next.Attributes)
	if err != nil {
		return err
	}
	update := command{query: `UPDATE resource SET owner = $2, own = $3, name = $4, name_folded = $5, display_name = $6, type = $7,
			type_folded = $8, icon_uri = $9, uris = $10, scopes = $11, owner_managed = $12, attributes = $13, origin = $14, texts = $15,
			drifted = $16, version = nextval('version') WHERE key = $1 RETURNING version`,
		args: []any{next.Key, next.Owner, next.Owner == u.self, next.Name, rows.Fold(next.Name), next.DisplayName, next.Type,
			rows.Fold(next.Type), next.IconURI, array(next.URIs), array(next.Scopes), next.OwnerManaged, attributes, next.Origin,
			rows.TextsText(next.Texts), u.drifted},
		dest: []any{&next.Version}}
	was, is := newDerived(old.Server), newDerived(old.Server)
	was.add(old, old.Owner == u.self, u.had)
	is.add(next, next.Owner == u.self, claimsAfter(u.had, old, next, u.by))
	all.add(slices.Concat([]command{update}, changeDerived(old, was, is), adjustShares(old, next), adjustInvitations(old, next))...)
	adjustRequests(old, next, all)
	return nil
}

// adjustRequests copies the name and the owner of a resource to its requests, and
// deletes those for scopes that it no longer has. A request for the resource as a whole
// is deleted when the resource gets scopes.
func adjustRequests(old, next *uma.Resource, all *steps) {
	if !slices.Equal(old.Scopes, next.Scopes) {
		left := next.Scopes
		if len(left) == 0 {
			left = []uma.Scope{""}
		}
		all.walk(dropRequests(next, left))
	}
	if old.Name != next.Name || old.Owner != next.Owner {
		all.walk(renameRequests(next))
	}
}
