package keycloak

import (
	"encoding/json"
	"testing"

	"example.com/umpire/uma/party"
)

func TestTokenResponseOnTheWire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		res  any
		want string
	}{
		{
			"an RPT: upgraded is there when false", ShowRPT(&party.Tokens{
				Access: "a", AccessExpiresIn: 300, Refresh: "r", RefreshExpiresIn: 1800, Session: "s", Scope: "email profile", RPT: true,
			}, false),
			`{"access_token":"a","expires_in":300,"refresh_expires_in":1800,"refresh_token":"r","token_type":"Bearer","not-before-policy":0,` +
				`"session_state":"s","scope":"email profile","upgraded":false}`,
		},
		{
			"a sign-in", ShowTokens(&party.Tokens{Access: "a", AccessExpiresIn: 300, ID: "i", Scope: "openid"}),
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
