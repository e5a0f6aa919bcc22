package tests

import "testing"

// keycloak-backend signs in by client_credentials with scope=openid, and asks
// userinfo whether its token is still good.
func TestUserInfoOfAServiceAccount(t *testing.T) {
	t.Parallel()
	e := start(t)
	const userinfo = "/protocol/openid-connect/userinfo"
	token := e.signIn(t, "", "photoz-api", "openid").access
	res := e.get(t, userinfo, bearer(token))
	if res.status != 200 || res.str("preferred_username") != "service-account-photoz-api" || res.str("sub") != payload(t, token)["sub"] {
		t.Errorf("got %s", res)
	}
	e.get(t, userinfo, e.service(t, "photoz-api")).expect(t, 403, "insufficient_scope", "")
}
