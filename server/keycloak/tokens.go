package keycloak

import "example.com/umpire/uma/party"

// A tokenResponse is the answer of the token endpoint (RFC 6749 §5.1), with Keycloak's
// members.
type tokenResponse struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        int64  `json:"expires_in"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	RefreshToken     string `json:"refresh_token,omitempty"`
	TokenType        string `json:"token_type"`
	IDToken          string `json:"id_token,omitempty"`
	NotBeforePolicy  int64  `json:"not-before-policy"` // always 0: tokens are revoked one by one
	SessionState     string `json:"session_state,omitempty"`
	Scope            string `json:"scope,omitempty"`
	Upgraded         *bool  `json:"upgraded,omitempty"` // always in the answer to a UMA grant
}

// ShowTokens is the answer to a sign-in or a refresh.
func ShowTokens(t *party.Tokens) any { return showTokens(t, nil) }

// ShowRPT is the answer to a UMA grant.
func ShowRPT(t *party.Tokens, upgraded bool) any { return showTokens(t, &upgraded) }

func showTokens(t *party.Tokens, upgraded *bool) tokenResponse {
	return tokenResponse{
		AccessToken: t.Access, ExpiresIn: t.AccessExpiresIn, RefreshExpiresIn: t.RefreshExpiresIn, RefreshToken: t.Refresh,
		TokenType: "Bearer", IDToken: t.ID, SessionState: t.Session, Scope: t.Scope, Upgraded: upgraded,
	}
}
