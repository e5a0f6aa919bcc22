package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
)

// Each resource of alice is shared with these users, for these scopes; each pair
// is one share.
var (
	sharedWith   = []string{"bob", "carol", "dave", "erin", "somebody"}
	sharedScopes = []uma.Scope{"view", "comment"}
)

const accountPath = "/realms/photoz/account/resources"

// measureShares has servers with few and many shares do what owners and those they
// share with do.
func measureShares(ctx context.Context, s setting, dir string) (err error) {
	var servers []*umpire
	for _, n := range s.shared {
		u := &umpire{binary: s.umpire, dir: filepath.Join(dir, fmt.Sprint("shared-", n)), n: n, shared: true}
		if err := u.fill(ctx); err != nil {
			return fmt.Errorf("share %d resources: %w", n, err)
		}
		if err := u.start(ctx, "ES256"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, u.stop()) }()
		servers = append(servers, u)
	}
	for _, what := range []struct {
		name   string
		script func(*umpire) script
	}{
		{"share and withdraw (two requests)", (*umpire).shareAndWithdraw},
		{"a page of what is shared with others", (*umpire).sharedPage},
		{"a page of what is shared with me", (*umpire).receivedPage},
		{"decision on a shared resource", (*umpire).sharedDecision},
		{"scope alone, 10 at most", (*umpire).scopeOnly},
		{"all entitlements, 10 at most", (*umpire).entitlements},
	} {
		var contenders []contender
		for _, u := range servers {
			contenders = append(contenders, u.contender(what.script(u)))
		}
		if err := report(ctx, s, what.name+", 16 callers", 16, contenders); err != nil {
			return err
		}
	}
	return nil
}

// share makes alice's resources and shares them.
func (u *umpire) share(ctx context.Context, store *sqlite.Store, rs *uma.Client) error {
	subjects, err := subjects(ctx, store)
	if err != nil {
		return err
	}
	return u.each(func(i int) error {
		r := board(i, u.ids[i], rs)
		r.Name, r.Type, r.Owner, r.Scopes, r.OwnerManaged = fmt.Sprintf("Album %06d", i), "album", subjects["alice"], sharedScopes, true
		if err := store.CreateResource(ctx, r, uuid.NewString); err != nil {
			return err
		}
		for _, name := range sharedWith {
			for _, scope := range sharedScopes {
				q := &uma.Request{
					ID: uuid.NewString(), Server: rs.Key, Resource: r.Key, ResourceID: r.ID, ResourceName: r.Name, Owner: r.Owner,
					Requester: subjects[name], Scope: scope, State: uma.Granted, Created: time.Now(), Decided: time.Now(),
				}
				if err := store.CreateRequest(ctx, q); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// subjects are the ids of the users; somebody is nobody in particular.
func subjects(ctx context.Context, store *sqlite.Store) (map[string]string, error) {
	view, err := store.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	ids := map[string]string{"somebody": uuid.NewString()}
	snap, err := store.Snapshot(ctx, "photoz", time.Now())
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"alice", "bob", "carol", "dave", "erin"} {
		user, err := view.UserByName(ctx, snap.Realm.Key, name)
		if err != nil {
			return nil, err
		}
		ids[name] = user.ID
	}
	return ids, nil
}

// one picks a resource for a turn of a caller.
func (u *umpire) one(caller, turn int) uma.ResourceID {
	return u.ids[(caller*7919+turn*104729)%len(u.ids)]
}

func (u *umpire) shareAndWithdraw() script {
	headers := "Content-Type: application/json\r\nAuthorization: Bearer " + u.alice + "\r\n"
	return func(c *conn, caller, turn int) error {
		path := accountPath + "/" + string(u.one(caller, turn)) + "/permissions"
		for _, scopes := range []string{`"view","comment"`, `"view"`} {
			if _, err := c.send("PUT", path, headers, `[{"username":"carol","scopes":[`+scopes+`]}]`, 204); err != nil {
				return err
			}
		}
		return nil
	}
}

func (u *umpire) page(token, path string) script {
	return func(c *conn, _, _ int) error {
		_, err := c.send("GET", accountPath+path+"?first=0&max=10", "Authorization: Bearer "+token+"\r\n", "", 200)
		return err
	}
}

func (u *umpire) sharedPage() script   { return u.page(u.alice, "/shared-with-others") }
func (u *umpire) receivedPage() script { return u.page(u.bob, "/shared-with-me") }

// asBob sends the UMA grant in decision mode.
func (u *umpire) asBob(more func(caller, turn int) url.Values) script {
	headers := form + "Authorization: Bearer " + u.bob + "\r\n"
	return func(c *conn, caller, turn int) error {
		params := more(caller, turn)
		params.Set("grant_type", umaGrant)
		params.Set("audience", "photoz-api")
		params.Set("response_mode", "decision")
		_, err := c.send("POST", tokenPath, headers, params.Encode(), 200)
		return err
	}
}

func (u *umpire) sharedDecision() script {
	return u.asBob(func(caller, turn int) url.Values {
		return url.Values{"permission": {string(u.one(caller, turn)) + "#view"}}
	})
}

func (u *umpire) scopeOnly() script {
	return u.asBob(func(int, int) url.Values {
		return url.Values{"permission": {"#view"}, "response_permissions_limit": {"10"}}
	})
}

func (u *umpire) entitlements() script {
	return u.asBob(func(int, int) url.Values { return url.Values{"response_permissions_limit": {"10"}} })
}
