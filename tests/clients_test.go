package tests

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"testing"
)

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

// go-oidc's VerifyAccessToken refuses an ID token that has no at_hash (OpenID
// Connect Core §3.1.3.6).
func TestIDTokenNamesItsAccessToken(t *testing.T) {
	t.Parallel()
	for alg, half := range map[string]func(string) []byte{
		"RS256": func(s string) []byte { sum := sha256.Sum256([]byte(s)); return sum[:16] },
		"ES256": func(s string) []byte { sum := sha256.Sum256([]byte(s)); return sum[:16] },
		"EdDSA": func(s string) []byte { sum := sha512.Sum512([]byte(s)); return sum[:32] },
	} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			e := start(t, photozWith(t, nil, "signing_alg: RS256", "signing_alg: "+alg))
			signedIn := e.newSignIn(t, "bob", "photoz-web", "openid")
			refreshed := e.post(t, tokenPath, credentials{}, "grant_type", "refresh_token", "client_id", "photoz-web",
				"refresh_token", signedIn.str("refresh_token"))
			for _, res := range []*response{signedIn, refreshed} {
				want := base64.RawURLEncoding.EncodeToString(half(res.str("access_token")))
				if got := payload(t, res.str("id_token"))["at_hash"]; got != want {
					t.Errorf("got at_hash %v, want %s", got, want)
				}
			}
		})
	}
}

// keycloak-js's loadUserProfile asks the account-service of the realm's document.
func TestAccountProfile(t *testing.T) {
	t.Parallel()
	e := start(t)
	account := e.get(t, "", credentials{}).str("account-service")
	id, _ := payload(t, e.token(t, "bob", "photoz-web"))["sub"].(string)
	for _, url := range []string{account, account + "/"} {
		res := e.get(t, url, e.as(t, "bob", "photoz-web"))
		expectJSON(t, res, `{"id": "`+id+`", "username": "bob", "firstName": "bob", "lastName": "bob", "email": "bob@example.com", "emailVerified": false}`)
	}
	e.get(t, account, credentials{}).expect(t, 401, "invalid_token", "")
	e.get(t, account, e.service(t, "photoz-api")).expect(t, 403, "insufficient_scope", "")
	rpt := e.uma(t, e.as(t, "bob", "photoz-web"), "permission", "Public board").str("access_token")
	e.get(t, account, bearer(rpt)).expect(t, 403, "insufficient_scope", "")
}
