package uma

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// asApp asks for an RPT as photoz-app, which authenticates.
func (w *world) asApp(req *TokenRequest) (*TokenAnswer, error) {
	w.Helper()
	return w.authority.Token(w.Context(), w.snap, &Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}, req)
}

// A round that ends before anything was decided: what the client is told, and
// what becomes of the ticket.
func TestRoundsWithoutADecision(t *testing.T) {
	t.Parallel()
	bad := TokenRequest{ClaimToken: "x", ClaimTokenFormat: "urn:x"}
	tests := []struct {
		name     string
		req      TokenRequest
		edit     func(*Ticket)
		want     Reason
		interval time.Duration // of the ticket that goes with it; -1 for none
		kept     bool          // the ticket that was presented
	}{
		{name: "a claim token of an unknown format", req: bad, want: NeedInfo},
		{name: "an identity that does not verify", req: TokenRequest{ClaimToken: "a.b.c", ClaimTokenFormat: formatID}, want: NeedInfo},
		{name: "claims that cannot be decoded", req: TokenRequest{ClaimToken: "%", ClaimTokenFormat: formatJWT}, want: NeedInfo},
		{name: "a signed claim token that does not verify", req: TokenRequest{ClaimToken: "a.b.c", ClaimTokenFormat: formatJWT}, want: NeedInfo},
		{name: "a scope of no resource of the ticket", req: TokenRequest{Scopes: scopesOf("fly")}, want: InvalidScope, interval: -1},
		{name: "too soon", edit: func(t *Ticket) { t.Interval = 7 * time.Second }, want: Submitted, interval: 14 * time.Second},
		{name: "too soon, for the last time it doubles", edit: func(t *Ticket) { t.Interval = 40 * time.Second }, want: Submitted, interval: time.Minute},
		{name: "too soon, with a bad claim token", req: bad, edit: func(t *Ticket) { t.Interval = time.Second }, want: Submitted, interval: 2 * time.Second},
		{name: "of another client", req: bad, edit: func(t *Ticket) { t.Client = "photoz-web" }, want: UnusableTicket, interval: -1, kept: true},
		{name: "expired", req: bad, edit: func(t *Ticket) { t.Expires = t.Issued }, want: UnusableTicket, interval: -1, kept: true},
		{name: "of a resource server that is gone", req: bad, edit: func(t *Ticket) { t.Server = 99 }, want: UnusableTicket, interval: -1, kept: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.req.Strict, tc.req.Ticket = true, w.ticket(Permission{Resource: "r-board"})
			presented := w.view.tickets[string(Digest("the-ticket"))]
			if tc.edit != nil {
				tc.edit(presented)
			}
			answer, err := w.asApp(&tc.req)
			if got := reason(err); got != tc.want || answer != nil {
				t.Fatalf("got %v, %v, want %s", answer, err, tc.want)
			}
			if tc.kept {
				if len(w.settlements) != 0 {
					t.Errorf("got %+v, want the ticket left alone", w.settlements)
				}
				return
			}
			st := w.settlements[0]
			if len(w.settlements) != 1 || !slices.Equal(st.Ticket, presented.Hash) || st.Records != nil || st.RestsOn != nil || st.Requests != nil || st.RPT != nil {
				t.Fatalf("got %+v, want the ticket spent and nothing decided", st)
			}
			e := new(Error)
			errors.As(err, &e)
			if tc.interval < 0 {
				if e.Ticket != "" || st.Successor != nil {
					t.Errorf("got a next ticket: %+v", e)
				}
				return
			}
			n := st.Successor
			if n == nil || !slices.Equal(n.Hash, Digest(e.Ticket)) || n.Client != "photoz-app" || n.Subject != "" || n.Round != 2 || n.Interval != tc.interval ||
				e.Interval != tc.interval || !n.Expires.Equal(w.now.Add(tc.interval+2*time.Minute)) {
				t.Errorf("got next ticket %+v and interval %v", n, e.Interval)
			}
			if (tc.want == NeedInfo) != (len(e.RequiredClaims) == 1 && slices.Equal(e.RequiredClaims[0].Formats, ClaimTokenFormats())) {
				t.Errorf("got required claims %+v", e.RequiredClaims)
			}
		})
	}
}

// The same requests spend nothing, and get no ticket, where the request is not
// strict or has none.
func TestBadClaimTokensElsewhere(t *testing.T) {
	t.Parallel()
	for _, req := range []TokenRequest{{Strict: true, Audience: "photoz-api"}, {Ticket: "the-ticket"}} {
		w := newWorld(t)
		w.ticket(Permission{Resource: "r-board"})
		req.ClaimToken, req.ClaimTokenFormat = "x", "urn:x"
		_, err := w.asApp(&req)
		if reason(err) != InvalidRequest || len(w.settlements) != 0 {
			t.Errorf("got %v after %d commits, want invalid_request after none", err, len(w.settlements))
		}
	}
}

// The store fails while a round ends.
func TestRoundsOfAFailingStore(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fail error
		want Reason
	}{{fmt.Errorf("spend: %w", ErrSpent), UnusableTicket}, {ErrBusy, Busy}, {errRead, ""}} {
		w := newWorld(t)
		w.commit = func(*Settlement) error { return tc.fail }
		answer, err := w.asApp(&TokenRequest{Strict: true, Ticket: w.ticket(Permission{Resource: "r-board"}), Scopes: scopesOf("fly")})
		if answer != nil || err == nil || reason(err) != tc.want {
			t.Errorf("%v: got %v, %v, want %q", tc.fail, answer, err, tc.want)
		}
		if e := new(Error); errors.As(err, &e) && e.Ticket != "" {
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
		spent   *SpentTicket // nil: it is unknown what the ticket was spent on
		race    bool         // the ticket is spent by another while this request is under way
		dropped []string
	}{
		{"unknown", nil, false, nil},
		{"by the same client", &SpentTicket{Client: "photoz-app", RPT: "j"}, false, nil},
		{"by another", &SpentTicket{Client: "photoz-web", RPT: "j"}, false, []string{"j"}},
		{"lost to the same client", &SpentTicket{Client: "photoz-app", RPT: "j"}, true, nil},
		{"lost to another", &SpentTicket{Client: "photoz-web", RPT: "j"}, true, []string{"j"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.spent != nil {
				w.view.spent[string(Digest("the-ticket"))] = tc.spent
			}
			if tc.race {
				w.ticket(Permission{Resource: "r-board"})
				w.commit = func(st *Settlement) error {
					if st.Ticket == nil {
						return nil // the record of the loser
					}
					return ErrSpent
				}
			}
			answer, err := w.asApp(&TokenRequest{Ticket: "the-ticket"})
			if answer != nil || reason(err) != UnusableTicket {
				t.Errorf("got %v, %v, want an unusable ticket", answer, err)
			}
			if !slices.Equal(w.dropped, tc.dropped) {
				t.Errorf("got RPTs %q dropped, want %q", w.dropped, tc.dropped)
			}
			if w.view.open != 0 {
				t.Errorf("%d views are left open", w.view.open)
			}
		})
	}
}

// What was spent on a replayed ticket cannot be read: that is this server's
// trouble, and nothing is said of the ticket.
func TestReplayedTicketUnread(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.view.spent[string(Digest("the-ticket"))] = &SpentTicket{Client: "photoz-web", RPT: "j"}
	w.view.fail = 2 // the ticket, then what it was spent on
	answer, err := w.asApp(&TokenRequest{Ticket: "the-ticket"})
	if answer != nil || !errors.Is(err, errRead) || reason(err) != "" || w.view.open != 0 {
		t.Errorf("got %v, %v, want the trouble of reading", answer, err)
	}
}

// Whether a client may present its claim token.
func TestMayPush(t *testing.T) {
	t.Parallel()
	public, confidential := &Client{Public: true}, &Client{}
	bearer := &Caller{HasBearer: true}
	for _, tc := range []struct {
		client *Client
		caller *Caller
		req    TokenRequest
		want   bool
	}{
		{confidential, &Caller{}, TokenRequest{ClaimToken: "x"}, true},
		{public, bearer, TokenRequest{ClaimToken: "a.b.c"}, false},
		{public, bearer, TokenRequest{ClaimToken: "a.b.c", Strict: true}, true},
		{public, bearer, TokenRequest{ClaimToken: "x", Strict: true}, false},
		{public, &Caller{}, TokenRequest{ClaimToken: "a.b.c", Strict: true}, false},
		{public, &Caller{}, TokenRequest{ClaimToken: "a.b.c", Strict: true, SubjectToken: "t"}, true},
	} {
		x := &assessment{asking: tc.client, caller: tc.caller, req: &tc.req}
		if got := x.mayPush(); got != tc.want {
			t.Errorf("public %t, bearer %t, %+v: got %t, want %t", tc.client.Public, tc.caller.HasBearer, tc.req, got, tc.want)
		}
	}
}

// What an RPT carries into another: of the same owner alone, in a strict request.
func TestCarriedStrictly(t *testing.T) {
	t.Parallel()
	for strict, want := range map[bool]string{false: "r-board r-bare r-album #view", true: "r-board r-bare"} {
		w := newWorld(t)
		w.tokens["the-rpt"] = &Claims{
			ID: "j-rpt", Subject: "u-bob", Type: TypeBearer, AuthorizedParty: "photoz-web", SessionID: "s-bob", Audience: Audience{"photoz-api"}, Expires: w.unix() + 300,
			Authorization: &Authorization{Permissions: []GrantedPermission{
				{ID: "r-bare"}, {ID: "r-album", Scopes: scopesOf("view")}, {Scopes: scopesOf("view")},
			}},
		}
		w.view.rpts["j-rpt"] = &RPT{JTI: "j-rpt"}
		answer, err := w.bob(&TokenRequest{Strict: strict, RPT: "the-rpt", Ticket: w.ticket(Permission{Resource: "r-board"})})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range w.signed[0].Authorization.Permissions {
			if p.ID == "" {
				p.ID = "#" + ResourceID(p.Scopes[0])
			}
			got = append(got, string(p.ID))
		}
		if strings.Join(got, " ") != want || *answer.Token.Upgraded == strict {
			t.Errorf("strict %t: got %q and upgraded %t, want %q", strict, got, *answer.Token.Upgraded, want)
		}
		if upgraded := w.settlements[0].Upgraded; upgraded != "" {
			t.Errorf("strict %t: got %q upgraded", strict, upgraded)
		}
	}
}

// An RPT of the legacy API names its resources otherwise, and is upgraded like any.
func TestLegacyUpgradedStrictly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tokens["the-rpt"] = &Claims{
		ID: "j-rpt", Subject: "u-bob", Type: TypeEntitlement, AuthorizedParty: "photoz-web", SessionID: "s-bob", Audience: Audience{"photoz-api"}, Expires: w.unix() + 300,
		Authorization: &Authorization{Permissions: []GrantedPermission{{SetID: "r-bare"}}},
	}
	w.view.rpts["j-rpt"] = &RPT{JTI: "j-rpt"}
	answer, err := w.bob(&TokenRequest{Strict: true, RPT: "the-rpt", Ticket: w.ticket(Permission{Resource: "r-board"})})
	if err != nil {
		t.Fatal(err)
	}
	if !*answer.Token.Upgraded || w.settlements[0].Upgraded != "j-rpt" {
		t.Errorf("got upgraded %t and %q ended, want the old RPT ended", *answer.Token.Upgraded, w.settlements[0].Upgraded)
	}
}

// A ticket that has to wait is good for longer by that, in JWT form too.
func TestTicketJWTLivesLongerByItsInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, interval := range []time.Duration{0, 5 * time.Second} {
		if _, err := w.authority.TicketJWT(t.Context(), w.snap, "the-ticket", interval); err != nil {
			t.Fatal(err)
		}
		got := w.signed[len(w.signed)-1]
		if want := w.now.Add(2*time.Minute + interval).Unix(); got.Expires != want || got.Handle != "the-ticket" {
			t.Errorf("after %s: got expiry %d, want %d", interval, got.Expires, want)
		}
	}
}
