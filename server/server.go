package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/umpire/server/wire"
)

// Config is what the public listener needs.
type Config struct {
	Core    *wire.Core
	Log     *slog.Logger // nil: nothing is logged
	Metrics *Metrics     // nil: nobody reads them

	// DefaultRealm is the realm of paths that name none; empty for the only one, while there is only one.
	DefaultRealm string

	// TrustedProxies are the proxies whose X-Forwarded-For is trusted; empty for none.
	TrustedProxies []netip.Prefix

	Limits Limits

	// Timeout is how long a request may take, except a list; 0 for ten seconds.
	Timeout time.Duration
}

type server struct {
	Config
	core     *wire.Core
	guessed  *limiter // by who presents unusable tickets
	minted   *limiter // by who makes tickets
	guesses  *guesses
	dialects map[string]*wire.Dialect // by the path of a route
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
	s := &server{
		Config: cfg, core: cfg.Core,
		guessed: newLimiter(cfg.Limits.FailedTickets, DefaultFailedTickets, time.Minute, cfg.Core.Now),
		minted:  newLimiter(cfg.Limits.Tickets, DefaultTickets, time.Second, cfg.Core.Now),
		guesses: &guesses{
			users:     newNames(cfg.Limits.FailedPasswords, DefaultFailedPasswords, cfg.Core.Now),
			clients:   newNames(cfg.Limits.FailedSecrets, DefaultFailedSecrets, cfg.Core.Now),
			addresses: newLimiter(cfg.Limits.FailedSignIns, DefaultFailedSignIns, time.Minute, cfg.Core.Now),
			known:     newRecent(cfg.Core.Now),
			throttled: cfg.Metrics.throttled,
		},
		dialects: map[string]*wire.Dialect{},
	}
	e := echo.New()
	e.HTTPErrorHandler = s.unrouted
	for _, ep := range s.endpoints() {
		for _, path := range ep.paths() {
			s.mount(e, path, ep)
			s.dialects[path] = ep.dialect(nil)
		}
	}
	return innermost(e)
}

// mount adds routes for the endpoint's methods, for HEAD if GET only reads, and for preflights.
func (s *server) mount(e *echo.Echo, path string, ep endpoint) {
	var methods []string
	for method := range ep.methods {
		frame := s.serve(ep, path, ep.handler(method), ep.list && method == http.MethodGet)
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
	e.Add(http.MethodOptions, path, s.serve(ep, path, preflight, false))
}

// serve returns the frame around a handler: the exchange, the time limit, the realm, and
// the one exit.
func (s *server) serve(ep endpoint, path string, handle wire.Handler, unlimited bool) echo.HandlerFunc {
	inRealm := strings.Contains(path, ":realm")
	return func(c echo.Context) error {
		began := s.core.Now()
		x, err := s.open(c, ep.dialect(nil), ep.readers)
		if !unlimited {
			cancel := x.SetTimeout(s.Timeout)
			defer cancel()
		}
		realm := s.DefaultRealm
		switch {
		case inRealm:
			realm = x.Param("realm")
		case realm == "" && err == nil:
			realm, err = s.core.Realms.Only(x.Context())
		}
		if err == nil {
			err = s.guarded(x, ep, realm, handle)
		}
		s.close(c, x, began, err)
		return nil
	}
}

// guarded runs a handler in its realm. A panic becomes the error of this request, and does
// not affect others.
func (s *server) guarded(x *wire.Exchange, ep endpoint, realm string, handle wire.Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if x.Realm, err = s.core.Realms.Realm(x.Context(), realm); err != nil {
		return err
	}
	x.SetDialect(ep.dialect(x.Realm))
	return handle(x)
}

var nothingHere = &wire.Refusal{Status: http.StatusNotFound, Code: "not_found", Description: "There is nothing here"}

// unrouted answers requests without a route: unknown paths and methods.
func (s *server) unrouted(_ error, c echo.Context) {
	began := s.core.Now()
	dialect := s.dialects[c.Path()] // of the path with another method
	if dialect == nil {
		dialect = dialectOf(c.Request().URL.Path)
	}
	x, opened := s.open(c, dialect, wire.Owners)
	cancel := x.SetTimeout(s.Timeout)
	defer cancel()
	var err error = nothingHere
	if c.Response().Header().Get("Allow") != "" {
		err = &wire.Refusal{
			Status: http.StatusMethodNotAllowed, Code: "unsupported_method_type", // FedAuthz §3.2
			Description: "HTTP 405 Method Not Allowed",
		}
	}
	// An unknown realm is the answer for every path below /realms.
	if name, ok := realmOf(c.Request().URL.Path); ok {
		if _, missing := s.core.Realms.Realm(x.Context(), name); missing != nil {
			err = missing
			x.Header().Del("Allow")
		}
	}
	if opened != nil {
		err = opened
	}
	s.close(c, x, began, err)
}

// realmOf returns the realm that a path names.
func realmOf(path string) (string, bool) {
	path = strings.TrimPrefix(path, "/auth")
	rest, ok := strings.CutPrefix(path, "/realms/")
	name, _, _ := strings.Cut(rest, "/")
	return name, ok && name != ""
}
