package server

import (
	"net/http"

	"example.com/umpire/server/pingam"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// pingToken is the URL of PingAM's token endpoint.
func pingToken(core *wire.Core, realm *uma.Snapshot) string {
	return pingam.URL(core, realm, "oauth2") + "/access_token"
}

// pingConfiguration serves the UMA document with the endpoints that PingAM has. The issuer
// is the realm's, because that is the issuer of the tokens.
func (s *server) pingConfiguration(x *wire.Exchange) error {
	d := s.document(x.Realm)
	oauth2, protection := pingam.URL(s.core, x.Realm, "oauth2"), pingam.URL(s.core, x.Realm, "uma")
	d.Token, d.Introspection = pingToken(s.core, x.Realm), oauth2+"/introspect"
	d.Resources, d.Permissions = protection+"/resource_set", protection+"/permission_request"
	d.specify()
	return x.JSON(http.StatusOK, d)
}
