package sqlite

import (
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

// claimsOf reads the claims of a resource.
func claimsOf(tx *conn, r *uma.Resource) (rows.Claims, error) {
	args := func(names string) []any {
		return []any{names, int64(r.Server), r.Name, string(r.ID), int(uma.ByOwner)}
	}
	uris, err := texts[string](tx, `SELECT u.uri FROM json_each(?) x CROSS JOIN resource_uri u
		ON u.server = ? AND u.uri = x.value AND u.name = ? AND u.id = ? WHERE u.registered = ?`, args(rows.ListText(rows.FoldedURIs(r)))...)
	if err != nil {
		return rows.Claims{}, reading("uris of an owner", err)
	}
	scopes, err := texts[string](tx, `SELECT s.scope FROM json_each(?) x CROSS JOIN resource_scope s
		ON s.server = ? AND s.scope = x.value AND s.name = ? AND s.id = ? WHERE s.registered = ?`, args(rows.ListText(r.Scopes))...)
	if err != nil {
		return rows.Claims{}, reading("scopes of an owner", err)
	}
	return rows.NewClaims(uris, scopes), nil
}

// claimsAfter are the claims of next, which replaces old. If the owner writes it, they
// are the old claims and everything that the owner adds. If anybody else writes it,
// there are none.
func claimsAfter(tx *conn, old, next *uma.Resource, by uma.Origin) (rows.Claims, error) {
	if by != uma.FromOwner {
		return rows.Claims{}, nil
	}
	had, err := claimsOf(tx, old)
	if err != nil {
		return had, err
	}
	had.Add(old, next)
	return had, nil
}

// endsClaims reports whether a write of that origin ends claims of a resource, even if it
// changes nothing else.
func endsClaims(tx *conn, r *uma.Resource, by uma.Origin) (bool, error) {
	if by == uma.FromOwner {
		return false, nil
	}
	had, err := claimsOf(tx, r)
	return len(had.URIs)+len(had.Scopes) > 0, err
}

// checkClaims refuses a name or URI that an owner adds in next if the name is that of a
// resource of the resource server itself, or if the URI is that of any other resource,
// or if a pattern of the resource server matches it without case. So an owner has at
// most one resource of a URI, and a look-up finds few.
func checkClaims(tx *conn, old, next *uma.Resource) error {
	if old.Name != next.Name {
		taken, err := tx.exists(`SELECT 1 FROM client c JOIN resource r ON r.server = c.key AND r.owner = c.uuid AND r.name = ?
			WHERE c.key = ?`, next.Name, int64(next.Server))
		if err != nil {
			return reading("resource", err)
		}
		if taken {
			return writing("resource", uma.ErrConflict)
		}
	}
	added := rows.NewURIs(old, next)
	if len(added) == 0 {
		return nil
	}
	shapes, err := uriShapes(tx, next.Server)
	if err != nil {
		return err
	}
	for _, uri := range added {
		taken, err := uriTaken(tx, next, uri, shapes)
		if err != nil {
			return reading("uri", err)
		}
		if taken {
			return writing("resource", &uma.URITakenError{URI: uri})
		}
	}
	return nil
}

func uriTaken(tx *conn, r *uma.Resource, uri string, shapes []string) (bool, error) {
	taken, err := tx.exists(`SELECT 1 FROM resource_uri WHERE server = ? AND uri = ? AND resource <> ? LIMIT 1`,
		int64(r.Server), uripath.Fold(uri), int64(r.Key))
	if err != nil || taken {
		return taken, err
	}
	candidates, err := uriCandidates(tx, r.Server, uripath.CandidateKeys(uri, shapes))
	if err != nil {
		return false, err
	}
	patterns := make([]string, len(candidates))
	for i, c := range candidates {
		patterns[i] = c.URI
	}
	return uripath.Reaches(uri, patterns), nil
}
