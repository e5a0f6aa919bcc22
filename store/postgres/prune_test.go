package postgres

import (
	"errors"
	"slices"
	"testing"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A scope is not deleted while a resource that has it is being stored.
func TestScopeThatIsGivenMeanwhileStays(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	realm := smallRealm(t, s)
	file := &uma.RealmChange{Now: at, Clients: []*uma.Client{realm.Clients["api"]}, Realm: uma.Realm{Name: "photoz", Enabled: true},
		Users:  []*uma.User{{ID: "alice-id", Username: "alice", Enabled: true}},
		Scopes: map[string][]uma.ScopeRow{"api": {{ID: "view-id", Name: "view"}}}}
	if _, err := s.ApplyRealm(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	stored, commit, created := make(chan bool), make(chan bool), make(chan error)
	go func() {
		created <- s.write(t.Context(), func(tx *conn) error {
			r := &uma.Resource{ID: "album", Server: realm.Clients["api"].Key, Owner: "alice-id", Name: "Album", Scopes: []uma.Scope{"view"}}
			err := insertResources(tx, r.Server, []*uma.Resource{r}, addScopes(r, newIDs("scope"))...)
			close(stored)
			<-commit
			return err
		})
	}()
	<-stored
	applied := make(chan *uma.RealmReport, 1)
	go func() {
		file.Scopes = nil
		report, err := s.ApplyRealm(t.Context(), file)
		if err != nil {
			t.Error(err)
		}
		applied <- report
	}()
	awaitWaiting(t, s, applied)
	close(commit)
	if err := <-created; err != nil {
		t.Fatal(err)
	}
	if report := <-applied; len(report.Kept) != 1 || len(report.Removed) > 0 {
		t.Errorf("got %+v, want the scope kept", report)
	}
	if got := rowsOf(t, s, `SELECT id FROM scope`); len(got) != 1 || got[0] != "view-id" {
		t.Errorf("got scopes %v, want the one that the resource has", got)
	}
}

// Users and resources are compared page by page: none is left out.
func TestLeftoversOfSeveralPages(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	realm := smallRealm(t, s)
	const many = leftoverPage + 1
	run(t, s,
		command{query: `INSERT INTO users (realm, id, username, folded, password, enabled, roles, client_roles, groups, claims, origin, version)
			SELECT $1, 'user-' || n, 'user-' || n, 'user-' || n, '', true, '{}', '{}', '{}', '{}', 'file', 1 FROM generate_series(1, $2::int) n`,
			args: []any{realm.Realm.Key, many}},
		command{query: `INSERT INTO resource (id, server, owner, own, name, name_folded, display_name, type, type_folded, icon_uri, uris, scopes,
				owner_managed, attributes, origin, texts, drifted, version)
			SELECT n, $1, 'alice-id', false, n, n, '', '', '', '', '{}', '{}', true, '', 'file', '', n % 2 = 0, 1 FROM generate_series(1, $2::int) n`,
			args: []any{realm.Clients["api"].Key, many}})
	file := &uma.RealmChange{Now: at, Clients: []*uma.Client{realm.Clients["api"]}, Realm: uma.Realm{Name: "photoz"},
		Users: []*uma.User{{ID: "alice-id", Username: "alice"}}}
	a := &applier{RealmChange: file, named: rows.NamedBy(file), drifted: map[uma.Key]bool{}}
	if err := s.read(t.Context(), a.findLeftovers); err != nil {
		t.Fatal(err)
	}
	if len(a.gone.users) != many || len(a.gone.resources) != many || len(a.drifted) != many/2 || len(a.Report.Kept) > 0 {
		t.Errorf("got %d users, %d resources, %d of them drifted, and %d in use, want %d", len(a.gone.users), len(a.gone.resources),
			len(a.drifted), len(a.Report.Kept), many)
	}
}

// A user is removed while a settlement of that user asks an owner. The request is found by who removes the user: it goes, too, or
// the user stays and is disabled.
func TestRemovedUserAsksNobody(t *testing.T) {
	t.Parallel()
	for _, prune := range []bool{true, false} {
		s := openTemp(t, nil)
		file := func(users ...*uma.User) *uma.RealmChange {
			f := photos("album")
			f.Resources, f.Prune, f.Lenient = nil, prune, !prune
			f.Users = append(f.Users, users...)
			return f
		}
		apply(t, s, file(&uma.User{ID: "bob-id", Username: "bob", Enabled: true}))
		snapshot, err := s.Snapshot(t.Context(), "photoz", at)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), record("the first of its month")); err != nil {
			t.Fatal(err)
		}
		two := &twoServers{T: t, servers: []*Store{s, s}, realm: snapshot.Realm.Key, server: snapshot.Clients["api"].Key}
		asks := record("asks")
		asks.Realm, asks.Requests = two.realm, []uma.Request{*two.request(two.album(), "bob-id")}
		tx, err := s.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), lockNumbers); err != nil {
			t.Fatal(err)
		}
		asked, applied := make(chan error, 1), make(chan error, 1)
		go func() { asked <- s.Commit(t.Context(), asks) }()
		awaitWaiting(t, s, asked)
		go func() {
			_, err := s.ApplyRealm(t.Context(), file())
			applied <- err
		}()
		awaitWaiters(t, s, 2, applied)
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(<-asked, <-applied); err != nil {
			t.Error(err)
		}
		left := rowsOf(t, s, `SELECT 'user' FROM users WHERE id = 'bob-id' AND NOT enabled UNION ALL SELECT 'request' FROM request`)
		if prune && len(left) > 0 || !prune && !slices.Equal(left, []string{"user", "request"}) {
			t.Errorf("prune %t: got %v left", prune, left)
		}
	}
}
