package uma

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// This file has how a request finds resources by URI.

// byURIs returns, for each URI in the request, the resources that it finds.
func (x *assessment) byURIs(ctx context.Context, view View) (map[string][]*Resource, error) {
	found := map[string][]*Resource{}
	for _, p := range x.req.Permissions {
		if _, there := found[p.Resource]; there || p.Resource == "" || !x.req.ByURI {
			continue
		}
		rows, err := x.byURI(ctx, view, p.Resource)
		if err != nil {
			return nil, err
		}
		found[p.Resource] = rows
	}
	return found, nil
}

// asPermissions are the `permission` parameters, as many as name something of their own.
// What is said of one name, or of URIs that lead to the same resources, is asked for at
// once, as in Keycloak: Mixed and Mixed#write are Mixed#write.
func (x *assessment) asPermissions(byURI map[string][]*Resource) []AskedPermission {
	var asked []AskedPermission
	at := map[string]int{}
	for _, p := range x.req.Permissions {
		key := p.Resource
		if found := byURI[key]; len(found) > 0 {
			key = ""
			for _, r := range found {
				key += string(r.ID) + "\n"
			}
		}
		i, there := at[key]
		if !there || key == "" { // scopes alone name nothing
			i, at[key] = len(asked), len(asked)
			asked = append(asked, AskedPermission{Resource: p.Resource})
		}
		asked[i].Scopes = append(asked[i].Scopes, p.Scopes...)
	}
	for i := range asked {
		asked[i].Scopes = union(nil, asked[i].Scopes)
	}
	return asked
}

// byURI returns the resources that a URI finds, or a refusal if there is none.
func (x *assessment) byURI(ctx context.Context, view View, uri string) ([]*Resource, error) {
	missing := Refuse(InvalidResource, "Resource with uri ["+uri+"] does not exist.", nil)
	path, err := NormalizeURI(uri)
	if err != nil {
		missing.Err = err
		return nil, missing
	}
	rows, _, err := selectURI(ctx, view, x.server.Key, path, x.req.MatchingURI, x.most()+1) // one more than add takes, so that it knows of a cut
	if err == nil && len(rows) == 0 {
		err = missing
	}
	return rows, err
}

// selectURI returns at most limit resources for a normalised path, and who registered
// their URI: the resource server's own with that URI; if there are none, users'
// resources to which the resource server or a realm file gave it; if there are none and
// no pattern of the resource server matches even without case, the resource of a user
// who registered it. (That is checked here too, because the pattern may be newer.) With matching, the
// resources with the best pattern come last, with registered 0.
func selectURI(ctx context.Context, view View, server Key, path string, matching bool, limit int) ([]*Resource, Registered, error) {
	var found []*Resource
	for _, as := range []Registered{OwnOfServer, ForOwner, ByOwner} {
		var err error
		if found, err = view.Select(ctx, server, Selection{URI: FoldURI(path), Registered: as}, limit); err != nil {
			return nil, 0, fmt.Errorf("select resources by uri: %w", err)
		}
		if len(found) > 0 && as != ByOwner {
			return found, as, nil
		}
	}
	if len(found) == 0 && !matching {
		return nil, 0, nil
	}
	matched, reached, err := matchURI(ctx, view, server, path)
	switch {
	case err != nil:
		return nil, 0, err
	case !reached && len(found) > 0:
		return found, ByOwner, nil
	case matching:
		return matched, 0, nil
	}
	return nil, 0, nil
}

// matchURI returns the resources, of those the resource server owns itself,
// whose URI pattern matches a normalised path best, and whether any pattern of theirs
// matches it without case.
func matchURI(ctx context.Context, view View, server Key, path string) (rows []*Resource, reached bool, err error) {
	shapes, err := view.URIShapes(ctx, server)
	if err != nil {
		return nil, false, fmt.Errorf("read uri shapes: %w", err)
	}
	candidates, err := view.URICandidates(ctx, server, CandidateKeys(path, shapes))
	if err != nil {
		return nil, false, fmt.Errorf("read uri candidates: %w", err)
	}
	patterns := make([]string, len(candidates))
	for i, c := range candidates {
		patterns[i] = c.URI
	}
	reached = ReachesURI(path, patterns)
	var ids []ResourceID
	for _, i := range BestMatches(path, patterns) {
		ids = append(ids, candidates[i].Resource)
	}
	if len(ids) == 0 {
		return nil, reached, nil
	}
	rows, err = view.ResourcesByID(ctx, server, ids)
	if err != nil {
		return nil, false, fmt.Errorf("read resources: %w", err)
	}
	slices.SortFunc(rows, func(a, b *Resource) int {
		return strings.Compare(a.Name+"\x00"+string(a.ID), b.Name+"\x00"+string(b.ID))
	})
	return rows, reached, nil
}
