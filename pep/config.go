package pep

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Mode says how RPTs are validated. The zero value is refused by [Config.Validate].
type Mode string

const (
	// Local verifies the RPT's signature with the authorization server's published keys. It needs no call for each
	// request, but a revoked RPT is accepted until it expires.
	Local Mode = "local"
	// Introspection asks the authorization server (RFC 7662, UMA Federated Authorization §5). Answers are cached for
	// at most CacheTTL, so a revoked RPT is refused after that time.
	Introspection Mode = "introspection"
)

// Config describes a resource server and its authorization server.
type Config struct {
	// AuthorizationServer is the base URL of the authorization server's realm, without a slash at the end:
	// https://as.example.com/realms/photoz. The discovery document is below it and must have it as `issuer`.
	AuthorizationServer string
	Realm               string // the protection space named in the challenge, RFC 9110 §11.5
	ClientID            string // of this resource server; an RPT must name it in `aud`
	ClientSecret        string

	// Rules map requests to resources; Map is a function of the application that does. Set exactly one of them.
	Rules []Rule
	// Map returns the permission that a request needs. False: there is none for this request, which is refused.
	Map func(*http.Request) (Permission, bool, error)

	Mode Mode
	// CacheSize is how many introspected tokens, and how many resource ids, are cached at most. 0 means 1024.
	CacheSize int
	// CacheTTL is how long they are cached at most. 0 means 30 seconds.
	CacheTTL time.Duration

	HTTPClient *http.Client     // nil: a new client. Each call has a deadline of 5 seconds in either case
	Now        func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: nothing is logged. Tokens, tickets and secrets are never logged
}

// Rule maps requests by method and path to a resource and the scopes needed.
type Rule struct {
	Method string // GET serves HEAD too, as in http.ServeMux
	Path   string // a path pattern of http.ServeMux: /album/{id}

	// URI is the URI of the resource, whose id is looked up at the authorization server; {name} is replaced by the
	// value of that wildcard of Path. Resource is a function of the application that returns the id; false: there is
	// none. Set exactly one of them.
	URI      string
	Resource func(*http.Request) (id string, ok bool, err error)

	Scopes []string // all are needed; at least one
}

// Permission is a resource with scopes: one that a request needs, or one that an RPT carries.
type Permission struct {
	ResourceID string
	Scopes     []string
}

// Validate returns all mistakes of the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("pep: "+format, args...)) }

	if err := baseURL(c.AuthorizationServer); err != nil {
		bad("AuthorizationServer: %w", err)
	}
	if c.Realm == "" || !printable(c.Realm) {
		bad("Realm %q: want printable ASCII", c.Realm)
	}
	if c.ClientID == "" {
		bad("ClientID is empty")
	}
	if c.ClientSecret == "" {
		bad("ClientSecret is empty")
	}
	if c.Mode != Local && c.Mode != Introspection {
		bad("Mode %q: want %q or %q", c.Mode, Local, Introspection)
	}
	if c.CacheSize < 0 {
		bad("CacheSize %d is negative", c.CacheSize)
	}
	if c.CacheTTL < 0 {
		bad("CacheTTL %s is negative", c.CacheTTL)
	}
	if (len(c.Rules) == 0) == (c.Map == nil) {
		bad("set exactly one of Rules and Map")
	}
	for _, rule := range c.Rules {
		if err := rule.validate(); err != nil {
			bad("rule %q: %w", rule.Method+" "+rule.Path, err)
		}
	}
	return errors.Join(errs...)
}

func baseURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a URL", s)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return fmt.Errorf("%q: want an absolute http or https URL", u.Redacted())
	case u.User != nil, u.RawQuery != "", u.Fragment != "", strings.HasSuffix(s, "/"), !printable(s):
		return fmt.Errorf("%q: want no user, query, fragment or slash at the end", u.Redacted())
	}
	return nil
}

// printable reports whether s is printable ASCII, which a quoted-string can hold once quotes and backslashes are escaped.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
