package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// record returns one with no field at its zero value but Seq.
func (e *env) record(id string) uma.Record {
	return uma.Record{
		ID: id, Batch: "batch", Realm: "photoz", Time: now, Kind: "rpt", Outcome: "granted", Answered: "request_denied", Subject: "alice", Client: "web",
		Server: "api", Resource: "r", Revision: "sha256:abc", Request: "req-1", Rules: []string{"team/rule", "other"},
		Event: []byte(`{"decision_id":"` + id + `"}`),
	}
}

// keep commits records, each in a settlement of its own.
func (e *env) keep(records ...uma.Record) {
	e.t.Helper()
	for _, r := range records {
		e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, Records: []uma.Record{r}}))
	}
}

func (e *env) decisions(f uma.DecisionFilter, limit int) (ids []string) {
	e.t.Helper()
	found, err := e.s.FindDecisions(e.t.Context(), f, limit)
	e.must(err)
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	return ids
}

// eachDecision returns the ids of all records that f describes, oldest first.
func (e *env) eachDecision(f uma.DecisionFilter) (ids []string) {
	e.t.Helper()
	e.must(e.s.EachDecision(e.t.Context(), f, func(r *uma.Record) error {
		ids = append(ids, r.ID)
		return nil
	}))
	return ids
}

var decisionTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		want := e.record("d")
		e.keep(want)
		got, err := e.s.Decision(e.t.Context(), "d")
		e.must(err)
		want.Seq, want.Time = got.Seq, kept(want.Time)
		e.wantNoZeroFields(want)
		e.want("by id", *got, want)
		found, err := e.s.FindDecisions(e.t.Context(), uma.DecisionFilter{}, 10)
		e.must(err)
		e.want("found", found, []uma.Record{want})
		after, err := e.s.DecisionsAfter(e.t.Context(), 0, 10)
		e.must(err)
		e.want("after", after, []uma.Record{want})
	},

	"events_of_one_request": func(e *env) {
		// Each is read as it was written, whatever they have in common.
		claims := `{"pushed":{"reason":["` + strings.Repeat("because ", 200) + `"]}}`
		var want []uma.Record
		for i := range 5 {
			r := e.record(fmt.Sprint("d", i))
			r.Event = []byte(fmt.Sprintf(`{"decision_id":"d%d","input":{"claims":%s,"resource":{"id":"r%d"}},"n":%d}`, i, claims, i, i))
			want = append(want, r)
		}
		want[3].Event = []byte(`{"decision_id":"d3","error":"masked"}`)
		e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, Records: slices.Clone(want)}))
		for i := range want {
			got, err := e.s.Decision(e.t.Context(), want[i].ID)
			e.must(err)
			want[i].Seq, want[i].Time = got.Seq, kept(want[i].Time)
			e.want("by id", *got, want[i])
		}
		after, err := e.s.DecisionsAfter(e.t.Context(), 0, 10)
		e.must(err)
		e.want("after", after, want)
		found, err := e.s.FindDecisions(e.t.Context(), uma.DecisionFilter{}, 10)
		e.must(err)
		slices.Reverse(found)
		e.want("found", found, want)
	},

	"unknown": func(e *env) {
		e.keep(e.record("d"))
		for _, id := range []string{"", "D", "unknown"} {
			_, err := e.s.Decision(e.t.Context(), id)
			e.wantErr("decision "+id, err, uma.ErrNotFound)
		}
	},

	"without_rules_and_event": func(e *env) {
		want := uma.Record{ID: "d", Event: []byte("{}")}
		e.keep(want)
		got, err := e.s.Decision(e.t.Context(), "d")
		e.must(err)
		want.Seq = got.Seq
		e.want("record", *got, want)
	},

	"are_numbered_in_order": func(e *env) {
		last, err := e.s.LastDecision(e.t.Context())
		e.must(err)
		e.want("last of none", last, int64(0))
		e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now,
			Records: []uma.Record{e.record("a"), e.record("b")}}))
		e.keep(e.record("c"))
		all, err := e.s.DecisionsAfter(e.t.Context(), 0, 10)
		e.must(err)
		var ids []string
		for i, r := range all {
			ids = append(ids, r.ID)
			if i > 0 && r.Seq <= all[i-1].Seq {
				e.t.Errorf("%s has number %d after %d", r.ID, r.Seq, all[i-1].Seq)
			}
		}
		e.want("order", ids, []string{"a", "b", "c"})
		last, err = e.s.LastDecision(e.t.Context())
		e.must(err)
		e.want("last", last, all[2].Seq)
		one, err := e.s.DecisionsAfter(e.t.Context(), all[0].Seq, 1)
		e.must(err)
		e.want("after the first", one[0].ID, "b")
		none, err := e.s.DecisionsAfter(e.t.Context(), last, 10)
		e.must(err)
		e.want("after the last", len(none), 0)
	},

	"found_by_every_filter": func(e *env) {
		var base []string
		for i := range 6 {
			r := e.record(fmt.Sprint("d", i))
			r.Time = now.Add(time.Duration(i) * time.Minute)
			e.keep(r)
			base = append([]string{r.ID}, base...)
		}
		odd := map[string]func(r *uma.Record){
			"realm":    func(r *uma.Record) { r.Realm = "elsewhere" },
			"subject":  func(r *uma.Record) { r.Subject = "bob" },
			"client":   func(r *uma.Record) { r.Client = "other" },
			"outcome":  func(r *uma.Record) { r.Outcome = "denied" },
			"resource": func(r *uma.Record) { r.Resource = "q" },
			"rule":     func(r *uma.Record) { r.Rules = []string{"third"} },
			"request":  func(r *uma.Record) { r.Request = "req-2" },
			"revision": func(r *uma.Record) { r.Revision = "sha256:def" },
		}
		for what, change := range odd {
			r := e.record("odd " + what)
			r.Time = now.Add(time.Hour)
			change(&r)
			e.keep(r)
		}
		same := uma.DecisionFilter{Realm: "photoz", Subject: "alice", Client: "web", Outcome: "granted", Resource: "r", Rule: "team/rule", Request: "req-1", Revision: "sha256:abc"}
		e.want("all keys", e.decisions(same, 100), base)
		e.want("a page", e.decisions(same, 2), base[:2])
		third, err := e.s.Decision(e.t.Context(), base[2])
		e.must(err)
		next := same
		next.Before = third.Seq
		e.want("the next page", e.decisions(next, 2), base[3:5])
		for what, f := range map[string]uma.DecisionFilter{
			"realm": {Realm: "elsewhere"}, "subject": {Subject: "bob"}, "client": {Client: "other"},
			"outcome": {Outcome: "denied"}, "resource": {Resource: "q"},
			"rule": {Rule: "third"}, "request": {Request: "req-2"}, "revision": {Revision: "sha256:def"},
			"rule, resource": {Rule: "third", Resource: "r"}, "rule, outcome": {Rule: "third", Outcome: "granted"},
		} {
			e.want("by "+what, e.decisions(f, 100), []string{"odd " + strings.Split(what, ",")[0]})
		}
		e.want("by rule, a page", e.decisions(uma.DecisionFilter{Rule: "other", Client: "web", Before: third.Seq}, 2), base[3:5])
		e.want("by a rule that no record of the resource names", len(e.decisions(uma.DecisionFilter{Rule: "third", Resource: "q"}, 100)), 0)
		e.want("number of all", len(e.decisions(uma.DecisionFilter{}, 100)), 14)
		e.want("in another case", e.decisions(uma.DecisionFilter{Subject: "Alice"}, 100), []string(nil))
	},

	"found_by_time": func(e *env) {
		at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
		// Requests do not end in the order in which they began.
		for i, minutes := range []int{0, 2, 1, 3, 5, 4} {
			r := e.record(fmt.Sprint("d", minutes))
			r.Time = at(minutes)
			if i%2 == 0 {
				r.Subject = "bob"
			}
			e.keep(r)
		}
		for what, tc := range map[string]struct {
			f    uma.DecisionFilter
			want []string
		}{
			"since":           {uma.DecisionFilter{Since: at(2)}, []string{"d4", "d5", "d3", "d2"}},
			"until":           {uma.DecisionFilter{Until: at(2)}, []string{"d1", "d0"}},
			"both":            {uma.DecisionFilter{Since: at(1), Until: at(5)}, []string{"d4", "d3", "d1", "d2"}},
			"none":            {uma.DecisionFilter{Since: at(6)}, nil},
			"empty":           {uma.DecisionFilter{Since: at(2), Until: at(2)}, nil},
			"since, by party": {uma.DecisionFilter{Since: at(1), Subject: "bob"}, []string{"d5", "d1"}},
		} {
			if got := e.decisions(tc.f, 100); !slices.Equal(got, tc.want) {
				e.t.Errorf("%s: got %v, want %v", what, got, tc.want)
			}
			slices.Reverse(tc.want)
			if got := e.eachDecision(tc.f); !slices.Equal(got, tc.want) {
				e.t.Errorf("%s, oldest first: got %v, want %v", what, got, tc.want)
			}
		}
	},

	"each_page_by_page": func(e *env) {
		var want, granted []string
		for i := range 250 {
			r := e.record(fmt.Sprint("d", i))
			if i%2 == 0 {
				r.Outcome = "denied"
			} else {
				granted = append(granted, r.ID)
			}
			want = append(want, r.ID)
			e.keep(r)
		}
		e.want("all", e.eachDecision(uma.DecisionFilter{}), want)
		e.want("granted", e.eachDecision(uma.DecisionFilter{Outcome: "granted", Rule: "other"}), granted)
		e.want("after", e.eachDecision(uma.DecisionFilter{After: 240}), want[240:])
		n, stop := 0, errors.New("enough")
		err := e.s.EachDecision(e.t.Context(), uma.DecisionFilter{}, func(*uma.Record) error {
			if n++; n == 120 {
				return stop
			}
			return nil
		})
		e.wantErr("stopped", err, stop)
		e.want("number", n, 120)
	},

	"pruned_from_the_oldest_on": func(e *env) {
		at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
		for i, minutes := range []int{0, 2, 1, 3, 2, 4} { // the third is older than the second
			r := e.record(fmt.Sprint("d", i))
			r.Time, r.Rules = at(minutes), []string{"all", fmt.Sprint("only/", i)}
			e.keep(r)
		}
		prune := func(before time.Time, limit, want int) {
			e.t.Helper()
			n, err := e.s.PruneDecisions(e.t.Context(), before, limit)
			e.must(err)
			e.want("removed", n, want)
		}
		prune(at(0), 10, 0)
		prune(at(3), 2, 2)
		prune(at(3), 2, 1)
		prune(at(3), 2, 0)
		e.want("left", e.eachDecision(uma.DecisionFilter{}), []string{"d3", "d4", "d5"})
		e.want("by a rule", e.decisions(uma.DecisionFilter{Rule: "all"}, 10), []string{"d5", "d4", "d3"})
		e.want("by a rule of a removed record", len(e.decisions(uma.DecisionFilter{Rule: "only/0"}, 10)), 0)
		_, err := e.s.Decision(e.t.Context(), "d0")
		e.wantErr("gone", err, uma.ErrNotFound)
		prune(at(60), 10, 3)
		e.keep(e.record("next"))
		next, err := e.s.Decision(e.t.Context(), "next")
		e.must(err)
		e.want("number", next.Seq, int64(7))
	},

	"pruned_with_their_shared_parts": func(e *env) {
		claims := strings.Repeat("because ", 200)
		var records []uma.Record
		for i := range 4 {
			r := e.record(fmt.Sprint("d", i))
			r.Event = []byte(fmt.Sprintf(`{"n":%d,"claims":"%s"}`, i, claims))
			records = append(records, r)
		}
		e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, Records: slices.Clone(records)}))
		for i := range 3 {
			n, err := e.s.PruneDecisions(e.t.Context(), now.Add(time.Minute), 1)
			e.must(err)
			e.want("removed", n, 1)
			left, err := e.s.Decision(e.t.Context(), "d3")
			e.must(err)
			e.want(fmt.Sprint("event after ", i+1), string(left.Event), string(records[3].Event))
		}
	},
}
