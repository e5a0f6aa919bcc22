package server

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// Names of RFC 8693 §2.1 and §3.
const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
)

// An exchanged is the answer to a token exchange (RFC 8693 §2.2.1).
type exchanged struct {
	AccessToken string `json:"access_token"`
	IssuedType  string `json:"issued_token_type"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// exchange serves the token exchange grant (RFC 8693).
func (s *server) exchange(x *wire.Exchange, form wire.Form) error {
	client, err := s.core.Authenticate(x)
	if err != nil {
		return err
	}
	req, err := parseExchange(form)
	if err != nil {
		return err
	}
	t, err := s.core.Party.Exchange(x.Context(), x.Realm, client, req)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, exchanged{t.Access, typeAccessToken, "Bearer", t.AccessExpiresIn, t.Scope})
}

// parseExchange reads the parameters of a token exchange. A parameter that would narrow the
// token, or say that somebody acts for somebody else, is refused and not ignored.
func parseExchange(form wire.Form) (*party.Exchange, error) {
	for _, name := range []string{"actor_token", "actor_token_type"} {
		if form.Has(name) {
			return nil, wire.Invalid(name + " is not supported: nobody acts for somebody else")
		}
	}
	if form.Has("audience") || form.Has("resource") {
		return nil, uma.Reject(uma.InvalidTarget, uma.Fault{}, nil)
	}
	req := &party.Exchange{SubjectToken: form.Get("subject_token"), Scope: form.Get("scope")}
	if req.SubjectToken == "" {
		return nil, wire.Invalid("subject_token is missing or empty")
	}
	switch form.Get("subject_token_type") {
	case typeAccessToken:
		req.Kind = uma.AccessToken
	case typeIDToken:
		req.Kind = uma.IDToken
	case typeJWT:
	default:
		return nil, wire.Invalid("subject_token_type must be " + typeAccessToken + ", " + typeIDToken + " or " + typeJWT)
	}
	if form.Has("requested_token_type") && form.Get("requested_token_type") != typeAccessToken {
		return nil, wire.Invalid("requested_token_type must be " + typeAccessToken)
	}
	return req, nil
}
