package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// Fill puts rows of every kind into an empty store, for tests of what reads all of a database:
// with quotes, empty lists, letters of other scripts, and events that share parts.
func Fill(t *testing.T, s uma.Store) {
	t.Helper()
	e := newEnv(t, s)
	e.fillRealms()
	r, q := e.fillResources()
	e.fillTokens(r, q)
	e.fillPolicies()
	e.fillDecisions()
}

func (e *env) fillRealms() {
	ctx := e.t.Context()
	c := e.trusting()
	full := fullClient("full", e.newID())
	full.Claims = map[string]any{"n": 1, "list": []any{"ä", `"`}}
	c.Clients = append(c.Clients, full)
	c.Users = append(c.Users, &uma.User{ID: e.newID(), Username: "Zoë", Password: "hash", Roles: []string{"a,b", `"`, "ö"},
		ClientRoles: map[string][]string{"api": {"admin"}}, Groups: []string{"/g", `/"q"`}, Claims: map[string]any{"email": "Zoe@Example.COM"}})
	e.apply(c)
	_, err := e.s.PutSealed(ctx, "pepper", []byte{0, 1, 0xff})
	e.must(err)
	for range 2 {
		e.must(e.s.AddKey(ctx, "photoz", e.signingKey("ES256"), now.Add(time.Hour)))
	}
	e.must(e.s.LinkIdentity(ctx, e.realm, e.admit(corp, "00u1", "Pat", "pat@corp.example").ID, council, "4711"))
	e.must(e.s.SpendAssertion(ctx, e.realm, e.api, uma.Digest("assertion"), now.Add(time.Hour)))
	token := e.createAdminToken("deploy-bot")
	e.use(token, now)
}

// fillResources returns a resource, and a granted request for it.
func (e *env) fillResources() (*uma.Resource, *uma.Request) {
	ctx := e.t.Context()
	e.own("Board ✓", []string{"/boards/*", "/boards/{id}/posts"}, "view", "post")
	e.must(e.s.CreateResource(ctx, e.claim(e.alice, "Ålbum", []string{"/albums/ä"}, "view"), e.newID))
	for i, n := 0, newNoise(); i < 3; i++ {
		begin := "/" + n.growing(1000)
		e.own(fmt.Sprint("long ", i), []string{begin + n.letters(maxURI-len(begin)), begin + n.letters(maxURI-len(begin))}, "view")
	}
	r := e.resource("Holiday, \"2026\"", "view", "edit")
	r.Attributes = map[string][]string{"a": {"", "b"}}
	e.create(r)
	e.create(&uma.Resource{ID: uma.ResourceID(e.newID()), Server: e.second, Owner: e.bob, Name: "bare", Origin: uma.FromAPI})
	granted := e.share(r, e.bob, "view")
	for i, scope := range []uma.Scope{"view", "edit"} {
		e.must(e.s.CreateRequest(ctx, e.request(r, fmt.Sprint("asker-", i), scope)))
	}
	e.must(e.s.CreateShare(ctx, e.fullPolicy(r, "Friends")))
	e.invite(r, grants{"ann@corp.example": {"view"}})
	c := e.crowd("crowded")
	e.must(e.s.DeleteResource(ctx, c.Server, c.ID)) // its rows are not swept yet
	return r, granted
}

func (e *env) fillTokens(r *uma.Resource, q *uma.Request) {
	ctx := e.t.Context()
	e.startSession("s", "first")
	e.startSession("ended", "second")
	e.must(e.s.EndSession(ctx, e.realm, "ended"))
	e.must(e.s.Revoke(ctx, e.realm, "revoked", now.Add(time.Hour)))
	e.must(e.s.SaveTicket(ctx, e.realm, e.ticket("waiting")))
	e.must(e.s.Commit(ctx, e.settlement(r, q)))
	e.must(e.rotate("first", "third", now))
}

func (e *env) fillPolicies() {
	ctx := e.t.Context()
	e.activated("photoz", "a", now)
	large := e.activation("photoz", "b", now.Add(time.Minute))
	large.Revision.Sources["data.json"] = `[` + strings.Repeat(`"many times the same",`, 1000) + `0]`
	large.Note, large.Pinned, large.Report, large.Withdrawn = `"reviewed"`, true, `{"findings":[]}`, []string{"a"}
	e.begin(large)
	e.activated("elsewhere", "a", now)
	e.must(e.s.NoteProposal(ctx, "photoz", uma.Proposal{Content: "c", Source: "/policies", At: now, Problem: "does not compile"}))
	e.must(e.s.SaveShadow(ctx, &uma.ShadowState{Realm: "photoz", Revision: "b", Cursor: 1, Since: now},
		[]uma.ShadowChange{{Revision: "b", Change: []byte(`{"was":true}`)}}))
}

// fillDecisions makes records of several months, and some of one request.
func (e *env) fillDecisions() {
	shared := `"input":{"claims":"` + strings.Repeat("x", 200) + `"}`
	var records []uma.Record
	for i := range 3 {
		r := e.record(fmt.Sprint("shared-", i))
		r.Batch, r.Event = "of one request", fmt.Appendf(nil, `{"decision_id":"shared-%d",%s}`, i, shared)
		records = append(records, r)
	}
	e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, Records: records}))
	for i := range 40 {
		r := e.record(fmt.Sprint("month-", i))
		r.Time = now.AddDate(0, i%3, 0)
		e.keep(r)
	}
	bare := uma.Record{ID: "bare", Time: now, Event: []byte(`{}`)}
	e.keep(bare)
	e.keepSinks(e.wanted("opa/photoz"))
	sink := e.wanted("opa/photoz")
	sink.Cursor, sink.Delivered, sink.Problem = 3, now, "refused"
	e.saveSink(sink)
}

// Found returns what a store that Fill has filled, or a copy of one, finds by what it derives from
// its rows, and the numbers that it gives to new ones. It adds some.
func Found(t *testing.T, s uma.Store) (found []string) {
	t.Helper()
	e := &env{t: t, s: s}
	e.last.Store(1_000_000)
	ctx := t.Context()
	e.photoz = e.snapshot("photoz")
	e.realm, e.api = e.photoz.Realm.Key, e.photoz.Clients["api"].Key
	e.alice = e.user(e.realm, "alice").ID
	note := func(what string, values ...any) { found = append(found, fmt.Sprint(what, ": ", values)) }

	for _, part := range []string{"ålb", "OLIDAY, \"", "none of these"} {
		e.must(s.FindResources(ctx, e.api, uma.ResourceFilter{Name: part}, 0, 10, func(r *uma.Resource) error {
			note(part, r.Name, r.Key, r.Version, r.Scopes, r.Attributes)
			return nil
		}))
	}
	e.reading(func(v uma.View) {
		shares, err := v.FindShares(ctx, e.api, e.alice, uma.UserPolicyFilter{Name: "RIEND"}, 0, 10)
		e.must(err)
		for _, share := range shares {
			note("policy", share.Name, share.Users, share.Roles, share.Groups)
		}
		users, err := v.UsersNamed(ctx, e.realm, []string{"zoe@example.com"})
		e.must(err)
		for _, u := range users["zoe@example.com"] {
			note("by e-mail", u.Username, u.Claims)
		}
	})
	for _, f := range []uma.DecisionFilter{{Rule: "team/rule"}, {Request: "req-1"}, {Outcome: "granted", Since: now.AddDate(0, 2, 0)}} {
		records, err := s.FindDecisions(ctx, f, 100)
		e.must(err)
		for _, r := range records {
			note("record", r.Seq, r.ID, string(r.Event), r.Rules, r.Time)
		}
	}

	st := &uma.Settlement{Realm: e.realm, Now: now, Records: []uma.Record{e.record("later")}}
	e.must(s.Commit(ctx, st))
	note("next record", st.Records[0].Seq)
	r := e.create(e.resource("later", "view"))
	q := e.share(r, "carol", "view")
	note("next keys", r.Key, q.Key, e.sharePolicy(r, "later", "carol").Key)
	note("next version is later", e.get(e.api, r.ID).Version > e.photoz.Realm.Generation)
	note("generation", e.generation())
	return found
}
