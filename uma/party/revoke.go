package party

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// Revoke makes a token inactive (RFC 7009): an access token or RPT alone, a refresh token
// with its session. A token of another client stays active, and the answer is the same.
func (s *Service) Revoke(ctx context.Context, snap *uma.Snapshot, client *uma.Client, token string) error {
	if token == "" {
		return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.TokenToRevokeMissing}, nil)
	}
	claims, err := s.verifyAny(ctx, snap, token)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil
	case err != nil:
		return fmt.Errorf("verify token: %w", err)
	case claims.AuthorizedParty != client.ID:
		return nil
	case claims.Type == uma.TypeRefresh:
		return s.endSession(ctx, snap, claims.SessionID)
	}
	if err := s.revoke(ctx, snap, claims); err != nil {
		return err
	}
	return s.revokeWithin(ctx, snap, claims)
}

// verifyAny verifies a token that this server signed, a refresh token or any other.
func (s *Service) verifyAny(ctx context.Context, snap *uma.Snapshot, token string) (*uma.Claims, error) {
	claims, err := s.Verifier.Verify(ctx, snap, s.PublicURL.Realm(snap), token)
	if errors.Is(err, uma.ErrUnverified) {
		return s.Verifier.VerifyRefresh(ctx, snap, s.PublicURL.Realm(snap), token)
	}
	return claims, err
}

func (s *Service) revoke(ctx context.Context, snap *uma.Snapshot, claims *uma.Claims) error {
	if err := s.Store.Revoke(ctx, snap.Realm.Key, claims.ID, uma.FromUnix(claims.Expires)); err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

// revokeWithin revokes the access token that an RPT contains.
func (s *Service) revokeWithin(ctx context.Context, snap *uma.Snapshot, rpt *uma.Claims) error {
	if rpt.AccessToken == "" {
		return nil
	}
	claims, err := s.Verifier.Verify(ctx, snap, s.PublicURL.Realm(snap), rpt.AccessToken)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil // its key is gone, so nobody accepts it
	case err != nil:
		return fmt.Errorf("verify access token: %w", err)
	}
	return s.revoke(ctx, snap, claims)
}

// Logout ends the session of a client's refresh token.
func (s *Service) Logout(ctx context.Context, snap *uma.Snapshot, client *uma.Client, refreshToken string) error {
	claims, err := s.Verifier.VerifyRefresh(ctx, snap, s.PublicURL.Realm(snap), refreshToken)
	if err != nil && !errors.Is(err, uma.ErrUnverified) {
		return fmt.Errorf("verify refresh token: %w", err)
	}
	if err != nil || claims.AuthorizedParty != client.ID {
		return uma.Reject(uma.InvalidGrant, uma.Fault{Kind: uma.RefreshTokenInvalid}, err)
	}
	return s.endSession(ctx, snap, claims.SessionID)
}

// LogoutByHint ends the session of an ID token (OpenID Connect RP-Initiated
// Logout §2). The token may have expired.
func (s *Service) LogoutByHint(ctx context.Context, snap *uma.Snapshot, idTokenHint string) error {
	claims, err := s.Verifier.Verify(ctx, snap, s.PublicURL.Realm(snap), idTokenHint)
	if err != nil && !errors.Is(err, uma.ErrUnverified) {
		return fmt.Errorf("verify id token: %w", err)
	}
	if err != nil || claims.Type != uma.TypeID {
		return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.IDTokenHintInvalid}, err)
	}
	return s.endSession(ctx, snap, claims.SessionID)
}

func (s *Service) endSession(ctx context.Context, snap *uma.Snapshot, id string) error {
	if err := s.Store.EndSession(ctx, snap.Realm.Key, id); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}
