package server

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// AdminConfig is what the admin listener needs.
type AdminConfig struct {
	Metrics *Metrics
	Log     *slog.Logger

	// Ready returns an error while the server is not ready: the store does not answer, or the start
	// is not complete.
	Ready func(context.Context) error

	API *AdminAPI // nil: none
}

// NewAdmin returns the handler of the admin listener, which is never public: liveness,
// readiness and metrics, for which nobody is authenticated, and the admin API.
func NewAdmin(cfg AdminConfig) http.Handler {
	e := echo.New()
	if cfg.API != nil {
		now := cfg.API.Tokens.Now
		api := &adminAPI{
			AdminAPI: *cfg.API, log: cfg.Log, metrics: cfg.Metrics,
			wrong: newLimiter(cfg.API.FailedTokens, DefaultFailedSecrets, time.Minute, now), known: newRecent(now),
		}
		api.mount(e)
	}
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", cfg.readyz)
	e.GET("/metrics", echo.WrapHandler(cfg.Metrics.handler()))
	return e
}

// readyz says why the server is not ready, as the log does. The names of realms and files
// are no secret here: the metrics have them, too.
func (cfg *AdminConfig) readyz(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 2*time.Second)
	defer cancel()
	if err := cfg.Ready(ctx); err != nil {
		cfg.Log.WarnContext(ctx, "not ready", "err", err)
		return c.String(http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n")
	}
	return c.String(http.StatusOK, "ready\n")
}

// Listener returns a server for a handler of this package, with time limits: a slow
// client does not hold a connection. Lists extend the time to write as long as the client
// reads.
func Listener(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
