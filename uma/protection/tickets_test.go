package protection

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// What a ticket is made of. Claims count only from the resource server itself.
func TestRequestTicket(t *testing.T) {
	t.Parallel()
	type perms = []TicketPermission
	claims := map[string][]string{"amount": {"50"}}
	tests := []struct {
		name    string
		caller  string
		perms   perms
		want    []uma.Permission
		claims  map[string][]string
		refused string
	}{
		{name: "by id", perms: perms{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}, want: []uma.Permission{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}},
		{name: "by name", perms: perms{{Resource: "Board", Scopes: umatest.ScopesOf("view view")}}, want: []uma.Permission{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}},
		{name: "no scopes", perms: perms{{Resource: "r-board"}}, want: []uma.Permission{{Resource: "r-board"}}},
		{name: "a resource without scopes", perms: perms{{Resource: "Bare"}}, want: []uma.Permission{{Resource: "r-bare", Whole: true}}},
		{name: "scopes alone", perms: perms{{Scopes: umatest.ScopesOf("download")}}, want: []uma.Permission{{Scopes: umatest.ScopesOf("download")}}},
		{name: "two", perms: perms{{Resource: "r-board"}, {Resource: "r-album"}}, want: []uma.Permission{{Resource: "r-board"}, {Resource: "r-album"}}},
		{name: "another's by name", perms: perms{{Resource: "Album"}}, refused: `invalid_resource_id: resource_not_registered resource="Album"`},
		{name: "its own by name", caller: "u-alice", perms: perms{{Resource: "Album"}}, want: []uma.Permission{{Resource: "r-album"}}},
		{name: "the resource server's by name", caller: "u-alice", perms: perms{{Resource: "Board"}}, want: []uma.Permission{{Resource: "r-board"}}},
		{name: "claims of the resource server", perms: perms{{Resource: "r-board", Claims: claims}}, want: []uma.Permission{{Resource: "r-board"}}, claims: claims},
		{name: "claims of a user are dropped", caller: "u-alice", perms: perms{{Resource: "r-board", Claims: claims}}, want: []uma.Permission{{Resource: "r-board"}}},
		{
			name: "a later entry's claims win", perms: perms{{Resource: "r-board", Claims: claims}, {Resource: "r-bare", Claims: map[string][]string{"amount": {"7"}, "b": {"c"}}}},
			want: []uma.Permission{{Resource: "r-board"}, {Resource: "r-bare", Whole: true}}, claims: map[string][]string{"amount": {"7"}, "b": {"c"}},
		},
		{name: "nothing", refused: "invalid_permission_request"},
		{name: "too much", perms: make(perms, 201), refused: `invalid_request: too_many_permissions setting="policy.max_permissions" limit=200`},
		{name: "neither resource nor scopes", perms: perms{{}}, refused: "invalid_resource_id: no_resource_named"},
		{name: "an unknown resource", perms: perms{{Resource: "ghost"}}, refused: `invalid_resource_id: resource_not_registered resource="ghost"`},
		{name: "an unknown one after a known", perms: perms{{Resource: "r-board"}, {Resource: "ghost"}}, refused: `invalid_resource_id: resource_not_registered resource="ghost"`},
		{name: "a scope of another resource", perms: perms{{Resource: "r-board", Scopes: umatest.ScopesOf("view comment")}}, refused: `invalid_scope: scope_not_registered scopes=["comment"]`},
		{name: "a scope of its type", perms: perms{{Resource: "r-album", Scopes: umatest.ScopesOf("view print")}}, want: []uma.Permission{{Resource: "r-album", Scopes: umatest.ScopesOf("view print")}}},
		{name: "a scope of the type of the resource server's own", perms: perms{{Resource: "r-board", Scopes: umatest.ScopesOf("print")}}, refused: `invalid_scope: scope_not_registered scopes=["print"]`},
		{name: "an unknown scope alone", perms: perms{{Scopes: umatest.ScopesOf("download fly")}}, refused: `invalid_scope: scope_not_registered scopes=["fly"]`},
		{name: "the star", perms: perms{{Resource: "r-board", Scopes: umatest.ScopesOf("*")}}, refused: `invalid_scope: scope_not_registered scopes=["*"]`},
		{name: "the star alone", perms: perms{{Scopes: umatest.ScopesOf("*")}}, refused: `invalid_scope: scope_not_registered scopes=["*"]`},
		{name: "the empty scope", perms: perms{{Resource: "r-board", Scopes: []uma.Scope{""}}}, refused: `invalid_scope: scope_not_registered scopes=[""]`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.View.TypeScope = umatest.ScopesOf("print")
			subject := tc.caller
			if subject == "" {
				subject = "uuid-api"
			}
			store := &ticketStore{FakeStore: umatest.FakeStore{W: w.World}}
			w.service.Store = store
			p := &Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: subject, Client: w.API}}
			value, err := w.service.RequestTicket(t.Context(), p, tc.perms)
			if tc.refused != "" {
				if err == nil || err.Error() != tc.refused || value != "" || store.kept != nil {
					t.Errorf("got %q, %v, kept %v, want %s", value, err, store.kept, tc.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			k := store.kept
			if !slices.EqualFunc(k.Permissions, tc.want, func(a, b uma.Permission) bool {
				return a.Resource == b.Resource && a.Whole == b.Whole && slices.Equal(a.Scopes, b.Scopes)
			}) {
				t.Errorf("got %+v, want %+v", k.Permissions, tc.want)
			}
			if !maps.EqualFunc(k.Claims, tc.claims, slices.Equal) {
				t.Errorf("claims: got %v, want %v", k.Claims, tc.claims)
			}
			// The time and 32 random bytes in base64url, of which only the time and the hash are kept (§5.4), for two minutes.
			if len(value) != 51 || !slices.Equal(k.Hash, uma.Digest(value)) || k.Server != 10 || k.Client != "" || k.Subject != "" || k.Round != 1 ||
				!k.Issued.Equal(w.Now) || k.Expires.Sub(w.Now).Seconds() != 120 {
				t.Errorf("got %q and %+v", value, k)
			}
		})
	}
}

// The rules of a face say what a ticket may be for.
func TestTicketsByTheRules(t *testing.T) {
	t.Parallel()
	type perms = []TicketPermission
	view, typeScope := umatest.ScopesOf("view"), umatest.ScopesOf("view print")
	tests := []struct {
		name   string
		rules  Rules
		caller string
		perms  perms
		want   string // resources with their scopes, or the refusal
	}{
		{"a scope of the type", Rules{}, "uuid-api", perms{{Resource: "r-album", Scopes: typeScope}}, "r-album [view print]"},
		{"OwnScopesOnly", Rules{OwnScopesOnly: true}, "uuid-api", perms{{Resource: "r-album", Scopes: typeScope}}, `invalid_scope: resource_lacks_scope resource="r-album" scopes=["print"]`},
		{"OwnScopesOnly, its own", Rules{OwnScopesOnly: true}, "uuid-api", perms{{Resource: "r-album", Scopes: view}}, "r-album [view]"},
		{"two owners", Rules{}, "uuid-api", perms{{Resource: "r-board"}, {Resource: "r-album"}}, "r-board [] r-album []"},
		{"OneOwner", Rules{OneOwner: true}, "uuid-api", perms{{Resource: "r-board"}, {Resource: "r-album"}}, `invalid_resource_id: resource_not_registered resource="r-album"`},
		{"OneOwner, another's", Rules{OneOwner: true}, "u-bob", perms{{Resource: "r-album"}}, `invalid_resource_id: resource_not_registered resource="r-album"`},
		{"OneOwner, a user's own", Rules{OneOwner: true}, "u-alice", perms{{Resource: "r-album"}}, "r-album []"},
		{"another's", Rules{}, "u-bob", perms{{Resource: "r-album"}}, "r-album []"},
		{"LeaveOutUnknownScopes", Rules{LeaveOutUnknownScopes: true}, "uuid-api", perms{{Resource: "r-album", Scopes: umatest.ScopesOf("view fly print")}}, "r-album [view print]"},
		{"LeaveOutUnknownScopes, none left", Rules{LeaveOutUnknownScopes: true}, "uuid-api", perms{{Resource: "r-album", Scopes: umatest.ScopesOf("fly")}, {Scopes: umatest.ScopesOf("fly")}}, ""},
		{"LeaveOutUnknownScopes, none asked", Rules{LeaveOutUnknownScopes: true}, "uuid-api", perms{{Resource: "r-album"}}, "r-album []"},
		{"LeaveOutUnknownScopes, alone", Rules{LeaveOutUnknownScopes: true}, "uuid-api", perms{{Scopes: umatest.ScopesOf("fly download")}}, " [download]"},
		{"by id, a name", Rules{}, "uuid-api", perms{{By: ByID, Resource: "Board"}}, `invalid_resource_id: resource_not_registered resource="Board"`},
		{"by id, nothing", Rules{}, "uuid-api", perms{{By: ByID, Scopes: view}}, "invalid_resource_id: resource_not_registered"},
		{"by name, nothing", Rules{}, "uuid-api", perms{{By: ByName, Scopes: view}}, "invalid_resource_id: resource_name_unknown"},
	}
	for _, tc := range tests {
		w := newWorld(t)
		w.View.TypeScope = umatest.ScopesOf("print")
		store := &ticketStore{FakeStore: umatest.FakeStore{W: w.World}}
		w.service.Store = store
		c := &Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: tc.caller, Client: w.API}, Rules: tc.rules}
		_, err := w.service.RequestTicket(t.Context(), c, tc.perms)
		var got []string
		if err != nil {
			got = []string{err.Error()}
		} else {
			for _, p := range store.kept.Permissions {
				got = append(got, fmt.Sprint(p.Resource, " ", p.Scopes))
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

type ticketStore struct {
	umatest.FakeStore
	kept *uma.Ticket
}

func (s *ticketStore) SaveTicket(_ context.Context, _ uma.Key, t *uma.Ticket) error {
	s.kept = t
	return nil
}
