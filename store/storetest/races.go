package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/uma"
)

const (
	racers = 16
	rounds = 50
)

// race starts racers at the same time, in many short rounds: in one round the first is
// often done before the second starts. In every round exactly one must win; the others
// must get the error loss.
func (e *env) race(loss error, prepare func(round int), run func(round, racer int) error) {
	e.t.Helper()
	for round := range rounds {
		prepare(round)
		var won atomic.Int32
		var wg sync.WaitGroup
		start := make(chan struct{})
		for racer := range racers {
			wg.Go(func() {
				<-start
				switch err := run(round, racer); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, loss):
					e.t.Errorf("round %d: got error %v, want %v", round, err, loss)
				}
			})
		}
		close(start)
		wg.Wait()
		if n := won.Load(); n != 1 {
			e.t.Fatalf("round %d: %d of %d won", round, n, racers)
		}
	}
}

// raceWithdrawal runs a grant and the withdrawal of something that it rests on at the
// same time. rest sets what the grant rests on, and returns the withdrawal.
func (e *env) raceWithdrawal(rest func(r *uma.Resource, rests *uma.Rests) func() error) {
	e.t.Helper()
	generation := e.snapshot("photoz").Realm.Generation
	for round := range rounds {
		r := e.create(e.resource(fmt.Sprint("Album", round), "view"))
		st := &uma.Settlement{Realm: e.realm, Now: now, RPT: e.rpt(fmt.Sprint("jti", round)),
			RestsOn: &uma.Rests{Generation: generation}}
		withdraw := rest(r, st.RestsOn)
		if round%2 == 0 {
			st.RestsOn.Epoch = e.epoch()
		}
		var wg sync.WaitGroup
		var withdrawn atomic.Bool
		start := make(chan struct{})
		wg.Go(func() {
			<-start
			if err := withdraw(); err != nil {
				e.t.Error(err)
			}
			withdrawn.Store(true)
		})
		wg.Go(func() {
			<-start
			late := withdrawn.Load()
			err := e.s.Commit(e.t.Context(), st)
			if late && !errors.Is(err, uma.ErrMoved) {
				e.t.Errorf("round %d: a grant after the withdrawal: %v", round, err)
			}
			if err != nil && !errors.Is(err, uma.ErrMoved) {
				e.t.Error(err)
			}
		})
		close(start)
		wg.Wait()
		st.RPT = e.rpt(fmt.Sprint("late", round))
		e.wantErr("a grant after the race", e.s.Commit(e.t.Context(), st), uma.ErrMoved)
	}
}

var raceTests = map[string]func(e *env){
	"ticket_is_spent_once": func(e *env) {
		e.race(uma.ErrSpent, func(round int) {
			e.must(e.s.SaveTicket(e.t.Context(), e.realm, e.ticket(fmt.Sprint("t", round))))
		}, func(round, racer int) error {
			return e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, Ticket: uma.Digest(fmt.Sprint("t", round)),
				Records: []uma.Record{e.record(fmt.Sprint("d", round, "-", racer))}})
		})
		e.want("records", len(e.decisions(uma.DecisionFilter{}, rounds*racers)), rounds)
	},

	"refresh_token_is_rotated_once": func(e *env) {
		name := func(round int) string { return fmt.Sprint("s", round) }
		e.race(uma.ErrSpent, func(round int) {
			e.startSession(name(round), name(round))
		}, func(round, racer int) error {
			next := e.refreshToken(name(round), fmt.Sprint(name(round), "-", racer))
			return e.s.Rotate(e.t.Context(), e.realm, uma.Digest(name(round)), next, nil, now)
		})
		for round := range rounds {
			if _, s := e.state("jti", name(round)); !s.Ended {
				e.t.Errorf("round %d: the losers did not end the session", round)
			}
		}
	},

	"party_is_admitted_once": func(e *env) {
		e.trusting()
		for round := range rounds {
			var wg sync.WaitGroup
			ids := make([]string, 50)
			start := make(chan struct{})
			for racer := range ids {
				wg.Go(func() {
					<-start
					u, err := e.s.AdmitParty(e.t.Context(), e.realm, e.admission(corp, fmt.Sprint(round), "bob", "bob@corp.example"))
					if err != nil {
						e.t.Error(err)
						return
					}
					ids[racer] = u.ID
				})
			}
			close(start)
			wg.Wait()
			if slices.Compact(slices.Sorted(slices.Values(ids)))[0] != ids[49] {
				e.t.Fatalf("round %d: got parties %q", round, ids)
			}
		}
		all, err := e.s.PartiesAfter(e.t.Context(), e.realm, "corp", "", 2*rounds)
		e.must(err)
		e.want("parties", len(all), rounds)
	},

	"party_is_disabled_before_or_after_a_grant": func(e *env) {
		e.trusting()
		e.raceWithdrawal(func(r *uma.Resource, rests *uma.Rests) func() error {
			u := e.admit(corp, r.Name, r.Name, "")
			rests.User, rests.UserVersion = u.ID, u.Version
			return func() error { return e.s.EnableParty(e.t.Context(), e.realm, u.ID, false) }
		})
	},

	"assertion_is_spent_once": func(e *env) {
		e.race(uma.ErrSpent, func(int) {}, func(round, racer int) error {
			return e.s.SpendAssertion(e.t.Context(), e.realm, e.api, fmt.Append(nil, round), now.Add(time.Minute))
		})
	},

	"resource_name_is_taken_once": func(e *env) {
		e.race(uma.ErrConflict, func(int) {}, func(round, racer int) error {
			return e.s.CreateResource(e.t.Context(), e.resource(fmt.Sprint("Album", round), "view"), e.newID)
		})
		e.want("resources", len(e.find(e.api, uma.ResourceFilter{}, 0, -1)), rounds)
	},

	"request_is_kept_once": func(e *env) {
		var r *uma.Resource
		e.race(uma.ErrConflict, func(round int) {
			r = e.create(e.resource(fmt.Sprint("Album", round), "view"))
		}, func(round, racer int) error {
			return e.s.CreateRequest(e.t.Context(), e.request(r, e.bob, "view"))
		})
		_, count := e.findRequests(e.api, uma.RequestFilter{}, 0, -1)
		e.want("requests", count, rounds)
	},

	"submitted_request_is_kept_once": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		var wg sync.WaitGroup
		for range racers {
			wg.Go(func() {
				st := &uma.Settlement{Realm: e.realm, Now: now, Requests: []uma.Request{*e.request(r, e.bob, "view")}}
				if err := e.s.Commit(e.t.Context(), st); err != nil {
					e.t.Error(err)
				}
			})
		}
		wg.Wait()
		_, count := e.findRequests(e.api, uma.RequestFilter{}, 0, -1)
		e.want("requests", count, 1)
	},

	"share_is_withdrawn_before_or_after_a_grant": func(e *env) {
		e.raceWithdrawal(func(r *uma.Resource, rests *uma.Rests) func() error {
			q := e.share(r, e.bob, "view")
			rests.Requests = map[uma.Key]int64{q.Key: q.Version}
			return func() error { return e.s.DecideRequest(e.t.Context(), e.api, q.ID, false, now) }
		})
	},

	"policy_is_withdrawn_before_or_after_a_grant": func(e *env) {
		e.raceWithdrawal(func(r *uma.Resource, rests *uma.Rests) func() error {
			s := e.sharePolicy(r, r.Name, e.bob)
			rests.Policies = map[uma.Key]int64{s.Key: s.Version}
			return func() error { return e.s.DeleteShare(e.t.Context(), e.api, s.ID) }
		})
	},

	"policy_changes_its_parties_before_or_after_a_grant": func(e *env) {
		e.raceWithdrawal(func(r *uma.Resource, rests *uma.Rests) func() error {
			s := e.sharePolicy(r, r.Name, e.bob)
			rests.Policies = map[uma.Key]int64{s.Key: s.Version}
			s.Users = []string{"carol"}
			return func() error { return e.s.ReplaceShare(e.t.Context(), s) }
		})
	},

	"resource_is_first_shared_once": func(e *env) {
		var r *uma.Resource
		e.race(uma.ErrConflict, func(round int) {
			r = e.create(e.resource(fmt.Sprint("Album", round), "view"))
		}, func(round, racer int) error {
			c := e.sharing(r, grants{fmt.Sprint("user", racer): {"view"}})
			c.New = true
			return e.s.ShareResource(e.t.Context(), c)
		})
		e.want("users of the last", len(e.granted(r)), 1)
	},

	"requests_are_answered_once": func(e *env) {
		var r *uma.Resource
		var a, b *uma.Request
		e.race(uma.ErrConflict, func(round int) {
			r = e.create(e.resource(fmt.Sprint("Album", round), "a", "b"))
			a, b = e.ask(r, e.bob, "a"), e.ask(r, e.bob, "b")
		}, func(round, racer int) error {
			grant := racer%2 == 0
			return e.s.DecideRequests(e.t.Context(), e.realm, e.alice, map[string]bool{a.ID: grant, b.ID: grant}, now)
		})
		e.want("both of the last", e.stateOf(a), e.stateOf(b))
	},

	"policy_name_is_taken_once": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		e.race(uma.ErrConflict, func(int) {}, func(round, racer int) error {
			s := e.fullPolicy(r, fmt.Sprint("p", round))
			return e.s.CreateShare(e.t.Context(), s)
		})
		e.want("policies", len(e.policies(e.alice)), rounds)
	},

	"the_first_sealed_secret_is_kept": func(e *env) {
		for round := range rounds {
			name := fmt.Sprint("secret", round)
			got := make([][]byte, racers)
			start := make(chan struct{})
			var wg sync.WaitGroup
			for racer := range racers {
				wg.Go(func() {
					<-start
					var err error
					if got[racer], err = e.s.PutSealed(e.t.Context(), name, []byte{byte(racer)}); err != nil {
						e.t.Error(err)
					}
				})
			}
			close(start)
			wg.Wait()
			for _, value := range got[1:] {
				if !bytes.Equal(value, got[0]) {
					e.t.Fatalf("round %d: got %v", round, got)
				}
			}
		}
	},

	"first_key_is_added_once": func(e *env) {
		for round := range rounds {
			alg := fmt.Sprint("alg", round)
			start := make(chan struct{})
			var wg sync.WaitGroup
			for range racers {
				wg.Go(func() {
					<-start
					if err := e.s.AddKey(e.t.Context(), "photoz", e.signingKey(alg), time.Time{}); err != nil {
						e.t.Error(err)
					}
				})
			}
			close(start)
			wg.Wait()
		}
		active, published := e.kids(now)
		e.want("active and published keys", []int{len(active), len(published)}, []int{rounds, 0})
	},

	"a_failed_settlement_does_not_affect_others": func(e *env) {
		const many = 200
		name := func(i int) string { return fmt.Sprint("t", i) }
		for i := range many {
			e.must(e.s.SaveTicket(e.t.Context(), e.realm, e.ticket(name(i))))
		}
		generation := e.snapshot("photoz").Realm.Generation
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range many {
			wg.Go(func() {
				st := &uma.Settlement{Realm: e.realm, Now: now, Ticket: uma.Digest(name(i)),
					Records: []uma.Record{e.record(name(i))}, RestsOn: &uma.Rests{Generation: generation}}
				if i%3 == 0 {
					st.RestsOn.Generation-- // fails when its ticket is spent already
				}
				<-start
				err := e.s.Commit(e.t.Context(), st)
				if i%3 == 0 && !errors.Is(err, uma.ErrMoved) || i%3 != 0 && err != nil {
					e.t.Errorf("settlement %d: got error %v", i, err)
				}
			})
		}
		close(start)
		wg.Wait()
		for i := range many {
			unspent := e.getTicket(e.realm, name(i), now) != nil
			_, missing := e.s.Decision(e.t.Context(), name(i))
			if moved := i%3 == 0; unspent != moved || (missing != nil) != moved {
				e.t.Errorf("settlement %d: its ticket is unspent: %v; its record: %v", i, unspent, missing)
			}
		}
	},

	"writes_happen_whole_or_not_at_all": func(e *env) {
		// More writers than most queues hold, half of which fail: each must get the
		// outcome of its own write.
		const writers = 3000
		e.create(e.resource("Taken"))
		results := make([]error, writers)
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				name := fmt.Sprint("Album", i)
				if i%2 == 0 {
					name = "Taken"
				}
				r := e.resource(name, uma.Scope(fmt.Sprint("scope", i)))
				results[i] = e.s.CreateResource(e.t.Context(), r, e.newID)
			})
		}
		wg.Wait()
		there := map[string]bool{}
		for _, name := range e.find(e.api, uma.ResourceFilter{}, 0, -1) {
			there[name] = true
		}
		for i, err := range results {
			if err != nil && !errors.Is(err, uma.ErrBusy) && !errors.Is(err, uma.ErrConflict) {
				e.t.Fatal(err)
			}
			if got := there[fmt.Sprint("Album", i)]; got != (err == nil) {
				e.t.Errorf("write %d: got error %v, but the resource is there: %v", i, err, got)
			}
		}
		e.reading(func(v uma.View) {
			for i, err := range results {
				_, missing := v.Scope(e.t.Context(), e.api, fmt.Sprint("scope", i))
				if (missing == nil) != (err == nil) {
					e.t.Errorf("write %d: got error %v, but of its scope %v", i, err, missing)
				}
			}
		})
	},
}
