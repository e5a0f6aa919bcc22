package sqlite

import (
	"context"
	"time"

	"example.com/umpire/uma"
)

func (v *view) UserByEmail(ctx context.Context, realm uma.Key, email string) (*uma.User, error) {
	return nil, uma.ErrNotFound
}
func (v *view) UsersByID(ctx context.Context, realm uma.Key, ids []string) (map[string]*uma.User, error) {
	return nil, nil
}
func (v *view) Share(ctx context.Context, server uma.Key, id string) (*uma.Share, error) {
	return nil, uma.ErrNotFound
}
func (v *view) FindShares(ctx context.Context, server uma.Key, owner string, f uma.ShareFilter, first, max int) ([]*uma.Share, error) {
	return nil, nil
}
func (v *view) OwnedResource(ctx context.Context, realm uma.Key, owner string, id uma.ResourceID) (*uma.Resource, error) {
	return nil, uma.ErrNotFound
}
func (v *view) OwnedResources(ctx context.Context, realm uma.Key, owner, name string, first, max int) ([]*uma.Resource, error) {
	return nil, nil
}
func (v *view) SharedResources(ctx context.Context, realm uma.Key, f uma.SharedFilter, first, max int) ([]*uma.Resource, error) {
	return nil, nil
}
func (v *view) RequestsFor(ctx context.Context, resources []uma.Key, state, requester string) ([]uma.Request, error) {
	return nil, nil
}
func (v *view) RealmRequest(ctx context.Context, realm uma.Key, id string) (*uma.Request, error) {
	return nil, uma.ErrNotFound
}
func (v *view) PendingRequests(ctx context.Context, realm uma.Key, f uma.SharedFilter, after string, max int) ([]uma.Request, error) {
	return nil, nil
}
func (v *view) SpentTicket(ctx context.Context, realm uma.Key, hash []byte) (*uma.SpentTicket, error) {
	return nil, uma.ErrNotFound
}
func (s *Store) DecideRequests(ctx context.Context, realm uma.Key, owner string, granted map[string]bool, now time.Time) error {
	return uma.ErrNotFound
}
func (s *Store) ShareResource(ctx context.Context, c *uma.ShareChange) error { return uma.ErrNotFound }
func (s *Store) CreateShare(ctx context.Context, sh *uma.Share) error        { return uma.ErrNotFound }
func (s *Store) ReplaceShare(ctx context.Context, sh *uma.Share) error       { return uma.ErrNotFound }
func (s *Store) DeleteShare(ctx context.Context, server uma.Key, id string) error {
	return uma.ErrNotFound
}
func (s *Store) DropRPT(ctx context.Context, realm uma.Key, jti string) error { return nil }
