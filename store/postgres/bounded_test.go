package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"testing"

	"example.com/umpire/uma"
)

// The numbers of TestSharesReadBounded. One owner has ownedMany resources, more than maxMisses. Each
// requester was granted `view` of each, the first one has a pending request for `delete`, and each
// has a policy for a role and one user.
const (
	ownedFew   = 400
	ownedMany  = 6_000
	requesters = 4
)

// addShares adds resources from number `from` on, called Album and their number, the last one Zoo.
func addShares(t *testing.T, s *Store, server uma.Key, from, to int) {
	t.Helper()
	run(t, s,
		command{query: `UPDATE resource SET name = 'Album ' || id, name_folded = 'album ' || id WHERE name = 'Zoo'`},
		command{query: `UPDATE request SET resource_name = 'Album ' || resource_id WHERE resource_name = 'Zoo'`},
		command{query: `INSERT INTO resource (id, server, owner, own, name, name_folded, display_name, type, type_folded, icon_uri, uris,
				scopes, owner_managed, attributes, origin, texts, drifted, version)
			SELECT to_char(i, 'FM00000'), $1, 'alice-id', false, CASE WHEN i < $3 THEN 'Album ' || to_char(i, 'FM00000') ELSE 'Zoo' END,
				CASE WHEN i < $3 THEN 'album ' || to_char(i, 'FM00000') ELSE 'zoo' END, '', 'album', 'album', '', '{}', '{view,delete}', true,
				'{}', 'api', '', false, nextval('version') FROM generate_series($2::int, $3::int) i`, args: []any{server, from, to}},
		command{query: `INSERT INTO scope (server, name, id, origin) SELECT $1, x, x, 'api' FROM unnest('{view,delete}'::text[]) x ON CONFLICT DO NOTHING`,
			args: []any{server}},
		command{query: `INSERT INTO request (id, server, resource, resource_id, resource_name, owner, requester, scope, scope_id, state,
				created, decided, version)
			SELECT 'q' || r.id || '-' || i, server, r.key, r.id, r.name, r.owner, 'user-' || i % $1, CASE WHEN i < $1 THEN 'view' ELSE 'delete' END,
				'', CASE WHEN i < $1 THEN 'granted' ELSE 'pending' END, 0, 0, 1 FROM resource r, generate_series(0, $1::int) i WHERE r.id >= $2`,
			args: []any{requesters, fmt.Sprintf("%05d", from)}},
		command{query: `INSERT INTO share (id, server, resource, resource_id, owner, name, name_folded, description, scopes, users, roles,
				groups, clients, strategy, size, version, audience)
			SELECT 'p' || r.id, server, r.key, r.id, r.owner, 'For ' || r.id, 'for ' || r.id, '', '{view}', ARRAY['friend-of-' || r.id], '{friend}',
				'{}', '{}', 'AFFIRMATIVE', 0, 1, 1 FROM resource r WHERE r.id >= $1`, args: []any{fmt.Sprintf("%05d", from)}},
		command{query: `INSERT INTO share_party (resource, party, share) SELECT resource, x.party, key FROM share,
				unnest(ARRAY['u:friend-of-' || resource_id, 'r:friend']) x (party) WHERE resource_id >= $1`, args: []any{fmt.Sprintf("%05d", from)}})
}

// With more shares than an owner can have on a page, each read of token requests, lists of
// requests and account pages reads no more rows and entries of indexes than with few: also with
// plans that were made when there were few, as a connection keeps them, and with those of other
// statistics.
func TestSharesReadBounded(t *testing.T) {
	t.Parallel()
	url := newDatabase(t) + "&plan_cache_mode="
	s := open(t, Config{URL: url + "force_generic_plan", connections: 1})
	snapshot := smallRealm(t, s)
	realm, server := snapshot.Realm.Key, snapshot.Clients["api"].Key
	for _, table := range []string{"resource", "request", "share", "share_party", "dropped"} {
		run(t, s, command{query: `ALTER TABLE ` + table + ` SET (autovacuum_enabled = false)`})
	}
	addShares(t, s, server, 1, ownedFew)
	run(t, s, command{query: `ANALYZE resource, client`})
	few := readShares(t, s, realm, server, ownedFew)
	addShares(t, s, server, ownedFew+1, ownedMany)
	compare := func(what string, s *Store) {
		t.Helper()
		for name, rows := range readShares(t, s, realm, server, ownedMany) {
			if most := few[name]*2 + 100; rows > most {
				t.Errorf("%s, %s: %d rows and entries were read, want at most %d: %d were read with fewer shares", what, name, rows, most, few[name])
			}
		}
	}
	compare("plans of before", s)
	run(t, s, command{query: `ANALYZE resource, request, share, share_party, scope, client`})
	compare("with statistics", s)
	compare("with plans for each", open(t, Config{URL: url + "force_custom_plan", connections: 1}))
}

// A meter counts the rows and entries of indexes that reads look at.
type meter struct {
	*testing.T
	view *view
	read map[string]int
	last int
}

// looked returns the number since its last call.
func (m *meter) looked() int {
	m.Helper()
	total := 0
	err := m.view.conn(m.Context()).row(`SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)::bigint FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')`, nil, &total)
	if err != nil {
		m.Fatal(err)
	}
	read := total - m.last
	m.last = total
	return read
}

// want checks the result of a read and notes how much it read.
func (m *meter) want(what string, got, want int, err error) {
	m.Helper()
	if err != nil || got != want {
		m.Errorf("%s: got %d and error %v, want %d", what, got, err, want)
	}
	m.read[what] = m.looked()
}

// readShares reads like token requests and account pages, and returns how much each read looked at.
func readShares(t *testing.T, s *Store, realm, server uma.Key, resources int) map[string]int {
	t.Helper()
	v, err := s.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}()
	m := &meter{T: t, view: v.(*view), read: map[string]int{}}
	m.looked()
	m.readShared(server)
	m.readLists(realm, server)
	m.readRequests(server)
	if resources > maxMisses {
		m.readVague(realm, server)
	}
	return m.read
}

func (m *meter) readShared(server uma.Key) {
	m.Helper()
	ctx, v := m.Context(), m.view
	party := &uma.Party{ID: "user-0", Roles: []string{"friend"}}
	page := make([]uma.Key, 50)
	for i := range page {
		page[i] = uma.Key(i + 1)
	}
	shares, requests, err := v.Between(ctx, party, page[:1], at)
	m.want("between, of one", len(shares)+len(requests), 3, err)
	shares, requests, err = v.Between(ctx, party, page, at)
	m.want("between, of a page", len(shares)+len(requests), 150, err)
	var grants []uma.Grant
	for i := range page {
		grants = append(grants, uma.Grant{Resource: uma.ResourceID(fmt.Sprintf("%05d", i+1)), Scopes: []uma.Scope{"view"},
			Shares: []uma.GrantShare{{ID: fmt.Sprintf("q%05d-0", i+1)}, {ID: fmt.Sprintf("p%05d", i+1)}}})
	}
	validity, err := v.Validity(ctx, server, grants)
	if err != nil {
		m.Fatal(err)
	}
	m.want("valid shares", len(validity.Shares), 100, nil)
	found, err := v.SharedWith(ctx, server, "user-0", "", 50)
	m.want("shared with", len(found), 50, err)
	found, err = v.SharedWith(ctx, server, "user-0", "Album 00007", 50)
	m.want("shared with, by name", len(found), 1, err)
	found, err = v.RequestsFor(ctx, page[:20], uma.Granted, "")
	m.want("granted for a page", len(found), 20*requesters, err)
	found, err = v.RequestsFor(ctx, page[:20], uma.Pending, "user-0")
	m.want("pending for a page", len(found), 20, err)
	var keys []uma.Key
	for _, q := range found {
		keys = append(keys, q.Key)
	}
	found, err = v.PendingBeside(ctx, keys)
	m.want("pending beside", len(found), 20, err)
	for what, of := range map[string]struct {
		uma.UserPoliciesOf
		want int
	}{
		"all":         {uma.UserPoliciesOf{}, 20},
		"an owner":    {uma.UserPoliciesOf{Owner: "bob-id"}, 0},
		"a resource":  {uma.UserPoliciesOf{Resource: "00200"}, 1},
		"a user":      {uma.UserPoliciesOf{User: "friend-of-00200"}, 1},
		"all of them": {uma.UserPoliciesOf{Owner: "alice-id", Resource: "00200", User: "friend-of-00200"}, 1},
		"others":      {uma.UserPoliciesOf{Owner: "bob-id", Resource: "00200"}, 0},
	} {
		policies, err := v.SharesAfter(ctx, server, of.UserPoliciesOf, "", 20)
		m.want("listed policies of "+what, len(policies), of.want, err)
	}
	for what, f := range map[string]uma.UserPolicyFilter{"all": {}, "after": {After: "For 00200"}, "of one": {Resource: "00200"},
		"by a name": {Name: "for 00007"}, "by a part": {Name: "for", After: "For 00200"}, "of a scope": {Scope: "view"}} {
		policies, err := v.FindShares(ctx, server, "alice-id", f, 0, 20)
		m.want("policies "+what, len(policies), map[bool]int{true: 1, false: 20}[f.Resource != "" || f.Name == "for 00007"], err)
	}
}

func (m *meter) readLists(realm, server uma.Key) {
	m.Helper()
	ctx, v := m.Context(), m.view
	for name, matches := range map[string]int{"": 20, "album": 20, "al": 20, "00399": 1, "none": 0} {
		owned, err := v.OwnedResources(ctx, realm, "alice-id", name, 0, 20)
		m.want("owned, by "+name, len(owned), matches, err)
		for what, f := range sharings(server) {
			f.Name = name
			shared, err := v.SharedResources(ctx, realm, f, 0, 20)
			m.want("shared "+what+", by "+name, len(shared), matches, err)
		}
	}
	found, err := v.PendingOf(ctx, realm, "alice-id", "q00200", 20)
	m.want("pending of an owner", len(found), 20, err)
	found, err = v.PendingBy(ctx, realm, "user-0", "q00200", 20)
	m.want("pending by a requester", len(found), 20, err)
	one, err := v.OwnedResource(ctx, realm, "alice-id", "00200")
	m.want("owned", int(one.Key), 200, err)
	q, err := v.RealmRequest(ctx, realm, "q00200-3")
	m.want("request", int(q.Resource), 200, err)
	q, err = v.Request(ctx, server, "q00200-3")
	m.want("request at its server", int(q.Resource), 200, err)
}

// sharings are the filters of lists of shared resources.
func sharings(server uma.Key) map[string]uma.GrantedFilter {
	return map[string]uma.GrantedFilter{
		"by":      {Owner: "alice-id"},
		"with":    {Requester: "user-3"},
		"between": {Owner: "alice-id", Requester: "user-3"},
		"at one":  {Owner: "alice-id", Server: server},
	}
}

// readRequests lists requests by each filter that has an index: the first page and a later one.
func (m *meter) readRequests(server uma.Key) {
	m.Helper()
	yes, no := true, false
	for what, tc := range map[string]struct {
		f                uma.RequestFilter
		pending, granted int // on a page
	}{
		"all":                    {uma.RequestFilter{}, 20, 20},
		"by owner":               {uma.RequestFilter{Owner: "alice-id"}, 20, 20},
		"by requester":           {uma.RequestFilter{Requester: "user-0"}, 20, 20},
		"by one who asks not":    {uma.RequestFilter{Requester: "user-3"}, 0, 20},
		"by both":                {uma.RequestFilter{Owner: "alice-id", Requester: "user-0"}, 20, 20},
		"by both, one asks not":  {uma.RequestFilter{Owner: "alice-id", Requester: "user-3"}, 0, 20},
		"by both, one owns not":  {uma.RequestFilter{Owner: "user-0", Requester: "user-3"}, 0, 0},
		"of an owner":            {uma.RequestFilter{Party: "alice-id"}, 20, 20},
		"of a requester":         {uma.RequestFilter{Party: "user-0"}, 20, 20},
		"of one who asks not":    {uma.RequestFilter{Party: "user-3"}, 0, 20},
		"of an owner, by other":  {uma.RequestFilter{Party: "alice-id", Requester: "user-3"}, 0, 20},
		"of a requester, by own": {uma.RequestFilter{Party: "user-3", Owner: "alice-id"}, 0, 20},
		"of nobody":              {uma.RequestFilter{Party: "mallory"}, 0, 0},
	} {
		for answer, n := range map[*bool]int{&no: tc.pending, &yes: tc.granted, nil: max(tc.pending, tc.granted)} {
			f := tc.f
			f.Granted = answer
			name := fmt.Sprintf("requests %s, %v", what, map[*bool]string{&no: "pending", &yes: "granted"}[answer])
			found, err := m.view.FindRequests(m.Context(), server, f, 0, 20)
			m.want(name, len(found), n, err)
			f.After = "q00200"
			found, err = m.view.FindRequests(m.Context(), server, f, 0, 20)
			m.want(name+", after", len(found), n, err)
		}
	}
	for what, tc := range map[string]struct {
		f    uma.RequestFilter
		want int
	}{
		"all":              {uma.RequestFilter{}, requesters + 1},
		"granted":          {uma.RequestFilter{Granted: &yes}, requesters},
		"of the owner":     {uma.RequestFilter{Party: "alice-id"}, requesters + 1},
		"by another":       {uma.RequestFilter{Owner: "bob-id"}, 0},
		"by a requester":   {uma.RequestFilter{Requester: "user-0"}, 2},
		"by both, a scope": {uma.RequestFilter{Owner: "alice-id", Requester: "user-0", ScopeID: "delete"}, 1},
	} {
		tc.f.Resource = "00200"
		found, err := m.view.FindRequests(m.Context(), server, tc.f, 0, 20)
		m.want("requests for one, "+what, len(found), tc.want, err)
		n, err := m.view.CountRequests(m.Context(), server, tc.f)
		m.want("number of requests for one, "+what, n, tc.want, err)
	}
	found, err := m.view.FindRequests(m.Context(), server, uma.RequestFilter{ScopeID: "delete"}, 0, 20)
	m.want("requests for a scope", len(found), 20, err)
}

// readVague reads with filters that no index has. It is refused if too many rows do not match, and
// reads few more.
func (m *meter) readVague(realm, server uma.Key) {
	m.Helper()
	ctx, v := m.Context(), m.view
	vague := func(what string, found int, err error) {
		m.Helper()
		if found > 0 || !errors.Is(err, uma.ErrVague) {
			m.Errorf("%s: got %d and error %v, want %v", what, found, err, uma.ErrVague)
		}
		if read := m.looked(); read > 5*maxMisses {
			m.Errorf("%s: %d rows and entries were read", what, read)
		}
	}
	for what, f := range map[string]uma.RequestFilter{"an owner": {Owner: "alice-id", ScopeID: "none"},
		"a party": {Party: "alice-id", ScopeID: "none"}, "a requester": {Requester: "user-3", ScopeID: "delete"}} {
		found, err := v.FindRequests(ctx, server, f, 0, 20)
		vague("requests for a scope of "+what, len(found), err)
	}
	for what, f := range map[string]uma.UserPolicyFilter{"a scope": {Scope: "none"}, "a short part": {Name: "%"}} {
		found, err := v.FindShares(ctx, server, "alice-id", f, 0, 20)
		vague("policies by "+what, len(found), err)
	}
	for _, part := range []string{"zz", "%%%"} {
		owned, err := v.OwnedResources(ctx, realm, "alice-id", part, 0, 20)
		vague("owned by "+part, len(owned), err)
		for what, f := range sharings(server) {
			f.Name = part
			shared, err := v.SharedResources(ctx, realm, f, 0, 20)
			vague("shared "+what+" by "+part, len(shared), err)
		}
	}
	last, err := v.OwnedResources(ctx, realm, "alice-id", "album", ownedMany-21, 20)
	m.looked()
	if err != nil || len(last) != 20 || cmp.Compare(last[0].Name, last[19].Name) >= 0 {
		m.Errorf("the last by a part of nearly all names: got %d and error %v", len(last), err)
	}
}
