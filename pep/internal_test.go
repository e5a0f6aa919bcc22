package pep

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestBearer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header []string
		want   string
		ok     bool
	}{
		{[]string{"Bearer abc.DEF-_~+/=="}, "abc.DEF-_~+/==", true},
		{[]string{"bearer  abc"}, "abc", true},
		{nil, "", false},
		{[]string{""}, "", false},
		{[]string{"Bearer"}, "", false},
		{[]string{"Bearer "}, "", false},
		{[]string{"Bearer ="}, "", false},
		{[]string{"Bearer a b"}, "", false},
		{[]string{"Bearer a,b"}, "", false},
		{[]string{"Bearer a=b"}, "", false},
		{[]string{"Basic abc"}, "", false},
		{[]string{"abc"}, "", false},
		{[]string{"Bearer abc", "Bearer def"}, "", false},
		{[]string{"Bearer " + strings.Repeat("a", maxToken+1)}, "", false},
	} {
		got, ok := bearer(http.Header{"Authorization": c.header})
		if got != c.want || ok != c.ok {
			t.Errorf("%.40q: got %q, %t, want %q, %t", c.header, got, ok, c.want, c.ok)
		}
	}
}

func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer  a.b.c", "Bearer", "Bearer =", "Bearer a\x00b", "Basic eDp5", "Bearer a b", "Bearer ä"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token, ok := bearer(http.Header{"Authorization": {s}})
		if ok == (token == "") || len(token) > maxToken || strings.ContainsAny(token, " ,\"\r\n\x00") || !printable(token) {
			t.Errorf("%q: got %q, %t", s, token, ok)
		}
	})
}

func TestCovers(t *testing.T) {
	t.Parallel()
	held := []Permission{{"r-1", []string{"view"}}, {"", []string{""}}, {"r-2", nil}}
	for _, c := range []struct {
		need Permission
		want bool
	}{
		{Permission{"r-1", []string{"view"}}, true},
		{Permission{"r-1", nil}, false},
		{Permission{"r-2", nil}, false},
		{Permission{"", []string{""}}, false},
		{Permission{"r-1", []string{"view", "delete"}}, false},
	} {
		if got := covers(held, c.need); got != c.want {
			t.Errorf("%v: got %t, want %t", c.need, got, c.want)
		}
	}
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	// RFC 7517 A.1 and RFC 8037 A.2
	const (
		ec  = `"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"`
		ed  = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
		rsa = `"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"`
	)
	b64 := base64.RawURLEncoding.EncodeToString
	p384 := elliptic.P384().Params()
	for name, c := range map[string]struct{ key, want string }{
		"P-384":             {`{"kid":"k","kty":"EC","crv":"P-384","x":"` + b64(p384.Gx.Bytes()) + `","y":"` + b64(p384.Gy.Bytes()) + `"}`, ""},
		"RSA":               {`{"kid":"k",` + rsa + `}`, "RS256"},
		"EC":                {`{"kid":"k","use":"sig","alg":"ES256",` + ec + `}`, "ES256"},
		"Ed25519":           {`{"kid":"k","alg":"EdDSA",` + ed + `}`, "EdDSA"},
		"no kid":            {`{` + ec + `}`, ""},
		"for encryption":    {`{"kid":"k","use":"enc",` + ec + `}`, ""},
		"of another alg":    {`{"kid":"k","alg":"RS512",` + rsa + `}`, ""},
		"symmetric":         {`{"kid":"k","kty":"oct","k":"AAAA"}`, ""},
		"other curve":       {`{"kid":"k",` + strings.Replace(ec, "P-256", "P-384", 1) + `}`, ""},
		"not on the curve":  {`{"kid":"k",` + strings.Replace(ec, "4Etl", "4Etm", 1) + `}`, ""},
		"short coordinate":  {`{"kid":"k",` + strings.Replace(ec, "MKBC", "", 1) + `}`, ""},
		"short Ed25519":     {`{"kid":"k",` + strings.Replace(ed, "11qY", "", 1) + `}`, ""},
		"short RSA":         {`{"kid":"k","kty":"RSA","e":"AQAB","n":"AQAB"}`, ""},
		"RSA exponent of 1": {`{"kid":"k",` + strings.Replace(rsa, "AQAB", "AQ", 1) + `}`, ""},
		"RSA exponent of 2": {`{"kid":"k",` + strings.Replace(rsa, "AQAB", "Ag", 1) + `}`, ""},
		"long RSA exponent": {`{"kid":"k",` + strings.Replace(rsa, "AQAB", "AQAAAAE", 1) + `}`, ""},
		"RSA of 8200 bits":  {`{"kid":"k","kty":"RSA","e":"AQAB","n":"` + b64(bytes.Repeat([]byte{0xff}, 1025)) + `"}`, ""},
		"no base64":         {`{"kid":"k",` + strings.Replace(rsa, "AQAB", "A===", 1) + `}`, ""},
		"X25519":            {`{"kid":"k",` + strings.Replace(ed, "Ed25519", "X25519", 1) + `}`, ""},
		"unknown kty":       {`{"kid":"k","kty":"AKP","pub":"AAAA"}`, ""},
		"unknown alg":       {`{"kid":"k","alg":"RS257",` + rsa + `}`, ""},
		"no kty":            {`{"kid":"k"}`, ""},
		"no object":         {`7`, ""},
		"with private half": {`{"kid":"k","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",` + ed + `}`, "EdDSA"},
	} {
		set := parseKeys([]json.RawMessage{json.RawMessage(`{"kid":"k"}`), json.RawMessage(c.key), json.RawMessage(c.key)})
		if got := set["k"].alg; got != c.want || (c.want == "") != (len(set) == 0) {
			t.Errorf("%s: got %q of %d keys, want %q", name, got, len(set), c.want)
		}
		if _, ok := set["k"].key.(crypto.Signer); ok {
			t.Errorf("%s: a private key is kept", name)
		}
	}
}

// Whoever stops waiting does not stop the fetch for the others.
func TestLazyOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	release, begun := make(chan struct{}), make(chan struct{})
	l := &lazy[int]{now: func() time.Time { return now }, fetch: func(ctx context.Context) (int, time.Time, error) {
		close(begun)
		<-release
		return 7, now.Add(time.Minute), ctx.Err()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := l.get(ctx)
		gone <- err
	}()
	<-begun
	cancel()
	if err := <-gone; err == nil {
		t.Error("a caller that gave up got a value")
	}
	close(release)
	if got, err := l.get(t.Context()); got != 7 || err != nil {
		t.Errorf("got %d, %v, want 7", got, err)
	}
}

func TestLazyForget(t *testing.T) {
	t.Parallel()
	now, n := time.Unix(1, 0), 0
	l := &lazy[int]{now: func() time.Time { return now }, fetch: func(context.Context) (int, time.Time, error) {
		n++
		return n, now.Add(time.Minute), nil
	}}
	want := func(value int, ok bool) {
		t.Helper()
		got, err := l.get(t.Context())
		if got != value || (err == nil) != ok {
			t.Errorf("got %d, %v, want %d", got, err, value)
		}
	}
	want(1, true)
	l.forget(func(v int) bool { return v == 2 }) // another's complaint about another value
	want(1, true)
	l.forget(func(v int) bool { return v == 1 })
	want(0, false) // not so soon
	now = now.Add(minInterval)
	want(2, true)
}
