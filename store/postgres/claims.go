package postgres

import (
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

// claimedURIs is the unique index of URIs that owners registered.
const claimedURIs = "resource_uri_claimed"

// claims are the URIs (folded) and scopes of a resource that its owner registered and
// the resource server did not.
type claims struct{ uris, scopes map[string]bool }

func (c claims) isEmpty() bool { return len(c.uris)+len(c.scopes) == 0 }

// claimsOf reads the claims of a resource.
func claimsOf(tx *conn, r *uma.Resource) (claims, error) {
	had := claims{map[string]bool{}, map[string]bool{}}
	if len(r.URIs)+len(r.Scopes) == 0 {
		return had, nil
	}
	folded := make([]string, len(r.URIs))
	for i, uri := range r.URIs {
		folded[i] = uripath.Fold(uri)
	}
	err := tx.rows(`SELECT true, x.uri FROM unnest($4::text[]) x (uri), LATERAL (SELECT 1 FROM resource_uri u
			WHERE u.server = $1 AND `+isURI(`u.uri`, `x.uri`)+` AND u.name = $2 AND u.id = $3 AND u.registered = $6 OFFSET 0) u
		UNION ALL SELECT false, scope FROM resource_scope WHERE server = $1 AND scope = ANY($5) AND name = $2 AND id = $3 AND registered = $6`,
		[]any{r.Server, r.Name, r.ID, folded, array(r.Scopes), uma.ByOwner}, func(scan scanFunc) error {
			var isURI bool
			var text string
			err := scan(&isURI, &text)
			if isURI {
				had.uris[text] = true
			} else {
				had.scopes[text] = true
			}
			return err
		})
	return had, reading("what an owner registered", err)
}

// claimsOfAll reads the claims of many resources, by key.
func claimsOfAll(tx *conn, all []*uma.Resource) (map[uma.Key]claims, error) {
	had := make(map[uma.Key]claims, len(all))
	var uris, names columns
	for _, r := range all {
		had[r.Key] = claims{map[string]bool{}, map[string]bool{}}
		for _, uri := range r.URIs {
			uris.add(int64(r.Key), int64(r.Server), uripath.Fold(uri), r.Name, string(r.ID))
		}
		for _, scope := range r.Scopes {
			names.add(int64(r.Key), int64(r.Server), string(scope), r.Name, string(r.ID))
		}
	}
	for _, find := range []struct {
		by    *columns
		query string
		add   func(of claims, text string)
	}{
		{&uris, `resource_uri t WHERE ` + isURI(`t.uri`, `x.text`), func(of claims, text string) { of.uris[text] = true }},
		{&names, `resource_scope t WHERE t.scope = x.text`, func(of claims, text string) { of.scopes[text] = true }},
	} {
		if find.by.count == 0 {
			continue
		}
		// OFFSET 0: each is looked up by its index.
		err := tx.rows(`SELECT x.key, x.text FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[]) x (key, server, text, name, id),
			LATERAL (SELECT 1 FROM `+find.query+` AND t.server = x.server AND t.name = x.name AND t.id = x.id AND t.registered = $6 OFFSET 0) t`,
			append(find.by.args(), uma.ByOwner), func(scan scanFunc) error {
				var key uma.Key
				var text string
				err := scan(&key, &text)
				find.add(had[key], text)
				return err
			})
		if err != nil {
			return nil, reading("what owners registered", err)
		}
	}
	return had, nil
}

// claimsAfter are the claims of next, which replaces old with the claims had. If the owner writes it,
// they are the old claims and everything that the owner adds. If anybody else writes it,
// there are none.
func claimsAfter(had claims, old, next *uma.Resource, by uma.Origin) claims {
	has := claims{map[string]bool{}, map[string]bool{}}
	if by != uma.FromOwner {
		return has
	}
	for _, uri := range next.URIs {
		folded := uripath.Fold(uri)
		has.uris[folded] = had.uris[folded]
	}
	for _, uri := range newURIs(old, next) {
		has.uris[uripath.Fold(uri)] = true
	}
	for _, scope := range next.Scopes {
		has.scopes[string(scope)] = had.scopes[string(scope)] || !slices.Contains(old.Scopes, scope)
	}
	return has
}

// newURIs returns the URIs of next that old does not have, compared without case.
func newURIs(old, next *uma.Resource) []string {
	had := map[string]bool{}
	for _, uri := range old.URIs {
		had[uripath.Fold(uri)] = true
	}
	return slices.DeleteFunc(slices.Clone(next.URIs), func(uri string) bool { return had[uripath.Fold(uri)] })
}

// checkClaims refuses a name or URI that an owner adds in next if the name is that of a
// resource of the resource server itself, or if the URI is that of any other resource,
// or if a pattern of the resource server matches it without case. So an owner has at
// most one resource of a URI, and a look-up finds few.
//
// Two owners who claim a URI at the same time do not see each other: claimedURIs keeps them apart.
func checkClaims(tx *conn, old, next *uma.Resource) error {
	if old.Name != next.Name {
		taken, err := tx.exists(`SELECT 1 FROM client c JOIN resource r ON r.server = c.key AND r.owner = c.uuid AND r.name = $2
			WHERE c.key = $1`, next.Server, next.Name)
		if err != nil {
			return reading("resource", err)
		}
		if taken {
			return writing("resource", uma.ErrConflict)
		}
	}
	added := newURIs(old, next)
	if len(added) == 0 {
		return nil
	}
	taken, err := takenURIs(tx, next, added)
	if err != nil {
		return err
	}
	patterns, err := patternsOf(tx, next.Server, added)
	if err != nil {
		return err
	}
	for _, uri := range added {
		if slices.Contains(taken, uripath.Fold(uri)) || uripath.Reaches(uri, patterns) {
			return writing("resource", &uma.URITakenError{URI: uri})
		}
	}
	return nil
}

// takenURIs returns those of the URIs, folded, that other resources have.
func takenURIs(tx *conn, r *uma.Resource, uris []string) ([]string, error) {
	folded := make([]string, len(uris))
	for i, uri := range uris {
		folded[i] = uripath.Fold(uri)
	}
	taken, err := texts[string](tx, `SELECT x.uri FROM unnest($2::text[]) x (uri)
		WHERE EXISTS (SELECT 1 FROM resource_uri u WHERE u.server = $1 AND `+isURI(`u.uri`, `x.uri`)+` AND u.resource <> $3)`, r.Server, folded, r.Key)
	return taken, reading("uris", err)
}

// patternsOf returns the patterns of the resource server's own that may match one of the URIs.
func patternsOf(tx *conn, server uma.Key, uris []string) ([]string, error) {
	shapes, err := uriShapes(tx, server)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, uri := range uris {
		keys = append(keys, uripath.CandidateKeys(uri, shapes)...)
	}
	slices.Sort(keys)
	candidates, err := uriCandidates(tx, server, slices.Compact(keys))
	patterns := make([]string, len(candidates))
	for i, c := range candidates {
		patterns[i] = c.URI
	}
	return patterns, err
}
