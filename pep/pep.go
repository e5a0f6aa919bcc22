package pep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Enforcer protects the handlers of a resource server. It is safe for concurrent use.
type Enforcer struct {
	cfg    Config
	server *server
}

// errMap wraps an error of the application's Map or Resource function.
var errMap = errors.New("map request")

// New returns an enforcer, or all mistakes of the configuration. It does not call the authorization server, so the resource
// server may start first.
func New(cfg Config) (*Enforcer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.CacheSize == 0 {
		cfg.CacheSize = 1024
	}
	if cfg.CacheTTL == 0 {
		cfg.CacheTTL = 30 * time.Second
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if _, err := router(cfg.Rules, nil, http.NotFound); err != nil {
		return nil, err
	}
	return &Enforcer{cfg: cfg, server: newServer(cfg)}, nil
}

// Protect returns a handler that calls next only if the request has an RPT with the permission that it needs. Handlers get
// the permissions of the RPT with [FromContext].
func (e *Enforcer) Protect(next http.Handler) http.Handler {
	if e.cfg.Map != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			need, ok, err := e.cfg.Map(r)
			if err != nil {
				err = fmt.Errorf("%w: %w", errMap, err)
			}
			e.serve(w, r, next, need, ok, err)
		})
	}
	mux, err := router(e.cfg.Rules, func(w http.ResponseWriter, r *http.Request, rule Rule) {
		need, ok, err := e.need(r, rule)
		e.serve(w, r, next, need, ok, err)
	}, refuse)
	if err != nil { // New has made the same router without an error
		panic(err)
	}
	return mux
}

// need returns the permission that a request needs according to a rule.
func (e *Enforcer) need(r *http.Request, rule Rule) (Permission, bool, error) {
	if rule.Resource != nil {
		id, ok, err := rule.Resource(r)
		if err != nil {
			err = fmt.Errorf("%w: %w", errMap, err)
		}
		return Permission{id, rule.Scopes}, ok, err
	}
	plain, encoded := rule.uri(r)
	id, err := e.server.lookup(r.Context(), plain, encoded)
	if errors.Is(err, errNotFound) {
		e.cfg.Logger.WarnContext(r.Context(), "request maps to no resource", "error", err)
		return Permission{}, false, nil
	}
	return Permission{id, rule.Scopes}, true, err
}

func (e *Enforcer) serve(w http.ResponseWriter, r *http.Request, next http.Handler, need Permission, ok bool, err error) {
	if errors.Is(err, errMap) {
		e.cfg.Logger.ErrorContext(r.Context(), "request cannot be mapped", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	if err != nil {
		e.unavailable(w, r, err)
		return
	}
	// No resource or no scopes is a mistake of the application's mapping: it must not open the request to everybody.
	if !ok || need.ResourceID == "" || len(need.Scopes) == 0 {
		refuse(w, r)
		return
	}
	granted, err := e.check(r)
	if err != nil && !errors.Is(err, errToken) {
		e.unavailable(w, r, err)
		return
	}
	if err != nil || !covers(granted.Permissions, need) {
		e.challenge(w, r, need)
		return
	}
	granted.Permission = need
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), grantedKey{}, granted)))
}

// check validates the RPT of a request.
func (e *Enforcer) check(r *http.Request) (Granted, error) {
	token, ok := bearer(r.Header)
	if !ok {
		return Granted{}, fmt.Errorf("%w: none in the request", errToken)
	}
	if e.cfg.Mode == Introspection {
		return e.server.introspect(r.Context(), token)
	}
	return e.server.verify(r.Context(), token)
}

// challenge answers with a permission ticket, UMA Grant §3.2.1.
func (e *Enforcer) challenge(w http.ResponseWriter, r *http.Request, need Permission) {
	ticket, err := e.server.ticket(r.Context(), need)
	if err != nil {
		e.unavailable(w, r, err)
		return
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("UMA realm=%s, as_uri=%s, ticket=%s",
		quoted(e.cfg.Realm), quoted(e.cfg.AuthorizationServer), quoted(ticket)))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "a requesting party token is needed", http.StatusUnauthorized)
}

// unavailable answers if the authorization server could not issue a ticket or check a token, UMA Grant §3.2.2.
func (e *Enforcer) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	e.cfg.Logger.WarnContext(r.Context(), "authorization server unavailable", "error", err)
	w.Header().Set("Warning", `199 - "UMA Authorization Server Unreachable"`)
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "the authorization server cannot be reached", http.StatusForbidden)
}

// refuse answers a request that maps to no resource.
func refuse(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "forbidden", http.StatusForbidden)
}

// quoted returns a quoted-string, RFC 9110 §5.6.4.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

type grantedKey struct{}

// FromContext returns the content of a request's RPT. False: the handler is not behind [Enforcer.Protect].
func FromContext(ctx context.Context) (Granted, bool) {
	g, ok := ctx.Value(grantedKey{}).(Granted)
	return g, ok
}
