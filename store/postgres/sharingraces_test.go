package postgres

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Two servers on one database, with a realm that trusts an issuer.
type twoServers struct {
	*testing.T
	servers       []*Store
	realm, server uma.Key
	last          atomic.Int64
}

func newTwoServers(t *testing.T) *twoServers {
	url := newDatabase(t)
	two := &twoServers{T: t, servers: []*Store{open(t, Config{URL: url}), open(t, Config{URL: url})}}
	snapshot := trustingRealm(t, two.servers[0])
	two.realm, two.server = snapshot.Realm.Key, snapshot.Clients["api"].Key
	return two
}

func (two *twoServers) newID() string { return fmt.Sprintf("id-%06d", two.last.Add(1)) }

// album makes a resource of alice.
func (two *twoServers) album() *uma.Resource {
	two.Helper()
	id := two.newID()
	r := &uma.Resource{ID: uma.ResourceID(id), Server: two.server, Owner: "alice-id", Name: "Album " + id, Scopes: []uma.Scope{"view"},
		OwnerManaged: true, Origin: uma.FromAPI}
	if err := two.servers[0].CreateResource(two.Context(), r, two.newID); err != nil {
		two.Fatal(err)
	}
	return r
}

func (two *twoServers) request(r *uma.Resource, requester string) *uma.Request {
	return &uma.Request{ID: two.newID(), Server: r.Server, Resource: r.Key, Requester: requester, Scope: "view", State: uma.Pending, Created: at}
}

func (two *twoServers) policy(r *uma.Resource, name string) *uma.Share {
	return &uma.Share{ID: two.newID(), Name: name, Server: r.Server, Resource: r.Key, Owner: r.Owner, Scopes: r.Scopes,
		Users: []string{"bob"}, Strategy: rows.Unanimous}
}

func (two *twoServers) inviting(r *uma.Resource, emails ...string) *uma.ShareChange {
	c := &uma.ShareChange{Realm: two.realm, Resource: r.Key, Owner: r.Owner, Invite: map[string][]uma.Scope{}, NewID: two.newID, Now: at}
	for _, email := range emails {
		c.Invite[email] = []uma.Scope{"view"}
	}
	return c
}

// race runs all at the same time, in turn on one and the other server, and returns their errors.
func (two *twoServers) race(all ...func(s *Store) error) []error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i, run := range all {
		wg.Go(func() {
			<-start
			errs[i] = run(two.servers[i%2])
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// wantOne checks that all but one have failed with loss.
func (two *twoServers) wantOne(what string, loss error, errs []error) {
	two.Helper()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, loss):
			two.Errorf("%s: got error %v, want %v", what, err, loss)
		}
	}
	if won != 1 {
		two.Fatalf("%s: %d of %d have succeeded, want 1", what, won, len(errs))
	}
}

// count returns the number that a query with one parameter returns.
func (two *twoServers) count(query string, arg any) (n int) {
	two.Helper()
	if err := two.servers[0].read(two.Context(), func(c *conn) error { return c.row(query, []any{arg}, &n) }); err != nil {
		two.Fatal(err)
	}
	return n
}

const sharingRounds, sharingRacers = 8, 6

// The last place under a bound is taken once, whichever server is asked.
func TestServersKeepBoundsOfSharing(t *testing.T) {
	t.Parallel()
	two := newTwoServers(t)
	const invited = `INSERT INTO invitation (id, realm, resource, owner, email, scopes, created, taken_by, taken)
		SELECT 'old-' || n || '-' || $3, $1, $2, 'alice-id', CASE WHEN $3 = '' THEN n || '@example.com' ELSE $3 END, '{view}', 0, '', 0
		FROM generate_series(1, $4::int) n`
	for round := range sharingRounds {
		r := two.album()
		run(t, two.servers[0], command{query: `DELETE FROM invitation`},
			command{query: invited, args: []any{two.realm, r.Key, "", uma.MaxInvitations - 1}})
		email := fmt.Sprintf("many%d@example.com", round)
		run(t, two.servers[0], command{query: invited, args: []any{two.realm, two.album().Key, email, uma.MaxInvitationsTo - 1}})
		var toResource, toAddress, policies []func(s *Store) error
		for i := range sharingRacers {
			other := two.album()
			toResource = append(toResource, func(s *Store) error {
				return s.ShareResource(t.Context(), two.inviting(r, fmt.Sprintf("new%d@example.com", i)))
			})
			toAddress = append(toAddress, func(s *Store) error { return s.ShareResource(t.Context(), two.inviting(other, email)) })
			large := two.policy(r, fmt.Sprint("policy", i, "-", round))
			large.Users = []string{strings.Repeat("u", uma.MaxShareBytes*2/3)}
			policies = append(policies, func(s *Store) error { return s.CreateShare(t.Context(), large) })
		}
		two.wantOne("invitations for a resource", uma.ErrFull, two.race(toResource...))
		two.wantOne("invitations for an address", uma.ErrFull, two.race(toAddress...))
		two.wantOne("policies of a resource", uma.ErrFull, two.race(policies...))
	}
}

// Nothing is left of a resource that is deleted while it is shared.
func TestServersShareNothingOfADeletedResource(t *testing.T) {
	t.Parallel()
	two := newTwoServers(t)
	for round := range sharingRounds {
		r := two.album()
		there := two.policy(r, fmt.Sprint("there", round))
		if err := two.servers[0].CreateShare(t.Context(), there); err != nil {
			t.Fatal(err)
		}
		granting := two.inviting(r)
		granting.Grants = map[string][]uma.Scope{"bob": {"view"}}
		wider := *there
		wider.Users = []string{"bob", "carol"}
		errs := two.race(
			func(s *Store) error { return s.DeleteResource(t.Context(), r.Server, r.ID) },
			func(s *Store) error { return s.CreateRequest(t.Context(), two.request(r, "carol")) },
			func(s *Store) error { return s.CreateShare(t.Context(), two.policy(r, fmt.Sprint("policy", round))) },
			func(s *Store) error { return s.ShareResource(t.Context(), two.inviting(r, "zoe@example.com")) },
			func(s *Store) error { return s.ShareResource(t.Context(), granting) },
			func(s *Store) error { return s.ReplaceShare(t.Context(), &wider) },
			func(s *Store) error {
				return s.Commit(t.Context(), &uma.Settlement{Realm: two.realm, Now: at, Requests: []uma.Request{*two.request(r, "dave")}})
			})
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		for i, err := range errs[1:] {
			if err != nil && !errors.Is(err, uma.ErrNotFound) && !errors.Is(err, uma.ErrMoved) {
				t.Errorf("round %d: share %d: %v", round, i, err)
			}
		}
		if n := two.count(`SELECT (SELECT count(*) FROM request WHERE resource = $1) + (SELECT count(*) FROM share WHERE resource = $1)
			+ (SELECT count(*) FROM share_party WHERE resource = $1) + (SELECT count(*) FROM invitation WHERE resource = $1)`, r.Key); n > 0 {
			t.Fatalf("round %d: %d rows are left", round, n)
		}
	}
}

// An owner who has seen what is shared, and takes it from everybody, does not take what was granted
// meanwhile: either the change is refused, or the request is granted after it.
func TestServersDecideUponWhatWasSeen(t *testing.T) {
	t.Parallel()
	two := newTwoServers(t)
	for round := range 4 * sharingRounds {
		r := two.album()
		q := two.request(r, "bob")
		if err := two.servers[0].CreateRequest(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		change := two.inviting(r)
		change.Only, change.Seen = true, map[string]int64{}
		decide := func(s *Store) error { return s.DecideRequest(t.Context(), r.Server, q.ID, true, at) }
		if round%2 == 0 {
			decide = func(s *Store) error {
				return s.DecideRequests(t.Context(), two.realm, "alice-id", map[string]bool{q.ID: true}, at)
			}
		}
		errs := two.race(decide, func(s *Store) error { return s.ShareResource(t.Context(), change) })
		if errs[0] != nil || errs[1] != nil && !errors.Is(errs[1], uma.ErrMoved) {
			t.Fatal(errs)
		}
		if two.count(`SELECT count(*) FROM request WHERE resource = $1 AND state = 'granted'`, r.Key) != 1 {
			t.Fatalf("round %d: the request that was granted is gone", round)
		}
	}
}
