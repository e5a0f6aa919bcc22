package sqlite

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
	"zombiezen.com/go/sqlite"

	"example.com/umpire/uma"
)

// readStore makes a store of manyShares and returns how many pages of the database each
// read of readMany read. With seen it changes shares, too, and collects the statements
// of both.
func readStore(t *testing.T, resources int, seen *statements) map[string]int {
	t.Helper()
	path, snapshot := manyShares(t, resources)
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s.Close)
	v, err := s.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, v.Close)
	m := &meter{t: t, v: v, c: v.(*view).conn, pages: map[string]int{}, resources: resources}
	m.readMany(snapshot.Realm.Key, snapshot.Clients["api"].Key)
	m.listRequests(snapshot.Clients["api"].Key)
	if seen != nil {
		m.walk(snapshot.Realm.Key, snapshot.Clients["api"].Key)
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		writeMany(t, s, snapshot)
		seen.collect(s)
	}
	return m.pages
}

// A meter counts the pages that a read needs, in the cache or not. SQLite counts them,
// and the number is the same at every run.
type meter struct {
	t         *testing.T
	v         uma.View
	c         *conn
	resources int
	pages     map[string]int
}

// want checks the result of a read and notes how many pages it needed.
func (m *meter) want(what string, got, want int, err error) {
	m.t.Helper()
	if err != nil || got != want {
		m.t.Errorf("%s, of %d: got %d and error %v, want %d", what, m.resources, got, err, want)
	}
	m.pages[what] += m.looked()
}

// looked returns the number of pages since its last call.
func (m *meter) looked() (pages int) {
	m.t.Helper()
	// The library offers no sqlite3_db_status: its handles are looked up.
	db := reflect.ValueOf(m.c.db).Elem()
	tls, handle := (*libc.TLS)(db.FieldByName("tls").UnsafePointer()), uintptr(db.FieldByName("conn").Uint())
	counts := libc.Xmalloc(tls, 8)
	defer libc.Xfree(tls, counts)
	for _, counter := range []int32{lib.SQLITE_DBSTATUS_CACHE_HIT, lib.SQLITE_DBSTATUS_CACHE_MISS} {
		if code := lib.Xsqlite3_db_status(tls, handle, counter, counts, counts+4, 1); code != lib.SQLITE_OK {
			m.t.Fatalf("status %d: %v", counter, sqlite.ResultCode(code))
		}
		pages += int(libc.AtomicLoadNInt32(counts, 0))
	}
	return pages
}

// readMany reads like token requests and account pages.
func (m *meter) readMany(realm, server uma.Key) {
	m.t.Helper()
	ctx, v := m.t.Context(), m.v
	middle := m.resources / 2
	party := &uma.Party{ID: "user-0", Roles: []string{"friend"}}
	page := make([]uma.Key, 200)
	var grants []uma.Grant
	for i := range page {
		page[i] = uma.Key(i + 1)
		grants = append(grants, uma.Grant{Resource: uma.ResourceID(fmt.Sprintf("r%05d", i+1)), Scopes: []uma.Scope{"view"},
			Shares: []uma.GrantShare{{ID: fmt.Sprintf("q%05d-0", i+1)}, {ID: fmt.Sprintf("pr%05d", i+1)}}})
	}
	m.looked()
	shares, requests, err := v.Between(ctx, party, page[:1], at)
	m.want("shares between, of one", len(shares), 2, err)
	m.want("requests between, of one", len(requests), 1, err)
	shares, _, err = v.Between(ctx, party, page, at)
	m.want("shares between, of a page", len(shares), 400, err)
	validity, err := v.Validity(ctx, server, grants)
	m.want("valid shares", len(validity.Shares), 400, err)
	found, err := v.SharedWith(ctx, server, "user-0", "", 50)
	m.want("shared with", len(found), 50, err)
	found, err = v.SharedWith(ctx, server, "user-0", "Album 00007", 50)
	m.want("shared with, by name", len(found), 1, err)
	for name, matches := range map[string]int{"": 20, "album": 20, "al": 20, "00399": 1, "zoo": 1, "none": 0} {
		owned, err := v.OwnedResources(ctx, realm, "alice-id", name, 0, 20)
		m.want("owned, by "+name, len(owned), matches, err)
		for what, f := range sharings(server) {
			f.Name = name
			shared, err := v.SharedResources(ctx, realm, f, 0, 20)
			m.want("shared "+what+", by "+name, len(shared), matches, err)
		}
	}
	found, err = v.RequestsFor(ctx, page[:20], uma.Granted, "")
	m.want("granted for a page", len(found), 20*requesters, err)
	found, err = v.RequestsFor(ctx, page[:20], uma.Pending, "user-0")
	m.want("pending for a page", len(found), 20, err)
	found, err = v.PendingOf(ctx, realm, "alice-id", fmt.Sprintf("q%05d", middle), 20)
	m.want("pending of an owner", len(found), 20, err)
	found, err = v.PendingBy(ctx, realm, "user-0", fmt.Sprintf("q%05d", middle), 20)
	m.want("pending by a requester", len(found), 20, err)
	one, err := v.OwnedResource(ctx, realm, "alice-id", "r00200")
	m.want("owned", int(one.Key), 200, err)
	q, err := v.RealmRequest(ctx, realm, "q00200-3")
	m.want("request", int(q.Resource), 200, err)
	for what, f := range map[string]uma.UserPolicyFilter{"all": {}, "after": {After: "For Album 00200"}, "of one": {Resource: "r00200"},
		"by a name": {Name: "album 00007"}, "by a part": {Name: "album", After: "For Album 00200"}} {
		policies, err := v.FindShares(ctx, server, "alice-id", f, 0, 20)
		m.want("policies "+what, len(policies), map[bool]int{true: 1, false: 20}[f.Resource != "" || f.Name == "album 00007"], err)
	}
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

// listRequests lists requests by each filter that has an index: the first page and a
// later one.
func (m *meter) listRequests(server uma.Key) {
	m.t.Helper()
	yes, no := true, false
	after := fmt.Sprintf("q%05d", m.resources/2)
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
			name := fmt.Sprintf("requests %s, granted %v", what, answer != nil && *answer)
			if answer == nil {
				name = "requests " + what
			}
			found, err := m.v.FindRequests(m.t.Context(), server, f, 0, 20)
			m.want(name, len(found), n, err)
			f.After = after
			found, err = m.v.FindRequests(m.t.Context(), server, f, 0, 20)
			m.want(name+", after", len(found), n, err)
		}
	}
	m.listRequestsForOne(server)
}

// listRequestsForOne lists and counts requests for one resource.
func (m *meter) listRequestsForOne(server uma.Key) {
	m.t.Helper()
	yes, no := true, false
	for what, tc := range map[string]struct {
		f    uma.RequestFilter
		want int
	}{
		"all":              {uma.RequestFilter{}, requesters + 1},
		"granted":          {uma.RequestFilter{Granted: &yes}, requesters},
		"pending":          {uma.RequestFilter{Granted: &no}, 1},
		"of the owner":     {uma.RequestFilter{Party: "alice-id"}, requesters + 1},
		"of a requester":   {uma.RequestFilter{Party: "user-0", Granted: &yes}, 1},
		"by another":       {uma.RequestFilter{Owner: "bob-id"}, 0},
		"by a requester":   {uma.RequestFilter{Requester: "user-0"}, 2},
		"by both, a scope": {uma.RequestFilter{Owner: "alice-id", Requester: "user-0", ScopeID: "delete"}, 1},
	} {
		tc.f.Resource = "r00200"
		found, err := m.v.FindRequests(m.t.Context(), server, tc.f, 0, 20)
		m.want("requests for one, "+what, len(found), tc.want, err)
		n, err := m.v.CountRequests(m.t.Context(), server, tc.f)
		m.want("number of requests for one, "+what, n, tc.want, err)
	}
}

// walk reads what takes longer with more shares: late pages, and counts. They are read
// in an index, of which a page has at least 30 entries. A part that none of very many
// names has is refused.
func (m *meter) walk(realm, server uma.Key) {
	m.t.Helper()
	ctx, v := m.t.Context(), m.v
	m.looked()
	most := func(what string, pages int) {
		m.t.Helper()
		if m.pages[what] > pages {
			m.t.Errorf("%s: %d pages were read, want at most %d", what, m.pages[what], pages)
		}
		delete(m.pages, what)
	}
	yes, no := true, false
	for what, f := range map[string]uma.RequestFilter{
		"all": {}, "by owner": {Owner: "alice-id"}, "of an owner": {Party: "alice-id"},
		"granted": {Granted: &yes}, "granted by owner": {Owner: "alice-id", Granted: &yes}, "granted of an owner": {Party: "alice-id", Granted: &yes},
		"pending by owner": {Owner: "alice-id", Granted: &no},
	} {
		want := m.resources * (requesters + 1)
		if f.Granted != nil {
			want = map[bool]int{true: m.resources * requesters, false: m.resources}[*f.Granted]
		}
		n, err := v.CountRequests(ctx, server, f)
		m.want("number of requests", n, want, err)
		most("number of requests", want/30)
		found, err := v.FindRequests(ctx, server, f, want-10, 20)
		m.want("the last requests, "+what, len(found), 10, err)
		most("the last requests, "+what, want/30)
	}
	m.walkByScope(server)
	owned := func(name string, first int) (int, error) {
		found, err := v.OwnedResources(ctx, realm, "alice-id", name, first, 20)
		return len(found), err
	}
	lists := map[string]func(name string, first int) (int, error){"owned": owned}
	for what, f := range sharings(server) {
		lists["shared "+what] = func(name string, first int) (int, error) {
			f.Name = name
			found, err := v.SharedResources(ctx, realm, f, first, 20)
			return len(found), err
		}
	}
	for what, list := range lists {
		n, err := list("", m.resources-10)
		m.want("the last "+what, n, 10, err)
		most("the last "+what, 8*m.resources)
		n, err = list("album", m.resources-21)
		m.want("the last by a part of nearly all names", n, 20, err)
		most("the last by a part of nearly all names", 12*m.resources)
		for _, part := range []string{"no", "zo"} {
			n, err = list(part, 0)
			if !errors.Is(err, uma.ErrVague) {
				m.t.Errorf("%s, by %s: got %d and error %v, want %v", what, part, n, err, uma.ErrVague)
			}
			m.want("no match", n, 0, nil)
			most("no match", 12*maxMisses)
		}
	}
}

// walkByScope reads with filters that no index has: requests of a user by scope,
// policies by scope or by a short part of a name. It is refused if too many rows do not
// match.
func (m *meter) walkByScope(server uma.Key) {
	m.t.Helper()
	ctx, v := m.t.Context(), m.v
	for what, tc := range map[string]struct {
		f     uma.RequestFilter
		want  int
		vague bool
	}{
		"of all":                          {uma.RequestFilter{ScopeID: "delete"}, 20, false},
		"that does not exist":             {uma.RequestFilter{ScopeID: "none"}, 0, false},
		"of an owner":                     {uma.RequestFilter{Owner: "alice-id", ScopeID: "delete"}, 20, false},
		"of an owner, without a match":    {uma.RequestFilter{Owner: "alice-id", ScopeID: "none"}, 0, true},
		"of a party, without a match":     {uma.RequestFilter{Party: "alice-id", ScopeID: "none"}, 0, true},
		"by a requester, without a match": {uma.RequestFilter{Requester: "user-3", ScopeID: "delete"}, 0, true},
	} {
		found, err := v.FindRequests(ctx, server, tc.f, 0, 20)
		if len(found) != tc.want || errors.Is(err, uma.ErrVague) != tc.vague || err != nil && !tc.vague {
			m.t.Errorf("requests for a scope %s: got %d and error %v, want %d and vague %t", what, len(found), err, tc.want, tc.vague)
		}
		if pages := m.looked(); pages > 12*maxMisses {
			m.t.Errorf("requests for a scope %s: %d pages were read", what, pages)
		}
	}
	for what, f := range map[string]uma.UserPolicyFilter{"scope": {Scope: "none"}, "short part": {Name: "%"}} {
		if found, err := v.FindShares(ctx, server, "alice-id", f, 0, 20); !errors.Is(err, uma.ErrVague) {
			m.t.Errorf("policies by a %s: got %d and error %v, want %v", what, len(found), err, uma.ErrVague)
		}
		if pages := m.looked(); pages > 12*maxMisses {
			m.t.Errorf("policies by a %s: %d pages were read", what, pages)
		}
	}
}
