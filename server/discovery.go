package server

import (
	"net/http"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// A discovery document names the endpoints that are served, and no others (RFC 8414, OpenID
// Connect Discovery §3, UMA Grant §2). There is no authorization endpoint: users cannot
// sign in with a browser yet.
type discovery struct {
	Issuer        string `json:"issuer"`
	Token         string `json:"token_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	UserInfo      string `json:"userinfo_endpoint"`
	EndSession    string `json:"end_session_endpoint"`
	JWKS          string `json:"jwks_uri"`

	GrantTypes []string `json:"grant_types_supported"`
	// Required by RFC 8414 §2: clients refuse a document without it. It may not be empty
	// (§3.2); without an authorization endpoint its value is "none".
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	IDTokenAlgs   []string `json:"id_token_signing_alg_values_supported"`
	Scopes        []string `json:"scopes_supported"`
	Claims        []string `json:"claims_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`

	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`

	// Required by RFC 8414 §2 beside private_key_jwt.
	AuthAlgs              []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`

	// In the UMA document only.
	Resources   string `json:"resource_registration_endpoint,omitempty"`
	Permissions string `json:"permission_endpoint,omitempty"`
	Policies    string `json:"policy_endpoint,omitempty"` // Keycloak's

	// The formats of claim tokens that are accepted (UMA Grant §3.3.1).
	Profiles []string `json:"uma_profiles_supported,omitempty"`
}

// openIDConfiguration serves the discovery document of OpenID Connect.
func (s *server) openIDConfiguration(x *wire.Exchange) error {
	return x.JSON(http.StatusOK, s.document(x.Realm))
}

// umaConfiguration serves the discovery document of UMA, which has the protection API, too.
// RFC 8414 has the same at another path.
func (s *server) umaConfiguration(x *wire.Exchange) error {
	d := s.document(x.Realm)
	d.Resources = d.Issuer + "/authz/protection/resource_set"
	d.Permissions = d.Issuer + "/authz/protection/permission"
	if x.Realm.Realm.Profile == uma.ProfileUMA2 {
		d.specify()
	} else {
		d.Policies = d.Issuer + "/authz/protection/uma-policy"
	}
	return x.JSON(http.StatusOK, d)
}

// specify adds the members of endpoints that follow UMA 2.0 alone.
func (d *discovery) specify() {
	d.Profiles = uma.ClaimTokenFormats()
	d.IntrospectionAuthMethods = append(d.IntrospectionAuthMethods, "Bearer") // a PAT
}

func (s *server) document(realm *uma.Snapshot) *discovery {
	base := s.core.PublicURL.Realm(realm)
	connect := base + "/protocol/openid-connect"
	confidential := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	public := []string{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}
	algs := uma.SignatureAlgorithms()
	return &discovery{
		Issuer:        base,
		Token:         connect + "/token",
		Introspection: connect + "/token/introspect",
		Revocation:    connect + "/revoke",
		UserInfo:      connect + "/userinfo",
		EndSession:    connect + "/logout",
		JWKS:          connect + "/certs",

		GrantTypes:    []string{"client_credentials", "password", "refresh_token", umaTicket, tokenExchange},
		ResponseTypes: []string{"none"},
		SubjectTypes:  []string{"public"},
		IDTokenAlgs:   []string{realm.Realm.SigningAlg},
		Scopes:        []string{"openid", "profile", "email", "uma_protection"},
		Claims:        []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "azp", "preferred_username", "name", "given_name", "family_name", "email"},
		AuthMethods:   public,

		IntrospectionAuthMethods: confidential,
		RevocationAuthMethods:    public,

		AuthAlgs: algs, IntrospectionAuthAlgs: algs, RevocationAuthAlgs: algs,
	}
}

// certs serves the realm's public keys (RFC 7517), whatever parameters, such as ?kid=, a
// client sends.
func (s *server) certs(x *wire.Exchange) error {
	keys, err := s.core.Realms.LatestKeySet(x.Context(), x.Realm)
	if err != nil {
		return err
	}
	x.Header()["Cache-Control"] = []string{"no-cache"}
	return x.Bytes(http.StatusOK, "application/json", keys)
}

type realmInfo struct {
	Realm           string `json:"realm"`
	PublicKey       string `json:"public_key,omitempty"` // base64 of the SubjectPublicKeyInfo
	TokenService    string `json:"token-service"`
	AccountService  string `json:"account-service"`
	TokensNotBefore int64  `json:"tokens-not-before"`
}

// realmInfo serves Keycloak's description of a realm.
func (s *server) realmInfo(x *wire.Exchange) error {
	base := s.core.PublicURL.Realm(x.Realm)
	return x.JSON(http.StatusOK, realmInfo{
		Realm:          x.Realm.Realm.Name,
		PublicKey:      keycloak.PublicKey(x.Realm),
		TokenService:   base + "/protocol/openid-connect",
		AccountService: base + "/account",
	})
}
