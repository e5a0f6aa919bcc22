package uma

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// No token of one use is good for another, and a token is good for a client only if the realm
// file says that it is one of that client, or for that client.
func TestUsesOfTrustedTokens(t *testing.T) {
	t.Parallel()
	uses := []TokenUse{UseBearer, UseSubjectToken, UseClaims}
	rapid.Check(t, func(r *rapid.T) {
		ids := rapid.SampledFrom([]string{"", "guid", "api-guid", "stranger", AnyClient, "umpire"})
		clients := rapid.SampledFrom([]string{"app", "api", ""})
		issuer := &TrustedIssuer{
			Alias: "example", Clients: rapid.MapOf(ids, clients).Draw(r, "clients"),
			Audiences: rapid.SliceOf(rapid.SampledFrom([]string{"umpire", "other", ""})).Draw(r, "audiences"),
			Accept:    rapid.SliceOf(rapid.SampledFrom(uses)).Draw(r, "accept"),
		}
		token := &TrustedToken{
			Issuer: issuer, Kind: rapid.SampledFrom([]TokenKind{AccessToken, IDToken, ""}).Draw(r, "kind"), KeyBound: rapid.Bool().Draw(r, "bound"),
			ClientID: ids.Draw(r, "azp"), Audience: rapid.SliceOf(ids).Draw(r, "aud"),
		}
		var authenticated *Client
		if id := rapid.SampledFrom([]string{"", "app", "api"}).Draw(r, "authenticated"); id != "" {
			authenticated = &Client{ID: id}
		}
		for _, use := range uses {
			got, err := token.Client(use, authenticated)
			if err != nil {
				if got != "" {
					r.Fatalf("%s: got %q with %v", use, got, err)
				}
				continue
			}
			forUs := slices.ContainsFunc(token.Audience, func(a string) bool { return a != "" && slices.Contains(issuer.Audiences, a) })
			ours, listed := issuer.Clients[token.ClientID]
			if !listed {
				ours = issuer.Clients[AnyClient]
			}
			switch {
			case !slices.Contains(issuer.Accept, use):
				r.Fatalf("%s is not accepted", use)
			case token.ClientID != "" && ours != got:
				r.Fatalf("%s: got %q, the token was issued to %q", use, got, ours)
			case use == UseBearer && (token.Kind != AccessToken || token.KeyBound || !forUs || got == ""):
				r.Fatalf("got %q as a bearer", got)
			case use != UseBearer && authenticated != nil && got != authenticated.ID:
				r.Fatalf("%s: got %q, authenticated as %q", use, got, authenticated.ID)
			case use == UseSubjectToken && authenticated == nil:
				r.Fatal("a subject_token of nobody")
			}
			if !forUs && (authenticated == nil || !slices.ContainsFunc(token.Audience, func(a string) bool { return a != "" && a != AnyClient && issuer.Clients[a] == authenticated.ID })) {
				r.Fatalf("%s: is for neither of us", use)
			}
		}
	})
}
