package umatest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
	"example.com/umpire/uma/uripath"
)

// PublicURL is that of the server.
const PublicURL uma.PublicURL = "https://as.example"

// ScopesOf are the scopes named in a text, by spaces.
func ScopesOf(words string) []uma.Scope {
	var out []uma.Scope
	for _, w := range strings.Fields(words) {
		out = append(out, uma.Scope(w))
	}
	return out
}

// A World is a realm with a few of everything, and fakes in memory of what the rooms of
// uma use. A test changes what it is about.
//
//	photoz-api, other-api  resource servers; photoz-web public; photoz-app confidential
//	bob                    a user, with the access token "access.of.bob" through photoz-web
//	r-board                of photoz-api itself: view, post; r-bare: without scopes
//	r-album                of alice, who manages it: view, comment
type World struct {
	*testing.T
	Store     uma.Store
	Issuer    uma.Issuer
	Verifier  uma.Verifier
	Hasher    uma.Hasher
	NewID     func() string
	NewSerial func() string
	Log       func(ctx context.Context, msg string, args ...any)

	Snap *uma.Snapshot
	View *View
	Now  time.Time

	API, Other, Web, App *uma.Client
	Tokens               map[string]*uma.Claims // what verifies
	kept                 map[string]bool        // what was verified
	whole                bool                   // calls are whole requests, which verify before they read

	Answer func(*uma.Input) (*uma.Evaluation, error) // of the policy
	Commit func(*uma.Settlement) error               // nil: takes all

	// What happened, in order: view, close, decide, commit, sign, reload.
	Steps       []string
	Settlements []*uma.Settlement
	Dropped     []string // jti of RPTs
	Applied     *uma.RealmChange
	Signed      []*uma.Claims
	Generation  int64
	Snapshot    func() (*uma.Snapshot, error)
}

func NewWorld(t *testing.T) *World {
	t.Helper()
	w := &World{T: t, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Generation: 7, kept: map[string]bool{}}
	w.API = &uma.Client{Key: 10, ID: "photoz-api", UUID: "uuid-api", Enabled: true, ResourceServer: true, ServiceAccount: true, Secret: w.Secret("api-secret")}
	w.Other = &uma.Client{Key: 11, ID: "other-api", UUID: "uuid-other", Enabled: true, ResourceServer: true, ServiceAccount: true, Secret: w.Secret("other-secret")}
	w.Web = &uma.Client{Key: 12, ID: "photoz-web", UUID: "uuid-web", Enabled: true, Public: true, PasswordGrant: true, Scopes: []uma.Scope{"download"}}
	w.App = &uma.Client{Key: 13, ID: "photoz-app", UUID: "uuid-app", Enabled: true, ServiceAccount: true, Secret: w.Secret("app-secret")}
	realm := uma.Realm{
		Key: 1, Name: "photoz", Enabled: true, Generation: 7, SigningAlg: "ES256",
		Lifetimes: uma.Lifetimes{Access: 5 * time.Minute, RPT: 5 * time.Minute, Refresh: 30 * time.Minute, Session: 10 * time.Hour, Ticket: 2 * time.Minute},
		Policy:    uma.PolicySettings{Timeout: time.Minute, MaxPermissions: 200, ResubmitAfter: 24 * time.Hour, Entrypoint: "data.uma.authz.decision"},
	}
	w.Snap = uma.NewSnapshot(realm, []*uma.Client{w.API, w.Other, w.Web, w.App}, nil)
	w.Snapshot = func() (*uma.Snapshot, error) { return w.Snap, nil }
	w.View = &View{
		w: w,
		Users: map[string]*uma.User{
			"u-bob":   {ID: "u-bob", Username: "bob", Enabled: true, Version: 3},
			"u-alice": {ID: "u-alice", Username: "alice", Enabled: true, Version: 4},
		},
		Sessions: map[string]*uma.Session{"s-bob": {
			ID: "s-bob", User: "u-bob", Client: "photoz-web", Scope: "openid profile email", Started: w.Now.Add(-time.Hour), Expires: w.Now.Add(time.Hour),
		}},
		Resources: []*uma.Resource{
			{Key: 101, ID: "r-board", Server: 10, Owner: "uuid-api", Name: "Board", Type: "board", Scopes: ScopesOf("view post"), Version: 21},
			{Key: 102, ID: "r-bare", Server: 10, Owner: "uuid-api", Name: "Bare", Version: 22},
			{Key: 103, ID: "r-album", Server: 10, Owner: "u-alice", Name: "Album", Type: "album", Scopes: ScopesOf("view comment"), OwnerManaged: true, Version: 23},
		},
		Scopes:  ScopesOf("view post comment print download"),
		Tickets: map[string]*uma.Ticket{},
		Spent:   map[string]*uma.SpentTicket{},
		Rpts:    map[string]*uma.RPT{},
		Refresh: map[string]*uma.RefreshToken{},
	}
	w.Tokens = map[string]*uma.Claims{"access.of.bob": {
		ID: "j-bob", Subject: "u-bob", Type: uma.TypeBearer, AuthorizedParty: "photoz-web", SessionID: "s-bob",
		Audience: uma.Audience{"account"}, Expires: w.Unix() + 300,
	}}
	w.Answer = func(in *uma.Input) (*uma.Evaluation, error) {
		return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}}}, nil
	}
	var made atomic.Int64
	w.Store, w.Issuer, w.Verifier, w.Hasher = FakeStore{W: w}, fakeIssuer{w: w}, fakeVerifier{w: w}, fakeHasher{w: w}
	w.NewID = func() string { return fmt.Sprintf("id-%d", made.Add(1)) }
	w.NewSerial = func() string { return fmt.Sprintf("serial-%d", made.Add(1)) }
	w.Log = func(_ context.Context, msg string, args ...any) { t.Log(append([]any{msg}, args...)...) }
	return w
}

func (w *World) Unix() int64 { return w.Now.Unix() }

func (w *World) step(name string) { w.Steps = append(w.Steps, name) }

// Ticket keeps a ticket for permissions and returns its value.
func (w *World) Ticket(permissions ...uma.Permission) string {
	w.View.Tickets[string(uma.Digest("the-ticket"))] = &uma.Ticket{
		Hash: uma.Digest("the-ticket"), Server: w.API.Key, Permissions: permissions, Round: 1, Issued: w.Now, Expires: w.Now.Add(time.Minute),
	}
	return "the-ticket"
}

// NewFullWorld has a request, a share, and an RPT that is good to be carried,
// introspected and refreshed.
func NewFullWorld(t *testing.T) *World {
	t.Helper()
	w := NewWorld(t)
	w.whole = true
	w.View.TypeScope = ScopesOf("print")
	w.View.Requests = []uma.Request{{Key: 1, ID: "q", Server: 10, Resource: 103, ResourceID: "r-album", Owner: "u-alice", Requester: "u-bob", Scope: "view", State: uma.Pending}}
	w.View.Shares = []uma.Share{
		{Key: 9, ID: "s", Resource: 103, Scopes: ScopesOf("view")},
		{
			Key: 20, ID: "p", Kind: uma.ByPolicy, Name: "for bob", Server: 10, Resource: 103, ResourceID: "r-album", Owner: "u-alice",
			Scopes: ScopesOf("view"), Users: []string{"u-bob"}, Strategy: uma.Unanimous, Version: 30,
		},
	}
	c := *w.Tokens["access.of.bob"]
	c.ID, c.Audience = "j-rpt", uma.Audience{"photoz-api"}
	c.Authorization = &uma.Authorization{Permissions: []uma.GrantedPermission{{ID: "r-board", Scopes: ScopesOf("view")}, {Scopes: ScopesOf("download")}}}
	w.Tokens["rpt.of.bob"] = &c
	w.View.Rpts["j-rpt"] = &uma.RPT{
		JTI: "j-rpt", Server: 10, Revision: "revision-1", Generation: 7, UserVersion: 3,
		Permissions: []uma.Grant{{Resource: "r-board", Version: 21, Scopes: ScopesOf("view")}},
	}
	return w
}

// Count is how often a step was made.
func (w *World) Count(step string) int {
	n := 0
	for _, s := range w.Steps {
		if s == step {
			n++
		}
	}
	return n
}

// Reason is that of a refusal.
func Reason(err error) uma.Reason {
	if e := new(uma.Error); errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Prepare and the three after it make a World a policy.
func (w *World) Prepare(context.Context, *uma.Realm) (uma.Evaluator, error) { return w, nil }

func (w *World) Revision() string { return "revision-1" }

func (w *World) Decide(_ context.Context, in *uma.Input) (*uma.Evaluation, error) {
	w.computes("decide")
	return w.Answer(in)
}

func (w *World) Masks() bool { return false }

func (w *World) Encode(_ context.Context, ev *uma.Event) ([]byte, error) {
	return fmt.Appendf(nil, "%s error=%q output=%t", ev.ID, ev.Error, ev.Output != nil), nil
}

// A FakeStore embeds the interface: what a test does not expect panics.
type FakeStore struct {
	uma.Store
	W *World
}

func (s FakeStore) View(context.Context) (uma.View, error) {
	s.W.step("view")
	s.W.View.Open++
	return s.W.View, nil
}

func (s FakeStore) Commit(_ context.Context, st *uma.Settlement) error {
	s.W.step("commit")
	s.W.Settlements = append(s.W.Settlements, st)
	if s.W.Commit == nil {
		return nil
	}
	return s.W.Commit(st)
}

func (s FakeStore) Generation(context.Context) (int64, error) {
	s.W.step("reload")
	return s.W.Generation, nil
}

func (s FakeStore) RealmNames(context.Context) ([]string, error) { return []string{"photoz"}, nil }

func (s FakeStore) Snapshot(context.Context, string, time.Time) (*uma.Snapshot, error) {
	return s.W.Snapshot()
}

func (s FakeStore) ApplyRealm(_ context.Context, c *uma.RealmChange) (*uma.RealmReport, error) {
	s.W.Applied = c
	return &uma.RealmReport{}, s.write()
}

func (s FakeStore) AddKey(context.Context, string, uma.SigningKey, time.Time) error { return s.write() }

// Every other write is taken, and counted as one.

func (s FakeStore) write() error {
	s.W.step("write")
	return nil
}

func (s FakeStore) DropRPT(_ context.Context, _ uma.Key, jti string) error {
	s.W.Dropped = append(s.W.Dropped, jti)
	return s.write()
}

func (s FakeStore) SaveTicket(context.Context, uma.Key, *uma.Ticket) error { return s.write() }

func (s FakeStore) StartSession(context.Context, uma.Key, *uma.Session, *uma.RefreshToken) error {
	return s.write()
}

func (s FakeStore) Rotate(context.Context, uma.Key, []byte, *uma.RefreshToken, *uma.RPT, time.Time) error {
	return s.write()
}

func (s FakeStore) CreateResource(context.Context, *uma.Resource, func() string) error {
	return s.write()
}

func (s FakeStore) ReplaceResource(context.Context, *uma.Resource, func() string) error {
	return s.write()
}

func (s FakeStore) DeleteResource(context.Context, uma.Key, uma.ResourceID) error { return s.write() }

func (s FakeStore) FindResources(context.Context, uma.Key, uma.ResourceFilter, int, int, func(*uma.Resource) error) error {
	return nil
}

func (s FakeStore) CreateRequest(context.Context, *uma.Request) error { return s.write() }

func (s FakeStore) DecideRequest(context.Context, uma.Key, string, bool, time.Time) error {
	return s.write()
}

func (s FakeStore) DeleteRequest(context.Context, uma.Key, string) error { return s.write() }

type fakeHasher struct {
	uma.Hasher
	w *World
}

func (h fakeHasher) Secret(ctx context.Context, plain string) ([]byte, error) {
	return h.w.Secret(plain), ctx.Err()
}

func (h fakeHasher) CheckPassword(_ context.Context, _ uma.Attempt, hash, plain string) (bool, error) {
	h.w.computes("check a password")
	return hash != "" && hash == plain, nil
}

func (h fakeHasher) Password(_ context.Context, plain string) (string, error) {
	h.w.computes("hash a password")
	return plain, nil
}

func (h fakeHasher) Fingerprint(ctx context.Context, content []byte) ([]byte, error) {
	return h.Secret(ctx, string(content))
}

// computes is told of what takes long. There are few readers: a view that is open
// meanwhile takes one from the others, and keeps the write-ahead log from being reset.
func (w *World) computes(what string) {
	w.Helper()
	w.step(what)
	if w.View.Open != 0 {
		w.Errorf("%s while %d views are open", what, w.View.Open)
	}
}

func (w *World) Secret(plain string) []byte {
	sum := sha256.Sum256([]byte(plain))
	return sum[:]
}

type fakeVerifier struct {
	uma.Verifier
	w *World
}

func (v fakeVerifier) Verify(ctx context.Context, _ *uma.Snapshot, _, raw string) (*uma.Claims, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := v.w.Tokens[raw]
	if c == nil || c.Type == uma.TypeRefresh {
		return nil, uma.ErrUnverified
	}
	if !v.w.kept[raw] { // as the verifier keeps what it has verified
		v.w.kept[raw] = true
		if v.w.whole && v.w.View.Open != 0 {
			v.w.Errorf("the signature of %s is checked while %d views are open", raw, v.w.View.Open)
		}
	}
	return c, nil
}

func (v fakeVerifier) VerifyRefresh(ctx context.Context, _ *uma.Snapshot, _, raw string) (*uma.Claims, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c := v.w.Tokens[raw]; c != nil && c.Type == uma.TypeRefresh {
		return c, nil
	}
	return nil, uma.ErrUnverified
}

func (v fakeVerifier) VerifyTicket(ctx context.Context, s *uma.Snapshot, issuer, raw string) (*uma.Claims, error) {
	return v.Verify(ctx, s, issuer, raw)
}

type fakeIssuer struct {
	uma.Issuer
	w *World
}

func (i fakeIssuer) Sign(ctx context.Context, _ *uma.Snapshot, c *uma.Claims) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	i.w.computes("sign")
	i.w.Signed = append(i.w.Signed, c)
	raw, err := json.Marshal(c)
	return string(raw), err
}

func (i fakeIssuer) NewKey(context.Context, string) (uma.SigningKey, error) {
	return uma.SigningKey{}, nil
}

func (i fakeIssuer) Length(*uma.Snapshot, *uma.Claims) (int, error) { return 1000, nil }

func (i fakeIssuer) SignOwn(ctx context.Context, s *uma.Snapshot, c *uma.Claims) (string, error) {
	return i.Sign(ctx, s, c)
}

// A View reads from memory. It counts how often it is open and fails the
// read whose turn it is.
type View struct {
	Shared int // rows that SharedWith returned
	uma.View
	w         *World
	Users     map[string]*uma.User
	Sessions  map[string]*uma.Session
	Resources []*uma.Resource
	Scopes    []uma.Scope
	TypeScope []uma.Scope // that every type lends
	Shares    []uma.Share
	Requests  []uma.Request
	Tickets   map[string]*uma.Ticket
	Spent     map[string]*uma.SpentTicket // by hash
	Rpts      map[string]*uma.RPT
	Refresh   map[string]*uma.RefreshToken
	Revoked   string

	Open     int
	Reads    []string
	Fail     int // the read that fails, from 1; 0 for none
	CloseErr error
}

var ErrRead = errors.New("the disk is gone")

func (v *View) read(name string) error {
	if v.Open != 1 {
		v.w.Errorf("%s is read while %d views are open", name, v.Open)
	}
	v.Reads = append(v.Reads, name)
	if len(v.Reads) == v.Fail {
		return ErrRead
	}
	return nil
}

func (v *View) Close() error {
	v.w.step("close")
	v.Open--
	return v.CloseErr
}

// row is what a look-up by key answers.
func row[T any](err error, found *T) (*T, error) {
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, uma.ErrNotFound
	}
	return found, nil
}

func (v *View) User(_ context.Context, _ uma.Key, id string) (*uma.User, error) {
	return row(v.read("User"), v.Users[id])
}

func (v *View) UserByName(_ context.Context, _ uma.Key, name string) (*uma.User, error) {
	var found *uma.User
	for _, u := range v.Users {
		if strings.EqualFold(u.Username, name) {
			found = u
		}
	}
	return row(v.read("UserByName"), found)
}

func (v *View) Usernames(_ context.Context, _ uma.Key, ids []string) (map[string]string, error) {
	names := map[string]string{}
	for _, id := range ids {
		if u := v.Users[id]; u != nil {
			names[id] = u.Username
		}
	}
	return names, v.read("Usernames")
}

func (v *View) Passwords(_ context.Context, _ uma.Key, names []string) (map[string]string, error) {
	found := map[string]string{}
	for _, u := range v.Users {
		if slices.Contains(names, u.Username) {
			found[u.Username] = u.Password
		}
	}
	return found, v.read("Passwords")
}

func (v *View) find(server uma.Key, is func(*uma.Resource) bool) []*uma.Resource {
	var out []*uma.Resource
	for _, r := range v.Resources {
		if r.Server == server && is(r) {
			out = append(out, r)
		}
	}
	return out
}

func (v *View) Resource(_ context.Context, server uma.Key, id uma.ResourceID) (*uma.Resource, error) {
	var found *uma.Resource
	for _, r := range v.find(server, func(r *uma.Resource) bool { return r.ID == id }) {
		found = r
	}
	return row(v.read("Resource"), found)
}

func (v *View) ResourcesByID(_ context.Context, server uma.Key, ids []uma.ResourceID) ([]*uma.Resource, error) {
	return v.find(server, func(r *uma.Resource) bool { return slices.Contains(ids, r.ID) }), v.read("ResourcesByID")
}

func (v *View) ResourceByName(_ context.Context, server uma.Key, owner, name string) (*uma.Resource, error) {
	var found *uma.Resource
	for _, r := range v.find(server, func(r *uma.Resource) bool { return r.Owner == owner && r.Name == name }) {
		found = r
	}
	return row(v.read("ResourceByName"), found)
}

func (v *View) Select(_ context.Context, server uma.Key, q uma.Selection, limit int) ([]*uma.Resource, error) {
	rows := v.find(server, func(r *uma.Resource) bool {
		registered := uma.ForOwner
		switch {
		case r.Owner == "uuid-api":
			registered = uma.OwnOfServer
		case r.Origin == uma.FromOwner:
			registered = uma.ByOwner
		}
		switch {
		case q.Registered != 0 && q.Registered != registered:
			return false
		case q.URI != "":
			return slices.ContainsFunc(r.URIs, func(uri string) bool { return uripath.Fold(uri) == q.URI })
		case q.AnyScope != nil:
			return len(sets.Within(q.AnyScope, r.Scopes)) > 0
		case q.NotOwner != "":
			return r.Type == q.Type && r.Owner != q.NotOwner
		case q.Owner != "":
			return r.Owner == q.Owner && (q.Type == "" || q.Type == r.Type)
		}
		return r.Type == q.Type
	})
	return rows[:min(limit, len(rows))], v.read("Select")
}

func (v *View) KnownScopes(_ context.Context, _ uma.Key, names []uma.Scope) ([]uma.ScopeRow, error) {
	var rows []uma.ScopeRow
	for _, s := range sets.Within(v.Scopes, names) {
		rows = append(rows, uma.ScopeRow{ID: "scope-" + string(s), Name: s})
	}
	return rows, v.read("KnownScopes")
}

func (v *View) Scope(_ context.Context, _ uma.Key, name string) (uma.ScopeRow, error) {
	if err := v.read("Scope"); err != nil {
		return uma.ScopeRow{}, err
	}
	if !slices.Contains(v.Scopes, uma.Scope(name)) {
		return uma.ScopeRow{}, uma.ErrNotFound
	}
	return uma.ScopeRow{ID: "scope-" + name, Name: uma.Scope(name)}, nil
}

func (v *View) TypeScopes(_ context.Context, _ uma.Key, _ string, names []uma.Scope) ([]uma.Scope, error) {
	return sets.Within(names, v.TypeScope), v.read("TypeScopes")
}

func (v *View) URIShapes(_ context.Context, server uma.Key) ([]string, error) {
	var out []string
	for _, r := range v.find(server, func(*uma.Resource) bool { return true }) {
		for _, uri := range r.URIs {
			if _, shape := uripath.Key(uri); shape != "" && !slices.Contains(out, shape) {
				out = append(out, shape)
			}
		}
	}
	return out, v.read("URIShapes")
}

func (v *View) URICandidates(_ context.Context, server uma.Key, keys []string) ([]uma.URICandidate, error) {
	var out []uma.URICandidate
	for _, r := range v.find(server, func(*uma.Resource) bool { return true }) {
		for _, uri := range r.URIs {
			if key, _ := uripath.Key(uri); slices.Contains(keys, key) {
				out = append(out, uma.URICandidate{URI: uri, Resource: r.ID})
			}
		}
	}
	return out, v.read("URICandidates")
}

func (v *View) Between(context.Context, *uma.Party, []uma.Key, time.Time) ([]uma.Share, []uma.Request, error) {
	return slices.Clone(v.Shares), nil, v.read("Between")
}

func (v *View) SharedWith(_ context.Context, _ uma.Key, requester, name string, limit int) ([]uma.Request, error) {
	var out []uma.Request
	for _, q := range v.Requests {
		if len(out) < limit && q.State == uma.Granted && q.Requester == requester && (name == "" || q.ResourceName == name) {
			out = append(out, q)
		}
	}
	v.Shared += len(out)
	return out, v.read("SharedWith")
}

func (v *View) Request(_ context.Context, _ uma.Key, id string) (*uma.Request, error) {
	var found *uma.Request
	for i := range v.Requests {
		if v.Requests[i].ID == id {
			found = &v.Requests[i]
		}
	}
	return row(v.read("Request"), found)
}

func (v *View) FindRequests(context.Context, uma.Key, uma.RequestFilter, int, int) ([]uma.Request, error) {
	return v.Requests, v.read("FindRequests")
}

func (v *View) CountRequests(context.Context, uma.Key, uma.RequestFilter) (int, error) {
	return len(v.Requests), v.read("CountRequests")
}

func (v *View) Ticket(_ context.Context, _ uma.Key, hash []byte, now time.Time) (*uma.Ticket, error) {
	t := v.Tickets[string(hash)]
	if t != nil && (!now.Before(t.Expires) || !bytes.Equal(t.Hash, hash)) {
		t = nil
	}
	return row(v.read("Ticket"), t)
}

func (v *View) SpentTicket(_ context.Context, _ uma.Key, hash []byte) (*uma.SpentTicket, error) {
	return row(v.read("SpentTicket"), v.Spent[string(hash)])
}

func (v *View) TokenState(_ context.Context, _ uma.Key, jti, session string) (*uma.TokenState, error) {
	state := &uma.TokenState{Revoked: jti == v.Revoked}
	if err := v.read("TokenState"); err != nil || session == "" {
		return state, err
	}
	s, err := row(nil, v.Sessions[session])
	if err != nil {
		return nil, err
	}
	state.Session, state.User = s, v.Users[s.User]
	return state, nil
}

func (v *View) RPT(_ context.Context, _ uma.Key, jti string) (*uma.RPT, error) {
	return row(v.read("RPT"), v.Rpts[jti])
}

func (v *View) Validity(_ context.Context, server uma.Key, _ []uma.Grant) (*uma.Validity, error) {
	n := &uma.Validity{Resources: map[uma.ResourceID]*uma.Resource{}, Shares: map[string]*uma.Share{}, Scopes: map[uma.Scope]bool{}}
	for _, r := range v.find(server, func(*uma.Resource) bool { return true }) {
		n.Resources[r.ID] = r
	}
	for i := range v.Shares {
		n.Shares[v.Shares[i].ID] = &v.Shares[i]
	}
	for _, s := range v.Scopes {
		n.Scopes[s] = true
	}
	return n, v.read("Validity")
}

func (v *View) RefreshToken(_ context.Context, _ uma.Key, hash []byte, _ time.Time) (*uma.RefreshToken, bool, error) {
	t, err := row(v.read("RefreshToken"), v.Refresh[string(hash)])
	return t, false, err
}
