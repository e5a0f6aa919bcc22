package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// deep is a value of so many values in one another.
func deep(n int) any {
	if n == 0 {
		return "x"
	}
	return []any{deep(n - 1)}
}

// TestClaimsOfAnySize: whatever claims a trusted issuer signs, no answer is a failure of the
// server: the token is believed, or refused.
func TestClaimsOfAnySize(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	m := i.Realm["map"].(map[string]any)
	m["groups"] = map[string]any{"from": "groups", "prefix": "/example", "optional": true}
	i.Realm["claims"] = []string{"license"}
	e := start(t, exchanging(t, i))
	many := func(n int, format string) (list []string) {
		for k := range n {
			list = append(list, fmt.Sprintf(format, k))
		}
		return list
	}
	now := e.Clock.Now().Unix()
	for name, change := range map[string]claims{
		"many groups":            {"groups": many(2000, "g%d")},
		"more groups":            {"groups": many(5000, "g%d")},
		"many roles":             {"realm_access": claims{"roles": many(2000, "r%d")}},
		"equal groups":           {"groups": many(2000, "g")},
		"an empty group":         {"groups": []string{""}},
		"a group of slashes":     {"groups": []string{"//../admin"}},
		"groups that are none":   {"groups": claims{"a": 1}},
		"groups that are a text": {"groups": "staff"},
		"a deep attribute":       {"department": deep(30)},
		"a deeper attribute":     {"department": deep(33)},
		"a large attribute":      {"department": strings.Repeat("x", 30000)},
		"a large number":         {"department": json.Number("1e308")},
		"a larger number":        {"department": json.Number("1e309")},
		"a long number":          {"department": json.Number(strings.Repeat("9", 60))},
		"a tiny number":          {"department": json.Number("1e-300")},
		"a large claim":          {"license": strings.Repeat("x", 30000)},
		"a deep claim":           {"license": deep(30)},
		"a claim of numbers":     {"license": []any{json.Number("1e308"), json.Number("0.1e-300"), nil, true}},
		"a nul":                  {"license": "a\x00b", "department": "a\x00b"},
		"a nul in an acr":        {"acr": "a\x00b"},
		"a direction":            {"preferred_username": "a\u202eb"},
		"a long username":        {"preferred_username": strings.Repeat("x", 255)},
		"a longer username":      {"preferred_username": strings.Repeat("x", 256)},
		"a username of an emoji": {"preferred_username": strings.Repeat("😀", 60)},
		"a long subject":         {"sub": strings.Repeat("x", 255)},
		"a subject of a slash":   {"sub": "../../x", "preferred_username": nil},
		"an empty username":      {"preferred_username": ""},
		"the last second":        {"exp": 253402300799, "iat": 0, "auth_time": 253402300799},
		"no auth_time":           {"auth_time": -1},
		"a fraction":             {"exp": json.Number(fmt.Sprint(now+60) + ".999999999")},
		"a long address":         {"email": strings.Repeat("x", 240) + "@example.com", "email_verified": true},
		"no address":             {"email": "@", "email_verified": true},
		"an address of a list":   {"email": []string{"a@example.com"}, "email_verified": true},
		"a quoted address":       {"email": `"a@b"@example.com`, "email_verified": true},
		"an address of quotes":   {"email": `'or"1"=1--@example.com`, "email_verified": true},
		"a list of clients":      {"azp": []string{"app-guid"}},
		"an audience of numbers": {"aud": []any{1}},
		"many audiences":         {"aud": append(many(2000, "a%d"), "umpire")},
		"a jti that is a number": {"jti": 1},
		"claims elsewhere":       {"_claim_names": claims{"groups": "src1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sub := "u-" + strings.ReplaceAll(name, " ", "-")
			token := i.token(t, e, sub, asUser.with(claims{"preferred_username": sub}).with(change))
			for what, res := range map[string]*response{
				"bearer":        e.uma(t, bearer(token), "permission", "Public board#view"),
				"account":       e.get(t, "/account/resources", bearer(token)),
				"exchange":      e.exchange(t, "photoz-app", token),
				"subject_token": e.uma(t, basic("photoz-app"), "permission", "Public board#view", "subject_token", token),
				"claim_token":   e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Public board#view", "claim_token", token, "claim_token_format", claimsJWT),
				"own claims":    e.uma(t, bearer(token), "permission", "Public board#view", "claim_token", token, "claim_token_format", claimsJWT),
				"PAT":           e.get(t, resourceSet, bearer(token)),
			} {
				if res.status >= 500 {
					t.Errorf("%s: got %s", what, res)
				}
			}
		})
	}
}

// TestPartiesOfRealms: one issuer's subject is another party in each realm that trusts the issuer.
// What one of them gets is nothing in another realm.
func TestPartiesOfRealms(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, exchanging(t, i), func(o *options) {
		o.More = []string{
			strings.Replace(o.Realm, "realm: photoz", "realm: other", 1),
			strings.Replace(photozRealm(t), "realm: photoz", "realm: closed", 1),
		}
	})
	other, closed := e.in("other"), e.in("closed")
	foreign := i.token(t, e, "u1", asUser)
	rpt := e.uma(t, bearer(foreign), "permission", "Public board#view").str("access_token")
	exchanged := e.exchange(t, "photoz-app", foreign).str("access_token")
	theirs := other.uma(t, bearer(foreign), "permission", "Public board#view").str("access_token")
	if a, b := payload(t, rpt)["sub"], payload(t, theirs)["sub"]; a == b {
		t.Errorf("got the party %v in both realms", a)
	}
	for name, res := range map[string]*response{
		"a bearer where its issuer is not trusted":   closed.uma(t, bearer(foreign), "permission", "Public board#view"),
		"the account API there":                      closed.get(t, "/account/resources", bearer(foreign)),
		"an exchanged token in another realm":        other.uma(t, bearer(exchanged), "permission", "Public board#view"),
		"an exchanged token at its account API":      other.get(t, "/account/resources", bearer(exchanged)),
		"an exchanged token where nobody is trusted": closed.get(t, "/account/resources", bearer(exchanged)),
	} {
		if res.status != 401 {
			t.Errorf("%s: got %s, want 401", name, res)
		}
	}
	for name, in := range map[string]*env{"of another realm": other, "of a realm that does not trust": closed} {
		for _, token := range []string{rpt, exchanged, foreign} {
			if res := in.post(t, introspect, basic("photoz-api"), "token", token); res.object()["active"] != false {
				t.Errorf("introspection %s: got %s", name, res)
			}
		}
	}
	if res := closed.exchange(t, "photoz-app", foreign); res.object()["access_token"] != nil {
		t.Errorf("token exchange where the issuer is not trusted: got %s", res)
	}
	if _, err := closed.user(t, "example/dana"); err == nil {
		t.Error("a realm that does not trust the issuer has a party of it")
	}
}

// TestExchangedApplication: the token that an application gets for its own is that of a service,
// also if a resource server named its subject as an owner, as if it were a person.
func TestExchangedApplication(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, exchanging(t, i))
	if res := ownedBy(t, e, "Of an application", map[string]any{"iss": i.URL, "sub": "app-guid"}); res.status != 201 {
		t.Fatalf("got %s", res)
	}
	token := e.exchange(t, "photoz-app", i.token(t, e, "app-guid", asUser)).str("access_token")
	_, event := onlyRecord(t, e.stored(t), func() { e.uma(t, bearer(token), "permission", "Public board#view") })
	if typ := at(event, "input", "subject", "type"); typ != "service" {
		t.Errorf("got the type %v, want service", typ)
	}
	if res := e.get(t, "/account/resources", bearer(token)); res.status != 403 {
		t.Errorf("the account API: got %s, want 403", res)
	}
}

// TestTokensOfIssuersStayOut: no token of an issuer, or made of one, and no assertion gets into a
// record, a log line, an answer that refuses it, the metrics or the database.
func TestTokensOfIssuersStayOut(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	i.Realm["claims"] = []string{"license"}
	keys := newSigner(t, "ES256", "k")
	e := start(t, photozTrusting(t, []*issuer{i}, nil, "{id: photoz-app, secret: app-secret,",
		"{id: keyed, token_exchange: true, service_account: true, jwks: "+jwks(t, keys)+"}\n  - {id: photoz-app, secret: app-secret, token_exchange: true,"))
	k := &keeper{e: e, secrets: map[string]string{}}
	good := i.token(t, e, "u1", asUser)
	tokens := map[string]string{
		"a bearer": good, "an expired one": i.token(t, e, "u1", claims{"exp": 1}), "for others": i.token(t, e, "u1", claims{"aud": "x"}),
		"through others": i.token(t, e, "u1", claims{"azp": "x"}), "an ID token": i.idToken(t, e, "u1", claims{"license": "md"}),
		"of another": i.idToken(t, e, "u2", claims{"license": "md"}), "of nobody": newIssuer(t, "unknown").token(t, e, "u1", nil),
		"forged": good[:strings.LastIndex(good, ".")+1] + strings.Repeat("c2lnbmVk", 10) + "c2lnbg",
		"opaque": "0pAqUe-t0ken-of-an-issuer",
	}
	assertion := keys.sign(t, e.assertion("keyed"))
	k.note(t, "an assertion", assertion)
	for name, token := range tokens {
		k.note(t, name, token)
		k.post(t, tokenPath, bearer(token), "grant_type", umaGrant, "audience", "photoz-api", "permission", "Public board#view")
		k.post(t, tokenPath, basic("photoz-app"), "grant_type", umaGrant, "audience", "photoz-api", "permission", "Public board#view", "subject_token", token)
		k.post(t, tokenPath, basic("photoz-app"), "grant_type", exchangeGrant, "subject_token", token, "subject_token_type", accessTokenType)
		k.post(t, tokenPath, basic("photoz-app"), "grant_type", exchangeGrant, "subject_token", token, "subject_token_type", token)
		k.post(t, tokenPath, bearer(good), "grant_type", umaGrant, "audience", "photoz-api", "permission", "Public board#view", "claim_token", token, "claim_token_format", claimsJWT)
		k.post(t, tokenPath, bearer(good), "grant_type", umaGrant, "audience", "photoz-api", "permission", "Public board#view", "rpt", token)
		k.post(t, tokenPath, credentials{}, by(token, "grant_type", "client_credentials")...)
		k.post(t, introspect, basic("photoz-api"), "token", token)
		for _, path := range []string{"/account/resources", resourceSet, "/protocol/openid-connect/userinfo"} {
			k.told = append(k.told, e.get(t, path, bearer(token)))
		}
	}
	for range 2 { // the second time it is spent
		k.post(t, tokenPath, credentials{}, by(assertion, "grant_type", "client_credentials")...)
	}
	records := recordsAfter(t, e.stored(t), 0)
	for _, r := range records {
		k.expectNone(t, "decision record", r.Event)
	}
	for _, res := range k.told {
		k.expectNone(t, "an answer", res.raw)
	}
	within1s(t, "the decision log", func() bool {
		return len(records) > 0 && bytes.Count(readFile(t, filepath.Join(e.Data, "decisions.log")), []byte("\n")) >= len(records)
	})
	k.expectNone(t, "the metrics", e.admin(t, "/metrics").raw)
	for name, content := range e.written(t) {
		k.expectNone(t, name, content)
	}
	if len(k.told) < 40 || len(k.secrets) < 25 {
		t.Errorf("there are only %d refusals and %d secrets", len(k.told), len(k.secrets))
	}
}
