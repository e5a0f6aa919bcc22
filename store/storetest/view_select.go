package storetest

import (
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

// shelf stores resources for selections and listings, each written as
// owner/name/type/scopes/uris with lists separated by commas. The owner `api` is
// the resource server itself.
func (e *env) shelf(rows ...string) {
	e.t.Helper()
	owners := map[string]string{"api": e.apiUUID, "alice": e.alice, "bob": e.bob}
	for _, row := range rows {
		f := strings.Split(row, "|")
		r := e.resource(f[1])
		r.Owner, r.Type = owners[f[0]], f[2]
		for _, s := range strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' }) {
			r.Scopes = append(r.Scopes, uma.Scope(s))
		}
		r.URIs = strings.FieldsFunc(f[4], func(r rune) bool { return r == ',' })
		e.create(r)
	}
	other := e.resource("B")
	other.Server = e.second
	other.Scopes, other.URIs = []uma.Scope{"view", "delete"}, []string{"/b"}
	e.create(other) // that no selection may see
}

func namesOf(found []*uma.Resource) []string {
	list := []string{}
	for _, r := range found {
		list = append(list, r.Name)
	}
	return list
}

var shelf = []string{
	"api|B|album|view|/b",
	"alice|C|album|delete,view|/c,/C",
	"bob|A|album|view|/a",
	"api|D|photo|view,delete|/b,/d",
	"alice|E|photo|comment|",
	"api|F||print|/F",
	"bob|a|album||",
}

var selections = []struct {
	name string
	q    func(e *env) uma.Selection
	want string
}{
	{"owner", func(e *env) uma.Selection { return uma.Selection{Owner: e.alice} }, "C E"},
	{"owner_itself", func(e *env) uma.Selection { return uma.Selection{Owner: e.apiUUID} }, "B D F"},
	{"owner_and_type", func(e *env) uma.Selection { return uma.Selection{Owner: e.alice, Type: "photo"} }, "E"},
	{"not_owner", func(e *env) uma.Selection { return uma.Selection{Type: "album", NotOwner: e.apiUUID} }, "A C a"},
	{"not_another_owner", func(e *env) uma.Selection { return uma.Selection{Type: "album", NotOwner: e.bob} }, "B C"},
	{"type", func(e *env) uma.Selection { return uma.Selection{Type: "album"} }, "A B C a"},
	{"type_in_another_case", func(e *env) uma.Selection { return uma.Selection{Type: "Album"} }, ""},
	{"any_scope", func(e *env) uma.Selection { return uma.Selection{AnyScope: []uma.Scope{"delete", "print"}} }, "C D F"},
	{"any_scope_once", func(e *env) uma.Selection { return uma.Selection{AnyScope: []uma.Scope{"delete", "view", "view"}} }, "A B C D"},
	{"unknown_scope", func(e *env) uma.Selection { return uma.Selection{AnyScope: []uma.Scope{"VIEW"}} }, ""},
	{"uri", func(e *env) uma.Selection { return uma.Selection{URI: uripath.Fold("/B")} }, "B D"},
	{"uri_twice_in_one", func(e *env) uma.Selection { return uma.Selection{URI: uripath.Fold("/c")} }, "C"},
	{"unknown_uri", func(e *env) uma.Selection { return uma.Selection{URI: "/x"} }, ""},
}

var selectTests = withSelections(map[string]func(e *env){
	"an_empty_selection_is_an_error": func(e *env) {
		e.shelf(shelf...)
		e.reading(func(v uma.View) {
			got, err := v.Select(e.t.Context(), e.api, uma.Selection{}, 100)
			if err == nil || len(got) > 0 {
				e.t.Errorf("got %d resources and error %v, want an error", len(got), err)
			}
		})
	},

	"equal_names_are_ordered_by_id": func(e *env) {
		for i, owner := range []string{e.bob, e.alice, e.apiUUID} {
			r := e.resource("Album", "view")
			r.Owner, r.ID = owner, uma.ResourceID(fmt.Sprint("r", 3-i))
			e.create(r)
		}
		e.reading(func(v uma.View) {
			for _, q := range []uma.Selection{{Type: "album"}, {AnyScope: []uma.Scope{"view"}}} {
				got, err := v.Select(e.t.Context(), e.api, q, 2)
				e.must(err)
				e.want("ids", []uma.ResourceID{got[0].ID, got[1].ID}, []uma.ResourceID{"r1", "r2"})
			}
		})
	},
})

func withSelections(tests map[string]func(e *env)) map[string]func(e *env) {
	for _, tc := range selections {
		tests["by_"+tc.name] = func(e *env) {
			e.shelf(shelf...)
			all := strings.Fields(tc.want)
			e.reading(func(v uma.View) {
				for limit := range len(all) + 2 {
					got, err := v.Select(e.t.Context(), e.api, tc.q(e), limit)
					e.must(err)
					want := all[:min(limit, len(all))]
					if !slices.Equal(namesOf(got), want) {
						e.t.Errorf("limit %d: got %v, want %v", limit, namesOf(got), want)
					}
				}
			})
		}
	}
	return tests
}

var findings = []struct {
	name string
	f    func(e *env) uma.ResourceFilter
	want string
}{
	{"all", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{} }, "Alpha Beta Gamma alphabet Öl_%"},
	{"id", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{ID: e.byName(e.alice, "Beta").ID} }, "Beta"},
	{"id_and_owner", func(e *env) uma.ResourceFilter {
		return uma.ResourceFilter{ID: e.byName(e.alice, "Beta").ID, Owner: e.bob}
	}, ""},
	{"part_of_name", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: "ALPH"} }, "Alpha alphabet"},
	{"short_part", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: "Be"} }, "Beta alphabet"},
	{"shortest_part", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: "Ö"} }, "Öl_%"},
	{"part_with_wildcards", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: "l_%"} }, "Öl_%"},
	{"part_with_quotes", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: `a" OR "b`} }, ""},
	{"part_that_is_no_part", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: "alphax"} }, ""},
	{"folded_part", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: "öL_"} }, "Öl_%"},
	{"exact_name", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: "Alpha", ExactName: true} }, "Alpha"},
	{"exact_name_in_another_case", func(e *env) uma.ResourceFilter {
		return uma.ResourceFilter{Name: "alpha", ExactName: true}
	}, ""},
	{"no_name_is_no_filter", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{ExactName: true} },
		"Alpha Beta Gamma alphabet Öl_%"},
	{"uri", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{URI: uripath.Fold("/SHARED")} }, "Alpha Gamma"},
	{"uri_and_owner", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{URI: "/shared", Owner: e.bob} }, "Gamma"},
	{"owner", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Owner: e.alice} }, "Beta alphabet"},
	{"owner_and_part", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Owner: e.alice, Name: "alpha"} }, "alphabet"},
	{"owner_and_exact_name", func(e *env) uma.ResourceFilter {
		return uma.ResourceFilter{Owner: e.alice, Name: "Beta", ExactName: true}
	}, "Beta"},
	{"part_of_type", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Type: "EXAMPLE.com/al"} }, "Alpha Beta"},
	{"short_part_of_type", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Type: "oT"} }, "Gamma"},
	{"name_and_type", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: "alp", Type: "album"} }, "Alpha"},
	{"name_and_short_type", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Name: "alp", Type: "al"} }, "Alpha"},
	{"part_of_scope", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Scope: "view"} }, "Alpha Beta Gamma"},
	{"scope_has_case", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Scope: "View"} }, ""},
	{"scope_and_name", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Scope: "album:", Name: "et"} }, "Beta"},
	{"scope_and_owner", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Scope: "view", Owner: e.alice} }, "Beta"},
	{"scope_and_part", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Scope: "view", Name: "eta"} }, "Beta"},
	{"unknown_scope", func(e *env) uma.ResourceFilter { return uma.ResourceFilter{Scope: "unknown"} }, ""},
}

var library = []string{
	"api|Alpha|http://example.com/album|album:view|/shared",
	"alice|Beta|http://example.com/album|album:view,album:delete|/x",
	"bob|Gamma|photo|photo:view|/Shared",
	"alice|alphabet||print|",
	"api|Öl_%|||",
}

// find returns the names of the resources that a filter finds.
func (e *env) find(server uma.Key, f uma.ResourceFilter, first, max int) []string {
	e.t.Helper()
	found := []string{}
	e.must(e.s.FindResources(e.t.Context(), server, f, first, max, func(r *uma.Resource) error {
		found = append(found, r.Name)
		return nil
	}))
	return found
}
