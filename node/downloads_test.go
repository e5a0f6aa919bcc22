package node

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/token"
	"example.com/umpire/uma"
)

// archive is a bundle file.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	w := tar.NewWriter(packed)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A bundle whose activation fails for the moment is activated from memory, while the service
// is asked for nothing, and it is fetched again at the next poll.
func TestDownloadIsKeptForRetries(t *testing.T) {
	t.Parallel()
	matches, polls := make(chan string, 10), make(chan struct{})
	content := archive(t, map[string]string{"album.rego": "package uma.policies.album\n"})
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		matches <- r.Header.Get("If-None-Match")
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(service.Close)
	s := newSite(t)
	s.write(t, s.file, fmt.Sprintf("realm: r\npolicy: {timeout: 1s, opa: {services: {a: {url: %q}}, bundles: {b: {}}}}\nclients: [{id: api, secret: a-secret-that-is-long-enough, resource_server: true}]\n", service.URL))
	stored := make(chan struct{}, 10)
	tries := 0
	n := s.open(t, func(n *Node) {
		n.Downloads.Wait = func(ctx context.Context, _ time.Duration) {
			select {
			case <-ctx.Done():
			case <-polls:
			}
		}
		n.Rollout.Store = &activatingStore{n.Store, func(ctx context.Context, a *uma.Activation) (uma.Key, error) {
			if tries++; tries == 1 {
				return 0, uma.ErrBusy
			}
			key, err := n.Store.ActivatePolicy(ctx, a)
			stored <- struct{}{}
			return key, err
		}}
	})
	if err := begin(t, n); err != nil {
		t.Fatalf("a failure about a policy of a service ends the start: %v", err)
	}
	<-stored
	if got := len(matches); got != 1 {
		t.Errorf("got %d requests until the policy was activated, want 1", got)
	}
	for range 2 {
		polls <- struct{}{}
	}
	polls <- struct{}{} // the two polls before have ended
	if got := []string{<-matches, <-matches, <-matches}; got[0] != "" || got[1] != "" || got[2] != `"1"` {
		t.Errorf("got If-None-Match %q: want the bundle fetched again once", got)
	}
}

// A bundle that could not be examined for the moment is fetched again soon, and activated.
func TestDownloadIsExaminedAgain(t *testing.T) {
	t.Parallel()
	matches, waits, polls := make(chan string, 10), make(chan time.Duration, 10), make(chan struct{})
	content := archive(t, map[string]string{"album.rego": "package uma.policies.album\n"})
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		matches <- r.Header.Get("If-None-Match")
		w.Header().Set("ETag", `"1"`)
		_, _ = w.Write(content)
	}))
	t.Cleanup(service.Close)
	s := newSite(t)
	s.write(t, s.file, fmt.Sprintf("realm: r\npolicy: {timeout: 1s, opa: {services: {a: {url: %q}}, bundles: {b: {}}}}\nclients: [{id: api, secret: a-secret-that-is-long-enough, resource_server: true}]\n", service.URL))
	tries := 0
	n := s.open(t, func(n *Node) {
		n.Downloads.Wait = func(ctx context.Context, d time.Duration) {
			waits <- d
			select {
			case <-ctx.Done():
			case <-polls:
			}
		}
		n.Rollout.Examine = func(ctx context.Context, job *rollout.Job) (*rollout.Outcome, error) {
			if tries++; tries == 1 {
				return nil, errors.New("no process")
			}
			return rollout.InProcess(ctx, job)
		}
	})
	if err := begin(t, n); err != nil {
		t.Fatal(err)
	}
	if err := n.policies.missing(); err == nil || !strings.Contains(err.Error(), "no process") {
		t.Errorf("got %v", err)
	}
	if got := <-waits; got > time.Second {
		t.Errorf("the bundle is fetched again after %s", got)
	}
	polls <- struct{}{}
	<-waits
	if got := []string{<-matches, <-matches}; got[0] != "" || got[1] != "" || tries != 2 {
		t.Errorf("got If-None-Match %q and %d examinations, want the bundle fetched and examined again", got, tries)
	}
}

// Settings that cannot be opened are in the log: no poll would say so.
func TestDownloadWithoutSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write(t, s.file, "realm: r\npolicy: {timeout: 1s, opa: {services: {a: {url: 'http://127.0.0.1:1'}}, bundles: {b: {}}}}\nclients: [{id: api, secret: a-secret-that-is-long-enough, resource_server: true}]\n")
	var log bytes.Buffer
	n := s.open(t, func(n *Node) { n.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	other, err := token.VaultOf(strings.Repeat("ab", 32), "another key")
	if err != nil {
		t.Fatal(err)
	}
	n.vault = other
	beginAndEnd(t, n)
	if got := strings.Count(log.String(), "policies not downloaded"); got != 1 {
		t.Errorf("got %d lines, want 1: %s", got, &log)
	}
	if err := n.policies.missing(); err == nil {
		t.Error("the realm has a policy")
	}
}

// With --policies-from-database no service is asked.
func TestStoredPoliciesAskNoService(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	beginAndEnd(t, s.open(t, func(*Node) {}))
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the service is asked") }))
	t.Cleanup(service.Close)
	s.write(t, s.file, fmt.Sprintf("realm: r\npolicy: {timeout: 1s, opa: {services: {a: {url: %q}}, bundles: {b: {}}}}\nclients: [{id: api, secret: a-secret-that-is-long-enough, resource_server: true}]\n", service.URL))
	if err := os.RemoveAll(s.folder); err != nil {
		t.Fatal(err)
	}
	n := s.open(t, func(n *Node) { n.StoredPolicies = true })
	beginAndEnd(t, n)
	active(t, n)
}
