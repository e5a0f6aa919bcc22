package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/uma"
)

func sharesCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "shares", Short: "List what owners share", Args: cobra.NoArgs}
	var f shareFlags
	list := &cobra.Command{
		Use:   "list --realm NAME",
		Short: "List what owners share and with whom (safe while the server runs)",
		Long: `List what owners share and with whom (safe while the server runs): requests that they
approved, one line per scope, and their user-managed policies. --user selects shares
that name the user, not those with a role or group of the user.`,
		Example: `  umpire shares list --realm photoz --owner alice
  umpire shares list --realm photoz --user bob -o json | jq -r .[].resource`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.realm == "" {
				return usageError("--realm is missing")
			}
			return e.withLists(cmd.Context(), func(db uma.Store) error { return e.listShares(cmd.Context(), db, f) })
		},
	}
	fl := list.Flags()
	fl.StringVar(&f.realm, "realm", "", "`name` of the realm")
	fl.StringVar(&f.owner, "owner", "", "`name` or id of the user who shares")
	fl.StringVar(&f.user, "user", "", "`name` or id of the user who is named")
	fl.StringVar(&f.resource, "resource", "", "`id` of the resource")
	e.outputFlag(list)
	cmd.AddCommand(list)
	return cmd
}

type shareFlags struct{ realm, owner, user, resource string }

// A shareRow is a share in the output of list.
type shareRow struct {
	Kind         string         `json:"kind"` // request or policy
	ID           string         `json:"id"`
	Name         string         `json:"name,omitempty"` // of a policy
	Server       string         `json:"resource_server"`
	Resource     uma.ResourceID `json:"resource"`
	ResourceName string         `json:"resource_name"`
	Owner        string         `json:"owner"`
	Scopes       []uma.Scope    `json:"scopes"` // empty: the whole resource
	Users        []string       `json:"users,omitempty"`
	Roles        []string       `json:"roles,omitempty"`
	Groups       []string       `json:"groups,omitempty"`
	Clients      []string       `json:"clients,omitempty"`
	Strategy     string         `json:"strategy,omitempty"` // of a policy
	Granted      *time.Time     `json:"granted_at,omitempty"`
}

// parties returns with whom the resource is shared, as text.
func (r *shareRow) parties() string {
	parts := slices.Clone(r.Users)
	for _, kind := range []struct {
		name  string
		names []string
	}{{"role", r.Roles}, {"group", r.Groups}, {"client", r.Clients}} {
		for _, name := range kind.names {
			parts = append(parts, kind.name+" "+name)
		}
	}
	return strings.Join(parts, ", ")
}

func (r *shareRow) cells() []string {
	scopes := "(all of it)"
	if len(r.Scopes) > 0 {
		names := make([]string, len(r.Scopes))
		for i, s := range r.Scopes {
			names[i] = string(s)
		}
		scopes = strings.Join(names, " ")
	}
	return []string{r.Owner, r.Server, r.ResourceName, scopes, r.parties(), r.Kind, r.ID}
}

// A shareLister lists shares page by page, so that it holds no long read transaction
// beside a running server.
type shareLister struct {
	db    uma.Store
	realm *uma.Snapshot
	of    uma.UserPoliciesOf
	out   *listing
}

// sharePage is how many shares are read at a time.
const sharePage = 200

func (e *env) listShares(ctx context.Context, db uma.Store, flags shareFlags) (err error) {
	l := &shareLister{db: db, of: uma.UserPoliciesOf{Resource: uma.ResourceID(flags.resource)}, out: &listing{
		w: e.stdout, asJSON: e.asJSON(), headings: []string{"OWNER", "RESOURCE SERVER", "RESOURCE", "SCOPES", "WITH", "KIND", "ID"},
	}}
	if l.realm, err = db.Snapshot(ctx, flags.realm, e.now()); err != nil {
		return realmError(ctx, db, flags.realm, err)
	}
	if err := l.findUsers(ctx, flags); err != nil {
		return err
	}
	for _, c := range l.servers() {
		if err := l.list(ctx, c); err != nil {
			return err
		}
	}
	return l.out.end()
}

// findUsers looks up the ids of the users that the flags name.
func (l *shareLister) findUsers(ctx context.Context, flags shareFlags) (err error) {
	view, err := l.db.View(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	for _, m := range []struct {
		flag, name string
		id         *string
	}{{"--owner", flags.owner, &l.of.Owner}, {"--user", flags.user, &l.of.User}} {
		if m.name == "" {
			continue
		}
		u, err := view.UserByName(ctx, l.realm.Realm.Key, m.name)
		if errors.Is(err, uma.ErrNotFound) {
			u, err = view.User(ctx, l.realm.Realm.Key, m.name)
		}
		switch {
		case errors.Is(err, uma.ErrNotFound):
			return invalid("%s: there is no user %q in the realm %s", m.flag, m.name, flags.realm)
		case err != nil:
			return err
		}
		*m.id = u.ID
	}
	return nil
}

// servers returns the resource servers of the realm, by client_id.
func (l *shareLister) servers() []*uma.Client {
	var servers []*uma.Client
	for _, c := range l.realm.Clients {
		if c.ResourceServer {
			servers = append(servers, c)
		}
	}
	slices.SortFunc(servers, func(a, b *uma.Client) int { return strings.Compare(a.ID, b.ID) })
	return servers
}

// A sharePageOf reads a page of the shares of one kind, those with ids after a given one.
type sharePageOf func(ctx context.Context, view uma.View, server *uma.Client, after string) ([]*shareRow, error)

// list prints the shares at a resource server. Each page is read in its own view.
func (l *shareLister) list(ctx context.Context, server *uma.Client) error {
	for _, read := range []sharePageOf{l.requests, l.policies} {
		for after := ""; ; {
			rows, err := l.read(ctx, read, server, after)
			if err != nil {
				return err
			}
			for _, r := range rows {
				if err := l.out.add(r, r.cells()); err != nil {
					return err
				}
			}
			if len(rows) < sharePage {
				break
			}
			after = rows[len(rows)-1].ID
		}
	}
	return nil
}

func (l *shareLister) read(ctx context.Context, page sharePageOf, server *uma.Client, after string) ([]*shareRow, error) {
	return uma.Read(ctx, l.db, func(view uma.View) ([]*shareRow, error) {
		rows, err := page(ctx, view, server, after)
		if err != nil {
			return nil, err
		}
		return rows, l.nameParties(ctx, view, rows)
	})
}

// requests reads a page of granted requests.
func (l *shareLister) requests(ctx context.Context, view uma.View, server *uma.Client, after string) ([]*shareRow, error) {
	granted := true
	found, err := view.FindRequests(ctx, server.Key, uma.RequestFilter{
		Owner: l.of.Owner, Requester: l.of.User, Resource: l.of.Resource, Granted: &granted, After: after,
	}, 0, sharePage)
	if err != nil {
		return nil, err
	}
	rows := make([]*shareRow, len(found))
	for i, q := range found {
		at := q.Decided.UTC()
		rows[i] = &shareRow{
			Kind: uma.ByRequest, ID: q.ID, Server: server.ID, Resource: q.ResourceID, ResourceName: q.ResourceName,
			Owner: q.Owner, Scopes: []uma.Scope{}, Users: []string{q.Requester}, Granted: &at,
		}
		if q.Scope != "" {
			rows[i].Scopes = []uma.Scope{q.Scope}
		}
	}
	return rows, nil
}

// policies reads a page of user-managed policies.
func (l *shareLister) policies(ctx context.Context, view uma.View, server *uma.Client, after string) ([]*shareRow, error) {
	found, err := view.SharesAfter(ctx, server.Key, l.of, after, sharePage)
	if err != nil {
		return nil, err
	}
	rows := make([]*shareRow, len(found))
	for i, s := range found {
		rows[i] = &shareRow{
			Kind: uma.ByPolicy, ID: s.ID, Name: s.Name, Server: server.ID, Resource: s.ResourceID, Owner: s.Owner,
			Scopes: append([]uma.Scope{}, s.Scopes...), Users: s.Users, Roles: s.Roles, Groups: s.Groups, Clients: s.Clients,
			Strategy: s.Strategy,
		}
	}
	return rows, l.nameResources(ctx, view, server.Key, rows)
}

// nameParties replaces the ids of owners and users by their names.
func (l *shareLister) nameParties(ctx context.Context, view uma.View, rows []*shareRow) error {
	var ids []string
	for _, r := range rows {
		ids = append(append(ids, r.Owner), r.Users...)
	}
	slices.Sort(ids)
	names, err := view.Usernames(ctx, l.realm.Realm.Key, slices.Compact(ids))
	if err != nil {
		return err
	}
	of := func(id string) string {
		if c := l.realm.ByUUID[id]; c != nil {
			return c.ID
		}
		if name := names[id]; name != "" {
			return name
		}
		return id // of a deleted user
	}
	for _, r := range rows {
		r.Owner = of(r.Owner)
		for i, id := range r.Users {
			r.Users[i] = of(id)
		}
	}
	return nil
}

// nameResources adds the names of resources.
func (l *shareLister) nameResources(ctx context.Context, view uma.View, server uma.Key, rows []*shareRow) error {
	var ids []uma.ResourceID
	for _, r := range rows {
		ids = append(ids, r.Resource)
	}
	slices.Sort(ids)
	found, err := view.ResourcesByID(ctx, server, slices.Compact(ids))
	if err != nil {
		return err
	}
	names := make(map[uma.ResourceID]string, len(found))
	for _, r := range found {
		names[r.ID] = r.Name
	}
	for _, r := range rows {
		r.ResourceName = names[r.Resource]
	}
	return nil
}
