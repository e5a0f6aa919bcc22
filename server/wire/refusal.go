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

	Challenge bool   // asks for a better bearer token (RFC 6750 §3)
	Silent    bool   // does not even ask for better credentials
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
	return uma.Refuse(uma.InvalidRequest, description, nil)
}

// A Dialect is how a face says refusals.
type Dialect struct {
	// Words returns the face's answer to a refusal of the core.
	Words func(*uma.Error) Refusal

	// Body is the JSON that says it, or nil where the status says it all; without
	// the function, that of OAuth 2.0 (RFC 6749 §5.2). The description holds nothing
	// but printable ASCII.
	Body func(*Refusal) any
}

// refusal is the one place where an error becomes an answer. Whatever is no
// *uma.Error is this server's own trouble: the log has the rest.
func refusal(words func(*uma.Error) Refusal, err error) Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return *r
	}
	if e, ok := errors.AsType[*uma.Error](err); ok {
		return words(e)
	}
	if errors.Is(err, uma.ErrBusy) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return words(uma.Refuse(uma.Busy, "", err))
	}
	for _, bound := range bounds {
		if errors.Is(err, bound.err) {
			return words(uma.Refuse(uma.InvalidRequest, bound.text, err))
		}
	}
	return Refusal{
		Status: http.StatusInternalServerError, Code: "server_error",
		Description: "The server met an unexpected condition. Its log says more.",
	}
}

// bounds are what the store refuses to read for one request.
var bounds = []struct {
	err  error
	text string
}{
	{uma.ErrVague, "Too many resources were looked at in vain: give more of the name, the type or the scope"},
	{uma.ErrTooMuch, "The request needs more of what is stored than may be read at once: ask for less at a time"},
}

type refusalBody struct {
	Error          string              `json:"error"`
	Description    string              `json:"error_description,omitempty"`
	Ticket         string              `json:"ticket,omitempty"`
	Interval       int64               `json:"interval,omitempty"` // seconds
	RequiredClaims []uma.RequiredClaim `json:"required_claims,omitempty"`
}

// Fail answers with what the face says of err. The error that it returns is that of
// answering.
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

// OAuthBody says a refusal as OAuth 2.0 does (RFC 6749 §5.2).
func OAuthBody(r *Refusal) any {
	return refusalBody{r.Code, r.Description, r.Ticket, int64(r.Interval / time.Second), r.RequiredClaims}
}

// challenge is that of RFC 6750 §3. A request without any token learns no more
// than that it needs one (§3.1).
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

// printable leaves of s what an error_description may hold, %x20-21 / %x23-5B /
// %x5D-7E (RFC 6749 §5.2), and stands in for the rest.
func printable(s string) string {
	s = strings.ReplaceAll(s, `\`, "%5C") // a slash would make another URI of one that is refused for it
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
