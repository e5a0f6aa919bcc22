package party

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// Every way in which a grant can be withdrawn, row by row.
func TestRemaining(t *testing.T) {
	t.Parallel()
	res := func(scopes string) *uma.Resource {
		return &uma.Resource{ID: "r", Version: 3, Scopes: umatest.ScopesOf(scopes)}
	}
	share := func(id, scopes string) *uma.Share {
		return &uma.Share{ID: id, Version: 8, Scopes: umatest.ScopesOf(scopes)}
	}
	rests := func(id, scopes string) uma.GrantShare {
		return uma.GrantShare{ID: id, Version: 8, Scopes: umatest.ScopesOf(scopes)}
	}
	tests := []struct {
		name    string
		grant   uma.Grant
		now     *uma.Resource // nil: deleted
		shares  []*uma.Share  // that are still there
		known   string        // scopes that the resource server knows
		left    string        // the scopes left; "itself"; "" for nothing
		changed bool          // a refresh is refused
	}{
		{name: "all as it was", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view edit")}, now: res("view edit"), left: "view edit"},
		{name: "the resource is gone", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view")}, changed: true},
		{name: "a scope is gone", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view edit")}, now: res("edit"), left: "edit", changed: true},
		{name: "all its scopes are gone: empty is not all", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view edit")}, now: res(""), changed: true},
		{name: "a scope is gone though others have it", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view")}, now: res("edit"), known: "view", changed: true},
		{name: "the resource was changed otherwise", grant: uma.Grant{Resource: "r", Version: 2, Scopes: umatest.ScopesOf("view")}, now: res("view"), left: "view", changed: true},

		{name: "without scopes", grant: uma.Grant{Resource: "r", Version: 3}, now: res(""), left: "itself"},
		{name: "without scopes, it has some now: who was granted all of nothing is not granted them", grant: uma.Grant{Resource: "r", Version: 3}, now: res("view"), changed: true},
		{name: "without scopes, gone", grant: uma.Grant{Resource: "r", Version: 3}, changed: true},
		{name: "without scopes, its share is unchanged", grant: uma.Grant{Resource: "r", Version: 3, Shares: []uma.GrantShare{rests("s", "")}}, now: res(""), shares: []*uma.Share{share("s", "")}, left: "itself"},
		{name: "without scopes, its share is gone", grant: uma.Grant{Resource: "r", Version: 3, Shares: []uma.GrantShare{rests("s", "")}}, now: res(""), changed: true},
		{name: "without scopes, its share is for a scope now", grant: uma.Grant{Resource: "r", Version: 3, Shares: []uma.GrantShare{rests("s", "")}}, now: res(""), shares: []*uma.Share{share("s", "view")}, changed: true},

		{name: "a share is unchanged", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "view")}}, now: res("view"), shares: []*uma.Share{share("s", "view")}, left: "view"},
		{name: "a share is withdrawn", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "view")}}, now: res("view"), changed: true},
		{name: "a share is withdrawn, another scope has none", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view edit"), Shares: []uma.GrantShare{rests("s", "view")}}, now: res("view edit"), left: "edit", changed: true},
		{name: "one of two shares is withdrawn", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view edit"), Shares: []uma.GrantShare{rests("s", "view"), rests("u", "edit")}}, now: res("view edit"), shares: []*uma.Share{share("u", "edit")}, left: "edit", changed: true},
		{name: "one of two shares of the same scope is withdrawn", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "view"), rests("u", "view")}}, now: res("view"), shares: []*uma.Share{share("u", "view")}, left: "view", changed: true},
		{name: "both shares of the same scope are withdrawn", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "view"), rests("u", "view")}}, now: res("view"), changed: true},
		{name: "a share was narrowed", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view edit"), Shares: []uma.GrantShare{rests("s", "view edit")}}, now: res("view edit"), shares: []*uma.Share{share("s", "edit")}, left: "edit", changed: true},
		{name: "a share was changed otherwise", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{{ID: "s", Version: 7, Scopes: umatest.ScopesOf("view")}}}, now: res("view"), shares: []*uma.Share{share("s", "view")}, left: "view", changed: true},
		{name: "a policy is for others now", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "view")}}, now: res("view"), shares: []*uma.Share{{ID: "s", Version: 9, Audience: 9, Scopes: umatest.ScopesOf("view")}}, changed: true},
		{name: "a policy was for others before", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "view")}}, now: res("view"), shares: []*uma.Share{{ID: "s", Version: 8, Audience: 8, Scopes: umatest.ScopesOf("view")}}, left: "view"},
		{name: "a policy is for more", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "view")}}, now: res("view edit"), shares: []*uma.Share{{ID: "s", Version: 9, Audience: 7, Scopes: umatest.ScopesOf("view edit")}}, left: "view", changed: true},
		{name: "a policy of other scopes is for others now", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "")}}, now: res("view comment"), shares: []*uma.Share{{ID: "s", Version: 9, Audience: 9, Scopes: umatest.ScopesOf("comment")}}, changed: true},
		{name: "another share is no substitute", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "view")}}, now: res("view"), shares: []*uma.Share{share("u", "view")}, changed: true},
		// The policy may let a grant rest on a share of other scopes: who may
		// comment may view. The grant goes with it all the same.
		{name: "a share of other scopes stands", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "")}}, now: res("view comment"), shares: []*uma.Share{share("s", "comment")}, left: "view"},
		{name: "a share of other scopes is withdrawn", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("s", "")}}, now: res("view comment"), changed: true},
		{name: "a share of other scopes is withdrawn beside one that covers", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view"), Shares: []uma.GrantShare{rests("u", "view"), rests("s", "")}}, now: res("view comment"), shares: []*uma.Share{share("u", "view")}, changed: true},

		{name: "a scope of the type", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("print"), Inherited: umatest.ScopesOf("print")}, now: res("view print"), left: "print"},
		{name: "a scope of the type is gone", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("print"), Inherited: umatest.ScopesOf("print")}, now: res("view"), changed: true},
		{name: "a scope of its own is not saved by the type", grant: uma.Grant{Resource: "r", Version: 3, Scopes: umatest.ScopesOf("view print"), Inherited: umatest.ScopesOf("print")}, now: res("edit print"), known: "print view", left: "print", changed: true},
		{name: "a scope alone", grant: uma.Grant{Scopes: umatest.ScopesOf("download")}, known: "download", left: "download"},
		{name: "a scope alone is gone", grant: uma.Grant{Scopes: umatest.ScopesOf("download")}, known: "upload", changed: true},
		{name: "one of two scopes alone is gone", grant: uma.Grant{Scopes: umatest.ScopesOf("download upload")}, known: "upload", left: "upload", changed: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := &uma.Validity{Resources: map[uma.ResourceID]*uma.Resource{}, Shares: map[string]*uma.Share{}, Scopes: map[uma.Scope]bool{}}
			if tc.now != nil {
				n.Resources["r"] = tc.now
			}
			for _, s := range tc.shares {
				n.Shares[s.ID] = s
			}
			for _, s := range umatest.ScopesOf(tc.known) {
				n.Scopes[s] = true
			}
			before := slices.Clone(tc.grant.Scopes)
			g, ok := (*validity)(n).remaining(tc.grant)
			if want := tc.left != ""; ok != want {
				t.Fatalf("got left %t, want %t", ok, want)
			}
			if want := strings.TrimPrefix(tc.left, "itself"); ok && !slices.Equal(g.Scopes, umatest.ScopesOf(want)) {
				t.Errorf("got %q left, want %q", g.Scopes, tc.left)
			}
			if !slices.Equal(tc.grant.Scopes, before) {
				t.Error("the grant that was read has changed")
			}
			if got := !(*validity)(n).isUnchanged(tc.grant); got != tc.changed {
				t.Errorf("got changed %t, want %t", got, tc.changed)
			}
		})
	}
}

// An RPT does not show versions, shares and inherited scopes of a grant.
func TestGrantedOnTheWire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		grant uma.Grant
		want  string
	}{
		{
			"all of it", uma.Grant{
				Resource: "r-1", Name: "Resource A", Scopes: umatest.ScopesOf("ScopeA"), Claims: map[string][]string{"k": {"v"}},
				Version: 9, Shares: []uma.GrantShare{{ID: "s"}}, Inherited: umatest.ScopesOf("ScopeA"),
			},
			`{"scopes":["ScopeA"],"claims":{"k":["v"]},"rsid":"r-1","rsname":"Resource A"}`,
		},
		{"no scopes, no claims", uma.Grant{Resource: "r-1", Name: "Bare"}, `{"rsid":"r-1","rsname":"Bare"}`},
		{"no name", uma.Grant{Resource: "r-1", Scopes: umatest.ScopesOf("view post")}, `{"scopes":["view","post"],"rsid":"r-1"}`},
		{"a scope alone", uma.Grant{Scopes: umatest.ScopesOf("download")}, `{"scopes":["download"]}`},
	}
	for _, tc := range tests {
		got, err := json.Marshal(uma.GrantedPermissions([]uma.Grant{tc.grant}))
		if want := "[" + tc.want + "]"; err != nil || string(got) != want {
			t.Errorf("%s: got  %s, %v\nwant %s", tc.name, got, err, want)
		}
	}
}
