package pingam

import (
	"encoding/json"
	"testing"
	"time"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// TestWords: PingAM's descriptions where it has some, the codes of the
// specifications.
func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		reason      uma.Reason
		status      int
		code        string
		description string
	}{
		{uma.UnusableTicket, 400, "invalid_grant", "The provided access grant is invalid, expired, or revoked."},
		{uma.Submitted, 403, "request_submitted", "The client is not authorised to access the requested resource set. A request has been submitted to the resource owner requesting access to the resource"},
		{uma.Denied, 403, "request_denied", ""},
		{uma.NeedInfo, 403, "need_info", ""},
		{uma.NoPAT, 401, "invalid_token", ""},
		{uma.NoProtectionScope, 403, "insufficient_scope", "The token lacks the scope uma_protection"},
	}
	for _, tc := range tests {
		e := uma.Reject(tc.reason, uma.Fault{}, nil)
		e.Ticket, e.Interval = "next", time.Minute
		got := words(e)
		if got.Status != tc.status || got.Code != tc.code || got.Description != tc.description {
			t.Errorf("%s: got %d %s %q, want %d %s %q", tc.reason, got.Status, got.Code, got.Description, tc.status, tc.code, tc.description)
		}
		if got.Ticket != "next" || got.Interval != time.Minute {
			t.Errorf("%s: got ticket %q, interval %v, want what the error has", tc.reason, got.Ticket, got.Interval)
		}
	}
}

// TestErrorBody: the /json endpoints say errors as PingAM's REST does.
func TestErrorBody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		refusal wire.Refusal
		want    string
	}{
		{jsonWords(uma.Reject(uma.InvalidToken, uma.Fault{}, nil)), `{"code":401,"reason":"Unauthorized","message":"Access Denied"}`},
		{jsonWords(wire.Say(uma.InsufficientScope, "no user", nil)), `{"code":403,"reason":"Forbidden","message":"no user"}`},
		{jsonWords(wire.Say(uma.Conflict, "too late", nil)), `{"code":409,"reason":"Conflict","message":"too late"}`},
		{jsonWords(uma.Reject(uma.UnknownUser, uma.Fault{}, nil)), `{"code":400,"reason":"Bad Request","message":"There is no such user"}`},
		{jsonWords(wire.Say(uma.InvalidScope, "Scope [x] is invalid", nil)), `{"code":400,"reason":"Bad Request","message":"Scope [x] is invalid"}`},
		{jsonWords(uma.Reject(uma.Busy, uma.Fault{}, nil)), `{"code":503,"reason":"Service Unavailable","message":"Too much is going on: try again"}`},
		{wire.Refusal{Status: 405, Code: "unsupported_method_type"}, `{"code":405,"reason":"Method Not Allowed","message":"Method Not Allowed"}`},
	}
	for _, tc := range tests {
		got, err := json.Marshal(showError(&tc.refusal))
		if err != nil || string(got) != tc.want {
			t.Errorf("got %s, %v, want %s", got, err, tc.want)
		}
	}
}
