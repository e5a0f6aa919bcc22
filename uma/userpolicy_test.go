package uma

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The policies of a world are those of its shares that are no requests.

func (v *fakeView) Share(_ context.Context, server Key, id string) (*Share, error) {
	var found *Share
	for i := range v.shares {
		if s := &v.shares[i]; s.Kind == ByPolicy && s.ID == id && s.Server == server {
			found = s
		}
	}
	return row(v.read("Share"), found)
}

func (v *fakeView) FindShares(_ context.Context, _ Key, owner string, f UserPolicyFilter, first, most int) ([]*Share, error) {
	var found []*Share
	for i := range v.shares {
		if s := &v.shares[i]; s.Kind == ByPolicy && s.Owner == owner && s.Name > f.After {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *Share) int { return strings.Compare(a.Name, b.Name) })
	found = found[min(first, len(found)):]
	return found[:min(most, len(found))], v.read("FindShares")
}

func (s fakeStore) CreateShare(context.Context, *Share) error { return s.write() }

func (s fakeStore) ReplaceShare(context.Context, *Share) error { return s.write() }

func (s fakeStore) DeleteShare(context.Context, Key, string) error { return s.write() }

// A keeper takes policies, or refuses them with an error.
type keeper struct {
	fakeStore
	err    error
	last   *Share
	delete []string
}

func (k *keeper) CreateShare(_ context.Context, s *Share) error  { k.last = s; return k.err }
func (k *keeper) ReplaceShare(_ context.Context, s *Share) error { k.last = s; return k.err }

func (k *keeper) DeleteShare(_ context.Context, _ Key, id string) error {
	k.delete = append(k.delete, id)
	return k.err
}

// alice speaks to the protection API, through photoz-api, of her album.
func (w *world) alice() *Protection {
	return &Protection{snap: w.snap, server: w.api, id: &identity{subject: "u-alice", client: w.api, claims: &Claims{}}}
}

func newShareWorld(t *testing.T) (*world, *keeper) {
	t.Helper()
	w := newFullWorld(t)
	k := &keeper{fakeStore: fakeStore{w: w}}
	w.authority.Store = k
	return w, k
}

// What cannot be kept is refused, in words of its own, and nothing is written.
func TestShareRefusals(t *testing.T) {
	t.Parallel()
	long := slices.Repeat([]string{strings.Repeat("r", maxName)}, 65)
	many := slices.Repeat([]string{"bob"}, maxMembers+1)
	tests := []struct {
		name   string
		change func(*ShareInput)
		want   string
	}{
		{"no name", func(in *ShareInput) { in.Name = "" }, "name is missing"},
		{"a blank name", func(in *ShareInput) { in.Name = " \t" }, "name is missing"},
		{"a long name", func(in *ShareInput) { in.Name = strings.Repeat("x", maxName+1) }, "name is longer than 255 bytes"},
		{"a name that is no text", func(in *ShareInput) { in.Name = "a\nb" }, "name has characters that are not text"},
		{"a long description", func(in *ShareInput) { in.Description = strings.Repeat("x", maxValue+1) }, "description is longer than 4000 bytes"},
		{"an unknown strategy", func(in *ShareInput) { in.Strategy = "ANY" }, "decisionStrategy must be UNANIMOUS, AFFIRMATIVE or CONSENSUS"},
		{"a strategy in another case", func(in *ShareInput) { in.Strategy = "affirmative" }, "decisionStrategy must be UNANIMOUS, AFFIRMATIVE or CONSENSUS"},
		{"another resource", func(in *ShareInput) { in.Resources = []string{"r-board"} }, "A policy is for the resource [r-album] alone"},
		{"another resource beside it", func(in *ShareInput) { in.Resources = []string{"r-album", "r-board"} }, "A policy is for the resource [r-album] alone"},
		{"a resource without a name", func(in *ShareInput) { in.Resources = []string{""} }, "A policy is for the resource [r-album] alone"},
		{"an unknown scope", func(in *ShareInput) { in.Scopes = scopesOf("view fly") }, "Some of the scopes [[view, fly]] are not valid for resource [r-album]"},
		{"a scope of the type", func(in *ShareInput) { in.Scopes = scopesOf("print") }, "Some of the scopes [[print]] are not valid for resource [r-album]"},
		{"no scopes", func(in *ShareInput) { in.Scopes = []Scope{} }, "scopes is empty"},
		{"everything", func(in *ShareInput) { in.Scopes = []Scope{Everything} }, "Some of the scopes [[*]] are not valid for resource [r-album]"},
		{"an unknown user", func(in *ShareInput) { in.Users = []string{"bob", "ghost"} }, "User [ghost] does not exist"},
		{"a user without a name", func(in *ShareInput) { in.Users = []string{""} }, "User [] does not exist"},
		{"an unknown client", func(in *ShareInput) { in.Clients = []string{"ghost"} }, "Client [ghost] does not exist"},
		{"a role without a name", func(in *ShareInput) { in.Roles = []string{""} }, "Role [] is not the name of one"},
		{"a role of an unknown client", func(in *ShareInput) { in.Roles = []string{"ghost/admin"} }, "Role [ghost/admin] is not one of a client's"},
		{"no role of a client", func(in *ShareInput) { in.Roles = []string{"photoz-api/"} }, "Role [photoz-api/] is not one of a client's"},
		{"a group that is no path", func(in *ShareInput) { in.Groups = []string{"friends"} }, "Group [friends] is not a path, such as /friends"},
		{"too many users", func(in *ShareInput) { in.Users = many }, "users, roles, groups and clients may have 200 members each, and 16384 bytes together"},
		{"too long names", func(in *ShareInput) { in.Roles = long }, "users, roles, groups and clients may have 200 members each, and 16384 bytes together"},
		{"too many clients", func(in *ShareInput) { in.Clients = many }, "users, roles, groups and clients may have 200 members each, and 16384 bytes together"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, k := newShareWorld(t)
			in := &ShareInput{Name: "new", Users: []string{"bob"}}
			tc.change(in)
			_, created := w.authority.CreateShare(t.Context(), w.alice(), "r-album", in)
			replaced := w.authority.ReplaceShare(t.Context(), w.alice(), "p", in)
			for what, err := range map[string]error{"create": created, "replace": replaced} {
				e, ok := errors.AsType[*Error](err)
				if !ok || e.Reason != InvalidRequest || e.Description != tc.want {
					t.Errorf("%s: got %v, want %q", what, err, tc.want)
				}
			}
			if k.last != nil || k.delete != nil {
				t.Errorf("got %v kept and %q deleted, want nothing done", k.last, k.delete)
			}
		})
	}
}

// Whom a policy is for is kept by ids, once each, and shown by names.
func TestCreateShare(t *testing.T) {
	t.Parallel()
	w, k := newShareWorld(t)
	v, err := w.authority.CreateShare(t.Context(), w.alice(), "r-album", &ShareInput{
		Name: "new", Users: []string{"Bob", "alice", "u-bob"}, Roles: []string{"user", "photoz-api/friend", "user"},
		Groups: []string{"/friends"}, Clients: []string{"photoz-web", "photoz-web"}, Resources: []string{"r-album"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := k.last
	if s.Kind != ByPolicy || s.Server != 10 || s.Resource != 103 || s.ResourceID != "r-album" || s.Owner != "u-alice" || s.ID == "" {
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
	if !slices.Equal(s.Scopes, scopesOf("view comment")) || s.Strategy != Unanimous {
		t.Errorf("got scopes %q, strategy %s, want all scopes, unanimously", s.Scopes, s.Strategy)
	}
}

// A resource has so many policies and no more.
func TestCreateShareAtMost(t *testing.T) {
	t.Parallel()
	w, k := newShareWorld(t)
	in := &ShareInput{Name: "new", Users: []string{"bob"}}
	for len(w.view.shares) < maxShares { // one of them is a request
		w.view.shares = append(w.view.shares, Share{ID: "q", Kind: ByPolicy, Name: "q", Owner: "u-alice", ResourceID: "r-album"})
	}
	if _, err := w.authority.CreateShare(t.Context(), w.alice(), "r-album", in); err != nil {
		t.Fatal(err)
	}
	k.last = nil
	w.view.shares = append(w.view.shares, Share{ID: "r", Kind: ByPolicy, Name: "r", Owner: "u-alice", ResourceID: "r-album"})
	_, err := w.authority.CreateShare(t.Context(), w.alice(), "r-album", in)
	if reason(err) != InvalidRequest || k.last != nil {
		t.Errorf("got %v, %v kept, want it refused", err, k.last)
	}
	if err := w.authority.ReplaceShare(t.Context(), w.alice(), "p", in); err != nil {
		t.Errorf("replace: got %v", err)
	}
}

// A resource without scopes is shared as a whole.
func TestCreateShareOfTheWhole(t *testing.T) {
	t.Parallel()
	w, k := newShareWorld(t)
	w.view.resources[2].Scopes = nil
	for _, scopes := range [][]Scope{nil, {}} {
		if _, err := w.authority.CreateShare(t.Context(), w.alice(), "r-album", &ShareInput{Name: "new", Scopes: scopes}); err != nil || len(k.last.Scopes) != 0 {
			t.Errorf("got %v, want it shared as a whole", err)
		}
	}
}

// Without scopes a policy keeps those it has; for nobody it is deleted.
func TestReplaceShare(t *testing.T) {
	t.Parallel()
	w, k := newShareWorld(t)
	in := &ShareInput{ID: "p", Name: "new", Users: []string{"alice"}}
	if err := w.authority.ReplaceShare(t.Context(), w.alice(), "p", in); err != nil {
		t.Fatal(err)
	}
	if s := k.last; s.ID != "p" || s.Server != 10 || s.Name != "new" || !slices.Equal(s.Scopes, scopesOf("view")) || !slices.Equal(s.Users, []string{"u-alice"}) {
		t.Errorf("got %+v, want the policy with another name and user", s)
	}
	in.ID = "q"
	if err := w.authority.ReplaceShare(t.Context(), w.alice(), "p", in); reason(err) != InvalidRequest {
		t.Errorf("with another id: got %v", err)
	}
	k.last = nil
	err := w.authority.ReplaceShare(t.Context(), w.alice(), "p", &ShareInput{Name: "new", Scopes: scopesOf("view")})
	if err != nil || k.last != nil || !slices.Equal(k.delete, []string{"p"}) {
		t.Errorf("for nobody: got %v, %v kept, %q deleted, want it deleted", err, k.last, k.delete)
	}

	// The scope that it was for has left the resource: there is nothing to keep.
	w.view.resources[2].Scopes = scopesOf("comment")
	if err := w.authority.ReplaceShare(t.Context(), w.alice(), "p", &ShareInput{Name: "new", Users: []string{"bob"}}); reason(err) != InvalidRequest {
		t.Errorf("without scopes to keep: got %v, want it refused", err)
	}
}

// Policies are their owner's business: for others nothing is read beyond that, and
// nothing changes.
func TestSharesAreTheOwners(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*world, *Protection, string, string) error{
		"create": func(w *world, p *Protection, resource, _ string) error {
			_, err := w.authority.CreateShare(w.Context(), p, resource, &ShareInput{Name: "mine", Users: []string{"bob"}})
			return err
		},
		"read": func(w *world, p *Protection, _, id string) error {
			_, err := w.authority.ReadShare(w.Context(), p, id)
			return err
		},
		"replace": func(w *world, p *Protection, _, id string) error {
			return w.authority.ReplaceShare(w.Context(), p, id, &ShareInput{Name: "mine", Users: []string{"bob"}})
		},
		"delete": func(w *world, p *Protection, _, id string) error { return w.authority.DeleteShare(w.Context(), p, id) },
	}
	const notOwner = "invalid_request: Only resource owner can access policies for resource [r-album]"
	for name, call := range calls {
		w, k := newShareWorld(t)
		others := w.alice()
		others.server = w.other
		bob := w.alice()
		bob.id = &identity{subject: "u-bob", client: w.api, claims: &Claims{}}
		for who, p := range map[string]*Protection{"another owner": bob, "the resource server": w.pat()} {
			if err := call(w, p, "r-album", "p"); err == nil || err.Error() != notOwner {
				t.Errorf("%s by %s: got %v, want %s", name, who, err, notOwner)
			}
		}
		// Through another resource server it is not there, like one of nobody.
		if err := call(w, others, "r-album", "p"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s through another resource server: got %v, want it not found", name, err)
		}
		if k.last != nil || k.delete != nil {
			t.Errorf("%s: got %v kept, %q deleted, want nothing done", name, k.last, k.delete)
		}
	}
}

// What the owner no longer manages it shares with nobody new, but may still look
// at what it shared, and take it back.
func TestSharesOfWhatIsNoLongerManaged(t *testing.T) {
	t.Parallel()
	w, k := newShareWorld(t)
	w.view.resources[2].OwnerManaged = false
	const refused = "invalid_request: Only resources with owner managed accessed can have policies"
	_, err := w.authority.CreateShare(t.Context(), w.alice(), "r-album", &ShareInput{Name: "new"})
	if err == nil || err.Error() != refused {
		t.Errorf("create: got %v, want %s", err, refused)
	}
	if err := w.authority.ReplaceShare(t.Context(), w.alice(), "p", &ShareInput{Name: "new"}); err == nil || err.Error() != refused {
		t.Errorf("replace: got %v, want %s", err, refused)
	}
	if _, err := w.authority.ReadShare(t.Context(), w.alice(), "p"); err != nil {
		t.Errorf("read: got %v", err)
	}
	if err := w.authority.DeleteShare(t.Context(), w.alice(), "p"); err != nil || len(k.delete) != 1 {
		t.Errorf("delete: got %v, %q deleted", err, k.delete)
	}
}

// What the store says of a race is said like what was found before.
func TestShareStoreErrors(t *testing.T) {
	t.Parallel()
	in := &ShareInput{Name: "new", Users: []string{"bob"}}
	create := func(w *world) error {
		_, err := w.authority.CreateShare(w.Context(), w.alice(), "r-album", in)
		return err
	}
	replace := func(w *world) error { return w.authority.ReplaceShare(w.Context(), w.alice(), "p", in) }
	remove := func(w *world) error { return w.authority.DeleteShare(w.Context(), w.alice(), "p") }
	tests := []struct {
		name string
		call func(*world) error
		err  error
		want Reason
		text string
	}{
		{"create, there is one", create, ErrConflict, Conflict, "Policy with name [new] already exists"},
		{"create, the resource is gone", create, ErrNotFound, InvalidRequest, "Resource [r-album] cannot be found"},
		{"create, busy", create, ErrBusy, Busy, ""},
		{"replace, there is one", replace, ErrConflict, Conflict, "Policy with name [new] already exists"},
		{"replace, it is gone", replace, ErrNotFound, NotFound, "Policy with [p] does not exist"},
		{"replace, busy", replace, ErrBusy, Busy, ""},
		{"delete, it is gone", remove, ErrNotFound, NotFound, "Policy with [p] does not exist"},
		{"delete, busy", remove, ErrBusy, Busy, ""},
		{"create, trouble", create, errRead, "", ""},
		{"replace, trouble", replace, errRead, "", ""},
		{"delete, trouble", remove, errRead, "", ""},
	}
	for _, tc := range tests {
		w, k := newShareWorld(t)
		k.err = tc.err
		err := tc.call(w)
		e, _ := errors.AsType[*Error](err)
		if reason(err) != tc.want || !errors.Is(err, tc.err) || e != nil && e.Description != tc.text {
			t.Errorf("%s: got %v, want %s %q", tc.name, err, tc.want, tc.text)
		}
	}
}

// A grant rests on policies and on granted requests, each by rows of its own.
func TestRestsOnBothKinds(t *testing.T) {
	t.Parallel()
	w, _ := newShareWorld(t)
	w.view.shares = []Share{
		{Key: 9, ID: "s", Kind: ByRequest, Resource: 103, Scopes: scopesOf("view"), Version: 40},
		{Key: 9, ID: "p", Kind: ByPolicy, Resource: 103, Scopes: scopesOf("view comment"), Version: 50},
		{Key: 8, ID: "u", Kind: ByPolicy, Resource: 103, Scopes: scopesOf("view"), Version: 60},
	}
	w.decide = func(*Input) (*Evaluation, error) {
		return &Evaluation{Output: Output{Granted: []Scope{"*"}, RestsOn: []string{"s", "p"}}}, nil
	}
	if _, err := w.bob(&TokenRequest{Permissions: asked("r-album")}); err != nil {
		t.Fatal(err)
	}
	st := w.settlements[0]
	if got, want := st.RestsOn.Shares, map[Key]int64{9: 40}; !maps.Equal(got, want) {
		t.Errorf("got requests %v, want %v", got, want)
	}
	if got, want := st.RestsOn.Policies, map[Key]int64{9: 50}; !maps.Equal(got, want) {
		t.Errorf("got policies %v, want %v", got, want)
	}
	shares := st.RPT.Permissions[0].Shares
	if len(shares) != 2 || shares[1].ID != "p" || shares[1].Version != 50 || !slices.Equal(shares[1].Scopes, scopesOf("view comment")) {
		t.Errorf("got %+v in the RPT's row", shares)
	}
}
