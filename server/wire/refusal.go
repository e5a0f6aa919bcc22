package wire

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// A Refusal is an answer that is not what the client asked for: the status and
// the words of a face. As an error it stands for what HTTP itself refuses, such
// as a method or a body that is too large, alike in every face.
type Refusal struct {
	Status         int
	Code           string // `error`
	Description    string
	Ticket         string
	Interval       time.Duration // to wait before the ticket is presented
	RequiredClaims []uma.RequiredClaim

	Challenge bool   // with a Bearer challenge in WWW-Authenticate (RFC 6750 §3)
	Silent    bool   // without WWW-Authenticate, also after Basic credentials
	Scope     string // that the bearer token lacks
	Retry     bool   // the client may try again soon

	After time.Duration // to wait with Retry; 0: a second

	cause error
}

func (r *Refusal) Error() string {
	s := r.Code + ": " + r.Description
	if r.cause != nil {
		s += ": " + r.cause.Error()
	}
	return s
}

func (r *Refusal) Unwrap() error { return r.cause }

// Invalid refuses a request that is malformed.
func Invalid(description string) error {
	return Say(uma.InvalidRequest, description, nil)
}

// A Dialect is how a face answers refusals.
type Dialect struct {
	// Words returns the face's answer to a refusal of the core.
	Words func(*uma.Error) Refusal

	// Body returns the JSON body, or nil for none. A nil Body is OAuthBody. The description
	// has only printable ASCII characters.
	Body func(*Refusal) any
}

// refusal turns an error into an answer, for all handlers. An error of another type than
// those here is a failure of this server: the client gets a fixed text, the log the error.
func refusal(words func(*uma.Error) Refusal, err error) Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return *r
	}
	if e, ok := errors.AsType[*uma.Error](err); ok {
		return words(e)
	}
	if errors.Is(err, uma.ErrBusy) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return words(uma.Reject(uma.Busy, uma.Fault{}, err))
	}
	if errors.Is(err, uma.ErrKeysMissing) {
		r := words(uma.Reject(uma.Busy, uma.Fault{Kind: uma.IssuerKeysMissing}, err))
		r.After = keysAfter
		return r
	}
	for _, bound := range bounds {
		if errors.Is(err, bound.err) {
			return words(Say(uma.InvalidRequest, bound.text, err))
		}
	}
	return Refusal{
		Status: http.StatusInternalServerError, Code: "server_error",
		Description: "The server met an unexpected condition. Its log says more.",
	}
}

// keysAfter is when keys that could not be fetched are tried again.
const keysAfter = 5 * time.Second

// bounds are what the store refuses to read for one request.
var bounds = []struct {
	err  error
	text string
}{
	{uma.ErrVague, "Too many resources were searched without a match: give a longer part of the name, the type or the scope"},
	{uma.ErrTooMuch, "The request reads more rows than one request may: ask for less at a time"},
}

type refusalBody struct {
	Error          string              `json:"error"`
	Description    string              `json:"error_description,omitempty"`
	Ticket         string              `json:"ticket,omitempty"`
	Interval       int64               `json:"interval,omitempty"` // seconds
	RequiredClaims []uma.RequiredClaim `json:"required_claims,omitempty"`
}

// Fail answers with the refusal that the face has for err. It returns an error if the answer
// cannot be written.
func (x *Exchange) Fail(err error) error {
	r := refusal(x.dialect.Words, err)
	r.Code = withoutSecrets(r.Code, maxTold) // Keycloak has the name of a policy there
	x.refused = r.Code
	r.Description = printable(withoutSecrets(r.Description, maxTold))
	h := x.Header()
	if r.Retry {
		h["Retry-After"] = []string{strconv.Itoa(max(1, int(math.Ceil(r.After.Seconds()))))}
	}
	switch {
	case r.Challenge:
		h["Www-Authenticate"] = []string{x.challenge(r)}
	case r.Status == http.StatusUnauthorized && x.triedBasic && !r.Silent:
		h["Www-Authenticate"] = []string{`Basic realm="` + x.realmName() + `"`} // RFC 6749 §5.2
	}
	if r.Status == http.StatusRequestEntityTooLarge || r.Status == http.StatusUnsupportedMediaType {
		h["Connection"] = closing // rather than read the rest
	}
	say := OAuthBody
	if x.dialect.Body != nil {
		say = x.dialect.Body
	}
	if body := say(&r); body != nil {
		return x.JSON(r.Status, body)
	}
	return x.Empty(r.Status)
}

// OAuthBody returns the body of a refusal in OAuth 2.0 (RFC 6749 §5.2).
func OAuthBody(r *Refusal) any {
	return refusalBody{r.Code, r.Description, r.Ticket, int64(r.Interval / time.Second), r.RequiredClaims}
}

// challenge returns the Bearer challenge of RFC 6750 §3. For a request without a token it has
// no error code (§3.1).
func (x *Exchange) challenge(r Refusal) string {
	s := `Bearer realm="` + x.realmName() + `"`
	if !x.Caller.HasBearer {
		return s
	}
	s += `, error="` + r.Code + `"`
	if r.Description != "" {
		s += `, error_description="` + r.Description + `"`
	}
	if r.Scope != "" {
		s += `, scope="` + r.Scope + `"`
	}
	return s
}

func (x *Exchange) realmName() string {
	if x.Realm == nil {
		return ""
	}
	return printable(x.Realm.Realm.Name)
}

// printable replaces the characters that an error_description may not have: those outside
// %x20-21 / %x23-5B / %x5D-7E (RFC 6749 §5.2).
func printable(s string) string {
	s = strings.ReplaceAll(s, `\`, "%5C") // not "/": the text may quote a URI that is refused for its backslash
	clean := func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}
	return strings.Map(clean, s)
}
