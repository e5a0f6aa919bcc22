package lookup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

// named returns the first resource of that name, trying the owners in order, or nil.
func ByName(ctx context.Context, view uma.View, server uma.Key, name string, owners ...string) (*uma.Resource, error) {
	for _, owner := range owners {
		r, err := view.ResourceByName(ctx, server, owner, name)
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, uma.ErrNotFound) {
			return nil, fmt.Errorf("read resource by name: %w", err)
		}
	}
	return nil, nil
}

// selectURI returns at most limit resources for a normalised path, and who registered
// their URI: the resource server's own with that URI; if there are none, users'
// resources to which the resource server or a realm file gave it; if there are none and
// no pattern of the resource server matches even without case, the resource of a user
// who registered it. (That is checked here too, because the pattern may be newer.) With matching, the
// resources with the best pattern come last, with registered 0.
func ByURI(ctx context.Context, view uma.View, server uma.Key, path string, matching bool, limit int) ([]*uma.Resource, uma.Registered, error) {
	var found []*uma.Resource
	for _, as := range []uma.Registered{uma.OwnOfServer, uma.ForOwner, uma.ByOwner} {
		var err error
		if found, err = view.Select(ctx, server, uma.Selection{URI: uripath.Fold(path), Registered: as}, limit); err != nil {
			return nil, 0, fmt.Errorf("select resources by uri: %w", err)
		}
		if len(found) > 0 && as != uma.ByOwner {
			return found, as, nil
		}
	}
	if len(found) == 0 && !matching {
		return nil, 0, nil
	}
	matched, reached, err := ByPattern(ctx, view, server, path)
	switch {
	case err != nil:
		return nil, 0, err
	case !reached && len(found) > 0:
		return found, uma.ByOwner, nil
	case matching:
		return matched, 0, nil
	}
	return nil, 0, nil
}

// matchURI returns the resources, of those the resource server owns itself,
// whose URI pattern matches a normalised path best, and whether any pattern of theirs
// matches it without case.
func ByPattern(ctx context.Context, view uma.View, server uma.Key, path string) (rows []*uma.Resource, reached bool, err error) {
	shapes, err := view.URIShapes(ctx, server)
	if err != nil {
		return nil, false, fmt.Errorf("read uri shapes: %w", err)
	}
	candidates, err := view.URICandidates(ctx, server, uripath.CandidateKeys(path, shapes))
	if err != nil {
		return nil, false, fmt.Errorf("read uri candidates: %w", err)
	}
	patterns := make([]string, len(candidates))
	for i, c := range candidates {
		patterns[i] = c.URI
	}
	reached = uripath.Reaches(path, patterns)
	var ids []uma.ResourceID
	for _, i := range uripath.Best(path, patterns) {
		ids = append(ids, candidates[i].Resource)
	}
	if len(ids) == 0 {
		return nil, reached, nil
	}
	rows, err = view.ResourcesByID(ctx, server, ids)
	if err != nil {
		return nil, false, fmt.Errorf("read resources: %w", err)
	}
	slices.SortFunc(rows, func(a, b *uma.Resource) int {
		return strings.Compare(a.Name+"\x00"+string(a.ID), b.Name+"\x00"+string(b.ID))
	})
	return rows, reached, nil
}
