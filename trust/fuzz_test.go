package trust

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// Whatever comes in, a token is believed only if its issuer signed it, and refused as one.
func FuzzVerify(f *testing.F) {
	s := newSigner(f)
	valid, assertion := s.token(f, "ed", "EdDSA", nil), s.assertion(f, nil)
	for _, seed := range []string{"", "..", "a.b.c", valid, valid + "\n", assertion, tamper(f, valid, "u1", "u2"), valid[:len(valid)/2], strings.Repeat("e30.", 4)} {
		f.Add(seed)
	}
	for _, forged := range forgeries(f, s) {
		if len(forged.raw) < 8<<10 {
			f.Add(forged.raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := s.Verify(t.Context(), s.snap, raw)
		if err == nil && raw != valid {
			t.Errorf("verified %q as %+v", raw, got)
		}
		asserted, assertErr := s.VerifyAssertion(t.Context(), s.snap, []string{asURL}, raw)
		if assertErr == nil && signedPart(raw) != signedPart(assertion) { // the signature of ECDSA has a twin
			t.Errorf("verified %q as %+v", raw, asserted)
		}
		for _, err := range []error{err, assertErr} {
			if err != nil && !errors.Is(err, uma.ErrUnverified) {
				t.Errorf("got %v, want %v", err, uma.ErrUnverified)
			}
		}
	})
}

func signedPart(raw string) string { return raw[:max(0, strings.LastIndexByte(raw, '.'))] }

// A signed header cannot choose how it is verified.
func FuzzHeader(f *testing.F) {
	s := newSigner(f)
	payload := s.payload(f, nil)
	for _, seed := range []string{
		headerText("EdDSA", "ed", "at+jwt"), headerText("EdDSA", "ed", "JWT"), `{"alg":"EdDSA","kid":"ed"}`, `{"alg":"EdDSA"}`, `{"alg":"none"}`, `{}`, `null`, `[]`, "",
		`{"alg":"EdDSA","kid":"ed","crit":["x"]}`, `{"alg":"EdDSA","Alg":"none"}`, `{"alg":"EdDSA","x5c":["AA=="]}`, `{"alg":"EdDSA","kid":"ed","b64":false}`, `{"alg":"EdDSA","kid":"ed","nonce":{"x":1}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := s.Verify(t.Context(), s.snap, signText(t, edKey, "EdDSA", header, payload))
		if err != nil {
			return
		}
		var read map[string]any
		if json.Unmarshal([]byte(header), &read) != nil || read["alg"] != "EdDSA" || read["kid"] != nil && read["kid"] != "ed" {
			t.Errorf("verified %s as %+v", header, got)
		}
		for name := range read {
			if slices.ContainsFunc(forbiddenMembers, func(m string) bool { return strings.EqualFold(m, name) }) {
				t.Errorf("verified %s", header)
			}
		}
	})
}

// Nothing that is signed is read in two ways: the members that matter are those that
// encoding/json finds, whose names it compares without case.
func FuzzPayload(f *testing.F) {
	s := newSigner(f)
	s.issuer.Map.Groups = uma.GroupsMap{From: uma.ClaimPath{"groups"}, Prefix: "/example", Optional: true}
	for _, seed := range []string{
		s.payload(f, nil), s.payload(f, map[string]any{"groups": []string{"a"}, "email": "a@example.com", "license": 1, "typ": "ID"}),
		"{}", "null", "[]", s.payload(f, nil) + "{}", `{"iss":"` + foreign + `","sub":"u","exp":4102444800,"Sub":"x"}`,
		`{"iss":"` + foreign + `","sub":"u","exp":4.1024448e9,"aud":["a"],"cnf":null}`, `{"iss":"` + foreign + `","sub":"u","exp":1e400}`,
		`{"iss":"` + foreign + `","sub":"u","exp":4102444800,"hasgroups":true,"_claim_names":{"groups":"x"},"realm_access":{"roles":["a/b"]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		got, err := s.Verify(t.Context(), s.snap, signText(t, edKey, "EdDSA", headerText("EdDSA", "ed", "JWT"), payload))
		if err != nil {
			if e := refused(t, err); !constantWhy(e.Why) {
				t.Errorf("%q may quote the token", e.Why)
			}
			return
		}
		var read struct {
			Issuer  string  `json:"iss"`
			Subject string  `json:"sub"`
			Expires float64 `json:"exp"`
			Client  string  `json:"azp"`
		}
		if err := json.Unmarshal([]byte(payload), &read); err != nil || read.Issuer != foreign || read.Subject != got.Subject || int64(read.Expires) != got.Expires || read.Client != got.ClientID {
			t.Errorf("read %+v, got %+v, %v", read, got, err)
		}
		if got.Subject == "" || got.Expires <= s.now.Unix() || got.EmailVerified && got.Email == "" || !got.GroupsKnown && got.Groups != nil {
			t.Errorf("verified %s as %+v", payload, got)
		}
		for _, group := range got.Groups {
			if !strings.HasPrefix(group, "/example/") || !uma.IsGroup(group) {
				t.Errorf("has the group %q", group)
			}
		}
		for _, role := range got.Roles {
			if strings.Contains(role, "/") || role == "" {
				t.Errorf("has the role %q", role)
			}
		}
		for name := range got.Claims {
			if !slices.Contains(s.issuer.Claims, name) {
				t.Errorf("has the claim %q", name)
			}
		}
	})
}

// constantWhy reports whether a reason is made of the words of this package alone.
func constantWhy(why string) bool {
	return !strings.ContainsFunc(why, func(r rune) bool { return r > '~' || r < ' ' || r == '"' || r == '{' || r == '\\' })
}

// A path finds what stands there, and nothing else, whatever the names in it are.
func FuzzMapping(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"a":{"b":["x"]}}`, `["a","b"]`}, {`{"a.b":1}`, `["a.b"]`}, {`{"a":[1]}`, `["a","0"]`}, {`{"":{"":"x"}}`, `["",""]`}, {`{"a":null}`, `["a"]`}, {`{}`, `[]`},
		{`{"https://example.com/org":{"dept":"x"}}`, `["https://example.com/org","dept"]`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, names string) {
		var path uma.ClaimPath
		if json.Unmarshal([]byte(names), &path) != nil || len(path) > 8 {
			return
		}
		object, err := readObject([]byte(text), registeredClaims)
		if err != nil {
			return
		}
		c := claims(object)
		got, ok := c.find(path)
		var want any = object
		for _, name := range path {
			o, _ := want.(map[string]any)
			want = o[name]
		}
		if ok && !reflect.DeepEqual(got, want) || ok && (got == nil || len(path) == 0) || !ok && want != nil && len(path) > 0 {
			t.Errorf("got %#v, %t, want %#v", got, ok, want)
		}
		issuer := &uma.TrustedIssuer{Map: uma.ClaimsMap{
			Subject: uma.SubjectPath{AccessToken: path, IDToken: path}, Client: path, Username: path, Email: path, Roles: path, ACR: path,
			Groups: uma.GroupsMap{From: path}, Attributes: map[string]uma.ClaimPath{"x": path},
		}, EmailDomains: []string{"example.com"}}
		c["sub"], c["exp"] = "u", json.Number("1")
		if token, err := mapToken(issuer, "JWT", c); err == nil && (token.Subject == "" || !uma.IsText(token.Subject) || len(token.Subject) > maxName) {
			t.Errorf("got %+v", token)
		}
	})
}

// What an assertion says is read in one way.
func FuzzAssertion(f *testing.F) {
	s := newSigner(f)
	for _, seed := range []string{s.assertionPayload(f, nil), "{}", "null", `{"iss":"backend","sub":"backend","aud":["x"]}`, s.assertionPayload(f, map[string]any{"iat": 1, "nbf": 2})} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		got, err := s.VerifyAssertion(t.Context(), s.snap, []string{asURL}, signText(t, clientKeys, "ES256", headerText("ES256", "c", "JWT"), payload))
		if err != nil {
			refused(t, err)
			return
		}
		if left := got.Expires.Sub(s.now); got.Client != s.client || got.ID == "" || len(got.ID) > maxJTI || left <= 0 || left > maxAssertion {
			t.Errorf("verified %s as %+v", payload, got)
		}
	})
}

// Tokens are not decoded twice: base64 has one spelling.
func FuzzSpelling(f *testing.F) {
	s := newSigner(f)
	valid := s.token(f, "ed", "EdDSA", nil)
	f.Add(valid, 3, byte('='))
	f.Add(valid, len(valid)-1, byte('A'))
	f.Fuzz(func(t *testing.T, raw string, at int, with byte) {
		parsed, err := parse(raw)
		if err != nil {
			return
		}
		parts := strings.Split(raw, ".")
		for _, part := range parts {
			text, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || base64.RawURLEncoding.EncodeToString(text) != part {
				t.Errorf("%q is not the spelling of %q", part, text)
			}
		}
		if at < 0 || at >= len(raw) || raw != valid || valid[at] == with {
			return
		}
		if got, err := s.Verify(t.Context(), s.snap, raw[:at]+string(rune(with))+raw[at+1:]); err == nil {
			t.Errorf("verified with another byte at %d: %+v, %v", at, got, parsed)
		}
	})
}

// A discovery document says what encoding/json finds in it, or nothing.
func FuzzDiscovery(f *testing.F) {
	for _, seed := range []string{
		`{"issuer":"https://a.example","jwks_uri":"https://a.example/keys","x":[{}]}`, `{"issuer":1,"jwks_uri":null}`, `{"issuer":"a","issuer":"b"}`, "[]", "<html>", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		issuer, keys, err := parseDiscovery([]byte(text))
		if err != nil {
			return
		}
		var read map[string]any
		if err := json.Unmarshal([]byte(text), &read); err != nil {
			t.Fatalf("read %q, which is no JSON: %v", text, err)
		}
		for name, got := range map[string]string{"issuer": issuer, "jwks_uri": keys} {
			if want, _ := read[name].(string); got != want {
				t.Errorf("%q: got the %s %q, want %q", text, name, got, want)
			}
		}
	})
}
