package trust

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/umpire/recent"
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

// The times of a token count whenever it is presented, also from the cache.
func TestTimes(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	start := s.now
	raw := s.token(t, "ed", "EdDSA", map[string]any{"iat": start.Unix(), "nbf": start.Unix() + 60, "exp": start.Unix() + 300})
	fractions := s.token(t, "ed", "EdDSA", map[string]any{"iat": json.Number("0"), "exp": json.Number("1.7959536019e9")})
	for _, at := range []struct {
		after time.Duration
		why   error
	}{
		{0, errTooEarly}, {29 * time.Second, errTooEarly}, {30 * time.Second, nil},
		{299 * time.Second, nil}, {300 * time.Second, errExpired}, {time.Hour, errExpired}, {29 * time.Second, errTooEarly},
	} {
		s.now = start.Add(at.after)
		_, err := s.Verify(t.Context(), s.snap, raw)
		switch {
		case at.why == nil && err != nil:
			t.Errorf("after %s: %v", at.after, err)
		case at.why != nil:
			if e := refused(t, err); e.Why != at.why.Error() {
				t.Errorf("after %s: got %v, want %v", at.after, e, at.why)
			}
		}
	}
	s.now = start
	got, err := s.Verify(t.Context(), s.snap, fractions)
	if err != nil || got.Expires != 1795953601 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// What was verified is gone with the key, with the settings by which it was, and is not there
// for another realm.
func TestCacheForgets(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	raw := s.token(t, "ed", "EdDSA", nil)
	verify := func(snap *uma.Snapshot) error {
		got, err := s.Verify(t.Context(), snap, raw)
		if err == nil {
			got.Subject, got.Audience = "changed by its reader", nil
		}
		return err
	}
	for range 2 {
		if err := verify(s.snap); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Verify(t.Context(), s.snap, raw); err != nil || got.Subject != "u1" || got.Audience[0] != "umpire" {
		t.Errorf("got %+v, %v", got, err)
	}
	change := func(f func(r *uma.Realm, i *uma.TrustedIssuer)) *uma.Snapshot {
		realm := s.snap.Realm
		realm.Issuers = []uma.TrustedIssuer{*s.issuer}
		f(&realm, &realm.Issuers[0])
		return uma.NewSnapshot(realm, nil, nil)
	}
	for name, snap := range map[string]*uma.Snapshot{
		"its key is gone": change(func(_ *uma.Realm, i *uma.TrustedIssuer) { i.JWKS = s.jwks(t, "rsa", "ec") }),
		"another key has its kid": change(func(_ *uma.Realm, i *uma.TrustedIssuer) {
			i.JWKS = []byte(`{"keys":[` + publicJWK(t, ed2Key, "ed") + `]}`)
		}),
		"its issuer is gone":        change(func(r *uma.Realm, _ *uma.TrustedIssuer) { r.Generation++; r.Issuers = nil }),
		"its algorithm is gone":     change(func(r *uma.Realm, i *uma.TrustedIssuer) { r.Generation++; i.Algorithms = []string{"RS256"} }),
		"the realm requires more":   change(func(r *uma.Realm, i *uma.TrustedIssuer) { r.Generation++; i.Require = map[string]any{"tid": "x"} }),
		"another realm":             change(func(r *uma.Realm, i *uma.TrustedIssuer) { r.Key, i.Issuer = 2, "https://x.example" }),
		"another realm, other keys": change(func(r *uma.Realm, i *uma.TrustedIssuer) { r.Key, i.JWKS = 2, s.jwks(t, "rsa") }),
	} {
		if err := verify(snap); err == nil {
			t.Errorf("%s: is believed", name)
		}
		if err := verify(s.snap); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	mapped := change(func(r *uma.Realm, i *uma.TrustedIssuer) {
		r.Generation++
		i.Map.Subject.AccessToken = uma.ClaimPath{"jti"}
	})
	if got, err := s.Verify(t.Context(), mapped, raw); err != nil || got.Subject != "j" {
		t.Errorf("with another map: got %+v, %v", got, err)
	}
}

// A key that the issuer withdraws ends its tokens, cached or not.
func TestWithdrawnKeyEndsTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.Map.Subject.AccessToken = uma.ClaimPath{"sub"}
	payload, err := json.Marshal(map[string]any{"iss": w.issuer.Issuer, "sub": "u", "exp": w.Now().Add(48 * time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	raw := signText(t, rsaKey, "RS256", headerText("RS256", "first", "at+jwt"), string(payload))
	for range 2 {
		if _, err := w.Verify(t.Context(), w.snap, raw); err != nil {
			t.Fatal(err)
		}
	}
	w.rotate(t, "second", otherKey)
	w.advance(time.Hour)
	w.Refresh(t.Context())
	_, err = w.Verify(t.Context(), w.snap, raw)
	refused(t, err)
	// The same id for another key brings nothing back.
	w.rotate(t, "first", otherKey)
	w.advance(time.Hour)
	w.Refresh(t.Context())
	_, err = w.Verify(t.Context(), w.snap, raw)
	if e := refused(t, err); e.Why != errSignature.Error() {
		t.Errorf("got %v", e)
	}
}

// A token whose keys were never had is not refused: a client may try again.
func TestKeysMissing(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	s.issuer.JWKS, s.issuer.JWKSURI, s.issuer.AllowPrivate = nil, "http://127.0.0.1:1/keys", true
	_, err := s.Verify(t.Context(), s.snap, s.token(t, "ed", "EdDSA", nil))
	if !errors.Is(err, uma.ErrKeysMissing) || errors.Is(err, uma.ErrUnverified) {
		t.Errorf("got %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	big := s.token(t, "ed", "EdDSA", map[string]any{"big": strings.Repeat("x", maxCached)})
	if _, err := s.Verify(t.Context(), s.snap, big); err != nil || s.cache().Len() != 0 {
		t.Errorf("remembers a big token, or %v", err)
	}
	largest := s.token(t, "ed", "EdDSA", map[string]any{"big": strings.Repeat("x", 48_700)})
	if _, err := s.Verify(t.Context(), s.snap, largest); err != nil || len(largest) > maxToken {
		t.Errorf("a token of %d bytes: %v", len(largest), err)
	}
	s.verified = recent.New[tokenID, *verifiedToken](10)
	for i := range 100 {
		if _, err := s.Verify(t.Context(), s.snap, s.token(t, "ed", "EdDSA", map[string]any{"n": i})); err != nil {
			t.Fatal(err)
		}
		if got := s.cache().Len(); got < min(i+1, 10) || got > 20 {
			t.Fatalf("remembers %d tokens after %d, want the last 10, at most 20", got, i+1)
		}
	}
}

func TestVerifyStopsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, token := s.Verify(ctx, s.snap, s.token(t, "ed", "EdDSA", nil))
	_, assertion := s.VerifyAssertion(ctx, s.snap, []string{asURL}, s.assertion(t, nil))
	for _, err := range []error{token, assertion} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}
