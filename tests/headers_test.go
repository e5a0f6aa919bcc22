package tests

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/umpire/server"
)

// behindProxy starts a server to which every test is a trusted proxy.
func behindProxy(o *options) { o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// TestForwardedForWithoutAddress: an unreadable X-Forwarded-For made the proxy's own
// address the client's, which rules about the inner network permit.
func TestForwardedForWithoutAddress(t *testing.T) {
	t.Parallel()
	const rule = `package uma.policies.mixed
grant contains "write" if net.cidr_contains("127.0.0.0/8", input.context.ip)
`
	e := start(t, photozWith(t, map[string]string{"mixed.rego": rule}), behindProxy)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	for forwarded, want := range map[string]any{
		"127.0.0.1":            "127.0.0.1",
		"127.0.0.1:4711":       "127.0.0.1",
		"203.0.113.9":          "203.0.113.9",
		"203.0.113.9:4711":     "203.0.113.9",
		"[2001:db8::1]:4711":   "2001:db8::1",
		"[2001:db8::1]":        "2001:db8::1",
		"unknown":              nil,
		"_hidden":              nil,
		"203.0.113.9, ":        nil,
		"203.0.113.9:":         nil,
		"unknown, 127.0.0.1":   nil,
		"203.0.113.9, [::1":    nil,
		"198.51.100.1, secret": nil,
	} {
		var res *response
		id := "forwarded-" + strings.Map(onlyLetters, forwarded)
		_, event := onlyRecord(t, db, func() {
			res = e.do(t, request{
				method: "POST", url: tokenPath, as: bob, form: form("grant_type", umaGrant, "permission", "Mixed#write", "audience", "photoz-api"),
				headers: map[string]string{"X-Forwarded-For": forwarded, "X-Request-Id": id},
			})
		})
		inner := want == "127.0.0.1"
		if granted := res.status == 200; granted != inner {
			t.Errorf("%q: got %s, want it granted: %v", forwarded, res, inner)
		}
		if got := at(event, "input", "context", "ip"); got != want {
			t.Errorf("%q: got context.ip %v, want %v", forwarded, got, want)
		}
		if lines := e.accessLog(t, id); len(lines) != 1 || lines[0]["ip"] != want {
			t.Errorf("%q: got %v in the log, want the ip %v", forwarded, lines, want)
		}
	}
}

func onlyLetters(r rune) rune {
	if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
		return r
	}
	return '.'
}

// TestUnknownAddressesShareALimit: an unreadable address does not evade the limit on
// guesses.
func TestUnknownAddressesShareALimit(t *testing.T) {
	t.Parallel()
	e := start(t, behindProxy, func(o *options) { o.Limits = server.Limits{FailedTickets: 2} })
	guess := func(forwarded string) int {
		return e.do(t, request{
			method: "POST", url: tokenPath, as: basic("photoz-app"), form: form("grant_type", umaGrant, "ticket", "guess"),
			headers: map[string]string{"X-Forwarded-For": forwarded},
		}).status
	}
	for _, forwarded := range []string{"unknown", "_a"} {
		if got := guess(forwarded); got != 403 {
			t.Fatalf("%s: got %d, want 403", forwarded, got)
		}
	}
	if got := guess("_b"); got != 429 {
		t.Errorf("a third guess without an address: got %d, want 429", got)
	}
	if got := guess("203.0.113.9"); got != 403 {
		t.Errorf("a guess from somewhere else: got %d, want 403", got)
	}
}

// TestPushedClaimsAreReadStrictly: what a client pushes in a token was read by
// encoding/json, which takes the last of two and U+FFFD for what is no text; as
// claims of a ticket it was refused.
func TestPushedClaimsAreReadStrictly(t *testing.T) {
	t.Parallel()
	e := start(t)
	for _, claims := range []string{
		`{"amount":["5000"],"amount":["5"]}`, `{"amount":["5"],"a\u006dount":["5"]}`, `{"amount":["5"],"a":["\ud800"]}`,
		`{"amount":["5"],"a":["x\u0000"]}`, "{\"amount\":[\"5\"],\"a\":[\"\xff\"]}", `{"amount":["5"],"a":{"b":["1"],"b":["2"]}}`,
	} {
		push := func(kv ...string) *response {
			t.Helper()
			return e.uma(t, basic("photoz-app"), append(kv, "subject_token", e.token(t, "bob", "photoz-app"), "claim_token_format", claimsJWT,
				"claim_token", base64.StdEncoding.EncodeToString([]byte(claims)))...)
		}
		push("permission", "Account#withdraw").expect(t, 400, "invalid_request", "Invalid claims")
		push("permission", "Account#withdraw", "response_mode", "decision").expect(t, 400, "invalid_request", "Invalid claims")
		push("ticket", e.ticket(t, perm{Resource: "Account", Scopes: []string{"withdraw"}})).expect(t, 400, "invalid_request", "Invalid claims")

		body := `[{"resource_id":"Account","resource_scopes":["withdraw"],"claims":` + claims + `}]`
		res := e.do(t, request{method: "POST", url: permission, as: e.service(t, "photoz-api"), body: body, headers: map[string]string{"Content-Type": "application/json"}})
		if res.status != 400 {
			t.Errorf("%q in a ticket: got %s, want 400", claims, res)
		}
	}
}

// TestUserAgentIsCut: a User-Agent went whole into every decision record.
func TestUserAgentIsCut(t *testing.T) {
	t.Parallel()
	e := start(t)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	for sent, want := range map[string]string{
		"curl/8":                       "curl/8",
		strings.Repeat("x", 256):       strings.Repeat("x", 256),
		strings.Repeat("x", 50_000):    strings.Repeat("x", 256),
		"x" + strings.Repeat("é", 200): "x" + strings.Repeat("é", 127),
	} {
		_, event := onlyRecord(t, db, func() {
			e.do(t, request{
				method: "POST", url: tokenPath, as: bob, form: form("grant_type", umaGrant, "permission", "Public board#view", "audience", "photoz-api"),
				headers: map[string]string{"User-Agent": sent},
			})
		})
		if got, _ := at(event, "input", "context", "user_agent").(string); got != want || !utf8.ValidString(got) {
			t.Errorf("sent %d bytes: got %d on record, want %d", len(sent), len(got), len(want))
		}
	}
}

// TestChunkedRequestsEndTheConnection: net/http takes a Content-Length beside
// chunks away unseen. A proxy that goes by the length would send what follows the
// last chunk as part of this body; here it was the next request.
func TestChunkedRequestsEndTheConnection(t *testing.T) {
	t.Parallel()
	e := start(t)
	host := strings.TrimPrefix(e.URL, "http://")
	const smuggled = "GET /realms/photoz HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, head := range map[string]string{
		"both":     "HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 300",
		"chunked":  "HTTP/1.1\r\nTransfer-Encoding: chunked",
		"HTTP/1.0": "HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /realms/photoz%s %s\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n0\r\n\r\n%s", tokenPath, head, host, smuggled)
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Count(string(all), "HTTP/1."); got != 1 || !strings.Contains(string(all), "Connection: close\r\n") {
			t.Errorf("%s: got %d answers, want one that ends the connection: %q", name, got, all)
		}
	}
}
