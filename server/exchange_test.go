package server

import (
	"net/url"
	"testing"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// FuzzExchange: whatever the form, there is a request for an exchange of one non-empty token of
// a known kind, or a refusal. Parameters that narrow it or name an actor are never ignored.
func FuzzExchange(f *testing.F) {
	for _, seed := range []string{
		"subject_token=a.b.c&subject_token_type=" + url.QueryEscape(typeAccessToken),
		"subject_token=a.b.c&subject_token_type=" + url.QueryEscape(typeIDToken) + "&scope=openid",
		"subject_token=a.b.c&subject_token_type=" + url.QueryEscape(typeJWT) + "&requested_token_type=" + url.QueryEscape(typeAccessToken),
		"subject_token=a&subject_token_type=x&actor_token=b",
		"subject_token=a&subject_token_type=" + url.QueryEscape(typeJWT) + "&audience=",
		"subject_token=&subject_token_type=" + url.QueryEscape(typeJWT),
		"subject_token=a&requested_token_type=&subject_token_type=" + url.QueryEscape(typeJWT),
		"resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := wire.ParseForm(body)
		if err != nil {
			return
		}
		x, err := parseExchange(form)
		if (x == nil) == (err == nil) {
			t.Fatalf("got %v and %v", x, err)
		}
		if err != nil {
			return
		}
		if x.SubjectToken == "" || x.Kind != "" && x.Kind != uma.AccessToken && x.Kind != uma.IDToken {
			t.Errorf("got %+v", x)
		}
		for _, name := range []string{"actor_token", "actor_token_type", "audience", "resource"} {
			if form.Has(name) {
				t.Errorf("%s was ignored", name)
			}
		}
	})
}
