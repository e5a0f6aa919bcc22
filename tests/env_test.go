package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	umaGrant    = "urn:ietf:params:oauth:grant-type:uma-ticket"
	claimsJWT   = "urn:ietf:params:oauth:token-type:jwt"
	claimsID    = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken"
	claimsIDTLS = "https://openid.net/specs/openid-connect-core-1_0.html#IDToken"
	tokenPath   = "/protocol/openid-connect/token"
	introspect  = "/protocol/openid-connect/token/introspect"
	resourceSet = "/authz/protection/resource_set"
	permission  = "/authz/protection/permission"
	requests    = "/authz/protection/permission/ticket"
)

// secrets are those of the confidential clients of every realm of these tests.
// A user's password is the user's name.
var secrets = map[string]string{
	"photoz-api": "secret",
	"other-api":  "other-secret",
	"photoz-app": "app-secret",
	"plain-app":  "plain-secret",
}

// options say what start starts.
type options struct {
	// Realm is the text of the realm file; testdata/photoz/realm.yaml when empty.
	Realm string

	// Policies are the files of the bundle ./policies beside the realm file, by
	// name; those of testdata/photoz/policies when nil.
	Policies map[string]string

	// Clock is the server's. It stands still unless a test moves it.
	Clock *clock

	// Data is the server's folder; a new one when empty.
	Data string
}

// newOptions are the options of a test, with their defaults filled in.
func newOptions(t testing.TB, opts []func(*options)) *options {
	t.Helper()
	o := &options{Clock: newClock()}
	for _, opt := range opts {
		opt(o)
	}
	if o.Realm == "" {
		o.Realm = photozRealm(t)
	}
	if o.Policies == nil {
		o.Policies = photozPolicies(t)
	}
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	return o
}

// write puts the realm file and its policies into a new folder and returns the
// path of the file.
func (o *options) write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "policies"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range o.Policies {
		if err := os.WriteFile(filepath.Join(dir, "policies", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "realm.yaml")
	if err := os.WriteFile(file, []byte(o.Realm), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func photozRealm(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "photoz", "realm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func photozPolicies(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "photoz", "policies", "*.rego"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no policies: %v", err)
	}
	policies := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		policies[filepath.Base(file)] = string(text)
	}
	return policies
}

// withRealm starts a server on another realm than photoz.
func withRealm(yaml string, policies map[string]string) func(*options) {
	return func(o *options) { o.Realm, o.Policies = yaml, policies }
}

// photozWith starts a server on the photoz realm with some of its text
// replaced (old, new, ...), and with more policies than its own.
func photozWith(t testing.TB, policies map[string]string, replace ...string) func(*options) {
	t.Helper()
	text := photozRealm(t)
	for pair := range slices.Chunk(replace, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("the realm file has no %q to replace", pair[0])
		}
		text = strings.Replace(text, pair[0], pair[1], 1)
	}
	all := photozPolicies(t)
	maps.Copy(all, policies)
	return withRealm(text, all)
}

// A clock stands still until it is told otherwise.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().UTC().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// env is a running server.
type env struct {
	URL   string // public base, such as http://127.0.0.1:PORT
	Admin string // base of the admin listener
	Data  string // the server's folder
	File  string // the realm file it was started with
	Realm string // the realm's name
	Clock *clock

	mu     sync.Mutex
	tokens map[string]*signIn
}

// signIn is a cached answer to a password or client_credentials grant.
type signIn struct {
	once    sync.Once
	expires time.Time
	access  string
	id      string
}

// base is the realm's URL: its issuer.
func (e *env) base() string { return e.URL + "/realms/" + e.Realm }

// credentials are how a request says who asks. The zero value says nothing.
type credentials struct {
	bearer string // an access token
	client string // a client that authenticates by basic authentication
}

func bearer(token string) credentials { return credentials{bearer: token} }
func basic(client string) credentials { return credentials{client: client} }

// A request is what a test sends. Exactly one of form, json and body is its
// content.
type request struct {
	method  string
	url     string // under base() when it begins with a slash, or absolute
	as      credentials
	query   url.Values
	form    pairs
	json    any
	body    string
	headers map[string]string
}

// pairs are form parameters in order, with repeats.
type pairs [][2]string

// form makes pairs of name, value, name, value...
func form(kv ...string) pairs {
	var p pairs
	for pair := range slices.Chunk(kv, 2) {
		p = append(p, [2]string{pair[0], pair[1]})
	}
	return p
}

func (p pairs) encode() string {
	var out []string
	for _, kv := range p {
		out = append(out, url.QueryEscape(kv[0])+"="+url.QueryEscape(kv[1]))
	}
	return strings.Join(out, "&")
}

// A response is what came back, read whole.
type response struct {
	status int
	header http.Header
	raw    []byte
	json   any // nil when the body is empty or no JSON
}

// String shows a response in failure messages.
func (r *response) String() string {
	raw := string(r.raw)
	if len(raw) > 2000 {
		raw = raw[:2000] + "..."
	}
	return fmt.Sprintf("%d %s", r.status, raw)
}

// object is the body as a JSON object; empty when it is none.
func (r *response) object() map[string]any {
	m, _ := r.json.(map[string]any)
	return m
}

// str is a string member of the body; empty when there is none.
func (r *response) str(name string) string {
	s, _ := r.object()[name].(string)
	return s
}

// expect fails unless the answer has this status and, in its body, this error
// and description. An empty error wants no error, an empty description any.
func (r *response) expect(t testing.TB, status int, code, description string) {
	t.Helper()
	if r.status != status || r.str("error") != code {
		t.Errorf("got %s\nwant %d %s %q", r, status, code, description)
		return
	}
	if description != "" && r.str("error_description") != description {
		t.Errorf("got error_description %q, want %q", r.str("error_description"), description)
	}
}

// client keeps no cookies and follows no redirects: a server that answers with
// one is told apart from one that does not.
var client = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do sends a request and reads the answer.
func (e *env) do(t testing.TB, r request) *response {
	t.Helper()
	target := r.url
	if strings.HasPrefix(target, "/") || target == "" {
		target = e.base() + target
	}
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	content, contentType := r.body, ""
	switch {
	case r.form != nil:
		content, contentType = r.form.encode(), "application/x-www-form-urlencoded"
	case r.json != nil:
		text, err := json.Marshal(r.json)
		if err != nil {
			t.Fatal(err)
		}
		content, contentType = string(text), "application/json"
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, target, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	switch {
	case r.as.bearer != "":
		req.Header.Set("Authorization", "Bearer "+r.as.bearer)
	case r.as.client != "":
		req.SetBasicAuth(url.QueryEscape(r.as.client), url.QueryEscape(secrets[r.as.client]))
	}
	for name, value := range r.headers {
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.url, err)
	}
	defer res.Body.Close()
	out := &response{status: res.StatusCode, header: res.Header}
	if out.raw, err = io.ReadAll(res.Body); err != nil {
		t.Fatalf("%s %s: read the answer: %v", r.method, r.url, err)
	}
	if len(bytes.TrimSpace(out.raw)) > 0 && json.Unmarshal(out.raw, &out.json) != nil {
		out.json = nil
	}
	return out
}

// get asks for a path of the realm.
func (e *env) get(t testing.TB, path string, as credentials, query ...string) *response {
	t.Helper()
	q := url.Values{}
	for _, kv := range form(query...) {
		q.Add(kv[0], kv[1])
	}
	return e.do(t, request{method: "GET", url: path, as: as, query: q})
}

// post sends a form to a path of the realm.
func (e *env) post(t testing.TB, path string, as credentials, kv ...string) *response {
	t.Helper()
	p := form(kv...)
	if p == nil {
		p = pairs{}
	}
	return e.do(t, request{method: "POST", url: path, as: as, form: p})
}

// send sends JSON to a path of the realm.
func (e *env) send(t testing.TB, method, path string, as credentials, body any) *response {
	t.Helper()
	return e.do(t, request{method: method, url: path, as: as, json: body})
}

// uma sends a UMA grant. Without a ticket among the parameters, the audience is
// photoz-api unless it is named.
func (e *env) uma(t testing.TB, as credentials, kv ...string) *response {
	t.Helper()
	p := form(append([]string{"grant_type", umaGrant}, kv...)...)
	named := func(name string) bool {
		return slices.ContainsFunc(p, func(kv [2]string) bool { return kv[0] == name })
	}
	if !named("ticket") && !named("audience") {
		p = append(p, [2]string{"audience", "photoz-api"})
	}
	return e.do(t, request{method: "POST", url: tokenPath, as: as, form: p})
}

// token is an access token of a user through a client, by the password grant.
// It is asked for once and kept while it lasts.
func (e *env) token(t testing.TB, user, client string) string {
	t.Helper()
	return e.signIn(t, user, client, "").access
}

// idToken is an ID token of a user through a client.
func (e *env) idToken(t testing.TB, user, client string) string {
	t.Helper()
	return e.signIn(t, user, client, "openid").id
}

// as speaks for a user through a client.
func (e *env) as(t testing.TB, user, client string) credentials {
	t.Helper()
	return bearer(e.token(t, user, client))
}

// serviceToken is an access token of a client's service account.
func (e *env) serviceToken(t testing.TB, client string) string {
	t.Helper()
	return e.signIn(t, "", client, "").access
}

// service speaks for a client's service account: a PAT, for a resource server.
func (e *env) service(t testing.TB, client string) credentials {
	t.Helper()
	return bearer(e.serviceToken(t, client))
}

// signIn gets tokens of a user, or without one of the client's service account.
func (e *env) signIn(t testing.TB, user, client, scope string) *signIn {
	t.Helper()
	key := user + " " + client + " " + scope
	e.mu.Lock()
	if e.tokens == nil {
		e.tokens = map[string]*signIn{}
	}
	kept := e.tokens[key]
	if kept == nil || !kept.expires.IsZero() && !e.Clock.Now().Before(kept.expires) {
		kept = &signIn{}
		e.tokens[key] = kept
	}
	e.mu.Unlock()
	kept.once.Do(func() {
		body := e.newSignIn(t, user, client, scope).object()
		seconds, _ := body["expires_in"].(float64)
		access, _ := body["access_token"].(string)
		id, _ := body["id_token"].(string)
		e.mu.Lock()
		defer e.mu.Unlock()
		kept.access, kept.id = access, id
		kept.expires = e.Clock.Now().Add(time.Duration(seconds) * time.Second)
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if kept.access == "" {
		t.Fatalf("no token of %q through %q", user, client)
	}
	return kept
}

// newSignIn starts a session of its own, or takes a new token of a service
// account, and fails unless that is granted.
func (e *env) newSignIn(t testing.TB, user, client, scope string) *response {
	t.Helper()
	p := form("grant_type", "client_credentials", "client_id", client)
	if user != "" {
		p = form("grant_type", "password", "client_id", client, "username", user, "password", user)
	}
	if secret := secrets[client]; secret != "" {
		p = append(p, [2]string{"client_secret", secret})
	}
	if scope != "" {
		p = append(p, [2]string{"scope", scope})
	}
	res := e.do(t, request{method: "POST", url: tokenPath, form: p})
	if res.status != 200 {
		t.Fatalf("sign %q in through %q: got %s", user, client, res)
	}
	return res
}

// resourceID is the id of a resource of photoz-api, by its exact name.
func (e *env) resourceID(t testing.TB, name string) string {
	t.Helper()
	return e.resourceIDOf(t, "photoz-api", name)
}

// resourceIDOf is the id of a resource of some resource server, by its name.
func (e *env) resourceIDOf(t testing.TB, server, name string) string {
	t.Helper()
	res := e.get(t, resourceSet, e.service(t, server), "name", name, "exactName", "true")
	ids, _ := res.json.([]any)
	if res.status != 200 || len(ids) != 1 {
		t.Fatalf("look for the one resource %q of %s: got %s", name, server, res)
	}
	return ids[0].(string)
}

// create registers a resource as photoz-api's service account and returns its
// id.
func (e *env) create(t testing.TB, resource map[string]any) string {
	t.Helper()
	res := e.send(t, "POST", resourceSet, e.service(t, "photoz-api"), resource)
	if res.status != 201 || res.str("_id") == "" {
		t.Fatalf("register %v: got %s", resource, res)
	}
	return res.str("_id")
}

// A perm is a permission to ask a ticket for: a resource of photoz-api by id or
// name, or none, with scopes and pushed claims.
type perm struct {
	Resource string              `json:"resource_id,omitempty"`
	Scopes   []string            `json:"resource_scopes,omitempty"`
	Claims   map[string][]string `json:"claims,omitempty"`
}

// ticket is a new permission ticket of photoz-api.
func (e *env) ticket(t testing.TB, perms ...perm) string {
	t.Helper()
	res := e.send(t, "POST", permission, e.service(t, "photoz-api"), perms)
	if res.status != 201 || res.str("ticket") == "" {
		t.Fatalf("ask for a ticket for %v: got %s", perms, res)
	}
	return res.str("ticket")
}

// payload is what a JWT says, its signature unchecked.
func payload(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts: %q", len(parts), token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatalf("token %q: %v", token, err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatalf("token %q: %v", raw, err)
	}
	return claims
}

// granted is what an RPT or an answer of response_mode=permissions grants, a
// line each, in order: `Holiday album: view comment`. A permission without a
// resource is `#view`, a resource without scopes its name alone, and one whose
// name is left out is known by its id.
func granted(t testing.TB, res *response) []string {
	t.Helper()
	list, _ := res.json.([]any)
	if token := res.str("access_token"); token != "" {
		authorization, _ := payload(t, token)["authorization"].(map[string]any)
		list, _ = authorization["permissions"].([]any)
	}
	lines := []string{}
	for _, item := range list {
		p, _ := item.(map[string]any)
		name, _ := p["rsname"].(string)
		if id, _ := p["rsid"].(string); name == "" {
			name = id
		}
		var scopes []string
		for _, s := range asList(p["scopes"]) {
			scopes = append(scopes, fmt.Sprint(s))
		}
		switch {
		case name == "":
			lines = append(lines, "#"+strings.Join(scopes, ","))
		case len(scopes) == 0:
			lines = append(lines, name)
		default:
			lines = append(lines, name+": "+strings.Join(scopes, " "))
		}
	}
	return lines
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// expectGranted fails unless the answer grants exactly these permissions, in
// this order, with scopes in any order (see granted).
func (r *response) expectGranted(t testing.TB, want ...string) {
	t.Helper()
	if r.status != 200 {
		t.Errorf("got %s\nwant 200 with %q", r, want)
		return
	}
	got := granted(t, r)
	if !slices.EqualFunc(got, want, samePermission) {
		t.Errorf("got granted %q, want %q", got, want)
	}
}

// samePermission compares two lines of granted, scopes in any order.
func samePermission(a, b string) bool {
	sorted := func(s string) string {
		i := strings.LastIndex(s, ": ")
		if i < 0 {
			return s
		}
		scopes := strings.Fields(s[i+2:])
		slices.Sort(scopes)
		return s[:i] + ": " + strings.Join(scopes, " ")
	}
	return sorted(a) == sorted(b)
}

// expectGrantedInAnyOrder is expectGranted for answers whose order says nothing.
func (r *response) expectGrantedInAnyOrder(t testing.TB, want ...string) {
	t.Helper()
	if r.status != 200 {
		t.Errorf("got %s\nwant 200 with %q", r, want)
		return
	}
	got := granted(t, r)
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.EqualFunc(got, want, samePermission) {
		t.Errorf("got granted %q, want %q", got, want)
	}
}

// pushed is a claim_token of the jwt format: base64url of JSON.
func pushed(t testing.TB, claims any) string {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
