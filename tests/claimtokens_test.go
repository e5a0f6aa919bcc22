package tests

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// wantsLicense is a policy by which a board wants a license of the medical council's and a limit
// of the employer's.
const wantsLicense = `package uma.policies.board
grant contains "view" if {
	input.claims.verified.license
	input.claims.verified.limit == 5
}
need_info contains {"name": "license"} if not input.claims.verified.license
need_info contains {"name": "limit"} if {
	input.claims.verified.license
	not input.claims.verified.limit
}
`

// aCouncil is an issuer whose claim tokens say what license somebody has, whom it knows by
// e-mail, and an employer whose bearers it is about.
func aCouncil(t testing.TB) (council, employer *issuer) {
	t.Helper()
	council, employer = newIssuer(t, "council"), newIssuer(t, "employer")
	council.Realm["accept"], council.Realm["bind"], council.Realm["claims"] = []string{"claims"}, "email", []string{"license", "limit"}
	employer.Realm["claims"] = []string{"limit"}
	council.Realm["map"], employer.Realm["map"] = map[string]any{"email": "email"}, map[string]any{"email": "email"}
	return council, employer
}

// address are the claims of a token that proves an e-mail address.
func address(email string) claims { return claims{"email": email, "email_verified": true} }

// TestClaimTokenOfIssuer: a policy gets the claims that it wants one after the other, from the
// issuers that it is told of; the ticket remembers them. A license of somebody else counts for
// nothing.
func TestClaimTokenOfIssuer(t *testing.T) {
	t.Parallel()
	council, employer := aCouncil(t)
	e := start(t, photozTrusting(t, []*issuer{council, employer}, map[string]string{"board.rego": wantsLicense}))
	db := e.stored(t)
	doctor := bearer(employer.token(t, e, "d1", address("Doctor@Example.com")))
	nurse := bearer(employer.token(t, e, "n1", address("nurse@example.com")))
	license := council.idToken(t, e, "m-77", address("doctor@example.com").with(claims{"aud": "umpire", "license": "L-77"}))
	limit := employer.idToken(t, e, "d1", claims{"aud": "umpire", "limit": 5, "nickname": "not listed"})

	wanted := func(res *response, name string, by ...any) string {
		t.Helper()
		res.expect(t, 403, "need_info", "")
		want := fmt.Sprint([]any{map[string]any{"name": name, "claim_token_format": understood, "issuer": by}})
		if got := fmt.Sprint(asList(res.object()["required_claims"])); got != want {
			t.Errorf("got required_claims %s, want %s", got, want)
		}
		return res.str("ticket")
	}
	first := e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})
	second := wanted(e.uma(t, doctor, "ticket", first), "license", council.URL)
	third := wanted(e.uma(t, doctor, "ticket", second, "claim_token", license, "claim_token_format", claimsID), "limit", council.URL, employer.URL)
	_, event := onlyRecord(t, db, func() {
		e.uma(t, doctor, "ticket", third, "claim_token", limit, "claim_token_format", claimsJWT).expectGranted(t, "Public board: view")
	})
	if got := at(event, "input", "claims", "verified"); fmt.Sprint(got) != "map[license:L-77 limit:5]" {
		t.Errorf("got verified %v", got)
	}
	if got := at(event, "input", "subject"); at(got, "issuer") != employer.URL || at(got, "external_id") != "d1" || at(got, "groups_known") != false {
		t.Errorf("got subject %v", got)
	}
	if got := at(event, "custom", "sub_id"); fmt.Sprint(got) != fmt.Sprint(map[string]any{"format": "iss_sub", "iss": employer.URL, "sub": "d1"}) {
		t.Errorf("got sub_id %v", got)
	}

	// Nothing of the rounds before helps who does not have the ticket of them.
	for name, as := range map[string]credentials{"a nurse": nurse, "the doctor, later": doctor} {
		ticket := e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})
		e.uma(t, as, "ticket", ticket, "claim_token", limit, "claim_token_format", claimsJWT).expect(t, 403, "need_info", "")
		if name == "a nurse" {
			ticket = e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})
			_, event := onlyRecord(t, db, func() {
				wanted(e.uma(t, as, "ticket", ticket, "claim_token", license, "claim_token_format", claimsID), "license", council.URL)
			})
			seen := asList(at(event, "input", "claims", "tokens"))
			if len(seen) != 1 || at(seen[0], "bound") != false || at(seen[0], "verified") != false || at(seen[0], "claims") != nil ||
				at(seen[0], "reason") != "not about the requesting party" || at(seen[0], "issuer") != council.URL {
				t.Errorf("got %v on record", seen)
			}
			if got := at(event, "input", "claims", "verified"); fmt.Sprint(got) != "map[]" || strings.Contains(fmt.Sprint(event), "L-77") {
				t.Errorf("got verified %v in %v", got, event)
			}
		}
	}

	// A ticket that remembers a claim is nobody else's, and remembers it as long as its token is valid.
	second = wanted(e.uma(t, doctor, "ticket", e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})), "license", council.URL)
	short := council.idToken(t, e, "m-77", address("doctor@example.com").with(claims{"aud": "umpire", "license": "L-77", "exp": e.Clock.Now().Add(time.Minute).Unix()}))
	third = wanted(e.uma(t, doctor, "ticket", second, "claim_token", short, "claim_token_format", claimsID), "limit", council.URL, employer.URL)
	e.uma(t, nurse, "ticket", third, "claim_token", limit, "claim_token_format", claimsJWT).expect(t, 403, "invalid_ticket", "")
	e.Clock.Advance(61 * time.Second)
	wanted(e.uma(t, doctor, "ticket", third, "claim_token", limit, "claim_token_format", claimsJWT), "license", council.URL)
}

// TestClaimTokensDiffer: what two issuers say differently is verified for neither.
func TestClaimTokensDiffer(t *testing.T) {
	t.Parallel()
	council, employer := aCouncil(t)
	e := start(t, photozTrusting(t, []*issuer{council, employer}, map[string]string{"board.rego": wantsLicense}))
	db := e.stored(t)
	doctor := bearer(employer.token(t, e, "d1", address("doctor@example.com")))
	ticket := e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})
	next := e.uma(t, doctor, "ticket", ticket, "claim_token", employer.idToken(t, e, "d1", claims{"aud": "umpire", "limit": 5}), "claim_token_format", claimsID)
	next.expect(t, 403, "need_info", "")
	_, event := onlyRecord(t, db, func() {
		e.uma(t, doctor, "ticket", next.str("ticket"), "claim_token_format", claimsID,
			"claim_token", council.idToken(t, e, "m", address("doctor@example.com").with(claims{"aud": "umpire", "license": "L", "limit": 9}))).expect(t, 403, "need_info", "")
	})
	if got := at(event, "input", "claims", "verified"); fmt.Sprint(got) != "map[license:L]" {
		t.Errorf("got verified %v", got)
	}
	seen := asList(at(event, "input", "claims", "tokens"))
	const differ = "another issuer says otherwise: limit"
	if len(seen) != 2 || at(seen[0], "reason") != differ || at(seen[1], "reason") != differ {
		t.Errorf("got %v, want two tokens that differ about limit", seen)
	}
}

// TestAPIShowsItsOwnToken: a confidential client asks for the party of an ID token that was made
// for it, and shows claims that were issued to it; a token for another client is nothing to it.
func TestAPIShowsItsOwnToken(t *testing.T) {
	t.Parallel()
	council, employer := aCouncil(t)
	e := start(t, photozTrusting(t, []*issuer{council, employer}, map[string]string{"board.rego": wantsLicense}))
	app := basic("photoz-app")
	both := address("doctor@example.com").with(claims{"license": "L", "limit": 5})
	ask := func(subject, claim string) *response {
		return e.uma(t, app, "permission", "Public board#view", "subject_token", subject, "claim_token", claim, "claim_token_format", claimsID)
	}
	mine := employer.token(t, e, "d1", address("doctor@example.com"))
	ask(mine, council.idToken(t, e, "m", both)).expectGranted(t, "Public board: view")
	ask(mine, council.idToken(t, e, "m", both.with(claims{"aud": "web-guid"}))).expect(t, 403, "access_denied", "")
	ask(mine, council.idToken(t, e, "m", both.with(claims{"azp": "web-guid"}))).expect(t, 403, "access_denied", "")
	// An issuer that is trusted for claims alone signs nobody in.
	e.uma(t, app, "permission", "Public board#view", "claim_token", council.idToken(t, e, "m", both), "claim_token_format", claimsID).
		expect(t, 400, "unauthorized_client", "Invalid identity")
	if _, err := e.user(t, "council/m"); err == nil {
		t.Error("a claim token made a party of an issuer that is trusted for claims alone")
	}
	res := e.uma(t, app, "permission", "Mixed#read", "claim_token", employer.idToken(t, e, "d1", nil), "claim_token_format", claimsID)
	if user, err := e.user(t, "employer/d1"); res.status >= 500 || err != nil || user.Identity == nil {
		t.Errorf("an ID token of the employer's: got %s, party %v, %v", res, user, err)
	}
}

// TestStepUp: a policy asks for a better sign-in, and gets it as a claim token of the issuer that
// signed the party in.
func TestStepUp(t *testing.T) {
	t.Parallel()
	_, employer := aCouncil(t)
	employer.Realm["claims"] = []string{"acr"}
	e := start(t, photozTrusting(t, []*issuer{employer}, map[string]string{"board.rego": `package uma.policies.board
grant contains "view" if input.claims.verified.acr == "2"
need_info contains {"name": "acr"} if not input.claims.verified.acr == "2"
`}))
	dana := bearer(employer.token(t, e, "d1", nil))
	ticket := e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})
	for _, acr := range []any{nil, "1"} {
		res := e.uma(t, dana, "ticket", ticket, "claim_token", employer.idToken(t, e, "d1", claims{"aud": "umpire", "acr": acr}), "claim_token_format", claimsID)
		res.expect(t, 403, "need_info", "")
		if got := asObject(asList(res.object()["required_claims"])[0]); got["name"] != "acr" || fmt.Sprint(got["issuer"]) != fmt.Sprint([]any{employer.URL}) {
			t.Errorf("acr %v: got %v, want acr of the employer", acr, got)
		}
		ticket = res.str("ticket")
	}
	e.uma(t, dana, "ticket", ticket, "claim_token", employer.idToken(t, e, "d1", claims{"aud": "umpire", "acr": "2"}), "claim_token_format", claimsID).
		expectGranted(t, "Public board: view")
}

// TestAttackClaimTokens has the attacks on claim tokens over HTTP in a realm with
// the profile uma2: each is answered with need_info, a new ticket, the formats and the issuers,
// and its reason is on record.
func TestAttackClaimTokens(t *testing.T) {
	t.Parallel()
	council, employer := aCouncil(t)
	council.serve(t)
	e := strictly(t, func(o *options) {
		o.Realm = strings.Replace(o.Realm, "\nclients:\n", "\nissuers: ["+council.entry(t)+", "+employer.entry(t)+"]\nclients:\n", 1)
	})
	db, alice, bob := e.stored(t), e.patOf(t, "alice", "photoz-api"), e.token(t, "bob", "photoz-app")
	app := basic("photoz-app")
	open := e.register(t, alice, typed("open", "view"))
	now := e.Clock.Now().Unix()
	good := council.claimsOf(e, "m", address("bob@example.com"), claims{"aud": "app-guid", "nonce": "n", "license": "L"})
	with := func(change claims) string {
		c := maps.Clone(good)
		maps.Copy(c, change)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		return council.sign(t, "", c)
	}
	encode := func(header string) string { return base64.RawURLEncoding.EncodeToString([]byte(header)) }
	valid := with(nil)
	payloadOf := strings.Split(valid, ".")[1]
	header := func(members string) string {
		return signedJWT(t, council.keys["ES256"], "ES256", `{"alg":"ES256","kid":"ES256","typ":"JWT"`+members+`}`, decodedPart(t, valid))
	}
	tests := map[string]struct{ token, reason string }{
		"A-69 alg none":               {encode(`{"alg":"none"}`) + "." + payloadOf + ".", "signature"},
		"A-69 no signature":           {valid[:strings.LastIndex(valid, ".")+1], ""},
		"A-70 HS256":                  {encode(`{"alg":"HS256","kid":"ES256"}`) + "." + payloadOf + ".AAAA", "its alg is none"},
		"A-72 an unknown issuer":      {with(claims{"iss": "https://evil.example"}), "no trusted issuer"},
		"A-72 another trailing slash": {with(claims{"iss": council.URL + "/"}), "no trusted issuer"},
		"A-73 jku":                    {header(`,"jku":"https://evil.example/keys"`), ""},
		"A-73 jwk":                    {header(`,"jwk":{}`), ""},
		"A-74 an unknown crit":        {header(`,"crit":["x"],"x":1`), ""},
		"A-75 another audience":       {with(claims{"aud": "another"}), "neither"},
		"A-75 no audience":            {with(claims{"aud": nil}), ""},
		"A-75 of another client":      {with(claims{"aud": "umpire", "azp": "web-guid"}), "another client"},
		"A-76 expired":                {with(claims{"exp": now - 3600}), "expired"},
		"A-76 no exp":                 {with(claims{"exp": nil}), ""},
		"A-76 exp as text":            {with(claims{"exp": "9999999999"}), ""},
		"A-76 nbf in the future":      {with(claims{"nbf": now + 3600}), ""},
		"A-77 an access token as ID":  {with(claims{"aud": "umpire", "azp": "app-guid", "nonce": nil, "typ": "Bearer"}), "not an ID token"},
		"A-77 a logout token":         {with(claims{"events": claims{"http://schemas.openid.net/event/backchannel-logout": claims{}}}), ""},
		"A-81 of somebody else":       {with(address("carol@example.com")), "not about the requesting party"},
		"A-81 an unproved address":    {with(claims{"email_verified": false}), "not about the requesting party"},
		"A-81 the subject of another": {employer.idToken(t, e, "m", claims{"limit": 5}), "not about the requesting party"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var res *response
			ticket := e.strictTicket(t, alice, ask(open, "view"))
			_, event := onlyRecord(t, db, func() {
				res = e.uma(t, app, "subject_token", bob, "ticket", ticket, "claim_token", tc.token, "claim_token_format", claimsID)
			})
			res.expect(t, 403, "need_info", "")
			required := asList(res.object()["required_claims"])
			if next := res.str("ticket"); next == "" || next == ticket || len(required) != 1 {
				t.Fatalf("got %s, want a new ticket and what is required", res)
			}
			issuers := asList(asObject(required[0])["issuer"])
			if !slices.Contains(issuers, any(council.URL)) || !slices.Contains(issuers, any(employer.URL)) {
				t.Errorf("got issuers %v", issuers)
			}
			seen := asList(at(event, "input", "claims", "tokens"))
			reason, _ := at(seen[0], "reason").(string)
			if len(seen) != 1 || at(seen[0], "verified") != false || reason == "" || !strings.Contains(reason, tc.reason) || at(seen[0], "claims") != nil {
				t.Errorf("got %v on record, want the reason %q", seen, tc.reason)
			}
			if strings.Contains(fmt.Sprint(event), payloadOf) || strings.Contains(string(res.raw), payloadOf) {
				t.Error("the token is in the record or in the answer")
			}
			e.uma(t, app, "subject_token", bob, "ticket", ticket).expect(t, 400, "invalid_grant", "")
		})
	}
	try := func(subject, format string) *response {
		ticket := e.strictTicket(t, alice, ask(open, "view"))
		return e.uma(t, app, "subject_token", subject, "ticket", ticket, "claim_token", valid, "claim_token_format", format)
	}
	for range 2 {
		try(bob, claimsID).expectGranted(t, open+": view")
	}
	t.Run("A-78 an unknown format", func(t *testing.T) {
		res := try(bob, "urn:ietf:params:oauth:token-type:saml2")
		res.expect(t, 403, "need_info", "")
		if got := fmt.Sprint(res.object()["required_claims"]); res.str("ticket") == "" || !strings.Contains(got, claimsID) || !strings.Contains(got, claimsJWT) {
			t.Errorf("got %s, want a new ticket and the formats", res)
		}
	})
	t.Run("A-83 replayed for another party", func(t *testing.T) {
		var res *response
		_, event := onlyRecord(t, db, func() { res = try(e.token(t, "carol", "photoz-app"), claimsID) })
		res.expect(t, 403, "need_info", "")
		if got := at(asList(at(event, "input", "claims", "tokens"))[0], "bound"); got != false {
			t.Errorf("got bound %v", got)
		}
	})
}
