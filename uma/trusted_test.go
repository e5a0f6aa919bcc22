package uma

import (
	"errors"
	"strings"
	"testing"
)

// A token is good for the uses, the audiences and the clients that the realm says, and for
// nothing else.
func TestTrustedTokenClient(t *testing.T) {
	t.Parallel()
	listed := map[string]string{"guid": "app", "api-guid": "api", "none": ""}
	wild := map[string]string{"guid": "app", AnyClient: "rest"}
	app, api, rest := &Client{ID: "app"}, &Client{ID: "api"}, &Client{ID: "rest"}
	const bearer, subject, claims = UseBearer, UseSubjectToken, UseClaims
	all := []TokenUse{bearer, subject, claims}
	tests := []struct {
		name          string
		use           TokenUse
		clients       map[string]string
		change        func(*TrustedToken)
		aud           []string
		azp           string
		authenticated *Client
		want          string // empty: refused
		why           string
	}{
		{name: "a bearer for us", use: bearer, aud: []string{"other", "umpire"}, azp: "guid", want: "app"},
		{name: "a bearer of whichever client authenticated", use: bearer, aud: []string{"umpire"}, azp: "guid", authenticated: api, want: "app"},
		{name: "a bearer for another", use: bearer, aud: []string{"other"}, azp: "guid", why: "audiences"},
		{name: "a bearer for nobody", use: bearer, azp: "guid", why: "audiences"},
		{name: "a bearer by case", use: bearer, aud: []string{"Umpire"}, azp: "guid", why: "audiences"},
		{name: "a bearer with a blank", use: bearer, aud: []string{"umpire "}, azp: "guid", why: "audiences"},
		{name: "a bearer for the client itself", use: bearer, aud: []string{"guid"}, azp: "guid", authenticated: app, why: "audiences"},
		{name: "a bearer for an empty audience", use: bearer, aud: []string{""}, azp: "guid", change: func(t *TrustedToken) { t.Issuer.Audiences = []string{""} }, why: "audiences"},
		{name: "a bearer without a client", use: bearer, aud: []string{"umpire"}, why: "which client"},
		{name: "a bearer without a client, with a wildcard", use: bearer, clients: wild, aud: []string{"umpire"}, why: "which client"},
		{name: "a bearer of an unmapped client", use: bearer, aud: []string{"umpire"}, azp: "stranger", why: "not among"},
		{name: "a bearer of a client mapped to nothing", use: bearer, aud: []string{"umpire"}, azp: "none", why: "not among"},
		{name: "a bearer of any client", use: bearer, clients: wild, aud: []string{"umpire"}, azp: "stranger", want: "rest"},
		{name: "an ID token as a bearer", use: bearer, aud: []string{"umpire"}, azp: "guid", change: func(t *TrustedToken) { t.Kind = IDToken }, why: "not an access token"},
		{name: "a token of no kind as a bearer", use: bearer, aud: []string{"umpire"}, azp: "guid", change: func(t *TrustedToken) { t.Kind = "" }, why: "not an access token"},
		{name: "a key-bound token as a bearer", use: bearer, aud: []string{"umpire"}, azp: "guid", change: func(t *TrustedToken) { t.KeyBound = true }, why: "cnf"},
		{name: "a bearer where bearers are not accepted", use: bearer, aud: []string{"umpire"}, azp: "guid", change: func(t *TrustedToken) { t.Issuer.Accept = []TokenUse{claims} }, why: "accept"},
		{name: "nothing is accepted", use: bearer, aud: []string{"umpire"}, azp: "guid", change: func(t *TrustedToken) { t.Issuer.Accept = nil }, why: "accept"},
		{name: "no use", use: "", aud: []string{"umpire"}, azp: "guid", authenticated: app, why: "accept"},

		{name: "an API's own token", use: subject, aud: []string{"api-guid"}, authenticated: api, want: "api"},
		{name: "an API's own token, issued to it", use: subject, aud: []string{"api-guid"}, azp: "api-guid", authenticated: api, want: "api"},
		{name: "an API's token, issued to another", use: subject, aud: []string{"api-guid"}, azp: "guid", authenticated: api, why: "another client"},
		{name: "an API's token, shown by another", use: subject, aud: []string{"api-guid"}, authenticated: app, why: "neither"},
		{name: "an API's token, shown by nobody", use: subject, aud: []string{"api-guid"}, why: "no client"},
		{name: "an API's token, issued to a stranger", use: subject, aud: []string{"api-guid"}, azp: "stranger", authenticated: api, why: "not among"},
		{name: "a subject_token for us", use: subject, aud: []string{"umpire"}, azp: "guid", authenticated: app, want: "app"},
		{name: "a subject_token for us, of another client", use: subject, aud: []string{"umpire"}, azp: "guid", authenticated: api, why: "another client"},
		{name: "a subject_token for us, of no client", use: subject, aud: []string{"umpire"}, authenticated: app, why: "which client"},
		{name: "an ID token as a subject_token", use: subject, aud: []string{"guid"}, authenticated: app, change: func(t *TrustedToken) { t.Kind = IDToken }, want: "app"},
		{name: "a wildcard is no audience", use: subject, clients: wild, aud: []string{"some-other-api"}, authenticated: rest, why: "neither"},
		{name: "an audience is no wildcard", use: subject, clients: wild, aud: []string{AnyClient}, authenticated: rest, why: "neither"},
		{name: "the empty client id", use: subject, clients: map[string]string{"": "app"}, aud: []string{""}, authenticated: app, why: "neither"},
		{name: "a client mapped to nothing and a client without an id", use: subject, aud: []string{"none"}, azp: "none", authenticated: &Client{}, why: "not among"},

		{name: "a claim token for the client", use: claims, aud: []string{"guid"}, authenticated: app, want: "app"},
		{name: "a claim token for us", use: claims, aud: []string{"umpire"}, azp: "guid", authenticated: app, want: "app"},
		{name: "a claim token for us, of another client", use: claims, aud: []string{"umpire"}, azp: "guid", authenticated: api, why: "another client"},
		{name: "a claim token for us, of no client", use: claims, aud: []string{"umpire"}, authenticated: app, want: "app"},
		{name: "a claim token for us, beside a bearer", use: claims, aud: []string{"umpire"}, azp: "guid", want: "app"},
		{name: "a claim token for us, of no client, beside a bearer", use: claims, aud: []string{"umpire"}},
		{name: "a claim token for a client, beside a bearer", use: claims, aud: []string{"guid"}, azp: "guid", why: "neither"},
		{name: "a key-bound token as a claim token", use: claims, aud: []string{"umpire"}, azp: "guid", change: func(t *TrustedToken) { t.KeyBound = true }, want: "app"},
		{name: "a claim token for nobody", use: claims, authenticated: app, why: "neither"},
		{name: "claims where only bearers are accepted", use: claims, aud: []string{"umpire"}, authenticated: app, change: func(t *TrustedToken) { t.Issuer.Accept = []TokenUse{bearer, subject} }, why: "accept"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			token := &TrustedToken{
				Issuer: &TrustedIssuer{Alias: "example", Audiences: []string{"umpire"}, Clients: listed, Accept: all},
				Kind:   AccessToken, Audience: test.aud, ClientID: test.azp,
			}
			if test.clients != nil {
				token.Issuer.Clients = test.clients
			}
			if test.change != nil {
				test.change(token)
			}
			got, err := token.Client(test.use, test.authenticated)
			if got != test.want || (err == nil) != (test.why == "") {
				t.Fatalf("got %q, %v, want %q", got, err, test.want)
			}
			if err == nil {
				return
			}
			refused, ok := errors.AsType[*TrustError](err)
			if !ok || !errors.Is(err, ErrUnverified) || refused.Issuer != "example" || !strings.Contains(refused.Why, test.why) {
				t.Errorf("got %v, want one about %q", err, test.why)
			}
		})
	}
}
