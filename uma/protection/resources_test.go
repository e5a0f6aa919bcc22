package protection

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// Who becomes the owner of what is registered.
func TestCreateResourceOwner(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, caller, owner string
		want, shown         string // subject id and name
	}{
		{"the resource server, nobody named", "uuid-api", "", "uuid-api", "photoz-api"},
		{"the resource server names itself", "uuid-api", "photoz-api", "uuid-api", "photoz-api"},
		{"the resource server names itself by id", "uuid-api", "uuid-api", "uuid-api", "photoz-api"},
		{"the resource server names a user", "uuid-api", "alice", "u-alice", "alice"},
		{"the resource server names a user by id", "uuid-api", "u-alice", "u-alice", "alice"},
		{"the resource server names nobody there is", "uuid-api", "ghost", "", ""},
		{"the resource server names another", "uuid-api", "other-api", "", ""},
		{"a user, nobody named", "u-bob", "", "u-bob", "bob"},
		{"a user names another", "u-bob", "alice", "u-bob", "bob"},
		{"a user names the resource server", "u-bob", "photoz-api", "u-bob", "bob"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := &Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: tc.caller, Client: w.API}}
			var kept *uma.Resource
			w.service.Store = registrar{umatest.FakeStore{W: w.World}, func(r *uma.Resource) error { kept = r; return nil }}
			got, err := w.service.CreateResource(t.Context(), p, &ResourceInput{Name: "New", Owner: tc.owner})
			if tc.want == "" {
				if umatest.Reason(err) != uma.InvalidRequest || kept != nil {
					t.Errorf("got %v and kept %v, want invalid_request and nothing kept", err, kept)
				}
				return
			}
			if err != nil || kept == nil || kept.Owner != tc.want || got.OwnerName != tc.shown {
				t.Errorf("got %+v, %v, want owner %s", got, err, tc.want)
			}
		})
	}
}

// A party of a trusted issuer becomes an owner by the id that the issuer has for it. One whose
// identity was linked to a local user does not, also if it is linked just now.
func TestCreateResourceOwnerFromElsewhere(t *testing.T) {
	t.Parallel()
	const corp = "https://corp.example"
	for name, tc := range map[string]struct {
		issuer, subject string
		caller          string
		admit           error
		want            string        // subject id
		fault           uma.FaultKind // if it is refused
		admitted        bool
	}{
		"has a row":                   {corp, "known", "uuid-api", nil, "u-party", "", false},
		"is new":                      {corp, "new", "uuid-api", nil, "id-1", "", true},
		"linked to a local user":      {corp, "bobs", "uuid-api", nil, "", uma.OwnerLinked, false},
		"linked meanwhile":            {corp, "new", "uuid-api", uma.ErrConflict, "", uma.OwnerLinked, false},
		"issuer is unknown":           {corp + "/", "known", "uuid-api", nil, "", uma.OwnerIssuerUnknown, false},
		"issuer is removed meanwhile": {corp, "new", "uuid-api", uma.ErrNotFound, "", uma.OwnerIssuerUnknown, false},
		"no text":                     {corp, "a\nb", "uuid-api", nil, "", uma.NotText, false},
		"named by a user":             {corp, "new", "u-bob", nil, "u-bob", "", false},
	} {
		w := newWorld(t)
		w.Snap.Realm.Issuers = []uma.TrustedIssuer{{Issuer: corp, Alias: "corp"}}
		w.View.Users["u-party"] = &uma.User{ID: "u-party", Username: "corp/known", Identity: &uma.Identity{Issuer: corp, Alias: "corp", Subject: "known"}}
		w.View.Linked = map[umatest.Linked]string{{Issuer: corp, Subject: "bobs"}: "u-bob"}
		var kept *uma.Resource
		store := &admitter{registrar{umatest.FakeStore{W: w.World}, func(r *uma.Resource) error { kept = r; return nil }}, tc.admit, nil}
		w.service.Store = store
		c := &Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: tc.caller, Client: w.API}}
		got, err := w.service.CreateResource(t.Context(), c, &ResourceInput{Name: "New", OwnerID: uma.SubjectIDOf(tc.issuer, tc.subject)})
		switch {
		case tc.fault != "" && (faultOf(err).Kind != tc.fault || kept != nil):
			t.Errorf("%s: got %v and kept %v, want %s and nothing kept", name, err, kept, tc.fault)
		case tc.fault == "" && (err != nil || kept == nil || kept.Owner != tc.want || got.OwnerName == ""):
			t.Errorf("%s: got %+v, %v, want owner %s", name, got, err, tc.want)
		case tc.admitted != (store.last != nil && tc.admit == nil):
			t.Errorf("%s: got admission %+v", name, store.last)
		case tc.admitted && (store.last.Identity != uma.Identity{Issuer: corp, Alias: "corp", Subject: tc.subject} || store.last.Email != ""):
			t.Errorf("%s: got admission %+v", name, store.last)
		}
	}
}

// An admitter is a registrar that keeps the admission it was given.
type admitter struct {
	registrar
	err  error
	last *uma.Admission
}

func (s *admitter) AdmitParty(ctx context.Context, realm uma.Key, a *uma.Admission) (*uma.User, error) {
	if s.last = a; s.err != nil {
		return nil, s.err
	}
	return s.registrar.AdmitParty(ctx, realm, a)
}

// A registrar is a store that takes resources.
type registrar struct {
	umatest.FakeStore
	create func(*uma.Resource) error
}

func (r registrar) CreateResource(_ context.Context, res *uma.Resource, _ func() string) error {
	return r.create(res)
}

func (r registrar) ReplaceResource(_ context.Context, res *uma.Resource, _ func() string) error {
	return r.create(res)
}

func (r registrar) DeleteResource(context.Context, uma.Key, uma.ResourceID) error {
	return r.create(nil)
}

// A failing store is told in the words of the protocol where it has some, and
// else not at all.
func TestResourceErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk full")
	calls := map[string]func(*Service, context.Context, *Caller) error{
		"create": func(a *Service, ctx context.Context, p *Caller) error {
			_, err := a.CreateResource(ctx, p, &ResourceInput{Name: "New"})
			return err
		},
		"replace": func(a *Service, ctx context.Context, p *Caller) error {
			return a.ReplaceResource(ctx, p, "r-board", &ResourceInput{Name: "New"})
		},
		"delete": func(a *Service, ctx context.Context, p *Caller) error {
			return a.DeleteResource(ctx, p, "r-board")
		},
	}
	tests := []struct {
		call  string
		store error
		want  uma.Reason // "" for this server's own trouble
	}{
		{"create", uma.ErrConflict, uma.Conflict},
		{"create", uma.ErrBusy, uma.Busy},
		{"create", broken, ""},
		{"replace", uma.ErrConflict, uma.Conflict},
		{"replace", uma.ErrNotFound, uma.NotFound},
		{"replace", uma.ErrBusy, uma.Busy},
		{"replace", broken, ""},
		{"delete", uma.ErrNotFound, uma.NotFound},
		{"delete", uma.ErrBusy, uma.Busy},
		{"delete", broken, ""},
	}
	for _, tc := range tests {
		w := newWorld(t)
		w.service.Store = registrar{umatest.FakeStore{W: w.World}, func(*uma.Resource) error { return fmt.Errorf("write: %w", tc.store) }}
		p := &Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: "uuid-api", Client: w.API}}
		err := calls[tc.call](w.service, t.Context(), p)
		if got := umatest.Reason(err); !errors.Is(err, tc.store) || got != tc.want {
			t.Errorf("%s, %v: got %v, want %q", tc.call, tc.store, err, tc.want)
		}
	}
}

// The resource server manages all of its resources, a user those it owns.
func TestReadResource(t *testing.T) {
	t.Parallel()
	tests := []struct {
		caller, id string
		want       uma.Reason
	}{
		{"uuid-api", "r-board", ""},
		{"uuid-api", "r-album", ""},
		{"uuid-api", "r-gone", uma.NotFound},
		{"uuid-api", "", uma.NotFound},
		{"u-alice", "r-album", ""},
		{"u-alice", "r-board", uma.Forbidden},
		{"u-bob", "r-album", uma.Forbidden},
		{"u-bob", "r-gone", uma.NotFound},
	}
	for _, tc := range tests {
		w := newWorld(t)
		p := &Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: tc.caller, Client: w.API}}
		if _, err := w.service.ReadResource(t.Context(), p, tc.id); umatest.Reason(err) != tc.want {
			t.Errorf("%s reads %q: got %v, want %q", tc.caller, tc.id, err, tc.want)
		}
		other := &Caller{Snap: w.Snap, Server: w.Other, Identity: &party.Identity{Subject: "uuid-other", Client: w.Other}}
		if _, err := w.service.ReadResource(t.Context(), other, tc.id); umatest.Reason(err) != uma.NotFound {
			t.Errorf("another resource server reads %q: got %v, want not_found", tc.id, err)
		}
	}
}
