package adminapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// A search makes a filter of a query. It looks up names; an unknown name is an error,
// because an empty list would look as if nothing had happened.
type search struct {
	*Local
	*DecisionQuery
	realms []*uma.Snapshot
}

// Filter returns the filter for a query.
func (l *Local) Filter(ctx context.Context, q *DecisionQuery) (f uma.DecisionFilter, err error) {
	f = uma.DecisionFilter{Realm: q.Realm, Outcome: q.Outcome, Since: q.Since, Until: q.Until}
	s := &search{Local: l, DecisionQuery: q}
	if err := s.readRealms(ctx); err != nil {
		return f, err
	}
	if f.Subject, err = s.findParty(ctx); err != nil {
		return f, err
	}
	if f.Resource, err = s.findResource(ctx); err != nil {
		return f, err
	}
	if f.Client, err = s.findClient(ctx); err != nil {
		return f, err
	}
	f.Rule, f.Request, f.Revision = q.Rule, q.Request, q.Revision
	for _, m := range []struct {
		param, text, kind string
		f                 uma.DecisionFilter
	}{
		{"rule", q.Rule, "rule", uma.DecisionFilter{Rule: q.Rule}},
		{"request-id", q.Request, "request", uma.DecisionFilter{Request: q.Request}},
		{"revision", q.Revision, "policy revision", uma.DecisionFilter{Revision: q.Revision}},
	} {
		if m.text == "" {
			continue
		}
		switch known, err := s.hasRecord(ctx, m.f); {
		case err != nil:
			return f, err
		case !known:
			return f, admin.Invalid(m.param, "no decision record has the %s %q", m.kind, m.text)
		}
	}
	return f, nil
}

func (s *search) readRealms(ctx context.Context) error {
	names := []string{s.DecisionQuery.Realm}
	if s.DecisionQuery.Realm == "" {
		var err error
		if names, err = s.Store.RealmNames(ctx); err != nil {
			return err
		}
	}
	for _, name := range names {
		snap, err := s.Store.Snapshot(ctx, name, s.Now())
		if err != nil {
			return RealmError(ctx, s.Store, name, err)
		}
		s.realms = append(s.realms, snap)
	}
	return nil
}

// hasRecord reports whether a record matches.
func (s *search) hasRecord(ctx context.Context, f uma.DecisionFilter) (bool, error) {
	f.Realm = s.DecisionQuery.Realm // what other realms have is not told
	found, err := s.lists().FindDecisions(ctx, f, 1)
	return len(found) > 0, err
}

// findParty returns the id of the requesting party that the flags name.
func (s *search) findParty(ctx context.Context) (string, error) {
	name := cmp.Or(s.User, s.Subject)
	if name == "" {
		return "", nil
	}
	var found []string
	var realms []string
	for _, snap := range s.realms {
		id, err := s.userOf(ctx, snap, name)
		if err != nil {
			return "", err
		}
		if id != "" {
			found, realms = append(found, id), append(realms, snap.Realm.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0: // a deleted user can be found by the id
		switch known, err := s.hasRecord(ctx, uma.DecisionFilter{Subject: name}); {
		case err != nil:
			return "", err
		case known:
			return name, nil
		case s.Subject != "":
			return "", admin.Invalid("subject", "no user, service account or decision record has the id %q; use --user for a name", name)
		}
		return "", admin.Invalid("user", "there is no user %q; a deleted user is found by the id", name)
	}
	return "", admin.Invalid("user", "the realms %s each have a user %q: select one with --realm", strings.Join(realms, ", "), name)
}

// userOf returns the id of a user or of a client's service account, "" if there is none.
func (s *search) userOf(ctx context.Context, snap *uma.Snapshot, name string) (_ string, err error) {
	if s.Subject != "" && snap.ByUUID[name] != nil {
		return name, nil
	}
	view, err := s.Store.View(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	u, err := view.User(ctx, snap.Realm.Key, name)
	if errors.Is(err, uma.ErrNotFound) && s.User != "" {
		u, err = view.UserByName(ctx, snap.Realm.Key, name)
	}
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	}
	return u.ID, nil
}

// findResource returns the id of the resource that the flag names, by name or by id. The id
// may be that of a deleted resource with records.
func (s *search) findResource(ctx context.Context) (uma.ResourceID, error) {
	name := s.Resource
	if name == "" {
		return "", nil
	}
	known, err := s.hasRecord(ctx, uma.DecisionFilter{Resource: uma.ResourceID(name)})
	if err != nil || known {
		return uma.ResourceID(name), err
	}
	var found []uma.ResourceID
	var shown []string
	for _, f := range []uma.ResourceFilter{{ID: uma.ResourceID(name)}, {Name: name, ExactName: true}} {
		if len(found) > 0 {
			break // the id is also a name
		}
		for _, snap := range s.realms {
			for _, server := range snap.Clients {
				if !server.ResourceServer {
					continue
				}
				err := s.Store.FindResources(ctx, server.Key, f, 0, manyResources, func(r *uma.Resource) error {
					found = append(found, r.ID)
					shown = append(shown, fmt.Sprintf("%s (at %s, realm %s)", r.ID, server.ID, snap.Realm.Name))
					return nil
				})
				if err != nil {
					return "", err
				}
			}
		}
	}
	switch len(found) {
	case 0:
		return "", admin.Invalid("resource", "there is no resource %q; a deleted resource is found by the id", name)
	case 1:
		return found[0], nil
	}
	return "", admin.Invalid("resource", "several resources have the name %q: give the id of one\n  %s", name, strings.Join(shown, "\n  "))
}

// manyResources is how many resources of the same name an error lists.
const manyResources = 10

// findClient returns the client_id that the flag names. It may be that of a deleted client
// with records.
func (s *search) findClient(ctx context.Context) (string, error) {
	id := s.Client
	if id == "" {
		return "", nil
	}
	for _, snap := range s.realms {
		if snap.Clients[id] != nil {
			return id, nil
		}
	}
	known, err := s.hasRecord(ctx, uma.DecisionFilter{Client: id})
	if err == nil && !known {
		err = admin.Invalid("client", "no client and no decision record has the client_id %q", id)
	}
	return id, err
}
