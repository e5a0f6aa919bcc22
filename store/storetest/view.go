package storetest

import (
	"context"
	"errors"

	"example.com/umpire/uma"
)

var viewTests = map[string]func(e *env){
	"sees_what_was_written_before": func(e *env) {
		r := e.create(e.resource("Album"))
		e.reading(func(v uma.View) {
			_, err := v.Resource(e.t.Context(), e.api, r.ID)
			e.must(err)
		})
	},

	"does_not_change_under_the_reader": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		e.reading(func(v uma.View) {
			before, err := v.Resource(e.t.Context(), e.api, r.ID)
			e.must(err)
			e.must(e.s.DeleteResource(e.t.Context(), e.api, r.ID))
			after, err := v.Resource(e.t.Context(), e.api, r.ID)
			e.must(err)
			e.want("the resource in the same view", after, before)
		})
		if e.get(e.api, r.ID) != nil {
			e.t.Error("a later view finds a resource that was deleted")
		}
	},

	"waits_no_longer_than_its_context": func(e *env) {
		ctx, cancel := context.WithCancel(e.t.Context())
		cancel()
		if v, err := e.s.View(ctx); !errors.Is(err, context.Canceled) {
			e.t.Errorf("got view %v and error %v, want context.Canceled", v, err)
		}
		if v, err := e.s.CachedView(ctx); !errors.Is(err, context.Canceled) {
			e.t.Errorf("got cached view %v and error %v, want context.Canceled", v, err)
		}
	},

	"reads_nothing_once_closed_or_when_the_context_has_ended": func(e *env) {
		v := e.view()
		ctx, cancel := context.WithCancel(e.t.Context())
		cancel()
		_, err := v.User(ctx, e.realm, e.alice)
		e.wantErr("with an ended context", err, context.Canceled)
		_, err = v.User(e.t.Context(), e.realm, e.alice)
		e.must(err)
		e.must(v.Close())
		u, err := v.User(e.t.Context(), e.realm, e.alice)
		if err == nil || errors.Is(err, uma.ErrNotFound) {
			e.t.Errorf("closed: got user %v and error %v, want an error that says so", u, err)
		}
	},

	"closes_twice": func(e *env) {
		v := e.view()
		e.must(v.Close())
		e.must(v.Close())
	},

	"closes_and_opens_often": func(e *env) {
		for range 50 {
			e.must(e.view().Close())
		}
	},

	"write_with_an_ended_context_has_no_effect": func(e *env) {
		ctx, cancel := context.WithCancel(e.t.Context())
		cancel()
		r := e.resource("Album")
		e.wantErr("create", e.s.CreateResource(ctx, r, e.newID), context.Canceled)
		if e.get(e.api, r.ID) != nil {
			e.t.Error("the resource is there")
		}
	},
}
