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

// A PendingRequest is what one user asks of one resource: the pending requests of
// the two together. Its id says which they are: an answer is to what its owner has
// seen.
type PendingRequest struct {
	ID       string // id of the first of them, a dot, and a digest of all
	Resource *uma.Resource
	User     *uma.User // who asks; with an id alone when it is gone
	Scopes   []uma.Scope
	When     time.Time // it was first asked for

	requests []uma.Request
}

// PendingRequests returns at most max of what others ask the owner for, by id,
// those that follow `after`.
func (a *Service) PendingRequests(ctx context.Context, o *Owner, after string, max int) (_ []PendingRequest, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	var out []PendingRequest
	for len(out) < max {
		page, err := view.PendingOf(ctx, o.Snap.Realm.Key, o.User.ID, after, max)
		if err != nil {
			return nil, fmt.Errorf("read pending requests: %w", err)
		}
		found, err := o.pending(ctx, view, page)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if p.ID > after && len(out) < max { // else it was on a page before
				out = append(out, p)
			}
		}
		if len(page) < max {
			break
		}
		after = page[len(page)-1].ID
	}
	return out, nil
}

// pending gathers the requests beside those of a page: what was asked of one
// resource by one user belongs together, under the first of its ids.
func (o *Owner) pending(ctx context.Context, view uma.View, page []uma.Request) ([]PendingRequest, error) {
	keys := make([]uma.Key, len(page))
	for i, q := range page {
		keys[i] = q.Key
	}
	requests, err := view.PendingBeside(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read pending requests: %w", err)
	}
	resources, err := o.resourcesOf(ctx, view, requests)
	if err != nil {
		return nil, err
	}
	users, err := o.others(ctx, view, requests)
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
		p.ID, p.When = IdOfAll(p.requests), p.requests[0].Created
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

// idOfAll says which requests belong together.
func IdOfAll(requests []uma.Request) string {
	ids := make([]string, len(requests))
	for i, q := range requests {
		ids[i] = q.ID
	}
	slices.Sort(ids)
	return ids[0] + "." + hex.EncodeToString(uma.Digest(strings.Join(ids, " "))[:8])
}

// resourcesOf reads the resources that requests are for.
func (o *Owner) resourcesOf(ctx context.Context, view uma.View, requests []uma.Request) (map[uma.Key]*uma.Resource, error) {
	ids := map[uma.Key][]uma.ResourceID{} // by resource server
	for _, q := range requests {
		if !slices.Contains(ids[q.Server], q.ResourceID) {
			ids[q.Server] = append(ids[q.Server], q.ResourceID)
		}
	}
	found := map[uma.Key]*uma.Resource{}
	for server, ids := range ids {
		rows, err := view.ResourcesByID(ctx, server, ids)
		if err != nil {
			return nil, fmt.Errorf("read resources: %w", err)
		}
		for _, r := range rows {
			found[r.Key] = r
		}
	}
	return found, nil
}

// PendingRequest returns one by its id. One that was answered meanwhile, or that
// has changed since, is a conflict; one to another owner is not found.
func (a *Service) PendingRequest(ctx context.Context, o *Owner, id string) (_ *PendingRequest, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	first, _, whole := strings.Cut(id, ".")
	q, err := view.RealmRequest(ctx, o.Snap.Realm.Key, first)
	switch {
	case errors.Is(err, uma.ErrNotFound) || err == nil && (q.Owner != o.User.ID || !whole):
		return nil, uma.Refuse(uma.NotFound, "Request not found", err)
	case err != nil:
		return nil, fmt.Errorf("read request: %w", err)
	case q.State != uma.Pending:
		return nil, uma.Refuse(uma.Conflict, "The request was answered already", nil)
	}
	found, err := o.pending(ctx, view, []uma.Request{*q})
	if err != nil {
		return nil, err
	}
	if found[0].ID != id {
		return nil, uma.Refuse(uma.Conflict, "What is asked for has changed: read the request again", nil)
	}
	return &found[0], nil
}

// AnswerRequest approves or denies a pending request. With scopes it approves those
// and denies the rest.
func (a *Service) AnswerRequest(ctx context.Context, o *Owner, id string, approve bool, scopes []uma.Scope) error {
	p, err := a.PendingRequest(ctx, o, id)
	if err != nil {
		return err
	}
	if approve && scopes != nil && len(scopes) == 0 {
		return uma.Refuse(uma.InvalidScope, "No scope is approved", nil)
	}
	for _, s := range scopes {
		if !slices.Contains(p.Scopes, s) {
			return uma.Refuse(uma.InvalidScope, "Scope ["+string(s)+"] was not asked for", nil)
		}
	}
	granted := make(map[string]bool, len(p.requests))
	for i, q := range p.requests {
		granted[q.ID] = approve && (scopes == nil || slices.Contains(scopes, p.Scopes[i]))
	}
	switch err := a.Store.DecideRequests(ctx, o.Snap.Realm.Key, o.User.ID, granted, a.Now()); {
	case errors.Is(err, uma.ErrNotFound):
		return uma.Refuse(uma.NotFound, "Request not found", err)
	case errors.Is(err, uma.ErrConflict):
		return uma.Refuse(uma.Conflict, "The request was answered already", err)
	case err != nil:
		return uma.Storing("answer request", err)
	}
	return nil
}

// attempts is how often a page is answered anew when somebody else answers at the same
// time.
const attempts = 4

// AnswerAll approves or denies all that others ask the owner for, a page at a time,
// and returns how many requests those were. With scopes it answers the requests for
// those and leaves others pending. What is answered meanwhile is left as it is.
func (a *Service) AnswerAll(ctx context.Context, o *Owner, approve bool, scopes []uma.Scope) (int, error) {
	answered := 0
	for after, tries := "", 0; ; {
		page, err := a.pendingAfter(ctx, o, after)
		if err != nil || len(page) == 0 {
			return answered, err
		}
		granted := make(map[string]bool, len(page))
		for _, q := range page {
			if scopes == nil || slices.Contains(scopes, askedBy(&q)) {
				granted[q.ID] = approve
			}
		}
		err = a.Store.DecideRequests(ctx, o.Snap.Realm.Key, o.User.ID, granted, a.Now())
		switch {
		case errors.Is(err, uma.ErrNotFound), errors.Is(err, uma.ErrConflict): // somebody else answered, or took one back
			if tries++; tries == attempts {
				return answered, uma.Refuse(uma.Busy, "", err)
			}
		case err != nil:
			return answered, uma.Storing("answer requests", err)
		case len(page) < uma.RequestPage:
			return answered + len(granted), nil
		default:
			answered, after, tries = answered+len(granted), page[len(page)-1].ID, 0
		}
	}
}

func (a *Service) pendingAfter(ctx context.Context, o *Owner, after string) (_ []uma.Request, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	page, err := view.PendingOf(ctx, o.Snap.Realm.Key, o.User.ID, after, uma.RequestPage)
	if err != nil {
		return nil, fmt.Errorf("read pending requests: %w", err)
	}
	return page, nil
}

// RequestsBy calls each for the requests of the caller that nobody has answered,
// by id, with the resource and its owner. A request is for one scope.
func (a *Service) RequestsBy(ctx context.Context, o *Owner, each func(*SharedResource) error) error {
	for after := ""; ; {
		page, err := a.requestsBy(ctx, o, after)
		if err != nil {
			return err
		}
		for i := range page {
			if err := each(&page[i]); err != nil {
				return err
			}
		}
		if len(page) < uma.RequestPage {
			return nil
		}
		after = page[len(page)-1].Users[0].Requests[0].ID
	}
}

// requestsBy reads a page, in a view of its own: a slow reader holds nothing up.
func (a *Service) requestsBy(ctx context.Context, o *Owner, after string) (_ []SharedResource, err error) {
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	page, err := view.PendingBy(ctx, o.Snap.Realm.Key, o.User.ID, after, uma.RequestPage)
	if err != nil {
		return nil, fmt.Errorf("read pending requests: %w", err)
	}
	resources, err := o.resourcesOf(ctx, view, page)
	if err != nil {
		return nil, err
	}
	users, err := o.others(ctx, view, page)
	if err != nil {
		return nil, err
	}
	out := make([]SharedResource, len(page))
	for i, q := range page {
		out[i] = SharedResource{
			OwnedResource: OwnedResource{Resource: resources[q.Resource], Client: o.Snap.ByKey[q.Server]},
			Users:         []SharedUser{{User: users[o.other(&q)], Requests: page[i : i+1]}},
		}
	}
	return out, nil
}
