package realm

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

const (
	shortSecret   = 16  // bytes; a shorter secret gets a notice
	maxResourceID = 100 // bytes

	// protection is the client role that the service account of every resource server
	// has: Keycloak's clients look for it in a PAT.
	protection = "uma_protection"
)

var (
	secretHash = regexp.MustCompile(`^sha256:[0-9A-Fa-f]{64}$`)
	clientID   = regexp.MustCompile(`^[!-~]+$`) // RFC 6749 §A.1, without spaces
)

// client reads one of the clients.
func (v value) client(refs *references) uma.ClientSpec {
	c := uma.ClientSpec{Client: uma.Client{Enabled: true, Origin: uma.FromFile}}
	m := v.object(fields{
		"id":                   set(&c.ID, value.clientID),
		"enabled":              set(&c.Enabled, value.flag),
		"public":               set(&c.Public, value.flag),
		"secret":               set(&c.PlainSecret, value.secret),
		"secret_hash":          set(&c.SecretHash, value.secret),
		"resource_server":      set(&c.ResourceServer, value.flag),
		"service_account":      set(&c.ServiceAccount, value.flag),
		"password_grant":       set(&c.PasswordGrant, value.flag),
		"token_exchange":       set(&c.TokenExchange, value.flag),
		"jwks":                 func(v value) { c.JWKS, _ = v.keySet() },
		"jwks_uri":             set(&c.JWKSURI, clientKeysURL),
		"roles":                set(&c.Roles, each(role)),
		"client_roles":         set(&c.ClientRoles, refs.clientRoles),
		"groups":               set(&c.Groups, each(group)),
		"claims":               set(&c.Claims, value.claims),
		"scopes":               set(&c.Scopes, each(value.scope)),
		"web_origins":          set(&c.WebOrigins, each(origin)),
		"claims_redirect_uris": set(&c.ClaimsRedirectURIs, each(webURL)),
	})
	m.need("id")
	if m.byKey != nil {
		checkClient(m, &c)
	}
	if len(c.ClaimsRedirectURIs) > 0 {
		m.at("claims_redirect_uris").note("have no effect yet: claims are gathered by a later version")
	}
	if c.ResourceServer && !slices.Contains(c.ClientRoles[c.ID], protection) {
		if c.ClientRoles == nil {
			c.ClientRoles = make(map[string][]string)
		}
		c.ClientRoles[c.ID] = append(c.ClientRoles[c.ID], protection)
	}
	refs.clients = append(refs.clients, reference{c.ID, m.at("id")})
	return c
}

// checkClient checks the keys that exclude or require one another.
func checkClient(m members, c *uma.ClientSpec) {
	switch {
	case c.Public && c.ResourceServer:
		m.at("resource_server").wrong("a public client cannot be a resource server")
	case c.Public && c.ServiceAccount:
		m.at("service_account").wrong("a public client has no service account")
	case c.Public && c.TokenExchange:
		m.at("token_exchange").wrong("a public client cannot exchange tokens: it does not authenticate")
	}
	checkCredentials(m, c.Public)
	if c.SecretHash != "" && !secretHash.MatchString(c.SecretHash) {
		m.at("secret_hash").wrong("want sha256: and 64 hexadecimal digits")
	}
	if c.PlainSecret != "" && len(c.PlainSecret) < shortSecret {
		m.at("secret").note("is short: a secret should have 32 random bytes")
	}
}

// credentials are the keys by which a client authenticates.
var credentials = []string{"secret", "secret_hash", "jwks", "jwks_uri"}

// checkCredentials: a confidential client has exactly one of the credentials, a public client
// none.
func checkCredentials(m members, public bool) {
	first := ""
	for _, key := range credentials {
		switch {
		case !m.has(key):
		case public && strings.HasPrefix(key, "secret"):
			m.at(key).wrong("a public client has no secret")
		case public:
			m.at(key).wrong("a public client does not authenticate: remove its keys, or public: true")
		case first != "":
			m.at(key).wrong("is given together with %s: keep one of them", first)
		default:
			first = key
		}
	}
	if !public && first == "" {
		m.at("secret").wrong("is missing: give secret, secret_hash, jwks or jwks_uri, or public: true")
	}
}

// user reads one of the users.
func (v value) user(refs *references) uma.UserSpec {
	u := uma.UserSpec{User: uma.User{Enabled: true, Origin: uma.FromFile}}
	m := v.object(fields{
		"username":      set(&u.Username, value.username),
		"enabled":       set(&u.Enabled, value.flag),
		"password":      set(&u.PlainPassword, value.secret),
		"password_hash": set(&u.PasswordHash, value.secret),
		"roles":         set(&u.Roles, each(role)),
		"client_roles":  set(&u.ClientRoles, refs.clientRoles),
		"groups":        set(&u.Groups, each(group)),
		"claims":        set(&u.Claims, value.claims),
	})
	m.need("username")
	if !m.has("password_hash") {
		m.need("password")
	} else if m.has("password") {
		m.at("password_hash").wrong("is given together with password: keep one of them")
	}
	if u.PasswordHash != "" {
		if fault := checkPHC(u.PasswordHash); fault != "" {
			m.at("password_hash").wrong("%s", fault)
		}
	}
	refs.users = append(refs.users, reference{strings.ToLower(u.Username), m.at("username")})
	return u
}

// resource reads one of the resources.
func (v value) resource(refs *references) uma.ResourceSpec {
	r := uma.ResourceSpec{Resource: uma.Resource{Origin: uma.FromFile}}
	m := v.object(fields{
		"id":              set(&r.ID, value.resourceID),
		"name":            set(&r.Name, value.text),
		"display_name":    set(&r.DisplayName, value.text),
		"type":            set(&r.Type, value.text),
		"icon_uri":        set(&r.IconURI, iconURL),
		"resource_server": set(&r.ServerID, value.text),
		"owner":           set(&r.OwnerName, value.text),
		"uris":            set(&r.URIs, each(value.uri)),
		"scopes":          set(&r.Scopes, each(value.scope)),
		"owner_managed":   set(&r.OwnerManaged, value.flag),
		"attributes":      set(&r.Attributes, named(each(value.attribute))),
	})
	m.need("name", "resource_server")
	if n := uma.AttributesSize(r.Attributes, nil); n > uma.MaxAttributes {
		m.at("attributes").wrong("have %d bytes in total, more than %d", n, uma.MaxAttributes)
	}
	if r.ServerID != "" {
		refs.servers = append(refs.servers, reference{r.ServerID, m.at("resource_server")})
	}
	if r.OwnerName != "" {
		refs.owners = append(refs.owners, reference{strings.ToLower(r.OwnerName), m.at("owner")})
	}
	if r.ID != "" {
		refs.resourceIDs = append(refs.resourceIDs, reference{string(r.ID), m.at("id")})
	}
	if r.ServerID != "" && r.Name != "" {
		key := fmt.Sprintf("%q %q %q", r.ServerID, strings.ToLower(r.OwnerName), r.Name)
		refs.resources = append(refs.resources, reference{key, m.at("name")})
	}
	return r
}

// clientID reads a client_id. It is not account: that is the audience of access tokens, for
// which an RPT for a resource server of that name would pass.
func (v value) clientID() string {
	id := matching(clientID.MatchString, "want printable ASCII characters without spaces")(v)
	if id == "account" {
		v.wrong("account is reserved for the server's own client")
		return ""
	}
	return id
}

// username reads the name of a user.
func (v value) username() string {
	name := v.text()
	if strings.HasPrefix(strings.ToLower(name), "service-account-") {
		v.wrong("begins with service-account-, which is reserved for service accounts")
		return ""
	}
	return name
}

// role reads the name of a role. It has no slash, because policies and shares write the
// role of a client as client/role.
func role(v value) string {
	return matching(func(s string) bool { return !strings.Contains(s, "/") }, "has a slash, which separates client and role in client/role")(v)
}

// group reads the path of a group.
func group(v value) string {
	return matching(uma.IsGroup, "want the path of a group, such as /friends")(v)
}

// resourceID reads the id of a resource.
func (v value) resourceID() uma.ResourceID {
	return uma.ResourceID(matching(func(s string) bool {
		return len(s) <= maxResourceID && !strings.Contains(s, "/")
	}, "want at most 100 bytes without a slash")(v))
}

// uri reads a URI pattern that the protection API would accept.
func (v value) uri() string {
	s, ok := v.raw()
	if !ok {
		return ""
	}
	if err := uripath.Check(s); err != nil {
		v.wrong("%s", err)
	}
	return s
}

// attribute reads any text, also an empty one.
func (v value) attribute() string {
	s, _ := v.raw()
	return s
}

// registered are the claims, in addition to the members of uma.Claims, to which tokens and
// introspection give a meaning.
var registered = []string{
	"nbf", "cnf", "act", "may_act", "amr", "c_hash", "s_hash", "events",
	"active", "token_type", "username", "permissions",
}

// claims reads the additional claims of a user, which must not replace those of the server.
func (v value) claims() map[string]any {
	all := make(map[string]any)
	v.entries(func(name string, v value) {
		if isRegistered(name) {
			v.wrong("is a claim that the server sets itself")
			return
		}
		all[name] = v.any()
	})
	return all
}

func isRegistered(name string) bool {
	same := func(other string) bool { return strings.EqualFold(name, other) } // as encoding/json does
	if slices.ContainsFunc(registered, same) {
		return true
	}
	for f := range reflect.TypeFor[uma.Claims]().Fields() {
		member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if member != "-" && same(member) {
			return true
		}
	}
	return false
}
