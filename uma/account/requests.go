package account

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// A PendingRequest has all pending requests of one user for one resource.
type PendingRequest struct {
	// ID is the id of the first request, a dot, and a digest of the ids of all: an answer
	// is refused if there are other requests than the owner has seen.
	ID string

	Resource *uma.Resource
	User     *uma.User // who asks; with an id alone if the user no longer exists
	Scopes   []uma.Scope
	When     time.Time // of the first request

	requests []uma.Request
}

// PendingRequests returns at most limit pending requests for resources of the owner, by id,
// those that follow `after`.
func (s *Service) PendingRequests(ctx context.Context, o *Owner, after string, limit int) ([]PendingRequest, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) ([]PendingRequest, error) {
		var out []PendingRequest
		for len(out) < limit { // one pending request may have many rows
			page, err := view.PendingOf(ctx, o.Snap.Realm.Key, o.User.ID, after, limit)
			if err != nil {
				return nil, fmt.Errorf("read pending requests: %w", err)
			}
			found, err := o.pendingRequests(ctx, view, page)
			if err != nil {
				return nil, err
			}
			for _, p := range found {
				if p.ID > after && len(out) < limit { // else it was on an earlier page
					out = append(out, p)
				}
			}
			if len(page) < limit {
				break
			}
			after = page[len(page)-1].ID
		}
		return out, nil
	})
}

// pendingRequests groups the requests of a page, and those of the same users for the same
// resources that are not on it, by resource and user.
func (o *Owner) pendingRequests(ctx context.Context, view uma.View, page []uma.Request) ([]PendingRequest, error) {
	keys := make([]uma.Key, len(page))
	for i, q := range page {
		keys[i] = q.Key
	}
	requests, err := view.PendingBeside(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read pending requests: %w", err)
	}
	resources, err := o.readResources(ctx, view, requests)
	if err != nil {
		return nil, err
	}
	users, err := o.readOthers(ctx, view, requests)
	if err != nil {
		return nil, err
	}
	var out []PendingRequest
	for len(requests) > 0 {
		n := 1
		for n < len(requests) && requests[n].Resource == requests[0].Resource && requests[n].Requester == requests[0].Requester {
			n++
		}
		p := PendingRequest{Resource: resources[requests[0].Resource], User: users[requests[0].Requester], requests: requests[:n]}
		p.Scopes = (&SharedUser{Requests: p.requests}).Scopes()
		p.ID, p.When = groupID(p.requests), p.requests[0].Created
		for _, q := range p.requests[1:] {
			if q.Created.Before(p.When) {
				p.When = q.Created
			}
		}
		out = append(out, p)
		requests = requests[n:]
	}
	slices.SortFunc(out, func(a, b PendingRequest) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// groupID is the ID of a PendingRequest with these requests.
func groupID(requests []uma.Request) string {
	ids := make([]string, len(requests))
	for i, q := range requests {
		ids[i] = q.ID
	}
	slices.Sort(ids)
	return ids[0] + "." + hex.EncodeToString(uma.Digest(strings.Join(ids, " "))[:8])
}

// PendingRequest returns a pending request by its id. If it was answered or has changed
// since, the answer is a conflict; a request to another owner is not found.
func (s *Service) PendingRequest(ctx context.Context, o *Owner, id string) (*PendingRequest, error) {
	return uma.Read(ctx, s.Store, func(view uma.View) (*PendingRequest, error) {
		first, _, whole := strings.Cut(id, ".")
		q, err := view.RealmRequest(ctx, o.Snap.Realm.Key, first)
		switch {
		case errors.Is(err, uma.ErrNotFound) || err == nil && (q.Owner != o.User.ID || !whole):
			return nil, uma.Reject(uma.NotFound, uma.Fault{Kind: uma.RequestNotPending, Value: id}, err)
		case err != nil:
			return nil, fmt.Errorf("read request: %w", err)
		case q.State != uma.Pending:
			return nil, uma.Reject(uma.Conflict, uma.Fault{Kind: uma.RequestAnswered, Value: id}, nil)
		}
		found, err := o.pendingRequests(ctx, view, []uma.Request{*q})
		if err != nil {
			return nil, err
		}
		if found[0].ID != id {
			return nil, uma.Reject(uma.Conflict, uma.Fault{Kind: uma.RequestChanged, Value: id}, nil)
		}
		return &found[0], nil
	})
}

// RequestsBy calls each for the caller's own pending requests, by id, with the resource and
// its owner. Each is for one scope.
func (s *Service) RequestsBy(ctx context.Context, o *Owner, each func(*SharedResource) error) error {
	return uma.Pages(uma.RequestPage, 0, -1, func(last *SharedResource, _, n int) ([]SharedResource, error) {
		after := ""
		if last != nil {
			after = last.Users[0].Requests[0].ID
		}
		return uma.Read(ctx, s.Store, func(view uma.View) ([]SharedResource, error) { return o.requestsBy(ctx, view, after, n) })
	}, each)
}

// requestsBy reads a page of the caller's pending requests.
func (o *Owner) requestsBy(ctx context.Context, view uma.View, after string, n int) ([]SharedResource, error) {
	page, err := view.PendingBy(ctx, o.Snap.Realm.Key, o.User.ID, after, n)
	if err != nil {
		return nil, fmt.Errorf("read pending requests: %w", err)
	}
	resources, err := o.readResources(ctx, view, page)
	if err != nil {
		return nil, err
	}
	users, err := o.readOthers(ctx, view, page)
	if err != nil {
		return nil, err
	}
	out := make([]SharedResource, len(page))
	for i, q := range page {
		out[i] = SharedResource{
			OwnedResource: OwnedResource{Resource: resources[q.Resource], Client: o.Snap.ByKey[q.Server]},
			Users:         []SharedUser{{User: users[o.otherParty(&q)], Requests: page[i : i+1]}},
		}
	}
	return out, nil
}
