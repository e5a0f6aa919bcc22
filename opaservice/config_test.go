package opaservice_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/umpire/opaservice"
)

const document = `{
	"services": {"registry": {"url": "URL", "credentials": {"bearer": {"token": "s3cret"}}}},
	"keys": {"team": {"key": "hmac-secret", "algorithm": "HS256", "scope": "write"}, "signer": {"private_key": "private-secret"}},
	"bundles": {"photoz": {"resource": "/bundles/photoz.tar.gz?sig=s1gn", "signing": {"keyid": "team", "exclude_files": ["*/.regal/*"]}}},
	"decision_logs": {}
}`

func parse(t *testing.T, doc string) *opaservice.Config {
	t.Helper()
	c, err := opaservice.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What a user leaves out has OPA's defaults.
func TestDefaults(t *testing.T) {
	t.Parallel()
	c := parse(t, document)
	if got, want := *c.DecisionLogs, (opaservice.DecisionLogs{
		Service: "registry", Resource: "logs", Reporting: opaservice.Reporting{MinDelay: 300, MaxDelay: 600, UploadLimit: 32768},
	}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := c.Bundle.Polling, (opaservice.Polling{MinDelay: 60, MaxDelay: 120}); got != want || c.Bundle.Service != "registry" {
		t.Errorf("got %+v of service %q, want %+v", got, c.Bundle.Service, want)
	}
	if got, want := c.Source(), "service registry, resource bundles/photoz.tar.gz"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := parse(t, `{"services": {"s": {}}, "bundles": {"b": {}}}`).Bundle.Resource, "bundles/b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A key that only signs verifies nothing.
func TestVerification(t *testing.T) {
	t.Parallel()
	v := parse(t, document).Verification()
	if v == nil || len(v.PublicKeys) != 1 || v.PublicKeys["team"].Scope != "write" || v.KeyID != "team" || len(v.Exclude) != 1 || !v.SignatureRequired() {
		t.Errorf("got %+v", v)
	}
	if v := parse(t, `{"keys": {"signer": {"private_key": "k"}}}`).Verification(); v != nil {
		t.Errorf("got %+v without a key that verifies", v)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"services": {}, "bundles": {"b": {}}}`:                                 `bundles.b: there is no service ""`,
		`{"services": {"s": {}}, "bundles": {"b": {"service": "other"}}}`:        `there is no service "other"`,
		`{"services": {"s": {}, "r": {}}, "decision_logs": {}}`:                  `decision_logs: there is no service ""`,
		`{"services": {"s": {}}, "bundles": {"a": {}, "b": {}}}`:                 "want one bundle",
		`{"services": {"s": {}}, "bundles": {"b": {"signing": {"keyid": "k"}}}}`: `there is no key "k"`,
		`{"keys": {"k": {"algorithm": "RS256"}}}`:                                "no keys provided",
		`{"plugins": {}}`: "unknown field",
		`{} {}`:           "more than one JSON value",
		`[`:               "read policy.opa",
	} {
		if _, err := opaservice.Parse([]byte(doc)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", doc, err, want)
		}
	}
}

// Each use has a client of its own, and a request does not have the headers of another one.
func TestClients(t *testing.T) {
	t.Parallel()
	type seen struct{ method, path, bearer, match, body string }
	requests := make(chan seen, 3)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- seen{r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("If-None-Match"), string(body)}
	}))
	t.Cleanup(s.Close)
	c := parse(t, strings.Replace(document, "URL", s.URL, 1))
	do := func(header, body string) seen {
		t.Helper()
		client, err := c.Client("registry")
		if err != nil {
			t.Fatal(err)
		}
		method, resource := http.MethodGet, "bundles/b"
		request := client.WithHeader("If-None-Match", header)
		if body != "" {
			method, resource, request = http.MethodPost, "logs", request.WithBytes([]byte(body))
		}
		answer, err := request.Do(t.Context(), method, resource)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return <-requests
	}
	for _, want := range []seen{
		{"GET", "/bundles/b", "Bearer s3cret", `"1"`, ""},
		{"POST", "/logs", "Bearer s3cret", "", "[]"},
	} {
		if got := do(want.match, want.body); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if _, err := c.Client("other"); err == nil {
		t.Error("got a client of a service that is not named")
	}
}

// Errors of a request say which service failed, and have no secret: OPA's quote the answer of
// a token endpoint, and the URL that a service redirected to.
func TestDescribeHasNoSecrets(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "wrong secret s3cret\n"+strings.Repeat("x", 1000))
			return
		}
		http.Redirect(w, r, "http://127.0.0.1:1/?signature=s3cret2", http.StatusFound)
	}))
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for credentials, want := range map[string]string{
		`{"oauth2": {"token_url": "` + s.URL + `/token", "client_id": "c", "client_secret": "s3cret"}}`: "error in response from OAuth2 token endpoint: wrong secret [secret]",
		`{}`: "connection refused",
	} {
		c := parse(t, `{"services": {"registry": {"url": "`+s.URL+`", "tls": {"ca_cert": "`+ca+`"}, "credentials": `+credentials+`}}}`)
		client, err := c.Client("registry")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(t.Context(), http.MethodGet, "bundles/b")
		if err == nil {
			_ = answer.Body.Close()
			t.Fatalf("%s: no error", credentials)
		}
		got := c.Describe("registry", err).Error()
		if strings.Contains(got, "s3cret") || strings.Contains(got, "\n") || len(got) > 350 || !strings.HasPrefix(got, "service registry: ") || !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	c := parse(t, `{"services": {"registry": {"headers": {"a": "s3cret", "b": "s3cret-of-all", "c": "s3cret-of"}}}}`)
	if got, want := c.Describe("registry", errors.New("s3cret-of-all, s3cret")).Error(), "service registry: [secret], [secret]"; got != want {
		t.Errorf("secrets that begin alike: got %q, want %q", got, want)
	}
	c = parse(t, document)
	if err := c.Describe("registry", context.DeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want one that is a deadline", err)
	}
}

// What OPA's client would report at its first request.
func TestCheck(t *testing.T) {
	t.Parallel()
	for service, want := range map[string]string{
		`{"url": "https://r", "tls": {"ca_cert": "/no/such/file"}}`:                                                   "/no/such/file",
		`{"url": "https://r", "credentials": {"bearer": {"token": "t0ken", "token_path": "b"}}}`:                      "token_path",
		`{"url": "https://r", "credentials": {"oauth2": {"token_url": "https://t", "client_id": "c"}}}`:               "client_secret",
		`{"url": "https://r", "credentials": {"bearer": {"token": "t0ken"}, "client_tls": {"cert": "c"}}}`:            "one credential method",
		`{"url": "https://r", "credentials": {"s3_signing": {}}}`:                                                     "credential service",
		`{"url": "https://r", "credentials": {"s3_signing": {"environment_credentials": {}}}, "headers": {"a": "b"}}`: "",
	} {
		err := parse(t, `{"services": {"s": `+service+`}}`).Check("s")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", service, err, want)
		}
	}
}
