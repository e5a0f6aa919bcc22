package grant

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

const council, employer = "https://council.example", "https://login.example.com"

// trusting makes the realm trust the council and the employer for claims, and bob be the
// council's subject bob.
func (w *world) trusting() *world {
	clients := map[string]string{"app-guid": "photoz-app", "web-guid": "photoz-web"}
	w.Snap.Realm.Issuers = []uma.TrustedIssuer{
		{Issuer: council, Alias: "council", Audiences: []string{"umpire"}, Clients: clients, Accept: []uma.TokenUse{uma.UseClaims}, Claims: []string{"license", "limit"}},
		{Issuer: employer, Alias: "employer", Audiences: []string{"umpire"}, Clients: clients, Accept: []uma.TokenUse{uma.UseClaims, uma.UseSubjectToken}, Claims: []string{"limit", "acr"}},
	}
	w.View.Linked = map[umatest.Linked]string{{Issuer: council, Subject: "bob"}: "u-bob", {Issuer: employer, Subject: "bob"}: "u-bob"}
	w.Trust.Tokens = map[string]*uma.TrustedToken{}
	return w
}

// token makes a token of an issuer verify, and returns it. Its subject is bob, it is an ID
// token for photoz-web and it asserts a license, unless change says otherwise.
func (w *world) signed(issuer string, change func(*uma.TrustedToken)) string {
	t := &uma.TrustedToken{
		Issuer: w.Snap.Realm.Issuer(issuer), Kind: uma.IDToken, Subject: "bob", Audience: []string{"umpire"},
		Claims: map[string]any{"license": "L-bob"}, Expires: w.Unix() + 60,
	}
	if change != nil {
		change(t)
	}
	raw := fmt.Sprintf("a.token.%d", len(w.Trust.Tokens))
	w.Trust.Tokens[raw] = t
	return raw
}

// bobAsks is a question of bob's through photoz-web.
func (w *world) bobAsks(token, format string) *question {
	return &question{
		realm: w.Snap, now: w.Now, caller: &party.Caller{HasBearer: true}, req: &Request{ClaimToken: token, ClaimTokenFormat: format},
		asker: asker{party: &party.Identity{Subject: "u-bob", User: w.View.Users["u-bob"], Client: w.Web}, client: w.Web},
	}
}

// claims reads those of a question.
func (w *world) claims(q *question) claims {
	w.Helper()
	q.tokens = w.service.verifyAhead(w.Context(), q)
	got, err := uma.Read(w.Context(), w.Store, func(view uma.View) (claims, error) { return w.service.readClaims(w.Context(), view, q) })
	if err != nil {
		w.Fatal(err)
	}
	return got
}

// A claim token of a trusted issuer counts if it is about the party, for this client, of the
// kind that its format says, and accepted. Otherwise the policy gets the reason and no claim.
func TestClaimTokensOfIssuers(t *testing.T) {
	t.Parallel()
	const (
		id, jwt         = "", uma.FormatJWT
		idToken, access = "urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:access_token"
	)
	type edit = func(*world, *question, *uma.TrustedToken)
	tests := []struct {
		name, format string
		edit         edit
		reason       string // empty: it counts
	}{
		{name: "of an identity that is linked to the party", format: id},
		{name: "by its https spelling", format: "https://openid.net/specs/openid-connect-core-1_0.html#IDToken"},
		{name: "by the name of token exchange", format: idToken},
		{name: "as a JWT", format: jwt},
		{name: "an access token as a JWT", format: jwt, edit: func(_ *world, _ *question, t *uma.TrustedToken) { t.Kind = uma.AccessToken }},
		{name: "an access token", format: access, edit: func(_ *world, _ *question, t *uma.TrustedToken) { t.Kind = uma.AccessToken }},
		{name: "an access token as an ID token", format: id, reason: "not an ID token", edit: func(_ *world, _ *question, t *uma.TrustedToken) { t.Kind = uma.AccessToken }},
		{name: "an ID token as an access token", format: access, reason: "not an access token"},
		{name: "expired at this very second", reason: "expired", edit: func(w *world, _ *question, t *uma.TrustedToken) { t.Expires = w.Unix() }},
		{name: "for the client of the request", edit: func(_ *world, q *question, t *uma.TrustedToken) {
			q.authenticated, t.Audience = true, []string{"web-guid"}
		}},
		{name: "for a client that did not authenticate", reason: "it is neither for one of the issuer's audiences nor for the client that authenticated", edit: func(_ *world, _ *question, t *uma.TrustedToken) {
			t.Audience = []string{"web-guid"}
		}},
		{name: "issued to the client of the bearer", edit: func(_ *world, _ *question, t *uma.TrustedToken) { t.ClientID = "web-guid" }},
		{name: "issued to another client", reason: "issued to another client", edit: func(_ *world, _ *question, t *uma.TrustedToken) { t.ClientID = "app-guid" }},
		{name: "of an issuer that is not trusted for claims", reason: "the realm does not accept its tokens as claims", edit: func(_ *world, _ *question, t *uma.TrustedToken) { t.Issuer.Accept = []uma.TokenUse{uma.UseBearer} }},
		{name: "that its issuer's keys cannot check yet", reason: "the keys of its issuer are not known yet", edit: func(w *world, _ *question, _ *uma.TrustedToken) {
			w.Trust.Err = fmt.Errorf("council: %w", uma.ErrKeysMissing)
		}},
		{name: "that does not verify", reason: "the signature is not valid", edit: func(w *world, _ *question, _ *uma.TrustedToken) {
			w.Trust.Err = &uma.TrustError{Issuer: "council", Why: "the signature is not valid"}
		}},
		{name: "with too many claims", reason: "its claims are too large", edit: func(_ *world, _ *question, t *uma.TrustedToken) {
			t.Claims = map[string]any{"license": strings.Repeat("x", uma.MaxPushed)}
		}},

		{name: "of somebody else", reason: "not about the requesting party", edit: func(_ *world, _ *question, t *uma.TrustedToken) { t.Subject = "eve" }},
		{name: "of the same subject of another issuer", reason: "not about the requesting party", edit: func(w *world, _ *question, _ *uma.TrustedToken) {
			delete(w.View.Linked, umatest.Linked{Issuer: council, Subject: "bob"})
		}},
		{name: "of an identity that is linked to somebody else", reason: "not about the requesting party", edit: func(w *world, _ *question, _ *uma.TrustedToken) {
			w.View.Linked[umatest.Linked{Issuer: council, Subject: "bob"}] = "u-alice"
		}},
		{name: "for a client that asks for itself", reason: "not about the requesting party", edit: func(w *world, q *question, _ *uma.TrustedToken) {
			q.party = &party.Identity{Subject: w.Web.UUID, Client: w.Web}
		}},
		{name: "of the party's own identity", edit: func(w *world, q *question, t *uma.TrustedToken) {
			w.View.Linked = nil
			q.party.User = &uma.User{ID: "u-1", Identity: &uma.Identity{Issuer: council, Subject: "dana"}}
			q.party.Subject, t.Subject = "u-1", "dana"
		}},
		{name: "of the party's subject of another issuer", reason: "not about the requesting party", edit: func(w *world, q *question, t *uma.TrustedToken) {
			w.View.Linked = nil
			q.party.User = &uma.User{ID: "u-1", Identity: &uma.Identity{Issuer: employer, Subject: "dana"}}
			q.party.Subject, t.Subject = "u-1", "dana"
		}},

		{name: "of the party's address", edit: byEmail(nil)},
		{name: "of its address in other case, in the realm file", edit: byEmail(func(q *question, _ *uma.TrustedToken) {
			q.party.User.Claims["email"] = "Bob@Example.com"
		})},
		{name: "of its address, proved by a token", edit: byEmail(func(q *question, _ *uma.TrustedToken) {
			q.party.Trusted = &uma.TrustedToken{Issuer: &uma.TrustedIssuer{Issuer: employer}, Subject: "b", Email: "bob@example.com", EmailVerified: true}
		})},
		{name: "of its address, by an issuer that does not bind by it", reason: "not about the requesting party", edit: byEmail(func(_ *question, t *uma.TrustedToken) { t.Issuer.Bind = uma.BindSubject })},
		{name: "of another address", reason: "not about the requesting party", edit: byEmail(func(_ *question, t *uma.TrustedToken) { t.Email = "eve@example.com" })},
		{name: "of an address that it does not prove", reason: "not about the requesting party", edit: byEmail(func(_ *question, t *uma.TrustedToken) { t.EmailVerified = false })},
		{name: "of an address that the party's token does not prove", reason: "not about the requesting party", edit: byEmail(func(q *question, _ *uma.TrustedToken) {
			q.party.Trusted = &uma.TrustedToken{Issuer: &uma.TrustedIssuer{Issuer: employer}, Subject: "b", Email: "bob@example.com"}
		})},
		{name: "of an address of the party's row", reason: "not about the requesting party", edit: byEmail(func(q *question, _ *uma.TrustedToken) {
			q.party.User.Identity = &uma.Identity{Issuer: employer, Subject: "b"}
		})},
		{name: "of an address that the realm file does not vouch for", reason: "not about the requesting party", edit: byEmail(func(q *question, _ *uma.TrustedToken) {
			q.party.User.Claims["email_verified"] = false
		})},
		{name: "of no address", reason: "not about the requesting party", edit: byEmail(func(q *question, t *uma.TrustedToken) {
			q.party.User.Claims, t.Email = nil, ""
		})},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t).trusting()
			raw := w.signed(council, nil)
			q := w.bobAsks(raw, tc.format)
			if tc.edit != nil {
				tc.edit(w, q, w.Trust.Tokens[raw])
			}
			got := w.claims(q)
			if len(got.tokens) != 1 {
				t.Fatalf("got %+v, want one token", got.tokens)
			}
			seen, counts := got.tokens[0], tc.reason == ""
			if seen.Reason != tc.reason || seen.Verified != counts || seen.Bound != counts || got.refused == counts {
				t.Errorf("got %+v, refused %t; want the reason %q", seen, got.refused, tc.reason)
			}
			if w.Trust.Err == nil || tc.reason == "the signature is not valid" {
				if seen.Issuer != council {
					t.Errorf("got issuer %q", seen.Issuer)
				}
			}
			want := map[string]any{"license": "L-bob"}
			if !counts {
				want = nil
			}
			if !reflect.DeepEqual(got.verified, want) || !reflect.DeepEqual(seen.Claims, want) {
				t.Errorf("got %v and %v, want %v", got.verified, seen.Claims, want)
			}
		})
	}
}

// byEmail makes the council bind by e-mail alone, and bob have the address that its token
// proves.
func byEmail(change func(*question, *uma.TrustedToken)) func(*world, *question, *uma.TrustedToken) {
	return func(w *world, q *question, t *uma.TrustedToken) {
		w.View.Linked = nil
		t.Issuer.Bind, t.Email, t.EmailVerified = uma.BindEmail, "bob@example.com", true
		user := *q.party.User
		user.Claims = map[string]any{"email": "bob@example.com"}
		if q.party.User = &user; change != nil {
			change(q, t)
		}
	}
}

// An unsigned value counts as pushed claims in the format of JWTs alone.
func TestUnsignedClaimToken(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"", uma.FormatIDToken, uma.FormatAccessToken} {
		w := newWorld(t).trusting()
		q := w.bobAsks("eyJsaWNlbnNlIjpbIkwiXX0", format) // {"license":["L"]}
		q.tokens = w.service.verifyAhead(t.Context(), q)
		if _, err := w.service.readClaims(t.Context(), w.View, q); said(err) != "invalid_request: claim_token_unsigned" {
			t.Errorf("%s: got %v", format, err)
		}
	}
}

// An ID token of an issuer that is trusted for subjects and for claims says who asks. One of an
// issuer that is trusted for claims alone, or an access token, does not.
func TestIdentifyByIssuer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		issuer string
		change func(*uma.TrustedToken)
		want   uma.Reason
	}{
		"an ID token":                {issuer: employer},
		"trusted for claims alone":   {issuer: council, want: uma.UnusableIdentity},
		"an access token":            {issuer: employer, change: func(t *uma.TrustedToken) { t.Kind = uma.AccessToken }, want: uma.UnusableIdentity},
		"for another client":         {issuer: employer, change: func(t *uma.TrustedToken) { t.Audience = []string{"web-guid"} }, want: uma.UnusableIdentity},
		"trusted for subjects alone": {issuer: employer, change: func(t *uma.TrustedToken) { t.Issuer.Accept = []uma.TokenUse{uma.UseSubjectToken} }, want: uma.UnusableIdentity},
		"of a local user":            {issuer: employer, change: func(t *uma.TrustedToken) { t.Subject = "bob" }, want: uma.UnusableIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t).trusting()
			raw := w.signed(c.issuer, func(t *uma.TrustedToken) {
				t.Subject, t.Username, t.Audience, t.ClientID = "dana", "dana", []string{"app-guid"}, "app-guid"
				t.Claims = map[string]any{"limit": "5"}
				if c.change != nil {
					c.change(t)
				}
			})
			var in *uma.Input
			w.Answer = func(asked *uma.Input) (*uma.Evaluation, error) {
				in = asked
				return &uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}}}, nil
			}
			before := maps.Clone(w.View.Users)
			_, err := w.asApp(&Request{Audience: "photoz-api", Permissions: asked("r-board"), ClaimToken: raw})
			if got := umatest.Reason(err); got != c.want || c.want != "" && len(w.View.Users) != len(before) {
				t.Fatalf("got %v, want %q; users %v", err, c.want, w.View.Users)
			}
			if c.want != "" {
				return
			}
			if in.Subject.Issuer != employer || in.Subject.ExternalID != "dana" || in.Subject.Type != "user" || !reflect.DeepEqual(in.Claims.Verified, map[string]any{"limit": "5"}) {
				t.Errorf("got %+v, %+v", in.Subject, in.Claims)
			}
		})
	}
}
