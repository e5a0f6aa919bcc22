package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// The numbers of TestSharesReadBounded. One owner has ownedMany resources. Each requester
// was granted `view` of each, the first requester has a pending request for `delete`, and
// each has a policy for a role and one user. These are more than 100,000 shares, and more
// names than maxMisses.
const (
	ownedFew   = 400
	ownedMany  = 11_000
	requesters = 9
)

// manyShares makes a store with that many resources and returns its path and its realm.
// The resources are called Album and their number, the last one Zoo.
func manyShares(t *testing.T, resources int) (path string, snapshot *uma.Snapshot) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "many.db")
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	snapshot = smallRealm(t, s)
	server := snapshot.Clients["api"].Key
	err = s.write(t.Context(), func(tx *conn) error {
		for _, statement := range []string{
			`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
			 INSERT INTO resource (id, server, owner, own, name, name_folded, display_name, type, type_folded, icon_uri, uris,
				scopes, owner_managed, attributes, origin, drifted, version)
			 SELECT printf('r%05d', i), ?2, 'alice-id', 0, iif(i < ?1, printf('Album %05d', i), 'Zoo'),
				iif(i < ?1, printf('album %05d', i), 'zoo'), '', 'album', 'album', '', '[]', '["view","delete"]', 1, '{}', 'api', 0, i FROM n`,
			`INSERT INTO resource_part (rowid, server, name, type) SELECT key, '#1#', name_folded, type FROM resource LIMIT ?1`,
			`INSERT INTO scope (server, name, id, origin) SELECT ?2, value, value, 'api' FROM json_each('["view","delete"]') LIMIT ?1`,
			`WITH RECURSIVE u (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM u WHERE i < ?3)
			 INSERT INTO request (id, server, resource, resource_id, resource_name, owner, requester, scope, scope_id, state, created,
				decided, version)
			 SELECT printf('q%05d-%d', r.key, i), ?2, r.key, r.id, r.name, r.owner, printf('user-%d', i % ?3),
				iif(i < ?3, 'view', 'delete'), '', iif(i < ?3, 'granted', 'pending'), 0, 0, ?1 + r.key FROM resource r, u`,
			`INSERT INTO share (id, server, resource, resource_id, owner, name, name_folded, description, scopes, users, roles, groups,
				clients, strategy, version, audience)
			 SELECT 'p' || r.id, ?2, r.key, r.id, r.owner, 'For ' || r.name, 'for ' || r.name_folded, '', '["view"]',
				json_array('friend-of-' || r.id), '["friend"]', '[]', '[]', 'AFFIRMATIVE', ?1 + r.key, ?1 + r.key FROM resource r`,
			`INSERT INTO share_party (resource, party, share) SELECT resource, 'u:friend-of-' || resource_id, key FROM share
			 UNION ALL SELECT resource, 'r:friend', key FROM share`,
			`UPDATE counter SET value = 1000000 WHERE name = 'version'`,
		} {
			args := []any{resources, int64(server), requesters}
			stmt, err := tx.db.Prepare(statement)
			if err == nil {
				_, err = tx.exec(statement, args[:stmt.BindParamCount()]...)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, snapshot
}

// With 100,000 shares of 10,000 resources of one owner, each statement of token
// requests, approvals, withdrawals, lists of requests and account pages finds its rows
// by an index, and reads no more than the page: see readMany.
func TestSharesReadBounded(t *testing.T) {
	t.Parallel()
	few := readStore(t, ownedFew, nil)
	seen := statements{all: map[string]bool{}}
	many := readStore(t, ownedMany, &seen)
	for what, pages := range many {
		// A larger B-tree has one or two levels more. A part of very many names is found
		// by a walk.
		if most := few[what]*2 + 50; pages > most {
			t.Errorf("%s: %d pages were read, want at most %d, since %d were read with fewer shares", what, pages, most, few[what])
		}
	}
	if len(seen.all) < 50 {
		t.Fatalf("only %d statements were prepared", len(seen.all))
	}
	s := openTemp(t, nil)
	for query := range seen.all {
		if strings.Contains(query, "FROM sqlite_sequence") { // a row for each table that has numbers
			continue
		}
		for _, step := range plan(t, s, query) {
			sought := strings.HasPrefix(step, "SEARCH ") && narrow.MatchString(step)
			if strings.HasPrefix(step, "SEARCH decision") && strings.Contains(query, "max(") {
				continue // the end of a table
			}
			if !sought && !small.MatchString(step) && !inOrder.MatchString(step) &&
				!(step == sorted && strings.Contains(query, "+q.state")) {
				t.Errorf("%s\n\t%s", strings.Join(strings.Fields(query), " "), step)
			}
		}
	}
}

var (
	// Keys that few rows have: the rows of one resource, or a step of a list that ends with
	// its page.
	narrow = regexp.MustCompile(`[( ](rowid|id|resource|share|scope|name|resource_name)=\?|[( ](id|name|resource_name)>\?|` +
		`\(resource_name,resource_id\)>\(\?,\?\)`)

	// Virtual tables, and tables that have no more rows when more is shared.
	small = regexp.MustCompile(`^(SCAN (json_each|x|resource_part|share_part) VIRTUAL TABLE|SCAN (CONSTANT ROW|dropped|sqlite_schema|w|k|walk|\(subquery-\d+\))$|` +
		`SEARCH c USING INDEX client_server|USING ROWID SEARCH ON TABLE dropped|CO-ROUTINE|COMPOUND|CORRELATED|CREATE BLOOM FILTER|LEFT-MOST|LIST SUBQUERY|SCALAR SUBQUERY|` +
		`RECURSIVE STEP|SETUP|UNION ALL|MERGE|LEFT|RIGHT)`)

	// The requests of one user for one resource are sorted.
	sorted = "USE TEMP B-TREE FOR ORDER BY"

	// Lists in the order of their index, which end with their page. The number of pages
	// shows that rows that are skipped or counted are not read.
	inOrder = regexp.MustCompile(`^SEARCH q USING (INDEX request_shared \(server=\? AND requester=\?\)$|` +
		`INDEX request_\w+ \(server=\? AND ([a-z]+=\? AND )*state=\?)`)
)

// writeMany approves, shares and withdraws. It checks that the number of rows that each
// changes does not depend on the number of shares.
func writeMany(t *testing.T, s *Store, snapshot *uma.Snapshot) {
	t.Helper()
	realm, server := snapshot.Realm.Key, snapshot.Clients["api"].Key
	var shared *uma.Request
	err := s.read(t.Context(), func(c *conn) (err error) {
		shared, err = realmRequest(c, realm, "q05000-0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	newID := func() string { last++; return fmt.Sprint("new-", last) }
	policy := &uma.Share{ID: "new", Name: "new", Server: server, Resource: 5000, Owner: "alice-id", Scopes: []uma.Scope{"view"},
		Users: []string{"dave"}, Strategy: rows.Unanimous}
	for _, step := range []struct {
		what string
		most int64 // rows that are changed
		do   func(ctx context.Context) error
	}{
		{"approve some", 6, func(ctx context.Context) error {
			return s.DecideRequests(ctx, realm, "alice-id", map[string]bool{"q00001-9": true, "q00002-9": false, "q00003-9": true}, at)
		}},
		{"approve one", 2, func(ctx context.Context) error { return s.DecideRequest(ctx, server, "q00004-9", true, at) }},
		{"withdraw one", 1, func(ctx context.Context) error { return s.DecideRequest(ctx, server, "q00004-0", false, at) }},
		{"delete one", 1, func(ctx context.Context) error { return s.DeleteRequest(ctx, server, "q00004-1") }},
		{"share with one", 4, func(ctx context.Context) error {
			return s.ShareResource(ctx, &uma.ShareChange{Realm: realm, Resource: 5000, Owner: "alice-id", There: true,
				Grants: map[string][]uma.Scope{"carol": {"view"}, "user-1": nil}, NewID: newID, Now: at})
		}},
		{"take from the rest", requesters + 3, func(ctx context.Context) error {
			return s.ShareResource(ctx, &uma.ShareChange{Realm: realm, Resource: 5001, Owner: "alice-id", Only: true,
				Grants: map[string][]uma.Scope{"user-0": {"view", "delete"}}, NewID: newID, Now: at})
		}},
		{"make a policy", 9, func(ctx context.Context) error { return s.CreateShare(ctx, policy) }},
		{"replace a policy", 5, func(ctx context.Context) error {
			policy.Users = append(policy.Users, "erin")
			return s.ReplaceShare(ctx, policy)
		}},
		{"a token request", 6, func(ctx context.Context) error {
			rests := &uma.Rests{Generation: snapshot.Realm.Generation, Resources: map[uma.Key]int64{5000: 5000},
				Requests: map[uma.Key]int64{shared.Key: shared.Version}, Policies: map[uma.Key]int64{policy.Key: policy.Version}}
			return s.Commit(ctx, &uma.Settlement{Realm: realm, Now: at, Records: []uma.Record{{ID: "d", Event: []byte("{}")}},
				RestsOn: rests, RPT: &uma.RPT{JTI: "jti", Expires: at, Keep: at}})
		}},
		{"withdraw a policy", 9, func(ctx context.Context) error { return s.DeleteShare(ctx, server, policy.ID) }},
		{"take a scope away", 60, func(ctx context.Context) error {
			r := &uma.Resource{ID: "r07000", Server: server, Name: "Album 07000", Type: "album", Scopes: []uma.Scope{"delete"}, OwnerManaged: true}
			return s.ReplaceResource(ctx, r, newID)
		}},
		{"delete a resource", 60, func(ctx context.Context) error { return s.DeleteResource(ctx, server, "r08000") }},
	} {
		before := changes(t, s)
		if err := step.do(t.Context()); err != nil {
			t.Errorf("%s: %v", step.what, err)
		}
		if n := changes(t, s) - before; n == 0 || n > step.most {
			t.Errorf("%s: %d rows were changed, want at most %d", step.what, n, step.most)
		}
	}
}
