package account

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/umpire/uma"
)

// AnswerRequest approves or denies a pending request. With scopes it approves those
// and denies the rest.
func (s *Service) AnswerRequest(ctx context.Context, o *Owner, id string, approve bool, scopes []uma.Scope) error {
	p, err := s.PendingRequest(ctx, o, id)
	if err != nil {
		return err
	}
	if approve && scopes != nil && len(scopes) == 0 {
		return uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.NothingApproved}, nil)
	}
	for _, scope := range scopes {
		if !slices.Contains(p.Scopes, scope) {
			return uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.ScopeNotRequested, Scopes: []uma.Scope{scope}}, nil)
		}
	}
	granted := make(map[string]bool, len(p.requests))
	for i, q := range p.requests {
		granted[q.ID] = approve && (scopes == nil || slices.Contains(scopes, p.Scopes[i]))
	}
	if err := s.Store.DecideRequests(ctx, o.Snap.Realm.Key, o.User.ID, granted, s.Now()); err != nil {
		return uma.Tell("answer request", err,
			uma.Means(uma.ErrNotFound, uma.NotFound, uma.Fault{Kind: uma.RequestNotPending, Value: id}),
			uma.Means(uma.ErrConflict, uma.Conflict, uma.Fault{Kind: uma.RequestAnswered, Value: id}))
	}
	return nil
}

// attempts is how often a page of requests is read and answered if somebody else answers
// at the same time.
const attempts = 4

// AnswerAll approves or denies all pending requests for resources of the owner, a page at
// a time, and returns how many they were. With scopes it answers the requests for those
// scopes and leaves others pending. Requests that somebody else answers or takes back
// meanwhile are left as they are.
func (s *Service) AnswerAll(ctx context.Context, o *Owner, approve bool, scopes []uma.Scope) (int, error) {
	answered := 0
	concerns := func(q *uma.Request) bool { return scopes == nil || slices.Contains(scopes, requestedScope(q)) }
	err := uma.Pages(uma.RequestPage, 0, -1, func(last *uma.Request, _, n int) ([]uma.Request, error) {
		return s.answerPage(ctx, o, last, n, approve, concerns)
	}, func(q *uma.Request) error {
		if concerns(q) {
			answered++
		}
		return nil
	})
	return answered, err
}

// answerPage answers the pending requests of a page, those that follow last, and returns
// the page.
func (s *Service) answerPage(ctx context.Context, o *Owner, last *uma.Request, n int, approve bool, concerns func(*uma.Request) bool) ([]uma.Request, error) {
	after := ""
	if last != nil {
		after = last.ID
	}
	var err error
	for range attempts {
		var page []uma.Request
		page, err = uma.Read(ctx, s.Store, func(view uma.View) ([]uma.Request, error) {
			return view.PendingOf(ctx, o.Snap.Realm.Key, o.User.ID, after, n)
		})
		if err != nil {
			return nil, fmt.Errorf("read pending requests: %w", err)
		}
		if len(page) == 0 {
			return nil, nil
		}
		granted := make(map[string]bool, len(page))
		for i := range page {
			if concerns(&page[i]) {
				granted[page[i].ID] = approve
			}
		}
		err = s.Store.DecideRequests(ctx, o.Snap.Realm.Key, o.User.ID, granted, s.Now())
		if !errors.Is(err, uma.ErrNotFound) && !errors.Is(err, uma.ErrConflict) {
			if err != nil {
				return nil, uma.Tell("answer requests", err)
			}
			return page, nil
		}
	}
	return nil, uma.Reject(uma.Busy, uma.Fault{}, err)
}
