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

	// Ready reports what is missing to serve: that the store answers, and that
	// every realm has a policy.
	Ready func(context.Context) error
}

// NewAdmin returns the handler of the admin listener, which is never public:
// liveness, readiness and metrics. Nobody is authenticated there.
func NewAdmin(cfg AdminConfig) http.Handler {
	e := echo.New()
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", cfg.readyz)
	e.GET("/metrics", echo.WrapHandler(cfg.Metrics.handler()))
	return e
}

// readyz says why not, as the log does: names of realms and files, which the
// metrics beside it have too.
func (cfg *AdminConfig) readyz(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 2*time.Second)
	defer cancel()
	if err := cfg.Ready(ctx); err != nil {
		cfg.Log.WarnContext(ctx, "not ready", "err", err)
		return c.String(http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n")
	}
	return c.String(http.StatusOK, "ready\n")
}

// Listener returns the settings of a server for a handler of this package: no
// client holds a connection by being slow. Lists extend the time to write for
// as long as they are read.
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
