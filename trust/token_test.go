package trust

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"example.com/umpire/uma"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	for _, c := range []struct{ kid, alg string }{{"rsa", "RS256"}, {"rs256", "RS256"}, {"ec", "ES256"}, {"ec384", "ES384"}, {"ed", "EdDSA"}} {
		raw := s.token(t, c.kid, c.alg, map[string]any{
			"aud": []string{"umpire", "x"}, "preferred_username": "alice", "email": "Alice@Example.COM", "acr": "2", "auth_time": 5,
			"realm_access": map[string]any{"roles": []string{"b", "a", "b", "api/admin", "uma_protection"}},
			"license":      "L1", "limit": json.Number("3.50"), "secret": "kept",
			"https://example.com/org": map[string]any{"dept": []string{"x"}},
		})
		for range 2 { // from the cache, too
			got, err := s.Verify(t.Context(), s.snap, raw)
			if err != nil {
				t.Fatalf("%s: %v", c.alg, err)
			}
			want := &uma.TrustedToken{
				Issuer: s.issuer, Kind: uma.AccessToken, Subject: "u1", ClientID: "guid", Audience: []string{"umpire", "x"},
				Username: "alice", Email: "alice@example.com", EmailVerified: true, Roles: []string{"a", "b"}, ACR: "2", AuthTime: 5,
				Attributes: map[string]any{"department": []any{"x"}},
				Claims:     map[string]any{"license": "L1", "limit": json.Number("3.50")},
				JWTID:      "j", IssuedAt: s.now.Unix() - 10, Expires: s.now.Unix() + 300,
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v\nwant %+v", c.alg, got, want)
			}
		}
	}
	if _, err := s.Verify(t.Context(), s.snap, s.token(t, "ed", "EdDSA", map[string]any{"iss": "https://other.example.com"})); err != nil {
		t.Errorf("the other issuer's: %v", err)
	}
}

// refused returns the reason why a token is not believed.
func refused(t *testing.T, err error) *uma.TrustError {
	t.Helper()
	e, ok := errors.AsType[*uma.TrustError](err)
	if !ok || !errors.Is(err, uma.ErrUnverified) {
		t.Fatalf("got %v, want a *uma.TrustError", err)
	}
	return e
}
