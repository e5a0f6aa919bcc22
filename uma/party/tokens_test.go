package party

import (
	"encoding/json"
	"testing"
)

func TestTokenResponseOnTheWire(t *testing.T) {
	t.Parallel()
	no := false
	tests := []struct {
		name string
		res  Tokens
		want string
	}{
		{
			"an RPT: upgraded is there when false", Tokens{
				AccessToken: "a", ExpiresIn: 300, RefreshExpiresIn: 1800, RefreshToken: "r", TokenType: "Bearer", SessionState: "s", Scope: "email profile", Upgraded: &no,
			},
			`{"access_token":"a","expires_in":300,"refresh_expires_in":1800,"refresh_token":"r","token_type":"Bearer","not-before-policy":0,` +
				`"session_state":"s","scope":"email profile","upgraded":false}`,
		},
		{
			"a sign-in", Tokens{AccessToken: "a", ExpiresIn: 300, TokenType: "Bearer", IDToken: "i", Scope: "openid"},
			`{"access_token":"a","expires_in":300,"refresh_expires_in":0,"token_type":"Bearer","id_token":"i","not-before-policy":0,"scope":"openid"}`,
		},
	}
	for _, tc := range tests {
		got, err := json.Marshal(tc.res)
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: got  %s, %v\nwant %s", tc.name, got, err, tc.want)
		}
	}
}
