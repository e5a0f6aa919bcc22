package token_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"example.com/umpire/token"
	"example.com/umpire/uma"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const issuer = "https://as.example/realms/photoz"

// An env is a realm with one key and what is needed to forge with it.
type env struct {
	keys    *token.Keys
	snap    *uma.Snapshot
	private crypto.Signer
}

func newEnv(t testing.TB, alg string) *env {
	t.Helper()
	v := openVault(t, filepath.Join(t.TempDir(), "umpire.key"), false)
	k, err := token.NewKeys(v, bytes.Repeat([]byte{7}, 32), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, k, alg)
	der, err := v.Open(key.Sealed, []byte("signing key "+key.KID))
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return &env{k, snapshot("photoz", key), private.(crypto.Signer)}
}

func newKey(t testing.TB, k *token.Keys, alg string) uma.SigningKey {
	t.Helper()
	key, err := k.NewKey(t.Context(), alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func snapshot(realm string, keys ...uma.SigningKey) *uma.Snapshot {
	return uma.NewSnapshot(uma.Realm{Key: 1, Name: realm, SigningAlg: keys[0].Alg}, nil, keys)
}

func rpt() *uma.Claims {
	return &uma.Claims{
		ID: "j1", Issuer: issuer, Audience: uma.Audience{"photoz-api"}, Subject: "u1", Type: uma.TypeBearer,
		AuthorizedParty: "photoz-web", ClientID: "photoz-web", SessionID: "s1", ACR: "1", Scope: "openid",
		RealmAccess:    &uma.RoleSet{Roles: []string{"user", "uma_authorization"}},
		ResourceAccess: map[string]uma.RoleSet{"photoz-api": {Roles: []string{"uma_protection"}}},
		Groups:         []string{"/friends"}, Username: "alice",
		Authorization: &uma.Authorization{Permissions: []uma.GrantedPermission{
			{ID: "r1", Name: "Holiday album", Scopes: []uma.Scope{"view"}, Claims: map[string][]string{"ip": {"1"}}},
		}},
		IssuedAt: now.Unix(), Expires: now.Add(5 * time.Minute).Unix(),
		Extra: map[string]any{"email": "alice@example.com", "address": map[string]any{"country": "NL"}, "age": json.Number("42")},
	}
}

func (e *env) sign(t testing.TB, c *uma.Claims) string {
	t.Helper()
	raw, err := e.keys.Sign(t.Context(), e.snap, c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, alg)
			key := e.snap.Keys[0]
			if key.Alg != alg || !key.Active || !key.Created.Equal(now) || !key.Expires.IsZero() || len(key.KID) != 43 {
				t.Errorf("got key %+v", key)
			}
			for _, typ := range []string{uma.TypeBearer, uma.TypeEntitlement, uma.TypeID} {
				c := rpt()
				c.Type = typ
				raw := e.sign(t, c)
				for range 2 { // the second from the cache
					got, err := e.keys.Verify(t.Context(), e.snap, issuer, raw)
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(got, c) {
						t.Errorf("got %+v\nwant %+v", got, c)
					}
				}
			}
		})
	}
}

// The words of the wire, written out by hand, and read as gocloak reads them.
func TestTokenOnTheWire(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "RS256")
	c := rpt()
	head, rest, _ := strings.Cut(e.sign(t, c), ".")
	payload, _, _ := strings.Cut(rest, ".")

	h, err := base64.RawStdEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"alg":"RS256","typ":"JWT","kid":"` + e.snap.Keys[0].KID + `"}`
	if string(h) != want {
		t.Errorf("got header %s, want %s", h, want)
	}
	p, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	want = `{"jti":"j1","iss":"https://as.example/realms/photoz","aud":"photoz-api","sub":"u1","typ":"Bearer",` +
		`"azp":"photoz-web","client_id":"photoz-web","sid":"s1","acr":"1","scope":"openid",` +
		`"realm_access":{"roles":["user","uma_authorization"]},"resource_access":{"photoz-api":{"roles":["uma_protection"]}},` +
		`"groups":["/friends"],"preferred_username":"alice",` +
		`"authorization":{"permissions":[{"scopes":["view"],"claims":{"ip":["1"]},"rsid":"r1","rsname":"Holiday album"}]},` +
		`"iat":1772600767,"exp":1772601067,"address":{"country":"NL"},"age":42,"email":"alice@example.com"}`
	if string(p) != want {
		t.Errorf("got payload %s\nwant %s", p, want)
	}
}

// Spring Security's decoder takes the header typ JWT or none; RFC 9068 wants at+jwt. A
// token is good with either, whatever the realm writes now; an ID token is not.
func TestTypeInTheHeader(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "ES256")
	snaps := map[uma.Profile]*uma.Snapshot{}
	for _, profile := range []uma.Profile{uma.ProfileKeycloak, uma.ProfileUMA2} {
		realm := e.snap.Realm
		realm.Profile = profile
		snaps[profile] = uma.NewSnapshot(realm, nil, e.snap.Keys)
	}
	for _, tt := range []struct {
		profile   uma.Profile
		typ, want string
	}{
		{uma.ProfileKeycloak, uma.TypeBearer, "JWT"},
		{uma.ProfileKeycloak, uma.TypeEntitlement, "JWT"},
		{uma.ProfileKeycloak, uma.TypeID, "JWT"},
		{uma.ProfileUMA2, uma.TypeBearer, "at+jwt"},
		{uma.ProfileUMA2, uma.TypeEntitlement, "at+jwt"},
		{uma.ProfileUMA2, uma.TypeID, "JWT"},
	} {
		c := rpt()
		c.Type = tt.typ
		raw, err := e.keys.Sign(t.Context(), snaps[tt.profile], c)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(raw, ".")
		h, err := base64.RawURLEncoding.DecodeString(head)
		if err != nil || !strings.Contains(string(h), `"typ":"`+tt.want+`"`) {
			t.Errorf("%s in %s: got header %s, want typ %s", tt.typ, tt.profile, h, tt.want)
		}
		for profile, snap := range snaps {
			if got, err := e.keys.Verify(t.Context(), snap, issuer, raw); err != nil || got.Type != tt.typ {
				t.Errorf("%s of %s in %s: got %v, %v", tt.typ, tt.profile, profile, got, err)
			}
		}
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "EdDSA")
	tests := []struct {
		name string
		edit func(*uma.Claims)
	}{
		{"a claim that overrides", func(c *uma.Claims) { c.Extra = map[string]any{"sub": "root"} }},
		{"a claim that overrides what is left out", func(c *uma.Claims) { c.Extra = map[string]any{"authorization": 1} }},
		{"by case", func(c *uma.Claims) { c.Extra = map[string]any{"Sub": "root"} }},
		{"by folding", func(c *uma.Claims) { c.Extra = map[string]any{"\u017fub": "root"} }},
		{"no issuer", func(c *uma.Claims) { c.Issuer = "" }},
		{"no expiry", func(c *uma.Claims) { c.Expires = 0 }},
		{"no typ", func(c *uma.Claims) { c.Type = "" }},
		{"refresh", func(c *uma.Claims) { c.Type = uma.TypeRefresh }},
	}
	for _, tc := range tests {
		c := rpt()
		tc.edit(c)
		if raw, err := e.keys.Sign(t.Context(), e.snap, c); err == nil {
			t.Errorf("%s: signed %s", tc.name, raw)
		}
	}
	if _, err := e.keys.Sign(t.Context(), uma.NewSnapshot(e.snap.Realm, nil, nil), rpt()); err == nil {
		t.Error("signed without a key")
	}
	if _, err := e.keys.NewKey(t.Context(), "RS512"); err == nil {
		t.Error("made a key for RS512")
	}
	if _, err := token.NewKeys(nil, []byte("short"), nil); err == nil {
		t.Error("took a short secret")
	}
}

// The private half must be opened by the vault that sealed it.
func TestSignWithAnotherVault(t *testing.T) {
	t.Parallel()
	if raw, err := newEnv(t, "ES256").keys.Sign(t.Context(), newEnv(t, "ES256").snap, rpt()); err == nil {
		t.Errorf("signed %s", raw)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "ES256")
	c := &uma.Claims{ID: "j2", Issuer: issuer, Subject: "u1", Type: uma.TypeRefresh, AuthorizedParty: "a", SessionID: "s1", Handle: "h", Expires: 99}
	raw, err := e.keys.SignOwn(t.Context(), e.snap, c)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.keys.VerifyRefresh(t.Context(), e.snap, issuer, raw)
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Fatalf("got %+v, %v", got, err)
	}

	bearer := rpt()
	if _, err := e.keys.SignOwn(t.Context(), e.snap, bearer); err == nil {
		t.Error("signed an access token with the refresh key")
	}
	if _, err := e.keys.Verify(t.Context(), e.snap, issuer, raw); err == nil {
		t.Error("a refresh token passed as an access token")
	}
	if _, err := e.keys.VerifyRefresh(t.Context(), e.snap, issuer, e.sign(t, bearer)); err == nil {
		t.Error("an access token passed as a refresh token")
	}
	for _, iss := range []string{"", issuer + "/"} {
		if _, err := e.keys.VerifyRefresh(t.Context(), e.snap, iss, raw); err == nil {
			t.Errorf("passed for the issuer %q", iss)
		}
	}
	if _, err := e.keys.VerifyRefresh(t.Context(), snapshot("other", e.snap.Keys...), issuer, raw); err == nil {
		t.Error("passed in another realm")
	}
	if _, err := e.keys.VerifyRefresh(t.Context(), snapshot("", e.snap.Keys...), issuer, raw); err == nil {
		t.Error("passed in a realm without a name")
	}
	if _, err := e.keys.VerifyRefresh(t.Context(), e.snap, issuer, raw[:len(raw)-2]+"AA"); err == nil {
		t.Error("passed with another signature")
	}
}

// What is published must be usable by who knows nothing of this package.
func TestKeySet(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "RS256")
	for _, alg := range []string{"ES256", "EdDSA"} {
		e.snap.Keys = append(e.snap.Keys, newKey(t, e.keys, alg))
	}
	raw, err := e.keys.KeySet(e.snap)
	if err != nil {
		t.Fatal(err)
	}
	var members struct{ Keys []map[string]string }
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	wantNames := [][]string{{"kty", "use", "alg", "kid", "n", "e"}, {"kty", "use", "alg", "kid", "crv", "x", "y"}, {"kty", "use", "alg", "kid", "crv", "x"}}
	wantTypes := []string{"RSA", "EC", "OKP"}
	for i, m := range members.Keys {
		names := map[string]bool{}
		for _, n := range wantNames[i] {
			names[n] = true
		}
		for n := range maps.Keys(m) {
			if !names[n] {
				t.Errorf("key %d has %q", i, n)
			}
		}
		if len(m) != len(names) || m["kty"] != wantTypes[i] || m["use"] != "sig" {
			t.Errorf("got key %v", m)
		}
	}

	set, err := jwk.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range e.snap.Keys {
		published, ok := set.LookupKeyID(key.KID)
		if !ok {
			t.Fatalf("%s is not published", key.Alg)
		}
		print, err := published.Thumbprint(crypto.SHA256)
		if got := base64.RawURLEncoding.EncodeToString(print); err != nil || got != key.KID {
			t.Errorf("%s: got thumbprint %s, %v, want %s", key.Alg, got, err, key.KID)
		}
		alg, _ := jwa.LookupSignatureAlgorithm(key.Alg)
		signed, err := e.keys.Sign(t.Context(), snapshot("photoz", e.snap.Keys[i]), rpt())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jws.Verify([]byte(signed), jws.WithKey(alg, published)); err != nil {
			t.Errorf("%s: %v", key.Alg, err)
		}
	}

	mixed := e.snap.Keys[0]
	mixed.Public = newKey(t, e.keys, "RS256").Public
	if raw, err := e.keys.KeySet(snapshot("photoz", mixed)); err == nil {
		t.Errorf("published another key under a kid: %s", raw)
	}
	if _, err := e.keys.KeySet(uma.NewSnapshot(e.snap.Realm, nil, nil)); err == nil {
		t.Error("published an empty set")
	}
}

func BenchmarkSign(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		e, c := newEnv(b, alg), rpt()
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.keys.Sign(b.Context(), e.snap, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		e := newEnv(b, alg)
		raw := e.sign(b, rpt())
		b.Run(alg+"/cached", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.keys.Verify(b.Context(), e.snap, issuer, raw); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(alg+"/first", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				token.Forget(e.keys, 1)
				if _, err := e.keys.Verify(b.Context(), e.snap, issuer, raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func signWith(t testing.TB, m jwt.SigningMethod, key any, head, payload string) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(head)) + "." + b64([]byte(payload))
	sig, err := m.Sign(signed, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(sig)
}
