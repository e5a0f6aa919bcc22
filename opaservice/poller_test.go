package opaservice_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/umpire/opaservice"
)

// packed is a whole gzip file; the poller does not look into it.
func packed(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// poller polls a service that answers by the function.
func poller(t *testing.T, bundle string, limits opaservice.Limits, answer http.HandlerFunc) *opaservice.Poller {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	p, err := parse(t, fmt.Sprintf(`{"services": {"r": {"url": %q}}, "bundles": {"b": %s}}`, s.URL, bundle)).Poller(limits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A bundle that has not changed is not fetched again, until the poller is told to: its ETag must
// not stay in the map of headers, where OPA's client keeps an ETag that was set once.
func TestPollerForgets(t *testing.T) {
	t.Parallel()
	var matches []string
	content := packed(t, "one")
	p := poller(t, `{}`, opaservice.Limits{}, func(w http.ResponseWriter, r *http.Request) {
		matches = append(matches, r.Header.Get("If-None-Match"))
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		_, _ = w.Write(content)
	})
	for i, want := range []bool{true, false, false, true, false} {
		if i == 3 {
			p.Forget()
		}
		got, err := p.Poll(t.Context())
		if err != nil || (got != nil) != want {
			t.Errorf("poll %d: got %d bytes, %v", i, len(got), err)
		}
		if next := p.Next(); next < time.Minute || next > 2*time.Minute {
			t.Errorf("poll %d: the next one after %s, want OPA's default of one to two minutes", i, next)
		}
	}
	if got, want := strings.Join(matches, ","), `,"1","1",,"1"`; got != want {
		t.Errorf("got If-None-Match %s, want %s", got, want)
	}
}

// A service that says that it can wait is asked again at once, but not if it does not wait.
func TestPollerWaits(t *testing.T) {
	t.Parallel()
	kind, content := "application/vnd.openpolicyagent.bundles", packed(t, "one")
	var prefer []string
	p := poller(t, `{"polling": {"long_polling_timeout_seconds": 30, "min_delay_seconds": 7, "max_delay_seconds": 7}}`, opaservice.Limits{}, func(w http.ResponseWriter, r *http.Request) {
		prefer = append(prefer, r.Header.Get("Prefer"))
		if r.Header.Get("If-None-Match") != "" && kind != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("ETag", `"1"`)
		_, _ = w.Write(content)
	})
	poll := func(what string, next time.Duration) {
		t.Helper()
		if _, err := p.Poll(t.Context()); err != nil || p.Next() != next {
			t.Errorf("%s: got %v, and the next poll after %s, want %s", what, err, p.Next(), next)
		}
	}
	poll("a bundle", 0)
	poll("304 at once", 7*time.Second)
	kind = ""
	poll("a bundle of a service that cannot wait", 7*time.Second)
	poll("the next", 7*time.Second)
	if got, want := strings.Join(prefer, ","), "modes=snapshot;wait=30,modes=snapshot;wait=30,modes=snapshot;wait=30,modes=snapshot"; got != want {
		t.Errorf("got Prefer %s, want %s", got, want)
	}
}

// A service that may wait may also wait longer than its answer otherwise takes to begin.
func TestPollerIsPatient(t *testing.T) {
	t.Parallel()
	content := packed(t, "one")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.After(1100 * time.Millisecond) // OPA's time-out has whole seconds
		if !strings.Contains(r.Header.Get("Prefer"), "wait=") {
			begin = nil
		}
		select {
		case <-begin:
			_, _ = w.Write(content)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	for polling, want := range map[string]bool{`{"long_polling_timeout_seconds": 1}`: true, `{}`: false} {
		p, err := parse(t, fmt.Sprintf(`{"services": {"r": {"url": %q, "response_header_timeout_seconds": 1}}, "bundles": {"b": {"polling": %s}}}`, s.URL, polling)).Poller(opaservice.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Poll(t.Context()); (err == nil) != want {
			t.Errorf("%s: got %d bytes, %v", polling, len(got), err)
		}
	}
}

// A service that says that nothing changed, though it was not asked whether, has no bundle.
func TestPollerRefusesNotModified(t *testing.T) {
	t.Parallel()
	p := poller(t, `{}`, opaservice.Limits{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	if _, err := p.Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "304 Not Modified to a request without If-None-Match") {
		t.Errorf("got %v", err)
	}
}

// After failures the next polls come after waits that grow up to the longest delay.
func TestPollerBacksOff(t *testing.T) {
	t.Parallel()
	p := poller(t, `{"polling": {"min_delay_seconds": 5, "max_delay_seconds": 10}}`, opaservice.Limits{}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	})
	var waits []time.Duration
	for range 12 {
		if _, err := p.Poll(t.Context()); err == nil || err.Error() != "service r, resource bundles/b: answered 502 Bad Gateway" {
			t.Fatalf("got %v", err)
		}
		waits = append(waits, p.Next())
	}
	if waits[0] < 500*time.Millisecond || waits[0] > time.Second || waits[11] < 8*time.Second || waits[11] > 12*time.Second || waits[3] < waits[0] {
		t.Errorf("got %v", waits)
	}
}

// A bundle that could not be used for the moment is fetched again after waits that grow, also from
// a service that answers without waiting: else the poller would fetch it without a pause.
func TestPollerBacksOffFromWhatCannotBeUsed(t *testing.T) {
	t.Parallel()
	content := packed(t, "one")
	p := poller(t, `{"polling": {"long_polling_timeout_seconds": 30, "min_delay_seconds": 7, "max_delay_seconds": 7}}`, opaservice.Limits{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.openpolicyagent.bundles")
		w.Header().Set("ETag", `"1"`)
		_, _ = w.Write(content)
	})
	poll := func() {
		t.Helper()
		if got, err := p.Poll(t.Context()); err != nil || got == nil {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	}
	var waits []time.Duration
	for range 8 {
		poll()
		p.Forget()
		waits = append(waits, p.Next())
	}
	if waits[0] < 500*time.Millisecond || waits[0] > time.Second || waits[7] < 5*time.Second || waits[7] > 9*time.Second {
		t.Errorf("got %v", waits)
	}
	for range 2 { // the first one still asks without an ETag
		if poll(); p.Next() != 0 {
			t.Errorf("got %s for a bundle that can be used", p.Next())
		}
	}
	poll()
	p.Forget()
	if got := p.Next(); got > time.Second {
		t.Errorf("got %s after a bundle that could be used", got)
	}
}

// A service that begins its answer and does not end it is given up.
func TestPollerGivesUp(t *testing.T) {
	t.Parallel()
	p := poller(t, `{}`, opaservice.Limits{Timeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte{0x1f, 0x8b})
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	if _, err := p.Poll(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A redirect is followed as OPA's client follows it: the token is for the service alone.
func TestPollerFollowsRedirects(t *testing.T) {
	t.Parallel()
	content := packed(t, "one")
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token was sent to another host")
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(store.Close)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			t.Error("the service got no token")
		}
		http.Redirect(w, r, strings.Replace(store.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
	}))
	t.Cleanup(s.Close)
	p, err := parse(t, `{"services": {"r": {"url": "`+s.URL+`", "credentials": {"bearer": {"token": "s3cret"}}}}, "bundles": {"b": {}}}`).Poller(opaservice.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Poll(t.Context()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// Credentials are those of OPA's client: a token of an authorization server, a certificate, the
// signature of a bucket.
func TestPollerCredentials(t *testing.T) {
	t.Parallel()
	content := packed(t, "one")
	seen := &http.Request{TLS: &tls.ConnectionState{}}
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			if id, secret, _ := r.BasicAuth(); id != "umpire" || secret != "s3cret" {
				t.Errorf("the token endpoint got %q and %q", id, secret)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 300}`))
			return
		}
		seen = r
		_, _ = w.Write(content)
	})
	plain, secure, mutual := httptest.NewServer(answer), httptest.NewTLSServer(answer), httptest.NewUnstartedServer(answer)
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	mutual.StartTLS()
	for _, s := range []*httptest.Server{plain, secure, mutual} {
		t.Cleanup(s.Close)
	}
	cert, key := pemFiles(t, mutual.TLS.Certificates[0])
	for _, tc := range []struct {
		name, service string
		ok            func() bool
	}{
		{"oauth2", fmt.Sprintf(`{"url": %q, "tls": {"ca_cert": %q}, "credentials": {"oauth2": {"token_url": %q, "client_id": "umpire", "client_secret": "s3cret"}}}`, secure.URL, cert, secure.URL+"/token"),
			func() bool { return seen.Header.Get("Authorization") == "Bearer t0ken" }},
		{"client_tls", fmt.Sprintf(`{"url": %q, "tls": {"ca_cert": %q}, "credentials": {"client_tls": {"cert": %q, "private_key": %q}}}`, mutual.URL, cert, cert, key),
			func() bool { return len(seen.TLS.PeerCertificates) == 1 }},
		{"s3_signing", fmt.Sprintf(`{"url": %q, "credentials": {"s3_signing": {"profile_credentials": {"path": %q, "profile": "p", "aws_region": "eu-central-1"}}}}`, plain.URL, awsProfile(t)),
			func() bool {
				return strings.HasPrefix(seen.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKID/")
			}},
	} {
		p, err := parse(t, `{"services": {"r": `+tc.service+`}, "bundles": {"b": {}}}`).Poller(opaservice.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Poll(t.Context()); err != nil || !bytes.Equal(got, content) || !tc.ok() {
			t.Errorf("%s: got %d bytes, %v, by a request with %v", tc.name, len(got), err, seen.Header)
		}
	}
}

// pemFiles writes a certificate and its key.
func pemFiles(t *testing.T, c tls.Certificate) (cert, key string) {
	t.Helper()
	private, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func awsProfile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "aws.ini")
	if err := os.WriteFile(file, []byte("[p]\naws_access_key_id = AKID\naws_secret_access_key = s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
