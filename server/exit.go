package server

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/umpire/server/wire"
)

// open begins an exchange and finds out where the request comes from.
func (s *server) open(c echo.Context, dialect *wire.Dialect, readers wire.Readers) (*wire.Exchange, error) {
	x, err := wire.NewExchange(c, dialect, readers)
	r := c.Request()
	x.Caller.IP = wire.ClientIP(r.RemoteAddr, r.Header["X-Forwarded-For"], s.TrustedProxies)
	x.Caller.RequestID = requestID(r.Header.Get("X-Request-Id"), s.core.Now())
	x.Caller.TraceID = traceID(r.Header.Get("Traceparent"))
	x.Header()["X-Request-Id"] = []string{x.Caller.RequestID}
	return x, err
}

// close is the one exit of every request: it writes the refusal if the handler returned an
// error, counts the request, and writes one line of log. The log has the pattern of the
// path, and no tokens, secrets or queries.
func (s *server) close(c echo.Context, x *wire.Exchange, began time.Time, err error) {
	s.noteSecret(x, err)
	cut := err != nil && x.Answered()
	if err != nil && !cut {
		if failed := x.Fail(err); failed != nil {
			err, cut = errors.Join(err, failed), true
		}
	}
	took := s.core.Now().Sub(began)
	status, route := c.Response().Status, c.Path()
	if route == "" {
		route = "other"
	}
	s.Metrics.request(route, x.Method(), status, took)

	s.log(x.Context(), x, status, err, cut,
		slog.String("request_id", x.Caller.RequestID), slog.String("method", x.Method()), slog.String("route", route),
		slog.Int("status", status), slog.Duration("took", took))
	if cut {
		panic(http.ErrAbortHandler) // cut the connection: the client must not take half an answer for a whole one
	}
}

// log writes the line of log: an error if this server is at fault.
func (s *server) log(ctx context.Context, x *wire.Exchange, status int, err error, cut bool, attrs ...slog.Attr) {
	level := slog.LevelInfo
	if cut || status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if !s.Log.Enabled(ctx, level) {
		return
	}
	if x.Realm != nil {
		attrs = append(attrs, slog.String("realm", x.Realm.Realm.Name))
	}
	if client := x.Client; client != nil {
		attrs = append(attrs, slog.String("client", client.ID))
	}
	switch d := x.Recorded; d.Count {
	case 0:
	case 1:
		attrs = append(attrs, slog.String("decision_id", d.ID))
	default:
		attrs = append(attrs, slog.String("batch_decision_id", d.Batch), slog.Int("decisions", d.Count))
	}
	if x.Caller.IP != "" {
		attrs = append(attrs, slog.String("ip", x.Caller.IP))
	}
	if x.Caller.TraceID != "" {
		attrs = append(attrs, slog.String("trace_id", x.Caller.TraceID))
	}
	if err != nil {
		attrs = append(attrs, slog.String("refused", x.Refused()), slog.String("err", wire.Logged(err, status)))
	}
	s.Log.LogAttrs(ctx, level, "request", attrs...)
}

// requestID returns the identifier that the client sent, if it is a valid one, or a new
// one. The identifier is logged and stored, so it must not be a token or a ticket. A new one
// begins with the time: decision records are indexed by it, and with a random key each
// record would write another page of the index.
func requestID(sent string, now time.Time) string {
	if 0 < len(sent) && len(sent) <= 64 && strings.IndexFunc(sent, notOfID) < 0 && !wire.LikeSecret(sent) {
		return sent
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16|rand.Uint64()>>48)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	return hex.EncodeToString(b[:])
}

func notOfID(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
}

// traceID returns the trace id of a traceparent header (W3C Trace Context
// §3.2), or "".
func traceID(parent string) string {
	if parent == "" {
		return ""
	}
	parts := strings.Split(parent, "-")
	if len(parts) < 4 || len(parts[0]) != 2 || len(parts[1]) != 32 || strings.Trim(parts[1], "0") == "" {
		return ""
	}
	if strings.Trim(parts[1], "0123456789abcdef") != "" {
		return ""
	}
	return parts[1]
}
