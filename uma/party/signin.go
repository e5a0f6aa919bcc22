package party

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// ClientCredentials is the grant by which a client obtains a token of its own
// service account (RFC 6749 §4.4). It has no session and no refresh token.
func (s *Service) ClientCredentials(ctx context.Context, snap *uma.Snapshot, client *uma.Client, scope string) (*Tokens, error) {
	id, err := ServiceAccount(client)
	if err != nil {
		return nil, err
	}
	claims := s.AccessClaims(snap, id, GrantedScope(id, scope), snap.Realm.Lifetimes.Access)
	return s.Respond(ctx, snap, claims, nil)
}

// Password is the resource owner password credentials grant (RFC 6749 §4.3), for
// clients that the realm allows it to. With the scope openid the answer has an ID token,
// too.
func (s *Service) Password(ctx context.Context, snap *uma.Snapshot, client *uma.Client, from uma.Attempt, username, password, scope string) (*Tokens, error) {
	switch {
	case !client.PasswordGrant:
		return nil, uma.Reject(uma.UnauthorizedClient, uma.Fault{Kind: uma.NoPasswordGrant, Client: client.ID}, nil)
	case username == "":
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.UsernameMissing}, nil)
	}
	user, err := s.checkPassword(ctx, snap, from, username, password)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	id := &Identity{Subject: user.ID, User: user, Client: client, Claims: &uma.Claims{}}
	id.Session = &uma.Session{
		ID: s.NewID(), User: user.ID, Client: client.ID, Scope: GrantedScope(id, scope),
		Started: now, Expires: now.Add(snap.Realm.Lifetimes.Session),
	}
	refresh, handle := s.NewRefresh(snap, id, id.Session.Scope)
	if err := s.Store.StartSession(ctx, snap.Realm.Key, id.Session, refresh); err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	claims := s.AccessClaims(snap, id, id.Session.Scope, snap.Realm.Lifetimes.Access)
	return s.Respond(ctx, snap, claims, s.RefreshClaims(snap, id, refresh, handle))
}

// checkPassword returns the user with that name and password. The answer for an unknown
// user takes as long as that for a wrong password.
func (s *Service) checkPassword(ctx context.Context, snap *uma.Snapshot, from uma.Attempt, username, password string) (*uma.User, error) {
	user, err := uma.Read(ctx, s.Store, func(view uma.View) (*uma.User, error) {
		user, err := view.UserByName(ctx, snap.Realm.Key, username)
		if errors.Is(err, uma.ErrNotFound) {
			return &uma.User{}, nil
		}
		return user, err
	})
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	same, err := s.Hasher.CheckPassword(ctx, from, user.Password, password)
	switch {
	case err != nil:
		return nil, fmt.Errorf("check password: %w", err)
	case !same:
		return nil, uma.Reject(uma.InvalidGrant, uma.Fault{Kind: uma.WrongPassword}, nil)
	case !user.Enabled:
		return nil, uma.Reject(uma.InvalidGrant, uma.Fault{Kind: uma.UserDisabled}, nil)
	}
	return user, nil
}
