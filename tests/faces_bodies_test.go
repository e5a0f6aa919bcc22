package tests

import (
	"net/url"
	"strings"
	"testing"
)

// faceBodies are what all faces refuse, or take, of how a request is written down.
var faceBodies = []faceCase{
	// keycloak-connect and nest-keycloak-connect authenticate so at introspection: it was 400.
	{"a client says the same credentials twice", func(t *testing.T, c *faceClient) {
		rpt := c.hold(t, "alice", c.register(t, "Introspected", "view"), "view")
		secret := secrets["photoz-api"]
		for _, tc := range []struct {
			name, basic, id, secret string
			status                  int
		}{
			{"the same", secret, "photoz-api", secret, 200},
			{"the same id alone", secret, "photoz-api", "", 200},
			{"the same secret alone", secret, "", secret, 200},
			{"another secret in the form", secret, "photoz-api", "x", 401},
			{"another secret in the header", "x", "photoz-api", secret, 401},
			{"no secret in the header", "", "photoz-api", secret, 401},
			{"another client in the form", secret, "photoz-app", secrets["photoz-app"], 401},
			{"another id alone", secret, "photoz-app", "", 401},
		} {
			p := form("token", rpt)
			for _, kv := range form("client_id", tc.id, "client_secret", tc.secret) {
				if kv[1] != "" {
					p = append(p, kv)
				}
			}
			req := c.newRequest(t, request{method: "POST", url: c.URL + c.at.introspect, form: p})
			req.SetBasicAuth("photoz-api", tc.basic)
			res := c.roundTrip(t, req)
			if active, _ := res.object()["active"].(bool); res.status != tc.status || active != (tc.status == 200) {
				t.Errorf("%s: got %s, want %d", tc.name, res, tc.status)
			}
			if tc.status == 401 && res.str("error") != "invalid_client" {
				t.Errorf("%s: got %s, want invalid_client", tc.name, res)
			}
		}
	}},
	{"A-35 a body of another type", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Typed", "view")
		ticket := c.askTicket(t, album, "view")
		r := c.face.grant(ticket, "")
		r.url, r.as = c.URL+c.at.token, c.as(t, "alice", "photoz-web")
		for kind, sent := range map[string]request{
			"register":       {method: "POST", url: c.URL + c.at.resources, as: c.pat(t, c.env), json: c.resource("Typed otherwise", []string{"view"})},
			"replace":        {method: "PUT", url: c.URL + c.at.resources + "/" + album, as: c.pat(t, c.env), json: c.resource("Typed", []string{"print"})},
			"ask for ticket": {method: "POST", url: c.URL + c.at.permission, as: c.pat(t, c.env), json: c.permission(album, []string{"view"})},
			"present ticket": r,
			"introspect":     {method: "POST", url: c.URL + c.at.introspect, as: basic("photoz-api"), form: form("token", "x")},
		} {
			right := c.newRequest(t, sent).Header.Get("Content-Type")
			for _, wrong := range []string{"text/plain", "application/xml", "multipart/form-data; boundary=x", "x", right + "; charset=utf-16", right + "; charset=ibm037"} {
				sent.headers = map[string]string{"Content-Type": wrong}
				if res := c.do(t, sent); res.status != 415 {
					t.Errorf("%s as %s: got %s, want 415", kind, wrong, res)
				}
			}
			req := c.newRequest(t, sent)
			req.Header["Content-Type"] = []string{right, "text/plain"}
			if res := c.roundTrip(t, req); res.status != 400 {
				t.Errorf("%s with two types: got %s, want 400", kind, res)
			}
			req = c.newRequest(t, sent)
			delete(req.Header, "Content-Type")
			if res := c.roundTrip(t, req); res.status != 415 {
				t.Errorf("%s without a type: got %s, want 415", kind, res)
			}
		}
		if res := c.present(t, "alice", ticket); res.status != c.granted {
			t.Errorf("the ticket afterwards: got %s, want %d", res, c.granted)
		}
	}},
	// Apache HttpClient's ContentType.APPLICATION_FORM_URLENCODED says ISO-8859-1.
	{"a body of ASCII in a charset that holds ASCII", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Plain", "view")
		for _, charset := range []string{"ISO-8859-1", "us-ascii"} {
			sent := request{method: "POST", url: c.URL + c.at.permission, as: c.pat(t, c.env), json: c.permission(album, []string{"view"})}
			sent.headers = map[string]string{"Content-Type": "application/json; charset=" + charset}
			res := c.do(t, sent)
			ask := c.face.grant(res.str("ticket"), "")
			ask.url, ask.as = c.URL+c.at.token, c.as(t, "alice", "photoz-web")
			ask.headers = map[string]string{"Content-Type": c.newRequest(t, ask).Header.Get("Content-Type") + "; charset=" + charset}
			if got := c.do(t, ask); got.status != c.granted {
				t.Errorf("%s: got %s for a ticket, then %s, want %d", charset, res, got, c.granted)
			}
		}
	}},
	// Spring Security refuses every token whose header says at+jwt.
	{"the header of an RPT says JWT, and at+jwt where the profile is UMA 2.0", func(t *testing.T, c *faceClient) {
		rpt := c.hold(t, "alice", c.register(t, "Headed", "view"), "view")
		head, _, _ := strings.Cut(rpt, ".")
		want := "JWT"
		if c.profile == "uma2" {
			want = "at+jwt"
		}
		if got := payload(t, "."+head+".")["typ"]; got != want {
			t.Errorf("got typ %v, want %s", got, want)
		}
	}},
	{"reading and removing need no type", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Read", "view")
		for _, kind := range []string{"application/json", "text/plain"} {
			r := request{method: "GET", url: c.URL + c.at.resources + "/" + url.PathEscape(album), as: c.pat(t, c.env), headers: map[string]string{"Content-Type": kind}}
			if res := c.do(t, r); res.status != 200 {
				t.Errorf("GET with %s: got %s, want 200", kind, res)
			}
		}
		r := request{method: "DELETE", url: c.URL + c.at.resources + "/" + url.PathEscape(album), as: c.pat(t, c.env), headers: map[string]string{"Content-Type": "application/json"}}
		if res := c.do(t, r); res.status != 204 {
			t.Errorf("DELETE with application/json: got %s, want 204", res)
		}
	}},
}
