package keycloak

import (
	"encoding/base64"
	"strings"

	"example.com/umpire/uma"
)

// PublicKey is the key that Keycloak's descriptions of a realm show, in base64: an
// RSA key of the realm, which is what their clients can read, or else the one that
// signs.
func PublicKey(realm *uma.Snapshot) string {
	var key []byte
	for _, k := range realm.Keys {
		rsa := strings.HasPrefix(k.Alg, "RS")
		if rsa && k.Active {
			key = k.Public
			break
		}
		if rsa || key == nil && k.Active {
			key = k.Public
		}
	}
	return base64.StdEncoding.EncodeToString(key)
}
