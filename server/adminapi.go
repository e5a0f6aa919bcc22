package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// An AdminAPI is served by the admin listener, below /v1. Every request needs a token in a
// bearer header, so that no web page can make a browser send one.
type AdminAPI struct {
	Tokens         *admin.Tokens
	Operations     []admin.Operation
	TrustedProxies []netip.Prefix

	// FailedTokens are the wrong tokens that are answered in a minute from one address; see
	// Limits.
	FailedTokens int
}

// adminAPI serves an AdminAPI.
type adminAPI struct {
	AdminAPI
	log     *slog.Logger
	metrics *Metrics
	wrong   *limiter // by addresses that present wrong tokens
	known   *recent  // tokens that were right, with their addresses
}

// mount adds the routes of the API.
func (api *adminAPI) mount(e *echo.Echo) {
	e.GET("/v1/token", api.serve(&admin.Operation{Name: "token", Right: uma.AdminRead, Run: describeToken}))
	for i := range api.Operations {
		op := &api.Operations[i]
		e.Add(op.Method, "/v1/realms/:realm"+op.Path, api.serve(op))
	}
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		status, code := http.StatusNotFound, admin.NotFound
		if wrong, ok := errors.AsType[*echo.HTTPError](err); ok && wrong.Code == http.StatusMethodNotAllowed {
			status, code = wrong.Code, admin.InvalidRequest
		}
		_ = sendJSON(c, status, &admin.Error{Code: code, Message: "there is no such operation"}) // nobody is left to tell
	}
}

// describeToken answers what the token is for.
func describeToken(_ context.Context, c *admin.Call) (any, error) {
	t := c.Token
	answer := struct {
		Realm   string     `json:"realm"`
		Name    string     `json:"name"`
		Can     string     `json:"can"`
		Expires *time.Time `json:"expires"`
	}{t.Realm, t.Name, string(t.Right), nil}
	if !t.Expires.IsZero() {
		answer.Expires = &t.Expires
	}
	return answer, nil
}

// An adminRequest is one request on its way through the frame.
type adminRequest struct {
	*adminAPI
	echo  echo.Context
	op    *admin.Operation
	began time.Time
	use   uma.AdminUse
	call  admin.Call
}

// serve returns the frame around an operation: the token, the record of its use, the one
// exit.
func (api *adminAPI) serve(op *admin.Operation) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		x := &adminRequest{adminAPI: api, echo: c, op: op, began: api.Tokens.Now()}
		x.use = uma.AdminUse{
			Time: x.began, Operation: op.Name, IP: wire.ClientIP(r.RemoteAddr, r.Header["X-Forwarded-For"], api.TrustedProxies),
			Request: requestID(r.Header.Get("X-Request-Id"), x.began),
		}
		c.Response().Header().Set("X-Request-Id", x.use.Request)
		timeout := op.Timeout
		if timeout == 0 {
			timeout = 10 * time.Second
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		answer, err := x.run(ctx)
		x.close(ctx, answer, err)
		return nil
	}
}

// run authenticates, records the use, and runs the operation.
func (x *adminRequest) run(ctx context.Context) (answer any, err error) {
	if err := x.authenticate(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := x.read(); err != nil {
		return nil, err
	}
	return x.op.Run(ctx, &x.call)
}

// authenticate finds the token, and begins the record of its use. An address that presents
// many wrong tokens waits, except with a token that was right there before.
func (x *adminRequest) authenticate(ctx context.Context) error {
	secret, ok := bearer(x.echo.Request().Header["Authorization"])
	if !ok {
		return admin.Errorf(admin.Unauthorized, "give a token of the admin API in the header Authorization: Bearer")
	}
	address := network(x.use.IP)
	who, pair := x.wrong.caller(address), x.wrong.caller(address, secret)
	if wait := x.wrong.wait(who); wait > 0 && !x.known.has(pair) {
		x.metrics.throttled("admin_token")
		x.echo.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return admin.Errorf(admin.TooMany, "too many wrong tokens came from this address")
	}
	t, err := x.Tokens.Find(ctx, secret)
	if err == nil {
		x.use.Token, x.use.Name, x.use.Realm = t.ID, t.Name, t.Realm
		err = x.Tokens.Store.BeginAdminUse(ctx, &x.use)
	}
	switch {
	case errors.Is(err, uma.ErrNotFound):
		x.wrong.count(who)
		return admin.Errorf(admin.Unauthorized, "the token is not known, was revoked or has expired")
	case err != nil:
		return err
	}
	x.known.add(pair)
	x.call.Token = t
	return nil
}

// bearer returns the token of a single Authorization header.
func bearer(headers []string) (string, bool) {
	if len(headers) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "bearer") && token != ""
}

// read reads the request, and checks that the token permits it.
func (x *adminRequest) read() error {
	c, t, r := &x.call, x.call.Token, x.echo.Request()
	c.Realm, c.ID = x.segment("realm"), x.segment("id")
	if strings.Contains(x.echo.Path(), ":realm") && c.Realm != t.Realm {
		return admin.Errorf(admin.Forbidden, "the token is for realm %s", t.Realm)
	}
	if x.op.Right == uma.AdminPolicy && t.Right != uma.AdminPolicy {
		return admin.Errorf(admin.Forbidden, "the token can %s: %s needs one that can %s", t.Right, x.op.Name, uma.AdminPolicy)
	}
	var err error
	if c.Query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return admin.Errorf(admin.InvalidRequest, "the query of the URL cannot be read")
	}
	for name, values := range c.Query {
		switch {
		case !slices.Contains(x.op.Params, name):
			return admin.Invalid(name, "%s has no such parameter", x.op.Name)
		case len(values) > 1:
			return admin.Invalid(name, "is given %d times", len(values))
		case values[0] == "":
			return admin.Invalid(name, "is empty: give it a value, or leave it out")
		case !wire.Readable(values[0]):
			return admin.Invalid(name, "is no UTF-8 text, or has NUL")
		}
	}
	c.Send = x.send
	return x.body(r)
}

// segment returns a segment of the path, decoded; "" if it is not readable.
func (x *adminRequest) segment(name string) string {
	v, err := x.echo.Param(name), error(nil)
	if x.echo.Request().URL.RawPath != "" { // else Echo routed by the decoded path
		v, err = url.PathUnescape(v)
	}
	if err != nil || !wire.Readable(v) {
		return ""
	}
	return v
}

// uploadTime is for a slow client to send a body.
const uploadTime = 2 * time.Minute

// body gives the operation the body, as far as it may have one.
func (x *adminRequest) body(r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	switch {
	case x.op.Body == 0:
		return admin.Errorf(admin.InvalidRequest, "%s takes no body", x.op.Name)
	case r.ContentLength > x.op.Body:
		return admin.Errorf(admin.TooLarge, "the body has more than %d bytes", x.op.Body)
	}
	// A writer that knows no deadlines, as in tests, has none to extend.
	_ = http.NewResponseController(x.echo.Response().Writer).SetReadDeadline(time.Now().Add(uploadTime))
	x.call.Body = upload{http.MaxBytesReader(x.echo.Response().Writer, r.Body, x.op.Body)}
	return nil
}

// An upload is a body whose errors are refusals: that a client is slow or goes away is no
// failure of the server.
type upload struct{ io.Reader }

func (u upload) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	tooLong, isTooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case isTooLong:
		return n, admin.Errorf(admin.TooLarge, "the body has more than %d bytes", tooLong.Limit)
	}
	return n, admin.Errorf(admin.InvalidRequest, "the body is incomplete")
}

// maxDetail bounds what the record of a use says, in bytes: a parameter may be in it.
const maxDetail = 1024

// close is the one exit: it ends the record of the use, answers, counts and logs. The record
// comes first, so that no answer is without one.
func (x *adminRequest) close(ctx context.Context, answer any, err error) {
	status, refusal := adminRefusal(err)
	outcome := "ok"
	if refusal != nil {
		outcome = string(refusal.Code)
	}
	if x.use.Seq != 0 {
		x.use.Outcome, x.use.Detail = outcome, x.call.Detail
		if len(x.use.Detail) > maxDetail {
			x.use.Detail = strings.ToValidUTF8(x.use.Detail[:maxDetail], "")
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if failed := x.Tokens.Store.EndAdminUse(end, &x.use); failed != nil {
			x.log.ErrorContext(ctx, "the end of a use of an admin token was not recorded", "request_id", x.use.Request, "err", failed)
		}
	}
	failed := x.answer(status, answer, refusal)
	x.metrics.adminRequest(x.op.Name, outcome)
	attrs := []slog.Attr{
		slog.String("request_id", x.use.Request), slog.String("operation", x.op.Name), slog.String("outcome", outcome),
		slog.Int("status", status), slog.Duration("took", x.Tokens.Now().Sub(x.began)), slog.String("ip", x.use.IP),
	}
	if x.use.Token != "" {
		attrs = append(attrs, slog.String("realm", x.use.Realm), slog.String("token", x.use.Name), slog.String("token_id", x.use.Token))
	}
	if x.use.Detail != "" {
		attrs = append(attrs, slog.String("detail", x.use.Detail))
	}
	if err := errors.Join(err, failed); err != nil {
		attrs = append(attrs, slog.String("err", wire.Logged(err, status)))
	}
	level := slog.LevelInfo
	if status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	x.log.LogAttrs(ctx, level, "admin request", attrs...)
}
