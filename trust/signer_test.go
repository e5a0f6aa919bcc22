package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// A signer is an issuer and a client whose keys are in the realm file, and the realm that
// trusts them.
type signer struct {
	*Service
	snap   *uma.Snapshot
	issuer *uma.TrustedIssuer
	client *uma.Client
	log    *bytes.Buffer
	now    time.Time
	keys   map[string]crypto.Signer // by kid
}

const (
	foreign = "https://login.example.com/"
	asURL   = "https://as.example/realms/photoz"
)

var (
	ecKey, _      = ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // never fails
	ec384Key, _   = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, edKey, _   = ed25519.GenerateKey(rand.Reader)
	_, ed2Key, _  = ed25519.GenerateKey(rand.Reader)
	clientKeys, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
)

func newSigner(t testing.TB) *signer {
	t.Helper()
	s := &signer{
		now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), log: &bytes.Buffer{},
		keys: map[string]crypto.Signer{"rsa": rsaKey, "rs256": otherKey, "ec": ecKey, "ec384": ec384Key, "ed": edKey},
	}
	realm := uma.Realm{Key: 1, Name: "photoz", Enabled: true, Generation: 7, Issuers: []uma.TrustedIssuer{
		{
			Issuer: "https://other.example.com", Alias: "other", JWKS: s.jwks(t, "ed"), Algorithms: []string{"EdDSA"},
			Map: uma.ClaimsMap{Subject: uma.SubjectPath{AccessToken: uma.ClaimPath{"sub"}, IDToken: uma.ClaimPath{"sub"}}},
		},
		{
			Issuer: foreign, Alias: "example", JWKS: s.jwks(t, "rsa", "rs256", "ec", "ec384", "ed"),
			Audiences: []string{"umpire"}, Clients: map[string]string{"guid": "app", "api-guid": "api"},
			Algorithms: []string{"RS256", "ES256", "ES384", "EdDSA"},
			Accept:     []uma.TokenUse{uma.UseBearer, uma.UseSubjectToken, uma.UseClaims},
			Leeway:     30 * time.Second, EmailDomains: []string{"example.com"}, Claims: []string{"license", "limit"},
			Map: uma.ClaimsMap{
				Subject: uma.SubjectPath{AccessToken: uma.ClaimPath{"sub"}, IDToken: uma.ClaimPath{"sub"}},
				Client:  uma.ClaimPath{"azp"}, Username: uma.ClaimPath{"preferred_username"}, Email: uma.ClaimPath{"email"},
				ACR: uma.ClaimPath{"acr"}, Roles: uma.ClaimPath{"realm_access", "roles"},
				Attributes: map[string]uma.ClaimPath{"department": {"https://example.com/org", "dept"}},
			},
		},
	}}
	clients := []*uma.Client{
		{Key: 1, ID: "backend", Enabled: true, JWKS: []byte(`{"keys":[` + publicJWK(t, clientKeys, "c") + `]}`)},
		{Key: 2, ID: "other", Enabled: true, JWKS: s.jwks(t, "ed")},
		{Key: 3, ID: "disabled", JWKS: s.jwks(t, "ed")},
		{Key: 4, ID: "public", Enabled: true, Public: true, JWKS: s.jwks(t, "ed")},
		{Key: 5, ID: "secret", Enabled: true, Secret: []byte("hash")},
	}
	s.snap = uma.NewSnapshot(realm, clients, nil)
	s.issuer, s.client = &s.snap.Realm.Issuers[1], clients[0]
	s.Service = &Service{
		Realms: func(context.Context) ([]*uma.Snapshot, error) { return []*uma.Snapshot{s.snap}, nil },
		Now:    func() time.Time { return s.now },
		Log:    slog.New(slog.NewTextHandler(s.log, nil)),
	}
	return s
}

func publicJWK(t testing.TB, key crypto.Signer, kid string) string {
	t.Helper()
	alg := ""
	if kid == "rs256" {
		alg = "RS256"
	}
	text, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: kid, Algorithm: alg})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s *signer) jwks(t testing.TB, kids ...string) []byte {
	t.Helper()
	set := `{"keys":[`
	for i, kid := range kids {
		if i > 0 {
			set += ","
		}
		set += publicJWK(t, s.keys[kid], kid)
	}
	return []byte(set + "]}")
}

// token returns a token of the issuer, signed by a key, with changed claims; a nil claim is
// taken away.
func (s *signer) token(t testing.TB, kid, alg string, change map[string]any) string {
	t.Helper()
	return signText(t, s.keys[kid], alg, headerText(alg, kid, "at+jwt"), s.payload(t, change))
}

func (s *signer) payload(t testing.TB, change map[string]any) string {
	t.Helper()
	c := map[string]any{
		"iss": foreign, "sub": "u1", "aud": "umpire", "azp": "guid", "jti": "j",
		"iat": s.now.Unix() - 10, "exp": s.now.Unix() + 300,
	}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func headerText(alg, kid, typ string) string {
	return `{"alg":"` + alg + `","kid":"` + kid + `","typ":"` + typ + `"}`
}

// signText signs any header and payload.
func signText(t testing.TB, key crypto.Signer, alg, header, payload string) string {
	t.Helper()
	token, err := umatest.SignJWT(key, alg, header, payload)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// signHMAC signs with HS256, under whatever header.
func signHMAC(secret []byte, header, payload string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return signed + "." + b64(mac.Sum(nil))
}
