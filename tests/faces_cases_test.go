package tests

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// A faceCase is what faces do alike.
type faceCase struct {
	name string
	run  func(t *testing.T, c *faceClient)
}

// faceCases are what all of them do.
var faceCases = []faceCase{
	{"the owner is granted what she asks for", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Own", "view", "print")
		rpt := c.hold(t, "alice", album, "view")
		if got := c.stands(t, rpt); !slices.Equal(got, []string{album}) {
			t.Errorf("introspection shows %q, want %q", got, album)
		}
	}},
	{"somebody else is refused and the owner is asked", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Asked for", "view")
		c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view")))
		if got := c.asking(t, album); len(got) != 1 {
			t.Errorf("the owner sees %v, want one who asks", got)
		}
	}},
	{"whom the owner refused is denied", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Refused", "view")
		c.says(t, submittedTo, c.present(t, "bob", c.askTicket(t, album, "view")))
		c.share(t, album, "bob")
		c.says(t, denied, c.present(t, "bob", c.askTicket(t, album, "view")))
		r := c.named(album, "view") // and without a ticket
		r.url, r.as = c.URL+c.at.named, c.as(t, "bob", "photoz-web")
		res := c.do(t, r)
		c.says(t, unnamed, res)
		if res.str("ticket") != "" {
			t.Errorf("got %s, want no ticket", res)
		}
	}},
	{"a share grants until it is withdrawn", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Shared", "view", "print")
		c.share(t, album, "bob", "view")
		rpt := c.hold(t, "bob", album, "view")
		if got := c.stands(t, rpt); !slices.Equal(got, []string{album}) {
			t.Errorf("introspection shows %q, want %q", got, album)
		}
		c.share(t, album, "bob")
		if got := c.stands(t, rpt); got != nil {
			t.Errorf("after the withdrawal introspection shows %q", got)
		}
	}},
	{"A-1 a ticket is used once", func(t *testing.T, c *faceClient) {
		ticket := c.askTicket(t, c.register(t, "Once", "view"), "view")
		if res := c.present(t, "alice", ticket); res.status != c.granted {
			t.Fatalf("got %s", res)
		}
		c.says(t, unusableTicket, c.present(t, "alice", ticket))
		c.says(t, unusableTicket, c.present(t, "erin", ticket))
	}},
	{"A-6 all unusable tickets look alike", func(t *testing.T, c *faceClient) {
		foreign := &faceClient{c.face, c.env.in("other"), c.paths("other")}
		spent := c.askTicket(t, c.register(t, "Spent", "view"), "view")
		c.present(t, "alice", spent)
		first := c.present(t, "alice", spent)
		for name, ticket := range map[string]string{
			"garbage": "garbage", "a JWT of nobody": "eyJhbGciOiJub25lIn0.e30.", "long": strings.Repeat("x", 3000),
			"an access token":  c.token(t, "alice", "photoz-web"),
			"of another realm": foreign.askTicket(t, foreign.register(t, "Elsewhere", "view"), "view"),
		} {
			res := c.present(t, "alice", ticket)
			c.says(t, unusableTicket, res)
			if !bytes.Equal(res.raw, first.raw) {
				t.Errorf("%s: got %s, for one that was spent %s", name, res, first)
			}
		}
	}},
	{"A-7 a ticket expires", func(t *testing.T, c *faceClient) {
		late := newFaceClient(t, c.face)
		ticket := late.askTicket(t, late.register(t, "Late", "view"), "view")
		late.Clock.Advance(120 * time.Second)
		res := late.present(t, "alice", ticket)
		late.says(t, unusableTicket, res)
		if unknown := late.present(t, "alice", "garbage"); !bytes.Equal(res.raw, unknown.raw) {
			t.Errorf("got %s, for one that nobody made %s", res, unknown)
		}
	}},
	{"A-13 A-30 what is deleted is gone everywhere", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Deleted", "view")
		rpt, ticket := c.hold(t, "alice", album, "view"), c.askTicket(t, album, "view")
		if res := c.call(t, "DELETE", c.at.resources+"/"+album, c.pat(t, c.env), nil); res.status != 204 {
			t.Fatalf("delete: got %s", res)
		}
		c.says(t, gone, c.call(t, "GET", c.at.resources+"/"+album, c.pat(t, c.env), nil))
		c.says(t, unusableTicket, c.present(t, "alice", ticket))
		if got := c.stands(t, rpt); got != nil {
			t.Errorf("introspection shows %q", got)
		}
		again := c.register(t, "Deleted", "view")
		if again == album {
			t.Error("the id of what is gone is used again")
		}
	}},
	{"an unknown resource and an unknown scope make no ticket", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Known", "view")
		ask := func(resource string, scopes ...string) *response {
			return c.call(t, "POST", c.at.permission, c.pat(t, c.env), c.permission(resource, scopes))
		}
		c.says(t, unknownResource, ask("no-such-id", "view"))
		c.says(t, unknownResource, ask(elsewhere, "view"))
		for _, scope := range []string{"fly", "View", "vie", "view "} {
			c.says(t, unknownScope, ask(album, scope))
		}
	}},
	{"A-22 a resource of another resource server is not there", func(t *testing.T, c *faceClient) {
		c.says(t, gone, c.call(t, "GET", c.at.resources+"/"+elsewhere, c.pat(t, c.env), nil))
		c.says(t, gone, c.call(t, "GET", c.at.resources+"/no-such-id", c.pat(t, c.env), nil))
	}},
	{"A-17 A-18 A-19 only a PAT makes tickets", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Protected", "view")
		for what, as := range map[outcome]credentials{
			noPAT: {}, badPAT: bearer("garbage"), notAPAT: c.as(t, "bob", "photoz-web"),
		} {
			c.says(t, what, c.call(t, "POST", c.at.permission, as, c.permission(album, []string{"view"})))
		}
	}},
	{"A-19 an RPT is no PAT", func(t *testing.T, c *faceClient) {
		album := c.register(t, "Held", "view")
		res := c.call(t, "POST", c.at.permission, bearer(c.hold(t, "alice", album, "view")), c.permission(album, []string{"view"}))
		c.says(t, rptForPAT, res)
	}},
	{"A-4 fifty present one ticket at once", func(t *testing.T, c *faceClient) {
		ticket := c.askTicket(t, c.register(t, "Raced", "view"), "view")
		c.token(t, "alice", "photoz-web")
		answers := make(chan int, 50)
		for range 50 {
			go func() { answers <- c.present(t, "alice", ticket).status }()
		}
		granted := 0
		for range 50 {
			if status := <-answers; status == c.granted {
				granted++
			} else if status != c.words[unusableTicket].status {
				t.Errorf("got %d", status)
			}
		}
		if granted != 1 {
			t.Errorf("%d were granted, want one", granted)
		}
	}},
}
