package pep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	callTimeout  = 5 * time.Second
	maxAnswer    = 1 << 20 // bytes of an answer of the authorization server
	discoveryAge = time.Hour
)

var (
	// errNotFound: a look-up found no resource, or several.
	errNotFound = errors.New("no such resource")
	// errGone: the authorization server does not know the resource or scope of a permission, or no longer.
	errGone = errors.New("resource or scope unknown to the authorization server")
)

// metadata is the discovery document, UMA Grant §2 and UMA Federated Authorization §2.
type metadata struct {
	Issuer        string   `json:"issuer"`
	Token         string   `json:"token_endpoint"`
	Introspection string   `json:"introspection_endpoint"`
	Keys          string   `json:"jwks_uri"`
	Permission    string   `json:"permission_endpoint"`
	Resources     string   `json:"resource_registration_endpoint"`
	Scopes        []string `json:"scopes_supported"`
}

// server is a client of the authorization server.
type server struct {
	cfg      Config
	client   *http.Client
	now      func() time.Time
	metadata *lazy[metadata]
	pat      *lazy[string]
	keys     *lazy[keySet]
	ids      *cache[string, string]             // resource ids by URI
	tokens   *cache[[sha256.Size]byte, Granted] // introspected, by the hash of the token
}

func newServer(cfg Config) *server {
	client := *cfg.HTTPClient
	client.CheckRedirect = sameHost
	s := &server{
		cfg: cfg, client: &client, now: cfg.Now,
		ids:    newCache[string, string](cfg.CacheSize),
		tokens: newCache[[sha256.Size]byte, Granted](cfg.CacheSize),
	}
	s.metadata = &lazy[metadata]{fetch: s.fetchMetadata, now: s.now}
	s.pat = &lazy[string]{fetch: s.fetchPAT, now: s.now}
	s.keys = &lazy[keySet]{fetch: s.fetchKeys, now: s.now}
	return s
}

// sameHost refuses a redirect that would carry a token or a secret elsewhere.
func sameHost(next *http.Request, via []*http.Request) error {
	if len(via) > 3 || next.URL.Scheme != via[0].URL.Scheme || next.URL.Host != via[0].URL.Host {
		return errors.New("redirect refused")
	}
	return nil
}

func (s *server) fetchMetadata(ctx context.Context) (metadata, time.Time, error) {
	var m metadata
	well := s.cfg.AuthorizationServer + "/.well-known/uma2-configuration"
	if err := s.get(ctx, well, &m); err != nil {
		return m, time.Time{}, fmt.Errorf("discovery: %w", err)
	}
	if m.Issuer != s.cfg.AuthorizationServer {
		return m, time.Time{}, fmt.Errorf("discovery: issuer %q is not %q", m.Issuer, s.cfg.AuthorizationServer)
	}
	// Credentials are sent to these, so they must be of the same host.
	for _, endpoint := range []string{m.Token, m.Introspection, m.Keys, m.Permission, m.Resources} {
		if !sameOrigin(endpoint, m.Issuer) {
			return m, time.Time{}, fmt.Errorf("discovery: endpoint %q is missing or of another host", endpoint)
		}
	}
	return m, s.now().Add(discoveryAge), nil
}

func sameOrigin(a, b string) bool {
	x, err := url.Parse(a)
	if err != nil {
		return false
	}
	y, err := url.Parse(b)
	return err == nil && x.Host != "" && x.Scheme == y.Scheme && x.Host == y.Host && x.User == nil
}

// fetchPAT obtains the token for the protection API by client credentials, UMA Federated Authorization §1.3. It expires
// here before it does there: by a tenth of its lifetime, at most 30 seconds.
func (s *server) fetchPAT(ctx context.Context) (string, time.Time, error) {
	m, err := s.metadata.get(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	// a server that does not have the scope (Keycloak) refuses a request for it
	if slices.Contains(m.Scopes, "uma_protection") {
		form.Set("scope", "uma_protection")
	}
	asked := s.now()
	var answer struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"` // seconds
	}
	if err := s.post(ctx, m.Token, form, &answer); err != nil {
		return "", time.Time{}, fmt.Errorf("obtain PAT: %w", err)
	}
	if answer.AccessToken == "" || !strings.EqualFold(answer.TokenType, "Bearer") {
		return "", time.Time{}, errors.New("obtain PAT: no bearer token in the answer")
	}
	life := time.Duration(max(0, min(answer.ExpiresIn, 86400))) * time.Second
	return answer.AccessToken, asked.Add(life - min(life/10, 30*time.Second)), nil
}

// ticket asks for a permission ticket, UMA Federated Authorization §4.
func (s *server) ticket(ctx context.Context, p Permission) (string, error) {
	m, err := s.metadata.get(ctx)
	if err != nil {
		return "", err
	}
	body := []map[string]any{{"resource_id": p.ResourceID, "resource_scopes": p.Scopes}}
	var answer struct {
		Ticket string `json:"ticket"`
	}
	err = s.protection(ctx, http.MethodPost, m.Permission, body, &answer)
	if status(err) == http.StatusBadRequest {
		// The resource was removed, and perhaps registered again with another id: look it up next time.
		s.ids.drop(func(id string) bool { return id == p.ResourceID })
		return "", fmt.Errorf("obtain ticket: %w: %w", errGone, err)
	}
	if err != nil {
		return "", fmt.Errorf("obtain ticket: %w", err)
	}
	if answer.Ticket == "" || !printable(answer.Ticket) {
		return "", errors.New("obtain ticket: none in the answer")
	}
	return answer.Ticket, nil
}

// lookup returns the id of the resource that has a URI, or whose pattern matches it best.
// The resource server's own comes first: a user who registers the same URI must neither
// replace it nor block the page. If several of the resource server's own, or several of
// users, have the URI, none is returned.
func (s *server) lookup(ctx context.Context, uri, encoded string) (string, error) {
	if id, ok := s.ids.get(uri, s.now()); ok {
		return id, nil
	}
	m, err := s.metadata.get(ctx)
	if err != nil {
		return "", err
	}
	var found []registered
	query := url.Values{"uri": {encoded}, "matchingUri": {"true"}, "deep": {"true"}}
	if err := s.protection(ctx, http.MethodGet, m.Resources+"?"+query.Encode(), nil, &found); err != nil {
		return "", fmt.Errorf("look up resource: %w", err)
	}
	if slices.ContainsFunc(found, s.isOwn) {
		found = slices.DeleteFunc(found, func(r registered) bool { return !s.isOwn(r) })
	}
	var exact, pattern []string
	for _, r := range found {
		switch {
		case r.ID == "":
		case slices.Contains(r.URIs, uri): // the server compares without regard to case, paths here do not
			exact = append(exact, r.ID)
		case slices.ContainsFunc(r.URIs, func(u string) bool { return strings.ContainsAny(u, "*{") }):
			pattern = append(pattern, r.ID)
		}
	}
	if len(exact) == 0 {
		exact = pattern
	}
	if len(exact) != 1 {
		return "", fmt.Errorf("look up resource %q: %w (%d found)", uri, errNotFound, len(exact))
	}
	s.ids.put(uri, exact[0], s.now().Add(s.cfg.CacheTTL))
	return exact[0], nil
}

// registered is a resource as the protection API lists it.
type registered struct {
	ID    string          `json:"_id"`
	URIs  []string        `json:"uris"`
	Owner json.RawMessage `json:"owner"` // read only if it is an object with a name, as Keycloak has it
}

// isOwn reports whether the resource server itself owns a resource: then the name of the owner is the client_id.
func (s *server) isOwn(r registered) bool {
	var owner struct {
		Name string `json:"name"`
	}
	return json.Unmarshal(r.Owner, &owner) == nil && owner.Name == s.cfg.ClientID
}

// protection calls the protection API with the PAT. If the PAT is refused, it obtains another and tries once more.
func (s *server) protection(ctx context.Context, method, endpoint string, body, answer any) error {
	for again := true; ; again = false {
		pat, err := s.pat.get(ctx)
		if err != nil {
			return err
		}
		err = s.call(ctx, method, endpoint, pat, body, answer)
		if status(err) != http.StatusUnauthorized {
			return err
		}
		s.pat.forget(func(p string) bool { return p == pat })
		if !again {
			return err
		}
	}
}

func (s *server) call(ctx context.Context, method, endpoint, bearer string, body, answer any) error {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, endpoint, bytes.NewReader(b))
	if err != nil {
		return err
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return s.do(req, answer)
}

func (s *server) get(ctx context.Context, endpoint string, answer any) error {
	return s.call(ctx, http.MethodGet, endpoint, "", nil, answer)
}

// post sends a form with the client's credentials, both halves encoded as RFC 6749 §2.3.1 says.
func (s *server) post(ctx context.Context, endpoint string, form url.Values, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(s.cfg.ClientID), url.QueryEscape(s.cfg.ClientSecret))
	return s.do(req, answer)
}

// statusError is an answer other than 2xx. Of its body only the error code is kept.
type statusError struct {
	status int
	code   string
}

func (e *statusError) Error() string {
	if e.code == "" {
		return fmt.Sprintf("status %d", e.status)
	}
	return fmt.Sprintf("status %d, %q", e.status, e.code)
}

// status returns the HTTP status in err, or 0.
func status(err error) int {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status
	}
	return 0
}

func (s *server) do(req *http.Request, answer any) error {
	ctx, cancel := context.WithTimeout(req.Context(), callTimeout)
	defer cancel()
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req.WithContext(ctx))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // ReadAll has the errors
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("answer is larger than %d bytes", maxAnswer)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		var e struct {
			Error string `json:"error"`
		}
		_ = json.Unmarshal(body, &e) // the answer of a proxy may not be JSON; then the status is all there is
		return &statusError{resp.StatusCode, e.Error[:min(len(e.Error), 64)]}
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return errors.New("answer is not the JSON expected") // the decoder's text quotes the answer
	}
	return nil
}
