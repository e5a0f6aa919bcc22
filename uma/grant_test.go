package uma

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// count is how often a step was taken.
func (w *world) count(step string) int {
	n := 0
	for _, s := range w.steps {
		if s == step {
			n++
		}
	}
	return n
}

// The order of a token request: everything is read from one view that is closed
// before the policy runs, and nothing is signed before its decision is kept.
func TestTokenOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ticket := w.ticket(Permission{Resource: "r-board", Scopes: scopesOf("view")})
	answer, err := w.bob(&TokenRequest{Ticket: ticket})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"view", "close", "decide", "commit", "sign", "sign"} // the RPT and its refresh token
	if !slices.Equal(w.steps, want) {
		t.Errorf("got %q, want %q", w.steps, want)
	}
	st := w.settlements[0]
	if !slices.Equal(st.Ticket, Digest(ticket)) || st.Reusable || st.Realm != 1 || st.Successor != nil || len(st.Requests) != 0 || len(st.Records) != 1 {
		t.Errorf("settlement: got %+v", st)
	}
	// What it rests on: the realm, the user and the resource as they were read.
	if r := st.RestsOn; r == nil || r.Generation != 7 || r.User != "u-bob" || r.UserVersion != 3 ||
		!maps.Equal(r.Resources, map[Key]int64{101: 21}) || len(r.Shares) != 0 {
		t.Errorf("rests on: got %+v", r)
	}
	rpt := w.signed[0]
	if !slices.Equal(rpt.Audience, Audience{"photoz-api"}) || rpt.AuthorizedParty != "photoz-web" || rpt.Subject != "u-bob" || rpt.Type != "Bearer" ||
		rpt.ID != st.RPT.JTI || rpt.Expires != st.RPT.Expires.Unix() || rpt.Expires != w.unix()+300 {
		t.Errorf("RPT: got %+v", rpt)
	}
	if k := st.RPT; k.Revision != "revision-1" || k.Generation != 7 || k.UserVersion != 3 || k.Server != 10 || k.SessionID != "s-bob" ||
		!k.Keep.Equal(w.now.Add(30*time.Minute)) || st.Refresh.RPT != k.JTI {
		t.Errorf("row of the RPT: got %+v, refresh token %+v", k, st.Refresh)
	}
	if *answer.Token.Upgraded {
		t.Error("upgraded without an RPT")
	}
}

// What moved starts again, three times, then 503 with the ticket unspent.
func TestTokenRetries(t *testing.T) {
	t.Parallel()
	moved, party := &MovedError{}, &MovedError{Party: true}
	tests := []struct {
		name    string
		commits []error // of one after the other; then nil
		want    Reason  // "" for an RPT
		tries   int
		reloads int
	}{
		{"nothing moves", nil, "", 1, 0},
		{"once", []error{moved}, "", 2, 0},
		{"three times", []error{moved, moved, moved}, "", 4, 0},
		{"four times", []error{moved, moved, moved, moved}, Busy, 5, 0}, // the fifth is the record of what came to nothing
		{"wrapped", []error{fmt.Errorf("batch: %w", moved)}, "", 2, 0},
		{"the party: from the beginning", []error{party}, "", 2, 1},
		{"both", []error{moved, party, moved}, "", 4, 1},
		{"the party, each time", []error{party, party, party, party}, Busy, 5, 4},
		{"spent meanwhile", []error{moved, ErrSpent}, UnusableTicket, 3, 0}, // the third is the loser's record
		{"full meanwhile", []error{moved, ErrBusy}, Busy, 2, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if _, err := w.authority.Realm(t.Context(), "photoz"); err != nil { // as the server does first
				t.Fatal(err)
			}
			w.steps = nil
			w.commit = func(*Settlement) error {
				if n := len(w.settlements); n <= len(tc.commits) {
					return tc.commits[n-1]
				}
				return nil
			}
			answer, err := w.bob(&TokenRequest{Ticket: w.ticket(Permission{Resource: "r-board"})})
			if got := reason(err); got != tc.want || (err == nil) != (tc.want == "") || (answer != nil) != (tc.want == "") {
				t.Errorf("got %v, %v, want %q", answer, err, tc.want)
			}
			if got := len(w.settlements); got != tc.tries {
				t.Errorf("got %d commits, want %d", got, tc.tries)
			}
			if got := w.count("reload"); got != tc.reloads {
				t.Errorf("got %d reloads, want %d", got, tc.reloads)
			}
			if got := w.count("sign") > 0; got != (tc.want == "") {
				t.Errorf("signed: %q", w.steps)
			}
			if w.view.open != 0 {
				t.Errorf("%d views are open", w.view.open)
			}
		})
	}
}

// When the party moved, the second attempt sees the realm as it is now.
func TestTokenReloadsTheParty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, err := w.authority.Realm(t.Context(), "photoz")
	if err != nil {
		t.Fatal(err)
	}
	w.commit = func(*Settlement) error {
		if len(w.settlements) > 1 {
			return nil
		}
		realm := s.Realm
		realm.Generation = 8
		next := NewSnapshot(realm, []*Client{w.api, w.other, w.web, w.app}, nil)
		w.generation, w.snapshot = 8, func() (*Snapshot, error) { return next, nil }
		w.view.users["u-bob"].Version = 4
		return &MovedError{Party: true}
	}
	if _, err := w.bob(&TokenRequest{Permissions: asked("r-board")}); err != nil {
		t.Fatal(err)
	}
	if r := w.settlements[1].RestsOn; r.Generation != 8 || r.UserVersion != 4 {
		t.Errorf("got %+v, want generation 8 and version 4 of the user", r)
	}
}

// A realm that is disabled, or a user that is, gets nothing out of a retry.
func TestTokenRetryRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		turn func(*world)
		want Reason
	}{
		{"the user is disabled", func(w *world) { w.view.users["u-bob"].Enabled = false }, UnusableBearer},
		{"the session has ended", func(w *world) { w.view.sessions["s-bob"].Ended = true }, UnusableBearer},
		{"the ticket is spent", func(w *world) { clear(w.view.tickets) }, UnusableTicket},
		{"the resource is gone", func(w *world) { w.view.resources = nil }, UnusableTicket},
		{"the realm is disabled", func(w *world) {
			realm := w.snap.Realm
			realm.Enabled = false
			off := NewSnapshot(realm, nil, nil)
			w.generation, w.snapshot = 8, func() (*Snapshot, error) { return off, nil }
		}, RealmDisabled},
		{"the realm is gone", func(w *world) {
			w.generation, w.snapshot = 8, func() (*Snapshot, error) { return nil, ErrNotFound }
		}, RealmNotFound},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit = func(*Settlement) error {
				tc.turn(w)
				return &MovedError{Party: true}
			}
			_, err := w.bob(&TokenRequest{Ticket: w.ticket(Permission{Resource: "r-board"})})
			if got := reason(err); got != tc.want || len(w.settlements) != 1 || len(w.signed) != 0 {
				t.Errorf("got %v after %d commits, want %s after one, nothing signed", err, len(w.settlements), tc.want)
			}
		})
	}
}

// Who loses the race for a ticket leaves one record, and nothing else.
func TestTokenLoser(t *testing.T) {
	t.Parallel()
	for _, decision := range []Output{
		{Granted: []Scope{"*"}}, {}, {Submit: []Scope{"*"}}, {NeedInfo: []Need{{RequiredClaim: RequiredClaim{Name: "email"}}}},
	} {
		w := newWorld(t)
		w.decide = func(*Input) (*Evaluation, error) { return &Evaluation{Output: decision}, nil }
		w.commit = func(st *Settlement) error {
			if st.Ticket != nil {
				return fmt.Errorf("spend: %w", ErrSpent)
			}
			return nil
		}
		answer, err := w.bob(&TokenRequest{Ticket: w.ticket(Permission{Resource: "r-board"}, Permission{Resource: "r-album"})})
		if reason(err) != UnusableTicket || answer != nil {
			t.Errorf("got %v, %v, want an unusable ticket", answer, err)
		}
		if e := new(Error); errors.As(err, &e) && (e.Ticket != "" || e.RequiredClaims != nil) {
			t.Errorf("the loser is told %+v", e)
		}
		if len(w.settlements) != 2 || len(w.signed) != 0 {
			t.Fatalf("got %d commits and %d tokens, want 2 and none", len(w.settlements), len(w.signed))
		}
		st := w.settlements[1]
		if len(st.Records) != 1 || st.RPT != nil || st.Refresh != nil || st.Successor != nil || st.Requests != nil || st.Ticket != nil || st.RestsOn != nil {
			t.Errorf("got %+v, want one record and nothing else", st)
		}
		r := st.Records[0]
		if r.Outcome != "error" || r.Answered != "unusable_ticket" || !strings.Contains(string(r.Event), `error="ticket_spent" output=false`) {
			t.Errorf("got %s: %s", r.Outcome, r.Event)
		}
	}
}

// Every refusal, what it is called, and what it leaves behind.
func TestWordsOfARefusal(t *testing.T) {
	t.Parallel()
	email := []Need{{RequiredClaim: RequiredClaim{Name: "email"}}}
	tests := []struct {
		name     string
		decision Output
		ticket   bool
		req      TokenRequest
		want     Reason
		requests string // that are stored: resource#scope
		outcome  string
	}{
		{name: "denied", ticket: true, want: Denied, outcome: "denied"},
		{name: "denied without a ticket", want: NotAuthorized, outcome: "denied"},
		{name: "claims wanted", ticket: true, decision: Output{NeedInfo: email}, want: NeedInfo, outcome: "need_info"},
		{name: "claims wanted without a ticket", decision: Output{NeedInfo: email}, want: NotAuthorized, outcome: "denied"},
		{name: "submitted", ticket: true, decision: Output{Submit: []Scope{"view"}}, want: Submitted, requests: "r-album#view", outcome: "submitted"},
		{name: "submitted, all", ticket: true, decision: Output{Submit: []Scope{"*"}}, want: Submitted, requests: "r-album#view r-album#comment", outcome: "submitted"},
		{name: "nothing is submitted without a ticket", decision: Output{Submit: []Scope{"*"}}, want: NotAuthorized, outcome: "denied"},
		{name: "nothing is submitted with submit_request=false", ticket: true, req: TokenRequest{NoSubmit: true}, decision: Output{Submit: []Scope{"*"}}, want: Denied, outcome: "denied"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.decide = func(*Input) (*Evaluation, error) { return &Evaluation{Output: tc.decision}, nil }
			tc.req.Permissions = asked("r-album")
			if tc.ticket {
				tc.req.Ticket = w.ticket(Permission{Resource: "r-album"})
			}
			answer, err := w.bob(&tc.req)
			if got := reason(err); got != tc.want || answer != nil {
				t.Fatalf("got %v, %v, want %s", answer, err, tc.want)
			}
			if len(w.settlements) != 1 || len(w.signed) != 0 {
				t.Fatalf("got %d commits and %d tokens", len(w.settlements), len(w.signed))
			}
			st := w.settlements[0]
			if (st.Ticket != nil) != tc.ticket || st.RestsOn != nil || st.RPT != nil || st.Refresh != nil {
				t.Errorf("settlement: got %+v", st)
			}
			if got := st.Records[0]; got.Outcome != tc.outcome || got.Answered != string(tc.want) || len(st.Records) != 1 {
				t.Errorf("on record: got %q, answered %q, want %q", got.Outcome, got.Answered, tc.outcome)
			}
			var requests []string
			for _, q := range st.Requests {
				requests = append(requests, string(q.ResourceID)+"#"+string(q.Scope))
				if q.Owner != "u-alice" || q.Requester != "u-bob" || q.State != "pending" || q.Resource != 103 || q.Server != 10 || !q.Created.Equal(w.now) {
					t.Errorf("request: got %+v", q)
				}
			}
			if got := strings.Join(requests, " "); got != tc.requests {
				t.Errorf("requests: got %q, want %q", got, tc.requests)
			}
			e := new(Error)
			errors.As(err, &e)
			if tc.want != NeedInfo {
				if e.Ticket != "" || st.Successor != nil || e.RequiredClaims != nil {
					t.Errorf("got a next ticket: %+v", e)
				}
				return
			}
			// need_info: a new ticket for the same, bound to this client and party.
			n := st.Successor
			if e.Ticket == "" || e.Ticket == tc.req.Ticket || !slices.Equal(n.Hash, Digest(e.Ticket)) || n.Round != 2 || n.Client != "photoz-web" ||
				n.Subject != "u-bob" || n.Server != 10 || !n.Expires.Equal(w.now.Add(2*time.Minute)) || len(n.Permissions) != 1 {
				t.Errorf("next ticket: got %+v", n)
			}
			if len(e.RequiredClaims) != 1 || e.RequiredClaims[0].Name != "email" {
				t.Errorf("required claims: got %+v", e.RequiredClaims)
			}
		})
	}
}

// Whom the policy may have asked: a user asks another user who manages the resource.
func TestToSubmit(t *testing.T) {
	t.Parallel()
	bob := &User{ID: "u-bob"}
	album := func(edit func(*Resource)) *Resource {
		r := &Resource{ID: "r", Key: 5, Owner: "u-alice", OwnerManaged: true, Scopes: scopesOf("view comment")}
		if edit != nil {
			edit(r)
		}
		return r
	}
	tests := []struct {
		name     string
		user     *User
		resource *Resource
		submit   string
		want     string
		shared   string // already, by requests that were granted
		carried  bool   // by an RPT, and not requested
		searched bool   // found by a search, not named
	}{
		{name: "a user asks", user: bob, resource: album(nil), submit: "view", want: "view"},
		{name: "two scopes, one request each", user: bob, resource: album(nil), submit: "view comment", want: "view comment"},
		{name: "a resource without scopes", user: bob, resource: album(func(r *Resource) { r.Scopes = nil }), submit: "*", want: "(all)"},
		{name: "a scope of the type that it lacks", user: bob, resource: album(nil), submit: "print", want: ""},
		{name: "a scope of the type beside its own", user: bob, resource: album(nil), submit: "print view", want: "view"},
		{name: "a service account", user: nil, resource: album(nil), submit: "view", want: ""},
		{name: "a scope without a resource", user: bob, resource: nil, submit: "view", want: ""},
		{name: "not owner-managed", user: bob, resource: album(func(r *Resource) { r.OwnerManaged = false }), submit: "view", want: ""},
		{name: "the resource server's", user: bob, resource: album(func(r *Resource) { r.Owner = "uuid-api" }), submit: "view", want: ""},
		{name: "one's own", user: bob, resource: album(func(r *Resource) { r.Owner = "u-bob" }), submit: "view", want: ""},
		{name: "what was shared already", user: bob, resource: album(nil), submit: "view comment", shared: "view", want: "comment"},
		{name: "what a scope alone found", user: bob, resource: album(nil), submit: "view", searched: true, want: ""},
		{name: "what an RPT carries", user: bob, resource: album(nil), submit: "view", carried: true, want: ""},
	}
	for _, tc := range tests {
		w := newWorld(t)
		x := &assessment{
			Authority: w.authority, server: w.api, who: &identity{subject: "u-bob", user: tc.user},
			results: []result{{wanted: &wanted{resource: tc.resource, requested: !tc.carried, named: !tc.searched, asked: scopesOf(tc.submit)}, submit: scopesOf(tc.submit)}},
		}
		for _, s := range scopesOf(tc.shared) {
			x.shares = append(x.shares, Share{Kind: "request", Resource: 5, Scopes: []Scope{s}})
		}
		var got []string
		for _, q := range x.toSubmit() {
			if q.Scope == "" {
				q.Scope = "(all)"
			}
			got = append(got, string(q.Scope))
		}
		if got := strings.Join(got, " "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		// What is not asked for is not said to be: the answer and the record see the same.
		if want := tc.want != ""; len(x.results[0].submit) > 0 != want {
			t.Errorf("%s: got %q left to submit", tc.name, x.results[0].submit)
		}
	}
}

// Errors of the policy on something named, or of the ticket: 503, the ticket
// unspent, the error on record. What was found by a search is left out.
func TestPolicyFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("undefined")
	tests := []struct {
		name     string
		req      TokenRequest
		ticket   bool
		want     Reason
		outcomes string
	}{
		{"named", TokenRequest{Permissions: asked("r-bare r-board")}, false, PolicyFailed, "granted error"},
		{"of the ticket", TokenRequest{}, true, PolicyFailed, "granted error"},
		{"found", TokenRequest{}, false, "", "error granted"},
		{"found by scope, and nothing else", TokenRequest{Permissions: asked("#post")}, false, NotAuthorized, "error"},
	}
	for _, how := range []string{"error", "widens", "unknown share"} {
		for _, tc := range tests {
			w := newWorld(t)
			w.decide = func(in *Input) (*Evaluation, error) {
				switch {
				case in.Resource.ID != "r-board":
					return &Evaluation{Output: Output{Granted: []Scope{"*"}}}, nil
				case how == "error":
					return nil, broken
				case how == "widens":
					return &Evaluation{Output: Output{Granted: []Scope{"*", "delete"}}}, nil
				}
				return &Evaluation{Output: Output{Granted: []Scope{"*"}, RestsOn: []string{"made-up"}}}, nil
			}
			req := tc.req
			if tc.ticket {
				req.Ticket = w.ticket(Permission{Resource: "r-bare", Whole: true}, Permission{Resource: "r-board"})
			}
			answer, err := w.bob(&req)
			if got := reason(err); got != tc.want || (answer != nil) != (tc.want == "") {
				t.Errorf("%s, %s: got %v, %v, want %q", tc.name, how, answer, err, tc.want)
			}
			if len(w.settlements) != 1 {
				t.Fatalf("%s, %s: got %d commits, want 1", tc.name, how, len(w.settlements))
			}
			st := w.settlements[0]
			var outcomes []string
			for _, r := range st.Records {
				outcomes = append(outcomes, r.Outcome)
			}
			if got := strings.Join(outcomes, " "); got != tc.outcomes {
				t.Errorf("%s, %s: got %q on record, want %q", tc.name, how, got, tc.outcomes)
			}
			if tc.want == PolicyFailed && (st.Ticket != nil || st.RPT != nil || st.Requests != nil) {
				t.Errorf("%s, %s: got %+v, want records alone", tc.name, how, st)
			}
			if tc.want == "" && len(st.RPT.Permissions) != 1 {
				t.Errorf("%s, %s: got %+v granted", tc.name, how, st.RPT.Permissions)
			}
		}
	}
}

// A built-in function that failed is no failure of the policy, since what a
// client pushes could provoke it: nothing is granted, and that is on record.
func TestBuiltinFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.decide = func(*Input) (*Evaluation, error) {
		return &Evaluation{Output: Output{Granted: []Scope{"*"}, Submit: []Scope{"*"}}, Failed: "time.parse_rfc3339_ns"}, nil
	}
	answer, err := w.bob(&TokenRequest{Ticket: w.ticket(Permission{Resource: "r-album"})})
	if reason(err) != Denied || answer != nil || len(w.settlements) != 1 || len(w.signed) != 0 {
		t.Fatalf("got %v, %v after %d commits", answer, err, len(w.settlements))
	}
	if st := w.settlements[0]; st.Records[0].Outcome != "error" || len(st.Requests) != 0 || st.Ticket == nil {
		t.Errorf("got %+v", st)
	}
}

// A store that fails grants nothing and is this server's own trouble; a full
// queue is told.
func TestTokenStoreFails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want Reason
	}{{errors.New("disk full"), ""}, {ErrBusy, Busy}, {fmt.Errorf("queue: %w", ErrBusy), Busy}} {
		for _, mode := range []string{"", "decision", "permissions"} {
			w := newWorld(t)
			w.commit = func(*Settlement) error { return tc.err }
			answer, err := w.bob(&TokenRequest{Permissions: asked("r-board"), Mode: mode})
			if answer != nil || !errors.Is(err, tc.err) || reason(err) != tc.want || len(w.signed) != 0 {
				t.Errorf("%v: got %v, %v, %d tokens, want %q", tc.err, answer, err, len(w.signed), tc.want)
			}
		}
	}
}

// The other modes answer what was granted and make no token.
func TestTokenModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"decision", "permissions"} {
		w := newWorld(t)
		answer, err := w.bob(&TokenRequest{Permissions: asked("r-board#view r-bare"), Mode: mode, WithoutNames: true})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Token != nil || len(w.signed) != 0 || w.settlements[0].RPT != nil || w.settlements[0].RestsOn == nil {
			t.Errorf("%s: got %+v and %d tokens", mode, answer, len(w.signed))
		}
		if p := answer.Permissions; len(p) != 2 || p[0].ID != "r-board" || p[0].Name != "" || !slices.Equal(p[0].Scopes, scopesOf("view")) || p[1].Scopes != nil {
			t.Errorf("%s: got %+v", mode, p)
		}
	}
}

// The shortest time that the policy asks for holds, and may only shorten.
func TestLifetimeOfAnRPT(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		board, bare int // seconds; negative: not granted
		want        int64
	}{
		{"none asked for", 0, 0, 300},
		{"shorter", 60, 0, 60},
		{"the shortest of two", 60, 30, 30},
		{"longer", 3600, 0, 300},
		{"of what was not granted", 0, -30, 300},
	} {
		w := newWorld(t)
		w.decide = func(in *Input) (*Evaluation, error) {
			ttl := tc.board
			if in.Resource.ID == "r-bare" {
				ttl = tc.bare
			}
			if ttl < 0 {
				return &Evaluation{Output: Output{RPT: RPTInstructions{TTL: -ttl}}}, nil
			}
			return &Evaluation{Output: Output{Granted: []Scope{"*"}, RPT: RPTInstructions{TTL: ttl}}}, nil
		}
		answer, err := w.bob(&TokenRequest{Permissions: asked("r-board r-bare")})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.signed[0].Expires - w.unix(); got != tc.want || answer.Token.ExpiresIn != tc.want {
			t.Errorf("%s: got %d s, expires_in %d, want %d", tc.name, got, answer.Token.ExpiresIn, tc.want)
		}
	}
}

// Who gets a refresh token with an RPT, and how long a restricted token's lasts (design §7).
func TestRefreshTokenOfAnRPT(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		caller  Caller
		req     TokenRequest
		edit    func(*world)
		refresh bool
		azp     string
		expires int64
	}{
		{name: "a user", caller: Caller{HasBearer: true, Bearer: "access.of.bob"}, refresh: true, azp: "photoz-web", expires: 300},
		{
			name: "a token for some resource servers only", caller: Caller{HasBearer: true, Bearer: "access.of.bob"}, azp: "photoz-web", expires: 60,
			edit: func(w *world) {
				c := w.tokens["access.of.bob"]
				c.Audience, c.Expires = Audience{"photoz-api"}, w.unix()+60
			},
		},
		{name: "a service account", caller: Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}, azp: "photoz-app", expires: 300},
		{
			name: "a subject_token of another client", caller: Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true},
			req: TokenRequest{SubjectToken: "access.of.bob"}, azp: "photoz-web", expires: 300,
		},
		{
			name: "a subject_token of its own", caller: Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true},
			req: TokenRequest{SubjectToken: "access.of.bob"}, refresh: true, azp: "photoz-app", expires: 300,
			edit: func(w *world) { w.tokens["access.of.bob"].AuthorizedParty = "photoz-app" },
		},
		{
			name: "an ID token", caller: Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true},
			req: TokenRequest{ClaimToken: "id.of.bob"}, refresh: true, azp: "photoz-app", expires: 300,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.tokens["id.of.bob"] = &Claims{
				ID: "j-id", Subject: "u-bob", Type: TypeID, AuthorizedParty: "photoz-app", SessionID: "s-bob", Audience: Audience{"photoz-app"}, Expires: w.unix() + 300,
			}
			if tc.edit != nil {
				tc.edit(w)
			}
			tc.req.Audience, tc.req.Permissions = "photoz-api", asked("r-board")
			answer, err := w.authority.Token(t.Context(), w.snap, &tc.caller, &tc.req)
			if err != nil {
				t.Fatal(err)
			}
			if got := answer.Token.RefreshToken != ""; got != tc.refresh || got != (w.settlements[0].Refresh != nil) {
				t.Errorf("refresh token: got %t, want %t", got, tc.refresh)
			}
			if c := w.signed[0]; c.AuthorizedParty != tc.azp || c.Expires-w.unix() != tc.expires || !slices.Equal(c.Audience, Audience{"photoz-api"}) {
				t.Errorf("got azp %s for %d s, want %s for %d", c.AuthorizedParty, c.Expires-w.unix(), tc.azp, tc.expires)
			}
		})
	}
}

// Who may not ask, and in which words. Nothing is decided, kept or signed.
func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	bearer := Caller{HasBearer: true, Bearer: "access.of.bob"}
	app := Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}
	web := Caller{ClientID: "photoz-web"}
	tests := []struct {
		name   string
		caller Caller
		req    TokenRequest
		edit   func(*world)
		want   string
	}{
		{"nobody", Caller{}, TokenRequest{Audience: "photoz-api"}, nil, "invalid_client"},
		{"an empty bearer", Caller{HasBearer: true, ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}, TokenRequest{Audience: "photoz-api"}, nil, "unusable_bearer"},
		{"a public client alone", web, TokenRequest{Audience: "photoz-api"}, nil, "unauthorized_client: Public client not allowed to retrieve service account"},
		{"a client without a service account", app, TokenRequest{Audience: "photoz-api"}, func(w *world) { w.app.ServiceAccount = false }, "unauthorized_client: Client not enabled to retrieve service account"},
		{"a public client's claims", bearer, TokenRequest{Audience: "photoz-api", ClaimToken: "x", ClaimTokenFormat: "urn:other"}, nil, "public_client_claims"},
		{"a public client's claims without a bearer", web, TokenRequest{Audience: "photoz-api", ClaimToken: "x", SubjectToken: "access.of.bob"}, nil, "public_client_claims"},
		{"an unknown format", app, TokenRequest{Audience: "photoz-api", ClaimToken: "x", ClaimTokenFormat: "urn:other"}, nil, "invalid_request: Claim token format [urn:other] not supported"},
		{"a bad subject_token", app, TokenRequest{Audience: "photoz-api", SubjectToken: "garbage"}, nil, "unusable_identity: Invalid identity"},
		{"a subject_token whose session is gone", app, TokenRequest{Audience: "photoz-api", SubjectToken: "access.of.bob"}, func(w *world) { clear(w.view.sessions) }, "unusable_identity: Invalid identity"},
		{"an ID token as subject_token", app, TokenRequest{Audience: "photoz-api", SubjectToken: "access.of.bob"}, func(w *world) { w.tokens["access.of.bob"].Type = TypeID }, "unusable_identity: Invalid identity"},
		{"an identity that does not verify", app, TokenRequest{Audience: "photoz-api", ClaimToken: "garbage"}, nil, "unusable_identity: Invalid signature"},
		{"an identity of another client", app, TokenRequest{Audience: "photoz-api", ClaimToken: "access.of.bob"}, nil, "invalid_claim_token: Token issued to a different client"},
		{"an identity without a session", app, TokenRequest{Audience: "photoz-api", ClaimToken: "access.of.bob"}, func(w *world) {
			w.tokens["access.of.bob"].AuthorizedParty = "photoz-app"
			clear(w.view.sessions)
		}, "unusable_identity: Invalid identity"},
		{"no audience", bearer, TokenRequest{}, nil, "unusable_resource_server: You must provide the issuedFor"},
		{"an unknown audience", bearer, TokenRequest{Audience: "ghost"}, nil, "unusable_resource_server: Unknown resource server id: [ghost]"},
		{"a disabled audience", bearer, TokenRequest{Audience: "photoz-api"}, func(w *world) { w.api.Enabled = false }, "unusable_resource_server: Unknown resource server id: [photoz-api]"},
		{"an audience that is no resource server", bearer, TokenRequest{Audience: "photoz-app"}, nil, "unusable_resource_server: Client does not support permissions"},
		{"an RPT speaks for its resource server only", bearer, TokenRequest{Audience: "other-api"}, func(w *world) { w.tokens["access.of.bob"].Audience = Audience{"photoz-api"} }, "unusable_bearer"},
		{"the same with a ticket", bearer, TokenRequest{Ticket: "the-ticket"}, func(w *world) {
			w.ticket(Permission{Resource: "r-board"})
			w.tokens["access.of.bob"].Audience = Audience{"other-api"}
		}, "unusable_bearer"},
		{"an unknown ticket", bearer, TokenRequest{Ticket: "garbage"}, nil, "unusable_ticket"},
		{"an expired ticket", bearer, TokenRequest{Ticket: "the-ticket"}, func(w *world) { w.ticket(); w.now = w.now.Add(time.Minute) }, "unusable_ticket"},
		{"a ticket of another client", bearer, TokenRequest{Ticket: "the-ticket"}, func(w *world) { w.ticket(); w.view.tickets[string(Digest("the-ticket"))].Client = "photoz-app" }, "unusable_ticket"},
		{"a ticket of another party", bearer, TokenRequest{Ticket: "the-ticket"}, func(w *world) { w.ticket(); w.view.tickets[string(Digest("the-ticket"))].Subject = "u-eve" }, "unusable_ticket"},
		{"a ticket of a disabled resource server", bearer, TokenRequest{Ticket: "the-ticket"}, func(w *world) { w.ticket(); w.api.Enabled = false }, "unusable_ticket"},
		{"a garbage rpt", bearer, TokenRequest{Audience: "photoz-api", RPT: "garbage"}, nil, "unusable_rpt"},
		{"an access token as rpt", bearer, TokenRequest{Audience: "photoz-api", RPT: "access.of.bob"}, nil, "unusable_rpt"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.edit != nil {
				tc.edit(w)
			}
			answer, err := w.authority.Token(t.Context(), w.snap, &tc.caller, &tc.req)
			e := new(Error)
			if !errors.As(err, &e) || answer != nil {
				t.Fatalf("got %v, %v, want %s", answer, err, tc.want)
			}
			got := string(e.Reason)
			if e.Description != "" {
				got += ": " + e.Description
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if len(w.settlements)+len(w.signed)+w.count("decide") > 0 || w.view.open != 0 {
				t.Errorf("got steps %q, and %d views open", w.steps, w.view.open)
			}
			for _, secret := range []string{"app-secret", "the-ticket", "access.of.bob", "garbage"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%v quotes a secret", err)
				}
			}
		})
	}
}

// The RPT that is upgraded must be of the same subject, client and resource
// server (design §7); an expired one carries nothing.
func TestCarriedRPT(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*world, *Claims)
		ask  string
		want Reason
		got  string // resources of the new RPT
	}{
		{"good", nil, "r-bare", "", "r-bare r-board"},
		{"alone", nil, "", "", "r-board"},
		{"of another subject", func(w *world, c *Claims) {
			w.view.users["u-eve"] = &User{ID: "u-eve", Enabled: true}
			w.view.sessions["s-eve"] = &Session{ID: "s-eve", User: "u-eve", Expires: w.now.Add(time.Hour)}
			c.Subject, c.SessionID = "u-eve", "s-eve"
		}, "r-bare", UnusableRPT, ""},
		{"of another client", func(_ *world, c *Claims) { c.AuthorizedParty = "photoz-app" }, "r-bare", UnusableRPT, ""},
		{"of another resource server", func(_ *world, c *Claims) { c.Audience = Audience{"other-api"} }, "r-bare", "", "r-bare"},
		{"of another resource server, alone", func(_ *world, c *Claims) { c.Audience = Audience{"other-api"} }, "", NotAuthorized, ""},
		{"without permissions", func(_ *world, c *Claims) { c.Authorization = nil }, "r-bare", UnusableRPT, ""},
		{"an ID token", func(_ *world, c *Claims) { c.Type = TypeID }, "r-bare", UnusableRPT, ""},
		{"revoked", func(w *world, c *Claims) { w.view.revoked = c.ID }, "r-bare", UnusableRPT, ""},
		{"ended by what replaced it", func(w *world, c *Claims) { delete(w.view.rpts, c.ID) }, "r-bare", UnusableRPT, ""},
		{"of another session that has ended", func(w *world, c *Claims) {
			w.view.sessions["s-old"] = &Session{ID: "s-old", User: "u-bob", Ended: true, Expires: w.now.Add(time.Hour)}
			c.SessionID = "s-old"
		}, "r-bare", UnusableRPT, ""},
		{"expired", func(w *world, c *Claims) { c.Expires = w.unix() }, "r-bare", "", "r-bare"},
		{"expired, alone", func(w *world, c *Claims) { c.Expires = w.unix() }, "", UnusableRPT, ""},
		{"of a resource that is gone", func(_ *world, c *Claims) { c.Authorization.Permissions[0].ID = "r-gone" }, "r-bare", "", "r-bare"},
		{"of a resource that is gone, alone", func(_ *world, c *Claims) { c.Authorization.Permissions[0].ID = "r-gone" }, "", NotAuthorized, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := &Claims{
				ID: "j-rpt", Subject: "u-bob", Type: TypeBearer, AuthorizedParty: "photoz-web", SessionID: "s-bob", Audience: Audience{"photoz-api"}, Expires: w.unix() + 300,
				Authorization: &Authorization{Permissions: []GrantedPermission{{ID: "r-board", Scopes: scopesOf("view")}}},
			}
			w.tokens["the-rpt"], w.view.rpts[c.ID] = c, &RPT{JTI: c.ID}
			if tc.edit != nil {
				tc.edit(w, c)
			}
			answer, err := w.bob(&TokenRequest{RPT: "the-rpt", Permissions: asked(tc.ask)})
			if got := reason(err); got != tc.want || (answer != nil) != (tc.want == "") {
				t.Fatalf("got %v, %v, want %q", answer, err, tc.want)
			}
			if tc.want != "" {
				if len(w.signed) > 0 {
					t.Error("a token was signed")
				}
				return
			}
			var got []string
			for _, p := range w.signed[0].Authorization.Permissions {
				got = append(got, string(p.ID))
			}
			if strings.Join(got, " ") != tc.got {
				t.Errorf("got %q, want %q", got, tc.got)
			}
			if want := strings.Contains(tc.got, "r-board"); *answer.Token.Upgraded != want {
				t.Errorf("upgraded: got %t, want %t", *answer.Token.Upgraded, want)
			}
		})
	}
}
