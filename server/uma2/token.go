package uma2

import "example.com/umpire/uma/party"

// A token is the answer to a UMA grant (UMA Grant §3.3.5): no `scope`.
type token struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Upgraded     bool   `json:"upgraded,omitempty"`
}

// ShowRPT is the answer to a UMA grant, and to the refresh of an RPT.
func ShowRPT(t *party.Tokens, upgraded bool) any {
	return token{t.Access, "Bearer", t.AccessExpiresIn, t.Refresh, upgraded}
}
