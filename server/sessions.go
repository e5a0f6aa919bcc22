package server

import (
	"net/http"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// introspect serves token introspection (RFC 7662). The client authenticates; a bearer
// token is ignored.
func (s *server) introspect(x *wire.Exchange) error {
	form, err := s.clientForm(x)
	if err != nil {
		return err
	}
	client, err := s.core.Authenticate(x)
	if err != nil {
		return err
	}
	answer, err := s.core.Party.Introspect(x.Context(), x.Realm, client, form.Get("token"), form.Get("token_type_hint"))
	if err != nil {
		return err
	}
	shown, err := keycloak.ShowIntrospection(answer, form.Get("token_type_hint"))
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, shown)
}

// strictIntrospect serves token introspection as in FedAuthz §5: a PAT is accepted instead
// of credentials.
func (s *server) strictIntrospect(show func(*party.Introspection) any) wire.Handler {
	return func(x *wire.Exchange) error {
		form, err := x.Form()
		if err != nil {
			return err
		}
		return s.introspectFor(x, form, show)
	}
}

// introspectQuery serves token introspection for clients that send the token in the query.
// This server logs no queries.
func (s *server) introspectQuery(show func(*party.Introspection) any) wire.Handler {
	return func(x *wire.Exchange) error {
		query, err := x.Query()
		switch {
		case err != nil:
			return err
		case query.Has("client_secret"):
			return wire.Invalid("client_secret does not belong in a query")
		case query.Has("client_assertion"):
			return wire.Invalid("client_assertion does not belong in a query")
		}
		return s.introspectFor(x, query, show)
	}
}

func (s *server) introspectFor(x *wire.Exchange, form wire.Form, show func(*party.Introspection) any) error {
	if err := x.OneToken(); err != nil {
		return err
	}
	answer, err := s.introspection(x, form)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, show(answer))
}

// introspection tells the client, or the resource server of a PAT, about a token.
func (s *server) introspection(x *wire.Exchange, form wire.Form) (*party.Introspection, error) {
	token, hint := form.Get("token"), form.Get("token_type_hint")
	if x.Caller.HasBearer {
		pat, err := s.core.PAT(x, uma2.ProtectionRules)
		if err != nil {
			return nil, err
		}
		return s.core.Party.IntrospectFor(x.Context(), x.Realm, pat.Server, pat.OnlyOwner(), token, hint)
	}
	if err := s.credentials(x, form); err != nil {
		return nil, err
	}
	client, err := s.core.Authenticate(x)
	if err != nil {
		return nil, err
	}
	return s.core.Party.Introspect(x.Context(), x.Realm, client, token, hint)
}

// revoke serves token revocation (RFC 7009). The hint is not needed.
func (s *server) revoke(x *wire.Exchange) error {
	form, err := s.clientForm(x)
	if err != nil {
		return err
	}
	client, err := s.core.Authenticate(x)
	if err != nil {
		return err
	}
	if err := s.core.Party.Revoke(x.Context(), x.Realm, client, form.Get("token")); err != nil {
		return err
	}
	return x.Empty(http.StatusOK)
}

// logout ends the session of a refresh token, which its client posts, or of an ID token
// (OpenID Connect RP-Initiated Logout §2). It does not redirect, because clients have no
// URIs for that yet.
func (s *server) logout(x *wire.Exchange) error {
	if x.Method() == http.MethodGet {
		query, err := x.Query()
		if err != nil {
			return err
		}
		return s.logoutByHint(x, query)
	}
	form, err := x.Form()
	if err != nil {
		return err
	}
	token := form.Get("refresh_token")
	if token == "" {
		return s.logoutByHint(x, form)
	}
	if err := s.credentials(x, form); err != nil {
		return err
	}
	client, err := s.core.Authenticate(x)
	if err != nil {
		return err
	}
	if err := s.core.Party.Logout(x.Context(), x.Realm, client, token); err != nil {
		return err
	}
	return x.Empty(http.StatusNoContent)
}

func (s *server) logoutByHint(x *wire.Exchange, form wire.Form) error {
	hint := form.Get("id_token_hint")
	if hint == "" {
		return wire.Invalid("No refresh token and no id_token_hint")
	}
	if err := s.core.Party.LogoutByHint(x.Context(), x.Realm, hint); err != nil {
		return err
	}
	if x.Method() == http.MethodGet {
		return x.Bytes(http.StatusOK, "text/plain; charset=utf-8", []byte("You are signed out.\n"))
	}
	return x.Empty(http.StatusNoContent)
}

// userinfo serves the claims of the token's user (OpenID Connect Core §5.3).
func (s *server) userinfo(x *wire.Exchange) error {
	id, err := s.core.Bearer(x, uma.InvalidToken, party.Acceptance{})
	if err != nil {
		return err
	}
	info, err := party.UserInfo(id)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, info)
}

// clientForm reads the body of an endpoint at which clients authenticate.
func (s *server) clientForm(x *wire.Exchange) (wire.Form, error) {
	form, err := x.Form()
	if err != nil {
		return nil, err
	}
	return form, s.credentials(x, form)
}
