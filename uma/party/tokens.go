package party

// A TokenResponse is the answer of the token endpoint (RFC 6749 §5.1) as
// Keycloak writes it.
type Tokens struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        int64  `json:"expires_in"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	RefreshToken     string `json:"refresh_token,omitempty"`
	TokenType        string `json:"token_type"`
	IDToken          string `json:"id_token,omitempty"`
	NotBeforePolicy  int64  `json:"not-before-policy"`
	SessionState     string `json:"session_state,omitempty"`
	Scope            string `json:"scope,omitempty"`
	Upgraded         *bool  `json:"upgraded,omitempty"` // always in the answer to a UMA grant
	RPT              bool   `json:"-"`                  // what the access token is
}
