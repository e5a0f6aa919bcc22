package grant

import (
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

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
