package grant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// count is how often a step was taken.
// The order of a token request: everything is read from one view that is closed
// before the policy runs, and nothing is signed before its decision is kept.
func TestTokenOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ticket := w.Ticket(uma.Permission{Resource: "r-board", Scopes: umatest.ScopesOf("view")})
	answer, err := w.bob(&Request{Ticket: ticket})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"view", "close", "decide", "commit", "sign", "sign"} // the RPT and its refresh token
	if !slices.Equal(w.Steps, want) {
		t.Errorf("got %q, want %q", w.Steps, want)
	}
	st := w.Settlements[0]
	if !slices.Equal(st.Ticket, uma.Digest(ticket)) || st.Reusable || st.Realm != 1 || st.Successor != nil || len(st.Requests) != 0 || len(st.Records) != 1 {
		t.Errorf("settlement: got %+v", st)
	}
	// What it rests on: the realm, the user and the resource as they were read.
	if r := st.RestsOn; r == nil || r.Generation != 7 || r.User != "u-bob" || r.UserVersion != 3 ||
		!maps.Equal(r.Resources, map[uma.Key]int64{101: 21}) || len(r.Requests) != 0 {
		t.Errorf("rests on: got %+v", r)
	}
	rpt := w.Signed[0]
	if !slices.Equal(rpt.Audience, uma.Audience{"photoz-api"}) || rpt.AuthorizedParty != "photoz-web" || rpt.Subject != "u-bob" || rpt.Type != "Bearer" ||
		rpt.ID != st.RPT.JTI || rpt.Expires != st.RPT.Expires.Unix() || rpt.Expires != w.Unix()+300 {
		t.Errorf("RPT: got %+v", rpt)
	}
	if k := st.RPT; k.Revision != "revision-1" || k.Generation != 7 || k.UserVersion != 3 || k.Server != 10 || k.SessionID != "s-bob" ||
		!k.Keep.Equal(w.Now.Add(30*time.Minute)) || st.Refresh.RPT != k.JTI {
		t.Errorf("row of the RPT: got %+v, refresh token %+v", k, st.Refresh)
	}
	if answer.Upgraded {
		t.Error("upgraded without an RPT")
	}
}

// What moved starts again, three times, then 503 with the ticket unspent.
func TestTokenRetries(t *testing.T) {
	t.Parallel()
	moved, party := &uma.MovedError{}, &uma.MovedError{Party: true}
	tests := []struct {
		name    string
		commits []error    // of one after the other; then nil
		want    uma.Reason // "" for an RPT
		tries   int
		reloads int
	}{
		{"nothing moves", nil, "", 1, 0},
		{"once", []error{moved}, "", 2, 0},
		{"three times", []error{moved, moved, moved}, "", 4, 0},
		{"four times", []error{moved, moved, moved, moved}, uma.Busy, 5, 0}, // the fifth is the record of what came to nothing
		{"wrapped", []error{fmt.Errorf("batch: %w", moved)}, "", 2, 0},
		{"the party: from the beginning", []error{party}, "", 2, 1},
		{"both", []error{moved, party, moved}, "", 4, 1},
		{"the party, each time", []error{party, party, party, party}, uma.Busy, 5, 3},
		{"spent meanwhile", []error{moved, uma.ErrSpent}, uma.UnusableTicket, 3, 0}, // the third is the loser's record
		{"full meanwhile", []error{moved, uma.ErrBusy}, uma.Busy, 2, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if _, err := w.service.Realms.Realm(t.Context(), "photoz"); err != nil { // as the server does first
				t.Fatal(err)
			}
			w.Steps = nil
			w.Commit = func(*uma.Settlement) error {
				if n := len(w.Settlements); n <= len(tc.commits) {
					return tc.commits[n-1]
				}
				return nil
			}
			answer, err := w.bob(&Request{Ticket: w.Ticket(uma.Permission{Resource: "r-board"})})
			if got := umatest.Reason(err); got != tc.want || (err == nil) != (tc.want == "") || (answer != nil) != (tc.want == "") {
				t.Errorf("got %v, %v, want %q", answer, err, tc.want)
			}
			if got := len(w.Settlements); got != tc.tries {
				t.Errorf("got %d commits, want %d", got, tc.tries)
			}
			if got := w.Count("reload"); got != tc.reloads {
				t.Errorf("got %d reloads, want %d", got, tc.reloads)
			}
			if got := w.Count("sign") > 0; got != (tc.want == "") {
				t.Errorf("signed: %q", w.Steps)
			}
			if w.View.Open != 0 {
				t.Errorf("%d views are open", w.View.Open)
			}
		})
	}
}

// When the party moved, the second attempt sees the realm as it is now.
func TestTokenReloadsTheParty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, err := w.service.Realms.Realm(t.Context(), "photoz")
	if err != nil {
		t.Fatal(err)
	}
	w.Commit = func(*uma.Settlement) error {
		if len(w.Settlements) > 1 {
			return nil
		}
		realm := s.Realm
		realm.Generation = 8
		next := uma.NewSnapshot(realm, []*uma.Client{w.API, w.Other, w.Web, w.App}, nil)
		w.Generation, w.Snapshot = 8, func() (*uma.Snapshot, error) { return next, nil }
		w.View.Users["u-bob"].Version = 4
		return &uma.MovedError{Party: true}
	}
	if _, err := w.bob(&Request{Permissions: asked("r-board")}); err != nil {
		t.Fatal(err)
	}
	if r := w.Settlements[1].RestsOn; r.Generation != 8 || r.UserVersion != 4 {
		t.Errorf("got %+v, want generation 8 and version 4 of the user", r)
	}
}

// A realm that is disabled, or a user that is, gets nothing out of a retry.
func TestTokenRetryRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		turn func(*world)
		want uma.Reason
	}{
		{"the user is disabled", func(w *world) { w.View.Users["u-bob"].Enabled = false }, uma.UnusableBearer},
		{"the session has ended", func(w *world) { w.View.Sessions["s-bob"].Ended = true }, uma.UnusableBearer},
		{"the ticket is spent", func(w *world) { clear(w.View.Tickets) }, uma.UnusableTicket},
		{"the resource is gone", func(w *world) { w.View.Resources = nil }, uma.UnusableTicket},
		{"the realm is disabled", func(w *world) {
			realm := w.Snap.Realm
			realm.Enabled = false
			off := uma.NewSnapshot(realm, nil, nil)
			w.Generation, w.Snapshot = 8, func() (*uma.Snapshot, error) { return off, nil }
		}, uma.RealmDisabled},
		{"the realm is gone", func(w *world) {
			w.Generation, w.Snapshot = 8, func() (*uma.Snapshot, error) { return nil, uma.ErrNotFound }
		}, uma.RealmNotFound},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Commit = func(*uma.Settlement) error {
				tc.turn(w)
				return &uma.MovedError{Party: true}
			}
			_, err := w.bob(&Request{Ticket: w.Ticket(uma.Permission{Resource: "r-board"})})
			if got := umatest.Reason(err); got != tc.want || len(w.Settlements) != 1 || len(w.Signed) != 0 {
				t.Errorf("got %v after %d commits, want %s after one, nothing signed", err, len(w.Settlements), tc.want)
			}
		})
	}
}

// Who loses the race for a ticket leaves one record, and nothing else.
func TestTokenLoser(t *testing.T) {
	t.Parallel()
	for _, decision := range []uma.Output{
		{Granted: []uma.Scope{"*"}}, {}, {Submit: []uma.Scope{"*"}}, {NeedInfo: []uma.Need{{RequiredClaim: uma.RequiredClaim{Name: "email"}}}},
	} {
		w := newWorld(t)
		w.Answer = func(*uma.Input) (*uma.Evaluation, error) { return &uma.Evaluation{Output: decision}, nil }
		w.Commit = func(st *uma.Settlement) error {
			if st.Ticket != nil {
				return fmt.Errorf("spend: %w", uma.ErrSpent)
			}
			return nil
		}
		answer, err := w.bob(&Request{Ticket: w.Ticket(uma.Permission{Resource: "r-board"}, uma.Permission{Resource: "r-album"})})
		if umatest.Reason(err) != uma.UnusableTicket || answer != nil {
			t.Errorf("got %v, %v, want an unusable ticket", answer, err)
		}
		if e := new(uma.Error); errors.As(err, &e) && (e.Ticket != "" || e.RequiredClaims != nil) {
			t.Errorf("the loser is told %+v", e)
		}
		if len(w.Settlements) != 2 || len(w.Signed) != 0 {
			t.Fatalf("got %d commits and %d tokens, want 2 and none", len(w.Settlements), len(w.Signed))
		}
		st := w.Settlements[1]
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
	email := []uma.Need{{RequiredClaim: uma.RequiredClaim{Name: "email"}}}
	tests := []struct {
		name     string
		decision uma.Output
		ticket   bool
		req      Request
		want     uma.Reason
		requests string // that are stored: resource#scope
		outcome  string
	}{
		{name: "denied", ticket: true, want: uma.Denied, outcome: "denied"},
		{name: "denied without a ticket", want: uma.NotAuthorized, outcome: "denied"},
		{name: "claims wanted", ticket: true, decision: uma.Output{NeedInfo: email}, want: uma.NeedInfo, outcome: "need_info"},
		{name: "claims wanted without a ticket", decision: uma.Output{NeedInfo: email}, want: uma.NotAuthorized, outcome: "denied"},
		{name: "submitted", ticket: true, decision: uma.Output{Submit: []uma.Scope{"view"}}, want: uma.Submitted, requests: "r-album#view", outcome: "submitted"},
		{name: "submitted, all", ticket: true, decision: uma.Output{Submit: []uma.Scope{"*"}}, want: uma.Submitted, requests: "r-album#view r-album#comment", outcome: "submitted"},
		{name: "nothing is submitted without a ticket", decision: uma.Output{Submit: []uma.Scope{"*"}}, want: uma.NotAuthorized, outcome: "denied"},
		{name: "nothing is submitted with submit_request=false", ticket: true, req: Request{NoSubmit: true}, decision: uma.Output{Submit: []uma.Scope{"*"}}, want: uma.Denied, outcome: "denied"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Answer = func(*uma.Input) (*uma.Evaluation, error) { return &uma.Evaluation{Output: tc.decision}, nil }
			tc.req.Permissions = asked("r-album")
			if tc.ticket {
				tc.req.Ticket = w.Ticket(uma.Permission{Resource: "r-album"})
			}
			answer, err := w.bob(&tc.req)
			if got := umatest.Reason(err); got != tc.want || answer != nil {
				t.Fatalf("got %v, %v, want %s", answer, err, tc.want)
			}
			if len(w.Settlements) != 1 || len(w.Signed) != 0 {
				t.Fatalf("got %d commits and %d tokens", len(w.Settlements), len(w.Signed))
			}
			st := w.Settlements[0]
			if (st.Ticket != nil) != tc.ticket || st.RestsOn != nil || st.RPT != nil || st.Refresh != nil {
				t.Errorf("settlement: got %+v", st)
			}
			if got := st.Records[0]; got.Outcome != tc.outcome || got.Answered != string(tc.want) || len(st.Records) != 1 {
				t.Errorf("on record: got %q, answered %q, want %q", got.Outcome, got.Answered, tc.outcome)
			}
			var requests []string
			for _, q := range st.Requests {
				requests = append(requests, string(q.ResourceID)+"#"+string(q.Scope))
				if q.Owner != "u-alice" || q.Requester != "u-bob" || q.State != "pending" || q.Resource != 103 || q.Server != 10 || !q.Created.Equal(w.Now) {
					t.Errorf("request: got %+v", q)
				}
			}
			if got := strings.Join(requests, " "); got != tc.requests {
				t.Errorf("requests: got %q, want %q", got, tc.requests)
			}
			e := new(uma.Error)
			errors.As(err, &e)
			if tc.want != uma.NeedInfo {
				if e.Ticket != "" || st.Successor != nil || e.RequiredClaims != nil {
					t.Errorf("got a next ticket: %+v", e)
				}
				return
			}
			// need_info: a new ticket for the same, bound to this client and party.
			n := st.Successor
			if e.Ticket == "" || e.Ticket == tc.req.Ticket || !slices.Equal(n.Hash, uma.Digest(e.Ticket)) || n.Round != 2 || n.Client != "photoz-web" ||
				n.Subject != "u-bob" || n.Server != 10 || !n.Expires.Equal(w.Now.Add(2*time.Minute)) || len(n.Permissions) != 1 {
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
	bob := &uma.User{ID: "u-bob"}
	album := func(edit func(*uma.Resource)) *uma.Resource {
		r := &uma.Resource{ID: "r", Key: 5, Owner: "u-alice", OwnerManaged: true, Scopes: umatest.ScopesOf("view comment")}
		if edit != nil {
			edit(r)
		}
		return r
	}
	tests := []struct {
		name     string
		user     *uma.User
		resource *uma.Resource
		submit   string
		want     string
		shared   string // already, by requests that were granted
		carried  bool   // by an RPT, and not requested
		searched bool   // found by a search, not named
	}{
		{name: "a user asks", user: bob, resource: album(nil), submit: "view", want: "view"},
		{name: "two scopes, one request each", user: bob, resource: album(nil), submit: "view comment", want: "view comment"},
		{name: "a resource without scopes", user: bob, resource: album(func(r *uma.Resource) { r.Scopes = nil }), submit: "*", want: "(all)"},
		{name: "a scope of the type that it lacks", user: bob, resource: album(nil), submit: "print", want: ""},
		{name: "a scope of the type beside its own", user: bob, resource: album(nil), submit: "print view", want: "view"},
		{name: "a service account", user: nil, resource: album(nil), submit: "view", want: ""},
		{name: "a scope without a resource", user: bob, resource: nil, submit: "view", want: ""},
		{name: "not owner-managed", user: bob, resource: album(func(r *uma.Resource) { r.OwnerManaged = false }), submit: "view", want: ""},
		{name: "the resource server's", user: bob, resource: album(func(r *uma.Resource) { r.Owner = "uuid-api" }), submit: "view", want: ""},
		{name: "one's own", user: bob, resource: album(func(r *uma.Resource) { r.Owner = "u-bob" }), submit: "view", want: ""},
		{name: "what was shared already", user: bob, resource: album(nil), submit: "view comment", shared: "view", want: "comment"},
		{name: "what a scope alone found", user: bob, resource: album(nil), submit: "view", searched: true, want: ""},
		{name: "what an RPT carries", user: bob, resource: album(nil), submit: "view", carried: true, want: ""},
	}
	for _, tc := range tests {
		w := newWorld(t)
		one := &decision{
			permission: &permission{resource: tc.resource, requested: !tc.carried, named: !tc.searched, asked: umatest.ScopesOf(tc.submit)},
			submit:     umatest.ScopesOf(tc.submit),
		}
		q := &question{server: w.API, asker: asker{party: &party.Identity{Subject: "u-bob", User: tc.user}}}
		for _, s := range umatest.ScopesOf(tc.shared) {
			q.shares = append(q.shares, uma.Share{Kind: "request", Resource: 5, Scopes: []uma.Scope{s}})
		}
		one.submit = q.askable(one)
		var got []string
		for _, r := range w.service.ownerRequests(q, &decisions{list: []*decision{one}}) {
			if r.Scope == "" {
				r.Scope = "(all)"
			}
			got = append(got, string(r.Scope))
		}
		if got := strings.Join(got, " "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
		// What is not asked for is not said to be: the answer and the record see the same.
		if want := tc.want != ""; len(one.submit) > 0 != want {
			t.Errorf("%s: got %q left to submit", tc.name, one.submit)
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
		req      Request
		ticket   bool
		want     uma.Reason
		outcomes string
	}{
		{"named", Request{Permissions: asked("r-bare r-board")}, false, uma.PolicyFailed, "granted error"},
		{"of the ticket", Request{}, true, uma.PolicyFailed, "granted error"},
		{"found", Request{}, false, "", "error granted"},
		{"found by scope, and nothing else", Request{Permissions: asked("#post")}, false, uma.NotAuthorized, "error"},
	}
	for _, how := range []string{"error", "widens", "unknown share"} {
		for _, tc := range tests {
			w := newWorld(t)
			w.Answer = func(in *uma.Input) (*uma.Evaluation, error) {
				switch {
				case in.Resource.ID != "r-board":
					return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}}}, nil
				case how == "error":
					return nil, broken
				case how == "widens":
					return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*", "delete"}}}, nil
				}
				return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}, RestsOn: []string{"made-up"}}}, nil
			}
			req := tc.req
			if tc.ticket {
				req.Ticket = w.Ticket(uma.Permission{Resource: "r-bare", Whole: true}, uma.Permission{Resource: "r-board"})
			}
			answer, err := w.bob(&req)
			if got := umatest.Reason(err); got != tc.want || (answer != nil) != (tc.want == "") {
				t.Errorf("%s, %s: got %v, %v, want %q", tc.name, how, answer, err, tc.want)
			}
			if len(w.Settlements) != 1 {
				t.Fatalf("%s, %s: got %d commits, want 1", tc.name, how, len(w.Settlements))
			}
			st := w.Settlements[0]
			var outcomes []string
			for _, r := range st.Records {
				outcomes = append(outcomes, r.Outcome)
			}
			if got := strings.Join(outcomes, " "); got != tc.outcomes {
				t.Errorf("%s, %s: got %q on record, want %q", tc.name, how, got, tc.outcomes)
			}
			if tc.want == uma.PolicyFailed && (st.Ticket != nil || st.RPT != nil || st.Requests != nil) {
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
	w.Answer = func(*uma.Input) (*uma.Evaluation, error) {
		return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}, Submit: []uma.Scope{"*"}}, Failed: "time.parse_rfc3339_ns"}, nil
	}
	answer, err := w.bob(&Request{Ticket: w.Ticket(uma.Permission{Resource: "r-album"})})
	if umatest.Reason(err) != uma.Denied || answer != nil || len(w.Settlements) != 1 || len(w.Signed) != 0 {
		t.Fatalf("got %v, %v after %d commits", answer, err, len(w.Settlements))
	}
	if st := w.Settlements[0]; st.Records[0].Outcome != "error" || len(st.Requests) != 0 || st.Ticket == nil {
		t.Errorf("got %+v", st)
	}
}

// A store that fails grants nothing and is this server's own trouble; a full
// queue is told.
func TestTokenStoreFails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		want uma.Reason
	}{{errors.New("disk full"), ""}, {uma.ErrBusy, uma.Busy}, {fmt.Errorf("queue: %w", uma.ErrBusy), uma.Busy}} {
		for _, mode := range []string{"", "decision", "permissions"} {
			w := newWorld(t)
			w.Commit = func(*uma.Settlement) error { return tc.err }
			answer, err := w.bob(&Request{Permissions: asked("r-board"), Mode: mode})
			if answer != nil || !errors.Is(err, tc.err) || umatest.Reason(err) != tc.want || len(w.Signed) != 0 {
				t.Errorf("%v: got %v, %v, %d tokens, want %q", tc.err, answer, err, len(w.Signed), tc.want)
			}
		}
	}
}

// The other modes answer what was granted and make no token.
func TestTokenModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"decision", "permissions"} {
		w := newWorld(t)
		answer, err := w.bob(&Request{Permissions: asked("r-board#view r-bare"), Mode: mode, WithoutNames: true})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Token != nil || len(w.Signed) != 0 || w.Settlements[0].RPT != nil || w.Settlements[0].RestsOn == nil {
			t.Errorf("%s: got %+v and %d tokens", mode, answer, len(w.Signed))
		}
		if p := answer.Permissions; len(p) != 2 || p[0].ID != "r-board" || p[0].Name != "" || !slices.Equal(p[0].Scopes, umatest.ScopesOf("view")) || p[1].Scopes != nil {
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
		w.Answer = func(in *uma.Input) (*uma.Evaluation, error) {
			ttl := tc.board
			if in.Resource.ID == "r-bare" {
				ttl = tc.bare
			}
			if ttl < 0 {
				return &uma.Evaluation{Output: uma.Output{RPT: uma.RPTInstructions{TTL: -ttl}}}, nil
			}
			return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}, RPT: uma.RPTInstructions{TTL: ttl}}}, nil
		}
		answer, err := w.bob(&Request{Permissions: asked("r-board r-bare")})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Signed[0].Expires - w.Unix(); got != tc.want || answer.Token.AccessExpiresIn != tc.want {
			t.Errorf("%s: got %d s, expires_in %d, want %d", tc.name, got, answer.Token.AccessExpiresIn, tc.want)
		}
	}
}

// Who gets a refresh token with an RPT, and how long a restricted token's lasts (design §7).
func TestRefreshTokenOfAnRPT(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		caller  party.Caller
		req     Request
		edit    func(*world)
		refresh bool
		azp     string
		expires int64
	}{
		{name: "a user", caller: party.Caller{HasBearer: true, Bearer: "access.of.bob"}, refresh: true, azp: "photoz-web", expires: 300},
		{
			name: "a token for some resource servers only", caller: party.Caller{HasBearer: true, Bearer: "access.of.bob"}, azp: "photoz-web", expires: 60,
			edit: func(w *world) {
				c := w.Tokens["access.of.bob"]
				c.Audience, c.Expires = uma.Audience{"photoz-api"}, w.Unix()+60
			},
		},
		{name: "a service account", caller: party.Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}, azp: "photoz-app", expires: 300},
		{
			name: "a subject_token of another client", caller: party.Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true},
			req: Request{SubjectToken: "access.of.bob"}, azp: "photoz-web", expires: 300,
		},
		{
			name: "a subject_token of its own", caller: party.Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true},
			req: Request{SubjectToken: "access.of.bob"}, refresh: true, azp: "photoz-app", expires: 300,
			edit: func(w *world) { w.Tokens["access.of.bob"].AuthorizedParty = "photoz-app" },
		},
		{
			name: "an ID token", caller: party.Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true},
			req: Request{ClaimToken: "id.of.bob"}, refresh: true, azp: "photoz-app", expires: 300,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Tokens["id.of.bob"] = &uma.Claims{
				ID: "j-id", Subject: "u-bob", Type: uma.TypeID, AuthorizedParty: "photoz-app", SessionID: "s-bob", Audience: uma.Audience{"photoz-app"}, Expires: w.Unix() + 300,
			}
			if tc.edit != nil {
				tc.edit(w)
			}
			tc.req.Audience, tc.req.Permissions = "photoz-api", asked("r-board")
			answer, err := w.service.Token(t.Context(), w.Snap, &tc.caller, &tc.req)
			if err != nil {
				t.Fatal(err)
			}
			if got := answer.Token.Refresh != ""; got != tc.refresh || got != (w.Settlements[0].Refresh != nil) {
				t.Errorf("refresh token: got %t, want %t", got, tc.refresh)
			}
			if c := w.Signed[0]; c.AuthorizedParty != tc.azp || c.Expires-w.Unix() != tc.expires || !slices.Equal(c.Audience, uma.Audience{"photoz-api"}) {
				t.Errorf("got azp %s for %d s, want %s for %d", c.AuthorizedParty, c.Expires-w.Unix(), tc.azp, tc.expires)
			}
		})
	}
}

// Who may not ask, and in which words. Nothing is decided, kept or signed.
func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	bearer := party.Caller{HasBearer: true, Bearer: "access.of.bob"}
	app := party.Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}
	web := party.Caller{ClientID: "photoz-web"}
	tests := []struct {
		name   string
		caller party.Caller
		req    Request
		edit   func(*world)
		want   string
	}{
		{"nobody", party.Caller{}, Request{Audience: "photoz-api"}, nil, "invalid_client"},
		{"an empty bearer", party.Caller{HasBearer: true, ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}, Request{Audience: "photoz-api"}, nil, "unusable_bearer"},
		{"a public client alone", web, Request{Audience: "photoz-api"}, nil, "unauthorized_client: public_client_for_itself photoz-web"},
		{"a client without a service account", app, Request{Audience: "photoz-api"}, func(w *world) { w.App.ServiceAccount = false }, "unauthorized_client: no_service_account photoz-app"},
		{"a public client's claims", bearer, Request{Audience: "photoz-api", ClaimToken: "x", ClaimTokenFormat: "urn:other"}, nil, "public_client_claims"},
		{"a public client's claims without a bearer", web, Request{Audience: "photoz-api", ClaimToken: "x", SubjectToken: "access.of.bob"}, nil, "public_client_claims"},
		{"an unknown format", app, Request{Audience: "photoz-api", ClaimToken: "x", ClaimTokenFormat: "urn:other"}, nil, "invalid_request: claim_format_unknown urn:other"},
		{"a bad subject_token", app, Request{Audience: "photoz-api", SubjectToken: "garbage"}, nil, "unusable_identity"},
		{"a subject_token whose session is gone", app, Request{Audience: "photoz-api", SubjectToken: "access.of.bob"}, func(w *world) { clear(w.View.Sessions) }, "unusable_identity"},
		{"an ID token as subject_token", app, Request{Audience: "photoz-api", SubjectToken: "access.of.bob"}, func(w *world) { w.Tokens["access.of.bob"].Type = uma.TypeID }, "unusable_identity"},
		{"an identity that does not verify", app, Request{Audience: "photoz-api", ClaimToken: "garbage"}, nil, "unusable_identity: signature_invalid"},
		{"an identity of another client", app, Request{Audience: "photoz-api", ClaimToken: "access.of.bob"}, nil, "invalid_claim_token: claim_token_of_other_client"},
		{"an identity without a session", app, Request{Audience: "photoz-api", ClaimToken: "access.of.bob"}, func(w *world) {
			w.Tokens["access.of.bob"].AuthorizedParty = "photoz-app"
			clear(w.View.Sessions)
		}, "unusable_identity"},
		{"no audience", bearer, Request{}, nil, "unusable_resource_server: audience_missing"},
		{"an unknown audience", bearer, Request{Audience: "ghost"}, nil, "unusable_resource_server: audience_unknown ghost"},
		{"a disabled audience", bearer, Request{Audience: "photoz-api"}, func(w *world) { w.API.Enabled = false }, "unusable_resource_server: audience_unknown photoz-api"},
		{"an audience that is no resource server", bearer, Request{Audience: "photoz-app"}, nil, "unusable_resource_server: audience_no_server photoz-app"},
		{"an RPT speaks for its resource server only", bearer, Request{Audience: "other-api"}, func(w *world) { w.Tokens["access.of.bob"].Audience = uma.Audience{"photoz-api"} }, "unusable_bearer"},
		{"the same with a ticket", bearer, Request{Ticket: "the-ticket"}, func(w *world) {
			w.Ticket(uma.Permission{Resource: "r-board"})
			w.Tokens["access.of.bob"].Audience = uma.Audience{"other-api"}
		}, "unusable_bearer"},
		{"an unknown ticket", bearer, Request{Ticket: "garbage"}, nil, "unusable_ticket"},
		{"an expired ticket", bearer, Request{Ticket: "the-ticket"}, func(w *world) { w.Ticket(); w.Now = w.Now.Add(time.Minute) }, "unusable_ticket"},
		{"a ticket of another client", bearer, Request{Ticket: "the-ticket"}, func(w *world) { w.Ticket(); w.View.Tickets[string(uma.Digest("the-ticket"))].Client = "photoz-app" }, "unusable_ticket"},
		{"a ticket of another party", bearer, Request{Ticket: "the-ticket"}, func(w *world) { w.Ticket(); w.View.Tickets[string(uma.Digest("the-ticket"))].Subject = "u-eve" }, "unusable_ticket"},
		{"a ticket of a disabled resource server", bearer, Request{Ticket: "the-ticket"}, func(w *world) { w.Ticket(); w.API.Enabled = false }, "unusable_ticket"},
		{"a garbage rpt", bearer, Request{Audience: "photoz-api", RPT: "garbage"}, nil, "unusable_rpt"},
		{"an access token as rpt", bearer, Request{Audience: "photoz-api", RPT: "access.of.bob"}, nil, "unusable_rpt"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.edit != nil {
				tc.edit(w)
			}
			answer, err := w.token(&tc.caller, &tc.req)
			if answer != nil {
				t.Fatalf("got %v, %v, want %s", answer, err, tc.want)
			}
			got := said(err)
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if len(w.Settlements)+len(w.Signed)+w.Count("decide") > 0 || w.View.Open != 0 {
				t.Errorf("got steps %q, and %d views open", w.Steps, w.View.Open)
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
		edit func(*world, *uma.Claims)
		ask  string
		want uma.Reason
		got  string // resources of the new RPT
	}{
		{"good", nil, "r-bare", "", "r-bare r-board"},
		{"alone", nil, "", "", "r-board"},
		{"of another subject", func(w *world, c *uma.Claims) {
			w.View.Users["u-eve"] = &uma.User{ID: "u-eve", Enabled: true}
			w.View.Sessions["s-eve"] = &uma.Session{ID: "s-eve", User: "u-eve", Expires: w.Now.Add(time.Hour)}
			c.Subject, c.SessionID = "u-eve", "s-eve"
		}, "r-bare", uma.UnusableRPT, ""},
		{"of another client", func(_ *world, c *uma.Claims) { c.AuthorizedParty = "photoz-app" }, "r-bare", uma.UnusableRPT, ""},
		{"of another resource server", func(_ *world, c *uma.Claims) { c.Audience = uma.Audience{"other-api"} }, "r-bare", "", "r-bare"},
		{"of another resource server, alone", func(_ *world, c *uma.Claims) { c.Audience = uma.Audience{"other-api"} }, "", uma.NotAuthorized, ""},
		{"without permissions", func(_ *world, c *uma.Claims) { c.Authorization = nil }, "r-bare", uma.UnusableRPT, ""},
		{"an ID token", func(_ *world, c *uma.Claims) { c.Type = uma.TypeID }, "r-bare", uma.UnusableRPT, ""},
		{"revoked", func(w *world, c *uma.Claims) { w.View.Revoked = c.ID }, "r-bare", uma.UnusableRPT, ""},
		{"ended by what replaced it", func(w *world, c *uma.Claims) { delete(w.View.Rpts, c.ID) }, "r-bare", uma.UnusableRPT, ""},
		{"of another session that has ended", func(w *world, c *uma.Claims) {
			w.View.Sessions["s-old"] = &uma.Session{ID: "s-old", User: "u-bob", Ended: true, Expires: w.Now.Add(time.Hour)}
			c.SessionID = "s-old"
		}, "r-bare", uma.UnusableRPT, ""},
		{"expired", func(w *world, c *uma.Claims) { c.Expires = w.Unix() }, "r-bare", "", "r-bare"},
		{"expired, alone", func(w *world, c *uma.Claims) { c.Expires = w.Unix() }, "", uma.UnusableRPT, ""},
		{"of a resource that is gone", func(_ *world, c *uma.Claims) { c.Authorization.Permissions[0].ID = "r-gone" }, "r-bare", "", "r-bare"},
		{"of a resource that is gone, alone", func(_ *world, c *uma.Claims) { c.Authorization.Permissions[0].ID = "r-gone" }, "", uma.NotAuthorized, ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := &uma.Claims{
				ID: "j-rpt", Subject: "u-bob", Type: uma.TypeBearer, AuthorizedParty: "photoz-web", SessionID: "s-bob", Audience: uma.Audience{"photoz-api"}, Expires: w.Unix() + 300,
				Authorization: &uma.Authorization{Permissions: []uma.GrantedPermission{{ID: "r-board", Scopes: umatest.ScopesOf("view")}}},
			}
			w.Tokens["the-rpt"], w.View.Rpts[c.ID] = c, &uma.RPT{JTI: c.ID}
			if tc.edit != nil {
				tc.edit(w, c)
			}
			answer, err := w.bob(&Request{RPT: "the-rpt", Permissions: asked(tc.ask)})
			if got := umatest.Reason(err); got != tc.want || (answer != nil) != (tc.want == "") {
				t.Fatalf("got %v, %v, want %q", answer, err, tc.want)
			}
			if tc.want != "" {
				if len(w.Signed) > 0 {
					t.Error("a token was signed")
				}
				return
			}
			var got []string
			for _, p := range w.Signed[0].Authorization.Permissions {
				got = append(got, string(p.ID))
			}
			if strings.Join(got, " ") != tc.got {
				t.Errorf("got %q, want %q", got, tc.got)
			}
			if want := strings.Contains(tc.got, "r-board"); answer.Upgraded != want {
				t.Errorf("upgraded: got %t, want %t", answer.Upgraded, want)
			}
		})
	}
}

// A client that goes away once the grant is committed is no reason not to sign: whoever
// asks for the decision record is told that the token was issued.
func TestSignsAfterTheRequestHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.Commit = func(*uma.Settlement) error {
		cancel()
		return nil
	}
	caller := &party.Caller{HasBearer: true, Bearer: "access.of.bob"}
	answer, err := w.service.Token(ctx, w.Snap, caller, &Request{Audience: "photoz-api", Permissions: asked("r-board")})
	if err != nil || answer.Token == nil || w.Count("sign") != 2 {
		t.Errorf("got %+v, %v after %q", answer, err, w.Steps)
	}
}

// All evaluations of a request together have a deadline: that of so many evaluations.
func TestEvaluationsHaveOneDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Snap.Realm.Policy.Timeout = time.Hour
	var deadline time.Time
	w.service.Policy = deadlinePolicy{w, &deadline}
	if _, err := w.bob(&Request{Permissions: asked("r-board")}); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(deadline); left > requestTimeouts*time.Hour || left < (requestTimeouts-1)*time.Hour {
		t.Errorf("got a deadline in %v, want %v", left, requestTimeouts*time.Hour)
	}
}

// A deadlinePolicy notes the deadline of its evaluations.
type deadlinePolicy struct {
	uma.Evaluator
	deadline *time.Time
}

func (p deadlinePolicy) Prepare(context.Context, *uma.Realm) (uma.Evaluator, error) { return p, nil }

func (p deadlinePolicy) Decide(ctx context.Context, in *uma.Input) (*uma.Evaluation, error) {
	*p.deadline, _ = ctx.Deadline()
	return p.Evaluator.Decide(ctx, in)
}

// A search that finds more than a request may ask for is refused, although what others
// did not share, and is left out, would make room.
func TestSearchOfTooMany(t *testing.T) {
	t.Parallel()
	for _, ask := range []string{"resource-type-any:heap", "#fly"} {
		w := newWorld(t)
		w.View.Scopes = append(w.View.Scopes, "fly")
		w.Snap.Realm.Policy.MaxPermissions = 3
		for i := range 4 {
			w.View.Resources = append(w.View.Resources, &uma.Resource{
				Key: uma.Key(1000 + i), ID: uma.ResourceID(fmt.Sprintf("r-%d", i)), Server: 10, Owner: "u-alice", OwnerManaged: true,
				Name: fmt.Sprint(i), Type: "heap", Scopes: umatest.ScopesOf("fly"),
			})
		}
		_, err := w.bob(&Request{Permissions: asked(ask)})
		if got, want := said(err), "invalid_request: too_many_permissions policy.max_permissions 3"; got != want {
			t.Errorf("%s: got %s, want %s", ask, got, want)
		}
	}
}

// Whatever the answer, it says who asked, as far as that is known, and what is on record.
func TestAnswerSaysWhoAskedAndWhatIsOnRecord(t *testing.T) {
	t.Parallel()
	bearer := &party.Caller{HasBearer: true, Bearer: "access.of.bob"}
	for _, tc := range []struct {
		name    string
		caller  *party.Caller
		req     Request
		deny    bool
		client  string
		records int
	}{
		{"granted", bearer, Request{Audience: "photoz-api", Permissions: asked("r-board r-bare")}, false, "photoz-web", 2},
		{"denied", bearer, Request{Audience: "photoz-api", Permissions: asked("r-board")}, true, "photoz-web", 1},
		{"not decided", bearer, Request{Audience: "photoz-api", Permissions: asked("ghost")}, false, "photoz-web", 0},
		{"a bad ticket", bearer, Request{Ticket: "garbage"}, false, "photoz-web", 0},
		{"a bad secret", &party.Caller{ClientID: "photoz-app", ClientSecret: "x", HasSecret: true}, Request{Audience: "photoz-api"}, false, "", 0},
		{"a bad token", &party.Caller{HasBearer: true, Bearer: "garbage"}, Request{Audience: "photoz-api"}, false, "", 0},
	} {
		w := newWorld(t)
		if tc.deny {
			w.Answer = func(*uma.Input) (*uma.Evaluation, error) { return &uma.Evaluation{}, nil }
		}
		answer, _ := w.service.Token(t.Context(), w.Snap, tc.caller, &tc.req)
		client := ""
		if answer.Client != nil {
			client = answer.Client.ID
		}
		if client != tc.client || answer.Recorded.Count != tc.records || (answer.Recorded.ID == "") != (tc.records == 0) || (answer.Recorded.Batch == "") != (tc.records == 0) {
			t.Errorf("%s: got client %q and %+v, want %q and %d records", tc.name, client, answer.Recorded, tc.client, tc.records)
		}
	}
}
