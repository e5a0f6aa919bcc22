package party

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// An Exchange asks for a token of this realm for one of a trusted issuer (RFC 8693 §2.1).
type Exchange struct {
	SubjectToken string
	Kind         uma.TokenKind // that the token is said to have; empty: any
	Scope        string
}

// Exchange is the token exchange grant, for clients that the realm allows it to. The access
// token has what the issuer's token says of the party, since nothing of that is kept. It is
// the client's own, has no session and no refresh token, and ends with the issuer's token.
func (s *Service) Exchange(ctx context.Context, snap *uma.Snapshot, client *uma.Client, x *Exchange) (*Tokens, error) {
	if client.Public || !client.TokenExchange {
		return nil, uma.Reject(uma.UnauthorizedClient, uma.Fault{Kind: uma.NoTokenExchange, Client: client.ID}, nil)
	}
	id, err := s.identifyExchanged(ctx, snap, client, x)
	switch {
	case errors.Is(err, errOpaque):
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.TokenOpaque}, err)
	case errors.Is(err, ErrInactive): // §2.2.2
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.SubjectTokenUnusable}, err)
	case err != nil:
		return nil, err
	}
	scope, err := narrow(id, x.Scope)
	if err != nil {
		return nil, err
	}
	claims := s.AccessClaims(snap, id, scope, snap.Realm.Lifetimes.Access)
	claims.Attributes = id.Trusted.Attributes
	length, err := s.Issuer.Length(snap, claims)
	switch {
	case err != nil:
		return nil, fmt.Errorf("measure token: %w", err)
	case length > uma.MaxRPT:
		return nil, uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.ExchangedTooLong, Limit: uma.MaxRPT}, nil)
	}
	return s.Respond(ctx, snap, claims, nil)
}

// identifyExchanged returns whom the subject_token of an exchange speaks for.
func (s *Service) identifyExchanged(ctx context.Context, snap *uma.Snapshot, client *uma.Client, x *Exchange) (*Identity, error) {
	token := s.Verify(ctx, snap, x.SubjectToken)
	switch {
	case token.Err != nil:
		return nil, token.Err
	case token.Trusted == nil:
		return nil, fmt.Errorf("%w: a token of this realm is not exchanged", ErrInactive)
	case x.Kind != "" && x.Kind != token.Trusted.Kind:
		return nil, fmt.Errorf("%w: it is not of the kind that subject_token_type says", ErrInactive)
	}
	return Read(ctx, s, snap, func(view uma.View) (*Identity, error) {
		return s.identifyForeign(ctx, view, snap, token, Acceptance{Use: uma.UseSubjectToken, Client: client})
	})
}

// narrow returns the scopes of an exchanged token: of those that the party would be granted the
// ones that are asked for; all, if none are.
func narrow(id *Identity, asked string) (string, error) {
	granted := GrantedScope(id, asked)
	names := strings.Fields(asked)
	if len(names) == 0 {
		return granted, nil
	}
	list := slices.DeleteFunc(strings.Fields(granted), func(name string) bool { return !slices.Contains(names, name) })
	if len(list) == 0 {
		return "", uma.Reject(uma.InvalidScope, uma.Fault{Kind: uma.NoScopeGranted}, nil)
	}
	return strings.Join(list, " "), nil
}
