package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/party"
)

// A storedRealm finds what a described request names, in a realm as it is stored.
type storedRealm struct {
	db   uma.Store
	snap *uma.Snapshot
	at   time.Time
}

func (e *env) storedRealm(ctx context.Context, db uma.Store, name string) (*storedRealm, error) {
	now := e.now()
	snap, err := db.Snapshot(ctx, name, now)
	if err != nil {
		return nil, realmError(ctx, db, name, err)
	}
	return &storedRealm{db, snap, now}, nil
}

// client returns the client that requests come from: the one that is named or else, by
// client_id, the first that users sign in at.
func (r *storedRealm) client(id string) (*uma.Client, error) {
	if id != "" {
		client := r.snap.Clients[id]
		if client == nil {
			return nil, invalid("--client: realm %s has no client %q%s", r.snap.Realm.Name, id, hint(id, slices.Collect(maps.Keys(r.snap.Clients))))
		}
		if !client.Enabled {
			return nil, invalid("--client: client %s is disabled: every request of it is refused", id)
		}
		return client, nil
	}
	for _, id := range slices.Sorted(maps.Keys(r.snap.Clients)) {
		if c := r.snap.Clients[id]; c.Enabled && !c.ResourceServer && (c.Public || c.PasswordGrant) {
			return c, nil
		}
	}
	return nil, invalid("realm %s has no client that users sign in at: name one by --client", r.snap.Realm.Name)
}

// party returns whoever a text names, with the realm's client: a user, by username or id, or
// a client that asks for itself, by client_id or the name of its service account.
func (r *storedRealm) party(ctx context.Context, name string, client *uma.Client) (*party.Identity, error) {
	user, err := uma.Read(ctx, r.db, func(view uma.View) (*uma.User, error) {
		user, err := view.UserByName(ctx, r.snap.Realm.Key, name)
		if errors.Is(err, uma.ErrNotFound) {
			user, err = view.User(ctx, r.snap.Realm.Key, name)
		}
		return user, err
	})
	switch {
	case err == nil && !user.Enabled:
		return nil, invalid("--user: user %s is disabled: every request of theirs is refused", user.Username)
	case err == nil:
		return grant.SignedIn(user, client, r.at), nil
	case !errors.Is(err, uma.ErrNotFound):
		return nil, err
	}
	self := r.snap.Clients[strings.TrimPrefix(name, (&uma.Client{}).ServiceAccountName())]
	if self == nil {
		names, err := r.usernames(ctx)
		if err != nil {
			return nil, err
		}
		return nil, invalid("--user: realm %s has no user %q%s, and no client of that name", r.snap.Realm.Name, name, hint(name, names))
	}
	if !self.Enabled {
		return nil, invalid("--user: client %s is disabled: every request of it is refused", self.ID)
	}
	id, err := grant.SignedInAsItself(self)
	if err != nil {
		return nil, invalid("--user: client %s cannot ask for itself: it has no service account", self.ID)
	}
	return id, nil
}

// servers are the enabled resource servers of the realm, by client_id.
func (r *storedRealm) servers() (found []*uma.Client) {
	for _, id := range slices.Sorted(maps.Keys(r.snap.Clients)) {
		if c := r.snap.Clients[id]; c.Enabled && c.ResourceServer {
			found = append(found, c)
		}
	}
	return found
}

// maxNamesakes is how many resources of one name an error lists.
const maxNamesakes = 10

// resource returns the resource that a text names, by id or else by name, and its resource
// server.
func (r *storedRealm) resource(ctx context.Context, text string) (*uma.Resource, *uma.Client, error) {
	var server *uma.Client
	var found []*uma.Resource
	for _, filter := range []uma.ResourceFilter{{ID: uma.ResourceID(text)}, {Name: text, ExactName: true}} {
		for _, s := range r.servers() {
			err := r.db.FindResources(ctx, s.Key, filter, 0, maxNamesakes, func(res *uma.Resource) error {
				server, found = s, append(found, res)
				return nil
			})
			if err != nil && !errors.Is(err, uma.ErrVague) {
				return nil, nil, err
			}
		}
		if len(found) > 0 {
			break
		}
	}
	switch len(found) {
	case 0:
		names, err := r.resourceNames(ctx)
		if err != nil {
			return nil, nil, err
		}
		return nil, nil, invalid("--resource: realm %s has no resource with the id or name %q%s", r.snap.Realm.Name, text, hint(text, names))
	case 1:
		return found[0], server, nil
	}
	text = fmt.Sprintf("--resource: several resources have the name %q: name one by its id:", text)
	for _, res := range found[:min(len(found), maxNamesakes)] {
		text += fmt.Sprintf("\n\t%s, of %s", res.ID, res.Owner)
	}
	return nil, nil, invalid("%s", text)
}

// maxHints is how many names of a kind are compared with an unknown one.
const maxHints = 1000

// usernames are names of users, the first.
func (r *storedRealm) usernames(ctx context.Context) (names []string, err error) {
	users, err := r.db.UsersAfter(ctx, r.snap.Realm.Key, "", maxHints)
	for _, u := range users {
		names = append(names, u.Username)
	}
	return names, err
}

// resourceNames are names of resources, the first of each resource server.
func (r *storedRealm) resourceNames(ctx context.Context) (names []string, err error) {
	for _, s := range r.servers() {
		err := r.db.FindResources(ctx, s.Key, uma.ResourceFilter{}, 0, maxHints, func(res *uma.Resource) error {
			names = append(names, res.Name)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}
