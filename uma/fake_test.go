package uma

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
)

// A world is a realm with a few of everything and the parts of an Authority as
// fakes in memory. A test changes what it is about.
//
//	photoz-api, other-api  resource servers; photoz-web public; photoz-app confidential
//	bob                    a user, with the access token "access.of.bob" through photoz-web
//	r-board                of photoz-api itself: view, post; r-bare: without scopes
//	r-album                of alice, who manages it: view, comment
type world struct {
	*testing.T
	authority *Authority
	snap      *Snapshot
	view      *fakeView
	now       time.Time

	api, other, web, app *Client
	tokens               map[string]*Claims // what verifies
	kept                 map[string]bool    // what was verified
	whole                bool               // calls are whole requests, which verify before they read

	decide func(*Input) (*Evaluation, error)
	commit func(*Settlement) error // nil: takes all

	// What happened, in order: view, close, decide, commit, sign, reload.
	steps       []string
	settlements []*Settlement
	dropped     []string // jti of RPTs
	applied     *RealmChange
	signed      []*Claims
	generation  int64
	snapshot    func() (*Snapshot, error)
	observed    []string // outcomes
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), generation: 7, kept: map[string]bool{}}
	w.api = &Client{Key: 10, ID: "photoz-api", UUID: "uuid-api", Enabled: true, ResourceServer: true, ServiceAccount: true, Secret: w.Secret("api-secret")}
	w.other = &Client{Key: 11, ID: "other-api", UUID: "uuid-other", Enabled: true, ResourceServer: true, ServiceAccount: true, Secret: w.Secret("other-secret")}
	w.web = &Client{Key: 12, ID: "photoz-web", UUID: "uuid-web", Enabled: true, Public: true, PasswordGrant: true, Scopes: []Scope{"download"}}
	w.app = &Client{Key: 13, ID: "photoz-app", UUID: "uuid-app", Enabled: true, ServiceAccount: true, Secret: w.Secret("app-secret")}
	realm := Realm{
		Key: 1, Name: "photoz", Enabled: true, Generation: 7, SigningAlg: "ES256",
		Lifetimes: Lifetimes{Access: 5 * time.Minute, RPT: 5 * time.Minute, Refresh: 30 * time.Minute, Session: 10 * time.Hour, Ticket: 2 * time.Minute},
		Policy:    PolicySettings{Timeout: time.Minute, MaxPermissions: 200, ResubmitAfter: 24 * time.Hour, Entrypoint: "data.uma.authz.decision"},
	}
	w.snap = NewSnapshot(realm, []*Client{w.api, w.other, w.web, w.app}, nil)
	w.snapshot = func() (*Snapshot, error) { return w.snap, nil }
	w.view = &fakeView{
		w: w,
		users: map[string]*User{
			"u-bob":   {ID: "u-bob", Username: "bob", Enabled: true, Version: 3},
			"u-alice": {ID: "u-alice", Username: "alice", Enabled: true, Version: 4},
		},
		sessions: map[string]*Session{"s-bob": {
			ID: "s-bob", User: "u-bob", Client: "photoz-web", Scope: "openid profile email", Started: w.now.Add(-time.Hour), Expires: w.now.Add(time.Hour),
		}},
		resources: []*Resource{
			{Key: 101, ID: "r-board", Server: 10, Owner: "uuid-api", Name: "Board", Type: "board", Scopes: scopesOf("view post"), Version: 21},
			{Key: 102, ID: "r-bare", Server: 10, Owner: "uuid-api", Name: "Bare", Version: 22},
			{Key: 103, ID: "r-album", Server: 10, Owner: "u-alice", Name: "Album", Type: "album", Scopes: scopesOf("view comment"), OwnerManaged: true, Version: 23},
		},
		scopes:  scopesOf("view post comment print download"),
		tickets: map[string]*Ticket{},
		spent:   map[string]*SpentTicket{},
		rpts:    map[string]*RPT{},
		refresh: map[string]*RefreshToken{},
	}
	w.tokens = map[string]*Claims{"access.of.bob": {
		ID: "j-bob", Subject: "u-bob", Type: TypeBearer, AuthorizedParty: "photoz-web", SessionID: "s-bob",
		Audience: Audience{"account"}, Expires: w.unix() + 300,
	}}
	w.decide = func(in *Input) (*Evaluation, error) { return &Evaluation{Output: Output{Granted: []Scope{"*"}}}, nil }
	var made atomic.Int64
	w.authority = &Authority{
		Store: fakeStore{w: w}, Policy: w, Issuer: fakeIssuer{w: w}, Verifier: fakeVerifier{w: w}, Hasher: fakeHasher{w: w},
		PublicURL: "https://as.example", Now: func() time.Time { return w.now },
		NewID:     func() string { return fmt.Sprintf("id-%d", made.Add(1)) },
		NewSerial: func() string { return fmt.Sprintf("serial-%d", made.Add(1)) },
		Log:       func(_ context.Context, msg string, args ...any) { t.Log(append([]any{msg}, args...)...) },
		Decided:   func(_, outcome, _ string, _ time.Duration) { w.observed = append(w.observed, outcome) },
	}
	if err := w.authority.Validate(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) unix() int64 { return w.now.Unix() }

func (w *world) step(name string) { w.steps = append(w.steps, name) }

// ticket keeps a ticket for permissions and returns its value.
func (w *world) ticket(permissions ...Permission) string {
	w.view.tickets[string(Digest("the-ticket"))] = &Ticket{
		Hash: Digest("the-ticket"), Server: w.api.Key, Permissions: permissions, Round: 1, Issued: w.now, Expires: w.now.Add(time.Minute),
	}
	return "the-ticket"
}

// bob asks for an RPT.
func (w *world) bob(req *TokenRequest) (*TokenAnswer, error) {
	w.Helper()
	if req.Ticket == "" && req.Audience == "" {
		req.Audience = "photoz-api"
	}
	return w.authority.Token(w.Context(), w.snap, &Caller{HasBearer: true, Bearer: "access.of.bob"}, req)
}

// reason is that of a refusal.
func reason(err error) Reason {
	if e := new(Error); errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Prepare and the three after it make a world a policy.
func (w *world) Prepare(context.Context, *Realm) (Evaluator, error) { return w, nil }
func (w *world) Revision() string                                   { return "revision-1" }

func (w *world) Decide(_ context.Context, in *Input) (*Evaluation, error) {
	w.computes("decide")
	return w.decide(in)
}

func (w *world) Masks() bool { return false }

func (w *world) Encode(_ context.Context, ev *Event) ([]byte, error) {
	return fmt.Appendf(nil, "%s error=%q output=%t", ev.ID, ev.Error, ev.Output != nil), nil
}

// A fakeStore embeds the interface: what a test does not expect panics.
type fakeStore struct {
	Store
	w *world
}

func (s fakeStore) View(context.Context) (View, error) {
	s.w.step("view")
	s.w.view.open++
	return s.w.view, nil
}

func (s fakeStore) Commit(_ context.Context, st *Settlement) error {
	s.w.step("commit")
	s.w.settlements = append(s.w.settlements, st)
	if s.w.commit == nil {
		return nil
	}
	return s.w.commit(st)
}

func (s fakeStore) Generation(context.Context) (int64, error) {
	s.w.step("reload")
	return s.w.generation, nil
}

func (s fakeStore) RealmNames(context.Context) ([]string, error) { return []string{"photoz"}, nil }

func (s fakeStore) Snapshot(context.Context, string, time.Time) (*Snapshot, error) {
	return s.w.snapshot()
}

func (s fakeStore) ApplyRealm(_ context.Context, c *RealmChange) (*RealmReport, error) {
	s.w.applied = c
	return &RealmReport{}, s.write()
}

func (s fakeStore) AddKey(context.Context, string, SigningKey, time.Time) error { return s.write() }

// Every other write is taken, and counted as one.

func (s fakeStore) write() error {
	s.w.step("write")
	return nil
}

func (s fakeStore) DropRPT(_ context.Context, _ Key, jti string) error {
	s.w.dropped = append(s.w.dropped, jti)
	return s.write()
}

func (s fakeStore) SaveTicket(context.Context, Key, *Ticket) error { return s.write() }

func (s fakeStore) StartSession(context.Context, Key, *Session, *RefreshToken) error {
	return s.write()
}

func (s fakeStore) Rotate(context.Context, Key, []byte, *RefreshToken, *RPT, time.Time) error {
	return s.write()
}

func (s fakeStore) CreateResource(context.Context, *Resource, func() string) error {
	return s.write()
}

func (s fakeStore) ReplaceResource(context.Context, *Resource, func() string) error {
	return s.write()
}

func (s fakeStore) DeleteResource(context.Context, Key, ResourceID) error { return s.write() }

func (s fakeStore) FindResources(context.Context, Key, ResourceFilter, int, int, func(*Resource) error) error {
	return nil
}

func (s fakeStore) CreateRequest(context.Context, *Request) error { return s.write() }

func (s fakeStore) DecideRequest(context.Context, Key, string, bool, time.Time) error {
	return s.write()
}

func (s fakeStore) DeleteRequest(context.Context, Key, string) error { return s.write() }

type fakeHasher struct {
	Hasher
	w *world
}

func (h fakeHasher) Secret(ctx context.Context, plain string) ([]byte, error) {
	return h.w.Secret(plain), ctx.Err()
}

func (h fakeHasher) CheckPassword(_ context.Context, _ Attempt, hash, plain string) (bool, error) {
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
func (w *world) computes(what string) {
	w.Helper()
	w.step(what)
	if w.view.open != 0 {
		w.Errorf("%s while %d views are open", what, w.view.open)
	}
}

func (w *world) Secret(plain string) []byte {
	sum := sha256.Sum256([]byte(plain))
	return sum[:]
}

type fakeVerifier struct {
	Verifier
	w *world
}

func (v fakeVerifier) Verify(ctx context.Context, _ *Snapshot, _, raw string) (*Claims, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := v.w.tokens[raw]
	if c == nil || c.Type == TypeRefresh {
		return nil, ErrUnverified
	}
	if !v.w.kept[raw] { // as the verifier keeps what it has verified
		v.w.kept[raw] = true
		if v.w.whole && v.w.view.open != 0 {
			v.w.Errorf("the signature of %s is checked while %d views are open", raw, v.w.view.open)
		}
	}
	return c, nil
}

func (v fakeVerifier) VerifyRefresh(ctx context.Context, _ *Snapshot, _, raw string) (*Claims, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c := v.w.tokens[raw]; c != nil && c.Type == TypeRefresh {
		return c, nil
	}
	return nil, ErrUnverified
}

func (v fakeVerifier) VerifyTicket(ctx context.Context, s *Snapshot, issuer, raw string) (*Claims, error) {
	return v.Verify(ctx, s, issuer, raw)
}

type fakeIssuer struct {
	Issuer
	w *world
}

func (i fakeIssuer) Sign(ctx context.Context, _ *Snapshot, c *Claims) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	i.w.computes("sign")
	i.w.signed = append(i.w.signed, c)
	raw, err := json.Marshal(c)
	return string(raw), err
}

func (i fakeIssuer) NewKey(context.Context, string) (SigningKey, error) { return SigningKey{}, nil }

func (i fakeIssuer) Length(*Snapshot, *Claims) (int, error) { return 1000, nil }

func (i fakeIssuer) SignOwn(ctx context.Context, s *Snapshot, c *Claims) (string, error) {
	return i.Sign(ctx, s, c)
}

// A fakeView reads from memory. It counts how often it is open and fails the
// read whose turn it is.
type fakeView struct {
	shared int // rows that SharedWith returned
	View
	w         *world
	users     map[string]*User
	sessions  map[string]*Session
	resources []*Resource
	scopes    []Scope
	typeScope []Scope // that every type lends
	shares    []Share
	requests  []Request
	tickets   map[string]*Ticket
	spent     map[string]*SpentTicket // by hash
	rpts      map[string]*RPT
	refresh   map[string]*RefreshToken
	revoked   string

	open  int
	reads []string
	fail  int // the read that fails, from 1; 0 for none
	close error
}

var errRead = errors.New("the disk is gone")

func (v *fakeView) read(name string) error {
	if v.open != 1 {
		v.w.Errorf("%s is read while %d views are open", name, v.open)
	}
	v.reads = append(v.reads, name)
	if len(v.reads) == v.fail {
		return errRead
	}
	return nil
}

func (v *fakeView) Close() error {
	v.w.step("close")
	v.open--
	return v.close
}

// row is what a look-up by key answers.
func row[T any](err error, found *T) (*T, error) {
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, ErrNotFound
	}
	return found, nil
}

func (v *fakeView) User(_ context.Context, _ Key, id string) (*User, error) {
	return row(v.read("User"), v.users[id])
}

func (v *fakeView) UserByName(_ context.Context, _ Key, name string) (*User, error) {
	var found *User
	for _, u := range v.users {
		if strings.EqualFold(u.Username, name) {
			found = u
		}
	}
	return row(v.read("UserByName"), found)
}

func (v *fakeView) Usernames(_ context.Context, _ Key, ids []string) (map[string]string, error) {
	names := map[string]string{}
	for _, id := range ids {
		if u := v.users[id]; u != nil {
			names[id] = u.Username
		}
	}
	return names, v.read("Usernames")
}

func (v *fakeView) Passwords(_ context.Context, _ Key, names []string) (map[string]string, error) {
	found := map[string]string{}
	for _, u := range v.users {
		if slices.Contains(names, u.Username) {
			found[u.Username] = u.Password
		}
	}
	return found, v.read("Passwords")
}

func (v *fakeView) find(server Key, is func(*Resource) bool) []*Resource {
	var out []*Resource
	for _, r := range v.resources {
		if r.Server == server && is(r) {
			out = append(out, r)
		}
	}
	return out
}

func (v *fakeView) Resource(_ context.Context, server Key, id ResourceID) (*Resource, error) {
	var found *Resource
	for _, r := range v.find(server, func(r *Resource) bool { return r.ID == id }) {
		found = r
	}
	return row(v.read("Resource"), found)
}

func (v *fakeView) ResourcesByID(_ context.Context, server Key, ids []ResourceID) ([]*Resource, error) {
	return v.find(server, func(r *Resource) bool { return slices.Contains(ids, r.ID) }), v.read("ResourcesByID")
}

func (v *fakeView) ResourceByName(_ context.Context, server Key, owner, name string) (*Resource, error) {
	var found *Resource
	for _, r := range v.find(server, func(r *Resource) bool { return r.Owner == owner && r.Name == name }) {
		found = r
	}
	return row(v.read("ResourceByName"), found)
}

func (v *fakeView) Select(_ context.Context, server Key, q Selection, limit int) ([]*Resource, error) {
	rows := v.find(server, func(r *Resource) bool {
		registered := ForOwner
		switch {
		case r.Owner == "uuid-api":
			registered = OwnOfServer
		case r.Origin == FromOwner:
			registered = ByOwner
		}
		switch {
		case q.Registered != 0 && q.Registered != registered:
			return false
		case q.URI != "":
			return slices.ContainsFunc(r.URIs, func(uri string) bool { return FoldURI(uri) == q.URI })
		case q.AnyScope != nil:
			return len(within(q.AnyScope, r.Scopes)) > 0
		case q.NotOwner != "":
			return r.Type == q.Type && r.Owner != q.NotOwner
		case q.Owner != "":
			return r.Owner == q.Owner && (q.Type == "" || q.Type == r.Type)
		}
		return r.Type == q.Type
	})
	return rows[:min(limit, len(rows))], v.read("Select")
}

func (v *fakeView) KnownScopes(_ context.Context, _ Key, names []Scope) ([]ScopeRow, error) {
	var rows []ScopeRow
	for _, s := range within(v.scopes, names) {
		rows = append(rows, ScopeRow{ID: "scope-" + string(s), Name: s})
	}
	return rows, v.read("KnownScopes")
}

func (v *fakeView) Scope(_ context.Context, _ Key, name string) (ScopeRow, error) {
	if err := v.read("Scope"); err != nil {
		return ScopeRow{}, err
	}
	if !slices.Contains(v.scopes, Scope(name)) {
		return ScopeRow{}, ErrNotFound
	}
	return ScopeRow{ID: "scope-" + name, Name: Scope(name)}, nil
}

func (v *fakeView) TypeScopes(_ context.Context, _ Key, _ string, names []Scope) ([]Scope, error) {
	return within(names, v.typeScope), v.read("TypeScopes")
}

func (v *fakeView) URIShapes(_ context.Context, server Key) ([]string, error) {
	var out []string
	for _, r := range v.find(server, func(*Resource) bool { return true }) {
		for _, uri := range r.URIs {
			if _, shape := URIKey(uri); shape != "" && !slices.Contains(out, shape) {
				out = append(out, shape)
			}
		}
	}
	return out, v.read("URIShapes")
}

func (v *fakeView) URICandidates(_ context.Context, server Key, keys []string) ([]URICandidate, error) {
	var out []URICandidate
	for _, r := range v.find(server, func(*Resource) bool { return true }) {
		for _, uri := range r.URIs {
			if key, _ := URIKey(uri); slices.Contains(keys, key) {
				out = append(out, URICandidate{URI: uri, Resource: r.ID})
			}
		}
	}
	return out, v.read("URICandidates")
}

func (v *fakeView) Between(context.Context, *Party, []Key, time.Time) ([]Share, []Request, error) {
	return slices.Clone(v.shares), nil, v.read("Between")
}

func (v *fakeView) SharedWith(_ context.Context, _ Key, requester, name string, limit int) ([]Request, error) {
	var out []Request
	for _, q := range v.requests {
		if len(out) < limit && q.State == Granted && q.Requester == requester && (name == "" || q.ResourceName == name) {
			out = append(out, q)
		}
	}
	v.shared += len(out)
	return out, v.read("SharedWith")
}

func (v *fakeView) Request(_ context.Context, _ Key, id string) (*Request, error) {
	var found *Request
	for i := range v.requests {
		if v.requests[i].ID == id {
			found = &v.requests[i]
		}
	}
	return row(v.read("Request"), found)
}

func (v *fakeView) FindRequests(context.Context, Key, RequestFilter, int, int) ([]Request, error) {
	return v.requests, v.read("FindRequests")
}

func (v *fakeView) CountRequests(context.Context, Key, RequestFilter) (int, error) {
	return len(v.requests), v.read("CountRequests")
}

func (v *fakeView) Ticket(_ context.Context, _ Key, hash []byte, now time.Time) (*Ticket, error) {
	t := v.tickets[string(hash)]
	if t != nil && (!now.Before(t.Expires) || !bytes.Equal(t.Hash, hash)) {
		t = nil
	}
	return row(v.read("Ticket"), t)
}

func (v *fakeView) SpentTicket(_ context.Context, _ Key, hash []byte) (*SpentTicket, error) {
	return row(v.read("SpentTicket"), v.spent[string(hash)])
}

func (v *fakeView) TokenState(_ context.Context, _ Key, jti, session string) (*TokenState, error) {
	state := &TokenState{Revoked: jti == v.revoked}
	if err := v.read("TokenState"); err != nil || session == "" {
		return state, err
	}
	s, err := row(nil, v.sessions[session])
	if err != nil {
		return nil, err
	}
	state.Session, state.User = s, v.users[s.User]
	return state, nil
}

func (v *fakeView) RPT(_ context.Context, _ Key, jti string) (*RPT, error) {
	return row(v.read("RPT"), v.rpts[jti])
}

func (v *fakeView) Standing(_ context.Context, server Key, _ []Grant) (*Standing, error) {
	n := &Standing{Resources: map[ResourceID]*Resource{}, Shares: map[string]*Share{}, Scopes: map[Scope]bool{}}
	for _, r := range v.find(server, func(*Resource) bool { return true }) {
		n.Resources[r.ID] = r
	}
	for i := range v.shares {
		n.Shares[v.shares[i].ID] = &v.shares[i]
	}
	for _, s := range v.scopes {
		n.Scopes[s] = true
	}
	return n, v.read("Standing")
}

func (v *fakeView) RefreshToken(_ context.Context, _ Key, hash []byte, _ time.Time) (*RefreshToken, bool, error) {
	t, err := row(v.read("RefreshToken"), v.refresh[string(hash)])
	return t, false, err
}
