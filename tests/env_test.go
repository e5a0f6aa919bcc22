package tests

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/server"
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

	// More are the texts of further realms' files, served beside the first, with
	// the same policies.
	More []string

	// Verbatim leaves the users' passwords in the realm files. Else their hashes
	// take their place, of the least cost that is accepted: most of the time of
	// these tests would go into making them.
	Verbatim bool

	// PublicPath is that of the server's public URL, such as /auth.
	PublicPath string

	// Clock is the server's. It stands still unless a test moves it.
	Clock *clock

	// Data is the server's folder; a new one when empty.
	Data string

	// Limits are the server's own unless a test does much more than a client may.
	Limits server.Limits

	// NoDecisionLog: nobody reads the decision records.
	NoDecisionLog bool

	// Downloads say how the server polls OPA services.
	Downloads node.Downloads

	// Proxies are those whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
}

// unlimited is for tests in which one client does what many would.
func unlimited(o *options) {
	o.Limits = server.Limits{FailedTickets: -1, Tickets: -1, FailedPasswords: -1, FailedSecrets: -1, FailedSignIns: -1}
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

// write puts the realm files and their policies into a new folder and returns
// the paths of the files, the first realm's first.
func (o *options) write(t testing.TB) []string {
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
	var files []string
	for i, text := range append([]string{o.Realm}, o.More...) {
		if !o.Verbatim {
			text = withHashes(text)
		}
		text = unhurried(text)
		file := filepath.Join(dir, fmt.Sprintf("realm-%d.yaml", i+1))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// hashes are cheap ones of the users' passwords.
var hashes = map[string]string{
	"alice": "$argon2id$v=19$m=7168,t=1,p=1$c2FsdCBvZiBhbGljZQ$t2cOcfEvo05XFe0VT99WNg",
	"bob":   "$argon2id$v=19$m=7168,t=1,p=1$c2FsdCBvZiBib2I$csBJ5CR131uwtcl3lHeL5Q",
	"carol": "$argon2id$v=19$m=7168,t=1,p=1$c2FsdCBvZiBjYXJvbA$1BNv69lvfTmv4xsAdJ9I0w",
	"dave":  "$argon2id$v=19$m=7168,t=1,p=1$c2FsdCBvZiBkYXZl$5O1oHqyGjyaTk2NR/KHefQ",
	"erin":  "$argon2id$v=19$m=7168,t=1,p=1$c2FsdCBvZiBlcmlu$0CiSNs5tl1PSyVg1w0LIbQ",
}

var password = regexp.MustCompile(`password: (\w+)`)

// withHashes is a realm file with hashes in the place of passwords.
func withHashes(text string) string {
	return password.ReplaceAllStringFunc(text, func(member string) string {
		hash := hashes[strings.TrimPrefix(member, "password: ")]
		if hash == "" {
			return member
		}
		return fmt.Sprintf("password_hash: %q", hash)
	})
}

// unhurried gives the policy time: on a machine that is busy with other tests an
// evaluation may be interrupted for longer than a realm allows it. A realm that
// says how long keeps its word.
func unhurried(yaml string) string {
	switch {
	case strings.Contains(yaml, "timeout:"):
		return yaml
	case strings.Contains(yaml, "\npolicy: {"):
		return strings.Replace(yaml, "\npolicy: {", "\npolicy: {timeout: 20s, ", 1)
	}
	return yaml + "\npolicy: {timeout: 20s}\n"
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
