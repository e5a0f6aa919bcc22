package rows

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// Every field of a resource counts, except for its keys, id and version.
func TestSameResource(t *testing.T) {
	t.Parallel()
	except := map[string]bool{"Key": true, "ID": true, "Server": true, "Version": true}
	fields := reflect.TypeFor[uma.Resource]()
	for i := range fields.NumField() {
		var a, b uma.Resource
		fill(reflect.ValueOf(&b).Elem().Field(i))
		if name := fields.Field(i).Name; SameResource(&a, &b) != except[name] {
			t.Errorf("%s: the same is %v", name, !except[name])
		}
	}
}

func TestMatchesResource(t *testing.T) {
	t.Parallel()
	r := &uma.Resource{ID: "r", Name: "My Album", Owner: "alice", Type: "Photo", Scopes: []uma.Scope{"view"}, URIs: []string{"/Albums/1"}}
	for _, tc := range []struct {
		f    uma.ResourceFilter
		want bool
	}{
		{uma.ResourceFilter{}, true},
		{uma.ResourceFilter{Name: "ALB", Type: "PHO", Scope: "ie", ID: "r", Owner: "alice", URI: "/albums/1"}, true},
		{uma.ResourceFilter{Name: "My Album", ExactName: true}, true},
		{uma.ResourceFilter{Name: "my album", ExactName: true}, false},
		{uma.ResourceFilter{ExactName: true}, true},
		{uma.ResourceFilter{Name: "photo"}, false},
		{uma.ResourceFilter{Type: "album"}, false},
		{uma.ResourceFilter{Scope: "edit"}, false},
		{uma.ResourceFilter{ID: "R"}, false},
		{uma.ResourceFilter{Owner: "bob"}, false},
		{uma.ResourceFilter{URI: "/albums"}, false},
	} {
		f := FoldFilter(tc.f)
		if got := MatchesResource(&f, r); got != tc.want {
			t.Errorf("%+v: got %v", tc.f, got)
		}
	}
	policy := &uma.Share{Name: "Friends", Scopes: []uma.Scope{"view"}}
	for want, filters := range map[bool][]uma.UserPolicyFilter{true: {{}, {Name: "RIEN"}, {Scope: "view"}}, false: {{Name: "x"}, {Scope: "vie"}}} {
		for _, f := range filters {
			if got := MatchesPolicy(f)(policy); got != want {
				t.Errorf("%+v: got %v", f, got)
			}
		}
	}
}

// Claims are what an owner adds, compared without case.
func TestClaims(t *testing.T) {
	t.Parallel()
	old := &uma.Resource{URIs: []string{"/a", "/B"}, Scopes: []uma.Scope{"view"}}
	next := &uma.Resource{URIs: []string{"/A", "/b", "/C"}, Scopes: []uma.Scope{"view", "edit"}}
	if got := NewURIs(old, next); !slices.Equal(got, []string{"/C"}) {
		t.Errorf("got %q", got)
	}
	c := NewClaims([]string{"/b"}, nil)
	c.Add(old, next)
	if !maps.Equal(c.URIs, map[string]bool{"/b": true, "/c": true}) || !maps.Equal(c.Scopes, map[string]bool{"edit": true}) {
		t.Errorf("got %v", c)
	}
	if got := FoldedURIs(next); !slices.Equal(got, []string{"/a", "/b", "/c"}) {
		t.Errorf("got %q", got)
	}
}

// A record matches if it has all that a filter names; times are compared as they are stored.
func TestMatchesRecord(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1000).Add(time.Microsecond)
	r := &uma.Record{Realm: "m", Subject: "s", Client: "c", Outcome: "o", Resource: "r", Request: "q", Revision: "v", Rules: []string{"a", "b"}, Time: at}
	match := []uma.DecisionFilter{{}, {Rule: "b"}, {Realm: "m", Subject: "s", Client: "c", Outcome: "o", Resource: "r", Request: "q", Revision: "v"},
		{Since: at.Add(time.Microsecond)}, {Until: at.Add(time.Millisecond)}, {After: 9, Before: 1}}
	for i, f := range match {
		if !MatchesRecord(r, &f) {
			t.Errorf("%d: %+v does not match", i, f)
		}
	}
	others := []uma.DecisionFilter{{Rule: "c"}, {Realm: "x"}, {Subject: "x"}, {Client: "x"}, {Outcome: "x"}, {Resource: "x"}, {Request: "x"}, {Revision: "x"},
		{Since: at.Add(time.Millisecond)}, {Until: at}}
	for i, f := range others {
		if MatchesRecord(r, &f) {
			t.Errorf("%d: %+v matches", i, f)
		}
	}
}

// What a realm file names is not taken for a leftover.
func TestNamedBy(t *testing.T) {
	t.Parallel()
	n := NamedBy(&uma.RealmChange{
		Clients: []*uma.Client{{ID: "api"}}, Users: []*uma.User{{Username: "Alice"}},
		Scopes: map[string][]uma.ScopeRow{"api": {{Name: "view"}}},
		Resources: []uma.ResourceChange{
			{ServerID: "api", OwnerName: "Alice", Resource: uma.Resource{ID: "r", Name: "Album", Scopes: []uma.Scope{"edit"}}},
			{ServerID: "api", GeneratedID: true, Resource: uma.Resource{ID: "new", Name: "Own"}},
		},
	})
	got := []bool{n.Client("api"), n.User("alice"), n.Scope("api", "view"), n.Scope("api", "edit"), n.ResourceID("api", "r"),
		n.ResourceName("api", "alice", "Album"), n.ResourceName("api", "", "Own")}
	if slices.Contains(got, false) {
		t.Errorf("got %v, want all", got)
	}
	got = []bool{n.Client("web"), n.User("Alice"), n.Scope("web", "view"), n.ResourceID("api", "new"), n.ResourceID("web", "r"),
		n.ResourceName("api", "", "Album"), n.ResourceName("api", "alice", "Own"), n.ResourceName("api", "", strings.ToUpper("own"))}
	if slices.Contains(got, true) {
		t.Errorf("got %v, want none", got)
	}
}
