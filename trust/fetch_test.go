package trust

import (
	"context"
	"crypto/elliptic"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// whatever an issuer answers, it is refused unless it is its discovery document and its keys,
// within their bounds; the log says why and does not quote the answer.
func TestFaultyIssuers(t *testing.T) {
	t.Parallel()
	const poison = "poison"
	private := newFront(t)
	write := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	for name, c := range map[string]struct {
		document, keys http.HandlerFunc
		why            string
	}{
		"HTML":                      {document: write("<html>" + poison + "</html>"), why: "is not JSON"},
		"HTML for keys":             {keys: write("<html>" + poison + "</html>"), why: "is not JSON"},
		"nothing":                   {document: write(""), why: "is not JSON"},
		"a list":                    {document: write(`["` + poison + `"]`), why: "not a JSON object"},
		"huge":                      {document: write(strings.Repeat("x", maxDocument+1)), why: "longer than 256 KiB"},
		"huge keys":                 {keys: write(strings.Repeat(" ", maxDocument) + `{"keys":[]}`), why: "longer than 256 KiB"},
		"slow":                      {document: slow, why: "deadline exceeded"},
		"slow keys":                 {keys: slow, why: "deadline exceeded"},
		"a trickle":                 {keys: trickle, why: "deadline exceeded"},
		"an error":                  {document: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, poison, 500) }, why: "status 500"},
		"no keys":                   {document: write(`{"issuer":"ISSUER"}`), why: "no jwks_uri"},
		"jwks_uri is a number":      {document: write(`{"issuer":"ISSUER","jwks_uri":1}`), why: "no jwks_uri"},
		"jwks_uri is a file":        {document: write(`{"issuer":"ISSUER","jwks_uri":"file:///etc/passwd"}`), why: "not a URL"},
		"jwks_uri has a password":   {document: write(`{"issuer":"ISSUER","jwks_uri":"https://a:b@127.0.0.1/"}`), why: "not a URL"},
		"jwks_uri is plain http":    {document: write(`{"issuer":"ISSUER","jwks_uri":"http://192.0.2.1/keys"}`), why: "only for loopback"},
		"jwks_uri is link-local":    {document: write(`{"issuer":"ISSUER","jwks_uri":"https://169.254.169.254/keys"}`), why: "none of a host"},
		"another issuer":            {document: write(`{"issuer":"https://poison.example.com","jwks_uri":"KEYS"}`), why: "its issuer is"},
		"another issuer by a slash": {document: write(`{"issuer":"ISSUER/","jwks_uri":"KEYS"}`), why: "its issuer is"},
		"no issuer":                 {document: write(`{"jwks_uri":"KEYS"}`), why: "its issuer is"},
		"two issuers":               {document: write(`{"issuer":"https://poison.example.com","issuer":"ISSUER","jwks_uri":"KEYS"}`), why: "there twice"},
		"a redirect":                {document: http.RedirectHandler(private.Issuer()+"/.well-known/openid-configuration", http.StatusFound).ServeHTTP, why: "redirects are not followed"},
		"a redirect for keys":       {keys: http.RedirectHandler(private.JWKSEndpoint(), http.StatusTemporaryRedirect).ServeHTTP, why: "redirects are not followed"},
		"a key twice":               {keys: write(`{"keys":[],"keys":[]}`), why: "there twice"},
	} {
		t.Run("A-84 "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if strings.Contains(c.why, "deadline") {
				w.Network.Timeout = 50 * time.Millisecond
			}
			w.set(func(rw http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == discoveryPath && c.document != nil:
					c.document(&filled{rw, w.front}, r)
				case r.URL.Path == discoveryPath:
					w.Discovery(rw, r)
				case c.keys != nil:
					c.keys(rw, r)
				default:
					w.JWKS(rw, r)
				}
			})
			w.lacks(t, "first", uma.ErrKeysMissing)
			log := w.log.String()
			if !strings.Contains(log, c.why) || !strings.Contains(log, "realm=photoz issuer=example") {
				t.Errorf("got log %s, want %q", log, c.why)
			}
			if strings.Contains(log, poison) && !strings.Contains(c.why, "its issuer is") {
				t.Errorf("the log quotes the answer: %s", log)
			}
			found, err := w.Inspect(t.Context(), w.snap, w.issuer)
			if err == nil || !strings.Contains(err.Error(), c.why) || found.Keys != nil {
				t.Errorf("Inspect: got %+v, %v, want %q", found, err, c.why)
			}
		})
	}
	t.Cleanup(func() {
		if len(private.hits) > 0 {
			t.Errorf("a redirect was followed: %v", private.hits)
		}
	})
}

// A fetch has 5 s.
func TestFetchTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.Issuer = "https://issuer.example.com"
	w.Network.Timeout = 0
	var within time.Duration
	w.Network.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.example.com") }
	w.Network.Lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) {
		if end, ok := ctx.Deadline(); ok {
			within = time.Until(end)
		}
		return nil, errors.New("no such host")
	}
	w.lacks(t, "first", uma.ErrKeysMissing)
	if within <= 0 || within > 5*time.Second {
		t.Errorf("a fetch may take %s", within)
	}
}

func slow(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func trickle(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write([]byte(" ")); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
	}
}

// filled puts the URLs of a front into documents.
type filled struct {
	http.ResponseWriter
	front *front
}

func (f *filled) Write(b []byte) (int, error) {
	text := strings.NewReplacer("ISSUER", f.front.Issuer(), "KEYS", f.front.JWKSEndpoint()).Replace(string(b))
	_, err := f.ResponseWriter.Write([]byte(text))
	return len(b), err
}

func TestInspect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ec := newEC(t, elliptic.P256())
	w.set(func(rw http.ResponseWriter, r *http.Request) {
		answer(w, rw, r, `{"keys":[`+jwk(t, &rsaKey.PublicKey, "r", "RS256")+`,`+jwk(t, &ec.PublicKey, "e", "")+`,`+jwk(t, ec, "p", "")+`]}`)
	})
	got, err := w.Inspect(t.Context(), w.snap, w.issuer)
	want := &Inspection{
		Discovery: w.Issuer() + "/.well-known/openid-configuration", JWKSURI: w.JWKSEndpoint(),
		Keys: []InspectedKey{
			{ID: "r", Type: "RSA 2048", Algorithms: []string{"RS256"}},
			{ID: "e", Type: "EC P-256", Algorithms: []string{}, Why: "it is for none of the issuer's algorithms"},
			{ID: "p", Why: "its private half, or a shared secret, is published"},
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if len(w.held) != 0 {
		t.Error("Inspect keeps what it fetched")
	}
}
