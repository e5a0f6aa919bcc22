package grant

import (
	"context"

	"example.com/umpire/uma"
	"example.com/umpire/uma/lookup"
	"example.com/umpire/uma/sets"
	"example.com/umpire/uma/uripath"
)

// This file has how a request finds resources by URI.

// resourcesByURIs returns, for each URI in the request, the resources that it finds.
func (r *resolver) resourcesByURIs(ctx context.Context) (map[string][]*uma.Resource, error) {
	found := map[string][]*uma.Resource{}
	for _, p := range r.req.Permissions {
		if _, there := found[p.Resource]; there || p.Resource == "" || !r.req.ByURI {
			continue
		}
		rows, err := r.resourcesByURI(ctx, p.Resource)
		if err != nil {
			return nil, err
		}
		found[p.Resource] = rows
	}
	return found, nil
}

// resourcesByURI returns the resources that a URI finds, or a refusal if there is none.
// Package uripath ranks the patterns.
func (r *resolver) resourcesByURI(ctx context.Context, uri string) ([]*uma.Resource, error) {
	missing := func(cause error) error {
		return uma.Reject(uma.InvalidResource, uma.Fault{Kind: uma.URIUnknown, Resource: uri}, cause)
	}
	path, err := uripath.Normalize(uri)
	if err != nil {
		return nil, missing(err)
	}
	rows, _, err := lookup.ByURI(ctx, r.view, r.server.Key, path, r.req.MatchingURI, r.limit()+1) // one more than add takes, so that it knows of a cut
	if err == nil && len(rows) == 0 {
		err = missing(nil)
	}
	return rows, err
}

// mergePermissions returns the `permission` parameters, those of one name or of URIs that
// find the same resources joined into one, as in Keycloak: Mixed and Mixed#write is
// Mixed#write.
func (r *resolver) mergePermissions(byURI map[string][]*uma.Resource) []AskedPermission {
	var asked []AskedPermission
	at := map[string]int{}
	for _, p := range r.req.Permissions {
		key := p.Resource
		if found := byURI[key]; len(found) > 0 {
			key = ""
			for _, resource := range found {
				key += string(resource.ID) + "\n"
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
		asked[i].Scopes = sets.Union(nil, asked[i].Scopes)
	}
	return asked
}
