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

// asApp asks for an RPT as photoz-app, which authenticates.
func (w *world) asApp(req *Request) (*Answer, error) {
	w.Helper()
	return w.token(&party.Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}, req)
}

// A round that ends before anything was decided: what the client is told, and
// what becomes of the ticket.
func TestRoundsWithoutADecision(t *testing.T) {
	t.Parallel()
	bad := Request{ClaimToken: "x", ClaimTokenFormat: "urn:x"}
	tests := []struct {
		name     string
		req      Request
		edit     func(*uma.Ticket)
		want     uma.Reason
		interval time.Duration // of the ticket that goes with it; -1 for none
		kept     bool          // the ticket that was presented
	}{
		{name: "a claim token of an unknown format", req: bad, want: uma.NeedInfo},
		{name: "an identity that does not verify", req: Request{ClaimToken: "a.b.c", ClaimTokenFormat: uma.FormatID}, want: uma.NeedInfo},
		{name: "claims that cannot be decoded", req: Request{ClaimToken: "%", ClaimTokenFormat: uma.FormatJWT}, want: uma.NeedInfo},
		{name: "a scope of no resource of the ticket", req: Request{Scopes: umatest.ScopesOf("fly")}, want: uma.InvalidScope, interval: -1},
		{name: "too soon", edit: func(t *uma.Ticket) { t.Interval = 7 * time.Second }, want: uma.Submitted, interval: 14 * time.Second},
		{name: "too soon, for the last time it doubles", edit: func(t *uma.Ticket) { t.Interval = 40 * time.Second }, want: uma.Submitted, interval: time.Minute},
		{name: "too soon, with a bad claim token", req: bad, edit: func(t *uma.Ticket) { t.Interval = time.Second }, want: uma.Submitted, interval: 2 * time.Second},
		{name: "of another client", req: bad, edit: func(t *uma.Ticket) { t.Client = "photoz-web" }, want: uma.UnusableTicket, interval: -1, kept: true},
		{name: "expired", req: bad, edit: func(t *uma.Ticket) { t.Expires = t.Issued }, want: uma.UnusableTicket, interval: -1, kept: true},
		{name: "of a resource server that is gone", req: bad, edit: func(t *uma.Ticket) { t.Server = 99 }, want: uma.UnusableTicket, interval: -1, kept: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.req.Rules, tc.req.Ticket = strict, w.Ticket(uma.Permission{Resource: "r-board"})
			presented := w.View.Tickets[string(uma.Digest("the-ticket"))]
			if tc.edit != nil {
				tc.edit(presented)
			}
			answer, err := w.asApp(&tc.req)
			if got := umatest.Reason(err); got != tc.want || answer != nil {
				t.Fatalf("got %v, %v, want %s", answer, err, tc.want)
			}
			if tc.kept {
				if len(w.Settlements) != 0 {
					t.Errorf("got %+v, want the ticket left alone", w.Settlements)
				}
				return
			}
			st := w.Settlements[0]
			if len(w.Settlements) != 1 || !slices.Equal(st.Ticket, presented.Hash) || st.Records != nil || st.RestsOn != nil || st.Requests != nil || st.RPT != nil {
				t.Fatalf("got %+v, want the ticket spent and nothing decided", st)
			}
			e := new(uma.Error)
			errors.As(err, &e)
			if tc.interval < 0 {
				if e.Ticket != "" || st.Successor != nil {
					t.Errorf("got a next ticket: %+v", e)
				}
				return
			}
			n := st.Successor
			if n == nil || !slices.Equal(n.Hash, uma.Digest(e.Ticket)) || n.Client != "photoz-app" || n.Subject != "" || n.Round != 2 || n.Interval != tc.interval ||
				e.Interval != tc.interval || !n.Expires.Equal(w.Now.Add(tc.interval+2*time.Minute)) {
				t.Errorf("got next ticket %+v and interval %v", n, e.Interval)
			}
			if (tc.want == uma.NeedInfo) != (len(e.RequiredClaims) == 1 && slices.Equal(e.RequiredClaims[0].Formats, uma.ClaimTokenFormats())) {
				t.Errorf("got required claims %+v", e.RequiredClaims)
			}
		})
	}
}

// A signed claim token that does not verify is on record, with the reason, and the client is
// asked for a better one whatever the policy decided.
func TestBadClaimTokenIsOnRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Ticket(uma.Permission{Resource: "r-board"})
	var seen []uma.InputClaimToken
	w.Answer = func(in *uma.Input) (*uma.Evaluation, error) {
		seen = in.Claims.Tokens
		return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}}}, nil
	}
	_, err := w.asApp(&Request{Rules: strict, Ticket: "the-ticket", ClaimToken: "a.b.c", ClaimTokenFormat: uma.FormatJWT})
	e, _ := errors.AsType[*uma.Error](err)
	if e == nil || e.Reason != uma.NeedInfo || e.Ticket == "" || len(e.RequiredClaims) != 1 || !slices.Equal(e.RequiredClaims[0].Formats, uma.ClaimTokenFormats()) {
		t.Fatalf("got %+v, %v, want need_info with a ticket and the formats", e, err)
	}
	if len(seen) != 1 || seen[0].Reason != "does not verify" || seen[0].Verified || seen[0].Claims != nil {
		t.Errorf("the policy got %+v", seen)
	}
	if st := w.Settlements[0]; len(st.Records) != 1 || st.Records[0].Answered != "need_info" || st.RPT != nil || st.Successor == nil {
		t.Errorf("got %+v, want a record, a successor and no RPT", st)
	}
}

// The same requests spend nothing, and get no ticket, where the request is not
// strict or has none.
func TestBadClaimTokensElsewhere(t *testing.T) {
	t.Parallel()
	for _, req := range []Request{{Rules: strict, Audience: "photoz-api"}, {Ticket: "the-ticket"}} {
		w := newWorld(t)
		w.Ticket(uma.Permission{Resource: "r-board"})
		req.ClaimToken, req.ClaimTokenFormat = "x", "urn:x"
		_, err := w.asApp(&req)
		if umatest.Reason(err) != uma.InvalidRequest || len(w.Settlements) != 0 {
			t.Errorf("got %v after %d commits, want invalid_request after none", err, len(w.Settlements))
		}
	}
}

// The store fails while a round ends.
func TestRoundsOfAFailingStore(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fail error
		want uma.Reason
	}{{fmt.Errorf("spend: %w", uma.ErrSpent), uma.UnusableTicket}, {uma.ErrBusy, uma.Busy}, {umatest.ErrRead, ""}} {
		w := newWorld(t)
		w.Commit = func(*uma.Settlement) error { return tc.fail }
		answer, err := w.asApp(&Request{Rules: strict, Ticket: w.Ticket(uma.Permission{Resource: "r-board"}), Scopes: umatest.ScopesOf("fly")})
		if answer != nil || err == nil || umatest.Reason(err) != tc.want {
			t.Errorf("%v: got %v, %v, want %q", tc.fail, answer, err, tc.want)
		}
		if e := new(uma.Error); errors.As(err, &e) && e.Ticket != "" {
			t.Errorf("%v: got a next ticket", tc.fail)
		}
	}
}

// A ticket that comes again from another client ends what it bought (§5.5),
// before the race for it is decided and after.
func TestReplayedTicket(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		spent   *uma.SpentTicket // nil: it is unknown what the ticket was spent on
		race    bool             // the ticket is spent by another while this request is under way
		dropped []string
	}{
		{"unknown", nil, false, nil},
		{"by the same client", &uma.SpentTicket{Client: "photoz-app", RPT: "j"}, false, nil},
		{"by another", &uma.SpentTicket{Client: "photoz-web", RPT: "j"}, false, []string{"j"}},
		{"lost to the same client", &uma.SpentTicket{Client: "photoz-app", RPT: "j"}, true, nil},
		{"lost to another", &uma.SpentTicket{Client: "photoz-web", RPT: "j"}, true, []string{"j"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.spent != nil {
				w.View.Spent[string(uma.Digest("the-ticket"))] = tc.spent
			}
			if tc.race {
				w.Ticket(uma.Permission{Resource: "r-board"})
				w.Commit = func(st *uma.Settlement) error {
					if st.Ticket == nil {
						return nil // the record of the loser
					}
					return uma.ErrSpent
				}
			}
			answer, err := w.asApp(&Request{Ticket: "the-ticket"})
			if answer != nil || umatest.Reason(err) != uma.UnusableTicket {
				t.Errorf("got %v, %v, want an unusable ticket", answer, err)
			}
			if !slices.Equal(w.Dropped, tc.dropped) {
				t.Errorf("got RPTs %q dropped, want %q", w.Dropped, tc.dropped)
			}
			if w.View.Open != 0 {
				t.Errorf("%d views are left open", w.View.Open)
			}
		})
	}
}

// What was spent on a replayed ticket cannot be read: that is this server's
// trouble, and nothing is said of the ticket.
func TestReplayedTicketUnread(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.View.Spent[string(uma.Digest("the-ticket"))] = &uma.SpentTicket{Client: "photoz-web", RPT: "j"}
	w.View.Fail = 2 // the ticket, then what it was spent on
	answer, err := w.asApp(&Request{Ticket: "the-ticket"})
	if answer != nil || !errors.Is(err, umatest.ErrRead) || umatest.Reason(err) != "" || w.View.Open != 0 {
		t.Errorf("got %v, %v, want the trouble of reading", answer, err)
	}
}

// Whether a client may present its claim token.
func TestMayPresentClaims(t *testing.T) {
	t.Parallel()
	public, confidential := &uma.Client{Public: true}, &uma.Client{}
	bearer := &party.Caller{HasBearer: true}
	for _, tc := range []struct {
		client *uma.Client
		caller *party.Caller
		req    Request
		want   bool
	}{
		{confidential, &party.Caller{}, Request{ClaimToken: "x"}, true},
		{public, bearer, Request{ClaimToken: "a.b.c"}, false},
		{public, bearer, Request{ClaimToken: "a.b.c", Rules: strict}, true},
		{public, bearer, Request{ClaimToken: "x", Rules: strict}, false},
		{public, &party.Caller{}, Request{ClaimToken: "a.b.c", Rules: strict}, false},
		{public, &party.Caller{}, Request{ClaimToken: "a.b.c", Rules: strict, SubjectToken: "t"}, true},
	} {
		q := &question{asker: asker{client: tc.client}, caller: tc.caller, req: &tc.req}
		if got := q.mayPresentClaims(); got != tc.want {
			t.Errorf("public %t, bearer %t, %+v: got %t, want %t", tc.client.Public, tc.caller.HasBearer, tc.req, got, tc.want)
		}
	}
}

// What an RPT carries into another: of the same owner alone, in a strict request.
func TestCarriedStrictly(t *testing.T) {
	t.Parallel()
	for whole, want := range map[bool]string{false: "r-board r-bare r-album #view", true: "r-board r-bare"} {
		w := newWorld(t)
		rules := Rules{}
		if whole {
			rules = strict
		}
		w.Tokens["the-rpt"] = &uma.Claims{
			ID: "j-rpt", Subject: "u-bob", Type: uma.TypeBearer, AuthorizedParty: "photoz-web", SessionID: "s-bob", Audience: uma.Audience{"photoz-api"}, Expires: w.Unix() + 300,
			Authorization: &uma.Authorization{Permissions: []uma.GrantedPermission{
				{ID: "r-bare"}, {ID: "r-album", Scopes: umatest.ScopesOf("view")}, {Scopes: umatest.ScopesOf("view")},
			}},
		}
		w.View.Rpts["j-rpt"] = &uma.RPT{JTI: "j-rpt"}
		answer, err := w.bob(&Request{Rules: rules, RPT: "the-rpt", Ticket: w.Ticket(uma.Permission{Resource: "r-board"})})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range w.Signed[0].Authorization.Permissions {
			if p.ID == "" {
				p.ID = "#" + uma.ResourceID(p.Scopes[0])
			}
			got = append(got, string(p.ID))
		}
		if strings.Join(got, " ") != want || answer.Upgraded == whole {
			t.Errorf("strict %t: got %q and upgraded %t, want %q", whole, got, answer.Upgraded, want)
		}
		if upgraded := w.Settlements[0].Upgraded; upgraded != "" {
			t.Errorf("strict %t: got %q upgraded", whole, upgraded)
		}
	}
}

// An RPT of the legacy API names its resources otherwise, and is upgraded like any.
func TestLegacyUpgradedStrictly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Tokens["the-rpt"] = &uma.Claims{
		ID: "j-rpt", Subject: "u-bob", Type: uma.TypeEntitlement, AuthorizedParty: "photoz-web", SessionID: "s-bob", Audience: uma.Audience{"photoz-api"}, Expires: w.Unix() + 300,
		Authorization: &uma.Authorization{Permissions: []uma.GrantedPermission{{SetID: "r-bare"}}},
	}
	w.View.Rpts["j-rpt"] = &uma.RPT{JTI: "j-rpt"}
	answer, err := w.bob(&Request{Rules: strict, RPT: "the-rpt", Ticket: w.Ticket(uma.Permission{Resource: "r-board"})})
	if err != nil {
		t.Fatal(err)
	}
	if !answer.Upgraded || w.Settlements[0].Upgraded != "j-rpt" {
		t.Errorf("got upgraded %t and %q ended, want the old RPT ended", answer.Upgraded, w.Settlements[0].Upgraded)
	}
}

// A token whose aud lacks account speaks only for the resource servers in it.
func TestServesWhatTheTokenSpeaksFor(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		servers    []string // nil: an ordinary token
		api, other bool
	}{
		{nil, true, true},
		{[]string{"photoz-api"}, true, false},
		{[]string{}, false, false},
	} {
		w := newWorld(t)
		a := &asker{party: &party.Identity{Servers: tc.servers}}
		if err := a.checkServer(w.API); (err == nil) != tc.api {
			t.Errorf("%q: got %v for photoz-api", tc.servers, err)
		}
		if err := a.checkServer(w.Other); (err == nil) != tc.other {
			t.Errorf("%q: got %v for other-api", tc.servers, err)
		}
	}
}
