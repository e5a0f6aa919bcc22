package uma

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// Every way in which what was granted can be withdrawn, row by row.
func TestStandingLeft(t *testing.T) {
	t.Parallel()
	res := func(scopes string) *Resource { return &Resource{ID: "r", Version: 3, Scopes: scopesOf(scopes)} }
	share := func(id, scopes string) *Share { return &Share{ID: id, Version: 8, Scopes: scopesOf(scopes)} }
	rests := func(id, scopes string) GrantShare { return GrantShare{ID: id, Version: 8, Scopes: scopesOf(scopes)} }
	tests := []struct {
		name   string
		grant  Grant
		now    *Resource // nil: deleted
		shares []*Share  // that are still there
		known  string    // scopes that the resource server knows
		left   string    // the scopes left; "itself"; "" for nothing
		moved  bool      // a refresh is refused
	}{
		{name: "all as it was", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view edit")}, now: res("view edit"), left: "view edit"},
		{name: "the resource is gone", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view")}, moved: true},
		{name: "a scope is gone", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view edit")}, now: res("edit"), left: "edit", moved: true},
		{name: "all its scopes are gone: empty is not all", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view edit")}, now: res(""), moved: true},
		{name: "a scope is gone though others have it", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view")}, now: res("edit"), known: "view", moved: true},
		{name: "the resource was changed otherwise", grant: Grant{Resource: "r", Version: 2, Scopes: scopesOf("view")}, now: res("view"), left: "view", moved: true},

		{name: "without scopes", grant: Grant{Resource: "r", Version: 3}, now: res(""), left: "itself"},
		{name: "without scopes, it has some now: who was granted all of nothing is not granted them", grant: Grant{Resource: "r", Version: 3}, now: res("view"), moved: true},
		{name: "without scopes, gone", grant: Grant{Resource: "r", Version: 3}, moved: true},
		{name: "without scopes, its share stands", grant: Grant{Resource: "r", Version: 3, Shares: []GrantShare{rests("s", "")}}, now: res(""), shares: []*Share{share("s", "")}, left: "itself"},
		{name: "without scopes, its share is gone", grant: Grant{Resource: "r", Version: 3, Shares: []GrantShare{rests("s", "")}}, now: res(""), moved: true},
		{name: "without scopes, its share is for a scope now", grant: Grant{Resource: "r", Version: 3, Shares: []GrantShare{rests("s", "")}}, now: res(""), shares: []*Share{share("s", "view")}, moved: true},

		{name: "a share stands", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "view")}}, now: res("view"), shares: []*Share{share("s", "view")}, left: "view"},
		{name: "a share is withdrawn", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "view")}}, now: res("view"), moved: true},
		{name: "a share is withdrawn, another scope has none", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view edit"), Shares: []GrantShare{rests("s", "view")}}, now: res("view edit"), left: "edit", moved: true},
		{name: "one of two shares is withdrawn", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view edit"), Shares: []GrantShare{rests("s", "view"), rests("u", "edit")}}, now: res("view edit"), shares: []*Share{share("u", "edit")}, left: "edit", moved: true},
		{name: "one of two shares of the same scope is withdrawn", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "view"), rests("u", "view")}}, now: res("view"), shares: []*Share{share("u", "view")}, left: "view", moved: true},
		{name: "both shares of the same scope are withdrawn", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "view"), rests("u", "view")}}, now: res("view"), moved: true},
		{name: "a share was narrowed", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view edit"), Shares: []GrantShare{rests("s", "view edit")}}, now: res("view edit"), shares: []*Share{share("s", "edit")}, left: "edit", moved: true},
		{name: "a share was changed otherwise", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{{ID: "s", Version: 7, Scopes: scopesOf("view")}}}, now: res("view"), shares: []*Share{share("s", "view")}, left: "view", moved: true},
		{name: "a policy is for others now", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "view")}}, now: res("view"), shares: []*Share{{ID: "s", Version: 9, Audience: 9, Scopes: scopesOf("view")}}, moved: true},
		{name: "a policy was for others before", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "view")}}, now: res("view"), shares: []*Share{{ID: "s", Version: 8, Audience: 8, Scopes: scopesOf("view")}}, left: "view"},
		{name: "a policy is for more", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "view")}}, now: res("view edit"), shares: []*Share{{ID: "s", Version: 9, Audience: 7, Scopes: scopesOf("view edit")}}, left: "view", moved: true},
		{name: "a policy of other scopes is for others now", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "")}}, now: res("view comment"), shares: []*Share{{ID: "s", Version: 9, Audience: 9, Scopes: scopesOf("comment")}}, moved: true},
		{name: "another share does not stand in", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "view")}}, now: res("view"), shares: []*Share{share("u", "view")}, moved: true},
		// The policy may let a grant rest on a share of other scopes: who may
		// comment may view. The grant goes with it all the same.
		{name: "a share of other scopes stands", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "")}}, now: res("view comment"), shares: []*Share{share("s", "comment")}, left: "view"},
		{name: "a share of other scopes is withdrawn", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("s", "")}}, now: res("view comment"), moved: true},
		{name: "a share of other scopes is withdrawn beside one that covers", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view"), Shares: []GrantShare{rests("u", "view"), rests("s", "")}}, now: res("view comment"), shares: []*Share{share("u", "view")}, moved: true},

		{name: "a scope of the type", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("print"), Inherited: scopesOf("print")}, now: res("view print"), left: "print"},
		{name: "a scope of the type is gone", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("print"), Inherited: scopesOf("print")}, now: res("view"), moved: true},
		{name: "a scope of its own is not saved by the type", grant: Grant{Resource: "r", Version: 3, Scopes: scopesOf("view print"), Inherited: scopesOf("print")}, now: res("edit print"), known: "print view", left: "print", moved: true},
		{name: "a scope alone", grant: Grant{Scopes: scopesOf("download")}, known: "download", left: "download"},
		{name: "a scope alone is gone", grant: Grant{Scopes: scopesOf("download")}, known: "upload", moved: true},
		{name: "one of two scopes alone is gone", grant: Grant{Scopes: scopesOf("download upload")}, known: "upload", left: "upload", moved: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := &Standing{Resources: map[ResourceID]*Resource{}, Shares: map[string]*Share{}, Scopes: map[Scope]bool{}}
			if tc.now != nil {
				n.Resources["r"] = tc.now
			}
			for _, s := range tc.shares {
				n.Shares[s.ID] = s
			}
			for _, s := range scopesOf(tc.known) {
				n.Scopes[s] = true
			}
			before := slices.Clone(tc.grant.Scopes)
			g, ok := (*validity)(n).left(tc.grant)
			if want := tc.left != ""; ok != want {
				t.Fatalf("got left %t, want %t", ok, want)
			}
			if want := strings.TrimPrefix(tc.left, "itself"); ok && !slices.Equal(g.Scopes, scopesOf(want)) {
				t.Errorf("got %q left, want %q", g.Scopes, tc.left)
			}
			if !slices.Equal(tc.grant.Scopes, before) {
				t.Error("the grant that was read has changed")
			}
			if got := !(*validity)(n).unmoved(tc.grant); got != tc.moved {
				t.Errorf("got moved %t, want %t", got, tc.moved)
			}
		})
	}
}

// What an RPT shows of a grant leaves out what is the server's own: versions,
// shares, what is inherited.
func TestGrantedOnTheWire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		grant Grant
		want  string
	}{
		{
			"all of it", Grant{
				Resource: "r-1", Name: "Resource A", Scopes: scopesOf("ScopeA"), Claims: map[string][]string{"k": {"v"}},
				Version: 9, Shares: []GrantShare{{ID: "s"}}, Inherited: scopesOf("ScopeA"),
			},
			`{"scopes":["ScopeA"],"claims":{"k":["v"]},"rsid":"r-1","rsname":"Resource A"}`,
		},
		{"no scopes, no claims", Grant{Resource: "r-1", Name: "Bare"}, `{"rsid":"r-1","rsname":"Bare"}`},
		{"no name", Grant{Resource: "r-1", Scopes: scopesOf("view post")}, `{"scopes":["view","post"],"rsid":"r-1"}`},
		{"a scope alone", Grant{Scopes: scopesOf("download")}, `{"scopes":["download"]}`},
	}
	for _, tc := range tests {
		got, err := json.Marshal(granted([]Grant{tc.grant}))
		if want := "[" + tc.want + "]"; err != nil || string(got) != want {
			t.Errorf("%s: got  %s, %v\nwant %s", tc.name, got, err, want)
		}
	}
}
