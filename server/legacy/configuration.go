package legacy

import (
	"net/http"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/wire"
)

// A configuration is the discovery document of UMA 1.0 as Keycloak had it.
// Like the others it names only what is served: there is no authorization
// endpoint.
type configuration struct {
	Version       string   `json:"version"`
	Issuer        string   `json:"issuer"`
	PATProfiles   []string `json:"pat_profiles_supported"`
	PATGrantTypes []string `json:"pat_grant_types_supported"`
	AATProfiles   []string `json:"aat_profiles_supported"`
	AATGrantTypes []string `json:"aat_grant_types_supported"`
	RPTProfiles   []string `json:"rpt_profiles_supported"`
	Token         string   `json:"token_endpoint"`
	Resources     string   `json:"resource_set_registration_endpoint"`
	Permissions   string   `json:"permission_registration_endpoint"`
	RPT           string   `json:"rpt_endpoint"`
	Realm         string   `json:"realm"`
	PublicKey     string   `json:"realmPublicKey"`
	ServerURL     string   `json:"serverUrl"`
}

// Configuration serves /.well-known/uma-configuration.
func (f *Face) Configuration(x *wire.Exchange) error {
	base := f.Core.PublicURL.Realm(x.Realm)
	bearer := []string{"bearer"}
	return x.JSON(http.StatusOK, configuration{
		Version: "1.0", Issuer: base,
		PATProfiles: bearer, PATGrantTypes: []string{"client_credentials"},
		AATProfiles: bearer, AATGrantTypes: []string{"client_credentials", "password", "refresh_token"},
		RPTProfiles: bearer,
		Token:       base + "/protocol/openid-connect/token",
		Resources:   base + "/authz/protection/resource_set",
		Permissions: base + "/authz/protection/permission",
		RPT:         base + "/authz/authorize",
		Realm:       x.Realm.Realm.Name, PublicKey: keycloak.PublicKey(x.Realm), ServerURL: string(f.Core.PublicURL),
	})
}
