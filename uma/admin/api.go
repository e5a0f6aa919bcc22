package admin

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"example.com/umpire/uma"
)

// An Operation is an endpoint of the admin API.
type Operation struct {
	Name    string // in records of uses, the log and metrics: such as policy activate
	Method  string
	Path    string // below that of the realm; a segment may be :id
	Right   uma.AdminRight
	Params  []string      // of the query; others are refused
	Body    int64         // bytes that a body may have; 0: it takes none
	Timeout time.Duration // 0: ten seconds
	Stream  bool          // the answer is JSON lines, of which the result of Run is the last

	// Run returns the answer, which is encoded as JSON.
	Run func(ctx context.Context, c *Call) (any, error)
}

// A Call is a request for an operation. Its token is for the realm and has the right.
type Call struct {
	Token *uma.AdminToken
	Realm string
	ID    string // the segment :id of the path
	Query url.Values
	Body  io.Reader // the body, as far as it is allowed; nil without one

	Send func(line any) error // sends a line of a stream before the last

	// Run sets these: what the record of the use says, and the value of the parameter before
	// with which the next page of a list is read.
	Detail string
	Next   string
}

// An ErrorCode says why an operation did not succeed.
type ErrorCode string

// The codes.
const (
	InvalidRequest ErrorCode = "invalid_request"    // also a name that means nothing
	NotFound       ErrorCode = "not_found"          // of what the path names
	Refused        ErrorCode = "refused"            // a policy does not pass
	Conflict       ErrorCode = "conflict"           // another policy was activated meanwhile
	Busy           ErrorCode = "busy"               // try again later
	Canceled       ErrorCode = "canceled"           // the client is gone
	Unauthorized   ErrorCode = "unauthorized"       // no token, or one that is not known or has ended
	Forbidden      ErrorCode = "insufficient_right" // the token is for another realm, or may not
	TooLarge       ErrorCode = "too_large"
	TooMany        ErrorCode = "too_many_requests"
	Failed         ErrorCode = "server_error"
)

// An Error is why an operation did not succeed, in words for the caller.
type Error struct {
	Code    ErrorCode `json:"error"`
	Param   string    `json:"parameter,omitempty"` // that is wrong; of a command the flag
	Message string    `json:"message"`
}

// Errorf returns an error with a code.
func Errorf(code ErrorCode, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid returns an error about a parameter.
func Invalid(param, format string, args ...any) error {
	return &Error{Code: InvalidRequest, Param: param, Message: fmt.Sprintf(format, args...)}
}

// Error has a parameter as the flag of a command.
func (e *Error) Error() string {
	if e.Param != "" {
		return "--" + e.Param + ": " + e.Message
	}
	return e.Message
}
