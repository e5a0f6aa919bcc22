package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/uma"
)

// crowded is a number of requests with which a store removes a resource in several
// steps.
const crowded = 450

// A crowd is a resource with very many requests. carol was granted "view", asks for
// "delete" and was denied "print"; the others have any of these.
type crowd struct {
	*uma.Resource
	granted, pending, denied *uma.Request // carol's
	all                      []uma.Request
	policy                   *uma.Share
}

// crowd stores a resource of alice and its requests, in one step.
func (e *env) crowd(name string) *crowd {
	e.t.Helper()
	return e.crowdAt(e.create(e.resource(name, "view", "delete", "print")))
}

func (e *env) crowdAt(r *uma.Resource) *crowd {
	e.t.Helper()
	c := &crowd{Resource: r}
	states := []string{uma.Granted, uma.Pending, uma.Refused}
	for i := range crowded {
		q := e.request(r, fmt.Sprint("user-", i), "view")
		if i < len(r.Scopes) {
			q.Requester, q.Scope = "carol", r.Scopes[i]
		}
		if q.State = states[i%len(states)]; q.State != uma.Pending {
			q.Decided = now
		}
		c.all = append(c.all, *q)
	}
	e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, Requests: c.all}))
	c.granted, c.pending, c.denied = &c.all[0], &c.all[1], &c.all[2]
	c.policy = e.sharePolicy(r, "of "+r.Name, "carol")
	return c
}

// sweep has the store remove the rows that it has not removed yet.
func (e *env) sweep() {
	e.t.Helper()
	s, ok := e.s.(interface {
		Sweep(ctx context.Context, now time.Time) (int, error)
	})
	if !ok {
		e.t.Fatalf("a %T puts nothing off: leave this out", e.s)
	}
	_, err := s.Sweep(e.t.Context(), now)
	e.must(err)
}

// checkRemoved checks that nothing shows, or uses, requests and shares of a removed
// resource.
func (e *env) checkRemoved(c *crowd) {
	e.t.Helper()
	of := map[string]bool{c.policy.ID: true}
	for _, q := range c.all {
		of[q.ID] = true
	}
	none := func(what string, found []uma.Request, err error) {
		e.t.Helper()
		e.must(err)
		for _, q := range found {
			if of[q.ID] {
				e.t.Errorf("%s shows %s by %s", what, q.State, q.Requester)
				return
			}
		}
	}
	e.reading(func(v uma.View) {
		e.unseen(v, c, none)
		e.unshared(v, c)
	})
	e.unusable(c)
}

// unseen checks that requests are in no list and found by no key.
func (e *env) unseen(v uma.View, c *crowd, none func(what string, found []uma.Request, err error)) {
	e.t.Helper()
	ctx := e.t.Context()
	var keys []uma.Key
	for i := range c.all {
		keys = append(keys, c.all[i].Key)
	}
	for _, q := range []*uma.Request{c.granted, c.pending, c.denied} {
		_, err := v.Request(ctx, e.api, q.ID)
		e.wantErr("request, "+q.State, err, uma.ErrNotFound)
		_, err = v.RealmRequest(ctx, e.realm, q.ID)
		e.wantErr("request of the realm, "+q.State, err, uma.ErrNotFound)
		for _, by := range []string{"", q.Requester} {
			found, err := v.RequestsFor(ctx, []uma.Key{c.Key}, q.State, by)
			none("requests for it, "+q.State, found, err)
		}
	}
	yes, no := true, false
	for _, f := range []uma.RequestFilter{{}, {Owner: e.alice}, {Requester: "carol"}, {Owner: e.alice, Requester: "carol"},
		{Party: e.alice}, {Party: "carol"}, {Resource: c.ID}, {Resource: c.ID, Requester: "carol"}, {ScopeID: "view"}} {
		for _, f.Granted = range []*bool{nil, &yes, &no} {
			found, err := v.FindRequests(ctx, e.api, f, 0, -1)
			none(fmt.Sprintf("list by %+v", f), found, err)
			n, err := v.CountRequests(ctx, e.api, f)
			e.must(err)
			e.want(fmt.Sprintf("number by %+v", f), n, len(found))
		}
	}
	for _, keys := range [][]uma.Key{{c.Key}, {c.Key, c.Key + 1000}} {
		shares, requests, err := v.Between(ctx, &uma.Party{ID: "carol"}, keys, now.Add(-time.Hour))
		none("between", requests, err)
		for _, s := range shares {
			none("between", []uma.Request{{ID: s.ID, State: s.Kind}}, nil)
		}
	}
	for _, name := range []string{"", c.Name} {
		found, err := v.SharedWith(ctx, e.api, "carol", name, 1000)
		none("shared with, by "+name, found, err)
	}
	found, err := v.PendingOf(ctx, e.realm, e.alice, "", 1000)
	none("pending of alice", found, err)
	found, err = v.PendingBy(ctx, e.realm, "carol", "", 1000)
	none("pending by carol", found, err)
	found, err = v.PendingBeside(ctx, keys)
	none("pending beside", found, err)
}

// unshared checks that there are no shares of a resource, and that no list of shared
// resources has it.
func (e *env) unshared(v uma.View, c *crowd) {
	e.t.Helper()
	ctx := e.t.Context()
	for _, f := range []uma.GrantedFilter{{Owner: e.alice}, {Requester: "carol"}, {Owner: e.alice, Requester: "carol"}} {
		for _, f.Name = range []string{"", "al", c.Name} { // by a walk, and by parts
			found, err := v.SharedResources(ctx, e.realm, f, 0, -1)
			e.must(err)
			for _, r := range found {
				if r.Name == c.Name {
					e.t.Errorf("%s is among those shared by %+v", c.Name, f)
				}
			}
		}
	}
	_, err := v.Share(ctx, e.api, c.policy.ID)
	e.wantErr("policy", err, uma.ErrNotFound)
	policies, err := v.FindShares(ctx, e.api, e.alice, uma.UserPolicyFilter{}, 0, -1)
	e.must(err)
	others, err := v.SharesAfter(ctx, e.api, uma.UserPoliciesOf{}, "", 1000)
	e.must(err)
	for _, s := range append(policies, others...) {
		if s.ID == c.policy.ID {
			e.t.Error("the policy is in a list")
		}
	}
	validity, err := v.Validity(ctx, e.api, []uma.Grant{{Resource: c.ID, Scopes: []uma.Scope{"view"},
		Shares: []uma.GrantShare{{ID: c.granted.ID}, {ID: c.policy.ID}}}})
	e.must(err)
	e.want("valid shares", len(validity.Shares), 0)
}

// unusable checks that requests and the resource cannot be used.
func (e *env) unusable(c *crowd) {
	e.t.Helper()
	ctx, s := e.t.Context(), e.s
	for _, q := range []*uma.Request{c.granted, c.pending, c.denied} {
		for _, grant := range []bool{true, false} {
			e.wantErr("decide", s.DecideRequest(ctx, e.api, q.ID, grant, now), uma.ErrNotFound)
			e.wantErr("decide all", s.DecideRequests(ctx, e.realm, e.alice, map[string]bool{q.ID: grant}, now), uma.ErrNotFound)
		}
		e.wantErr("delete", s.DeleteRequest(ctx, e.api, q.ID), uma.ErrNotFound)
	}
	e.wantErr("ask", s.CreateRequest(ctx, e.request(c.Resource, "dave", "view")), uma.ErrNotFound)
	e.wantErr("share", s.ShareResource(ctx, e.sharing(c.Resource, grants{"dave": {"view"}})), uma.ErrNotFound)
	for _, r := range []*uma.Rests{
		{Requests: map[uma.Key]int64{c.granted.Key: c.granted.Version}},
		{Policies: map[uma.Key]int64{c.policy.Key: c.policy.Version}},
		{Resources: map[uma.Key]int64{c.Key: c.Version}},
	} {
		r.Generation = e.snapshot("photoz").Realm.Generation
		e.wantErr("grant", s.Commit(ctx, &uma.Settlement{Realm: e.realm, Now: now, RestsOn: r}), uma.ErrMoved)
	}
	st := &uma.Settlement{Realm: e.realm, Now: now, Requests: []uma.Request{*e.request(c.Resource, "dave", "view")}}
	e.wantErr("submit", s.Commit(ctx, st), uma.ErrMoved)
}

var removalTests = map[string]func(e *env){
	"take_effect_at_once": func(e *env) {
		c, other := e.crowd("Album"), e.crowd("Other")
		e.must(e.s.DeleteResource(e.t.Context(), e.api, c.ID))
		for range 2 {
			e.want("resource", e.get(e.api, c.ID), (*uma.Resource)(nil))
			e.checkRemoved(c)
			_, count := e.findRequests(e.api, uma.RequestFilter{}, 0, -1)
			want := 0
			for _, q := range other.all {
				if q.State != uma.Refused {
					want++
				}
			}
			e.want("requests for another", count, want)
			for _, q := range other.all {
				e.want("request for another", *e.getRequest(q.ID), e.keptRequest(q))
			}
			e.want("the other's policy", e.getPolicy(other.policy.ID), other.policy)
			e.wantErr("removed again", e.s.DeleteResource(e.t.Context(), e.api, c.ID), uma.ErrNotFound)
			e.sweep()
		}
	},

	"free_all_names": func(e *env) {
		c := e.crowd("Album")
		e.must(e.s.DeleteResource(e.t.Context(), e.api, c.ID))
		again := e.resource("Album", "view", "delete", "print")
		again.ID = c.ID // as a realm file may have it
		e.create(again)
		for range 2 {
			e.checkRemoved(c)
			change := e.sharing(again, nil)
			change.New, change.Seen = true, map[string]int64{}
			e.must(e.s.ShareResource(e.t.Context(), change))
			e.sweep()
		}
		policy := e.sharePolicy(again, c.policy.Name, "carol")
		q := e.share(again, "carol", "view")
		e.sweep()
		e.want("policy", e.getPolicy(policy.ID), policy)
		wantSet(e, "shares", e.sharesFor(&uma.Party{ID: "carol"}, again), policy.ID, q.ID)
		e.want("shared", names(e.shared(e.realm, uma.GrantedFilter{Requester: "carol"}, 0, -1)), []string{"Album"})
	},

	"leave_pages_full": func(e *env) {
		first, c, last := e.create(e.resource("Album A", "view")), e.crowd("Album B"), e.create(e.resource("Album C", "view"))
		e.share(first, "carol", "view")
		e.share(last, "carol", "view")
		e.must(e.s.DeleteResource(e.t.Context(), e.api, c.ID))
		again := *c.Resource
		again.ID = uma.ResourceID(e.newID())
		e.create(&again) // of the same name, and shared with nobody
		want := []string{"Album A", "Album C"}
		for range 2 {
			for what, f := range map[string]uma.GrantedFilter{"by": {Owner: e.alice}, "with": {Requester: "carol"},
				"between": {Owner: e.alice, Requester: "carol"}} {
				pages(e, "shared "+what, want, func(first, max int) []string { return names(e.shared(e.realm, f, first, max)) })
			}
			e.sweep()
		}
	},

	"of_a_pruned_resource": func(e *env) {
		file := e.realmFile("photoz")
		file.Resources = []uma.ResourceChange{e.fileResource("Album", "alice", "view", "delete", "print")}
		e.apply(file)
		c := e.crowdAt(e.byName(e.alice, "Album"))
		file.Resources, file.Prune = nil, true
		e.want("removed", e.apply(file).Removed, []string{"resource Album"})
		e.checkRemoved(c)
		e.sweep()
		e.checkRemoved(c)
	},

	"of_a_pruned_client": func(e *env) {
		c := e.crowd("Album")
		file := e.without("client api")
		file.Prune = true
		wantSet(e, "removed", e.apply(file).Removed, "client api", "resource Album")
		e.apply(e.realmFile("photoz")) // the name is free again
		for range 2 {
			e.checkRemoved(c)
			e.api = e.snapshot("photoz").Clients["api"].Key
			e.checkRemoved(c)
			e.sweep()
		}
	},

	"block_no_other_removal": func(e *env) {
		file := e.realmFile("photoz")
		file.Scopes = map[string][]uma.ScopeRow{"api": {{ID: e.newID(), Name: "view"}}}
		file.Users = append(file.Users, &uma.User{ID: "carol", Username: "carol", Enabled: true})
		e.apply(file)
		e.must(e.s.DeleteResource(e.t.Context(), e.api, e.crowd("Album").ID))
		file = e.realmFile("photoz")
		file.Users = file.Users[1:] // without alice, whose resource it was
		wantSet(e, "removed", e.apply(file).Removed, "scope view of api", "user alice", "user carol")
		file.Clients = file.Clients[1:]
		e.want("removed", e.apply(file).Removed, []string{"client api"})
	},

	"race_with_other_writes": func(e *env) {
		for round := range rounds / 5 {
			e.raceRemoval(e.crowd(fmt.Sprint("Album", round)))
		}
	},
}

// keptRequest returns a request as the store returns it.
func (e *env) keptRequest(q uma.Request) uma.Request {
	q.ScopeID, q.Created = e.scope(string(q.Scope)).ID, kept(q.Created)
	if !q.Decided.IsZero() {
		q.Decided = kept(q.Decided)
	}
	return q
}

// raceRemoval removes a resource while other writes use its requests and shares.
func (e *env) raceRemoval(c *crowd) {
	e.t.Helper()
	ctx, s := e.t.Context(), e.s
	generation := e.snapshot("photoz").Realm.Generation
	var removed atomic.Bool
	start := make(chan struct{})
	var wg sync.WaitGroup
	race := func(what string, gone error, run func() error) {
		wg.Go(func() {
			<-start
			late := removed.Load()
			err := run()
			if late && !errors.Is(err, gone) || err != nil && !errors.Is(err, gone) {
				e.t.Errorf("%s, after the removal %v: %v", what, late, err)
			}
		})
	}
	wg.Go(func() {
		<-start
		if err := s.DeleteResource(ctx, e.api, c.ID); err != nil {
			e.t.Error(err)
		}
		removed.Store(true)
		e.sweep()
	})
	for i := range racers {
		user := fmt.Sprint("late-", i)
		granted, asked := c.all[3+3*i], c.all[3+3*i+1]
		race("approve", uma.ErrNotFound, func() error { return s.DecideRequest(ctx, e.api, asked.ID, true, now) })
		race("withdraw", uma.ErrNotFound, func() error { return s.DecideRequest(ctx, e.api, granted.ID, false, now) })
		race("ask", uma.ErrNotFound, func() error { return s.CreateRequest(ctx, e.request(c.Resource, user, "view")) })
		race("share", uma.ErrNotFound, func() error { return s.ShareResource(ctx, e.sharing(c.Resource, grants{user: {"print"}})) })
		race("grant", uma.ErrMoved, func() error {
			return s.Commit(ctx, &uma.Settlement{Realm: e.realm, Now: now, RestsOn: &uma.Rests{Generation: generation,
				Requests: map[uma.Key]int64{c.granted.Key: c.granted.Version}}})
		})
	}
	race("answer", uma.ErrNotFound, func() error {
		return s.DecideRequests(ctx, e.realm, e.alice, map[string]bool{c.pending.ID: true}, now)
	})
	close(start)
	wg.Wait()
	e.checkRemoved(c)
	e.want("who asked late", e.pending(e.realm, uma.GrantedFilter{Owner: e.alice}, "", 1000), []string(nil))
}
