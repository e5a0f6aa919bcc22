package storetest

import (
	"fmt"

	"example.com/umpire/uma"
)

var shadowTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		ctx := e.t.Context()
		_, err := e.s.Shadow(ctx, "photoz")
		e.wantErr("no shadow", err, uma.ErrNotFound)
		state := &uma.ShadowState{
			Realm: "photoz", Revision: "r1", Cursor: 7, Since: now, Problem: "does not compile",
			ShadowCounts: uma.ShadowCounts{Replayed: 1, Unchanged: 2, Failed: 3, Inexact: 4, Skipped: 5, Missed: 6, Requests: 7, Granted: 8, Refused: 9, Different: 10},
		}
		e.must(e.s.SaveShadow(ctx, state, nil))
		want := *state
		want.Since = kept(now)
		e.wantNoZeroFields(want)
		got, err := e.s.Shadow(ctx, "photoz")
		e.must(err)
		e.want("state", *got, want)
		state.Cursor = 8
		e.must(e.s.SaveShadow(ctx, state, nil))
		got, err = e.s.Shadow(ctx, "photoz")
		e.must(err)
		e.want("cursor", got.Cursor, int64(8))
		e.want("version", got.Version, state.Version)
	},

	"only_the_last_reader_writes": func(e *env) {
		ctx := e.t.Context()
		first, second := &uma.ShadowState{Realm: "photoz", Cursor: 1}, &uma.ShadowState{Realm: "photoz", Cursor: 2}
		e.must(e.s.SaveShadow(ctx, first, nil))
		change := []uma.ShadowChange{{Revision: "r", Change: []byte("{}")}}
		e.wantErr("a second first state", e.s.SaveShadow(ctx, second, change), uma.ErrMoved)
		stale := *first
		e.must(e.s.SaveShadow(ctx, first, nil))
		e.wantErr("a stale state", e.s.SaveShadow(ctx, &stale, change), uma.ErrMoved)
		changes, err := e.s.ShadowChanges(ctx, "photoz", 10)
		e.must(err)
		e.want("changes", len(changes), 0)
	},

	"changes_are_bounded": func(e *env) {
		ctx := e.t.Context()
		states := map[string]*uma.ShadowState{}
		for _, realm := range []string{"photoz", "elsewhere"} {
			states[realm] = &uma.ShadowState{Realm: realm}
			e.must(e.s.SaveShadow(ctx, states[realm], []uma.ShadowChange{{Revision: "r", Change: []byte(realm)}}))
		}
		var many []uma.ShadowChange
		for i := range uma.KeepShadowChanges {
			many = append(many, uma.ShadowChange{Revision: "s", Change: fmt.Append(nil, i)})
		}
		e.must(e.s.SaveShadow(ctx, states["photoz"], many))
		got, err := e.s.ShadowChanges(ctx, "photoz", 2*len(many))
		e.must(err)
		e.want("number", len(got), len(many))
		e.want("newest", string(got[0].Change), fmt.Sprint(len(many)-1))
		e.want("oldest", string(got[len(got)-1].Change), "0")
		few, err := e.s.ShadowChanges(ctx, "photoz", 2)
		e.must(err)
		e.want("page", few, got[:2])
		other, err := e.s.ShadowChanges(ctx, "elsewhere", 10)
		e.must(err)
		e.want("of the other realm", other, []uma.ShadowChange{{Revision: "r", Change: []byte("elsewhere")}})
	},
}
