package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/uma"
)

// activation makes a revision the policy of a realm, over the period in force. Its content
// is that of the revision.
func (e *env) activation(realm, hash string, at time.Time) *uma.Activation {
	e.t.Helper()
	a := &uma.Activation{
		Revision: &uma.Revision{
			Hash: hash, Realm: realm, Sources: map[string]string{"a.rego": hash}, Since: at,
			Beside: map[string]string{"a_test.rego": "test of " + hash}, OPA: "1.2.3", Umpire: "v1.0.0",
		},
		Content: "content of " + hash, By: "server", Source: "/policies",
	}
	if active := e.policyState(realm).Active; active != nil {
		a.Over = active.Key
	}
	return a
}

// begin begins a period and returns its key.
func (e *env) begin(a *uma.Activation) uma.Key {
	e.t.Helper()
	key, err := e.s.ActivatePolicy(e.t.Context(), a)
	e.must(err)
	return key
}

// activated begins a period of a revision.
func (e *env) activated(realm, hash string, at time.Time) uma.Key {
	e.t.Helper()
	return e.begin(e.activation(realm, hash, at))
}

func (e *env) policyState(realm string) *uma.PolicyState {
	e.t.Helper()
	state, err := e.s.PolicyState(e.t.Context(), realm)
	e.must(err)
	return state
}

func (e *env) periods(realm string) []uma.Period {
	e.t.Helper()
	periods, err := e.s.PolicyPeriods(e.t.Context(), realm, 0, 1000)
	e.must(err)
	return periods
}

// propose proposes a revision, as a server does that sees the period in force.
func (e *env) propose(realm, hash string) error {
	e.t.Helper()
	a := e.activation(realm, hash, now)
	a.Proposed = true
	_, err := e.s.ActivatePolicy(e.t.Context(), a)
	return err
}

var activationTests = map[string]func(e *env){
	"period_round_trip": func(e *env) {
		e.want("before the first", e.policyState("photoz"), &uma.PolicyState{})
		first := e.activation("photoz", "a", now)
		first.Note, first.Pinned, first.ConfirmBy, first.Report = "reviewed by carol", true, now.Add(time.Minute), `{"findings":[]}`
		key := e.begin(first)
		second := e.activated("photoz", "b", now.Add(time.Hour))
		if key <= 0 || second <= key {
			e.t.Errorf("got keys %d and %d, want them to rise", key, second)
		}
		want := []uma.Period{
			{Key: second, Realm: "photoz", Revision: "b", Content: "content of b", Since: kept(now.Add(time.Hour)), By: "server", Source: "/policies"},
			{Key: key, Realm: "photoz", Revision: "a", Content: "content of a", Since: kept(now), Until: kept(now.Add(time.Hour)), By: "server",
				Source: "/policies", Note: "reviewed by carol", Pinned: true, ConfirmBy: kept(now.Add(time.Minute)), Report: `{"findings":[]}`},
		}
		e.wantNoZeroFields(want[1])
		e.want("periods", e.periods("photoz"), want)
		e.want("in force", e.policyState("photoz"), &uma.PolicyState{Active: &want[0]})
		older, err := e.s.PolicyPeriods(e.t.Context(), "photoz", second, 10)
		e.must(err)
		e.want("the page before", older, want[1:])
		last, err := e.s.PolicyPeriods(e.t.Context(), "photoz", 0, 1)
		e.must(err)
		e.want("the last", last, want[:1])
		e.want("elsewhere", len(e.periods("elsewhere")), 0)
		e.want("the snapshot", e.snapshot("photoz").Realm.Period, second)
		e.want("the snapshot elsewhere", e.snapshot("elsewhere").Realm.Period, uma.Key(0))
	},

	// No grant that was decided before an activation commits after it.
	"activation_raises_the_generation": func(e *env) {
		before, all := e.snapshot("photoz").Realm.Generation, e.generation()
		elsewhere := e.snapshot("elsewhere").Realm.Generation
		e.activated("photoz", "a", now)
		e.want("generation", e.snapshot("photoz").Realm.Generation > before, true)
		e.want("generation of the store", e.generation() > all, true)
		e.want("generation elsewhere", e.snapshot("elsewhere").Realm.Generation, elsewhere)
		err := e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, RPT: e.rpt("jti"), RestsOn: &uma.Rests{Generation: before}})
		e.wantErr("a grant of the revision before", err, uma.ErrMoved)
	},

	// RPTs end by revision and generation, so that an RPT of a later period of the revision
	// does not.
	"activation_ends_the_rpts_of_withdrawn_revisions": func(e *env) {
		grant := func(jti, revision string) {
			e.t.Helper()
			rpt := e.rpt(jti)
			rpt.Revision, rpt.Generation, rpt.Family = revision, e.snapshot("photoz").Realm.Generation, ""
			e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, RPT: rpt, RestsOn: &uma.Rests{Generation: rpt.Generation}}))
		}
		active := func(jtis ...string) (found []string) {
			for _, jti := range jtis {
				if e.getRPT(e.realm, jti) != nil {
					found = append(found, jti)
				}
			}
			return found
		}
		all := []string{"of a", "of b", "of c", "of b again", "of b at last"}
		e.activated("photoz", "a", now)
		grant("of a", "a")
		e.activated("photoz", "b", now)
		grant("of b", "b")
		e.activated("photoz", "c", now)
		grant("of c", "c")
		elsewhere := e.activation("elsewhere", "a", now)
		elsewhere.Withdrawn = []string{"a"}
		e.begin(elsewhere)
		e.want("RPTs after a withdrawal elsewhere", active(all...), all[:3])
		back := e.activation("photoz", "a", now)
		back.Withdrawn = []string{"c", "b", "unknown"}
		e.begin(back)
		e.want("RPTs after the withdrawal", active(all...), all[:1])
		e.activated("photoz", "b", now)
		grant("of b again", "b")
		e.want("RPTs of the second time", active(all...), []string{"of a", "of b again"})
		back = e.activation("photoz", "a", now)
		back.Withdrawn = []string{"b"}
		e.begin(back)
		e.want("RPTs after the second withdrawal", active(all...), all[:1])
		e.activated("photoz", "b", now)
		grant("of b at last", "b")
		e.want("RPTs of the third time", active(all...), []string{"of a", "of b at last"})
		refused := e.activation("photoz", "a", now)
		refused.Over, refused.Withdrawn = refused.Over+1, []string{"b"}
		_, err := e.s.ActivatePolicy(e.t.Context(), refused)
		e.wantErr("over another period", err, uma.ErrMoved)
		e.want("RPTs after an activation that failed", active(all...), []string{"of a", "of b at last"})
	},

	"activation_over_another_period": func(e *env) {
		stale := e.activation("photoz", "b", now)
		e.activated("photoz", "a", now)
		all := e.generation()
		_, err := e.s.ActivatePolicy(e.t.Context(), stale)
		e.wantErr("over none", err, uma.ErrMoved)
		stale.Over = e.policyState("photoz").Active.Key + 1
		_, err = e.s.ActivatePolicy(e.t.Context(), stale)
		e.wantErr("over another", err, uma.ErrMoved)
		e.want("periods", len(e.periods("photoz")), 1)
		e.want("generation", e.generation(), all)
		_, err = e.s.Revision(e.t.Context(), "photoz", "b")
		e.wantErr("sources", err, uma.ErrNotFound)
	},

	"a_proposal_is_taken_once": func(e *env) {
		e.must(e.propose("photoz", "a"))
		e.want("taken", e.policyState("photoz").Taken, "content of a")
		e.wantErr("the same again", e.propose("photoz", "a"), uma.ErrMoved)
		e.must(e.propose("photoz", "b"))
		e.must(e.propose("photoz", "a")) // the folder is as it was before
		e.want("periods", len(e.periods("photoz")), 3)
		e.want("taken", e.policyState("photoz").Taken, "content of a")
		e.want("taken elsewhere", e.policyState("elsewhere").Taken, "")
	},

	// A rollback is not undone by the content that it replaced.
	"a_proposal_after_a_rollback": func(e *env) {
		e.must(e.propose("photoz", "a"))
		e.must(e.propose("photoz", "b"))
		back := e.activation("photoz", "a", now)
		back.Pinned = true
		e.begin(back)
		e.wantErr("what was rolled back", e.propose("photoz", "b"), uma.ErrMoved)
		e.wantErr("new content", e.propose("photoz", "c"), uma.ErrMoved)
		e.want("taken", e.policyState("photoz").Taken, "content of b")
		realm, all := e.snapshot("photoz").Realm.Generation, e.generation()
		e.must(e.s.ReleasePolicy(e.t.Context(), "photoz"))
		e.want("generation", e.snapshot("photoz").Realm.Generation, realm)
		e.want("generation of the store", e.generation() > all, true)
		e.want("pinned", e.policyState("photoz").Active.Pinned, false)
		e.wantErr("what was rolled back, released", e.propose("photoz", "b"), uma.ErrMoved)
		e.must(e.propose("photoz", "c"))
		e.want("in force", e.policyState("photoz").Active.Revision, "c")
	},

	"a_proposal_of_what_is_in_force": func(e *env) {
		key := e.activated("photoz", "a", now)
		all := e.generation()
		a := e.activation("photoz", "a", now)
		a.Proposed, a.Content = true, "another hash"
		e.want("period", e.begin(a), key)
		e.want("periods", len(e.periods("photoz")), 1)
		e.want("generation", e.generation(), all)
		e.want("taken", e.policyState("photoz").Taken, "another hash")
		e.want("content", e.policyState("photoz").Active.Content, "another hash")
	},

	"release_without_a_policy": func(e *env) {
		e.wantErr("release", e.s.ReleasePolicy(e.t.Context(), "photoz"), uma.ErrNotFound)
	},

	"confirmation": func(e *env) {
		deadline := now.Add(time.Minute)
		confirm := func(realm string, period uma.Key, at time.Time) error {
			return e.s.ConfirmPolicy(e.t.Context(), realm, period, "confirmed", at)
		}
		plain := e.activated("photoz", "a", now)
		e.wantErr("what needs none", confirm("photoz", plain, now), uma.ErrNotFound)
		a := e.activation("photoz", "b", now)
		a.ConfirmBy = deadline
		key := e.begin(a)
		e.wantErr("another period", confirm("photoz", plain, now), uma.ErrNotFound)
		e.wantErr("of another realm", confirm("elsewhere", key, now), uma.ErrNotFound)
		e.wantErr("too late", confirm("photoz", key, deadline), uma.ErrNotFound)
		realm, all := e.snapshot("photoz").Realm.Generation, e.generation()
		e.must(confirm("photoz", key, deadline.Add(-time.Millisecond)))
		e.want("generation", e.snapshot("photoz").Realm.Generation, realm)
		e.want("generation of the store", e.generation() > all, true)
		active := e.policyState("photoz").Active
		e.want("to be confirmed by", active.ConfirmBy, time.Time{})
		e.want("note", active.Note, "confirmed")
		e.wantErr("twice", confirm("photoz", key, now), uma.ErrNotFound)
		a = e.activation("photoz", "c", now)
		a.ConfirmBy = deadline
		key = e.begin(a)
		e.activated("photoz", "d", now)
		e.wantErr("what is no longer in force", confirm("photoz", key, now), uma.ErrNotFound)
	},

	"rollback_of_what_is_unconfirmed": func(e *env) {
		deadline := now.Add(time.Minute)
		back := func(at time.Time) error {
			a := e.activation("photoz", "a", at)
			a.Unconfirmed = true
			_, err := e.s.ActivatePolicy(e.t.Context(), a)
			return err
		}
		e.activated("photoz", "a", now)
		e.wantErr("what needs no confirmation", back(deadline), uma.ErrMoved)
		a := e.activation("photoz", "b", now)
		a.ConfirmBy = deadline
		key := e.begin(a)
		e.wantErr("too early", back(deadline.Add(-time.Millisecond)), uma.ErrMoved)
		e.must(back(deadline))
		e.want("in force", e.policyState("photoz").Active.Revision, "a")
		e.want("never confirmed", e.periods("photoz")[1].ConfirmBy, kept(deadline))
		e.wantErr("confirmation afterwards", e.s.ConfirmPolicy(e.t.Context(), "photoz", key, "", now), uma.ErrNotFound)
	},

	// Many servers roll back, each with a clock of its own, while one confirms.
	"race_of_confirmation_and_rollback": func(e *env) {
		e.activated("photoz", "first", now)
		var key uma.Key
		var back *uma.Activation
		e.race(uma.ErrMoved, func(round int) {
			a := e.activation("photoz", fmt.Sprint("r", round), now)
			a.ConfirmBy = now.Add(time.Minute)
			key = e.begin(a)
			back = e.activation("photoz", "first", a.ConfirmBy)
			back.Unconfirmed = true
		}, func(_, racer int) error {
			if racer == 0 {
				err := e.s.ConfirmPolicy(e.t.Context(), "photoz", key, "confirmed", now)
				if errors.Is(err, uma.ErrNotFound) {
					return uma.ErrMoved
				}
				return err
			}
			_, err := e.s.ActivatePolicy(e.t.Context(), back)
			return err
		})
	},

	"proposals_are_noted": func(e *env) {
		e.must(e.propose("photoz", "a"))
		p := uma.Proposal{Content: "content of b", Source: "/policies", At: now, Problem: "album.rego:3: rego_parse_error", Report: `{"findings":[]}`}
		e.wantNoZeroFields(p)
		e.must(e.s.NoteProposal(e.t.Context(), "photoz", p))
		p.At = kept(p.At)
		e.want("noted", e.policyState("photoz").Waiting, p)
		e.want("taken", e.policyState("photoz").Taken, "content of a")
		e.must(e.propose("photoz", "b"))
		e.want("taken then", e.policyState("photoz").Waiting, uma.Proposal{})
		e.must(e.s.NoteProposal(e.t.Context(), "photoz", p))
		e.must(e.s.NoteProposal(e.t.Context(), "photoz", uma.Proposal{}))
		e.want("forgotten", e.policyState("photoz").Waiting, uma.Proposal{})
	},

	"race_of_two_proposals": func(e *env) {
		var over []*uma.Activation
		e.race(uma.ErrMoved, func(round int) {
			over = over[:0]
			for racer := range racers {
				a := e.activation("photoz", fmt.Sprint("r", round, " by ", racer%2), now)
				a.Proposed = true
				over = append(over, a)
			}
		}, func(_, racer int) error {
			_, err := e.s.ActivatePolicy(e.t.Context(), over[racer])
			return err
		})
		e.want("periods", len(e.periods("photoz")), rounds)
	},

	// Whichever comes first, what was activated is in force then, and pinned.
	"race_of_activation_and_proposal": func(e *env) {
		e.activated("photoz", "first", now)
		for round := range rounds {
			e.must(e.s.ReleasePolicy(e.t.Context(), "photoz"))
			wanted := fmt.Sprint("wanted ", round)
			var wg sync.WaitGroup
			start := make(chan struct{})
			wg.Go(func() {
				<-start
				if err := e.propose("photoz", fmt.Sprint("proposed ", round)); err != nil && !errors.Is(err, uma.ErrMoved) {
					e.t.Error(err)
				}
			})
			wg.Go(func() {
				<-start
				for {
					a := e.activation("photoz", wanted, now)
					a.Pinned = true
					_, err := e.s.ActivatePolicy(e.t.Context(), a)
					if errors.Is(err, uma.ErrMoved) {
						continue
					}
					if err != nil {
						e.t.Error(err)
					}
					return
				}
			})
			close(start)
			wg.Wait()
			if active := e.policyState("photoz").Active; active.Revision != wanted || !active.Pinned {
				e.t.Fatalf("round %d: got %s, pinned %v", round, active.Revision, active.Pinned)
			}
		}
	},

	"race_of_activation_and_grant": func(e *env) {
		for round := range rounds {
			st := &uma.Settlement{Realm: e.realm, Now: now, RPT: e.rpt(fmt.Sprint("jti", round)),
				RestsOn: &uma.Rests{Generation: e.snapshot("photoz").Realm.Generation}}
			a := e.activation("photoz", fmt.Sprint("r", round), now)
			var activated atomic.Bool
			var wg sync.WaitGroup
			start := make(chan struct{})
			wg.Go(func() {
				<-start
				e.begin(a)
				activated.Store(true)
			})
			wg.Go(func() {
				<-start
				late := activated.Load()
				if err := e.s.Commit(e.t.Context(), st); late && !errors.Is(err, uma.ErrMoved) {
					e.t.Errorf("round %d: a grant after the activation: %v", round, err)
				}
			})
			close(start)
			wg.Wait()
		}
	},
}
