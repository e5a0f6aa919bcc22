package legacy

import (
	"errors"
	"testing"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

func TestTakesJSON(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"": true, "*/*": true, "application/json": true, "Application/JSON; charset=utf-8": true, "application/*;q=0.1": true,
		"text/html, */*;q=0.8": true, "text/html": false, "text/html, application/json;q=0": false, "application/json; q=0.000": false,
		"application/jsonp": false, "text/*": false, ",": false,
	} {
		if got := takesJSON(accept); got != want {
			t.Errorf("%q: got %v, want %v", accept, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	words := map[uma.Reason]struct {
		status int
		code   string
	}{
		"request_denied": {403, "not_authorized"}, "not_authorized": {403, "not_authorized"}, "request_submitted": {403, "not_authorized"},
		"unusable_ticket": {403, "invalid_ticket"}, "unusable_rpt": {403, "invalid_rpt"}, "unusable_bearer": {403, "invalid_bearer_token"},
		"invalid_bearer_token": {403, "invalid_bearer_token"}, "invalid_resource": {403, "invalid_resource"},
		"insufficient_scope": {403, "invalid_scope"}, "unusable_resource_server": {400, "invalid_clientId"},
		"invalid_clientId": {403, "invalid_clientId"}, "no_uma_protection": {403, "invalid_scope"}, "invalid_scope": {400, "invalid_scope"},
		"invalid_resource_id": {400, "invalid_resource_id"}, "invalid_request": {400, "invalid_request"},
		"policy_failed": {503, "server_error"}, "busy": {503, "temporarily_unavailable"}, "made up": {500, "server_error"},
	}
	for reason, want := range words {
		if got := Words(uma.Reject(reason, uma.Fault{}, nil)); got.Status != want.status || got.Code != want.code || got.Challenge {
			t.Errorf("%s: got %d %s, want %d %s", reason, got.Status, got.Code, want.status, want.code)
		}
	}
}

// What is wrong with the resource of a permission request has codes of its own.
func TestWordsOfFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		reason            uma.Reason
		fault             uma.Fault
		status            int
		code, description string
	}{
		{uma.InvalidResourceID, uma.Fault{Kind: uma.NoResourceNamed}, 400, "invalid_resource_set_id", "Resource id or name not provided."},
		{uma.InvalidResourceID, uma.Fault{Kind: uma.ResourceNotRegistered, Resource: "x"}, 400, "nonexistent_resource_set_id", "Resource set with id[x] does not exists in this server."},
		{uma.InvalidResourceID, uma.Fault{Kind: uma.ResourceNameUnknown, Name: "x"}, 400, "nonexistent_resource_set_name", "Resource set with name[x] does not exists in this server."},
		{uma.NotAResourceServer, uma.Fault{Kind: uma.NotResourceServer, Client: "app"}, 403, "invalid_clientId", "Client application [app] is not registered as resource server."},
		{uma.ResourceServerBad, uma.Fault{Kind: uma.NotServiceAccount, User: "u", Name: "photoz"}, 400, "invalid_clientId", "Client application with id [u] does not exist in realm [photoz]"},
	} {
		got := Words(uma.Reject(tc.reason, tc.fault, nil))
		if got.Status != tc.status || got.Code != tc.code || got.Description != tc.description {
			t.Errorf("%s: got %d %s %q, want %d %s %q", tc.fault, got.Status, got.Code, got.Description, tc.status, tc.code, tc.description)
		}
	}
}

// FuzzParse: every body ends in a request or in a refusal with a status of 4xx.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"ticket":"t","rpt":"r","metadata":{"include_resource_name":false,"limit":1}}`,
		`{"permissions":[{"resource_set_id":"x","resource_set_name":"y","scopes":["view"]},{"scopes":[]}]}`,
		`{"permissions":null}`, `[]`, `{"metadata":{"limit":1e99}}`, `{"rpt":""}`, ``, `{`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		body, err := wire.ParseJSON(text)
		if err == nil {
			_, err = parseCommon(body)
		}
		if err == nil {
			_, err = parseEntitlements(body)
		}
		if err == nil {
			_, err = parsePermission(body)
		}
		refusal, isRefusal := errors.AsType[*wire.Refusal](err)
		e, isError := errors.AsType[*uma.Error](err)
		switch {
		case err == nil:
		case isError:
			if got := Words(e); got.Status/100 != 4 {
				t.Errorf("%q: got %d %s", text, got.Status, got.Code)
			}
		case !isRefusal || refusal.Status/100 != 4:
			t.Errorf("%q: got %v", text, err)
		}
	})
}
