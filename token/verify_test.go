package token_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"example.com/umpire/token"
	"example.com/umpire/uma"
)

const payload = `{"jti":"j","iss":"` + issuer + `","sub":"u","typ":"Bearer","azp":"a","iat":1,"exp":2}`

func (e *env) header(alg, typ string) string {
	return `{"alg":"` + alg + `","typ":"` + typ + `","kid":"` + e.snap.Keys[0].KID + `"}`
}

// Every forgery here is signed with the right key, or as well as its maker can.
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "RS256")
	other := newEnv(t, "RS256")
	ecdsa := newEnv(t, "ES256")
	kid := e.snap.Keys[0].KID
	good := e.header("RS256", "at+jwt")
	rs := func(head, payload string) string {
		return signWith(t, jwt.SigningMethodRS256, e.private, head, payload)
	}
	member := func(m string) string { return strings.Replace(payload, `"azp":"a"`, m, 1) }
	valid := rs(good, payload)
	if _, err := e.keys.Verify(t.Context(), e.snap, issuer, valid); err != nil {
		t.Fatal(err)
	}
	public := e.snap.Keys[0].Public
	unsigned := valid[:strings.LastIndexByte(valid, '.')+1]

	tests := map[string]string{
		// The signature.
		"alg none":                    signWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, e.header("none", "at+jwt"), payload),
		"alg nOnE":                    signWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, e.header("nOnE", "at+jwt"), payload),
		"alg missing":                 rs(`{"typ":"at+jwt","kid":"`+kid+`"}`, payload),
		"empty signature":             unsigned,
		"no signature":                strings.TrimSuffix(unsigned, "."),
		"HS256 with the public DER":   signWith(t, jwt.SigningMethodHS256, public, e.header("HS256", "at+jwt"), payload),
		"HS256 with the public PEM":   signWith(t, jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), e.header("HS256", "at+jwt"), payload),
		"HS256 under an RS256 header": signWith(t, jwt.SigningMethodHS256, public, good, payload),
		"PS256":                       signWith(t, jwt.SigningMethodPS256, e.private, e.header("PS256", "at+jwt"), payload),
		"RS512":                       signWith(t, jwt.SigningMethodRS512, e.private, e.header("RS512", "at+jwt"), payload),
		"PS256 under an RS256 header": signWith(t, jwt.SigningMethodPS256, e.private, good, payload),
		"ES256 under its kid":         signWith(t, jwt.SigningMethodES256, ecdsa.private, e.header("ES256", "at+jwt"), payload),
		"another's key":               signWith(t, jwt.SigningMethodRS256, other.private, good, payload),
		"another's kid":               signWith(t, jwt.SigningMethodRS256, other.private, other.header("RS256", "at+jwt"), payload),
		"unknown kid":                 rs(strings.Replace(good, kid, "nobody", 1), payload),
		"no kid":                      rs(`{"alg":"RS256","typ":"at+jwt"}`, payload),
		"empty kid":                   rs(`{"alg":"RS256","typ":"at+jwt","kid":""}`, payload),
		"crit":                        rs(strings.Replace(good, "}", `,"crit":["exp"],"exp":1}`, 1), payload),
		"jwk":                         rs(strings.Replace(good, "}", `,"jwk":{"kty":"RSA"}}`, 1), payload),
		"jku":                         rs(strings.Replace(good, "}", `,"jku":"https://evil.example"}`, 1), payload),
		"alg twice":                   rs(strings.Replace(good, "{", `{"alg":"none",`, 1), payload),
		"an ID token as access token": rs(good, strings.Replace(payload, "Bearer", "ID", 1)),
		"another typ":                 rs(e.header("RS256", "logout+jwt"), payload),
		"typ missing":                 rs(`{"alg":"RS256","kid":"`+kid+`"}`, payload),
		"tampered":                    tamper(valid, `"sub":"u"`, `"sub":"v"`),

		// The claims.
		"wrong issuer":       rs(good, strings.Replace(payload, issuer, issuer+"/", 1)),
		"issuer by case":     rs(good, strings.Replace(payload, "https://as", "https://AS", 1)),
		"empty issuer":       rs(good, strings.Replace(payload, issuer, "", 1)),
		"no issuer":          rs(good, strings.Replace(payload, `"iss"`, `"i"`, 1)),
		"no exp":             rs(good, strings.Replace(payload, `,"exp":2`, "", 1)),
		"exp null":           rs(good, strings.Replace(payload, `"exp":2`, `"exp":null`, 1)),
		"exp negative":       rs(good, strings.Replace(payload, `"exp":2`, `"exp":-2`, 1)),
		"exp a string":       rs(good, strings.Replace(payload, `"exp":2`, `"exp":"2"`, 1)),
		"exp huge":           rs(good, strings.Replace(payload, `"exp":2`, `"exp":1e400`, 1)),
		"unknown typ":        rs(good, strings.Replace(payload, "Bearer", "Logout", 1)),
		"typ of a refresh":   rs(good, strings.Replace(payload, "Bearer", "Refresh", 1)),
		"no typ":             rs(good, strings.Replace(payload, `"typ"`, `"t"`, 1)),
		"sub twice":          rs(good, member(`"sub":"root"`)),
		"sub by case":        rs(good, member(`"Sub":"root"`)),
		"iss by folding":     rs(good, member(`"i\u017fs":"x"`)),
		"a role twice":       rs(good, member(`"realm_access":{"roles":[],"roles":["admin"]}`)),
		"twice by escapes":   rs(good, member(`"s\u0075b":"root"`)),
		"twice by bad UTF-8": rs(good, member("\"\xff\":1,\"\xfe\":2")),
		"twice after a text": rs(good, member(`"x":"\\\"{","y":{"z":1,"z":2}`)),
		"twice in an array":  rs(good, member(`"x":[{"y":1,"z":{},"y":2}]`)),
		"trailing garbage":   rs(good, payload+"x"),
		"trailing object":    rs(good, payload+"{}"),
		"not an object":      rs(good, `["`+issuer+`"]`),
		"null":               rs(good, "null"),
		"empty payload":      rs(good, ""),
		"deep":               rs(good, member(`"x":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000))),
		"a malformed member": rs(good, member(`"realm_access":{"roles":"admin"}`)),

		// The spelling.
		"empty":              "",
		"dots":               "..",
		"trailing newline":   valid + "\n",
		"newline inside":     valid[:len(valid)-3] + "\n" + valid[len(valid)-3:],
		"carriage return":    "\r" + valid,
		"trailing dot":       valid + ".",
		"trailing blank":     valid + " ",
		"padding":            valid + "==",
		"standard alphabet":  unsigned + "+/" + valid[len(unsigned)+2:],
		"non-canonical bits": nextBits(valid),
		"many dots":          strings.Repeat(".", 100_000),
		"huge":               rs(good, member(`"x":"`+strings.Repeat("x", token.MaxToken)+`"`)),
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := e.keys.Verify(t.Context(), e.snap, issuer, raw)
			if err == nil {
				t.Fatalf("got claims %+v", c)
			}
			if len(raw) > 20 && strings.Contains(err.Error(), raw[:20]) {
				t.Errorf("the error quotes the token: %v", err)
			}
			if !errors.Is(err, uma.ErrUnverified) {
				t.Errorf("got %v, want %v", err, uma.ErrUnverified)
			}
		})
	}
}

// An empty issuer must not mean any, neither at first nor from the cache.
func TestVerifyIssuer(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "EdDSA")
	raw := e.sign(t, rpt())
	for range 2 {
		for _, iss := range []string{"", "https://as.example/realms/other", issuer + "/"} {
			if _, err := e.keys.Verify(t.Context(), e.snap, iss, raw); err == nil {
				t.Errorf("verified for the issuer %q", iss)
			}
		}
		if _, err := e.keys.Verify(t.Context(), e.snap, issuer, raw); err != nil {
			t.Error(err)
		}
	}
}

func TestCacheForgetsWithTheKey(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "ES256")
	raw := e.sign(t, rpt())
	if _, err := e.keys.Verify(t.Context(), e.snap, issuer, raw); err != nil {
		t.Fatal(err)
	}
	next := newKey(t, e.keys, "ES256")
	if _, err := e.keys.Verify(t.Context(), snapshot("photoz", next, e.snap.Keys[0]), issuer, raw); err != nil {
		t.Errorf("while its key is published: %v", err)
	}
	if _, err := e.keys.Verify(t.Context(), snapshot("photoz", next), issuer, raw); err == nil {
		t.Error("believed after its key was gone")
	}
	if _, err := e.keys.Verify(t.Context(), snapshot("other", newKey(t, e.keys, "ES256")), issuer, raw); err == nil {
		t.Error("believed in another realm")
	}
	replaced := next
	replaced.KID = e.snap.Keys[0].KID
	if _, err := e.keys.Verify(t.Context(), snapshot("photoz", replaced), issuer, raw); err == nil {
		t.Error("believed with another key under its kid")
	}
}

func TestCacheKnowsTheWholeToken(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "RS256")
	raw := e.sign(t, rpt())
	c, err := e.keys.Verify(t.Context(), e.snap, issuer, raw)
	if err != nil {
		t.Fatal(err)
	}
	if c.Extra["age"] != json.Number("42") {
		t.Errorf("got age %#v", c.Extra["age"])
	}
	c.Subject = "changed by its reader"
	for _, forged := range []string{
		tamper(raw, `"sub":"u1"`, `"sub":"u2"`),
		raw[:len(raw)-4] + "AAAA",
		raw[:strings.LastIndexByte(raw, '.')+1],
	} {
		if _, err := e.keys.Verify(t.Context(), e.snap, issuer, forged); err == nil {
			t.Errorf("verified %s", forged)
		}
	}
	again, err := e.keys.Verify(t.Context(), e.snap, issuer, raw)
	if err != nil || again.Subject != "u1" {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "EdDSA")
	c := rpt()
	c.Extra["big"] = strings.Repeat("x", token.MaxCached)
	if _, err := e.keys.Verify(t.Context(), e.snap, issuer, e.sign(t, c)); err != nil {
		t.Fatal(err)
	}
	if got := token.Remembered(e.keys); got != 0 {
		t.Errorf("remembers %d big tokens", got)
	}
	if _, err := e.keys.Verify(t.Context(), e.snap, issuer, "x.y.z"); err == nil || token.Remembered(e.keys) != 0 {
		t.Errorf("remembers what it refused (%v)", err)
	}
	token.Forget(e.keys, 10)
	c = &uma.Claims{Issuer: issuer, Type: uma.TypeBearer, Expires: 1}
	for i := range 100 {
		c.ID = fmt.Sprint(i)
		if _, err := e.keys.Verify(t.Context(), e.snap, issuer, e.sign(t, c)); err != nil {
			t.Fatal(err)
		}
		if got := token.Remembered(e.keys); got < min(i+1, 10) || got > 20 {
			t.Fatalf("remembers %d tokens after %d, want the last 10, at most 20", got, i+1)
		}
	}
}

// Nothing is signed with these values, so only they themselves are in the way.
func TestVerifyEmptyIssuer(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "EdDSA")
	raw := signWith(t, jwt.SigningMethodEdDSA, e.private, e.header("EdDSA", "at+jwt"), strings.Replace(payload, issuer, "", 1))
	if _, err := e.keys.Verify(t.Context(), e.snap, "", raw); err == nil {
		t.Error("an empty issuer is that of an empty iss")
	}
}

func TestKeysStopWithTheirContext(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "EdDSA")
	raw := e.sign(t, rpt())
	refresh := &uma.Claims{Issuer: issuer, Type: uma.TypeRefresh, Expires: 1}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, newKey := e.keys.NewKey(ctx, "EdDSA")
	_, sign := e.keys.Sign(ctx, e.snap, rpt())
	_, signOwn := e.keys.SignOwn(ctx, e.snap, refresh)
	_, verify := e.keys.Verify(ctx, e.snap, issuer, raw)
	_, verifyRefresh := e.keys.VerifyRefresh(ctx, e.snap, issuer, raw)
	_, verifyTicket := e.keys.VerifyTicket(ctx, e.snap, issuer, raw)
	for i, err := range []error{newKey, sign, signOwn, verify, verifyRefresh, verifyTicket} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: got %v, want %v", i, err, context.Canceled)
		}
	}
}

// Whatever comes in, a token is taken only if its key signed it.
func FuzzVerify(f *testing.F) {
	e := newEnv(f, "EdDSA")
	valid := e.sign(f, rpt())
	refresh, err := e.keys.SignOwn(f.Context(), e.snap, &uma.Claims{Issuer: issuer, Type: uma.TypeRefresh, Expires: 1})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "..", "a.b.c", valid, valid + "\n", refresh, tamper(valid, "alice", "admin"), valid[:len(valid)/2]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if c, err := e.keys.Verify(t.Context(), e.snap, issuer, raw); err == nil && raw != valid {
			t.Errorf("verified %q as %+v", raw, c)
		}
		if c, err := e.keys.VerifyRefresh(t.Context(), e.snap, issuer, raw); err == nil && raw != refresh {
			t.Errorf("verified %q as %+v", raw, c)
		}
	})
}

// Nothing that is signed may be read in two ways.
func FuzzPayload(f *testing.F) {
	e := newEnv(f, "EdDSA")
	head := e.header("EdDSA", "at+jwt")
	for _, seed := range []string{payload, "{}", `{"a":[1, {"b":null},"\\"],"exp":-1.5e3 }`, "null", `{"exp":1,"exp":2}`, payload + payload, `{"Sub":"x"}`, `{"a":{"b":[{}]}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		c, err := e.keys.Verify(t.Context(), e.snap, issuer, signWith(t, jwt.SigningMethodEdDSA, e.private, head, payload))
		if err != nil {
			return
		}
		if c.Issuer != issuer || c.Expires <= 0 || c.Type != uma.TypeBearer {
			t.Errorf("verified %s", payload)
		}
		if _, err := e.keys.Sign(t.Context(), e.snap, c); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}

// tamper changes the payload of a token and leaves its signature.
func tamper(raw, old, new string) string {
	parts := strings.Split(raw, ".")
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !strings.Contains(string(b), old) {
		panic("nothing to tamper with")
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(b), old, new, 1)))
	return strings.Join(parts, ".")
}

// nextBits sets a bit at the end of the signature that base64 does not use: the
// signature of RS256 has 256 bytes, so its last letter carries two bits.
func nextBits(raw string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, raw[len(raw)-1])
	return raw[:len(raw)-1] + string(alphabet[i+1])
}

// A token is said to have an unknown key only if a look for the key may help: of this issuer, not
// expired, and none that this server alone reads.
func TestUnknownKey(t *testing.T) {
	t.Parallel()
	e, other := newEnv(t, "RS256"), newEnv(t, "RS256")
	now := now.Unix()
	claims := func(iss string, exp int64) string {
		return fmt.Sprintf(`{"jti":"j","iss":%q,"sub":"u","typ":"Bearer","azp":"a","iat":1,"exp":%d}`, iss, exp)
	}
	sign := func(payload string) string {
		return signWith(t, jwt.SigningMethodRS256, other.private, other.header("RS256", "at+jwt"), payload)
	}
	refresh, err := e.keys.SignOwn(t.Context(), e.snap, &uma.Claims{Issuer: issuer, Type: uma.TypeRefresh, Expires: now + 9})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		token string
		want  bool
	}{
		"of another key":      {sign(claims(issuer, now+9)), true},
		"expired":             {sign(claims(issuer, now)), false},
		"without an expiry":   {sign(strings.Replace(claims(issuer, now+9), `"exp"`, `"e"`, 1)), false},
		"of another issuer":   {sign(claims("https://other.example", now+9)), false},
		"without an issuer":   {sign(claims("", now+9)), false},
		"not JSON":            {sign("{"), false},
		"a refresh token":     {refresh, false},
		"payload not encoded": {other.header("RS256", "at+jwt") + ".{}.", false},
	} {
		_, err := e.keys.Verify(t.Context(), e.snap, issuer, test.token)
		if !errors.Is(err, uma.ErrUnverified) || errors.Is(err, uma.ErrUnknownKey) != test.want {
			t.Errorf("%s: got %v, want an unknown key: %t", name, err, test.want)
		}
	}
	if _, err := e.keys.Verify(t.Context(), e.snap, "", sign(claims("", now+9))); errors.Is(err, uma.ErrUnknownKey) {
		t.Errorf("without an issuer: got %v", err)
	}
}
