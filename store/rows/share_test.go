package rows

import (
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// A share is found by every party that it may be for.
func TestIndexedParties(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]uma.Share{
		"u:a u:b":     {Users: []string{"b", "a", "a"}, Roles: []string{"r"}, Strategy: Unanimous},
		"g:/g":        {Groups: []string{"/g"}, Clients: []string{"c"}, Strategy: Unanimous},
		"c:c r:r u:a": {Users: []string{"a"}, Roles: []string{"r"}, Clients: []string{"c"}, Strategy: Affirmative},
		"":            {Strategy: Unanimous},
	} {
		if got := strings.Join(IndexedParties(&s), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	p := &uma.Party{ID: "a", Roles: []string{"r", ""}, Groups: []string{"/g"}}
	if got := strings.Join(PartiesOf(p), " "); got != "u:a g:/g r:r" {
		t.Errorf("got %q", got)
	}
}

func TestOnlyAddsParties(t *testing.T) {
	t.Parallel()
	users := func(strategy string, roles []string, users ...string) *uma.Share {
		return &uma.Share{Strategy: strategy, Users: users, Roles: roles}
	}
	for name, tc := range map[string]struct {
		old, next *uma.Share
		want      bool
	}{
		"the same":            {users(Unanimous, nil, "a"), users(Unanimous, nil, "a"), true},
		"one more":            {users(Unanimous, nil, "a"), users(Unanimous, nil, "b", "a"), true},
		"one less":            {users(Unanimous, nil, "a", "b"), users(Unanimous, nil, "a"), false},
		"a condition":         {users(Unanimous, nil, "a"), users(Unanimous, []string{"r"}, "a"), false},
		"another list":        {users(Affirmative, nil, "a"), users(Affirmative, []string{"r"}, "a"), true},
		"another strategy":    {users(Unanimous, nil, "a"), users(Affirmative, nil, "a"), false},
		"the last of a list":  {users(Affirmative, []string{"r"}, "a"), users(Affirmative, nil, "a"), false},
		"from nobody at all":  {users(Affirmative, nil), users(Affirmative, nil, "a"), true},
		"an unknown strategy": {users("CONSENSUS", nil, "a"), users("CONSENSUS", []string{"r"}, "a"), false},
	} {
		if got := OnlyAddsParties(tc.old, tc.next); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
		if same := SameShare(tc.old, tc.next); same != (name == "the same") {
			t.Errorf("%s: same is %v", name, same)
		}
	}
}

// Without scopes a share is for the resource as a whole, which then has none either.
func TestMayShare(t *testing.T) {
	t.Parallel()
	type scopes = []uma.Scope
	for _, tc := range []struct {
		has, shared scopes
		want        bool
	}{{nil, nil, true}, {scopes{"a"}, nil, false}, {nil, scopes{"a"}, false}, {scopes{"a", "b"}, scopes{"b"}, true}, {scopes{"a"}, scopes{"a", "b"}, false}} {
		if got := MayShare(tc.has, &uma.Share{Scopes: tc.shared}); got != tc.want {
			t.Errorf("%q of %q: got %v", tc.shared, tc.has, got)
		}
	}
	for _, tc := range []struct {
		r       uma.Resource
		granted scopes
		want    bool
	}{
		{uma.Resource{OwnerManaged: true, Scopes: scopes{"a"}}, scopes{"a"}, true},
		{uma.Resource{OwnerManaged: true, Scopes: scopes{"a"}}, scopes{"b"}, false},
		{uma.Resource{OwnerManaged: true, Scopes: scopes{"a"}}, scopes{uma.Everything}, false},
		{uma.Resource{OwnerManaged: true}, scopes{uma.Everything}, true},
		{uma.Resource{Scopes: scopes{"a"}}, scopes{"a"}, false},
		{uma.Resource{}, nil, true}, // to revoke
	} {
		if got := IsSharable(&tc.r, tc.granted); got != tc.want {
			t.Errorf("%q of %+v: got %v", tc.granted, tc.r, got)
		}
	}
}

func TestShareOf(t *testing.T) {
	t.Parallel()
	q := &uma.Request{Key: 7, ID: "q", Requester: "bob", Scope: "view", Version: 3}
	s := ShareOf(q)
	if s.Key != 7 || s.Kind != uma.ByRequest || !slices.Equal(s.Users, []string{"bob"}) || !slices.Equal(s.Scopes, []uma.Scope{"view"}) || s.Version != 3 {
		t.Errorf("got %+v", s)
	}
	q.Scope = ""
	if whole := ShareOf(q); whole.Scopes != nil {
		t.Errorf("got scopes %q for a resource as a whole", whole.Scopes)
	}
	if got, want := ShareSize(&uma.Share{ID: "id", Scopes: []uma.Scope{"a"}, Users: []string{"b"}}), 2+5+5+2+2+2; got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
}

// The filters of requests, by what a filter of a party stands for.
func TestSides(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for want, f := range map[string]uma.RequestFilter{
		"a/":     {Owner: "a"},
		"p/ /p":  {Party: "p"},
		"p/q":    {Party: "p", Requester: "q"},
		"a/p":    {Party: "p", Owner: "a"},
		"":       {Party: "p", Owner: "a", Requester: "b"},
		"p/ p/p": {Party: "p", Owner: "p"},
	} {
		var sides []string
		for _, side := range Sides(f) {
			sides = append(sides, side.Owner+"/"+side.Requester)
		}
		if got := strings.Join(sides, " "); got != want {
			t.Errorf("%+v: got %q, want %q", f, got, want)
		}
	}
	for want, granted := range map[string]*bool{"pending granted": nil, "granted": &yes, "pending": &no} {
		if got := strings.Join(States(&uma.RequestFilter{Granted: granted}), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
