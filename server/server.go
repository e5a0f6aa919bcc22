package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// Config is what the public listener needs.
type Config struct {
	Authority *uma.Authority
	Log       *slog.Logger // nil: nothing is logged
	Metrics   *Metrics     // nil: nobody reads them

	// DefaultRealm is whose discovery documents root-level paths show; empty for
	// none.
	DefaultRealm string

	// TrustedProxies are those whose X-Forwarded-For is believed; empty for none.
	TrustedProxies []netip.Prefix

	// Timeout is how long a request may take, lists apart; 0 for ten seconds.
	Timeout time.Duration
}

type server struct {
	Config
	authority *uma.Authority
}

// New returns the handler of the public listener.
func New(cfg Config) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics()
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	s := &server{Config: cfg, authority: cfg.Authority}
	e := echo.New()
	e.HTTPErrorHandler = s.unrouted
	for _, ep := range s.endpoints() {
		for _, path := range ep.paths() {
			s.mount(e, path, ep)
		}
	}
	return e
}

// An endpoint is a path below a realm's base, or an absolute one, and what it
// does with each method.
type endpoint struct {
	path     string
	methods  map[string]wire.Handler
	readers  wire.Readers
	absolute bool
	slash    bool // the path may also end in a slash
	acts     bool // GET changes something: no HEAD
	list     bool // GET answers a list, which may take as long as it is
}

// endpoints is all that is served. The endpoints of a face are its own list;
// those of other vendors come with paths and words of their own.
func (s *server) endpoints() []endpoint {
	k := keycloak.Face{Authority: s.authority}
	type m = map[string]wire.Handler
	const connect, protection = "/protocol/openid-connect", "/authz/protection"
	return []endpoint{
		{path: connect + "/token", methods: m{"POST": s.token}},
		{path: connect + "/token/introspect", methods: m{"POST": s.introspect}},
		{path: connect + "/revoke", methods: m{"POST": s.revoke}},
		{path: connect + "/logout", methods: m{"POST": s.logout, "GET": s.logout}, acts: true},
		{path: connect + "/userinfo", methods: m{"GET": s.userinfo, "POST": s.userinfo}},
		{path: connect + "/certs", methods: m{"GET": s.certs}, readers: wire.Anyone},

		{path: "", methods: m{"GET": s.realmInfo}, readers: wire.Anyone, slash: true},
		{path: "/.well-known/openid-configuration", methods: m{"GET": s.openIDConfiguration}, readers: wire.Anyone},
		{path: "/.well-known/uma2-configuration", methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone},
		{path: "/.well-known/oauth-authorization-server/realms/:realm", methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone, absolute: true},
		{path: "/.well-known/oauth-authorization-server/auth/realms/:realm", methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone, absolute: true},
		{path: "/.well-known/openid-configuration", methods: m{"GET": s.openIDConfiguration}, readers: wire.Anyone, absolute: true},
		{path: "/.well-known/uma2-configuration", methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone, absolute: true},
		{path: "/.well-known/oauth-authorization-server", methods: m{"GET": s.umaConfiguration}, readers: wire.Anyone, absolute: true},

		{path: protection + "/resource_set", methods: m{"POST": k.CreateResource, "GET": k.ListResources}, slash: true, list: true},
		{path: protection + "/resource_set/:id", methods: m{"GET": k.ReadResource, "PUT": k.ReplaceResource, "DELETE": k.DeleteResource}, slash: true},
		{path: protection + "/permission", methods: m{"POST": k.RequestTicket}, slash: true},
		{path: protection + "/permission/ticket", methods: m{"POST": k.CreateRequest, "PUT": k.UpdateRequest, "GET": k.ListRequests}, slash: true, list: true},
		{path: protection + "/permission/ticket/count", methods: m{"GET": k.CountRequests}},
		{path: protection + "/permission/ticket/:id", methods: m{"DELETE": k.DeleteRequest}, slash: true},
	}
}

// paths are all that the endpoint answers at: a realm's with and without /auth
// in front.
func (ep endpoint) paths() []string {
	if ep.absolute {
		return []string{ep.path}
	}
	paths := []string{"/realms/:realm" + ep.path, "/auth/realms/:realm" + ep.path}
	if ep.slash {
		paths = append(paths, paths[0]+"/", paths[1]+"/")
	}
	return paths
}

// mount routes the endpoint's methods, HEAD where GET only reads, and preflights.
func (s *server) mount(e *echo.Echo, path string, ep endpoint) {
	inRealm := strings.Contains(path, ":realm")
	var methods []string
	for method, handler := range ep.methods {
		frame := s.serve(handler, ep.readers, inRealm, ep.list && method == http.MethodGet)
		methods = append(methods, method)
		e.Add(method, path, frame)
		if method == http.MethodGet && !ep.acts {
			methods = append(methods, http.MethodHead)
			e.Add(http.MethodHead, path, frame)
		}
	}
	methods = append(methods, http.MethodOptions)
	slices.Sort(methods)
	preflight := func(x *wire.Exchange) error { return x.Preflight(methods) }
	e.Add(http.MethodOptions, path, s.serve(preflight, ep.readers, inRealm, false))
}

// serve is the frame of every request: who sends it, how long it may take, its
// realm, the handler, and one exit.
func (s *server) serve(handle wire.Handler, readers wire.Readers, inRealm, unlimited bool) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := s.authority.Now()
		x, err := s.open(c, readers)
		if !unlimited {
			ctx, cancel := context.WithTimeout(x.Context(), s.Timeout)
			defer cancel()
			c.SetRequest(c.Request().WithContext(ctx))
		}
		realm := s.DefaultRealm
		if inRealm {
			realm = x.Param("realm")
		}
		if err == nil {
			err = s.guarded(x, realm, handle)
		}
		s.close(c, x, began, err)
		return nil
	}
}

// guarded runs the handler in its realm. A panic is this server's own trouble
// like any other.
func (s *server) guarded(x *wire.Exchange, realm string, handle wire.Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if x.Realm, err = s.authority.Realm(x.Context(), realm); err != nil {
		return err
	}
	return handle(x)
}

// unrouted answers requests that no route is for: other paths and methods.
func (s *server) unrouted(_ error, c echo.Context) {
	began := s.authority.Now()
	x, opened := s.open(c, wire.Owners)
	var err error = &wire.Refusal{Status: http.StatusNotFound, Code: "not_found", Description: "There is nothing here"}
	if c.Response().Header().Get("Allow") != "" {
		err = &wire.Refusal{
			Status: http.StatusMethodNotAllowed, Code: "unsupported_method_type", // FedAuthz §3.2
			Description: "HTTP 405 Method Not Allowed",
		}
	}
	// A realm that is not there is said to be so whatever is asked of it.
	if name, ok := realmOf(c.Request().URL.Path); ok {
		if _, missing := s.authority.Realm(x.Context(), name); missing != nil {
			err = missing
			x.Header().Del("Allow")
		}
	}
	if opened != nil {
		err = opened
	}
	s.close(c, x, began, err)
}

// realmOf returns the realm that a path lies in.
func realmOf(path string) (string, bool) {
	path = strings.TrimPrefix(path, "/auth")
	rest, ok := strings.CutPrefix(path, "/realms/")
	name, _, _ := strings.Cut(rest, "/")
	return name, ok && name != ""
}
