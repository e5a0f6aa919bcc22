package umatest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/uma"
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
	Trust     *Trust
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
	Known  *uma.Evaluation                           // its answer to every question, if it is kept
	Commit func(*uma.Settlement) error               // nil: takes all

	// What happened, in order: view, close, decide, commit, sign, reload.
	Steps       []string
	Settlements []*uma.Settlement
	Dropped     []string        // jti of RPTs
	Spent       map[string]bool // assertions of clients
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
	w.Trust = &Trust{}
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

// Recall returns Known, if there is one.
func (w *World) Recall(*uma.Input) *uma.Evaluation { return w.Known }

func (w *World) Masks() bool { return false }

func (w *World) Encode(_ context.Context, ev *uma.Event) ([]byte, error) {
	return fmt.Appendf(nil, "%s error=%q output=%t", ev.ID, ev.Error, ev.Output != nil), nil
}
