package uma2_test

import (
	"os"
	"regexp"
	"testing"
	"time"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// words are those of the specifications for each reason, written by hand from UMA
// Grant §3.3.6, FedAuthz §3.2, §4.3 and §6, RFC 6749 §5.2 and RFC 6750 §3.1.
var words = map[uma.Reason]struct {
	status            int
	code, description string
}{
	"invalid_request":            {400, "invalid_request", ""},
	"invalid_client":             {401, "invalid_client", "Client authentication failed"},
	"invalid_grant":              {400, "invalid_grant", ""},
	"unauthorized_client":        {400, "unauthorized_client", ""},
	"unsupported_grant_type":     {400, "unsupported_grant_type", ""},
	"invalid_scope":              {400, "invalid_scope", ""},
	"invalid_target":             {400, "invalid_target", "The target of the token cannot be chosen by this parameter"},
	"need_info":                  {403, "need_info", ""},
	"request_denied":             {403, "request_denied", ""},
	"request_submitted":          {403, "request_submitted", ""},
	"not_authorized":             {403, "request_denied", ""},
	"unusable_ticket":            {400, "invalid_grant", ""},
	"unusable_rpt":               {400, "invalid_grant", "The rpt cannot be upgraded"},
	"unusable_bearer":            {401, "invalid_token", ""},
	"invalid_claim_token":        {400, "invalid_grant", ""},
	"unusable_identity":          {400, "invalid_grant", "The identity that the token is about is not good"},
	"public_client_claims":       {403, "unauthorized_client", "Public clients may not push claims"},
	"invalid_resource":           {400, "invalid_resource_id", ""},
	"unusable_resource_server":   {400, "invalid_request", "The request has no ticket, and its audience is no resource server"},
	"invalid_bearer_token":       {401, "invalid_token", ""},
	"invalid_clientId":           {403, "insufficient_scope", ""},
	"no_uma_protection":          {403, "insufficient_scope", "The token lacks the scope uma_protection"},
	"invalid_permission_request": {400, "invalid_request", "The body must be a permission or an array of them"},
	"invalid_resource_id":        {400, "invalid_resource_id", ""},
	"invalid_permission":         {400, "invalid_request", ""},
	"not_authorised":             {403, "access_denied", ""},
	"forbidden":                  {404, "not_found", ""},
	"not_found":                  {404, "not_found", ""},
	"conflict":                   {400, "invalid_request", ""},
	"user_not_found":             {404, "not_found", ""},
	"ambiguous_user":             {400, "invalid_request", ""},
	"invalid_token":              {401, "invalid_token", ""},
	"insufficient_scope":         {403, "insufficient_scope", ""},
	"realm_not_found":            {404, "not_found", "There is no such realm"},
	"realm_disabled":             {403, "access_denied", "The realm is disabled"},
	"policy_failed":              {503, "server_error", "The policy could not be evaluated"},
	"busy":                       {503, "temporarily_unavailable", "Too much is going on: try again"},
}

func TestWords(t *testing.T) {
	t.Parallel()
	for reason, want := range words {
		got := uma2.Words(uma.Reject(reason, uma.Fault{}, nil))
		if got.Status != want.status || got.Code != want.code || got.Description != want.description {
			t.Errorf("%s: got %d %s %q, want %d %s %q", reason, got.Status, got.Code, got.Description, want.status, want.code, want.description)
		}
		if retry := want.status == 503; got.Retry != retry {
			t.Errorf("%s: got Retry %v", reason, got.Retry)
		}
		if challenge := want.code == "invalid_token" || want.code == "insufficient_scope"; got.Challenge != challenge {
			t.Errorf("%s: got Challenge %v", reason, got.Challenge)
		}
	}
	if got := uma2.Words(wire.Say("made up", "inside", nil)); got.Status != 500 || got.Code != "server_error" {
		t.Errorf("an unknown reason: got %+v", got)
	}
}

// Every reason that package uma declares has words.
func TestWordsAreComplete(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../uma/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^\t\w+ +Reason = "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	if len(declared) < len(words) {
		t.Errorf("got only %d reasons", len(declared))
	}
	for _, m := range declared {
		if _, ok := words[uma.Reason(m[1])]; !ok {
			t.Errorf("%s has no words", m[1])
		}
	}
}

func TestWordsOfTheError(t *testing.T) {
	t.Parallel()
	if got := uma2.Words(wire.Say(uma.InvalidScope, "no such scope", nil)); got.Description != "no such scope" {
		t.Errorf("got %q", got.Description)
	}
	for _, reason := range []uma.Reason{uma.NotFound, uma.Forbidden, uma.RealmNotFound} {
		if got := uma2.Words(wire.Say(reason, "of somebody else", nil)); got.Description != words[reason].description {
			t.Errorf("%s says %q", reason, got.Description)
		}
	}
	for _, reason := range []uma.Reason{uma.NoProtectionScope, uma.NotAResourceServer} {
		if got := uma2.Words(uma.Reject(reason, uma.Fault{}, nil)); got.Scope != "uma_protection" {
			t.Errorf("%s: got scope %q", reason, got.Scope)
		}
	}
	e := &uma.Error{Reason: uma.Submitted, Ticket: "t2", Interval: 5 * time.Second, RequiredClaims: []uma.RequiredClaim{{Name: "email"}}}
	if got := uma2.Words(e); got.Ticket != "t2" || got.Interval != 5*time.Second || len(got.RequiredClaims) != 1 {
		t.Errorf("got %+v, want ticket, interval and claims", got)
	}
}
