package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// answer writes the answer or the refusal.
func (x *adminRequest) answer(status int, answer any, refusal *admin.Error) error {
	h := x.echo.Response().Header()
	switch {
	case refusal != nil && x.echo.Response().Committed: // in the middle of a stream
		return x.send(map[string]any{"failed": refusal})
	case refusal != nil:
		if status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Bearer realm="umpire admin"`)
		}
		if status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
			h.Set("Retry-After", "1")
		}
		if x.echo.Request().ContentLength != 0 {
			h.Set("Connection", "close") // rather than read the rest of the body
		}
		return sendJSON(x.echo, status, refusal)
	case x.op.Stream:
		return x.send(answer)
	}
	if x.call.Next != "" {
		next := url.Values{}
		for name, values := range x.call.Query {
			next[name] = values
		}
		next.Set("before", x.call.Next)
		h.Set("Link", "<"+x.echo.Request().URL.EscapedPath()+"?"+next.Encode()+`>; rel="next"`) // RFC 8288
	}
	return sendJSON(x.echo, status, answer)
}

// send sends a line of a stream.
func (x *adminRequest) send(line any) error {
	w := x.echo.Response()
	if !w.Committed {
		adminHeaders(w.Header(), "application/jsonl")
		w.WriteHeader(http.StatusOK)
	}
	text, err := compactJSON(line)
	if err != nil {
		return err
	}
	control := http.NewResponseController(w.Writer)
	_ = control.SetWriteDeadline(time.Now().Add(chunkTime))
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	_ = control.Flush()
	return nil
}

// chunkTime is for a slow client to take a part of an answer.
const chunkTime = 30 * time.Second

// adminRefusal returns the status and the body for an error. Of an error of the server
// itself the log says more.
func adminRefusal(err error) (int, *admin.Error) {
	if err == nil {
		return http.StatusOK, nil
	}
	e, ok := errors.AsType[*admin.Error](err)
	switch {
	case ok:
	case errors.Is(err, context.Canceled):
		e = &admin.Error{Code: admin.Canceled, Message: "the client is gone, or the server stops"}
	case errors.Is(err, uma.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		e = &admin.Error{Code: admin.Busy, Message: "the server is busy: try again later"}
	default:
		e = &admin.Error{Code: admin.Failed, Message: "The server met an unexpected condition. Its log says more."}
	}
	return adminStatus[e.Code], e
}

var adminStatus = map[admin.ErrorCode]int{
	admin.InvalidRequest: http.StatusBadRequest,
	admin.NotFound:       http.StatusNotFound,
	admin.Refused:        http.StatusUnprocessableEntity,
	admin.Conflict:       http.StatusConflict,
	admin.Busy:           http.StatusServiceUnavailable,
	admin.Canceled:       http.StatusServiceUnavailable,
	admin.Unauthorized:   http.StatusUnauthorized,
	admin.Forbidden:      http.StatusForbidden,
	admin.TooLarge:       http.StatusRequestEntityTooLarge,
	admin.TooMany:        http.StatusTooManyRequests,
	admin.Failed:         http.StatusInternalServerError,
}

// sendJSON answers with JSON.
func sendJSON(c echo.Context, status int, v any) error {
	text, err := compactJSON(v)
	if err != nil {
		return err
	}
	w := c.Response()
	adminHeaders(w.Header(), "application/json")
	_ = http.NewResponseController(w.Writer).SetWriteDeadline(time.Now().Add(chunkTime))
	w.WriteHeader(status)
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

func adminHeaders(h http.Header, mediaType string) {
	h.Set("Content-Type", mediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// compactJSON is a line of JSON.
func compactJSON(v any) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return []byte(b.String()), nil
}
