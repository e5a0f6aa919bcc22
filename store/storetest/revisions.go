package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/umpire/uma"
)

var revisionTests = map[string]func(e *env){
	"revisions_pruned": func(e *env) {
		const last = 20 // uma.KeepRevisions, by hand
		there := func(hashes ...string) (found []string) {
			for _, hash := range hashes {
				if _, err := e.s.Revision(e.t.Context(), "photoz", hash); !errors.Is(err, uma.ErrNotFound) {
					e.must(err)
					found = append(found, hash)
				}
			}
			return found
		}
		prune := func(at time.Time, want int) {
			e.t.Helper()
			n, err := e.s.PruneRevisions(e.t.Context(), at)
			e.must(err)
			e.want("removed", n, want)
		}
		e.activated("photoz", "back", now)
		e.activated("photoz", "unused", now)
		e.activated("photoz", "named", now)
		e.activated("photoz", "shared", now)
		e.activated("photoz", "back", now) // as it was before
		e.activated("elsewhere", "shared", now)
		for i := range last - 2 {
			e.activated("photoz", fmt.Sprint("kept ", i), now)
		}
		r := e.record("d")
		r.Revision = "named"
		e.keep(r)
		all := []string{"back", "unused", "named", "shared", "kept 0"}
		prune(now.Add(time.Minute), 1)
		e.want("back, and 19 after it", there(all...), []string{"back", "named", "shared", "kept 0"})
		e.activated("photoz", "one more", now)
		e.activated("photoz", "two more", now)
		prune(now.Add(5*time.Second), 0)
		e.want("just replaced", there(all...), []string{"back", "named", "shared", "kept 0"})
		prune(now.Add(time.Minute), 2)
		e.want("named, or one of the last", there(all...), []string{"named", "kept 0"})
		shared, err := e.s.Revision(e.t.Context(), "elsewhere", "shared")
		e.must(err)
		e.want("in force elsewhere", shared.Sources, map[string]string{"a.rego": "shared"})
		_, err = e.s.PruneDecisions(e.t.Context(), now.Add(time.Minute), 10)
		e.must(err)
		prune(now.Add(time.Minute), 1)
		e.want("the last", there(all...), []string{"kept 0"})
		e.want("periods", len(e.periods("photoz")), 5+last)
	},

	"revision_round_trip": func(e *env) {
		get := func(hash string) *uma.Revision {
			e.t.Helper()
			r, err := e.s.Revision(e.t.Context(), "photoz", hash)
			e.must(err)
			return r
		}
		a := e.activation("photoz", "sha256:abc", now)
		a.Revision.Sources = map[string]string{"a.rego": strings.Repeat("package a\n", 1000), "deep/b.rego": "b", "empty.rego": "", "same.rego": "b"}
		want := *a.Revision
		e.wantNoZeroFields(want)
		e.begin(a)
		want.Since = kept(want.Since)
		e.want("revision", *get(want.Hash), want)
		_, err := e.s.Revision(e.t.Context(), "photoz", "sha256:other")
		e.wantErr("unknown", err, uma.ErrNotFound)
		_, err = e.s.Revision(e.t.Context(), "elsewhere", want.Hash)
		e.wantErr("in another realm", err, uma.ErrNotFound)
	},

	// Tests and versions are those of the last activation; the sources of one hash are always
	// the same.
	"revision_activated_again": func(e *env) {
		a := e.activation("photoz", "sha256:abc", now)
		want := *a.Revision
		e.begin(a)
		e.begin(e.activation("elsewhere", "sha256:abc", now))
		again := e.activation("photoz", "sha256:abc", now.Add(time.Hour))
		again.Revision.Sources = map[string]string{"b.rego": "package b\n"}
		again.Revision.Beside = map[string]string{"b_test.rego": "package b_test\n", ".manifest": "{}"}
		again.Revision.OPA, again.Revision.Umpire = "1.3.0", "v1.1.0"
		e.begin(again)
		got, err := e.s.Revision(e.t.Context(), "photoz", want.Hash)
		e.must(err)
		want.Since, want.Beside, want.OPA, want.Umpire = kept(want.Since), again.Revision.Beside, "1.3.0", "v1.1.0"
		e.want("revision", *got, want)
		got, err = e.s.Revision(e.t.Context(), "elsewhere", want.Hash)
		e.must(err)
		e.want("tests elsewhere", got.Beside, map[string]string{"a_test.rego": "test of sha256:abc"})
		again.Over, again.Revision.Beside = e.policyState("photoz").Active.Key, nil
		e.begin(again)
		got, err = e.s.Revision(e.t.Context(), "photoz", want.Hash)
		e.must(err)
		e.want("without tests", got.Beside, map[string]string{})
	},

	// Most files of a revision are those of the one before. They stay as long as one has them.
	"revisions_share_files": func(e *env) {
		begin := func(hash string, beside map[string]string) {
			e.t.Helper()
			a := e.activation("photoz", hash, now)
			a.Revision.Sources = map[string]string{"a.rego": hash, "same.rego": "package same\n"}
			a.Revision.Beside = beside
			e.begin(a)
		}
		expect := func(hash string, beside map[string]string) {
			e.t.Helper()
			got, err := e.s.Revision(e.t.Context(), "photoz", hash)
			e.must(err)
			e.want("sources of "+hash, got.Sources, map[string]string{"a.rego": hash, "same.rego": "package same\n"})
			e.want("tests of "+hash, got.Beside, beside)
		}
		tests := map[string]string{"same_test.rego": "package same_test\n"}
		begin("first", tests)
		begin("second", tests)
		begin("first", map[string]string{})
		expect("first", map[string]string{})
		expect("second", tests)
		for i := range uma.KeepRevisions - 1 {
			e.activated("photoz", fmt.Sprint("kept ", i), now)
		}
		begin("second", tests)
		n, err := e.s.PruneRevisions(e.t.Context(), now.Add(time.Minute))
		e.must(err)
		e.want("removed", n, 1)
		_, err = e.s.Revision(e.t.Context(), "photoz", "first")
		e.wantErr("first", err, uma.ErrNotFound)
		expect("second", tests)
	},

	"revision_in_force_is_the_last": func(e *env) {
		inForce := func(realm string) string {
			e.t.Helper()
			r, err := e.s.RevisionInForce(e.t.Context(), realm)
			e.must(err)
			e.want("realm", r.Realm, realm)
			e.want("sources", r.Sources, map[string]string{"a.rego": r.Hash})
			return r.Hash
		}
		_, err := e.s.RevisionInForce(e.t.Context(), "photoz")
		e.wantErr("before the first", err, uma.ErrNotFound)
		for i, step := range []struct{ realm, hash string }{{"photoz", "a"}, {"photoz", "b"}, {"other", "a"}, {"photoz", "a"}, {"photoz", "c"}} {
			e.activated(step.realm, step.hash, now.Add(-time.Duration(i)*time.Hour))
			e.want("in force", inForce(step.realm), step.hash)
		}
		e.want("in force elsewhere", inForce("other"), "a")
	},
}
