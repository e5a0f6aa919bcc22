package protection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// A keeper takes policies, or refuses them with an error.
type keeper struct {
	umatest.FakeStore
	err    error
	last   *uma.Share
	delete []string
}

func (k *keeper) CreateShare(_ context.Context, s *uma.Share) error { k.last = s; return k.err }

func (k *keeper) ReplaceShare(_ context.Context, s *uma.Share) error { k.last = s; return k.err }

func (k *keeper) DeleteShare(_ context.Context, _ uma.Key, id string) error {
	k.delete = append(k.delete, id)
	return k.err
}

// alice speaks to the protection API, through photoz-api, of her album.
func (w *world) alice() *Caller {
	return &Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: "u-alice", Client: w.API, Claims: &uma.Claims{}}}
}

func newPolicyWorld(t *testing.T) (*world, *keeper) {
	t.Helper()
	w := newFullWorld(t)
	k := &keeper{FakeStore: umatest.FakeStore{W: w.World}}
	w.service.Store = k
	return w, k
}

// A policy that cannot be stored is refused for a reason of its own, and nothing is written.
func TestPolicyRefusals(t *testing.T) {
	t.Parallel()
	long := slices.Repeat([]string{strings.Repeat("r", uma.MaxName)}, 65)
	many := slices.Repeat([]string{"bob"}, uma.MaxMembers+1)
	tests := []struct {
		name   string
		change func(*PolicyInput)
		want   string
	}{
		{"no name", func(in *PolicyInput) { in.Name = "" }, `missing parameter="name"`},
		{"a blank name", func(in *PolicyInput) { in.Name = " \t" }, `missing parameter="name"`},
		{"a long name", func(in *PolicyInput) { in.Name = strings.Repeat("x", uma.MaxName+1) }, `too_long parameter="name" limit=255`},
		{"a name that is no text", func(in *PolicyInput) { in.Name = "a\nb" }, `not_text parameter="name"`},
		{"a long description", func(in *PolicyInput) { in.Description = strings.Repeat("x", uma.MaxValue+1) }, `too_long parameter="description" limit=4000`},
		{"an unknown strategy", func(in *PolicyInput) { in.Strategy = "ANY" }, `strategy_unknown value="ANY"`},
		{"a strategy in another case", func(in *PolicyInput) { in.Strategy = "affirmative" }, `strategy_unknown value="affirmative"`},
		{"another resource", func(in *PolicyInput) { in.Resources = []string{"r-board"} }, `policy_of_other_resource resource="r-album"`},
		{"another resource beside it", func(in *PolicyInput) { in.Resources = []string{"r-album", "r-board"} }, `policy_of_other_resource resource="r-album"`},
		{"a resource without a name", func(in *PolicyInput) { in.Resources = []string{""} }, `policy_of_other_resource resource="r-album"`},
		{"an unknown scope", func(in *PolicyInput) { in.Scopes = umatest.ScopesOf("view fly") }, `policy_scopes_invalid resource="r-album" scopes=["view" "fly"]`},
		{"a scope of the type", func(in *PolicyInput) { in.Scopes = umatest.ScopesOf("print") }, `policy_scopes_invalid resource="r-album" scopes=["print"]`},
		{"no scopes", func(in *PolicyInput) { in.Scopes = []uma.Scope{} }, `empty parameter="scopes"`},
		{"everything", func(in *PolicyInput) { in.Scopes = []uma.Scope{uma.Everything} }, `policy_scopes_invalid resource="r-album" scopes=["*"]`},
		{"an unknown user", func(in *PolicyInput) { in.Users = []string{"bob", "ghost"} }, `policy_user_unknown user="ghost"`},
		{"a user without a name", func(in *PolicyInput) { in.Users = []string{""} }, `policy_user_unknown`},
		{"an unknown client", func(in *PolicyInput) { in.Clients = []string{"ghost"} }, `policy_client_unknown client="ghost"`},
		{"a role without a name", func(in *PolicyInput) { in.Roles = []string{""} }, `role_invalid`},
		{"a role of an unknown client", func(in *PolicyInput) { in.Roles = []string{"ghost/admin"} }, `client_role_unknown value="ghost/admin"`},
		{"no role of a client", func(in *PolicyInput) { in.Roles = []string{"photoz-api/"} }, `client_role_unknown value="photoz-api/"`},
		{"a group that is no path", func(in *PolicyInput) { in.Groups = []string{"friends"} }, `group_invalid value="friends"`},
		{"too many users", func(in *PolicyInput) { in.Users = many }, `too_many_members parameter="users" limit=200`},
		{"too long names", func(in *PolicyInput) { in.Roles = long }, `policy_names_too_large limit=16384`},
		{"too many clients", func(in *PolicyInput) { in.Clients = many }, `too_many_members parameter="clients" limit=200`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, k := newPolicyWorld(t)
			in := &PolicyInput{Name: "new", Users: []string{"bob"}}
			tc.change(in)
			_, created := w.service.CreatePolicy(t.Context(), w.alice(), "r-album", in)
			replaced := w.service.ReplacePolicy(t.Context(), w.alice(), "p", in)
			for what, err := range map[string]error{"create": created, "replace": replaced} {
				if umatest.Reason(err) != uma.InvalidRequest || faultOf(err).String() != tc.want {
					t.Errorf("%s: got %v, want %s", what, err, tc.want)
				}
			}
			if k.last != nil || k.delete != nil {
				t.Errorf("got %v kept and %q deleted, want nothing done", k.last, k.delete)
			}
		})
	}
}

// Whom a policy is for is kept by ids, once each, and shown by names.
func TestCreatePolicy(t *testing.T) {
	t.Parallel()
	w, k := newPolicyWorld(t)
	v, err := w.service.CreatePolicy(t.Context(), w.alice(), "r-album", &PolicyInput{
		Name: "new", Users: []string{"Bob", "alice", "u-bob"}, Roles: []string{"user", "photoz-api/friend", "user"},
		Groups: []string{"/friends"}, Clients: []string{"photoz-web", "photoz-web"}, Resources: []string{"r-album"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := k.last
	if s.Kind != uma.ByPolicy || s.Server != 10 || s.Resource != 103 || s.ResourceID != "r-album" || s.Owner != "u-alice" || s.ID == "" {
		t.Errorf("got %+v, want a policy of alice's for her album", s)
	}
	for name, pair := range map[string][2][]string{
		"users": {s.Users, {"u-bob", "u-alice"}}, "usernames": {v.Usernames, {"bob", "alice"}}, "roles": {s.Roles, {"user", "photoz-api/friend"}},
		"groups": {s.Groups, {"/friends"}}, "clients": {s.Clients, {"photoz-web"}},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("got %s %q, want %q", name, pair[0], pair[1])
		}
	}
	if !slices.Equal(s.Scopes, umatest.ScopesOf("view comment")) || s.Strategy != uma.Unanimous {
		t.Errorf("got scopes %q, strategy %s, want all scopes, unanimously", s.Scopes, s.Strategy)
	}
}

// A resource has so many policies and no more.
func TestCreatePolicyAtMost(t *testing.T) {
	t.Parallel()
	w, k := newPolicyWorld(t)
	in := &PolicyInput{Name: "new", Users: []string{"bob"}}
	for len(w.View.Shares) < uma.MaxShares { // one of them is a request
		w.View.Shares = append(w.View.Shares, uma.Share{ID: "q", Kind: uma.ByPolicy, Name: "q", Owner: "u-alice", ResourceID: "r-album"})
	}
	if _, err := w.service.CreatePolicy(t.Context(), w.alice(), "r-album", in); err != nil {
		t.Fatal(err)
	}
	k.last = nil
	w.View.Shares = append(w.View.Shares, uma.Share{ID: "r", Kind: uma.ByPolicy, Name: "r", Owner: "u-alice", ResourceID: "r-album"})
	_, err := w.service.CreatePolicy(t.Context(), w.alice(), "r-album", in)
	if umatest.Reason(err) != uma.InvalidRequest || k.last != nil {
		t.Errorf("got %v, %v kept, want it refused", err, k.last)
	}
	if err := w.service.ReplacePolicy(t.Context(), w.alice(), "p", in); err != nil {
		t.Errorf("replace: got %v", err)
	}
}

// A resource without scopes is shared as a whole.
func TestCreatePolicyOfTheWhole(t *testing.T) {
	t.Parallel()
	w, k := newPolicyWorld(t)
	w.View.Resources[2].Scopes = nil
	for _, scopes := range [][]uma.Scope{nil, {}} {
		if _, err := w.service.CreatePolicy(t.Context(), w.alice(), "r-album", &PolicyInput{Name: "new", Scopes: scopes}); err != nil || len(k.last.Scopes) != 0 {
			t.Errorf("got %v, want it shared as a whole", err)
		}
	}
}

// Without scopes a policy keeps those it has; for nobody it is deleted.
func TestReplacePolicy(t *testing.T) {
	t.Parallel()
	w, k := newPolicyWorld(t)
	in := &PolicyInput{ID: "p", Name: "new", Users: []string{"alice"}}
	if err := w.service.ReplacePolicy(t.Context(), w.alice(), "p", in); err != nil {
		t.Fatal(err)
	}
	if s := k.last; s.ID != "p" || s.Server != 10 || s.Name != "new" || !slices.Equal(s.Scopes, umatest.ScopesOf("view")) || !slices.Equal(s.Users, []string{"u-alice"}) {
		t.Errorf("got %+v, want the policy with another name and user", s)
	}
	in.ID = "q"
	if err := w.service.ReplacePolicy(t.Context(), w.alice(), "p", in); umatest.Reason(err) != uma.InvalidRequest {
		t.Errorf("with another id: got %v", err)
	}
	k.last = nil
	err := w.service.ReplacePolicy(t.Context(), w.alice(), "p", &PolicyInput{Name: "new", Scopes: umatest.ScopesOf("view")})
	if err != nil || k.last != nil || !slices.Equal(k.delete, []string{"p"}) {
		t.Errorf("for nobody: got %v, %v kept, %q deleted, want it deleted", err, k.last, k.delete)
	}

	// The scope that it was for has left the resource: there is nothing to keep.
	w.View.Resources[2].Scopes = umatest.ScopesOf("comment")
	if err := w.service.ReplacePolicy(t.Context(), w.alice(), "p", &PolicyInput{Name: "new", Users: []string{"bob"}}); umatest.Reason(err) != uma.InvalidRequest {
		t.Errorf("without scopes to keep: got %v, want it refused", err)
	}
}

// Policies are their owner's business: for others nothing is read beyond that, and
// nothing changes.
func TestPoliciesAreTheOwners(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*world, *Caller, string, string) error{
		"create": func(w *world, p *Caller, resource, _ string) error {
			_, err := w.service.CreatePolicy(w.Context(), p, resource, &PolicyInput{Name: "mine", Users: []string{"bob"}})
			return err
		},
		"read": func(w *world, p *Caller, _, id string) error {
			_, err := w.service.ReadPolicy(w.Context(), p, id)
			return err
		},
		"replace": func(w *world, p *Caller, _, id string) error {
			return w.service.ReplacePolicy(w.Context(), p, id, &PolicyInput{Name: "mine", Users: []string{"bob"}})
		},
		"delete": func(w *world, p *Caller, _, id string) error { return w.service.DeletePolicy(w.Context(), p, id) },
	}
	const notOwner = `invalid_request: not_the_owner resource="r-album"`
	for name, call := range calls {
		w, k := newPolicyWorld(t)
		others := w.alice()
		others.Server = w.Other
		bob := w.alice()
		bob.Identity = &party.Identity{Subject: "u-bob", Client: w.API, Claims: &uma.Claims{}}
		for who, p := range map[string]*Caller{"another owner": bob, "the resource server": w.pat()} {
			if err := call(w, p, "r-album", "p"); err == nil || err.Error() != notOwner {
				t.Errorf("%s by %s: got %v, want %s", name, who, err, notOwner)
			}
		}
		// Through another resource server it is not there, like one of nobody.
		if err := call(w, others, "r-album", "p"); !errors.Is(err, uma.ErrNotFound) {
			t.Errorf("%s through another resource server: got %v, want it not found", name, err)
		}
		if k.last != nil || k.delete != nil {
			t.Errorf("%s: got %v kept, %q deleted, want nothing done", name, k.last, k.delete)
		}
	}
}

// What the owner no longer manages it shares with nobody new, but may still look
// at what it shared, and take it back.
func TestPoliciesOfWhatIsNoLongerManaged(t *testing.T) {
	t.Parallel()
	w, k := newPolicyWorld(t)
	w.View.Resources[2].OwnerManaged = false
	const refused = `invalid_request: policy_not_owner_managed resource="r-album"`
	_, err := w.service.CreatePolicy(t.Context(), w.alice(), "r-album", &PolicyInput{Name: "new"})
	if err == nil || err.Error() != refused {
		t.Errorf("create: got %v, want %s", err, refused)
	}
	if err := w.service.ReplacePolicy(t.Context(), w.alice(), "p", &PolicyInput{Name: "new"}); err == nil || err.Error() != refused {
		t.Errorf("replace: got %v, want %s", err, refused)
	}
	if _, err := w.service.ReadPolicy(t.Context(), w.alice(), "p"); err != nil {
		t.Errorf("read: got %v", err)
	}
	if err := w.service.DeletePolicy(t.Context(), w.alice(), "p"); err != nil || len(k.delete) != 1 {
		t.Errorf("delete: got %v, %q deleted", err, k.delete)
	}
}

// What the store says of a race is said like what was found before.
func TestPolicyStoreErrors(t *testing.T) {
	t.Parallel()
	in := &PolicyInput{Name: "new", Users: []string{"bob"}}
	create := func(w *world) error {
		_, err := w.service.CreatePolicy(w.Context(), w.alice(), "r-album", in)
		return err
	}
	replace := func(w *world) error { return w.service.ReplacePolicy(w.Context(), w.alice(), "p", in) }
	remove := func(w *world) error { return w.service.DeletePolicy(w.Context(), w.alice(), "p") }
	tests := []struct {
		name  string
		call  func(*world) error
		err   error
		want  uma.Reason
		fault string
	}{
		{"create, there is one", create, uma.ErrConflict, uma.Conflict, `policy_name_taken name="new"`},
		{"create, the resource is gone", create, uma.ErrNotFound, uma.InvalidRequest, `policy_resource_unknown resource="r-album"`},
		{"create, busy", create, uma.ErrBusy, uma.Busy, ""},
		{"replace, there is one", replace, uma.ErrConflict, uma.Conflict, `policy_name_taken name="new"`},
		{"replace, it is gone", replace, uma.ErrNotFound, uma.NotFound, `policy_unknown value="p"`},
		{"replace, busy", replace, uma.ErrBusy, uma.Busy, ""},
		{"delete, it is gone", remove, uma.ErrNotFound, uma.NotFound, `policy_unknown value="p"`},
		{"delete, busy", remove, uma.ErrBusy, uma.Busy, ""},
		{"create, trouble", create, umatest.ErrRead, "", ""},
		{"replace, trouble", replace, umatest.ErrRead, "", ""},
		{"delete, trouble", remove, umatest.ErrRead, "", ""},
	}
	for _, tc := range tests {
		w, k := newPolicyWorld(t)
		k.err = tc.err
		err := tc.call(w)
		if umatest.Reason(err) != tc.want || !errors.Is(err, tc.err) || faultOf(err).String() != tc.fault {
			t.Errorf("%s: got %v, want %s %s", tc.name, err, tc.want, tc.fault)
		}
	}
}

// The users of a policy are read together, however many it names.
func TestUsersAreReadTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var names []string
	for i := range 50 {
		name := fmt.Sprint("user", i)
		w.View.Users["u-"+name] = &uma.User{ID: "u-" + name, Username: name, Enabled: true}
		names = append(names, name)
	}
	p := &Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: "u-alice"}}
	w.View.Reads, w.View.Open = nil, 1
	ids, err := p.readUsers(t.Context(), w.View, names)
	if err != nil || len(ids) != len(names) || len(w.View.Reads) > 2 {
		t.Errorf("to name 50 users in a policy: got %d, %v after the reads %q", len(ids), err, w.View.Reads)
	}
}
