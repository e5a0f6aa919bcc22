package storetest

import (
	"slices"
	"time"

	"example.com/umpire/uma"
)

// without returns the realm file without some of its rows.
func (e *env) without(what string) *uma.RealmChange {
	c := e.realmFile("photoz")
	switch what {
	case "client api":
		c.Clients = slices.Delete(c.Clients, 0, 1)
	case "user alice":
		c.Users = slices.Delete(c.Users, 0, 1)
	case "user bob":
		c.Users = slices.Delete(c.Users, 1, 2)
	}
	return c
}

// A dependent is a row that depends on a row which a realm file no longer has.
type dependent struct {
	what  string         // the row of the file
	count map[string]int // as in uma.RealmReport
	base  func(e *env, c *uma.RealmChange)
	add   func(e *env)
	stays bool // with Lenient the row of the file stays; else it is disabled
}

var dependents = map[string]dependent{
	"resource on client": {what: "client api", count: map[string]int{"resources": 1},
		add: func(e *env) { e.create(e.resource("Album", "view")) }},
	"request on client": {what: "client api", count: map[string]int{"resources": 1, "requests": 1},
		add: func(e *env) { e.share(e.create(e.resource("Album", "view")), e.bob, "view") }},
	"session on client": {what: "client api", count: map[string]int{"sessions": 1},
		add: func(e *env) { e.startSession("s", "handle") }},
	"resource on user": {what: "user alice", count: map[string]int{"resources": 1},
		add: func(e *env) { e.create(e.resource("Album", "view")) }},
	"request of user": {what: "user bob", count: map[string]int{"requests": 1},
		add: func(e *env) { e.share(e.create(e.resource("Album", "view")), e.bob, "view") }},
	"session of user": {what: "user alice", count: map[string]int{"sessions": 1},
		add: func(e *env) { e.startSession("s", "handle") }},
	"request on resource": {what: "resource File album", count: map[string]int{"requests": 1}, stays: true,
		base: func(e *env, c *uma.RealmChange) {
			c.Resources = []uma.ResourceChange{e.fileResource("File album", "alice", "view")}
		},
		add: func(e *env) { e.share(e.byName(e.alice, "File album"), e.bob, "view") }},
	"policy on client": {what: "client api", count: map[string]int{"resources": 1, "policies": 1},
		add: func(e *env) { e.sharePolicy(e.create(e.resource("Album", "view")), "p", e.bob) }},
	"policy that names user": {what: "user bob", count: map[string]int{"policies": 1},
		add: func(e *env) { e.sharePolicy(e.create(e.resource("Album", "view")), "p", e.bob) }},
	"policy of user": {what: "user alice", count: map[string]int{"resources": 1, "policies": 1},
		add: func(e *env) { e.sharePolicy(e.create(e.resource("Album", "view")), "p", "carol") }},
	"policy on resource": {what: "resource File album", count: map[string]int{"policies": 1}, stays: true,
		base: func(e *env, c *uma.RealmChange) {
			c.Resources = []uma.ResourceChange{e.fileResource("File album", "alice", "view")}
		},
		add: func(e *env) { e.sharePolicy(e.byName(e.alice, "File album"), "p", e.bob) }},
	"resource on scope": {what: "scope download of api", count: map[string]int{"resources": 1}, stays: true,
		base: func(e *env, c *uma.RealmChange) {
			c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "download"}}}
		},
		add: func(e *env) { e.create(e.resource("Album", "view", "download")) }},
	"request on scope": {what: "scope download of api", count: map[string]int{"resources": 1, "requests": 1}, stays: true,
		base: func(e *env, c *uma.RealmChange) {
			c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "download"}}}
		},
		add: func(e *env) { e.share(e.create(e.resource("Album", "download")), e.bob, "download") }},
}

// byName reads a resource of api.
func (e *env) byName(owner, name string) *uma.Resource {
	e.t.Helper()
	return read(e, func(v uma.View) (*uma.Resource, error) { return v.ResourceByName(e.t.Context(), e.api, owner, name) })
}

// prepare applies a file with the row, adds the dependent, and returns the file without
// the row.
func (d dependent) prepare(e *env) *uma.RealmChange {
	if d.base != nil {
		c := e.realmFile("photoz")
		d.base(e, c)
		e.apply(c)
	}
	d.add(e)
	return e.without(d.what)
}

var pruneTests = withDependents(map[string]func(e *env){
	"decision_records_stay": func(e *env) {
		r := e.record("d")
		e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, Records: []uma.Record{r}}))
		c := e.without("client api")
		c.Prune = true
		e.apply(c)
		_, err := e.s.Decision(e.t.Context(), "d")
		e.must(err)
	},

	"of_a_client_removes_its_rows": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		q := e.share(r, e.bob, "view")
		c := e.without("client api")
		c.Prune = true
		report := e.apply(c)
		wantSet(e, "removed", report.Removed, "client api", "resource Album")
		if e.get(e.api, r.ID) != nil || e.getRequest(q.ID) != nil {
			e.t.Error("something of the client is left")
		}
		e.reading(func(v uma.View) {
			_, err := v.Scope(e.t.Context(), e.api, "view")
			e.wantErr("scope", err, uma.ErrNotFound)
		})
		c.Prune = false
		e.unchanged(c)
	},

	"of_a_user_removes_their_rows": func(e *env) {
		own := e.create(e.resource("Album", "view"))
		q := e.share(own, e.bob, "view")
		theirs := e.resource("Album", "view")
		theirs.Owner = e.bob
		e.create(theirs)
		asked := e.share(theirs, e.alice, "view")
		e.startSession("s", "handle")
		c := e.without("user alice")
		c.Prune = true
		report := e.apply(c)
		wantSet(e, "removed", report.Removed, "user alice", "resource Album")
		if e.get(e.api, own.ID) != nil || e.getRequest(q.ID) != nil || e.getRequest(asked.ID) != nil {
			e.t.Error("something of the user is left")
		}
		if e.get(e.api, theirs.ID) == nil {
			e.t.Error("another's resource is gone")
		}
		e.reading(func(v uma.View) {
			_, err := v.TokenState(e.t.Context(), e.realm, "jti", "s")
			e.wantErr("session", err, uma.ErrNotFound)
		})
	},

	"of_a_user_removes_them_from_shares": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		for _, tc := range []struct {
			name   string
			change func(s *uma.Share)
			users  []string // nil: the share is gone
		}{
			{"one of two", func(s *uma.Share) { s.Users = []string{e.bob, "carol"} }, []string{"carol"}},
			{"the only one", func(s *uma.Share) {}, nil},
			{"the only one, with a role", func(s *uma.Share) { s.Roles = []string{"user"} }, nil},
			{"or a role", func(s *uma.Share) { s.Roles, s.Strategy = []string{"user"}, "AFFIRMATIVE" }, []string{}},
			{"or nobody", func(s *uma.Share) { s.Strategy = "AFFIRMATIVE" }, nil},
			{"against a role", func(s *uma.Share) { s.Roles, s.Strategy = []string{"user"}, "CONSENSUS" }, []string{e.bob}},
			{"another", func(s *uma.Share) { s.Users = []string{"carol"} }, []string{"carol"}},
		} {
			s := e.fullPolicy(r, tc.name)
			s.Users, s.Roles, s.Groups, s.Clients = []string{e.bob}, nil, nil, nil
			tc.change(s)
			e.must(e.s.CreateShare(e.t.Context(), s))
			c := e.without("user bob")
			c.Prune = true
			e.apply(c)
			got := e.getPolicy(s.ID)
			switch {
			case (got == nil) != (tc.users == nil):
				e.t.Errorf("%s: the share is left: %v", tc.name, got != nil)
			case got != nil:
				wantSet(e, tc.name, got.Users, tc.users...)
				e.want(tc.name+": version raised", got.Version > s.Version, len(got.Users) != len(s.Users))
				e.want(tc.name+": audience raised", got.Audience > s.Audience, len(got.Users) != len(s.Users))
			}
			back := e.realmFile("photoz") // with bob's id, as no realm file could
			back.Users[1].ID = e.bob
			e.apply(back)
		}
	},

	"of_a_user_leaves_shares_of_another_realm": func(e *env) {
		r := e.resource("Album", "view")
		r.Server, r.Owner = e.foreign, e.foreignAlice
		s := e.sharePolicy(e.create(r), "p", e.bob)
		c := e.without("user bob")
		e.want("removed without prune", e.apply(c).Removed, []string{"user bob"})
		e.reading(func(v uma.View) {
			got, err := v.Share(e.t.Context(), e.foreign, s.ID)
			e.must(err)
			e.want("policy", got, s)
		})
	},

	"of_a_scope_removes_it_from_resources": func(e *env) {
		c := e.realmFile("photoz")
		c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "download"}}}
		e.apply(c)
		r := e.create(e.resource("Album", "view", "download"))
		gone, left := e.share(r, e.bob, "download"), e.share(r, e.bob, "view")
		policy := e.sharePolicy(r, "p", e.bob)
		c = e.realmFile("photoz")
		c.Prune = true
		e.want("removed", e.apply(c).Removed, []string{"scope download of api"})
		got := e.get(e.api, r.ID)
		e.want("scopes", got.Scopes, []uma.Scope{"view"})
		if got.Version <= r.Version {
			e.t.Errorf("got version %d, want more than %d", got.Version, r.Version)
		}
		if e.getRequest(gone.ID) != nil || e.getRequest(left.ID) == nil {
			e.t.Error("the wrong requests are gone")
		}
		e.want("scopes of the policy", e.getPolicy(policy.ID).Scopes, []uma.Scope{"view"})
	},

	"needed_for_a_scope_of_a_policy_on_a_file_resource": func(e *env) {
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("File album", "alice", "view", "download")}
		c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "download"}}}
		e.apply(c)
		s := e.sharePolicy(e.byName(e.alice, "File album"), "p", e.bob)
		c.Resources[0].Scopes, c.Scopes = []uma.Scope{"view"}, nil
		report, err := e.s.ApplyRealm(e.t.Context(), c)
		e.wantErr("apply", err, uma.ErrPrune)
		e.want("kept", report.Kept, []string{"scope download of api"})
		e.want("dependents", report.Dependents, []map[string]int{{"policies": 1}})
		c.Prune = true
		e.apply(c)
		e.want("scopes", e.getPolicy(s.ID).Scopes, []uma.Scope{"view"})
	},

	"an_ended_session_does_not_block": func(e *env) {
		e.startSession("s", "handle")
		e.must(e.s.EndSession(e.t.Context(), e.realm, "s"))
		e.want("removed", e.apply(e.without("user alice")).Removed, []string{"user alice"})
	},

	"an_expired_session_does_not_block": func(e *env) {
		e.startSession("s", "handle")
		c := e.without("user alice")
		c.Now = now.Add(24 * time.Hour)
		e.want("removed", e.apply(c).Removed, []string{"user alice"})
	},

	"a_scope_that_a_file_resource_names_stays": func(e *env) {
		c := e.realmFile("photoz")
		c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "view"}}}
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view")}
		e.apply(c)
		c.Scopes = nil
		e.unchanged(c)
	},
})

// withDependents adds the tests for each dependent.
func withDependents(tests map[string]func(e *env)) map[string]func(e *env) {
	for name, d := range dependents {
		tests["needed_for_"+name] = d.refuses
		tests["lenient_with_"+name] = d.lenient
		tests["removes_"+name] = d.prune
	}
	return tests
}

func (d dependent) refuses(e *env) {
	c := d.prepare(e)
	c.Fingerprint = []byte("another")
	c.Clients = append(c.Clients, &uma.Client{ID: "new", UUID: e.newID()})
	generation, before := e.generation(), e.snapshot("photoz")
	report, err := e.s.ApplyRealm(e.t.Context(), c)
	e.wantErr("apply", err, uma.ErrPrune)
	e.want("kept", report.Kept, []string{d.what})
	e.want("dependents", report.Dependents, []map[string]int{d.count})
	e.want("all lines", lines(report), []string{d.what})
	e.want("generation", e.generation(), generation)
	e.want("realm", e.snapshot("photoz"), before)
	fingerprint, err := e.s.RealmFingerprint(e.t.Context(), "photoz")
	e.must(err)
	e.want("fingerprint", string(fingerprint), "fingerprint of photoz")
}

func (d dependent) lenient(e *env) {
	c := d.prepare(e)
	c.Lenient = true
	report := e.apply(c)
	if d.stays {
		e.want("kept", report.Kept, []string{d.what})
		e.want("all lines", lines(report), []string{d.what})
		e.unchangedBut(c, d.what)
		return
	}
	e.want("disabled", report.Disabled, []string{d.what})
	e.want("all lines", lines(report), []string{d.what})
	switch d.what {
	case "client api":
		e.want("enabled", e.snapshot("photoz").Clients["api"].Enabled, false)
	case "user alice":
		e.want("enabled", e.user(e.realm, "alice").Enabled, false)
	case "user bob":
		e.want("enabled", e.user(e.realm, "bob").Enabled, false)
	}
	e.unchangedBut(c, d.what)
	back := e.realmFile("photoz")
	e.want("enabled again", e.apply(back).Updated, []string{d.what})
}

// unchangedBut is unchanged, but the report has a line for a row that stays.
func (e *env) unchangedBut(c *uma.RealmChange, stays string) {
	e.t.Helper()
	generation := e.generation()
	report := e.apply(c)
	e.want("all lines, the second time", lines(report), []string{stays})
	e.want("kept, the second time", report.Kept, []string{stays})
	e.want("generation", e.generation(), generation)
}

func (d dependent) prune(e *env) {
	c := d.prepare(e)
	c.Prune = true
	report := e.apply(c)
	if !slices.Contains(report.Removed, d.what) {
		e.t.Errorf("removed %q, want %q among them", report.Removed, d.what)
	}
	c.Prune = false
	generation := e.generation()
	e.want("all lines, the second time", lines(e.apply(c)), []string(nil))
	e.want("generation", e.generation(), generation)
}
