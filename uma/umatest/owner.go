package umatest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// A world's view reads accounts from its resources and requests.

func (v *View) UsersNamed(_ context.Context, _ uma.Key, namesOrEmails []string) (map[string][]*uma.User, error) {
	found := map[string][]*uma.User{}
	for _, called := range namesOrEmails {
		name, _, _ := strings.Cut(strings.ToLower(called), "@")
		if u := v.Users["u-"+name]; u != nil {
			found[called] = []*uma.User{u}
		}
	}
	return found, v.read("UsersNamed")
}

func (v *View) UsersByID(_ context.Context, _ uma.Key, ids []string) (map[string]*uma.User, error) {
	found := map[string]*uma.User{}
	for _, id := range ids {
		if u := v.Users[id]; u != nil {
			found[id] = u
		}
	}
	return found, v.read("UsersByID")
}

func (v *View) owned(owner string) (found []*uma.Resource) {
	for _, r := range v.Resources {
		if r.Owner == owner {
			found = append(found, r)
		}
	}
	return found
}

func (v *View) OwnedResource(_ context.Context, _ uma.Key, owner string, id uma.ResourceID) (*uma.Resource, error) {
	var found *uma.Resource
	for _, r := range v.owned(owner) {
		if r.ID == id {
			found = r
		}
	}
	return row(v.read("OwnedResource"), found)
}

func (v *View) OwnedResources(_ context.Context, _ uma.Key, owner, _ string, _, _ int) ([]*uma.Resource, error) {
	return v.owned(owner), v.read("OwnedResources")
}

func (v *View) SharedResources(_ context.Context, _ uma.Key, f uma.GrantedFilter, _, _ int) ([]*uma.Resource, error) {
	var found []*uma.Resource
	for _, r := range v.Resources {
		if r.OwnerManaged && (f.Owner == "" || r.Owner == f.Owner) {
			found = append(found, r)
		}
	}
	return found, v.read("SharedResources")
}

func (v *View) where(is func(*uma.Request) bool) (found []uma.Request) {
	for _, q := range v.Requests {
		if is(&q) {
			found = append(found, q)
		}
	}
	slices.SortFunc(found, func(a, b uma.Request) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), strings.Compare(a.Requester, b.Requester), strings.Compare(string(a.Scope), string(b.Scope)))
	})
	return found
}

func (v *View) RequestsFor(_ context.Context, resources []uma.Key, state, requester string) ([]uma.Request, error) {
	return v.where(func(q *uma.Request) bool {
		return slices.Contains(resources, q.Resource) && q.State == state && (requester == "" || q.Requester == requester)
	}), v.read("RequestsFor")
}

func (v *View) RealmRequest(_ context.Context, _ uma.Key, id string) (*uma.Request, error) {
	var found *uma.Request
	for i := range v.Requests {
		if v.Requests[i].ID == id {
			found = &v.Requests[i]
		}
	}
	return row(v.read("RealmRequest"), found)
}

func (v *View) PendingOf(_ context.Context, _ uma.Key, owner, after string, most int) ([]uma.Request, error) {
	return v.pendingPage(func(q *uma.Request) bool { return q.Owner == owner }, after, most), v.read("PendingOf")
}

func (v *View) PendingBy(_ context.Context, _ uma.Key, requester, after string, most int) ([]uma.Request, error) {
	return v.pendingPage(func(q *uma.Request) bool { return q.Requester == requester }, after, most), v.read("PendingBy")
}

func (v *View) pendingPage(of func(*uma.Request) bool, after string, most int) []uma.Request {
	found := v.where(func(q *uma.Request) bool { return q.State == uma.Pending && q.ID > after && of(q) })
	slices.SortFunc(found, func(a, b uma.Request) int { return strings.Compare(a.ID, b.ID) })
	return found[:min(most, len(found))]
}

func (v *View) PendingBeside(_ context.Context, keys []uma.Key) ([]uma.Request, error) {
	of := v.where(func(q *uma.Request) bool { return slices.Contains(keys, q.Key) })
	return v.where(func(q *uma.Request) bool {
		return q.State == uma.Pending && slices.ContainsFunc(of, func(o uma.Request) bool { return o.Resource == q.Resource && o.Requester == q.Requester })
	}), v.read("PendingBeside")
}

func (s FakeStore) ShareResource(context.Context, *uma.ShareChange) error { return s.write() }

func (s FakeStore) DecideRequests(_ context.Context, _ uma.Key, _ string, granted map[string]bool, _ time.Time) error {
	return s.W.View.Decide(granted)
}

// Decide answers requests, all or none.
func (v *View) Decide(granted map[string]bool) error {
	v.w.step("write")
	at := map[int]bool{}
	for id, yes := range granted {
		i := slices.IndexFunc(v.Requests, func(q uma.Request) bool { return q.ID == id })
		switch {
		case i < 0:
			return uma.ErrNotFound
		case v.Requests[i].State != uma.Pending:
			return uma.ErrConflict
		}
		at[i] = yes
	}
	for i, yes := range at {
		v.Requests[i].State = uma.Refused
		if yes {
			v.Requests[i].State = uma.Granted
		}
	}
	return nil
}
