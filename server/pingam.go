package server

import (
	"net/http"

	"example.com/umpire/server/pingam"
	"example.com/umpire/server/wire"
)

// pingConfiguration serves the UMA document with the endpoints that PingAM has. The issuer
// is the realm's, because that is the issuer of the tokens.
func (s *server) pingConfiguration(x *wire.Exchange) error {
	d := s.document(x.Realm)
	oauth2, uma := pingam.URL(s.core, x.Realm, "oauth2"), pingam.URL(s.core, x.Realm, "uma")
	d.Token, d.Introspection = oauth2+"/access_token", oauth2+"/introspect"
	d.Resources, d.Permissions = uma+"/resource_set", uma+"/permission_request"
	d.specify()
	return x.JSON(http.StatusOK, d)
}
