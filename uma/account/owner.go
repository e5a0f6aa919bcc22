package account

import (
	"context"
	"fmt"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// An Owner is a user who calls the account API, about resources that the user owns and
// resources that others shared with the user.
type Owner struct {
	Snap *uma.Snapshot
	User *uma.User
}

// OwnerOf returns the user that an access token identifies. An RPT and the token of a
// service account or of an application, which own nothing, are valid tokens but not accepted
// here (RFC 6750 §3.1).
func OwnerOf(snap *uma.Snapshot, id *party.Identity) (*Owner, error) {
	switch {
	case id.Restricted():
		return nil, uma.Reject(uma.InsufficientScope, uma.Fault{Kind: uma.NotForAccount}, nil)
	case !id.IsUser():
		return nil, uma.Reject(uma.InsufficientScope, uma.Fault{Kind: uma.NotOfUser}, nil)
	}
	return &Owner{Snap: snap, User: id.User}, nil
}

// An OwnedResource is a resource and the client of its resource server.
type OwnedResource struct {
	*uma.Resource
	Client *uma.Client
}

// OwnedResource returns a resource of the owner. A resource of another owner is not
// found.
func (s *Service) OwnedResource(ctx context.Context, o *Owner, id string) (*OwnedResource, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) (*OwnedResource, error) { return o.resource(ctx, view, id) })
}

func (o *Owner) resource(ctx context.Context, view uma.View, id string) (*OwnedResource, error) {
	r, err := view.OwnedResource(ctx, o.Snap.Realm.Key, o.User.ID, uma.ResourceID(id))
	if err != nil {
		return nil, uma.Tell("read resource", err, notOwned(uma.ErrNotFound, id))
	}
	return &OwnedResource{Resource: r, Client: o.Snap.ByKey[r.Server]}, nil
}

// notOwned says that an error means that the owner has no resource with that id.
func notOwned(err error, id string) uma.Meaning {
	return uma.Means(err, uma.NotFound, uma.Fault{Kind: uma.ResourceNotOwned, Resource: id})
}

// OwnedResources returns a page of the owner's resources, by name; with a name only those
// whose names contain it.
func (s *Service) OwnedResources(ctx context.Context, o *Owner, name string, first, limit int) ([]OwnedResource, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) ([]OwnedResource, error) {
		rows, err := view.OwnedResources(ctx, o.Snap.Realm.Key, o.User.ID, name, first, limit)
		if err != nil {
			return nil, fmt.Errorf("read resources: %w", err)
		}
		out := make([]OwnedResource, len(rows))
		for i, r := range rows {
			out[i] = OwnedResource{Resource: r, Client: o.Snap.ByKey[r.Server]}
		}
		return out, nil
	})
}

// otherParty returns the subject id of the other party of a request: its requester if the
// owner owns the resource, else its owner.
func (o *Owner) otherParty(q *uma.Request) string {
	if q.Owner == o.User.ID {
		return q.Requester
	}
	return q.Owner
}

// readOthers reads the other parties of requests. A user who no longer exists has an id
// alone.
func (o *Owner) readOthers(ctx context.Context, view uma.View, requests []uma.Request) (map[string]*uma.User, error) {
	ids := make([]string, len(requests))
	for i := range requests {
		ids[i] = o.otherParty(&requests[i])
	}
	return o.readUsers(ctx, view, ids)
}

// readUsers reads users by their ids. A user who no longer exists has an id alone.
func (o *Owner) readUsers(ctx context.Context, view uma.View, ids []string) (map[string]*uma.User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	users, err := view.UsersByID(ctx, o.Snap.Realm.Key, ids)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	for _, id := range ids {
		if users[id] == nil {
			users[id] = &uma.User{ID: id}
		}
	}
	return users, nil
}

// readResources reads the resources that requests are for.
func (o *Owner) readResources(ctx context.Context, view uma.View, requests []uma.Request) (map[uma.Key]*uma.Resource, error) {
	ids := map[uma.Key][]uma.ResourceID{}
	for _, q := range requests {
		ids[q.Server] = append(ids[q.Server], q.ResourceID)
	}
	return readResources(ctx, view, ids)
}

// readResources reads resources by the ids that they have at their resource servers.
func readResources(ctx context.Context, view uma.View, ids map[uma.Key][]uma.ResourceID) (map[uma.Key]*uma.Resource, error) {
	found := map[uma.Key]*uma.Resource{}
	for server, ids := range ids {
		slices.Sort(ids)
		rows, err := view.ResourcesByID(ctx, server, slices.Compact(ids))
		if err != nil {
			return nil, fmt.Errorf("read resources: %w", err)
		}
		for _, r := range rows {
			found[r.Key] = r
		}
	}
	return found, nil
}
