package account

import (
	"context"
	"errors"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// owner is a user who calls the account API.
func (w *world) owner(name string) *Owner {
	return &Owner{Snap: w.Snap, User: w.View.Users["u-"+name]}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world, *uma.Claims)
		bearer string
		want   uma.Reason
	}{
		"a user":                {func(*world, *uma.Claims) {}, "access.of.bob", ""},
		"no token":              {func(*world, *uma.Claims) {}, "", uma.InvalidToken},
		"garbage":               {func(*world, *uma.Claims) {}, "garbage", uma.InvalidToken},
		"an ID token":           {func(_ *world, c *uma.Claims) { c.Type = uma.TypeID }, "access.of.bob", uma.InvalidToken},
		"for a resource server": {func(_ *world, c *uma.Claims) { c.Audience = uma.Audience{"photoz-api"} }, "access.of.bob", uma.InsufficientScope},
		"for nobody":            {func(_ *world, c *uma.Claims) { c.Audience = nil }, "access.of.bob", uma.InsufficientScope},
		"of a service account": {func(_ *world, c *uma.Claims) {
			c.Subject, c.AuthorizedParty, c.SessionID = "uuid-app", "photoz-app", ""
		}, "access.of.bob", uma.InsufficientScope},
		"of a user who is gone":  {func(w *world, _ *uma.Claims) { delete(w.View.Users, "u-bob") }, "access.of.bob", uma.InvalidToken},
		"of a disabled user":     {func(w *world, _ *uma.Claims) { w.View.Users["u-bob"].Enabled = false }, "access.of.bob", uma.InvalidToken},
		"account among audience": {func(_ *world, c *uma.Claims) { c.Audience = uma.Audience{"photoz-api", "account"} }, "access.of.bob", ""},
	} {
		w := newWorld(t)
		tc.change(w, w.Tokens["access.of.bob"])
		id, err := w.party.Presented(t.Context(), w.Snap, &party.Caller{Bearer: tc.bearer, HasBearer: tc.bearer != ""}, uma.InvalidToken, party.Acceptance{})
		var o *Owner
		if err == nil {
			o, err = OwnerOf(w.Snap, id)
		}
		if umatest.Reason(err) != tc.want || (err == nil) != (tc.want == "") {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
			continue
		}
		if err == nil && o.User.Username != "bob" {
			t.Errorf("%s: got %s", name, o.User.Username)
		}
		if known := tc.want != uma.InvalidToken; known != (id != nil) { // whose pages may read the answer
			t.Errorf("%s: got identity %v", name, id)
		}
	}
}

// A search that would look through too many names ends with ErrVague. The exit turns that
// into a refusal.
func TestListsOfTooManyNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.owner("alice")
	w.service.Store = &vagueStore{Store: w.World.Store}
	for what, list := range map[string]func() (int, error){
		"owned": func() (int, error) {
			rows, err := w.service.OwnedResources(t.Context(), alice, "y", 0, 10)
			return len(rows), err
		},
		"shared with others": func() (int, error) {
			rows, err := w.service.SharedWithOthers(t.Context(), alice, &GrantedQuery{Name: "y", Max: 10})
			return len(rows), err
		},
		"shared with me": func() (int, error) {
			rows, err := w.service.SharedWithMe(t.Context(), alice, "y", 0, 10)
			return len(rows), err
		},
	} {
		if n, err := list(); n > 0 || !errors.Is(err, uma.ErrVague) {
			t.Errorf("%s: got %d resources and error %v, want %v", what, n, err, uma.ErrVague)
		}
	}
}

// A vagueStore has too many names to look through.
type vagueStore struct{ uma.Store }

func (s *vagueStore) View(ctx context.Context) (uma.View, error) {
	v, err := s.Store.View(ctx)
	return &vagueView{v}, err
}

func (s *vagueStore) CachedView(ctx context.Context) (uma.View, error) { return s.View(ctx) }

type vagueView struct{ uma.View }

func (v *vagueView) OwnedResources(context.Context, uma.Key, string, string, int, int) ([]*uma.Resource, error) {
	return nil, uma.ErrVague
}

func (v *vagueView) SharedResources(context.Context, uma.Key, uma.GrantedFilter, int, int) ([]*uma.Resource, error) {
	return nil, uma.ErrVague
}
