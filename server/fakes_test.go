package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

const issuer = "https://as.example.com/realms/photoz"

var moment = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// photoz is a realm with a resource server, a client with pages, and one without.
func photoz() *uma.Snapshot {
	realm := uma.Realm{
		Key: 1, Name: "photoz", Enabled: true, Profile: "keycloak", SigningAlg: "ES256",
		Lifetimes: uma.Lifetimes{Access: time.Minute, RPT: time.Minute, Ticket: time.Minute, Refresh: time.Hour, Session: time.Hour},
		Policy:    uma.PolicySettings{MaxPermissions: 200},
	}
	clients := []*uma.Client{
		{Key: 1, ID: "photoz-api", UUID: "u-api", Secret: []byte("secret"), Enabled: true, ResourceServer: true, ServiceAccount: true,
			ClientRoles: map[string][]string{"photoz-api": {"uma_protection"}}, WebOrigins: []string{"https://api.example.com"}},
		{Key: 2, ID: "photoz-web", UUID: "u-web", Public: true, Enabled: true, PasswordGrant: true, WebOrigins: []string{"http://localhost:3000"}},
	}
	keys := []uma.SigningKey{{KID: "old", Alg: "RS256", Public: []byte("rsa")}, {KID: "now", Alg: "ES256", Public: []byte("ec"), Active: true}}
	return uma.NewSnapshot(realm, clients, keys)
}

// fakeStore holds one realm, and resources only for lists. A method that a test
// does not expect panics.
type fakeStore struct {
	uma.Store
	resources []*uma.Resource
	broken    error // of the list, after the resources
	views     error
}

func (f fakeStore) Generation(context.Context) (int64, error) { return 1, nil }

func (f fakeStore) RealmNames(context.Context) ([]string, error) {
	return []string{"broken", "off", "photoz", "timed"}, nil
}

func (f fakeStore) Snapshot(ctx context.Context, name string, _ time.Time) (*uma.Snapshot, error) {
	switch s := photoz(); name {
	case "photoz":
		return s, nil
	case "off":
		s.Realm.Enabled, s.Realm.Name = false, "off"
		return s, nil
	case "timed": // is there for who does not wait for ever
		if _, ok := ctx.Deadline(); ok {
			return s, nil
		}
		return nil, errors.New("a reading without a deadline")
	case "broken":
		return nil, errors.New("disk I/O error at /var/lib/umpire.db")
	}
	return nil, uma.ErrNotFound
}

func (f fakeStore) View(context.Context) (uma.View, error) { return fakeView{}, f.views }

func (f fakeStore) CachedView(ctx context.Context) (uma.View, error) { return f.View(ctx) }

func (f fakeStore) FindResources(_ context.Context, _ uma.Key, _ uma.ResourceFilter, first, most int, each func(*uma.Resource) error) error {
	for _, r := range f.resources {
		if err := each(r); err != nil {
			return err
		}
	}
	return f.broken
}

type fakeView struct{ uma.View }

func (fakeView) Close() error { return nil }

func (fakeView) Epoch() uma.Epoch { return 0 }

func (fakeView) Expect(context.Context, *uma.Expected) error { return nil }

func (fakeView) TokenState(context.Context, uma.Key, string, string) (*uma.TokenState, error) {
	return &uma.TokenState{}, nil
}

func (fakeView) Resource(context.Context, uma.Key, uma.ResourceID) (*uma.Resource, error) {
	return nil, uma.ErrNotFound
}

// fakeTokens signs and verifies `token-of-CLIENT`.
type fakeTokens struct{ uma.Issuer }

func (fakeTokens) Sign(_ context.Context, _ *uma.Snapshot, c *uma.Claims) (string, error) {
	return "token-of-" + c.AuthorizedParty, nil
}

func (fakeTokens) Verify(_ context.Context, s *uma.Snapshot, _, raw string) (*uma.Claims, error) {
	id, ok := strings.CutPrefix(raw, "token-of-")
	client := s.Clients[id]
	if !ok || client == nil {
		return nil, uma.ErrUnverified
	}
	return &uma.Claims{
		Type: uma.TypeBearer, Subject: client.UUID, AuthorizedParty: id, Audience: uma.Audience{"account"},
		Expires: moment.Add(time.Minute).Unix(), ResourceAccess: map[string]uma.RoleSet{id: {Roles: client.ClientRoles[id]}},
	}, nil
}

func (fakeTokens) VerifyTicket(context.Context, *uma.Snapshot, string, string) (*uma.Claims, error) {
	return nil, uma.ErrUnverified
}

func (fakeTokens) VerifyRefresh(context.Context, *uma.Snapshot, string, string) (*uma.Claims, error) {
	return nil, uma.ErrUnverified
}

func (fakeTokens) KeySet(*uma.Snapshot) ([]byte, error) {
	return []byte(`{"keys":[{"kid":"now"}]}`), nil
}

type fakeHasher struct{ uma.Hasher }

func (fakeHasher) Secret(_ context.Context, plain string) ([]byte, error) { return []byte(plain), nil }

type fakePolicy struct{}

func (fakePolicy) Prepare(context.Context, *uma.Realm) (uma.Evaluator, error) {
	return nil, errors.New("no policy")
}

// env is a running server and what it logged.
type env struct {
	url     string
	metrics *Metrics
	log     *logged
}

type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, store fakeStore) *env {
	t.Helper()
	e := &env{metrics: NewMetrics(), log: &logged{}}
	log := slog.New(slog.NewJSONHandler(e.log, nil))
	var n atomic.Int64
	a, err := wire.NewCore(wire.Parts{
		Store: store, Policy: fakePolicy{}, Issuer: fakeTokens{}, Verifier: fakeTokens{}, Hasher: fakeHasher{}, Trust: &umatest.Trust{}, Wrapper: umatest.Sealer{}, Sealer: umatest.Sealer{},
		PublicURL: "https://as.example.com", Now: func() time.Time { return moment },
		NewID:     func() string { return fmt.Sprint("id-", n.Add(1)) },
		NewSerial: func() string { return fmt.Sprint("serial-", n.Add(1)) },
		Log:       func(ctx context.Context, msg string, args ...any) { log.ErrorContext(ctx, msg, args...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	h := New(Config{
		Core: a, Log: log, Metrics: e.metrics, DefaultRealm: "photoz",
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	srv := httptest.NewUnstartedServer(h)
	srv.Config = Listener(h, log)
	srv.Start()
	t.Cleanup(srv.Close)
	e.url = srv.URL
	return e
}

// An answer is a response, read whole.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

func (a *answer) member(name string) string {
	var m map[string]any
	if json.Unmarshal([]byte(a.body), &m) != nil || m[name] == nil {
		return ""
	}
	return fmt.Sprint(m[name])
}

func (e *env) do(t *testing.T, method, path, body string, headers ...string) *answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return &answer{res.StatusCode, res.Header, string(raw), err}
}

const formType = "application/x-www-form-urlencoded"

func (e *env) post(t *testing.T, path, form string, headers ...string) *answer {
	t.Helper()
	return e.do(t, "POST", path, form, append([]string{"Content-Type", formType}, headers...)...)
}
