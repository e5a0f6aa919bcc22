package party

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// AuthenticateAhead verifies the caller's assertion (RFC 7523 §3), which is for one of the
// audiences, and spends it: for Authenticate, which may be called several times for a request,
// and while a view is open. Call it once for a request, before anything else.
func (s *Service) AuthenticateAhead(ctx context.Context, snap *uma.Snapshot, audiences []string, c *Caller) error {
	a, err := s.Trust.VerifyAssertion(ctx, snap, audiences, c.Assertion)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return uma.Reject(uma.InvalidClient, uma.Fault{}, err)
	case err != nil:
		return fmt.Errorf("verify client assertion: %w", err)
	case c.ClientID != "" && c.ClientID != a.Client.ID:
		return uma.Reject(uma.InvalidClient, uma.Fault{}, errors.New("the assertion is another client's than client_id"))
	case a.ID == "" || !a.Client.Enabled || a.Client.Public:
		return uma.Reject(uma.InvalidClient, uma.Fault{}, nil)
	}
	err = s.Store.SpendAssertion(ctx, snap.Realm.Key, a.Client.Key, uma.Digest(a.ID), a.Expires)
	if err != nil {
		return uma.Tell("spend client assertion", err, uma.Means(uma.ErrSpent, uma.InvalidClient, uma.Fault{}))
	}
	c.ClientID, c.asserted = a.Client.ID, true
	return nil
}
