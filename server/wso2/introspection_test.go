package wso2

import (
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// TestUserType: whose token introspection says that it is.
func TestUserType(t *testing.T) {
	t.Parallel()
	of := uma.SubjectIDOf("https://i.example", "dana")
	for name, tc := range map[string]struct {
		claims uma.Claims
		want   string
	}{
		"a user's":                             {uma.Claims{SessionID: "s"}, "APPLICATION_USER"},
		"a service account's":                  {uma.Claims{}, "APPLICATION"},
		"a party's of a trusted issuer":        {uma.Claims{SubjectID: of}, "APPLICATION_USER"},
		"an application's of a trusted issuer": {uma.Claims{SubjectID: of, Application: true}, "APPLICATION"},
	} {
		got, ok := ShowIntrospection(&party.Introspection{Active: true, Claims: &tc.claims}).(introspected)
		if !ok || got.UserType != tc.want {
			t.Errorf("%s: got %+v, want %s", name, got, tc.want)
		}
	}
}
