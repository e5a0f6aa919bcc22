package party

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// Refresh exchanges a refresh token for new tokens (RFC 6749 §6). If the token was used
// before, its session ends. The permissions of an RPT are granted again without an
// assessment (§3.6), and only if all rows that they rest on are unchanged (§6.1).
func (s *Service) Refresh(ctx context.Context, snap *uma.Snapshot, client *uma.Client, token, scope string) (*Tokens, error) {
	r, err := s.readRefresh(ctx, snap, client, token)
	if err != nil {
		return nil, err
	}
	for _, name := range strings.Fields(scope) {
		if !slices.Contains(strings.Fields(r.row.Scope), name) {
			return nil, uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.ScopeNotRefreshed, Scopes: []uma.Scope{uma.Scope(name)}}, nil)
		}
	}
	next, handle := s.NewRefresh(snap, r.id, GrantedScope(r.id, r.row.Scope))
	lifetime := snap.Realm.Lifetimes.Access
	if r.rpt != nil {
		lifetime = RPTLifetime(snap, r.rpt.Permissions)
	}
	// The access token may have fewer scopes than were granted; the refresh token keeps them.
	access := s.AccessClaims(snap, r.id, GrantedScope(r.id, cmp.Or(scope, r.row.Scope)), lifetime)
	var rpt *uma.RPT
	if r.rpt != nil {
		rpt = renewRPT(snap, r.rpt, access, next)
	}
	if err := s.Store.Rotate(ctx, snap.Realm.Key, r.row.Hash, next, rpt, s.Now()); err != nil {
		return nil, uma.Tell("rotate refresh token", err, notActive(uma.ErrSpent), notActive(uma.ErrNotFound))
	}
	return s.Respond(ctx, snap, access, s.RefreshClaims(snap, r.id, next, handle))
}

// notActive says that an error means that the session of a refresh token has ended.
func notActive(err error) uma.Meaning {
	return uma.Means(err, uma.InvalidGrant, uma.Fault{Kind: uma.SessionNotActive})
}

// renewRPT turns the claims of an access token into those of an RPT that grants the same
// as a former one, and returns its row.
func renewRPT(snap *uma.Snapshot, old *uma.RPT, access *uma.Claims, refresh *uma.RefreshToken) *uma.RPT {
	row := *old
	access.Audience = uma.Audience{snap.ByKey[old.Server].ID}
	access.Authorization = &uma.Authorization{Permissions: uma.GrantedPermissions(old.Permissions)}
	row.Family = cmp.Or(old.Family, old.JTI)
	row.JTI, row.Expires, row.Keep = access.ID, uma.FromUnix(access.Expires), refresh.Expires
	refresh.RPT = row.JTI
	return &row
}

// A refreshing is a refresh token that may be used, with its identity and its RPT.
type refreshing struct {
	id  *Identity
	row *uma.RefreshToken
	rpt *uma.RPT // nil if the token is not of an RPT
}

// readRefresh verifies and reads a client's refresh token. A token that was used before is
// returned, too: Store.Rotate ends its session.
func (s *Service) readRefresh(ctx context.Context, snap *uma.Snapshot, client *uma.Client, token string) (*refreshing, error) {
	claims, err := s.Verifier.VerifyRefresh(ctx, snap, s.PublicURL.Realm(snap), token)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil, uma.Reject(uma.InvalidGrant, uma.Fault{Kind: uma.RefreshTokenInvalid}, err)
	case err != nil:
		return nil, fmt.Errorf("verify refresh token: %w", err)
	case claims.AuthorizedParty != client.ID:
		return nil, uma.Reject(uma.InvalidGrant, uma.Fault{Kind: uma.RefreshTokenOfOtherClient}, nil)
	case claims.Expires <= s.Now().Unix():
		return nil, uma.Reject(uma.InvalidGrant, uma.Fault{Kind: uma.RefreshTokenExpired}, nil)
	}
	return uma.ReadNow(ctx, s.Store, func(view uma.View) (*refreshing, error) {
		row, spent, err := view.RefreshToken(ctx, snap.Realm.Key, uma.Digest(claims.Handle), s.Now())
		if err != nil {
			return nil, uma.Tell("read refresh token", err, notActive(uma.ErrNotFound))
		}
		id, err := s.Identify(ctx, view, snap, claims)
		if err != nil {
			return nil, uma.Tell("identify the party of a refresh token", err, notActive(ErrInactive))
		}
		r := &refreshing{id: id, row: row}
		if row.RPT == "" || spent {
			return r, nil
		}
		r.rpt, err = s.unchangedRPT(ctx, view, snap, r)
		return r, err
	})
}

// unchangedRPT returns the RPT of a refresh token if every row that it rests on is
// unchanged and the policy revision that granted it is active. Otherwise the client
// must ask for the permissions again.
func (s *Service) unchangedRPT(ctx context.Context, view uma.View, snap *uma.Snapshot, r *refreshing) (*uma.RPT, error) {
	changed := func(err error) error {
		return uma.Reject(uma.InvalidGrant, uma.Fault{Kind: uma.GrantHasChanged}, err)
	}
	rpt, err := view.RPT(ctx, snap.Realm.Key, r.row.RPT)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, changed(err)
	case err != nil:
		return nil, fmt.Errorf("read rpt: %w", err)
	}
	// The generation comes first: it differs after an activation, so that nobody waits here
	// for the policy, while a view is open.
	if rpt.Generation != snap.Realm.Generation {
		return nil, changed(nil)
	}
	policy, err := uma.PreparePolicy(ctx, s.Policy, snap)
	if err != nil {
		return nil, err
	}
	switch server := snap.ByKey[rpt.Server]; {
	case server == nil || !server.Enabled || !server.ResourceServer,
		rpt.Revision != policy.Revision(),
		r.id.User != nil && rpt.UserVersion != r.id.User.Version:
		return nil, changed(nil)
	}
	now, err := readValidity(ctx, view, rpt)
	if err != nil {
		return nil, err
	}
	for _, g := range rpt.Permissions {
		if !now.isUnchanged(g) {
			return nil, changed(nil)
		}
	}
	return rpt, nil
}
