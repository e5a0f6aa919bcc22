package server

import (
	"net/http"
	"strings"

	"example.com/umpire/server/account"
	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/legacy"
	"example.com/umpire/server/pingam"
	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/server/wso2"
	"example.com/umpire/uma"
)

// Where the endpoints of each face are. What names no realm is about the default
// one.
var (
	inRealm  = []string{"/realms/:realm", "/auth/realms/:realm"}
	atRoot   = []string{""}
	inTenant = []string{"", "/t/:realm"} // WSO2's

	// PingAM's, with the name of its application in front and without; innermost
	// leaves of a nested realm its last name.
	inPingUMA    = []string{"/uma/realms/root", "/am/uma/realms/root", "/uma/realms/root/realms/:realm", "/am/uma/realms/root/realms/:realm"}
	inPingOAuth2 = []string{"/oauth2/realms/root", "/am/oauth2/realms/root", "/oauth2/realms/root/realms/:realm", "/am/oauth2/realms/root/realms/:realm"}
	inPingJSON   = []string{"/json/realms/root", "/am/json/realms/root", "/json/realms/root/realms/:realm", "/am/json/realms/root/realms/:realm"}
)

// An endpoint is a path and what it does with each method.
type endpoint struct {
	path    string
	under   []string // nil: a realm's base
	methods map[string]wire.Handler
	strict  map[string]wire.Handler // the same, where realms with the profile uma2 differ
	speaks  *wire.Dialect           // nil: what the realm does
	readers wire.Readers
	slash   bool // the path may also end in a slash
	acts    bool // GET changes something: no HEAD
	list    bool // GET answers a list, which may take as long as it is
}

// endpoints is all that is served: the realm's own, whose shapes and words follow
// its profile, and those of other vendors.
func (s *server) endpoints() []endpoint {
	k := &keycloak.Face{Core: s.core}
	u := &uma2.Face{Core: s.core}
	own := &account.Face{Core: s.core}
	old := &legacy.Face{Core: s.core}
	ping := &pingam.Face{Face: *u}
	wso := &wso2.Face{Face: *u}
	anyPAT, rolePAT := s.core.Protected(keycloak.AnyPAT), s.core.Protected(keycloak.RolePAT)
	scopePAT := func(h wire.ProtectedHandler) wire.Handler { return oneToken(s.core.Protected(uma2.ProtectionRules)(h)) }
	owned := s.core.Owned
	type m = map[string]wire.Handler
	const connect, protection = "/protocol/openid-connect", "/authz/protection"
	const registration, permission = wso2.RegistrationPath, "/api/identity/oauth2/uma/permission/v1.0/permission"
	return []endpoint{
		{path: connect + "/token", methods: m{"POST": s.token(style{})}, strict: m{"POST": s.token(style{strict: true, rules: uma2.Rules, format: true})}},
		{path: connect + "/token/introspect", methods: m{"POST": s.introspect}, strict: m{"POST": s.strictIntrospect(uma2.ShowIntrospection)}},
		{path: connect + "/revoke", methods: m{"POST": s.revoke}},
		{path: connect + "/logout", methods: m{"POST": s.logout, "GET": s.logout}, acts: true},
		{path: connect + "/userinfo", methods: m{"GET": s.userinfo, "POST": s.userinfo}},
		{path: connect + "/certs", methods: m{"GET": s.certs}, readers: wire.Anyone},

		{path: "", methods: m{"GET": s.realmInfo}, readers: wire.Anyone, slash: true},
		{path: "/.well-known/openid-configuration", methods: m{"GET": s.openIDConfiguration}, readers: wire.Anyone},
		{path: "/.well-known/uma2-configuration", methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone},
		{path: "/.well-known/oauth-authorization-server/realms/:realm", under: atRoot, methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone},
		{path: "/.well-known/oauth-authorization-server/auth/realms/:realm", under: atRoot, methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone},
		{path: "/.well-known/openid-configuration", under: atRoot, methods: m{"GET": s.openIDConfiguration}, readers: wire.Anyone},
		{path: "/.well-known/uma2-configuration", under: atRoot, methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone},
		{path: "/.well-known/oauth-authorization-server", under: atRoot, methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone},

		{path: protection + "/resource_set", methods: m{"POST": rolePAT(k.CreateResource), "GET": rolePAT(k.ListResources)}, strict: m{"POST": scopePAT(u.CreateResource), "GET": scopePAT(u.ListResources)}, slash: true, list: true},
		{path: protection + "/resource_set/:id", methods: m{"GET": rolePAT(k.ReadResource), "PUT": rolePAT(k.ReplaceResource), "DELETE": rolePAT(k.DeleteResource)}, strict: m{"GET": scopePAT(u.ReadResource), "PUT": scopePAT(u.ReplaceResource), "DELETE": scopePAT(u.DeleteResource)}, slash: true},
		{path: protection + "/permission", methods: m{"POST": s.limitTickets(old.RequestTicketOr(anyPAT(k.RequestTicket)))}, strict: m{"POST": s.limitTickets(scopePAT(u.RequestTicket))}, slash: true},
		{path: protection + "/permission/ticket", methods: m{"POST": rolePAT(k.CreateRequest), "PUT": rolePAT(k.UpdateRequest), "GET": rolePAT(k.ListRequests)}, slash: true, list: true},
		{path: protection + "/permission/ticket/count", methods: m{"GET": rolePAT(k.CountRequests)}},
		{path: protection + "/permission/ticket/:id", methods: m{"DELETE": rolePAT(k.DeleteRequest)}, slash: true},
		{path: protection + "/uma-policy", methods: m{"GET": anyPAT(k.ListPolicies)}, slash: true, list: true},
		{path: protection + "/uma-policy/:id", methods: m{"POST": anyPAT(k.CreatePolicy), "GET": anyPAT(k.ReadPolicy), "PUT": anyPAT(k.ReplacePolicy), "DELETE": anyPAT(k.DeletePolicy)}, slash: true},

		{path: "/account", methods: m{"GET": owned(own.Profile)}, speaks: &account.Dialect, slash: true},
		{path: "/account/resources", methods: m{"GET": owned(own.Resources)}, speaks: &account.Dialect, slash: true},
		{path: "/account/resources/shared-with-me", methods: m{"GET": owned(own.SharedWithMe)}, speaks: &account.Dialect},
		{path: "/account/resources/shared-with-others", methods: m{"GET": owned(own.SharedWithOthers)}, speaks: &account.Dialect},
		{path: "/account/resources/pending-requests", methods: m{"GET": owned(own.PendingRequests)}, speaks: &account.Dialect, list: true},
		{path: "/account/resources/invitations", methods: m{"GET": owned(own.Invitations)}, speaks: &account.Dialect, list: true},
		{path: "/account/resources/invitations/:id", methods: m{"DELETE": owned(own.WithdrawInvitation)}, speaks: &account.Dialect},
		{path: "/account/resources/:id", methods: m{"GET": owned(own.Resource)}, speaks: &account.Dialect},
		{path: "/account/resources/:id/permissions", methods: m{"GET": owned(own.Permissions), "PUT": owned(own.Share)}, speaks: &account.Dialect},
		{path: "/account/resources/:id/permissions/requests", methods: m{"GET": owned(own.Requests)}, speaks: &account.Dialect},
		{path: "/account/resources/:id/user", methods: m{"GET": owned(own.User)}, speaks: &account.Dialect},

		{path: "/authz/authorize", methods: m{"POST": s.limitAuthorize(old.Authorize)}, strict: m{"POST": notHere}, speaks: &legacy.Dialect, readers: wire.Registered},
		{path: "/authz/entitlement/:server", methods: m{"GET": old.Entitlements, "POST": old.Entitlement}, strict: m{"GET": notHere, "POST": notHere}, speaks: &legacy.Dialect, readers: wire.Registered, acts: true},
		{path: protection + "/permissions", methods: m{"POST": s.limitTickets(old.RequestTickets)}, strict: m{"POST": notHere}, speaks: &legacy.Dialect, readers: wire.Registered, slash: true},
		{path: "/.well-known/uma-configuration", methods: m{"GET": old.Configuration}, strict: m{"GET": notHere}, speaks: &legacy.Dialect, readers: wire.Anyone},

		{path: registration, under: inTenant, methods: m{"POST": scopePAT(wso.CreateResource), "GET": scopePAT(wso.ListResources)}, speaks: &wso2.RegistrationDialect, slash: true, list: true},
		{path: registration + "/:id", under: inTenant, methods: m{"GET": scopePAT(wso.ReadResource), "PUT": scopePAT(wso.ReplaceResource), "DELETE": scopePAT(wso.DeleteResource)}, speaks: &wso2.RegistrationDialect},
		{path: permission, under: inTenant, methods: m{"POST": s.limitTickets(scopePAT(wso.RequestTicket))}, speaks: &wso2.PermissionDialect, slash: true},
		{path: "/oauth2/token", under: inTenant, methods: m{"POST": s.token(style{strict: true, rules: uma2.Rules})}, speaks: &wso2.Dialect},
		{path: "/oauth2/introspect", under: inTenant, methods: m{"POST": s.strictIntrospect(wso2.ShowIntrospection)}, speaks: &wso2.Dialect},

		{path: "/resource_set", under: inPingUMA, methods: m{"POST": scopePAT(ping.CreateResource), "GET": scopePAT(ping.ListResources)}, speaks: &pingam.Dialect, slash: true, list: true},
		{path: "/resource_set/:id", under: inPingUMA, methods: m{"GET": scopePAT(ping.ReadResource), "PUT": scopePAT(ping.ReplaceResource), "DELETE": scopePAT(ping.DeleteResource)}, speaks: &pingam.Dialect, slash: true},
		{path: "/permission_request", under: inPingUMA, methods: m{"POST": s.limitTickets(scopePAT(ping.RequestTicket))}, speaks: &pingam.Dialect, slash: true},
		{path: "/.well-known/uma2-configuration", under: inPingUMA, methods: m{"GET": s.pingConfiguration}, speaks: &pingam.Dialect, readers: wire.Anyone},
		{path: "/access_token", under: inPingOAuth2, methods: m{"POST": s.token(style{strict: true, rules: uma2.Rules, jwt: true})}, speaks: &pingam.Dialect},
		{path: "/introspect", under: inPingOAuth2, methods: m{"POST": s.strictIntrospect(pingam.ShowIntrospection), "GET": s.introspectQuery(pingam.ShowIntrospection)}, speaks: &pingam.Dialect},
		{path: "/users/:user/uma/policies", under: inPingJSON, methods: m{"GET": ping.Owned(ping.ListPolicies)}, speaks: &pingam.JSONDialect},
		{path: "/users/:user/uma/policies/:id", under: inPingJSON, methods: m{"GET": ping.Owned(ping.ReadPolicy), "PUT": ping.Owned(ping.WritePolicy), "DELETE": ping.Owned(ping.DeletePolicy)}, speaks: &pingam.JSONDialect},
		{path: "/users/:user/uma/pendingrequests", under: inPingJSON, methods: m{"GET": ping.Owned(ping.ListRequests), "POST": ping.Owned(ping.AnswerAll)}, speaks: &pingam.JSONDialect},
		{path: "/users/:user/uma/pendingrequests/:id", under: inPingJSON, methods: m{"GET": ping.Owned(ping.ReadRequest), "POST": ping.Owned(ping.Answer)}, speaks: &pingam.JSONDialect},
	}
}

// paths are all that the endpoint answers at.
func (ep endpoint) paths() []string {
	under := ep.under
	if under == nil {
		under = inRealm
	}
	var paths []string
	for _, base := range under {
		paths = append(paths, base+ep.path)
		if ep.slash {
			paths = append(paths, base+ep.path+"/")
		}
	}
	return paths
}

// handler is what the endpoint does with a method, in any realm.
func (ep endpoint) handler(method string) wire.Handler {
	plain, strict := ep.methods[method], ep.strict[method]
	if strict == nil {
		return plain
	}
	return func(x *wire.Exchange) error {
		if x.Realm.Realm.Profile == uma.ProfileUMA2 {
			return strict(x)
		}
		return plain(x)
	}
}

// dialect is what the endpoint speaks in a realm; nil as long as it is not known.
func (ep endpoint) dialect(realm *uma.Snapshot) *wire.Dialect {
	switch {
	case ep.speaks != nil:
		return ep.speaks
	case realm != nil && realm.Realm.Profile == uma.ProfileUMA2:
		return &uma2.Dialect
	}
	return &keycloak.Dialect
}

// dialectOf is what is spoken at a path that is not served at all.
func dialectOf(path string) *wire.Dialect {
	path = strings.TrimPrefix(path, "/am")
	switch {
	case strings.HasPrefix(path, "/json/"):
		return &pingam.JSONDialect
	case strings.HasPrefix(path, "/uma/"), strings.HasPrefix(path, "/oauth2/realms/"):
		return &pingam.Dialect
	case strings.Contains(path, "/api/identity/oauth2/uma/resourceregistration/"):
		return &wso2.RegistrationDialect
	case strings.Contains(path, "/authz/entitlement/"):
		return &legacy.Dialect
	}
	return &keycloak.Dialect
}

// oneToken refuses a request that presents its access token in two ways (RFC 6750 §2).
func oneToken(next wire.Handler) wire.Handler {
	return func(x *wire.Exchange) error {
		if err := x.OneToken(); err != nil {
			return err
		}
		return next(x)
	}
}

// notHere is a path that a realm of another profile has.
func notHere(*wire.Exchange) error { return nothingHere }

// innermost leaves of PingAM's nested realms, /realms/root/realms/a/realms/b, the
// last: that is the realm here.
func innermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u := r.URL; strings.Contains(u.Path, "/realms/root/realms/") {
			u.Path, u.RawPath = pingam.Innermost(u.Path), pingam.Innermost(u.RawPath)
		}
		next.ServeHTTP(w, r)
	})
}
