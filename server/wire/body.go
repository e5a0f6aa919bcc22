package wire

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"example.com/umpire/uma"
)

// Types of bodies that are read.
const (
	formType = "application/x-www-form-urlencoded"
	anyType  = ""
	jsonText = "application/json"
)

// checkEncoding refuses encoded bodies and repeated headers about the body: a proxy may
// use another one of them than this server.
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
// in a charset that is not read. A request without a body needs no type.
func (x *Exchange) checkType(want string) (asciiOnly bool, err error) {
	r := x.echo.Request()
	header := r.Header.Get("Content-Type")
	if header == want || header == "" && r.ContentLength == 0 {
		return false, nil
	}
	got, params, err := mime.ParseMediaType(header)
	if want != anyType && (err != nil || got != want) {
		return false, unsupported("the body must be " + want)
	}
	name, ok := params["charset"]
	if !ok {
		return false, nil
	}
	asciiOnly, ok = charsets[strings.ToLower(name)]
	if !ok {
		return false, unsupported("the charset must be utf-8")
	}
	return asciiOnly, nil
}

// charsets has the charsets that read ASCII as UTF-8 does, and whether a body in them
// must be ASCII, so that nobody reads other text in it than is read here. What is
// percent-encoded is UTF-8 in any case, as the URL Standard has it. Apache HttpClient's
// ContentType.APPLICATION_FORM_URLENCODED says ISO-8859-1.
var charsets = map[string]bool{
	"utf-8": false, "utf8": false,
	"us-ascii": true, "iso-8859-1": true, "iso-8859-15": true, "windows-1252": true,
}

func isASCII(body []byte) bool {
	return !slices.ContainsFunc(body, func(b byte) bool { return b >= utf8.RuneSelf })
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
	return ParseJSON(body)
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keep returns a buffer to the pool, unless it is unusually large.
func keep(b *bytes.Buffer) {
	if b.Cap() <= 64<<10 {
		buffers.Put(b)
	}
}

// body reads a body of a media type; it is empty where there is none.
func (x *Exchange) body(mediaType string, limit int64) (string, error) {
	asciiOnly, err := x.checkType(mediaType)
	if err != nil {
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
	_, err = b.ReadFrom(http.MaxBytesReader(x.echo.Response().Writer, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return "", tooLarge(err)
	}
	if err != nil {
		return "", Say(uma.InvalidRequest, "the body cannot be read", err)
	}
	if asciiOnly && !isASCII(b.Bytes()) {
		return "", unsupported("the charset must be utf-8: the body has characters outside ASCII")
	}
	return b.String(), nil
}

func tooLarge(err error) error {
	return &Refusal{
		Status: http.StatusRequestEntityTooLarge, Code: string(uma.InvalidRequest),
		Description: "the body is too large", cause: err,
	}
}
