package grant

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

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
