package storetest

import (
	"context"
	"fmt"

	"example.com/umpire/uma"
)

// unchanged checks that applying c changes nothing: no row, no version, no
// generation.
func (e *env) unchanged(c *uma.RealmChange) {
	e.t.Helper()
	generation := e.generation()
	alice := e.user(e.realm, "alice")
	report := e.apply(c)
	e.want("report", lines(report), []string(nil))
	e.want("generation", e.generation(), generation)
	e.want("alice", e.user(e.realm, "alice"), alice)
}

// raised checks that f raises the generations of the realm and of all realms.
func (e *env) raised(what string, f func()) {
	e.t.Helper()
	all, realm := e.generation(), e.snapshot("photoz").Realm.Generation
	f()
	if got := e.generation(); got <= all {
		e.t.Errorf("%s: got generation %d, want more than %d", what, got, all)
	}
	if got := e.snapshot("photoz").Realm.Generation; got <= realm {
		e.t.Errorf("%s: got generation %d of the realm, want more than %d", what, got, realm)
	}
}

var applyTests = map[string]func(e *env){
	"twice_changes_nothing": func(e *env) {
		c := e.realmFile("photoz")
		c.Realm = fullRealm("photoz")
		c.Clients = append(c.Clients, fullClient("full", e.newID()))
		c.Users = append(c.Users, &uma.User{ID: e.newID(), Username: "Zoë", Claims: map[string]any{"n": 1.5}})
		c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "download"}}}
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view", "delete")}
		c.Resources[0].Attributes = map[string][]string{"a": {"b"}}
		c.Resources[0].URIs = []string{"/album/{id}"}
		report := e.apply(c)
		e.want("what is new", len(report.Created), 4)
		e.unchanged(c)
	},

	"ids_are_given_to_new_rows_only": func(e *env) {
		c := e.realmFile("photoz")
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view")}
		e.apply(c)
		first := c.Resources[0].ID
		again := e.realmFile("photoz")
		again.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view")}
		e.unchanged(again)
		e.want("UUID of the client", e.snapshot("photoz").Clients["api"].UUID, e.apiUUID)
		e.want("id of the user", e.user(e.realm, "alice").ID, e.alice)
		if e.get(e.api, first) == nil || e.get(e.api, again.Resources[0].ID) != nil {
			e.t.Error("the resource has another id")
		}
	},

	"every_change_raises_the_generation": func(e *env) {
		c := e.realmFile("photoz")
		steps := map[string]func(){
			"realm":    func() { c.Realm.SigningAlg = "EdDSA" },
			"client":   func() { c.Clients[0].Secret = []byte("other") },
			"user":     func() { c.Users[0].Groups = []string{"/friends"} },
			"password": func() { c.Users[0].Password = "other" },
			"scope":    func() { c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "download"}}} },
			"resource": func() { c.Resources = append(c.Resources, e.fileResource("Album", "alice")) },
		}
		for what, change := range steps {
			change()
			e.raised(what, func() { e.apply(c) })
			e.unchanged(c)
		}
	},

	"a_new_fingerprint_alone_raises_no_generation": func(e *env) {
		c := e.realmFile("photoz")
		c.Fingerprint = []byte("other")
		e.unchanged(c)
		got, err := e.s.RealmFingerprint(e.t.Context(), "photoz")
		e.must(err)
		e.want("fingerprint", string(got), "other")
	},

	"user_version_rises_with_fields_that_decisions_see": func(e *env) {
		c := e.realmFile("photoz")
		before := e.user(e.realm, "alice").Version
		c.Users[0].Password = "other"
		e.apply(c)
		got := e.user(e.realm, "alice")
		e.want("password", got.Password, "other")
		e.want("version after a new password", got.Version, before)
		for what, change := range map[string]func(u *uma.User){
			"username":     func(u *uma.User) { u.Username = "Alice" },
			"enabled":      func(u *uma.User) { u.Enabled = false },
			"roles":        func(u *uma.User) { u.Roles = nil },
			"client roles": func(u *uma.User) { u.ClientRoles = map[string][]string{"api": {"admin"}} },
			"groups":       func(u *uma.User) { u.Groups = []string{"/friends"} },
			"claims":       func(u *uma.User) { u.Claims = map[string]any{"a": "b"} },
		} {
			version := e.user(e.realm, "alice").Version
			change(c.Users[0])
			e.apply(c)
			if got := e.user(e.realm, "alice").Version; got <= version {
				e.t.Errorf("%s: got version %d, want more than %d", what, got, version)
			}
		}
		e.want("version of bob", e.user(e.realm, "bob").Version, before+1)
	},

	"users_are_matched_without_case": func(e *env) {
		c := e.realmFile("photoz")
		c.Users[0].Username = "ALICE"
		report := e.apply(c)
		e.want("updated", report.Updated, []string{"user ALICE"})
		got := e.user(e.realm, "alice")
		e.want("name", got.Username, "ALICE")
		e.want("id", got.ID, e.alice)
	},

	"rows_that_the_file_no_longer_has_are_removed": func(e *env) {
		c := e.realmFile("photoz")
		c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "download"}}}
		c.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view")}
		e.apply(c)
		left := e.realmFile("photoz")
		left.Clients, left.Users = left.Clients[:1], left.Users[:1]
		var report *uma.RealmReport
		e.raised("removal", func() { report = e.apply(left) })
		wantSet(e, "removed", report.Removed, "client second", "client web", "user bob", "resource Album", "scope download of api")
		e.want("clients", len(e.snapshot("photoz").Clients), 1)
		if e.get(e.api, c.Resources[0].ID) != nil {
			e.t.Error("the resource is still there")
		}
		e.reading(func(v uma.View) {
			_, err := v.UserByName(e.t.Context(), e.realm, "bob")
			e.wantErr("bob", err, uma.ErrNotFound)
			rows, err := v.KnownScopes(e.t.Context(), e.api, []uma.Scope{"download"})
			e.must(err)
			e.want("scopes", len(rows), 0)
		})
		e.unchanged(left)
		e.want("clients of another realm", len(e.snapshot("elsewhere").Clients), 3)
	},

	"sessions_end_with_a_new_password_and_a_disabled_user_or_client": func(e *env) {
		ended := func(session string) bool {
			e.t.Helper()
			_, s := e.state("jti", session)
			return s.Ended
		}
		c := e.realmFile("photoz")
		e.startSession("s", "handle")
		c.Users[1].Password = "another hash"
		e.apply(c)
		e.want("ended with another's password", ended("s"), false)
		c.Users[0].Password = "another hash"
		e.apply(c)
		e.want("ended with the password", ended("s"), true)

		for name, disable := range map[string]func(off bool){
			"user":   func(off bool) { c.Users[0].Enabled = !off },
			"client": func(off bool) { c.Clients[0].Enabled = !off },
		} {
			id := "s of " + name
			e.startSession(id, "handle of "+name)
			disable(true)
			e.apply(c)
			disable(false)
			e.apply(c)
			e.want("ended with its "+name, ended(id), true)
		}
	},

	"a_dry_run_reports_and_changes_nothing": func(e *env) {
		fresh := e.realmFile("fresh")
		key := e.signingKey("ES256")
		fresh.Key, fresh.DryRun = &key, true
		if got := e.apply(fresh); len(got.Created) != 6 { // the realm, three clients, two users
			e.t.Errorf("got %q created", got.Created)
		}
		_, err := e.s.Snapshot(e.t.Context(), "fresh", now)
		e.wantErr("a realm of a dry run", err, uma.ErrNotFound)

		c := e.realmFile("photoz")
		c.Users[0].Roles, c.Users[1].Username = []string{"other"}, "robert"
		for i := range 600 { // more than a batch
			c.Resources = append(c.Resources, e.fileResource(fmt.Sprintf("Album %03d", i), "alice", "view"))
		}
		generation, before := e.generation(), e.snapshot("photoz")
		c.DryRun = true
		for range 2 {
			got := e.apply(c)
			e.want("numbers", []int{len(got.Created), len(got.Updated), len(got.Removed)}, []int{601, 1, 1})
		}
		e.want("generation", e.generation(), generation)
		e.want("realm", e.snapshot("photoz"), before)
		e.want("roles", e.user(e.realm, "alice").Roles, []string{"user"})
		c.DryRun = false
		e.want("then applied", len(e.apply(c).Created), 601)
	},

	"big_changes_report_progress_and_raise_the_generation_once": func(e *env) {
		c := e.realmFile("photoz")
		for i := range 1200 {
			c.Resources = append(c.Resources, e.fileResource(fmt.Sprintf("Album %04d", i), "alice", "view"))
		}
		before := e.snapshot("photoz").Realm.Generation
		last, calls := 0, 0
		c.Progress = func(done, total int) {
			calls++
			if done <= last || done > total {
				e.t.Errorf("progress went from %d to %d of %d", last, done, total)
			}
			last = done
			if got := e.snapshot("photoz").Realm.Generation; done < total && got != before {
				e.t.Errorf("the generation was raised at %d of %d", done, total)
			}
		}
		e.want("created", len(e.apply(c).Created), 1200)
		if calls < 3 {
			e.t.Errorf("got %d calls of Progress, want several", calls)
		}
		e.want("generation", e.snapshot("photoz").Realm.Generation, before+1)
		c.Progress = nil
		e.unchanged(c)
	},

	"an_interrupted_apply_is_finished_by_the_next": func(e *env) {
		for _, many := range []int{494, 1200} { // the first leaves nothing but the generation to the last batch
			c := e.realmFile("photoz")
			for i := range many {
				c.Resources = append(c.Resources, e.fileResource(fmt.Sprintf("Album %d of %d", i, many), "alice", "view"))
			}
			ctx, cancel := context.WithCancel(e.t.Context())
			c.Progress = func(done, total int) {
				if done < total {
					cancel()
				}
			}
			generation := e.generation()
			_, err := e.s.ApplyRealm(ctx, c)
			e.wantErr("apply", err, context.Canceled)
			e.want("generation", e.generation(), generation)
			fingerprint, err := e.s.RealmFingerprint(e.t.Context(), "photoz")
			e.must(err)
			e.want("fingerprint", fingerprint, []byte(nil))
			c.Progress = nil
			e.raised("the next change", func() { e.apply(c) })
			e.unchanged(c)
		}
	},
}
