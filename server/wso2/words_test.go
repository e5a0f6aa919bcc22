package wso2

import (
	"encoding/json"
	"fmt"
	"testing"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// TestWords: each endpoint's words where they are not those of the specifications.
func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		reason uma.Reason
		want   string
	}{
		{"permission", uma.InvalidScope, `400 invalid_resource_scope`},
		{"permission", uma.InvalidResourceID, `400 invalid_resource_id`},
		{"permission", uma.NoPAT, `401 invalid_token`},
		{"registration", uma.InvalidScope, `400 {"code":"invalid_scope","description":"Bad Request"}`},
		{"registration", uma.Conflict, `409 {"code":"conflict","description":"Conflict"}`},
		{"registration", uma.NotFound, `404 {"code":"not_found","description":"Not Found"}`},
		{"registration", uma.Forbidden, `404 {"code":"not_found","description":"Not Found"}`},
		{"registration", uma.NoPAT, `401 {"code":"invalid_token","description":"Unauthorized"}`},
		{"registration", uma.NoProtectionScope, `403 {"code":"insufficient_scope","description":"The token lacks the scope uma_protection"}`},
		{"token", uma.InvalidScope, `400 invalid_scope`},
		{"token", uma.UnusableTicket, `400 invalid_grant`},
	}
	for _, tc := range tests {
		d := map[string]wire.Dialect{"permission": PermissionDialect, "token": Dialect, "registration": RegistrationDialect}[tc.name]
		r := d.Words(uma.Reject(tc.reason, uma.Fault{}, nil))
		got := fmt.Sprint(r.Status, " ", r.Code)
		if d.Body != nil {
			body, err := json.Marshal(d.Body(&r))
			if err != nil {
				t.Fatal(err)
			}
			got = fmt.Sprint(r.Status, " ", string(body))
		}
		if got != tc.want {
			t.Errorf("%s: %s: got %s, want %s", tc.name, tc.reason, got, tc.want)
		}
	}
}
