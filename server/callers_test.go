package server

import "testing"

// Keycloak's words at the other endpoints for tokens.
func TestRefusalsOfTokenEndpoints(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	const connect, web, api = base + "/protocol/openid-connect", "client_id=photoz-web", "client_id=photoz-api&client_secret=secret"
	for _, tt := range []struct {
		path, form string
		status     int
		code, desc string
	}{
		{"/token/introspect", web + "&token=x", 401, "unauthorized_client", "Client not allowed."},
		{"/token/introspect", api, 400, "invalid_request", "Token not provided."},
		{"/token/introspect", api + "&token=x&token_type_hint=pct", 400, "invalid_request", "Unsupported token type."},
		{"/revoke", web, 400, "invalid_request", "Token not provided"},
		{"/logout", web + "&refresh_token=x", 400, "invalid_grant", "Invalid refresh token"},
		{"/logout", web + "&id_token_hint=x", 400, "invalid_request", "Invalid parameter: id_token_hint"},
	} {
		got := e.post(t, connect+tt.path, tt.form)
		if got.status != tt.status || got.member("error") != tt.code || got.member("error_description") != tt.desc {
			t.Errorf("%s with %s: got %d %s, want %d %s %q", tt.path, tt.form, got.status, got.body, tt.status, tt.code, tt.desc)
		}
	}
}

// The client of a verified access token is known, also if the token is refused for what
// is asked.
func TestCORSOfAccessTokens(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	const own, other = "https://api.example.com", "http://localhost:3000"
	for _, tt := range []struct {
		name, path, token, origin string
		status                    int
		allow                     string
	}{
		{"own page", resSet, "token-of-photoz-api", own, 200, own},
		{"another client's page", resSet, "token-of-photoz-api", other, 200, ""},
		{"refused with a good token", base + "/protocol/openid-connect/userinfo", "token-of-photoz-api", own, 403, own},
		{"bad token", resSet, "x", own, 403, ""},
		{"no user at the account API", base + "/account/resources", "token-of-photoz-api", own, 403, own},
	} {
		got := e.do(t, "GET", tt.path, "", "Origin", tt.origin, "Authorization", "Bearer "+tt.token)
		if allow := got.header.Get("Access-Control-Allow-Origin"); got.status != tt.status || allow != tt.allow {
			t.Errorf("%s: got %d, origin %q; want %d, %q", tt.name, got.status, allow, tt.status, tt.allow)
		}
	}
}
