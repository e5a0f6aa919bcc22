package umatest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
	"example.com/umpire/uma/uripath"
)

// A View reads from memory. It counts how often it is open and fails the
// read whose turn it is.
type View struct {
	Shared int // rows that SharedWith returned
	uma.View
	w         *World
	Users     map[string]*uma.User
	Linked    map[Linked]string // ids of users
	Invited   []uma.Invitation  // by id
	Sessions  map[string]*uma.Session
	Resources []*uma.Resource
	Scopes    []uma.Scope
	TypeScope []uma.Scope // that every type lends
	Shares    []uma.Share
	Requests  []uma.Request
	Tickets   map[string]*uma.Ticket
	Spent     map[string]*uma.SpentTicket // by hash
	Rpts      map[string]*uma.RPT
	Refresh   map[string]*uma.RefreshToken
	Revoked   string

	Open     int
	Reads    []string
	At       uma.Epoch
	Fail     int // the read that fails, from 1; 0 for none
	CloseErr error
}

var ErrRead = errors.New("the disk is gone")

func (v *View) read(name string) error {
	if v.Open != 1 {
		v.w.Errorf("%s is read while %d views are open", name, v.Open)
	}
	v.Reads = append(v.Reads, name)
	if len(v.Reads) == v.Fail {
		return ErrRead
	}
	return nil
}

// Expect implements uma.View: nothing is far away.
func (v *View) Expect(context.Context, *uma.Expected) error { return nil }

func (v *View) Close() error {
	v.w.step("close")
	v.Open--
	return v.CloseErr
}

func (v *View) Epoch() uma.Epoch { return v.At }

// row is what a look-up by key answers.
func row[T any](err error, found *T) (*T, error) {
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, uma.ErrNotFound
	}
	return found, nil
}

func (v *View) User(_ context.Context, _ uma.Key, id string) (*uma.User, error) {
	return row(v.read("User"), v.Users[id])
}

func (v *View) UserByName(_ context.Context, _ uma.Key, name string) (*uma.User, error) {
	var found *uma.User
	for _, u := range v.Users {
		if strings.EqualFold(u.Username, name) {
			found = u
		}
	}
	return row(v.read("UserByName"), found)
}

func (v *View) Usernames(_ context.Context, _ uma.Key, ids []string) (map[string]string, error) {
	names := map[string]string{}
	for _, id := range ids {
		if u := v.Users[id]; u != nil {
			names[id] = u.Username
		}
	}
	return names, v.read("Usernames")
}

func (v *View) Passwords(_ context.Context, _ uma.Key, names []string) (map[string]string, error) {
	found := map[string]string{}
	for _, u := range v.Users {
		if slices.Contains(names, u.Username) {
			found[u.Username] = u.Password
		}
	}
	return found, v.read("Passwords")
}

func (v *View) find(server uma.Key, is func(*uma.Resource) bool) []*uma.Resource {
	var out []*uma.Resource
	for _, r := range v.Resources {
		if r.Server == server && is(r) {
			out = append(out, r)
		}
	}
	return out
}

func (v *View) Resource(_ context.Context, server uma.Key, id uma.ResourceID) (*uma.Resource, error) {
	var found *uma.Resource
	for _, r := range v.find(server, func(r *uma.Resource) bool { return r.ID == id }) {
		found = r
	}
	return row(v.read("Resource"), found)
}

func (v *View) ResourcesByID(_ context.Context, server uma.Key, ids []uma.ResourceID) ([]*uma.Resource, error) {
	return v.find(server, func(r *uma.Resource) bool { return slices.Contains(ids, r.ID) }), v.read("ResourcesByID")
}

func (v *View) ResourceByName(_ context.Context, server uma.Key, owner, name string) (*uma.Resource, error) {
	var found *uma.Resource
	for _, r := range v.find(server, func(r *uma.Resource) bool { return r.Owner == owner && r.Name == name }) {
		found = r
	}
	return row(v.read("ResourceByName"), found)
}

func (v *View) Select(_ context.Context, server uma.Key, q uma.Selection, limit int) ([]*uma.Resource, error) {
	rows := v.find(server, func(r *uma.Resource) bool {
		registered := uma.ForOwner
		switch {
		case r.Owner == "uuid-api":
			registered = uma.OwnOfServer
		case r.Origin == uma.FromOwner:
			registered = uma.ByOwner
		}
		switch {
		case q.Registered != 0 && q.Registered != registered:
			return false
		case q.URI != "":
			return slices.ContainsFunc(r.URIs, func(uri string) bool { return uripath.Fold(uri) == q.URI })
		case q.AnyScope != nil:
			return len(sets.Within(q.AnyScope, r.Scopes)) > 0
		case q.NotOwner != "":
			return r.Type == q.Type && r.Owner != q.NotOwner
		case q.Owner != "":
			return r.Owner == q.Owner && (q.Type == "" || q.Type == r.Type)
		}
		return r.Type == q.Type
	})
	return rows[:min(limit, len(rows))], v.read("Select")
}

func (v *View) KnownScopes(_ context.Context, _ uma.Key, names []uma.Scope) ([]uma.ScopeRow, error) {
	var rows []uma.ScopeRow
	for _, s := range sets.Within(v.Scopes, names) {
		rows = append(rows, uma.ScopeRow{ID: "scope-" + string(s), Name: s})
	}
	return rows, v.read("KnownScopes")
}

func (v *View) Scope(_ context.Context, _ uma.Key, name string) (uma.ScopeRow, error) {
	if err := v.read("Scope"); err != nil {
		return uma.ScopeRow{}, err
	}
	if !slices.Contains(v.Scopes, uma.Scope(name)) {
		return uma.ScopeRow{}, uma.ErrNotFound
	}
	return uma.ScopeRow{ID: "scope-" + name, Name: uma.Scope(name)}, nil
}

func (v *View) TypeScopes(_ context.Context, _ uma.Key, _ string, names []uma.Scope) ([]uma.Scope, error) {
	return sets.Within(names, v.TypeScope), v.read("TypeScopes")
}

func (v *View) URIShapes(_ context.Context, server uma.Key) ([]string, error) {
	var out []string
	for _, r := range v.find(server, func(*uma.Resource) bool { return true }) {
		for _, uri := range r.URIs {
			if _, shape := uripath.Key(uri); shape != "" && !slices.Contains(out, shape) {
				out = append(out, shape)
			}
		}
	}
	return out, v.read("URIShapes")
}

func (v *View) URICandidates(_ context.Context, server uma.Key, keys []string) ([]uma.URICandidate, error) {
	var out []uma.URICandidate
	for _, r := range v.find(server, func(*uma.Resource) bool { return true }) {
		for _, uri := range r.URIs {
			if key, _ := uripath.Key(uri); slices.Contains(keys, key) {
				out = append(out, uma.URICandidate{URI: uri, Resource: r.ID})
			}
		}
	}
	return out, v.read("URICandidates")
}

func (v *View) Between(context.Context, *uma.Party, []uma.Key, time.Time) ([]uma.Share, []uma.Request, error) {
	return slices.Clone(v.Shares), nil, v.read("Between")
}

func (v *View) SharedWith(_ context.Context, _ uma.Key, requester, name string, limit int) ([]uma.Request, error) {
	var out []uma.Request
	for _, q := range v.Requests {
		if len(out) < limit && q.State == uma.Granted && q.Requester == requester && (name == "" || q.ResourceName == name) {
			out = append(out, q)
		}
	}
	v.Shared += len(out)
	return out, v.read("SharedWith")
}

func (v *View) Request(_ context.Context, _ uma.Key, id string) (*uma.Request, error) {
	var found *uma.Request
	for i := range v.Requests {
		if v.Requests[i].ID == id {
			found = &v.Requests[i]
		}
	}
	return row(v.read("Request"), found)
}

func (v *View) FindRequests(context.Context, uma.Key, uma.RequestFilter, int, int) ([]uma.Request, error) {
	return v.Requests, v.read("FindRequests")
}

func (v *View) CountRequests(context.Context, uma.Key, uma.RequestFilter) (int, error) {
	return len(v.Requests), v.read("CountRequests")
}

func (v *View) Ticket(_ context.Context, _ uma.Key, hash []byte, now time.Time) (*uma.Ticket, error) {
	t := v.Tickets[string(hash)]
	if t != nil && (!now.Before(t.Expires) || !bytes.Equal(t.Hash, hash)) {
		t = nil
	}
	return row(v.read("Ticket"), t)
}

func (v *View) SpentTicket(_ context.Context, _ uma.Key, hash []byte) (*uma.SpentTicket, error) {
	return row(v.read("SpentTicket"), v.Spent[string(hash)])
}

func (v *View) TokenState(_ context.Context, _ uma.Key, jti, session string) (*uma.TokenState, error) {
	state := &uma.TokenState{Revoked: jti == v.Revoked}
	if err := v.read("TokenState"); err != nil || session == "" {
		return state, err
	}
	s, err := row(nil, v.Sessions[session])
	if err != nil {
		return nil, err
	}
	state.Session, state.User = s, v.Users[s.User]
	return state, nil
}

func (v *View) RPT(_ context.Context, _ uma.Key, jti string) (*uma.RPT, error) {
	return row(v.read("RPT"), v.Rpts[jti])
}

func (v *View) Validity(_ context.Context, server uma.Key, _ []uma.Grant) (*uma.Validity, error) {
	n := &uma.Validity{Resources: map[uma.ResourceID]*uma.Resource{}, Shares: map[string]*uma.Share{}, Scopes: map[uma.Scope]bool{}}
	for _, r := range v.find(server, func(*uma.Resource) bool { return true }) {
		n.Resources[r.ID] = r
	}
	for i := range v.Shares {
		n.Shares[v.Shares[i].ID] = &v.Shares[i]
	}
	for _, s := range v.Scopes {
		n.Scopes[s] = true
	}
	return n, v.read("Validity")
}

func (v *View) RefreshToken(_ context.Context, _ uma.Key, hash []byte, _ time.Time) (*uma.RefreshToken, bool, error) {
	t, err := row(v.read("RefreshToken"), v.Refresh[string(hash)])
	return t, false, err
}
