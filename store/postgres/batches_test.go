package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/uma"
)

// A counter counts the statements that contain a text.
type counter struct {
	recorder
	text string

	mu sync.Mutex
	n  int
}

func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range data.Batch.QueuedQueries {
		if c.text != "" && strings.Contains(q.SQL, c.text) {
			c.n++
		}
	}
	return ctx
}

// counting counts the statements with a text while f runs.
func (c *counter) counting(text string, f func()) int {
	c.mu.Lock()
	c.text, c.n = text, 0
	c.mu.Unlock()
	f()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// No statement changes more than walkRows requests of a resource that gets another name or owner, or loses a scope.
func TestRequestsOfAResourceChangeInBatches(t *testing.T) {
	t.Parallel()
	sent := &counter{}
	s := openTemp(t, func(c *Config) { c.tracer = sent })
	const batches = 3
	server := album(t, s, (batches-1)*walkRows+1, 0)
	replace := func(name string, scopes ...uma.Scope) func() {
		return func() {
			err := s.ReplaceResource(t.Context(), &uma.Resource{ID: "album", Server: server, Name: name, Scopes: scopes, OwnerManaged: true}, newIDs(name))
			if err != nil {
				t.Error(err)
			}
		}
	}
	named := func(condition string, want int) {
		t.Helper()
		if got := len(rowsOf(t, s, `SELECT id FROM request WHERE `+condition)); got != want {
			t.Errorf("%d requests with %s, want %d", got, condition, want)
		}
	}
	all := (batches-1)*walkRows + 1
	named(`resource_name = 'Album'`, all)
	if n := sent.counting(`UPDATE request q SET resource_name`, replace("Renamed", "view")); n != batches {
		t.Errorf("a name was changed by %d statements, want %d", n, batches)
	}
	named(`resource_name = 'Renamed' AND owner = 'alice-id'`, all)
	n := sent.counting(`UPDATE request q SET resource_name`, func() {
		err := s.write(t.Context(), func(tx *conn) error {
			locked, err := lockResources(tx, []uma.Key{1})
			if err != nil {
				return err
			}
			return transfer(tx, locked[0], "user-7")
		})
		if err != nil {
			t.Error(err)
		}
	})
	if n != batches {
		t.Errorf("an owner was changed by %d statements, want %d", n, batches)
	}
	named(`owner = 'user-7'`, all-1) // what the new owner asked for is deleted
	run(t, s, command{query: `UPDATE request SET scope = 'edit' WHERE requester IN ('user-1', 'user-99999')`})
	if n := sent.counting(`DELETE FROM request q USING batch`, replace("Renamed", "edit")); n != batches {
		t.Errorf("a scope was removed by %d statements, want %d", n, batches)
	}
	named(`scope = 'edit'`, 1)
	named(`true`, 1)
}

// No statement ends more than walkRows sessions.
func TestSessionsEndInBatches(t *testing.T) {
	t.Parallel()
	sent := &counter{}
	s := openTemp(t, func(c *Config) { c.tracer = sent })
	realm := smallRealm(t, s)
	const batches = 3
	run(t, s, sessions(realm.Realm.Key, (batches-1)*walkRows+1))
	file := &uma.RealmChange{
		Realm:   realm.Realm,
		Clients: []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}},
		Users:   []*uma.User{{ID: "alice-id", Username: "alice", Password: "another", Enabled: true}},
		Now:     at,
	}
	check := func(what string, change func()) {
		t.Helper()
		if n := sent.counting(`UPDATE session s SET ended`, change); n != batches {
			t.Errorf("%s: %d statements, want %d", what, n, batches)
		}
		if left := rowsOf(t, s, `SELECT id FROM session WHERE NOT ended`); len(left) > 0 {
			t.Errorf("%s: %d sessions go on", what, len(left))
		}
		run(t, s, command{query: `UPDATE session SET ended = false`})
	}
	check("a new password", func() { apply(t, s, file) })
	file.Clients[0].Enabled = false
	apply(t, s, file)
	file.Clients[0].Enabled = true
	check("a client that is enabled again", func() { apply(t, s, file) })
	check("a disabled party", func() {
		err := s.write(t.Context(), func(tx *conn) error {
			u, err := lockUser(tx, realm.Realm.Key, "alice-id")
			if err != nil {
				return err
			}
			return setEnabled(tx, realm.Realm.Key, u, false)
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// sessions is the command that makes sessions of alice through the client api.
func sessions(realm uma.Key, n int) command {
	return command{query: `INSERT INTO session (realm, id, user_id, client, scope, started, expires, ended)
		SELECT $1, 's' || n, 'alice-id', 'api', '', 0, $3, false FROM generate_series(1, $2::int) n`,
		args: []any{realm, n, millis(at.AddDate(1, 0, 0))}}
}

// A user or client that is removed with very many sessions, requests and policies is removed in transactions of bounded size.
func TestRemovedUserAndClientAreBounded(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	realm := smallRealm(t, s)
	const many = 2*applyRows + 1
	policies := 3 * partyBatch
	server := realm.Clients["api"].Key
	file := &uma.RealmChange{Realm: realm.Realm, Prune: true, Now: at,
		Clients: []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}, {ID: "web", UUID: "web-uuid", Enabled: true}},
		Users:   []*uma.User{{ID: "alice-id", Username: "alice", Enabled: true}, {ID: "bob-id", Username: "bob", Enabled: true}}}
	apply(t, s, file)
	left := func(condition string) int { return len(rowsOf(t, s, `SELECT id FROM session WHERE `+condition)) }
	for what, tc := range map[string]struct {
		sessions string
		remove   func()
	}{
		"user":   {`UPDATE session SET user_id = 'bob-id'`, func() { file.Users = file.Users[:1] }},
		"client": {`UPDATE session SET client = 'web'`, func() { file.Clients = file.Clients[:1] }},
	} {
		run(t, s, sessions(realm.Realm.Key, many), command{query: tc.sessions})
		if what == "user" {
			addNaming(t, s, server, policies, "bob-id")
			run(t, s, command{query: `INSERT INTO request (id, server, resource, resource_id, resource_name, owner, requester, scope, scope_id, state,
					created, decided, version)
				SELECT n, $1, 1000000 + n, '', '', '', 'bob-id', 'view', '', 'granted', 0, 0, 1 FROM generate_series(1, $2::int) n`, args: []any{server, many}})
		}
		tc.remove()
		last, most := many, 0
		file.Progress = func(int, int) {
			n := left(`true`) + len(rowsOf(t, s, `SELECT id FROM request`))
			last, most = n, max(most, last-n)
		}
		last = left(`true`) + len(rowsOf(t, s, `SELECT id FROM request`))
		report := apply(t, s, file)
		if len(report.Removed) != 1 || last != 0 {
			t.Errorf("%s: got %q removed, and %d rows are left", what, report.Removed, last)
		}
		if most >= 2*applyRows {
			t.Errorf("%s: %d rows were deleted in one transaction, want about %d", what, most, applyRows)
		}
		if named := rowsOf(t, s, `SELECT id FROM share WHERE 'bob-id' = ANY (users) AND strategy <> 'CONSENSUS'`); what == "user" && len(named) > 0 {
			t.Errorf("%d policies name the user", len(named))
		}
	}
}

// addNaming adds policies that name a user, of which a third keeps the name.
func addNaming(t *testing.T, s *Store, server uma.Key, policies int, user string) {
	t.Helper()
	err := s.CreateResource(t.Context(), &uma.Resource{ID: "named", Server: server, Owner: "alice-id", Name: "Named", OwnerManaged: true}, newIDs(""))
	if err != nil {
		t.Fatal(err)
	}
	run(t, s,
		command{query: `INSERT INTO share (id, server, resource, resource_id, owner, name, name_folded, description, scopes, users, roles,
				groups, clients, strategy, size, version, audience)
			SELECT r.id || n, r.server, r.key, r.id, r.owner, 'p' || n, 'p' || n, '', '{}', ARRAY[$1], '{friend}', '{}', '{}',
				CASE n % 3 WHEN 0 THEN 'CONSENSUS' ELSE 'AFFIRMATIVE' END, 0, 1, 1 FROM resource r, generate_series(1, $2::int) n WHERE r.id = 'named'`,
			args: []any{user, policies}},
		command{query: `INSERT INTO share_party (resource, party, share) SELECT resource, 'u:' || $1, key FROM share`, args: []any{user}})
}

// A party that very many policies name is removed from a batch of them at a time, also from those that keep its id.
func TestPoliciesLoseAPartyInBatches(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	realm := trustingRealm(t, s)
	key := realm.Realm.Key
	u, err := s.AdmitParty(t.Context(), key, admissionOf("1", "bob-id", "bob", ""))
	if err != nil {
		t.Fatal(err)
	}
	addNaming(t, s, realm.Clients["api"].Key, 2*partyBatch+1, u.ID)
	report, err := s.DeleteParty(&endingContext{t.Context(), 2}, &uma.PartyRemoval{Realm: key, ID: u.ID})
	if !errors.Is(err, context.Canceled) || report.Shares != partyBatch {
		t.Fatalf("got %+v, %v", report, err)
	}
	kept := partyBatch / 3 // of the first batch
	report, err = s.DeleteParty(t.Context(), &uma.PartyRemoval{Realm: key, ID: u.ID})
	if err != nil || report.Shares != partyBatch+1+kept {
		t.Errorf("repeated: got %+v, %v", report, err)
	}
	named := rowsOf(t, s, `SELECT DISTINCT strategy FROM share WHERE cardinality(users) > 0`)
	if !slices.Equal(named, []string{"CONSENSUS"}) {
		t.Errorf("the party is left in policies %q", named)
	}
}
