package grant

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// Keycloak's clients push claims in each of the four variants of base64.
func TestDecodePushedTakesAnyBase64(t *testing.T) {
	t.Parallel()
	// "???>>>" has both letters in which the alphabets differ; the lengths make
	// for none, one and two characters of padding.
	for _, value := range []string{"???>>>", "???>>>x", "???>>>xy"} {
		raw, err := json.Marshal(map[string][]string{"c": {value}})
		if err != nil {
			t.Fatal(err)
		}
		raw = []byte(strings.NewReplacer(`\u003e`, ">", `\u003c`, "<").Replace(string(raw)))
		for name, enc := range map[string]*base64.Encoding{
			"standard": base64.StdEncoding, "standard without padding": base64.RawStdEncoding,
			"url": base64.URLEncoding, "url without padding": base64.RawURLEncoding,
		} {
			got, err := decodePushed(enc.EncodeToString(raw))
			if want := map[string][]string{"c": {value}}; err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s of %s: got %v, %v", name, raw, got, err)
			}
		}
	}
}

func TestDecodePushed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		json string
		want map[string][]string // nil: refused
	}{
		{`{"amount":["50"]}`, map[string][]string{"amount": {"50"}}},
		{`{"a":["1","2"],"b":["3"]}`, map[string][]string{"a": {"1", "2"}, "b": {"3"}}},
		{`{}`, map[string][]string{}},
		{`{"a":[]}`, map[string][]string{"a": {}}},
		{` { "a" : [ "" ] } `, map[string][]string{"a": {""}}},
		{`{"a":"1"}`, nil},
		{`{"a":1}`, nil},
		{`{"a":[1]}`, nil},
		{`{"a":[true]}`, nil},
		{`{"a":[["1"]]}`, nil},
		{`{"a":{"b":["1"]}}`, nil},
		{`{"a":null}`, nil},
		{`{"a":[null]}`, nil},
		{`{"a":["1",null]}`, nil},
		{`null`, nil},
		{`[]`, nil},
		{`["a"]`, nil},
		{`"a"`, nil},
		{`1`, nil},
		{``, nil},
		{`{"a":["1"]`, nil},
		{`{"a":["1"]} {"a":["2"]}`, nil},
		{"\x00\xff", nil},
		// What two readers read differently.
		{`{"amount":["5"],"amount":["5000"]}`, nil},
		{`{"amount":["5"],"am\u006funt":["5000"]}`, nil},
		{`{"a":["1"],"b":{"c":["1"],"c":["2"]}}`, nil},
		{`{"a":["\ud800"]}`, nil},
		{`{"\udfff":["1"]}`, nil},
		{`{"a":["x\u0000"]}`, nil},
		{`{"a\u0000":["x"]}`, nil},
		{"{\"a\":[\"\xff\"]}", nil},
		{"\ufeff{}", nil},
		{`{"a":["\ud83d\ude00"]}`, map[string][]string{"a": {"\U0001F600"}}},
	}
	for _, tc := range tests {
		got, err := decodePushed(base64.RawURLEncoding.EncodeToString([]byte(tc.json)))
		if tc.want == nil {
			if err == nil || got != nil {
				t.Errorf("%s: got %v, %v, want an error", tc.json, got, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %v, %v, want %v", tc.json, got, err, tc.want)
		}
	}
	for _, token := range []string{"%%%", "e30=e30", "e3 0", "\x00", "é", "e"} {
		if got, err := decodePushed(token); err == nil {
			t.Errorf("%q: got %v, want an error", token, got)
		}
	}
}

// Whatever is pushed ends in lists of strings or in an error that does not quote it.
func FuzzDecodePushed(f *testing.F) {
	for _, seed := range []string{
		"eyJhbW91bnQiOiBbIjUwIl19", "e30", "e30=", "bnVsbA", "eyJhIjpbbnVsbF19", "eyJhIjpudWxsfQ==", "%%%", "W10", "", "-_+/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := decodePushed(token)
		if err != nil {
			if got != nil {
				t.Errorf("got %v beside %v", got, err)
			}
			if len(token) > 16 && strings.Contains(err.Error(), token) {
				t.Errorf("the error quotes the token: %v", err)
			}
			return
		}
		if got == nil {
			t.Fatal("got neither claims nor an error")
		}
		for name, values := range got {
			if values == nil {
				t.Errorf("claim %q is no list", name)
			}
		}
		raw, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodePushed(base64.StdEncoding.EncodeToString(raw))
		if err != nil || !maps.EqualFunc(got, again, slices.Equal) {
			t.Errorf("got %v, %v the second time, want %v", again, err, got)
		}
	})
}

func TestIsCompactJWS(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]bool{
		"a.b.c": true, "eyJhbGciOiJFUzI1NiJ9.e30.c2ln": true, "..": true,
		"": false, "e30": false, "e30=": false, "a.b": false, "a.b.c.d": false, "a.b.c.d.e": false, "-_+/": false,
	} {
		if got := isCompactJWS(token); got != want {
			t.Errorf("%q: got %t, want %t", token, got, want)
		}
	}
}

// The names are those of the specifications, not of our constants.
func TestClaimFormat(t *testing.T) {
	t.Parallel()
	const (
		id    = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken"
		https = "https://openid.net/specs/openid-connect-core-1_0.html#IDToken"
		jwt   = "urn:ietf:params:oauth:token-type:jwt"
	)
	tests := []struct {
		token, format string
		want, refused string
	}{
		{token: "", format: "", want: ""},
		{token: "", format: jwt, want: ""}, // a format of nothing is nothing
		{token: "", format: "urn:other", want: ""},
		{token: "x", format: "", want: id},
		{token: "x", format: id, want: id},
		{token: "x", format: https, want: id},
		{token: "x", format: jwt, want: jwt},
		{token: "x", format: "urn:other", want: "urn:other", refused: "invalid_request: claim_format_unknown urn:other"},
		{token: "x", format: strings.ToUpper(jwt), want: strings.ToUpper(jwt), refused: "invalid_request: claim_format_unknown URN:IETF:PARAMS:OAUTH:TOKEN-TYPE:JWT"},
	}
	for _, tc := range tests {
		r := &Request{ClaimToken: tc.token, ClaimTokenFormat: tc.format}
		if got := r.claimFormat(); got != tc.want {
			t.Errorf("%q, %q: got %q, want %q", tc.token, tc.format, got, tc.want)
		}
		var refused string
		if err := r.checkClaimFormat(); err != nil {
			refused = said(err)
		}
		if refused != tc.refused {
			t.Errorf("%q, %q: got %q, want %q", tc.token, tc.format, refused, tc.refused)
		}
	}
}

// The claims of a request: what the ticket says wins, kc.* is dropped from
// either, and nothing that is pushed is ever among the verified.
func TestReadClaims(t *testing.T) {
	t.Parallel()
	push := func(json string) string { return base64.StdEncoding.EncodeToString([]byte(json)) }
	const jwt, id = "urn:ietf:params:oauth:token-type:jwt", ""
	tests := []struct {
		name          string
		token, format string
		ticket        map[string][]string

		pushed   map[string][]string
		verified string // the subject of verified claims
		reason   string // why a claim token is not believed
		refused  uma.Reason
	}{
		{name: "nothing"},
		{name: "pushed", token: push(`{"amount":["50"]}`), format: jwt, pushed: map[string][]string{"amount": {"50"}}},
		{name: "of the ticket", ticket: map[string][]string{"amount": {"50"}}, pushed: map[string][]string{"amount": {"50"}}},
		{
			name: "the ticket's value wins", token: push(`{"amount":["5"],"why":["fun"]}`), format: jwt, ticket: map[string][]string{"amount": {"500"}},
			pushed: map[string][]string{"amount": {"500"}, "why": {"fun"}},
		},
		{
			name: "kc.* is dropped", token: push(`{"kc.identity":["x"],"kcx":["y"],"kc.":["z"]}`), format: jwt,
			ticket: map[string][]string{"kc.client.network": {"n"}, "a": {"b"}},
			pushed: map[string][]string{"kcx": {"y"}, "a": {"b"}},
		},
		{name: "not decodable", token: "%%%", format: jwt, refused: uma.InvalidRequest},
		{name: "no lists", token: push(`{"amount":"5"}`), format: jwt, refused: uma.InvalidRequest},
		{name: "an ID token", token: "id.of.bob", format: id, verified: "u-bob"},
		{name: "a signed token in the jwt format", token: "id.of.bob", format: jwt, verified: "u-bob"},
		{name: "a signed token is not pushed beside", token: "id.of.bob", format: jwt, ticket: map[string][]string{"sub": {"u-eve"}}, verified: "u-bob", pushed: map[string][]string{"sub": {"u-eve"}}},
		{name: "of another subject", token: "id.of.eve", format: id, refused: uma.UnusableClaims},
		{name: "of another client", token: "other.of.bob", format: id, reason: "issued to another client"},
		{name: "an RPT", token: "rpt.of.bob", format: jwt, reason: "not an identity token"},
		{name: "of another subject and expired", token: "old.of.eve", format: jwt, refused: uma.UnusableClaims},
		{name: "expired", token: "old.of.bob", format: id, reason: "expired"},
		{name: "expires at this very second", token: "now.of.bob", format: id, reason: "expired"},
		{name: "its session has ended", token: "ended.of.bob", format: id, reason: "not active"},
		{name: "not even a JWT", token: "garbage", format: id, refused: uma.InvalidRequest},
		{name: "does not verify", token: "forged.by.eve", format: jwt, reason: "does not verify"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			token := func(sub string, expires int64) *uma.Claims {
				return &uma.Claims{
					Issuer: "https://as.example/realms/photoz", Subject: sub, Type: uma.TypeID, Expires: w.Unix() + expires,
					ID: "j", AuthorizedParty: "photoz-web", SessionID: "s-bob",
				}
			}
			w.Tokens["id.of.bob"], w.Tokens["id.of.eve"] = token("u-bob", 60), token("u-eve", 60)
			w.Tokens["old.of.bob"], w.Tokens["old.of.eve"] = token("u-bob", -1), token("u-eve", -1)
			w.Tokens["other.of.bob"], w.Tokens["rpt.of.bob"] = token("u-bob", 60), token("u-bob", 60)
			w.Tokens["other.of.bob"].AuthorizedParty = "photoz-app"
			w.Tokens["rpt.of.bob"].Type, w.Tokens["rpt.of.bob"].Authorization = uma.TypeBearer, &uma.Authorization{}
			w.Tokens["now.of.bob"] = token("u-bob", 0)
			w.Tokens["ended.of.bob"] = token("u-bob", 60)
			w.Tokens["ended.of.bob"].SessionID = "s-unknown"
			q := &question{
				realm: w.Snap, now: w.Now, caller: &party.Caller{}, asker: asker{party: &party.Identity{Subject: "u-bob"}, client: w.Web},
				req: &Request{ClaimToken: tc.token, ClaimTokenFormat: tc.format},
			}
			if tc.ticket != nil {
				q.ticket = &uma.Ticket{Claims: tc.ticket}
			}
			q.tokens = w.service.verifyAhead(t.Context(), q)
			before := maps.Clone(tc.ticket)
			view, err := w.service.Store.View(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer view.Close()
			got, err := w.service.readClaims(t.Context(), view, q)
			if e := new(uma.Error); tc.refused != "" {
				if !errors.As(err, &e) || e.Reason != tc.refused {
					t.Fatalf("got %v, want %s", err, tc.refused)
				}
				if strings.Contains(e.Error(), tc.token) {
					t.Errorf("the refusal quotes the token: %v", e)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(got.pushed, tc.pushed, slices.Equal) {
				t.Errorf("pushed: got %v, want %v", got.pushed, tc.pushed)
			}
			if !maps.EqualFunc(tc.ticket, before, slices.Equal) {
				t.Errorf("the ticket's claims are %v now, want %v", tc.ticket, before)
			}
			var sub string
			if len(got.verified) > 0 {
				sub, _ = got.verified["sub"].(string)
			}
			if sub != tc.verified {
				t.Errorf("verified: got %v, want those of %q", got.verified, tc.verified)
			}
			var reason string
			for _, seen := range got.tokens {
				reason += seen.Reason
				if seen.Verified != (tc.verified != "") {
					t.Errorf("got verified %t in the list of tokens", seen.Verified)
				}
			}
			if reason != tc.reason {
				t.Errorf("reason: got %q, want %q", reason, tc.reason)
			}
		})
	}
}
