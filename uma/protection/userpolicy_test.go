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

func newShareWorld(t *testing.T) (*world, *keeper) {
	t.Helper()
	w := newFullWorld(t)
	k := &keeper{FakeStore: umatest.FakeStore{W: w.World}}
	w.service.Store = k
	return w, k
}

// What cannot be kept is refused, in words of its own, and nothing is written.
func TestShareRefusals(t *testing.T) {
	t.Parallel()
	long := slices.Repeat([]string{strings.Repeat("r", uma.MaxName)}, 65)
	many := slices.Repeat([]string{"bob"}, uma.MaxMembers+1)
	tests := []struct {
		name   string
		change func(*ShareInput)
		want   string
	}{
		{"no name", func(in *ShareInput) { in.Name = "" }, "name is missing"},
		{"a blank name", func(in *ShareInput) { in.Name = " \t" }, "name is missing"},
		{"a long name", func(in *ShareInput) { in.Name = strings.Repeat("x", uma.MaxName+1) }, "name is longer than 255 bytes"},
		{"a name that is no text", func(in *ShareInput) { in.Name = "a\nb" }, "name has characters that are not text"},
		{"a long description", func(in *ShareInput) { in.Description = strings.Repeat("x", uma.MaxValue+1) }, "description is longer than 4000 bytes"},
		{"an unknown strategy", func(in *ShareInput) { in.Strategy = "ANY" }, "decisionStrategy must be UNANIMOUS, AFFIRMATIVE or CONSENSUS"},
		{"a strategy in another case", func(in *ShareInput) { in.Strategy = "affirmative" }, "decisionStrategy must be UNANIMOUS, AFFIRMATIVE or CONSENSUS"},
		{"another resource", func(in *ShareInput) { in.Resources = []string{"r-board"} }, "A policy is for the resource [r-album] alone"},
		{"another resource beside it", func(in *ShareInput) { in.Resources = []string{"r-album", "r-board"} }, "A policy is for the resource [r-album] alone"},
		{"a resource without a name", func(in *ShareInput) { in.Resources = []string{""} }, "A policy is for the resource [r-album] alone"},
		{"an unknown scope", func(in *ShareInput) { in.Scopes = umatest.ScopesOf("view fly") }, "Some of the scopes [[view, fly]] are not valid for resource [r-album]"},
		{"a scope of the type", func(in *ShareInput) { in.Scopes = umatest.ScopesOf("print") }, "Some of the scopes [[print]] are not valid for resource [r-album]"},
		{"no scopes", func(in *ShareInput) { in.Scopes = []uma.Scope{} }, "scopes is empty"},
		{"everything", func(in *ShareInput) { in.Scopes = []uma.Scope{uma.Everything} }, "Some of the scopes [[*]] are not valid for resource [r-album]"},
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
			_, created := w.service.CreateShare(t.Context(), w.alice(), "r-album", in)
			replaced := w.service.ReplaceShare(t.Context(), w.alice(), "p", in)
			for what, err := range map[string]error{"create": created, "replace": replaced} {
				e, ok := errors.AsType[*uma.Error](err)
				if !ok || e.Reason != uma.InvalidRequest || e.Description != tc.want {
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
	v, err := w.service.CreateShare(t.Context(), w.alice(), "r-album", &ShareInput{
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
func TestCreateShareAtMost(t *testing.T) {
	t.Parallel()
	w, k := newShareWorld(t)
	in := &ShareInput{Name: "new", Users: []string{"bob"}}
	for len(w.View.Shares) < uma.MaxShares { // one of them is a request
		w.View.Shares = append(w.View.Shares, uma.Share{ID: "q", Kind: uma.ByPolicy, Name: "q", Owner: "u-alice", ResourceID: "r-album"})
	}
	if _, err := w.service.CreateShare(t.Context(), w.alice(), "r-album", in); err != nil {
		t.Fatal(err)
	}
	k.last = nil
	w.View.Shares = append(w.View.Shares, uma.Share{ID: "r", Kind: uma.ByPolicy, Name: "r", Owner: "u-alice", ResourceID: "r-album"})
	_, err := w.service.CreateShare(t.Context(), w.alice(), "r-album", in)
	if umatest.Reason(err) != uma.InvalidRequest || k.last != nil {
		t.Errorf("got %v, %v kept, want it refused", err, k.last)
	}
	if err := w.service.ReplaceShare(t.Context(), w.alice(), "p", in); err != nil {
		t.Errorf("replace: got %v", err)
	}
}

// A resource without scopes is shared as a whole.
func TestCreateShareOfTheWhole(t *testing.T) {
	t.Parallel()
	w, k := newShareWorld(t)
	w.View.Resources[2].Scopes = nil
	for _, scopes := range [][]uma.Scope{nil, {}} {
		if _, err := w.service.CreateShare(t.Context(), w.alice(), "r-album", &ShareInput{Name: "new", Scopes: scopes}); err != nil || len(k.last.Scopes) != 0 {
			t.Errorf("got %v, want it shared as a whole", err)
		}
	}
}

// Without scopes a policy keeps those it has; for nobody it is deleted.
func TestReplaceShare(t *testing.T) {
	t.Parallel()
	w, k := newShareWorld(t)
	in := &ShareInput{ID: "p", Name: "new", Users: []string{"alice"}}
	if err := w.service.ReplaceShare(t.Context(), w.alice(), "p", in); err != nil {
		t.Fatal(err)
	}
	if s := k.last; s.ID != "p" || s.Server != 10 || s.Name != "new" || !slices.Equal(s.Scopes, umatest.ScopesOf("view")) || !slices.Equal(s.Users, []string{"u-alice"}) {
		t.Errorf("got %+v, want the policy with another name and user", s)
	}
	in.ID = "q"
	if err := w.service.ReplaceShare(t.Context(), w.alice(), "p", in); umatest.Reason(err) != uma.InvalidRequest {
		t.Errorf("with another id: got %v", err)
	}
	k.last = nil
	err := w.service.ReplaceShare(t.Context(), w.alice(), "p", &ShareInput{Name: "new", Scopes: umatest.ScopesOf("view")})
	if err != nil || k.last != nil || !slices.Equal(k.delete, []string{"p"}) {
		t.Errorf("for nobody: got %v, %v kept, %q deleted, want it deleted", err, k.last, k.delete)
	}

	// The scope that it was for has left the resource: there is nothing to keep.
	w.View.Resources[2].Scopes = umatest.ScopesOf("comment")
	if err := w.service.ReplaceShare(t.Context(), w.alice(), "p", &ShareInput{Name: "new", Users: []string{"bob"}}); umatest.Reason(err) != uma.InvalidRequest {
		t.Errorf("without scopes to keep: got %v, want it refused", err)
	}
}

// Policies are their owner's business: for others nothing is read beyond that, and
// nothing changes.
func TestSharesAreTheOwners(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*world, *Caller, string, string) error{
		"create": func(w *world, p *Caller, resource, _ string) error {
			_, err := w.service.CreateShare(w.Context(), p, resource, &ShareInput{Name: "mine", Users: []string{"bob"}})
			return err
		},
		"read": func(w *world, p *Caller, _, id string) error {
			_, err := w.service.ReadShare(w.Context(), p, id)
			return err
		},
		"replace": func(w *world, p *Caller, _, id string) error {
			return w.service.ReplaceShare(w.Context(), p, id, &ShareInput{Name: "mine", Users: []string{"bob"}})
		},
		"delete": func(w *world, p *Caller, _, id string) error { return w.service.DeleteShare(w.Context(), p, id) },
	}
	const notOwner = "invalid_request: Only resource owner can access policies for resource [r-album]"
	for name, call := range calls {
		w, k := newShareWorld(t)
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
func TestSharesOfWhatIsNoLongerManaged(t *testing.T) {
	t.Parallel()
	w, k := newShareWorld(t)
	w.View.Resources[2].OwnerManaged = false
	const refused = "invalid_request: Only resources with owner managed accessed can have policies"
	_, err := w.service.CreateShare(t.Context(), w.alice(), "r-album", &ShareInput{Name: "new"})
	if err == nil || err.Error() != refused {
		t.Errorf("create: got %v, want %s", err, refused)
	}
	if err := w.service.ReplaceShare(t.Context(), w.alice(), "p", &ShareInput{Name: "new"}); err == nil || err.Error() != refused {
		t.Errorf("replace: got %v, want %s", err, refused)
	}
	if _, err := w.service.ReadShare(t.Context(), w.alice(), "p"); err != nil {
		t.Errorf("read: got %v", err)
	}
	if err := w.service.DeleteShare(t.Context(), w.alice(), "p"); err != nil || len(k.delete) != 1 {
		t.Errorf("delete: got %v, %q deleted", err, k.delete)
	}
}

// What the store says of a race is said like what was found before.
func TestShareStoreErrors(t *testing.T) {
	t.Parallel()
	in := &ShareInput{Name: "new", Users: []string{"bob"}}
	create := func(w *world) error {
		_, err := w.service.CreateShare(w.Context(), w.alice(), "r-album", in)
		return err
	}
	replace := func(w *world) error { return w.service.ReplaceShare(w.Context(), w.alice(), "p", in) }
	remove := func(w *world) error { return w.service.DeleteShare(w.Context(), w.alice(), "p") }
	tests := []struct {
		name string
		call func(*world) error
		err  error
		want uma.Reason
		text string
	}{
		{"create, there is one", create, uma.ErrConflict, uma.Conflict, "Policy with name [new] already exists"},
		{"create, the resource is gone", create, uma.ErrNotFound, uma.InvalidRequest, "Resource [r-album] cannot be found"},
		{"create, busy", create, uma.ErrBusy, uma.Busy, ""},
		{"replace, there is one", replace, uma.ErrConflict, uma.Conflict, "Policy with name [new] already exists"},
		{"replace, it is gone", replace, uma.ErrNotFound, uma.NotFound, "Policy with [p] does not exist"},
		{"replace, busy", replace, uma.ErrBusy, uma.Busy, ""},
		{"delete, it is gone", remove, uma.ErrNotFound, uma.NotFound, "Policy with [p] does not exist"},
		{"delete, busy", remove, uma.ErrBusy, uma.Busy, ""},
		{"create, trouble", create, umatest.ErrRead, "", ""},
		{"replace, trouble", replace, umatest.ErrRead, "", ""},
		{"delete, trouble", remove, umatest.ErrRead, "", ""},
	}
	for _, tc := range tests {
		w, k := newShareWorld(t)
		k.err = tc.err
		err := tc.call(w)
		e, _ := errors.AsType[*uma.Error](err)
		if umatest.Reason(err) != tc.want || !errors.Is(err, tc.err) || e != nil && e.Description != tc.text {
			t.Errorf("%s: got %v, want %s %q", tc.name, err, tc.want, tc.text)
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
	ids, err := p.usersNamed(t.Context(), w.View, names)
	if err != nil || len(ids) != len(names) || len(w.View.Reads) > 2 {
		t.Errorf("to name 50 users in a policy: got %d, %v after the reads %q", len(ids), err, w.View.Reads)
	}
}
