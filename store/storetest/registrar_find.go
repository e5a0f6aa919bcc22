package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
)

var findTests = withFindings(map[string]func(e *env){
	"many_resources_are_read_in_pages": func(e *env) {
		var want []string
		for i := range 700 {
			r := e.resource(fmt.Sprintf("Album %04d", i), "album:view", uma.Scope(fmt.Sprint("only:", i%2)))
			e.create(r)
			want = append(want, r.Name)
		}
		for what, f := range map[string]uma.ResourceFilter{
			"all": {}, "part": {Name: "album"}, "short part": {Name: "al"}, "type": {Type: "album"},
			"owner": {Owner: e.alice}, "scope": {Scope: "album:"}, "scopes": {Scope: "only:"},
		} {
			if got := e.find(e.api, f, 0, -1); !slices.Equal(got, want) {
				e.t.Errorf("%s: got %d resources, want %d in order", what, len(got), len(want))
			}
			if got := e.find(e.api, f, 300, 300); !slices.Equal(got, want[300:600]) {
				e.t.Errorf("%s: got %d resources from %q, want 300 from %q", what, len(got), append(got, "none")[0], want[300])
			}
		}
	},

	"a_slow_caller_blocks_no_write": func(e *env) {
		for i := range 300 {
			e.create(e.resource(fmt.Sprintf("Album %04d", i), "view"))
		}
		var listing func(depth int) error
		listing = func(depth int) error {
			if depth == 0 {
				return e.view().Close()
			}
			first := true
			return e.s.FindResources(e.t.Context(), e.api, uma.ResourceFilter{}, 0, -1, func(*uma.Resource) error {
				if !first {
					return nil
				}
				first = false
				return listing(depth - 1)
			})
		}
		e.must(listing(20)) // each of 20 is in the middle of its list while the next one reads
	},

	"continues_when_rows_are_deleted": func(e *env) {
		var all []*uma.Resource
		for i := range 600 {
			all = append(all, e.create(e.resource(fmt.Sprintf("Album %04d", i), "view")))
		}
		for what, f := range map[string]uma.ResourceFilter{"all": {}, "part": {Name: "album"}, "scope": {Scope: "view"}} {
			seen := 0
			e.must(e.s.FindResources(e.t.Context(), e.api, f, 0, -1, func(r *uma.Resource) error {
				if seen++; seen == 1 {
					return e.s.DeleteResource(e.t.Context(), e.api, all[len(all)-1].ID)
				}
				return nil
			}))
			all = all[:len(all)-1]
			e.want(what, seen, len(all))
		}
	},

	// Rows may be large, and so would be a page of a fixed number of rows.
	"pages_are_bounded_in_bytes": func(e *env) {
		large := map[string][]string{"a": {strings.Repeat("x", 64<<10)}}
		var last *uma.Resource
		for i := range 60 { // of 4 MB
			last = e.resource(fmt.Sprintf("Album %04d", i), "view")
			last.Attributes = large
			e.create(last)
		}
		for what, f := range map[string]uma.ResourceFilter{
			"all": {}, "part": {Name: "album"}, "short part": {Name: "al"}, "scope": {Scope: "view"}, "owner": {Owner: e.alice},
		} {
			seen := 0
			e.must(e.s.FindResources(e.t.Context(), e.api, f, 0, -1, func(r *uma.Resource) error {
				e.want("attributes", r.Attributes, large)
				if seen++; seen > 1 {
					return nil
				}
				e.must(e.s.DeleteResource(e.t.Context(), e.api, last.ID))
				return nil
			}))
			e.want(what+": those that were not read yet", seen, 59)
			e.create(last)
		}
	},

	"ends_with_the_callers_error": func(e *env) {
		e.shelf(library...)
		stop := errors.New("stop")
		calls := 0
		err := e.s.FindResources(e.t.Context(), e.api, uma.ResourceFilter{}, 0, -1, func(*uma.Resource) error {
			calls++
			return stop
		})
		e.wantErr("find", err, stop)
		e.want("calls", calls, 1)
	},

	"equal_names_are_ordered_by_id": func(e *env) {
		for i, owner := range []string{e.bob, e.alice, e.apiUUID} {
			r := e.resource("Album", "view")
			r.Owner, r.ID = owner, uma.ResourceID(fmt.Sprint("r", 3-i))
			e.create(r)
		}
		for what, f := range map[string]uma.ResourceFilter{
			"all": {}, "part": {Name: "album"}, "exact": {Name: "Album", ExactName: true}, "scope": {Scope: "view"},
		} {
			var ids []uma.ResourceID
			e.must(e.s.FindResources(e.t.Context(), e.api, f, 0, -1, func(r *uma.Resource) error {
				ids = append(ids, r.ID)
				return nil
			}))
			e.want(what, ids, []uma.ResourceID{"r1", "r2", "r3"})
		}
	},

	"follows_changes": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		change := *r
		change.Name, change.Type, change.Scopes, change.URIs = "Renamed", "photo", []uma.Scope{"delete"}, []string{"/r"}
		e.must(e.s.ReplaceResource(e.t.Context(), &change, e.newID))
		for what, f := range map[string]uma.ResourceFilter{
			"name": {Name: "album"}, "type": {Type: "album"}, "scope": {Scope: "view"},
		} {
			e.want("by the old "+what, e.find(e.api, f, 0, -1), []string{})
		}
		for what, f := range map[string]uma.ResourceFilter{
			"name": {Name: "renamed"}, "type": {Type: "photo"}, "scope": {Scope: "delete"}, "URI": {URI: "/r"},
		} {
			e.want("by the new "+what, e.find(e.api, f, 0, -1), []string{"Renamed"})
		}
		e.must(e.s.DeleteResource(e.t.Context(), e.api, r.ID))
		e.want("after removal", e.find(e.api, uma.ResourceFilter{Name: "renamed"}, 0, -1), []string{})
	},
})

func withFindings(tests map[string]func(e *env)) map[string]func(e *env) {
	for _, tc := range findings {
		tests["by_"+tc.name] = func(e *env) {
			e.shelf(library...)
			all := strings.Fields(tc.want)
			for first := range len(all) + 1 {
				for _, max := range []int{-1, 0, 1, 2, 100} {
					want := append([]string{}, all[first:]...)
					if max >= 0 {
						want = want[:min(max, len(want))]
					}
					e.want(fmt.Sprintf("first %d, max %d", first, max), e.find(e.api, tc.f(e), first, max), want)
				}
			}
			e.want("at another server", e.find(e.foreign, tc.f(e), 0, -1), []string{})
		}
	}
	return tests
}
