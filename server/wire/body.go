package wire

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"strings"
	"sync"

	"example.com/umpire/uma"
)

// Types of bodies that are read.
const (
	formType = "application/x-www-form-urlencoded"
	anyType  = ""
	jsonText = "application/json"
)

// checkEncoding refuses bodies that are encoded, and headers about the body that
// come twice: the programs between here and the client may go by another of them.
func (x *Exchange) checkEncoding(h http.Header) error {
	if len(h["Content-Type"]) > 1 {
		return Invalid("more than one Content-Type header")
	}
	switch e := h["Content-Encoding"]; {
	case len(e) > 1:
		return Invalid("more than one Content-Encoding header")
	case len(e) == 1 && e[0] != "" && !strings.EqualFold(e[0], "identity"):
		return unsupported("Content-Encoding is not supported")
	}
	return nil
}

// checkType refuses a body of another media type than the endpoint reads, and one
// in another charset than UTF-8. A request without a body needs no type.
func (x *Exchange) checkType(want string) error {
	r := x.echo.Request()
	header := r.Header.Get("Content-Type")
	if header == want || header == "" && r.ContentLength == 0 {
		return nil
	}
	got, params, err := mime.ParseMediaType(header)
	if want != anyType && (err != nil || got != want) {
		return unsupported("the body must be " + want)
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return unsupported("the charset must be utf-8")
	}
	return nil
}

func unsupported(description string) error {
	return &Refusal{Status: http.StatusUnsupportedMediaType, Code: string(uma.InvalidRequest), Description: description}
}

// Form returns the parameters of the body. The query is not looked at: what
// goes there ends up in logs.
func (x *Exchange) Form(repeat ...string) (Form, error) {
	body, err := x.body(formType, maxForm)
	if err != nil {
		return nil, err
	}
	return ParseForm(body, repeat...)
}

// Body returns the JSON value that is the body, Absent if there is no body. It is
// the same each time.
func (x *Exchange) Body() (Value, error) {
	if x.json == nil {
		v, err := x.readJSON(jsonText)
		x.json = &parsed{v, err}
	}
	return x.json.value, x.json.err
}

// A parsed is what became of a body.
type parsed struct {
	value Value
	err   error
}

// UntypedBody is Body where clients do not say that it is JSON. What the caller
// may do must not hang on anything that a browser sends by itself.
func (x *Exchange) UntypedBody() (Value, error) { return x.readJSON(anyType) }

func (x *Exchange) readJSON(mediaType string) (Value, error) {
	body, err := x.body(mediaType, maxJSON)
	if err != nil {
		return Value{}, err
	}
	return uma.ParseJSON(body)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keep returns a buffer to the pool, unless it has grown out of the ordinary.
func keep(b *bytes.Buffer) {
	if b.Cap() <= 64<<10 {
		buffers.Put(b)
	}
}

// body reads a body of a media type; it is empty where there is none.
func (x *Exchange) body(mediaType string, limit int64) (string, error) {
	if err := x.checkType(mediaType); err != nil {
		return "", err
	}
	r := x.echo.Request()
	if r.Body == nil || r.Body == http.NoBody {
		return "", nil
	}
	if r.ContentLength > limit {
		return "", tooLarge(nil)
	}
	b := buffers.Get().(*bytes.Buffer)
	defer keep(b)
	b.Reset()
	_, err := b.ReadFrom(http.MaxBytesReader(x.echo.Response().Writer, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return "", tooLarge(err)
	}
	if err != nil {
		return "", uma.Refuse(uma.InvalidRequest, "the body cannot be read", err)
	}
	return b.String(), nil
}

func tooLarge(err error) error {
	return &Refusal{
		Status: http.StatusRequestEntityTooLarge, Code: string(uma.InvalidRequest),
		Description: "the body is too large", cause: err,
	}
}
