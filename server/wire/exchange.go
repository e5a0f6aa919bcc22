package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"example.com/umpire/uma"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/party"
)

// Limits in bytes: of bodies, and of what is kept of a User-Agent, which goes into
// the input of policies and each decision record.
const (
	maxForm      = 64 << 10
	maxJSON      = 1 << 20
	maxUserAgent = 256
)

// Note keeps what the exit needs of an answer to the UMA grant, also of one that is
// refused: who asked, and which decisions are on record.
func (x *Exchange) Note(a *grant.Answer) {
	x.Recorded = a.Recorded
	if a.Client != nil {
		x.Client = a.Client
	}
}

// A Handler serves an endpoint. It answers once, or returns an error, which Fail answers.
type Handler func(*Exchange) error

// An Exchange is a request and its answer.
type Exchange struct {
	Realm  *uma.Snapshot // nil where an endpoint belongs to none
	Caller party.Caller

	// Client is the client that sent the request; nil until it is authenticated or identified
	// by a verified token. Pages of its web origins may read the answer, a refusal too.
	Client *uma.Client

	Recorded grant.Recorded // decision records of the request

	ctx        context.Context
	echo       echo.Context
	dialect    *Dialect
	readers    Readers
	origin     string
	basic      string // credentials of a Basic header, still encoded
	triedBasic bool
	refused    string // error code of the refusal, if it is one
	json       *parsed
}

// Readers says which web pages may read the answers of an endpoint.
type Readers byte

// Readers of answers.
const (
	// Owners are pages of the client that asks, known once it is authenticated.
	Owners Readers = iota

	// Anyone may read what is public, without credentials.
	Anyone

	// Registered are Owners, and while it is not known which client asks, pages of
	// any client of the realm.
	Registered
)

// NewExchange begins an exchange. From the request it takes what every endpoint
// needs; the error, if there is one, is for Fail.
func NewExchange(c echo.Context, dialect *Dialect, readers Readers) (*Exchange, error) {
	r := c.Request()
	x := &Exchange{ctx: r.Context(), echo: c, dialect: dialect, readers: readers, origin: r.Header.Get("Origin")}
	x.Caller.UserAgent = cut(r.UserAgent(), maxUserAgent)
	if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
		// net/http reads a body with a Content-Length beside its chunks by the chunks, and
		// does not say that there was one. Where a proxy goes by the length, what it takes
		// for the end of the body would be the next request (RFC 9112 §6.3).
		x.Header()["Connection"] = closing
	}
	if err := x.checkEncoding(r.Header); err != nil {
		return x, err
	}
	return x, x.authorization(r.Header["Authorization"])
}

// cut returns the first n bytes of s at most, and no part of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// SetDialect makes the exchange answer refusals as a face does.
func (x *Exchange) SetDialect(d *Dialect) { x.dialect = d }

// Context ends when the client is gone or the request takes too long.
func (x *Exchange) Context() context.Context { return x.ctx }

// SetTimeout ends the context of the exchange after d. Call the returned function when the
// exchange is over.
func (x *Exchange) SetTimeout(d time.Duration) context.CancelFunc {
	var cancel context.CancelFunc
	x.ctx, cancel = context.WithTimeout(x.ctx, d)
	return cancel
}

// Header returns the header of the answer.
func (x *Exchange) Header() http.Header { return x.echo.Response().Header() }

// RequestHeader is a header of the request, as it came.
func (x *Exchange) RequestHeader(name string) string { return x.echo.Request().Header.Get(name) }

// Method returns the method of the request.
func (x *Exchange) Method() string { return x.echo.Request().Method }

// Refused is the error code the exchange was answered with, if any.
func (x *Exchange) Refused() string { return x.refused }

// Param returns a segment of the path, decoded; "" if it is not Readable.
func (x *Exchange) Param(name string) string {
	v, err := x.echo.Param(name), error(nil)
	if x.echo.Request().URL.RawPath != "" { // else Echo routed by the decoded path
		v, err = url.PathUnescape(v)
	}
	if err != nil || !Readable(v) {
		return ""
	}
	return v
}

// Query returns the parameters of the URL.
func (x *Exchange) Query() (Form, error) { return ParseForm(x.echo.Request().URL.RawQuery) }

// JSON answers with v.
func (x *Exchange) JSON(status int, v any) error {
	b := buffers.Get().(*bytes.Buffer)
	defer keep(b)
	b.Reset()
	if err := json.NewEncoder(b).Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	b.Truncate(b.Len() - 1) // the encoder's new line
	x.Header()["Content-Type"] = jsonType
	return x.write(status, b.Bytes())
}

// Bytes answers with a body of some type.
func (x *Exchange) Bytes(status int, mediaType string, body []byte) error {
	x.Header()["Content-Type"] = []string{mediaType}
	return x.write(status, body)
}

func (x *Exchange) write(status int, body []byte) error {
	x.begin(status)
	if _, err := x.echo.Response().Write(body); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// Empty answers without a body.
func (x *Exchange) Empty(status int) error {
	x.begin(status)
	return nil
}

// Shared values of headers; nobody appends to them.
var (
	noStore = []string{"no-store"}
	noCache = []string{"no-cache"}
	noSniff = []string{"nosniff"}

	jsonType = []string{"application/json"}
	byOrigin = []string{"Origin"}
	closing  = []string{"close"}
	anybody  = []string{"*"}
)

// begin writes the head of the answer. Every header must be set by then.
func (x *Exchange) begin(status int) {
	h := x.Header()
	if h["Cache-Control"] == nil {
		h["Cache-Control"], h["Pragma"] = noStore, noCache
	}
	h["X-Content-Type-Options"] = noSniff
	x.allowReaders(h)
	x.echo.Response().WriteHeader(status)
}

// Limits of a streamed answer.
const (
	chunk     = 32 << 10
	chunkTime = 30 * time.Second // for a slow client to take a chunk
)

// Array answers 200 with a JSON array whose elements rows adds one by one. A
// failure of rows before anything was sent is a refusal like any other; after
// that Answered is true, and the connection must be cut: half an array must not
// look like a whole one.
func (x *Exchange) Array(rows func(add func(any) error) error) error {
	b := buffers.Get().(*bytes.Buffer)
	defer keep(b)
	b.Reset()
	b.WriteByte('[')
	x.Header()["Content-Type"] = jsonType
	enc := json.NewEncoder(b)
	first := true
	err := rows(func(v any) error {
		if !first {
			b.WriteByte(',')
		}
		first = false
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("encode element: %w", err)
		}
		b.Truncate(b.Len() - 1)
		if b.Len() < chunk {
			return nil
		}
		return x.flush(b)
	})
	if err != nil {
		return err
	}
	b.WriteByte(']')
	if !x.Answered() {
		x.begin(http.StatusOK)
	}
	return x.send(b)
}

func (x *Exchange) flush(b *bytes.Buffer) error {
	if !x.Answered() {
		x.begin(http.StatusOK)
	}
	// A long list outlives the time that the server gives an ordinary answer. A
	// writer that knows no deadlines, as in tests, has none to extend.
	_ = http.NewResponseController(x.echo.Response().Writer).SetWriteDeadline(time.Now().Add(chunkTime))
	return x.send(b)
}

func (x *Exchange) send(b *bytes.Buffer) error {
	if _, err := io.Copy(x.echo.Response(), b); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// Answered reports whether the head of the answer has been sent.
func (x *Exchange) Answered() bool { return x.echo.Response().Committed }
