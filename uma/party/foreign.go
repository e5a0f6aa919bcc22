package party

import (
	"context"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// identifyForeign returns the identity of a token of a trusted issuer. Its facts are those of the
// token; the row of the party has its id, and says whether it is enabled.
func (s *Service) identifyForeign(ctx context.Context, view uma.View, snap *uma.Snapshot, t *Token, a Acceptance) (*Identity, error) {
	f := t.Trusted
	if a.Use == "" {
		return nil, fmt.Errorf("%w: a token of a trusted issuer is not accepted here", ErrInactive)
	}
	clientID, err := f.Client(a.Use, a.Client)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInactive, err)
	}
	client := snap.Clients[clientID]
	switch {
	case client == nil || !client.Enabled:
		return nil, fmt.Errorf("%w: its client is gone or disabled", ErrInactive)
	case f.KeyBound: // what is made of it is bound to no key
		return nil, fmt.Errorf("%w: it is bound to a key (cnf)", ErrInactive)
	case f.Expires <= s.Now().Unix(): // the issuer's leeway is for times that lie ahead: no token outlives this one
		return nil, fmt.Errorf("%w: expired", ErrInactive)
	}
	user, err := s.partyOf(ctx, view, snap, f.Issuer.Issuer, f.Subject)
	switch {
	case errors.Is(err, uma.ErrNotFound) && !t.admitted:
		return nil, &newcomer{t}
	case errors.Is(err, uma.ErrNotFound):
		return nil, fmt.Errorf("%w: its party is gone, or its issuer is no longer trusted", ErrInactive)
	case err != nil:
		return nil, err
	case provedAddress(f) != "" && !t.admitted && user.Claims["email"] != provedAddress(f):
		return nil, &newcomer{t}
	}
	return &Identity{
		Subject: user.ID, User: user, Client: client, Trusted: f,
		Claims: &uma.Claims{ACR: f.ACR, AuthTime: f.AuthTime, Expires: f.Expires},
	}, nil
}

// provedAddress is the e-mail address by which others may share with the party of a token; empty
// for none. What is shared with an address is meant for a person, not for an application.
func provedAddress(t *uma.TrustedToken) string {
	if !t.EmailVerified || t.Application {
		return ""
	}
	return t.Email
}

// partyOf returns the enabled party of an identity. ErrInactive: it is disabled, or the
// identity was linked to a local user, about whom it may prove claims, but whom it does not
// sign in.
func (s *Service) partyOf(ctx context.Context, view uma.View, snap *uma.Snapshot, issuer, subject string) (*uma.User, error) {
	user, err := view.PartyOf(ctx, snap.Realm.Key, issuer, subject)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read party: %w", err)
	case user.Identity == nil:
		return nil, fmt.Errorf("%w: its identity is linked to a local user", ErrInactive)
	case !user.Enabled:
		return nil, fmt.Errorf("%w: its party is disabled", ErrInactive)
	}
	return user, nil
}

// completeParty completes the identity of a token that this server signed for a party of a trusted
// issuer. The issuer must still be trusted. The party must be enabled, and its row as it was
// when the token was signed: a token that has ended does not come back when the party is
// enabled again.
func (s *Service) completeParty(ctx context.Context, view uma.View, snap *uma.Snapshot, id *Identity) error {
	c := id.Claims
	issuer := snap.Realm.Issuer(c.SubjectID.Issuer)
	if issuer == nil {
		return fmt.Errorf("%w: the issuer of its subject is no longer trusted", ErrInactive)
	}
	user, err := s.partyOf(ctx, view, snap, c.SubjectID.Issuer, c.SubjectID.Subject)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return fmt.Errorf("%w: its party is gone", ErrInactive)
	case err != nil:
		return err
	case user.ID != c.Subject:
		return fmt.Errorf("%w: its identity is another party's", ErrInactive)
	case user.Version != c.SubjectVersion:
		return fmt.Errorf("%w: its party was disabled, linked or unlinked meanwhile", ErrInactive)
	}
	id.User, id.Trusted = user, factsOf(c, issuer)
	return nil
}

// factsOf returns what a token that this server signed for a party of a trusted issuer says of it.
func factsOf(c *uma.Claims, issuer *uma.TrustedIssuer) *uma.TrustedToken {
	f := &uma.TrustedToken{
		Issuer: issuer, Kind: uma.AccessToken, Subject: c.SubjectID.Subject,
		Groups: c.Groups, GroupsKnown: c.GroupsKnown, ACR: c.ACR, AuthTime: c.AuthTime, Attributes: c.Attributes,
		Application: c.Application, IssuedAt: c.IssuedAt, Expires: c.Expires,
	}
	if c.RealmAccess != nil {
		f.Roles = c.RealmAccess.Roles
	}
	if f.EmailVerified = c.Extra["email_verified"] == true; f.EmailVerified {
		f.Email, _ = c.Extra["email"].(string)
	}
	return f
}
