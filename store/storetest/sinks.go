package storetest

import (
	"fmt"
	"time"

	"example.com/umpire/uma"
)

// wanted returns a sink as KeepSinks takes it, with no field of these at its zero value.
func (e *env) wanted(name string) uma.Sink {
	return uma.Sink{Name: name, Kind: uma.SinkOPA, Realm: "photoz", Target: "https://logs.example", Hold: time.Hour, Holder: "a"}
}

func (e *env) keepSinks(wanted ...uma.Sink) {
	e.t.Helper()
	e.must(e.s.KeepSinks(e.t.Context(), e.generation(), wanted))
}

func (e *env) sinks() []uma.Sink {
	e.t.Helper()
	all, err := e.s.AllSinks(e.t.Context())
	e.must(err)
	return all
}

func (e *env) saveSink(s uma.Sink) (lost []string) {
	e.t.Helper()
	lost, err := e.s.SaveSinks(e.t.Context(), []uma.Sink{s})
	e.must(err)
	return lost
}

// recordOf returns a record of a realm.
func (e *env) recordOf(realm, id string, at time.Time) uma.Record {
	r := e.record(id)
	r.Realm, r.Time = realm, at
	return r
}

func (e *env) recordsFor(realm string, seq int64, limit int) (ids []string) {
	e.t.Helper()
	found, err := e.s.RecordsFor(e.t.Context(), realm, seq, limit)
	e.must(err)
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	return ids
}

var sinkTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		e.keep(e.record("d1"), e.record("d2"))
		e.keepSinks(e.wanted("opa/photoz"))
		want := e.wanted("opa/photoz")
		want.Cursor = 2 // the last record
		e.want("new", e.sinks(), []uma.Sink{want})

		want.Cursor, want.Delivered, want.Failed, want.Problem, want.Skipped = 3, now, now.Add(time.Second), "refused", 4
		e.want("lost", e.saveSink(want), []string(nil))
		want.Delivered, want.Failed = kept(want.Delivered), kept(want.Failed)
		e.want("saved", e.sinks(), []uma.Sink{want})

		again := e.wanted("opa/photoz")
		again.Kind, again.Realm, again.Target, again.Hold, again.Holder = uma.SinkFile, "elsewhere", "/log", 2*time.Hour, "b"
		e.keepSinks(again)
		want.Kind, want.Realm, want.Target, want.Hold = again.Kind, again.Realm, again.Target, again.Hold
		e.want("kept with other settings", e.sinks(), []uma.Sink{want})
	},

	"that_are_not_wanted_are_removed": func(e *env) {
		e.keepSinks(e.wanted("b"), e.wanted("a"))
		e.want("number", len(e.sinks()), 2)
		e.want("first", e.sinks()[0].Name, "a")
		e.keepSinks(e.wanted("b"))
		e.want("number", len(e.sinks()), 1)
		e.want("lost", e.saveSink(e.wanted("a")), []string{"a"})
		e.keepSinks()
		e.want("number", len(e.sinks()), 0)
	},

	"are_those_of_the_realms_now": func(e *env) {
		before := e.generation()
		e.apply(e.realmFile("new"))
		e.keepSinks(e.wanted("opa/photoz"), e.wanted("opa/new"))
		want := e.sinks()
		for _, generation := range []int64{before, e.generation() + 1} {
			err := e.s.KeepSinks(e.t.Context(), generation, []uma.Sink{e.wanted("opa/photoz")})
			e.wantErr("of a list that is not of the realms now", err, uma.ErrMoved)
		}
		e.want("sinks", e.sinks(), want)
	},

	"have_one_holder": func(e *env) {
		e.keepSinks(e.wanted("s"))
		ours, theirs := e.wanted("s"), e.wanted("s")
		ours.Cursor, theirs.Cursor, theirs.Holder = 7, 5, "b"
		e.want("of another", e.saveSink(theirs), []string{"s"})
		e.must(e.s.TakeSinks(e.t.Context(), "b", []string{"s", "unknown"}))
		e.want("taken", e.saveSink(theirs), []string(nil))
		e.want("lost", e.saveSink(ours), []string{"s"})
		e.want("cursor", e.sinks()[0].Cursor, int64(5))
		theirs.Cursor = 4
		e.saveSink(theirs)
		e.want("a cursor never goes back", e.sinks()[0].Cursor, int64(5))
	},

	"records_of_a_realm": func(e *env) {
		for i := range 6 {
			e.keep(e.recordOf([]string{"photoz", "elsewhere"}[i%2], fmt.Sprint("d", i), now.Add(time.Duration(i)*time.Minute)))
		}
		e.want("of all realms", e.recordsFor("", 4, 10), []string{"d4", "d5"})
		e.want("of one", e.recordsFor("photoz", 0, 10), []string{"d0", "d2", "d4"})
		e.want("after", e.recordsFor("photoz", 1, 10), []string{"d2", "d4"})
		e.want("a page", e.recordsFor("photoz", 0, 2), []string{"d0", "d2"})
		e.want("of none", e.recordsFor("unknown", 0, 10), []string(nil))
		backlog := func(realm string, seq int64, records int, oldest time.Time) {
			e.t.Helper()
			got, err := e.s.BacklogOf(e.t.Context(), realm, seq)
			e.must(err)
			e.want("backlog of "+realm, got, uma.Backlog{Records: records, Oldest: oldest})
		}
		backlog("", 0, 6, kept(now))
		backlog("", 4, 2, kept(now.Add(4*time.Minute)))
		backlog("", 6, 0, time.Time{})
		backlog("photoz", 1, 2, kept(now.Add(2*time.Minute)))
		backlog("photoz", 5, 0, time.Time{})
		_, err := e.s.PruneDecisions(e.t.Context(), now.Add(90*time.Second), 10)
		e.must(err)
		backlog("", 0, 4, kept(now.Add(2*time.Minute)))
	},

	"retention_waits": func(e *env) {
		at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
		all := e.wanted("all")
		all.Realm, all.Hold = "", 10*time.Minute
		e.keepSinks(e.wanted("photoz"), all) // an hour, and ten minutes
		for i, realm := range []string{"elsewhere", "photoz", "elsewhere", "photoz"} {
			e.keep(e.recordOf(realm, fmt.Sprint("d", i), at(i)))
		}
		prune := func(minutes, want int) {
			e.t.Helper()
			n, err := e.s.PruneDecisions(e.t.Context(), at(minutes), 10)
			e.must(err)
			e.want(fmt.Sprint("removed before minute ", minutes), n, want)
		}
		cut := func(ofAll, ofPhotoz int64) {
			e.t.Helper()
			sinks := e.sinks()
			e.want("cut", []int64{sinks[0].Cut, sinks[1].Cut}, []int64{ofAll, ofPhotoz})
		}
		prune(5, 0)
		all.Cursor = 1
		e.saveSink(all)
		prune(1, 1)  // delivered
		prune(11, 0) // ten minutes old, but both wait for it
		prune(60, 0) // only photoz waits, and keeps the next ones, too
		prune(62, 2) // photoz waited an hour, for d1; d2 is of another realm
		prune(62, 0) // d3
		cut(2, 1)
		prune(90, 1)
		cut(3, 2)
		for _, s := range e.sinks() {
			e.want("the cursor of "+s.Name, s.Cursor, int64(4))
		}
		e.keep(e.recordOf("photoz", "next", at(100)))
		e.want("next", e.recordsFor("photoz", 4, 10), []string{"next"})
		e.keepSinks() // nothing waits
		prune(101, 1)
	},
}
