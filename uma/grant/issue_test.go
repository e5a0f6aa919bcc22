package grant

import (
	"context"
	"slices"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

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
