package tests

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"example.com/umpire/node"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// TestRegistry: the policies come from a bundle that a service has. It is fetched when it has
// changed only, and whatever is wrong with the service or the bundle leaves the policy before
// in force.
func TestRegistry(t *testing.T) {
	t.Parallel()
	g := newRegistry(t, photozBundle(t, map[string]string{"guard.rego": openGuard}))
	e := start(t, photozFrom(t, g.URL), g.polling)
	if got := e.board(t); got != 200 {
		t.Fatalf("at the start: got %d, want 200", got)
	}
	if _, sent := g.last(); sent.Get("If-None-Match") != "" || sent.Get("Prefer") != "modes=snapshot" {
		t.Errorf("the first request has %v", sent)
	}
	g.poll(t)
	if got, sent := g.last(); got != http.StatusNotModified || sent.Get("If-None-Match") == "" {
		t.Errorf("got %d for a bundle that has not changed, want 304", got)
	}
	g.put(photozBundle(t, map[string]string{"guard.rego": closedGuard}))
	g.poll(t)
	within1s(t, "the changed bundle", func() bool { return e.board(t) == 403 })
	e.beside(t, func(n *node.Node) error {
		state, err := n.Store.PolicyState(t.Context(), e.Realm)
		if got, want := state.Active.Source, "service registry, resource bundles/photoz.tar.gz"; got != want {
			t.Errorf("got the source %q, want %q", got, want)
		}
		return err
	})

	e.refusesBundles(t, g)
	g.put(photozBundle(t, map[string]string{"guard.rego": closedGuard}))
	g.poll(t)
	e.survivesTheService(t, g)
	g.put(photozBundle(t, map[string]string{"guard.rego": openGuard, "more.rego": "package lib.more\n"}))
	g.poll(t)
	within1s(t, "the next bundle", func() bool { return e.board(t) == 200 })
	if !e.logged(t, "the policy service answers again") {
		t.Error("the log does not say that the service answers again")
	}
	if bytes.Contains(readFile(t, filepath.Join(e.Data, "server.log")), []byte(registryToken)) {
		t.Error("the token is in the log")
	}
	e.apply(t, photozRealm(t))
	within1s(t, "the end of the downloads in the metrics", func() bool {
		return !strings.Contains(string(e.admin(t, "/metrics").raw), "umpire_policy_download_timestamp_seconds{")
	})
}

// refusesBundles: bundles with content that a realm may not have.
func (e *env) refusesBundles(t *testing.T, g *registry) {
	t.Helper()
	for words, content := range map[string][]byte{
		"package uma.authz: a realm's files may define": photozBundle(t, map[string]string{"guard.rego": closedGuard, "own.rego": "package uma.authz\ndecision := {}\n"}),
		"no longer has uma.guardrails":                  photozBundle(t, nil),
		"more than 64 MiB":                              zeros(t, 100<<20),
	} {
		g.put(content)
		g.poll(t)
		within1s(t, "the log about "+words, func() bool {
			return e.logged(t, "policy not activated", `"still_active":true`, words)
		})
		if got := e.board(t); got != 403 {
			t.Errorf("%s: got %d, want the policy from before", words, got)
		}
		g.poll(t)
		if got, _ := g.last(); got != http.StatusNotModified {
			t.Errorf("%s: got %d, a bundle that is refused is fetched again", words, got)
		}
	}
}

// survivesTheService: answers that are no whole bundle. They are fetched again.
func (e *env) survivesTheService(t *testing.T, g *registry) {
	t.Helper()
	whole := photozBundle(t, map[string]string{"guard.rego": openGuard})
	trailer := bytes.Clone(whole)
	trailer[len(trailer)-5] ^= 1 // of the checksum: a reader that stops at the end of the tar archive does not see it
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, trouble := range []struct {
		words  string
		answer http.HandlerFunc
	}{
		{"invalid checksum", text(200, string(trailer))},
		{"unexpected EOF", text(200, string(whole[:len(whole)-4]))},
		{"no whole bundle (text/html)", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<p>Sign in, please")
		}},
		{"more than 1048576 bytes", text(200, strings.Repeat("x", 2<<20))},
		{"answered 401 Unauthorized: check policy.opa.services.registry.credentials", text(401, registryToken)},
		{"answered 404 Not Found: check policy.opa.bundles.photoz.resource", text(404, "")},
		{"answered 500 Internal Server Error", text(500, "")},
		{"photoz.tar.gz: EOF", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		g.fail(trouble.answer)
		g.poll(t)
		e.notDownloaded(t, trouble.words)
		if got := e.board(t); got != 403 {
			t.Errorf("%s: got %d, want the policy from before", trouble.words, got)
		}
	}
	e.beside(t, func(n *node.Node) error {
		within1s(t, "the state of the policy", func() bool {
			state, err := n.Store.PolicyState(t.Context(), e.Realm)
			return err == nil && strings.Contains(state.Waiting.Problem, "the policy in force stays, and the service is asked again: service registry") && strings.Contains(state.Waiting.Problem, "EOF")
		})
		return nil
	})
	if metrics := string(e.admin(t, "/metrics").raw); !strings.Contains(metrics, `umpire_policy_download_failures_total{realm="photoz"} 8`) ||
		!strings.Contains(metrics, `umpire_policy_download_timestamp_seconds{realm="photoz"} `) {
		t.Errorf("the metrics do not have the downloads that failed:\n%s", metrics[strings.Index(metrics, "umpire_policy_download"):][:600])
	}
}

// zeros is an archive of nothing but zeros.
func zeros(t testing.TB, n int64) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.CopyN(w, zero{}, n); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRegistryDownAtStart: a server whose service is down starts with the last policy that was
// in force, and says so. Before the first one it starts, too, and its realm refuses until the
// service answers.
func TestRegistryDownAtStart(t *testing.T) {
	t.Parallel()
	g := newRegistry(t, photozBundle(t, nil))
	data := t.TempDir()
	from := []func(*options){photozFrom(t, g.URL), g.polling, func(o *options) { o.Data = data }}
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	g.fail(down)
	t.Run("the first time", func(t *testing.T) {
		e := start(t, from...)
		e.notDownloaded(t, "answered 503 Service Unavailable")
		if got := e.board(t); got < 500 {
			t.Errorf("got %d without a policy, want a refusal", got)
		}
		if res := e.admin(t, "/readyz"); res.status != 503 || !strings.Contains(string(res.raw), "waits for the answer of the policy service") {
			t.Errorf("/readyz does not say what the realm waits for: %s", res)
		}
		g.put(photozBundle(t, nil))
		g.poll(t)
		within1s(t, "the first policy", func() bool { return e.board(t) == 200 })
	})
	g.fail(down)
	t.Run("later", func(t *testing.T) {
		e := start(t, from...)
		if got := e.board(t); got != 200 {
			t.Errorf("got %d, want the last policy", got)
		}
		if !e.logged(t, "started with the last policy that was in force", "answered 503 Service Unavailable") {
			t.Error("the log does not say so")
		}
		e.beside(t, func(n *node.Node) error {
			state, err := n.Store.PolicyState(t.Context(), e.Realm)
			if !strings.Contains(state.Waiting.Problem, "answered 503") {
				t.Errorf("`umpire policy status` would say %+v", state.Waiting)
			}
			return err
		})
		g.put(photozBundle(t, map[string]string{"guard.rego": closedGuard}))
		g.poll(t)
		within1s(t, "the policy of the service that is up again", func() bool { return e.board(t) == 403 })
	})
}

// TestRegistryOfTwoRealms: each realm has a client and an ETag of its own.
func TestRegistryOfTwoRealms(t *testing.T) {
	t.Parallel()
	g := newRegistry(t, photozBundle(t, nil))
	closed := newRegistry(t, photozBundle(t, map[string]string{"guard.rego": closedGuard}))
	other := strings.Replace(photozRealm(t), "bundle: ./policies", fromRegistry(closed.URL), 1)
	other = strings.Replace(other, "realm: photoz", "realm: other", 1)
	e := start(t, photozFrom(t, g.URL), g.polling, func(o *options) { o.More = []string{other} })
	if got := e.board(t); got != 200 {
		t.Errorf("got %d, want 200", got)
	}
	second := &env{URL: e.URL, Admin: e.Admin, Data: e.Data, Clock: e.Clock, Realm: "other"}
	if got := second.board(t); got != 403 {
		t.Errorf("the other realm: got %d, want 403", got)
	}
}

// TestRegistryAndRollback: a rollback pins. What the service has waits, and is taken when it is
// released, though the service is down then.
func TestRegistryAndRollback(t *testing.T) {
	t.Parallel()
	g := newRegistry(t, photozBundle(t, nil))
	e := start(t, photozFrom(t, g.URL), g.polling)
	if got := e.board(t); got != 200 {
		t.Fatalf("at the start: got %d, want 200", got)
	}
	e.beside(t, func(n *node.Node) error {
		state, err := n.Store.PolicyState(t.Context(), e.Realm)
		if err != nil {
			return err
		}
		_, err = n.Rollout.ActivateRevision(t.Context(), rollout.Order{Realm: e.Realm, By: "carol"}, state.Active.Revision)
		return err
	})
	g.put(photozBundle(t, map[string]string{"guard.rego": closedGuard}))
	g.poll(t)
	e.beside(t, func(n *node.Node) error {
		within1s(t, "the proposal that waits", func() bool {
			state, err := n.Store.PolicyState(t.Context(), e.Realm)
			return err == nil && strings.Contains(state.Waiting.Problem, "umpire policy release")
		})
		if got := e.board(t); got != 200 {
			t.Errorf("got %d, want the pinned policy", got)
		}
		g.fail(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		g.poll(t)
		e.notDownloaded(t, "answered 502")
		return n.Store.ReleasePolicy(t.Context(), e.Realm)
	})
	within1s(t, "the released policy", func() bool { return e.board(t) == 403 })
}

// TestRegistrySecrets: the token is sealed in the database, and settings that did not change are
// equal although sealing is random.
func TestRegistrySecrets(t *testing.T) {
	t.Parallel()
	g := newRegistry(t, photozBundle(t, nil))
	e := start(t, photozFrom(t, g.URL), g.polling)
	if got := e.board(t); got != 200 {
		t.Fatalf("at the start: got %d, want 200", got)
	}
	settings := func() (p uma.PolicySettings) {
		t.Helper()
		e.beside(t, func(n *node.Node) error {
			s, err := n.Store.Snapshot(t.Context(), e.Realm, e.Clock.Now())
			if err == nil {
				p = s.Realm.Policy
			}
			return err
		})
		return p
	}
	before := settings()
	text := strings.Replace(photozRealm(t), "bundle: ./policies", fromRegistry(g.URL), 1)
	e.apply(t, text)
	if after := settings(); !bytes.Equal(after.OPA.Sealed, before.OPA.Sealed) {
		t.Error("an unchanged file has its secrets sealed again")
	}
	e.apply(t, strings.Replace(text, registryToken, "another-token-of-its-own", 1))
	if after := settings(); bytes.Equal(after.OPA.Sealed, before.OPA.Sealed) {
		t.Error("a changed secret is not stored")
	}
	e.notDownloaded(t, "answered 401")
	for name, content := range e.written(t) {
		if bytes.Contains(content, []byte(registryToken)) {
			t.Errorf("the token is in %s", name)
		}
	}
}
