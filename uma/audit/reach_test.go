package audit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/umatest"
)

// A population is all users and resources of a world.
type population struct {
	uma.Viewer
	w *umatest.World
}

func (p population) UsersAfter(context.Context, uma.Key, string, int) ([]*uma.User, error) {
	panic("a sample reads no pages")
}

func (p population) SampleUsers(context.Context, uma.Key, int, uint64) ([]*uma.User, error) {
	return []*uma.User{p.w.View.Users["u-alice"], p.w.View.Users["u-bob"]}, nil
}

func (p population) SampleResources(_ context.Context, server uma.Key, n int, _ uint64) (found []*uma.Resource, err error) {
	for _, r := range p.w.View.Resources {
		if r.Server == server && len(found) < n {
			found = append(found, r)
		}
	}
	return found, nil
}

func (p population) ScopesOfTypes(_ context.Context, _ uma.Key, types []string) (map[string][]uma.Scope, error) {
	if !slices.Equal(types, []string{"album"}) { // not board, which its resource server owns
		return nil, fmt.Errorf("asked for the scopes of %v", types)
	}
	return map[string][]uma.Scope{"album": p.w.View.TypeScope}, nil
}

// A prober answers about bob and the album, and grants nothing else.
type prober struct{ ev uma.Evaluation }

func (prober) Revision() string { return "a revision" }

func (p prober) Decide(_ context.Context, in *uma.Input) (*uma.Evaluation, error) {
	if in.Subject.Username != "bob" || in.Resource.ID != "r-album" {
		return &uma.Evaluation{}, nil
	}
	return &p.ev, nil
}

// TestReach: each user is asked for with each resource and all of its scopes. A policy that
// fails, or breaks the contract, grants nothing.
func TestReach(t *testing.T) {
	t.Parallel()
	w := umatest.NewFullWorld(t)
	w.Other.Enabled = false // neither it nor its resources are asked for
	view := umatest.ScopesOf("view")
	for name, c := range map[string]struct {
		was, now uma.Evaluation
		want     string // granted, refused, different, failed
		changes  string
	}{
		"nothing changes":  {uma.Evaluation{}, uma.Evaluation{}, "0 0 0 0", ""},
		"granted":          {uma.Evaluation{}, uma.Evaluation{Output: uma.Output{Granted: view}}, "1 0 0 0", "view refused granted"},
		"all":              {uma.Evaluation{}, uma.Evaluation{Output: uma.Output{Granted: []uma.Scope{"*"}}}, "3 0 0 0", "view refused granted, comment refused granted, print refused granted"},
		"refused":          {uma.Evaluation{Output: uma.Output{Granted: view}}, uma.Evaluation{}, "0 1 0 0", "view granted refused"},
		"the owner":        {uma.Evaluation{}, uma.Evaluation{Output: uma.Output{Submit: view}}, "0 0 1 0", "view refused submit"},
		"a claim":          {uma.Evaluation{}, uma.Evaluation{Output: uma.Output{NeedInfo: []uma.Need{{Scopes: view}}}}, "0 0 1 0", "view refused need_info"},
		"it fails":         {uma.Evaluation{}, uma.Evaluation{Failed: "to_number"}, "0 0 0 3", "view refused error, comment refused error, print refused error"},
		"the contract":     {uma.Evaluation{}, uma.Evaluation{Output: uma.Output{Granted: umatest.ScopesOf("other")}}, "0 0 0 3", "view refused error, comment refused error, print refused error"},
		"it failed":        {uma.Evaluation{Failed: "to_number"}, uma.Evaluation{Output: uma.Output{Granted: view}}, "1 0 2 0", "view error granted, comment error refused, print error refused"},
		"newly granted":    {uma.Evaluation{Output: uma.Output{Granted: view}}, uma.Evaluation{Output: uma.Output{Granted: umatest.ScopesOf("print")}}, "1 1 0 0", "print refused granted, view granted refused"},
		"one that decides": {uma.Evaluation{}, uma.Evaluation{Decided: []uma.ScopeDecision{{Scope: "comment", Decision: "need_info"}}}, "0 0 1 0", "comment refused need_info"},
	} {
		reach := &audit.Reach{
			Access: audit.Access{Store: population{w.Store, w}, Realm: w.Snap, Describe: grant.Described{At: w.Now}, Workers: 2},
			Client: w.Web, Users: 10, Resources: 10, Limit: 10,
		}
		got, err := reach.Run(t.Context(), prober{c.was}, prober{c.now})
		if err != nil {
			t.Fatal(err)
		}
		// alice, bob, photoz-api and photoz-app: two scopes of the board, one resource without
		// scopes, two scopes of the album and that of its type.
		if got.Users != 4 || got.Resources != 3 || got.Asked != 4*(2+1+3) {
			t.Errorf("%s: got %+v", name, got)
		}
		var changes []string
		for _, row := range got.Changes {
			changes = append(changes, fmt.Sprint(row.Scope, " ", row.Was, " ", row.Now))
			if row.Username != "bob" || row.ResourceName != "Album" || row.RulesWas == nil || row.RulesNow == nil {
				t.Errorf("%s: got %+v", name, row)
			}
		}
		if counts := fmt.Sprint(got.Granted, got.Refused, got.Different, got.Failed); counts != c.want || strings.Join(changes, ", ") != c.changes || got.Changes == nil || got.Omitted != 0 {
			t.Errorf("%s: got %s, %v, want %s, %s", name, counts, changes, c.want, c.changes)
		}
	}
}
