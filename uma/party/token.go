package party

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/umpire/uma"
)

// A Token is what came of verifying a token that a request has. Tokens are verified before a
// view is opened: that takes longer than reading, and a trusted issuer may be asked for keys.
type Token struct {
	Own     *uma.Claims       // of a token that this server signed
	Trusted *uma.TrustedToken // of a token that a trusted issuer signed

	// Err says why it is neither: ErrInactive if the token is not believed, another error
	// if it cannot be checked.
	Err error

	admitted bool // its party was admitted in this request
}

// An Acceptance says what a token may be besides an access token of this server.
type Acceptance struct {
	Types []string // other types of this server's tokens

	// Use is what a token of a trusted issuer may be presented as, and Client the client that
	// authenticated in the request, if one did. Without a Use no such token is accepted.
	Use    uma.TokenUse
	Client *uma.Client
}

// errOpaque is the error of a token that is no JWT.
var errOpaque = fmt.Errorf("%w: it is not a signed JWT", ErrInactive)

// Verify verifies a token of this server or of a trusted issuer.
func (s *Service) Verify(ctx context.Context, snap *uma.Snapshot, raw string) *Token {
	t := &Token{}
	t.Own, t.Err = s.Verifier.Verify(ctx, snap, s.PublicURL.Realm(snap), raw)
	if errors.Is(t.Err, uma.ErrUnverified) && len(snap.Realm.Issuers) > 0 {
		if t.Own = nil; strings.Count(raw, ".") != 2 {
			t.Err = errOpaque
			return t
		}
		t.Trusted, t.Err = s.Trust.Verify(ctx, snap, raw)
	}
	switch {
	case errors.Is(t.Err, uma.ErrUnverified):
		t.Err = fmt.Errorf("%w: %w", ErrInactive, t.Err)
	case t.Err != nil:
		t.Err = fmt.Errorf("verify token: %w", t.Err)
	}
	return t
}

// BearerFault says what is wrong with a token that is not active, as far as its bearer is told.
func BearerFault(err error) uma.Fault {
	if errors.Is(err, errOpaque) {
		return uma.Fault{Kind: uma.TokenOpaque}
	}
	return uma.Fault{}
}

// Bearer returns the identity of a token that is presented as an access token. An error that
// wraps ErrInactive says that the token is not active; any other is a failure of this server,
// or that of Read.
func (s *Service) Bearer(ctx context.Context, view uma.View, snap *uma.Snapshot, t *Token, a Acceptance) (*Identity, error) {
	switch {
	case t.Err != nil:
		return nil, t.Err
	case t.Trusted != nil:
		return s.identifyForeign(ctx, view, snap, t, a)
	}
	return s.identifyOwn(ctx, view, snap, t.Own, a)
}

// A newcomer is the error of reading for a party that has no row yet, or whose token proves an
// address that the row does not have.
type newcomer struct{ token *Token }

func (n *newcomer) Error() string { return "the party of the token was not admitted: use party.Read" }

// Read is uma.Read for a reader that identifies parties by tokens of trusted issuers. A party
// that is new, or proves a new e-mail address, is admitted while no view is open; then read is
// called again.
func Read[T any](ctx context.Context, s *Service, snap *uma.Snapshot, read func(uma.View) (T, error)) (T, error) {
	for {
		got, err := uma.Read(ctx, s.Store, read)
		n, ok := errors.AsType[*newcomer](err)
		if !ok {
			return got, err
		}
		if err := s.admit(ctx, snap, n.token); err != nil {
			return got, err
		}
	}
}

// admit makes the row of a token's party, or gives it the address that the token proves, at
// most once for each token of a request.
func (s *Service) admit(ctx context.Context, snap *uma.Snapshot, t *Token) error {
	t.admitted = true
	f := t.Trusted
	a := &uma.Admission{
		ID:       s.NewID(),
		Identity: uma.Identity{Issuer: f.Issuer.Issuer, Alias: f.Issuer.Alias, Subject: f.Subject, Service: f.Application},
		Name:     f.Username, Email: provedAddress(f), Now: s.Now(), NewID: s.NewID,
	}
	_, err := s.Store.AdmitParty(ctx, snap.Realm.Key, a)
	for _, i := range a.Taken { // also by an admission that failed later
		s.Log(ctx, "a party proved the e-mail address of an invitation and has the share now",
			"realm", snap.Realm.Name, "party", i.TakenBy, "invitation", i.ID, "resource", i.ResourceID, "owner", i.Owner)
	}
	switch {
	case errors.Is(err, uma.ErrNotFound), errors.Is(err, uma.ErrConflict):
		return nil // reading again finds that the issuer is no longer trusted, or a local user
	case err != nil:
		return uma.Tell("admit party", err)
	}
	return nil
}
