package realm

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"example.com/umpire/uma"
)

const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = 5 * time.Minute // a clock that is further ahead is to be set
)

// trustedAlgorithms are those that an issuer's tokens may be signed with.
var trustedAlgorithms = uma.SignatureAlgorithms()

var issuerAlias = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)

// issuer reads one of the issuers; before are those read already.
func (v value) issuer(refs *references, before []uma.TrustedIssuer) uma.TrustedIssuer {
	i := uma.TrustedIssuer{
		Algorithms: []string{"RS256"}, Accept: []uma.TokenUse{uma.UseClaims}, Leeway: defaultLeeway,
		Bind: uma.BindSubject, Map: defaultMap(),
	}
	var keys []publicKey
	m := v.object(fields{
		"issuer":        set(&i.Issuer, issuerURL),
		"alias":         set(&i.Alias, value.issuerAlias),
		"jwks_uri":      set(&i.JWKSURI, trustedURL),
		"jwks":          func(v value) { i.JWKS, keys = v.keySet() },
		"audiences":     set(&i.Audiences, some(value.audience)),
		"clients":       set(&i.Clients, refs.mappedClients),
		"algorithms":    set(&i.Algorithms, some(value.algorithm)),
		"accept":        set(&i.Accept, some(value.tokenUse)),
		"require":       set(&i.Require, named(value.required)),
		"leeway":        set(&i.Leeway, value.leeway),
		"allow_private": set(&i.AllowPrivate, value.flag),
		"ca_file":       set(&i.CA, value.caFile),
		"email_domains": set(&i.EmailDomains, some(value.emailDomain)),
		"claims":        set(&i.Claims, some(value.assertedClaim)),
		"bind": set(&i.Bind, func(v value) uma.Binding {
			return uma.Binding(oneOf(string(uma.BindSubject), string(uma.BindEmail))(v))
		}),
		"map": func(v value) { v.claimsMap(&i.Map) },
	})
	m.need("issuer", "alias")
	if m.byKey != nil {
		checkFetching(m, &i)
		checkUses(m, &i)
		checkOthers(m, &i, before)
		for _, k := range keys {
			if !slices.ContainsFunc(k.algorithms, func(alg string) bool { return slices.Contains(i.Algorithms, alg) }) {
				k.at.wrong("is not for one of the issuer's algorithms: want a key for %s", strings.Join(i.Algorithms, ", "))
			}
		}
	}
	return i
}

// checkFetching checks where the keys of an issuer come from.
func checkFetching(m members, i *uma.TrustedIssuer) {
	if m.has("jwks") {
		for _, key := range []string{"jwks_uri", "ca_file", "allow_private"} {
			if m.has(key) {
				m.at(key).wrong("is given together with jwks, with which nothing is fetched: keep one of them")
			}
		}
		return
	}
	fetched := "issuer" // by OpenID Connect Discovery
	if m.has("jwks_uri") {
		fetched = "jwks_uri"
	}
	at := m.at(fetched)
	if u, err := url.Parse(at.node.Value); err == nil && u.Host != "" && !i.AllowPrivate && isPrivate(u.Hostname()) {
		at.wrong("is a loopback or private address: set allow_private: true if that is meant")
	}
}

// checkUses checks what tokens of an issuer may be used for: keys without which no token has
// such a use are missing, and those of other uses have no effect.
func checkUses(m members, i *uma.TrustedIssuer) {
	accepts := func(u uma.TokenUse) bool { return slices.Contains(i.Accept, u) }
	_, any := i.Clients[uma.AnyClient]
	switch {
	case m.has("audiences"):
	case accepts(uma.UseBearer):
		m.at("audiences").wrong("is missing: a bearer token must be for one of them")
	case !m.has("clients"):
		m.at("audiences").wrong("is missing: give audiences or clients, without both no token is for this realm")
	case any && len(i.Clients) == 1:
		m.at("audiences").wrong(`is missing: "*" in clients stands for clients that a token was issued to, not for those that it is for`)
	}
	for _, use := range []uma.TokenUse{uma.UseBearer, uma.UseSubjectToken} {
		if accepts(use) && !m.has("clients") {
			m.at("clients").wrong("is missing: the client of a %s must be one of this realm's, say which of the issuer's clients is which", use)
			break
		}
	}
	if len(i.Audiences) > 0 {
		m.at("audiences").list(func(v value) {
			if _, both := i.Clients[v.node.Value]; both {
				v.wrong("is among clients, too: a token for that client alone would be one for every client")
			}
		})
	}
	for _, key := range []string{"claims", "bind"} {
		if m.has(key) && !accepts(uma.UseClaims) {
			m.at(key).wrong("has no effect: accept does not have claims")
		}
	}
	if i.Map.Email == nil {
		for key, needs := range map[string]bool{"email_domains": m.has("email_domains"), "bind": i.Bind == uma.BindEmail} {
			if needs {
				m.at(key).wrong("needs map.email, which says where a token has the e-mail address")
			}
		}
	}
}

// checkOthers compares an issuer with those before it.
func checkOthers(m members, i *uma.TrustedIssuer, before []uma.TrustedIssuer) {
	for _, b := range before {
		if i.Issuer != "" && strings.TrimSuffix(b.Issuer, "/") == strings.TrimSuffix(i.Issuer, "/") {
			m.at("issuer").wrong("appears twice")
		}
		if i.Alias != "" && b.Alias == i.Alias {
			m.at("alias").wrong("another issuer has this alias")
		}
		for _, domain := range i.EmailDomains {
			if slices.Contains(b.EmailDomains, domain) {
				m.at("email_domains").note("issuer %s is the authority on addresses of %s, too: owners cannot share by an address that parties of both have", b.Alias, domain)
			}
		}
	}
}

// trustedURL reads a URL of an issuer. Whether http on this machine is meant is checked with
// the whole issuer.
func trustedURL(v value) string {
	s := webURL(v)
	if strings.ContainsAny(s, "{}") || strings.Contains(strings.ToLower(s), "%7b") {
		v.wrong("has a placeholder in braces: name the tenant")
		return ""
	}
	return s
}

// multiTenant are the paths under which Entra serves all tenants at once. No token has such
// an issuer, and one who believed them all would believe every tenant in the world.
var multiTenant = []string{"common", "organizations", "consumers"}

// issuerURL reads the URL of an issuer, which has no query (OpenID Connect Discovery §3).
func issuerURL(v value) string {
	s := trustedURL(v)
	u, err := url.Parse(s)
	if s == "" || err != nil {
		return ""
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	switch {
	case strings.Contains(s, "?"):
		v.wrong("has a query, which no issuer has")
	case slices.Contains(multiTenant, strings.ToLower(tenant)):
		v.wrong("%s stands for the tenants of everybody: name your tenant", tenant)
	default:
		return s
	}
	return ""
}

// isPrivate reports whether a host is an address that is not on the internet, or this
// machine. Names are resolved when something is fetched, and checked then.
func isPrivate(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return IsLoopback(strings.ToLower(host))
	}
	ip = ip.Unmap()
	return !ip.IsGlobalUnicast() || ip.IsPrivate()
}

// issuerAlias reads an alias. It begins the usernames of the issuer's parties.
func (v value) issuerAlias() string {
	s := matching(issuerAlias.MatchString, "want at most 32 of a-z, 0-9, '.', '_' and '-', the first a letter or digit")(v)
	if strings.HasPrefix(s, "service-account-") {
		v.wrong("begins with service-account-, which is reserved for service accounts")
		return ""
	}
	return s
}

func (v value) audience() string {
	return matching(func(s string) bool { return !strings.Contains(s, "*") }, "has a *: name the audiences, there is no wildcard")(v)
}

func (v value) algorithm() string {
	return matching(func(s string) bool { return slices.Contains(trustedAlgorithms, s) },
		"want one of "+strings.Join(trustedAlgorithms, ", ")+"; never none, and never HS256: whoever checks such a signature can make it")(v)
}

func (v value) tokenUse() uma.TokenUse {
	return uma.TokenUse(oneOf(string(uma.UseBearer), string(uma.UseSubjectToken), string(uma.UseClaims))(v))
}

// mappedClients reads the client ids of an issuer and the clients of this realm that they are.
func (refs *references) mappedClients(v value) map[string]string {
	clients := make(map[string]string)
	v.entries(func(theirs string, v value) {
		if theirs != uma.AnyClient && strings.Contains(theirs, "*") {
			v.wrong(`"*" alone stands for all other clients: there are no patterns`)
		}
		ours := v.text()
		if ours != "" {
			refs.mapped = append(refs.mapped, reference{ours, v})
		}
		clients[theirs] = ours
	})
	if v.node.Content == nil {
		v.wrong(`is empty: name at least one client, or "*" for all of them`)
	}
	return clients
}

// required reads the value that a member of a token must have.
func (v value) required() any {
	a := v.any()
	switch a.(type) {
	case []any, map[string]any:
		v.wrong("want text, a number, true or false")
		return nil
	}
	return a
}

// leeway reads by how much the clock of an issuer may be ahead.
func (v value) leeway() time.Duration {
	d := duration(0)(v)
	if d > maxLeeway {
		v.wrong("want at most %s", maxLeeway)
	}
	return d
}

// caFile reads the certificates of the authorities that an issuer's certificate may come
// from, instead of those of the system.
func (v value) caFile() []byte {
	path := v.text()
	if path == "" {
		return nil
	}
	text, err := secretFile(v.r.locate(path))
	if err != nil {
		v.wrong("%s", err)
		return nil
	}
	v.r.resolve(v.path, text)
	certificates := 0
	for rest := []byte(text); ; certificates++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			v.wrong("%s has something else than certificates", path)
			return nil
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			v.wrong("%s has a certificate that cannot be read", path)
			return nil
		}
	}
	if certificates == 0 {
		v.wrong("%s has no certificate in PEM", path)
		return nil
	}
	return []byte(text)
}

var emailDomain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])$`)

// emailDomain reads a domain of e-mail addresses into lower case. It has a dot: an issuer that
// is the authority on all of `com` is a mistake.
func (v value) emailDomain() string {
	s := strings.ToLower(v.text())
	if s != "" && !emailDomain.MatchString(s) {
		v.wrong("want a domain such as example.com, without @ and *; a domain of another script as xn--…")
		return ""
	}
	return s
}

// assertedClaim reads the name of a claim that claim tokens may assert. Those about the token
// and the party itself have their own rules.
func (v value) assertedClaim() string {
	s := v.text()
	switch {
	case slices.Contains([]string{"acr", "amr", "auth_time"}, s): // a policy may ask for a better sign-in
	case s == "*":
		v.wrong("name the claims: an issuer is not believed about everything")
		return ""
	case isRegistered(s) || strings.HasPrefix(s, "kc."):
		v.wrong("is a claim that the server sets itself")
		return ""
	}
	return s
}

// CheckIssuer returns what is wrong with the URL of an issuer, or nil.
func CheckIssuer(issuer string) error {
	r := &reader{}
	issuerURL(value{r: r, node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: issuer}})
	if len(r.mistakes) > 0 {
		return errors.New(r.mistakes[0].Text)
	}
	return nil
}
