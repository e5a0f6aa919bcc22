package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// faceAttacks are those that every face can meet, by their numbers
// there. The faces' own are in their own files.
var faceAttacks = []faceCase{
	{"A-2 another client's replay ends the RPT", func(t *testing.T, c *faceClient) {
		for client, stays := range map[string]bool{"photoz-web": true, "photoz-app": false} {
			album := c.register(t, "Replayed by "+client, "view")
			ticket := c.askTicket(t, album, "view")
			rpt := c.rptOf(t, c.present(t, "alice", ticket))
			c.says(t, unusableTicket, c.presentAs(t, c.as(t, "alice", client), ticket, ""))
			if got := c.stands(t, rpt) != nil; got != stays {
				t.Errorf("replayed by %s: the RPT is active: %t, want %t", client, got, stays)
			}
		}
	}},
	{"A-18 a bad bearer token at the token endpoint", func(t *testing.T, c *faceClient) {
		ticket := c.askTicket(t, c.register(t, "Untouched", "view"), "view")
		for _, token := range []string{"garbage", forged(c.token(t, "alice", "photoz-web")), c.idToken(t, "alice", "photoz-web")} {
			res := c.presentAs(t, bearer(token), ticket, "")
			c.says(t, badBearer, res)
			if got := res.header.Get("WWW-Authenticate"); c.strict && got != `Bearer realm="photoz", error="invalid_token"` {
				t.Errorf("got WWW-Authenticate %q", got)
			}
		}
		c.rptOf(t, c.present(t, "alice", ticket)) // they spent nothing
	}},
	{"A-33 permission requests for nothing", func(t *testing.T, c *faceClient) {
		for _, body := range []any{[]any{}, "x", 1, true} {
			c.says(t, nothingAsked, c.call(t, "POST", c.at.permission, c.pat(t, c.env), body))
		}
	}},
	{"A-39 markup in a name is data", func(t *testing.T, c *faceClient) {
		const name = `<script>alert("x")</script>&amp;`
		album := c.register(t, name, "view")
		c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view")))
		c.share(t, album, "erin", "view")
		alice := c.as(t, "alice", "photoz-web")
		for _, res := range []*response{
			c.call(t, "GET", c.at.resources+"/"+album, c.pat(t, c.env), nil),
			c.get(t, "/account/resources/"+album, alice),
			c.get(t, "/account/resources", alice, "name", "<SCRIPT"),
			c.get(t, "/account/resources/shared-with-me", c.as(t, "erin", "photoz-web")),
		} {
			if res.status != 200 || !strings.Contains(fmt.Sprint(res.json), name) || strings.Contains(string(res.raw), "<") {
				t.Errorf("got %s, want the name, and no markup", res)
			}
			if res.header.Get("X-Content-Type-Options") != "nosniff" || res.header.Get("Content-Type") != "application/json" {
				t.Errorf("got %v, want JSON that no browser takes for anything else", res.header)
			}
		}
	}},
	{"A-41 a policy for what another owns", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Another's", "view")
		path := "/authz/protection/uma-policy"
		mallory, alice := c.protecting(t, "bob"), c.protecting(t, "alice")
		policy := object{"name": "of " + album, "users": []string{"bob"}, "scopes": []string{"view"}}
		c.says(t, notMyResource, c.send(t, "POST", path+"/"+album, mallory, policy))
		c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view")))

		policy["resources"] = []string{album, elsewhere}
		c.says(t, notMyResource, c.send(t, "POST", path+"/"+album, alice, policy))
		delete(policy, "resources")
		mine := c.send(t, "POST", path+"/"+album, alice, policy)
		if mine.status != 201 && mine.status != 200 {
			t.Fatalf("the owner's own: got %s", mine)
		}
		one := path + "/" + mine.str("id")
		policy["users"] = []string{"bob", "erin"}
		for method, body := range map[string]any{"GET": nil, "PUT": policy, "DELETE": nil} {
			c.says(t, notMyResource, c.send(t, method, one, mallory, body))
		}
		rpt := c.hold(t, "bob", album, "view")
		c.says(t, submittedTo, c.present(t, "erin", c.askTicket(t, album, "view")))
		if res := c.send(t, "DELETE", one, alice, nil); res.status != 204 && res.status != 200 {
			t.Errorf("delete: got %s", res)
		}
		if got := c.stands(t, rpt); got != nil {
			t.Errorf("without the policy introspection shows %q", got)
		}
	}},
	{"A-54 a withdrawal is seen on refresh", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Refreshed", "view")
		c.share(t, album, "bob", "view")
		res := c.presentAs(t, c.as(t, "bob", "photoz-app"), c.askTicket(t, album, "view"), "")
		c.rptOf(t, res)
		if c.rpt != "access_token" { // its RPTs come without a refresh token
			if res.object()["refresh_token"] != nil {
				t.Errorf("got %s, want no refresh token", res)
			}
			return
		}
		refresh := func(token string) *response {
			return c.do(t, request{method: "POST", url: c.URL + c.at.token, as: basic("photoz-app"), form: form("grant_type", "refresh_token", "refresh_token", token)})
		}
		next := refresh(res.str("refresh_token"))
		c.rptOf(t, next)
		c.share(t, album, "bob")
		c.says(t, badRefresh, refresh(next.str("refresh_token")))
	}},
	{"A-60 what was withdrawn is not carried", func(t *testing.T, c *faceClient) {
		late := newFaceClient(t, c.face)
		gone, kept, next := late.register(t, "Withdrawn", "view"), late.register(t, "Kept", "view"), late.register(t, "Next", "view")
		for _, album := range []string{gone, kept, next} {
			late.share(t, album, "bob", "view")
		}
		with := func(rpt, album string) *response {
			return late.presentAs(t, late.as(t, "bob", "photoz-web"), late.askTicket(t, album, "view"), rpt)
		}
		old := late.rptOf(t, with(late.hold(t, "bob", gone, "view"), kept))
		if got := late.stands(t, old); len(got) != 2 || !slices.Contains(got, gone) {
			t.Fatalf("the RPT stands for %q, want both", got)
		}
		late.share(t, gone, "bob")
		for _, expired := range []bool{false, true} {
			res := with(old, next)
			got := late.stands(t, late.rptOf(t, res))
			if !slices.Contains(got, next) || slices.Contains(got, gone) || slices.Contains(got, kept) == expired {
				t.Errorf("with an old RPT that has expired: %t: the new one stands for %q", expired, got)
			}
			if upgraded, _ := res.object()["upgraded"].(bool); upgraded {
				t.Errorf("got %s, want it not upgraded", res)
			}
			late.Clock.Advance(6 * time.Minute)
		}
	}},
	{"A-61 an rpt that is none", func(t *testing.T, c *faceClient) {
		album, another := c.register(t, "Asked", "view"), c.register(t, "Erin's", "view")
		for _, user := range []string{"bob", "erin"} {
			c.share(t, album, user, "view")
			c.share(t, another, user, "view")
		}
		for name, rpt := range map[string]string{
			"garbage": "garbage", "a PAT": c.protecting(t, "alice").bearer, "forged": forged(c.hold(t, "bob", another, "view")),
			"of another party": c.hold(t, "erin", another, "view"), "an ID token": c.idToken(t, "bob", "photoz-web"),
		} {
			res := c.presentAs(t, c.as(t, "bob", "photoz-web"), c.askTicket(t, album, "view"), rpt)
			if c.words[badRPT].status != 200 {
				c.says(t, badRPT, res)
				continue
			}
			if got := c.stands(t, c.rptOf(t, res)); !slices.Equal(got, []string{album}) || res.object()["upgraded"] != nil {
				t.Errorf("%s: got %q with %s, want it ignored", name, got, res)
			}
		}
	}},
	{"A-62 the old RPT after an upgrade", func(t *testing.T, c *faceClient) {
		first, second := c.register(t, "First", "view"), c.register(t, "Second", "view")
		old := c.hold(t, "alice", first, "view")
		res := c.presentAs(t, c.as(t, "alice", "photoz-web"), c.askTicket(t, second, "view"), old)
		if got := c.stands(t, c.rptOf(t, res)); len(got) != 2 || !slices.Contains(got, first) || !slices.Contains(got, second) {
			t.Errorf("the new RPT stands for %q, want both", got)
		}
		if got := c.stands(t, old) == nil; got != c.strict {
			t.Errorf("the old RPT is good no more: %t, want %t", got, c.strict)
		}
	}},
	{"A-68 another client revokes", func(t *testing.T, c *faceClient) {
		rpt := c.hold(t, "alice", c.register(t, "Not theirs", "view"), "view")
		for _, hint := range []string{"", "access_token", "pct"} {
			for _, other := range []string{"plain-app", "photoz-app", "photoz-api"} {
				c.post(t, "/protocol/openid-connect/revoke", basic(other), "token", rpt, "token_type_hint", hint)
				if c.stands(t, rpt) == nil {
					t.Fatalf("%s revoked the RPT with the hint %q", other, hint)
				}
			}
		}
		if res := c.post(t, "/protocol/openid-connect/revoke", credentials{}, "client_id", "photoz-web", "token", rpt); res.status != 200 || c.stands(t, rpt) != nil {
			t.Errorf("its own client: got %s, want it revoked", res)
		}
	}},
	{"A-95 who does not own answers nothing", func(t *testing.T, c *faceClient) {
		album := c.register(t, "To be answered", "view", "print")
		c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view")))
		path := "/account/resources/" + album + "/permissions"
		grant := []object{{"username": "bob", "scopes": []string{"view", "print"}}}
		unknown := c.send(t, "PUT", "/account/resources/"+newUUID()+"/permissions", c.as(t, "bob", "photoz-web"), grant)
		for _, user := range []string{"bob", "erin"} {
			res := c.send(t, "PUT", path, c.as(t, user, "photoz-web"), grant)
			if res.status != http.StatusNotFound || string(res.raw) != string(unknown.raw) {
				t.Errorf("%s: got %s, want %s", user, res, unknown)
			}
		}
		for _, as := range []credentials{{}, basic("photoz-app")} { // what a page of another site can make a browser send
			res := c.do(t, request{method: "PUT", url: path, as: as, json: grant, headers: map[string]string{
				"Origin": "https://evil.example", "Cookie": "access_token=" + c.token(t, "alice", "photoz-web"),
			}})
			if res.status != http.StatusUnauthorized || res.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("got %s, want it refused", res)
			}
		}
		waiting := asList(c.get(t, requests, c.protecting(t, "alice"), "resourceId", album).json)
		if len(waiting) != 1 {
			t.Fatalf("got %v, want one request", waiting)
		}
		answer := object{"id": at(waiting[0], "id"), "resource": album, "requester": at(waiting[0], "requester"), "scopeName": "view", "granted": true}
		c.says(t, notMyRequest, c.send(t, "PUT", requests, c.protecting(t, "bob"), answer))
		if got := c.asking(t, album); len(got) != 1 {
			t.Errorf("asking are %v, want bob as before", got)
		}
		c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view")))
	}},
	{"A-96 who asks again and again asks once", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Wanted", "view", "print")
		for range 10 {
			c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view")))
		}
		c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view", "print")))
		got := c.asking(t, album)
		if len(got) != 1 || fmt.Sprint(at(got[0], "username")) != "bob" || len(asList(at(got[0], "scopes"))) != 2 {
			t.Errorf("asking are %v, want bob, for two scopes", got)
		}
		if waiting := asList(c.get(t, requests, c.protecting(t, "alice"), "resourceId", album).json); len(waiting) != 2 {
			t.Errorf("got requests %v, want one for each scope", waiting)
		}
	}},
}

// protecting is a user's token issued to the resource server, good for its
// protection API on every face.
func (c *faceClient) protecting(t *testing.T, user string) credentials {
	t.Helper()
	return bearer(c.signIn(t, user, "photoz-api", "uma_protection").access)
}

// strictCases are what the faces do that speak UMA 2.0 to the letter.
var strictCases = []faceCase{
	{"A-97 who polls too fast waits longer, and is granted nothing by it", func(t *testing.T, c *faceClient) {
		late := newFaceClient(t, c.face)
		album := late.register(t, "Polled", "view")
		res := late.present(t, "bob", late.askTicket(t, album, "view"))
		for range 3 {
			before, ticket := seconds(res), res.str("ticket")
			res = late.present(t, "bob", ticket)
			late.says(t, submittedTo, res)
			if next := res.str("ticket"); next == "" || next == ticket || before == 0 || seconds(res) <= before {
				t.Errorf("got %s after %s, want another ticket and a larger interval", res, before)
			}
		}
		late.share(t, album, "bob", "view")
		res = late.present(t, "bob", res.str("ticket"))
		late.says(t, submittedTo, res)
		late.Clock.Advance(seconds(res))
		if got := late.stands(t, late.rptOf(t, late.present(t, "bob", res.str("ticket")))); !slices.Equal(got, []string{album}) {
			t.Errorf("in time, after the approval: got %q", got)
		}
	}},
}
