package grant

import (
	"context"

	"example.com/umpire/uma"
	"example.com/umpire/uma/lookup"
	"example.com/umpire/uma/sets"
	"example.com/umpire/uma/uripath"
)

// This file has how a request finds resources by URI.

// byURIs returns, for each URI in the request, the resources that it finds.
func (x *assessment) byURIs(ctx context.Context, view uma.View) (map[string][]*uma.Resource, error) {
	found := map[string][]*uma.Resource{}
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
func (x *assessment) asPermissions(byURI map[string][]*uma.Resource) []AskedPermission {
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
		asked[i].Scopes = sets.Union(nil, asked[i].Scopes)
	}
	return asked
}

// byURI returns the resources that a URI finds, or a refusal if there is none.
func (x *assessment) byURI(ctx context.Context, view uma.View, uri string) ([]*uma.Resource, error) {
	missing := uma.Refuse(uma.InvalidResource, "Resource with uri ["+uri+"] does not exist.", nil)
	path, err := uripath.Normalize(uri)
	if err != nil {
		missing.Err = err
		return nil, missing
	}
	rows, _, err := lookup.ByURI(ctx, view, x.server.Key, path, x.req.MatchingURI, x.most()+1) // one more than add takes, so that it knows of a cut
	if err == nil && len(rows) == 0 {
		err = missing
	}
	return rows, err
}
