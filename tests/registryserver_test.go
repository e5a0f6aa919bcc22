package tests

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/opaservice"
)

// registryToken is the bearer token that registries of these tests ask for.
const registryToken = "registry-s3cret-of-its-own"

// A registry is an HTTP service that has a bundle. A server polls it when the test says so.
type registry struct {
	*httptest.Server
	tick chan chan struct{} // lets a server poll; what is sent is closed when that poll has ended

	mu      sync.Mutex
	ended   chan struct{} // of the poll that goes on; nil without one
	content []byte
	broken  http.HandlerFunc // answers instead, if it is set
	seen    []http.Header    // of the requests
	answers []int
}

func newRegistry(t testing.TB, content []byte) *registry {
	t.Helper()
	g := &registry{tick: make(chan chan struct{}), content: content}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	content, broken := g.content, g.broken
	g.seen = append(g.seen, r.Header)
	g.mu.Unlock()
	status := http.StatusOK
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(content))
	switch {
	case broken != nil:
		broken(w, r)
		return
	case r.Header.Get("Authorization") != "Bearer "+registryToken:
		status = http.StatusUnauthorized
	case r.URL.Path != "/bundles/photoz.tar.gz":
		status = http.StatusNotFound
	case r.Header.Get("If-None-Match") == etag:
		status = http.StatusNotModified // without the ETag, as some services answer
	default:
		w.Header().Set("ETag", etag)
		_, _ = w.Write(content)
	}
	if status != http.StatusOK {
		w.WriteHeader(status)
	}
	g.mu.Lock()
	g.answers = append(g.answers, status)
	g.mu.Unlock()
}

// put changes the bundle.
func (g *registry) put(content []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.content, g.broken = content, nil
}

// fail makes the registry answer by a function of the test.
func (g *registry) fail(how http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.broken = how
}

// last is the status of the last answer, and the header of the last request.
func (g *registry) last() (int, http.Header) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.answers) == 0 {
		return 0, nil
	}
	return g.answers[len(g.answers)-1], g.seen[len(g.seen)-1]
}

// poll lets the server poll once more, and waits for the end of that poll: an answer that is put
// into place afterwards is for the next one.
func (g *registry) poll(t testing.TB) {
	t.Helper()
	ended := make(chan struct{})
	late := time.After(20 * time.Second)
	select {
	case g.tick <- ended:
	case <-late:
		t.Fatal("the server does not poll")
	}
	select {
	case <-ended:
	case <-late:
		t.Fatal("the poll does not end")
	}
}

// polling makes the server poll when the test says so.
func (g *registry) polling(o *options) {
	o.Downloads = node.Downloads{Limits: opaservice.Limits{Size: 1 << 20}, Wait: func(ctx context.Context, _ time.Duration) {
		g.polled(nil)
		select {
		case <-ctx.Done():
		case ended := <-g.tick:
			g.polled(ended)
		}
	}}
}

// polled closes what the test waits for since the poll before, and remembers the next.
func (g *registry) polled(next chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended != nil {
		close(g.ended)
	}
	g.ended = next
}

// fromRegistry is policy.opa of a realm whose policies come from a registry.
func fromRegistry(url string) string {
	return fmt.Sprintf("opa: {services: {registry: {url: %q, credentials: {bearer: {token: %q}}}}, bundles: {photoz: {resource: bundles/photoz.tar.gz}}}", url, registryToken)
}

// photozFrom is the photoz realm with its policies in a registry.
func photozFrom(t testing.TB, url string) func(*options) {
	return photozWith(t, nil, "bundle: ./policies", fromRegistry(url))
}

const closedGuard = "package uma.guardrails\ndeny contains \"closed\" if \"view\" in input.scopes\n"
const openGuard = "package uma.guardrails\ndeny contains \"closed\" if \"none\" in input.scopes\n"

// notDownloaded waits for the log about a failed poll.
func (e *env) notDownloaded(t testing.TB, words string) {
	t.Helper()
	within1s(t, "the log about "+words, func() bool {
		return e.logged(t, "policies not downloaded", "service registry, resource bundles/photoz.tar.gz", words)
	})
}
