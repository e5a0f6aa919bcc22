package keycloak_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// words are Keycloak's for each reason, written by hand from design §7 and the
// recorded answers.
var words = map[uma.Reason]struct {
	status            int
	code, description string
}{
	"invalid_request":            {400, "invalid_request", ""},
	"invalid_client":             {401, "invalid_client", "Invalid client or Invalid client credentials"},
	"invalid_grant":              {400, "invalid_grant", ""},
	"unauthorized_client":        {401, "unauthorized_client", ""},
	"unsupported_grant_type":     {400, "unsupported_grant_type", "Unsupported grant_type"},
	"invalid_scope":              {400, "invalid_scope", ""},
	"invalid_target":             {400, "invalid_target", "The target of the token cannot be chosen by this parameter"},
	"need_info":                  {403, "need_info", ""},
	"request_denied":             {403, "access_denied", "request_denied"},
	"request_submitted":          {403, "access_denied", "request_submitted"},
	"not_authorized":             {403, "access_denied", "not_authorized"},
	"unusable_ticket":            {403, "invalid_ticket", "Ticket verification failed"},
	"unusable_rpt":               {403, "invalid_rpt", "RPT signature is invalid"},
	"unusable_bearer":            {401, "invalid_grant", "Invalid bearer token"},
	"invalid_claim_token":        {400, "invalid_claim_token", ""},
	"unusable_identity":          {400, "unauthorized_client", "Invalid identity"},
	"public_client_claims":       {403, "invalid_grant", "Public clients are not allowed to send claims"},
	"invalid_resource":           {400, "invalid_resource", ""},
	"unusable_resource_server":   {400, "invalid_request", ""},
	"invalid_bearer_token":       {403, "invalid_bearer_token", "Could not obtain bearer access_token from request."},
	"invalid_clientId":           {403, "invalid_clientId", ""},
	"no_uma_protection":          {403, "invalid_scope", "Requires uma_protection scope."},
	"invalid_permission_request": {400, "invalid_permission_request", "Invalid permission request."},
	"invalid_resource_id":        {400, "invalid_resource_id", ""},
	"invalid_permission":         {400, "invalid_permission", ""},
	"not_authorised":             {403, "not_authorised", ""},
	"forbidden":                  {403, "forbidden", "You don't have permission to manage this resource"},
	"not_found":                  {404, "HTTP 404 Not Found", ""},
	"conflict":                   {409, "invalid_request", ""},
	"user_not_found":             {404, "user_not_found", ""},
	"ambiguous_user":             {400, "ambiguous_user", ""},
	"invalid_token":              {401, "invalid_token", "Token verification failed"},
	"insufficient_scope":         {403, "insufficient_scope", "Missing openid scope"},
	"realm_not_found":            {404, "Realm does not exist", ""},
	"realm_disabled":             {403, "access_denied", "Realm not enabled"},
	"policy_failed":              {503, "server_error", "The policy could not be evaluated"},
	"busy":                       {503, "temporarily_unavailable", "Too much is going on: try again"},
}

func TestWords(t *testing.T) {
	t.Parallel()
	for reason, want := range words {
		got := keycloak.Words(uma.Reject(reason, uma.Fault{}, nil))
		if got.Status != want.status || got.Code != want.code || got.Description != want.description {
			t.Errorf("%s: got %d %s %q, want %d %s %q", reason, got.Status, got.Code, got.Description, want.status, want.code, want.description)
		}
		if retry := want.status == 503; got.Retry != retry {
			t.Errorf("%s: got Retry %v", reason, got.Retry)
		}
		if challenge := reason == "invalid_token" || reason == "insufficient_scope"; got.Challenge != challenge {
			t.Errorf("%s: got Challenge %v", reason, got.Challenge)
		}
	}
	for _, reason := range reasons(t) {
		if _, ok := words[reason]; !ok {
			t.Errorf("%s has no words", reason)
		}
	}
}

func TestWordsOfTheError(t *testing.T) {
	t.Parallel()
	if got := keycloak.Words(wire.Say(uma.InvalidScope, "Scope [x] is invalid", nil)); got.Description != "Scope [x] is invalid" {
		t.Errorf("got %q", got.Description)
	}
	if got := keycloak.Words(wire.Say(uma.NotFound, "Resource not found", nil)); got.Description != "" {
		t.Errorf("what is not there says %q", got.Description)
	}
	e := &uma.Error{Reason: uma.NeedInfo, Ticket: "t2", RequiredClaims: []uma.RequiredClaim{{Name: "email"}}}
	if got := keycloak.Words(e); got.Ticket != "t2" || len(got.RequiredClaims) != 1 {
		t.Errorf("got %+v, want the ticket and the claims", got)
	}
	if got := keycloak.Words(wire.Say("made up", "inside", nil)); got.Status != 500 || got.Code != "server_error" {
		t.Errorf("an unknown reason: got %+v", got)
	}
}

// reasons reads from the source all that package uma declares.
func reasons(t *testing.T) []uma.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../uma/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []uma.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Reason" {
			s, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, uma.Reason(s))
		}
		return true
	})
	if len(found) < 30 {
		t.Fatalf("got only %d reasons", len(found))
	}
	return found
}
