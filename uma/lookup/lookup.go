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

// ByName returns the resource of that name of the first owner who has one, or nil.
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

// ByURI returns at most limit resources for a normalised path, and who registered their
// URI. It tries in this order, and returns the first resources that it finds:
//
//  1. resources of the resource server itself that have the URI;
//  2. users' resources to which the resource server or a realm file gave the URI;
//  3. users' resources that their owners gave the URI, unless a pattern of the resource
//     server matches the path without case. Registration checks that, too, but the pattern
//     may be newer;
//  4. with matching, the resources of the resource server whose pattern matches best. For
//     these, the Registered is 0.
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

// ByPattern returns the resource server's own resources whose URI pattern matches a
// normalised path best, and whether any of their patterns matches it without case.
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
