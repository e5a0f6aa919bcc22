package protection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// `*`, the empty string and names with # or a comma are no scope names (design §5).
func TestCheckScope(t *testing.T) {
	t.Parallel()
	for _, good := range []uma.Scope{
		"view", "http://photoz.example.com/dev/scopes/view", "urn:x:y", "Scope A", "**", "a*", "ünïcödé", "?", "a;b", "a=b",
		uma.Scope(strings.Repeat("a", 255)),
	} {
		if fault := uma.CheckScope(good); fault.Kind != "" {
			t.Errorf("%q: got %v", good, fault)
		}
	}
	for bad, want := range map[uma.Scope]uma.FaultKind{
		"":                                  uma.NoScopeName,
		"*":                                 uma.NoScopeName,
		"#":                                 uma.ScopeHasSeparator,
		"a#b":                               uma.ScopeHasSeparator,
		"a,b":                               uma.ScopeHasSeparator,
		"https://h/p#view":                  uma.ScopeHasSeparator,
		uma.Scope(strings.Repeat("a", 256)): uma.ScopeTooLong,
		uma.Scope(strings.Repeat("é", 128)): uma.ScopeTooLong,
		"a\nb":                              uma.ScopeNotText,
		"a\x00":                             uma.ScopeNotText,
		"a\x7f":                             uma.ScopeNotText,
		"a\xff":                             uma.ScopeNotText,
	} {
		if fault := uma.CheckScope(bad); fault.Kind != want {
			t.Errorf("%q: got %v, want %s", bad, fault, want)
		}
	}
}

func TestResourceInputCheck(t *testing.T) {
	t.Parallel()
	many := func(n int) []string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf("/%d", i))
		}
		return out
	}
	attributes := func(n int) map[string][]string {
		out := map[string][]string{}
		for _, name := range many(n) {
			out[name] = []string{"v"}
		}
		return out
	}
	values := func(n, bytes int) []string { return slices.Repeat([]string{strings.Repeat("x", bytes)}, n) }
	var scopes []uma.Scope
	for _, s := range many(201) {
		scopes = append(scopes, uma.Scope(s))
	}
	tests := []struct {
		name string
		in   ResourceInput
		want string // "" for none
	}{
		{"a name is enough", ResourceInput{Name: "Album"}, ""},
		{"everything", ResourceInput{
			Name: "Album", DisplayName: "My album", Type: "http://photoz/album", IconURI: "https://icons.example/a.png",
			URIs: []string{"/album/1", "/album/{id}", "/album/*"}, Scopes: umatest.ScopesOf("view edit"), OwnerManaged: true, Attributes: map[string][]string{"k": {"v"}},
		}, ""},
		{"as much as there may be", ResourceInput{Name: strings.Repeat("n", 255), URIs: many(200), Scopes: scopes[:200], Attributes: attributes(200)}, ""},
		{"no name", ResourceInput{}, `missing parameter="name"`},
		{"a blank name", ResourceInput{Name: " \t\n"}, `missing parameter="name"`},
		{"a long name", ResourceInput{Name: strings.Repeat("n", 256)}, `too_long parameter="name" limit=255`},
		{"a name that is no text", ResourceInput{Name: "a\x00b"}, `not_text parameter="name"`},
		{"a long type", ResourceInput{Name: "a", Type: strings.Repeat("t", 256)}, `too_long parameter="type" limit=255`},
		{"a display name that is no text", ResourceInput{Name: "a", DisplayName: "\xff"}, `not_text parameter="displayName"`},
		{"too many uris", ResourceInput{Name: "a", URIs: many(201)}, `too_many_members parameter="uris" limit=200`},
		{"too many scopes", ResourceInput{Name: "a", Scopes: scopes}, `too_many_members parameter="resource_scopes" limit=200`},
		{"too many attributes", ResourceInput{Name: "a", Attributes: attributes(201)}, `too_many_members parameter="attributes" limit=200`},
		{"attributes of all the bytes that there may be", ResourceInput{Name: "a", Attributes: map[string][]string{"a": values(4, 4000), "b": values(1, uma.MaxAttributes-16004)}, Texts: map[string]string{"t": "x"}}, ""},
		{"attributes of a byte more", ResourceInput{Name: "a", Attributes: map[string][]string{"a": values(4, 4000), "b": values(1, uma.MaxAttributes-16004)}, Texts: map[string]string{"t": "xy"}}, `attributes_too_large limit=16384`},
		{"descriptions that are too long", ResourceInput{Name: "a", Texts: map[string]string{"a": values(1, 4000)[0], "b": values(1, 4000)[0], "c": values(1, 4000)[0], "d": values(1, 4000)[0], "e": values(1, 4000)[0]}}, `attributes_too_large limit=16384`},
		{"a uri that is none", ResourceInput{Name: "a", URIs: []string{"/ok", "/a/{"}}, `uri_invalid value="/a/{"`},
		{"an empty uri", ResourceInput{Name: "a", URIs: []string{""}}, `uri_invalid`},
		{"the star as a scope", ResourceInput{Name: "a", Scopes: umatest.ScopesOf("view *")}, `no_scope_name scopes=["*"]`},
		{"an empty scope", ResourceInput{Name: "a", Scopes: []uma.Scope{""}}, `no_scope_name scopes=[""]`},
		{"a scope with a comma", ResourceInput{Name: "a", Scopes: []uma.Scope{"a,b"}}, `scope_has_separator scopes=["a,b"]`},
		{"an icon without a scheme", ResourceInput{Name: "a", IconURI: "/icon.png"}, `not_a_web_url parameter="icon_uri"`},
		{"an icon without a host", ResourceInput{Name: "a", IconURI: "https:///icon.png"}, `not_a_web_url parameter="icon_uri"`},
		{"an icon that is a script", ResourceInput{Name: "a", IconURI: "javascript:alert(1)"}, `not_a_web_url parameter="icon_uri"`},
		{"an icon that is data", ResourceInput{Name: "a", IconURI: "data:image/png;base64,AAAA"}, `not_a_web_url parameter="icon_uri"`},
		{"an icon that is no URL", ResourceInput{Name: "a", IconURI: "http://a\x00b"}, `not_a_web_url parameter="icon_uri"`},
	}
	server := &Caller{Server: &uma.Client{UUID: "uuid-api"}, Identity: &party.Identity{Subject: "uuid-api"}}
	for _, tc := range tests {
		err := server.check(&tc.in)
		reason := uma.InvalidRequest
		switch {
		case tc.want == "":
			reason = ""
		case strings.Contains(tc.want, "scope_"):
			reason = uma.InvalidScope
		}
		if got := faultOf(err).String(); got != tc.want || umatest.Reason(err) != reason {
			t.Errorf("%s: got %v, want %s %s", tc.name, err, reason, tc.want)
		}
	}
}

func TestNewResource(t *testing.T) {
	t.Parallel()
	in := ResourceInput{Name: "Album", Owner: "somebody", Scopes: umatest.ScopesOf("view edit view"), URIs: []string{"/a"}}
	c := &Caller{Server: &uma.Client{Key: 10, UUID: "uuid-api"}, Identity: &party.Identity{Subject: "uuid-api"}}
	r := c.newResource(&in, "r-1", "u-alice")
	if r.Server != 10 || r.Owner != "u-alice" || r.ID != "r-1" || string(r.Origin) != "api" || !slices.Equal(r.Scopes, umatest.ScopesOf("view edit")) {
		t.Errorf("got %+v", r)
	}
	if r := (&Caller{Server: c.Server, Identity: &party.Identity{Subject: "u-bob"}}).newResource(&in, "r-1", "u-bob"); r.Origin != uma.FromOwner {
		t.Errorf("by a user: got origin %q, want owner", r.Origin)
	}
	if r.Attributes != nil {
		t.Errorf("attributes that were not given: got %v, want nil, so that they stay", r.Attributes)
	}
}

// The rules of a face say what a description leaves out.
func TestResourcesByTheRules(t *testing.T) {
	t.Parallel()
	server := &uma.Client{UUID: "uuid-api"}
	caller := func(rules Rules) *Caller {
		return &Caller{Server: server, Identity: &party.Identity{Subject: "uuid-api"}, Rules: rules}
	}
	old := &uma.Resource{ID: "r-1", Owner: "u-alice", Name: "Album", DisplayName: "My album", URIs: []string{"/a"}, OwnerManaged: true}
	nameless := &ResourceInput{}
	if err := caller(Rules{}).check(nameless); faultOf(err).Kind != uma.Missing {
		t.Errorf("without a name: got %v", err)
	}
	c := caller(Rules{Nameless: true})
	if err := c.check(nameless); err != nil || c.newResource(nameless, "r-1", "u-alice").Name != "r-1" || c.replacedResource(nameless, old).Name != "r-1" {
		t.Errorf("Nameless: got %v, want the id as the name", err)
	}
	if err := c.check(&ResourceInput{Name: " "}); faultOf(err).Kind != uma.Missing {
		t.Errorf("Nameless, a blank name: got %v", err)
	}
	for owner, want := range map[string]bool{"u-alice": true, "uuid-api": false} {
		if got := caller(Rules{OwnersManage: true}).newResource(&ResourceInput{OwnerManaged: !want}, "r-1", owner).OwnerManaged; got != want {
			t.Errorf("OwnersManage, %s: got %t", owner, got)
		}
		if got := caller(Rules{}).newResource(&ResourceInput{OwnerManaged: !want}, "r-1", owner).OwnerManaged; got == want {
			t.Errorf("%s: got %t, want what the description says", owner, got)
		}
	}
	if r := caller(Rules{KeepUndescribed: true}).replacedResource(nameless, old); !r.OwnerManaged || r.DisplayName != "My album" || len(r.URIs) != 1 {
		t.Errorf("KeepUndescribed: got %+v", r)
	}
	if r := caller(Rules{}).replacedResource(nameless, old); r.OwnerManaged || r.DisplayName != "" || len(r.URIs) != 0 {
		t.Errorf("without the rule: got %+v", r)
	}
}

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
			// 32 random bytes in base64url, of which only the hash is kept (§5.4), for two minutes.
			if len(value) != 43 || !slices.Equal(k.Hash, uma.Digest(value)) || k.Server != 10 || k.Client != "" || k.Subject != "" || k.Round != 1 ||
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
