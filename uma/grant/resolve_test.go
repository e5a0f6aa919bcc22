package grant

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// wants writes down what is to be decided, a permission each:
//
//	r-board=view,post        requested by name, id or URI, or by the ticket
//	r-board~view             found by a search
//	r-board=view+post        post is carried by an RPT, and not requested
//	+r-board=view            carried only
//	r-bare=                  a resource without scopes
//	=download                a scope without a resource
//	r-album=view,print(print) print is borrowed from the type
func wants(list []*permission) string {
	join := func(scopes []uma.Scope) string {
		var names []string
		for _, s := range scopes {
			names = append(names, string(s))
		}
		return strings.Join(names, ",")
	}
	var out []string
	for _, w := range list {
		s := ""
		if !w.requested {
			s = "+"
		}
		if w.resource != nil {
			s += string(w.resource.ID)
		}
		if w.named || !w.requested {
			s += "="
		} else {
			s += "~"
		}
		asked := w.asked
		if !w.requested {
			asked = w.scopes
		}
		s += join(asked)
		if extra := slices.DeleteFunc(slices.Clone(w.scopes), func(s uma.Scope) bool { return slices.Contains(asked, s) }); len(extra) > 0 {
			s += "+" + join(extra)
		}
		if len(w.inherited) > 0 {
			s += "(" + join(w.inherited) + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// asked reads `permission` parameters the way the server does, without its care.
func asked(permissions string) []AskedPermission {
	var out []AskedPermission
	for _, p := range strings.Fields(permissions) {
		resource, scopes, _ := strings.Cut(p, "#")
		out = append(out, AskedPermission{Resource: resource, Scopes: umatest.ScopesOf(strings.ReplaceAll(scopes, ",", " "))})
	}
	return out
}

// Each resolution rule of Keycloak (reference §1.6) and of design §4.
func TestResolve(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		subject string // u-bob unless said
		ask     string
		ticket  []uma.Permission
		carried []uma.GrantedPermission
		edit    func(*world, *Request)
		want    string
		refused string
	}{
		// By id and by name.
		{name: "by id, scopes", ask: "r-board#view", want: "r-board=view"},
		{name: "by id, no scopes is all it has", ask: "r-board", want: "r-board=view,post"},
		{name: "by id, another's", ask: "r-album#view", want: "r-album=view"},
		{name: "by name, the resource server's", ask: "Board", want: "r-board=view,post"},
		{name: "by name, another's is not found", ask: "Album", refused: "invalid_resource: resource_unknown Album"},
		{name: "by name, one's own", subject: "u-alice", ask: "Album", want: "r-album=view,comment"},
		{name: "a resource without scopes", ask: "Bare", want: "r-bare="},
		{name: "in the order of the request", ask: "r-bare r-board#view", want: "r-bare= r-board=view"},
		{name: "the same twice", ask: "r-board#view r-board#post", want: "r-board=view,post"},
		{name: "the same by name and by id", ask: "Board#post r-board#view", want: "r-board=post,view"},
		{name: "an unknown one", ask: "ghost", refused: "invalid_resource: resource_unknown ghost"},
		{name: "an unknown one after a known", ask: "r-board ghost", want: "r-board=view,post"},
		{name: "an unknown one before a known", ask: "ghost r-board", refused: "invalid_resource: resource_unknown ghost"},
		{name: "an unknown one, asked by the resource server", subject: "uuid-api", ask: "ghost", want: ""},
		{
			name: "by name: the resource server's, alone", ask: "Album", want: "r-album2=view,post",
			edit: func(w *world, _ *Request) {
				w.View.Requests = []uma.Request{{ResourceID: "r-album", ResourceName: "Album", Requester: "u-bob", Scope: "view", State: uma.Granted}}
				w.View.Resources = append(w.View.Resources, &uma.Resource{Key: 104, ID: "r-album2", Server: 10, Owner: "uuid-api", Name: "Album", Scopes: umatest.ScopesOf("view post")})
			},
		},
		{
			name: "by name: what was shared of other scopes", ask: "Album#comment", refused: "invalid_resource: resource_unknown Album",
			edit: func(w *world, _ *Request) {
				w.View.Requests = []uma.Request{{ResourceID: "r-album", ResourceName: "Album", Requester: "u-bob", Scope: "view", State: uma.Granted}}
			},
		},
		{
			name: "by name: a share as a whole of what has scopes now", ask: "Album", refused: "invalid_resource: resource_unknown Album",
			edit: func(w *world, _ *Request) {
				w.View.Requests = []uma.Request{{ResourceID: "r-album", ResourceName: "Album", Requester: "u-bob", State: uma.Granted}}
			},
		},

		// Scopes.
		{name: "an unknown scope beside a known", ask: "r-board#view,fly", want: "r-board=view"},
		{name: "only unknown scopes", ask: "r-board#fly,swim", refused: "invalid_scope: scopes_unknown fly,swim"},
		{name: "a scope of another resource", ask: "Board#comment", refused: "invalid_resource: resource_unknown Board"},
		{name: "a scope of another resource, by id", ask: "r-board#comment", want: ""},
		{name: "a scope of the type", ask: "r-album#view,print", want: "r-album=view,print(print)"},
		{name: "a scope of the type, the resource server's own", ask: "r-board#view,print", want: "r-board=view"},
		{name: "no scopes does not ask for the type's", ask: "r-album", want: "r-album=view,comment"},
		{name: "the scope parameter adds", ask: "r-board#view", edit: func(_ *world, r *Request) { r.Scopes = umatest.ScopesOf("post") }, want: "r-board=view,post"},
		{name: "the scope parameter, some unknown", ask: "r-board#view", edit: func(_ *world, r *Request) { r.Scopes = umatest.ScopesOf("openid email") }, want: "r-board=view"},
		{name: "the scope parameter alone", ask: "r-board", edit: func(_ *world, r *Request) { r.Scopes = umatest.ScopesOf("openid post") }, want: "r-board=post"},
		{
			// It asked for all of the resource: empty is not all.
			name: "the scope parameter alone, all unknown", ask: "r-board", edit: func(_ *world, r *Request) { r.Scopes = umatest.ScopesOf("fly") },
			refused: "invalid_scope: scopes_unknown fly",
		},
		{name: "the scope parameter of a sign-in", ask: "r-board", edit: func(_ *world, r *Request) { r.Scopes = umatest.ScopesOf("openid profile email") }, want: "r-board=view,post"},
		{name: "an unknown scope and a known parameter", ask: "r-board#fly", edit: func(_ *world, r *Request) { r.Scopes = umatest.ScopesOf("post") }, want: "r-board=post"},

		// Scopes without a resource: on every resource that has one of them, else alone.
		{name: "a scope on the resource server's that have it", ask: "#view", want: "r-board~view"},
		{name: "scopes on the resource server's that have one", ask: "#post,comment", want: "r-board~post"},
		{name: "a scope that only others manage", ask: "#comment", want: ""},
		{name: "a scope that only its owner has", subject: "u-alice", ask: "#comment", want: "r-album~comment"},
		{
			name: "a scope that a user put on a resource", ask: "#download", want: "~download",
			edit: func(w *world, _ *Request) {
				w.View.Resources = append(w.View.Resources, &uma.Resource{Key: 104, ID: "r-d", Server: 10, Owner: "u-bob", Name: "d", Scopes: umatest.ScopesOf("download"), Origin: uma.FromOwner})
			},
		},
		{name: "a scope that nothing has", ask: "#download", want: "~download"},
		{name: "two that nothing has, one each", ask: "#download,print", want: "~download ~print"},
		{name: "an unknown scope alone", ask: "#fly", refused: "invalid_scope: scopes_unknown fly"},

		// Types.
		{name: "a type: the resource server's", ask: "resource-type:board", want: "r-board~view,post"},
		{name: "a type: others' are not among them", ask: "resource-type:album", want: ""},
		{name: "a type, any owner: not what others manage", ask: "resource-type-any:album", want: ""},
		{name: "a type, any owner: what others manage and shared", ask: "resource-type-any:album", edit: shared, want: "r-album~view,comment"},
		{name: "a type, any owner: one's own", subject: "u-alice", ask: "resource-type-any:album", want: "r-album~view,comment"},
		{
			name: "a type, any owner: of others who do not manage it", ask: "resource-type-any:album#view",
			edit: func(w *world, _ *Request) { w.View.Resources[2].OwnerManaged = false }, want: "r-album~view",
		},
		{name: "a type, of others: not what they manage", ask: "resource-type-instance:album#view", want: ""},
		{name: "a type, of others: what they shared", ask: "resource-type-instance:album#view", edit: shared, want: "r-album~view"},
		{name: "a type, of others, the resource server's", ask: "resource-type-instance:board", want: ""},
		{name: "a type, one's own", subject: "u-alice", ask: "resource-type-owner:album", want: "r-album~view,comment"},
		{name: "a type, one's own, of another", ask: "resource-type-owner:album", want: ""},
		{name: "an empty type", ask: "resource-type:", refused: "invalid_request: type_missing resource-type"},
		{name: "an unknown form is a name", ask: "resource-type-of:album", refused: "invalid_resource: resource_unknown resource-type-of:album"},

		// All entitlements: the resource server's, one's own, what was shared.
		{name: "everything", want: "r-bare~ r-board~view,post"},
		{name: "everything of an owner", subject: "u-alice", want: "r-album~view,comment r-bare~ r-board~view,post"},
		{name: "everything of the resource server", subject: "uuid-api", want: "r-bare~ r-board~view,post"},
		{
			name: "everything, with what was shared", want: "r-album~view r-bare~ r-board~view,post",
			edit: func(w *world, _ *Request) {
				w.View.Requests = []uma.Request{
					{ResourceID: "r-album", Requester: "u-bob", Scope: "view", State: uma.Granted},
					{ResourceID: "r-album", Requester: "u-bob", Scope: "comment", State: uma.Pending},
					{ResourceID: "r-album", Requester: "u-eve", Scope: "comment", State: uma.Granted},
				}
			},
		},

		// Limits: the client's cuts, the realm's refuses.
		{name: "limit", ask: "r-bare r-board", edit: func(_ *world, r *Request) { r.Limit = 1 }, want: "r-bare="},
		{name: "limit cuts a search", edit: func(_ *world, r *Request) { r.Limit = 1 }, want: "r-board~view,post"},
		{name: "limit above what there is", ask: "r-bare", edit: func(_ *world, r *Request) { r.Limit = 5 }, want: "r-bare="},
		{
			name: "as many as the realm allows", ask: "r-bare r-board",
			edit: func(w *world, _ *Request) { w.Snap.Realm.Policy.MaxPermissions = 2 }, want: "r-bare= r-board=view,post",
		},
		{
			name: "more than the realm allows", ask: "r-bare r-board r-album", edit: func(w *world, _ *Request) { w.Snap.Realm.Policy.MaxPermissions = 2 },
			refused: "invalid_request: too_many_permissions policy.max_permissions 2",
		},
		{
			name: "more than the realm allows, the client's limit higher", ask: "r-bare r-board r-album",
			edit:    func(w *world, r *Request) { w.Snap.Realm.Policy.MaxPermissions = 2; r.Limit = 9 },
			refused: "invalid_request: too_many_permissions policy.max_permissions 2",
		},
		{
			name: "more than the realm allows, the client's limit lower", ask: "r-bare r-board r-album",
			edit: func(w *world, r *Request) { w.Snap.Realm.Policy.MaxPermissions = 2; r.Limit = 2 }, want: "r-bare= r-board=view,post",
		},

		// A ticket, and UMA Grant §3.3.4: ticket ∪ (registered ∩ asked), of what the resource has.
		{name: "ticket", ticket: []uma.Permission{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}, want: "r-board=view"},
		{name: "ticket, all scopes", ticket: []uma.Permission{{Resource: "r-board"}}, want: "r-board=view,post"},
		{name: "ticket for a resource without scopes", ticket: []uma.Permission{{Resource: "r-bare", Whole: true}}, want: "r-bare="},
		{name: "ticket: permissions are not looked at", ask: "r-bare", ticket: []uma.Permission{{Resource: "r-board"}}, want: "r-board=view,post"},
		{
			name: "ticket and a registered scope that the resource has", ticket: []uma.Permission{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}},
			edit: func(w *world, r *Request) {
				w.View.Resources[0].Scopes = umatest.ScopesOf("view download")
				r.Scopes = umatest.ScopesOf("download")
			}, want: "r-board=view,download",
		},
		{name: "ticket and a registered scope that it lacks", ticket: []uma.Permission{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}, edit: func(_ *world, r *Request) { r.Scopes = umatest.ScopesOf("download") }, want: "r-board=view"},
		{name: "ticket and a scope that is not registered", ticket: []uma.Permission{{Resource: "r-board", Scopes: umatest.ScopesOf("view")}}, edit: func(_ *world, r *Request) { r.Scopes = umatest.ScopesOf("post") }, want: "r-board=view"},
		{name: "ticket: its resource is gone", ticket: []uma.Permission{{Resource: "r-board"}, {Resource: "r-gone"}}, refused: "unusable_ticket"},
		{name: "ticket: a scope is gone", ticket: []uma.Permission{{Resource: "r-board", Scopes: umatest.ScopesOf("view gone")}}, want: "r-board=view"},
		{name: "ticket: its scopes are gone", ticket: []uma.Permission{{Resource: "r-board", Scopes: umatest.ScopesOf("gone")}}, refused: "unusable_ticket"},
		{name: "ticket: all scopes were asked for, and are gone", ticket: []uma.Permission{{Resource: "r-bare"}}, refused: "unusable_ticket"},
		{name: "ticket: scopes alone are gone", ticket: []uma.Permission{{Scopes: umatest.ScopesOf("gone")}}, refused: "unusable_ticket"},
		{name: "ticket: of a scope alone", ticket: []uma.Permission{{Scopes: umatest.ScopesOf("download")}}, want: "~download"},
		{name: "ticket: a scope of the type", ticket: []uma.Permission{{Resource: "r-album", Scopes: umatest.ScopesOf("print")}}, want: "r-album=print(print)"},

		// An RPT: asked anew, after what is requested.
		{name: "rpt after", ask: "r-bare", carried: []uma.GrantedPermission{{ID: "r-board", Scopes: umatest.ScopesOf("view")}}, want: "r-bare= +r-board=view"},
		{name: "rpt of the same resource", ask: "r-board#post", carried: []uma.GrantedPermission{{ID: "r-board", Scopes: umatest.ScopesOf("view")}}, want: "r-board=post+view"},
		{name: "rpt of the same scope", ask: "r-board#view", carried: []uma.GrantedPermission{{ID: "r-board", Scopes: umatest.ScopesOf("view")}}, want: "r-board=view"},
		{name: "rpt alone requests what it carries", carried: []uma.GrantedPermission{{ID: "r-board", Scopes: umatest.ScopesOf("view")}}, want: "r-board~view"},
		{name: "rpt: a resource that is gone is left out", ask: "r-bare", carried: []uma.GrantedPermission{{ID: "r-gone", Scopes: umatest.ScopesOf("view")}}, want: "r-bare="},
		{name: "rpt: scopes that are gone are left out", ask: "r-bare", carried: []uma.GrantedPermission{{ID: "r-board", Scopes: umatest.ScopesOf("gone")}}, want: "r-bare="},
		{name: "rpt: without scopes, of what has scopes now", ask: "r-bare", carried: []uma.GrantedPermission{{ID: "r-board"}}, want: "r-bare="},
		{name: "rpt: without scopes", ask: "r-board#view", carried: []uma.GrantedPermission{{ID: "r-bare"}}, want: "r-board=view +r-bare="},
		{name: "rpt: a scope alone", ask: "r-bare", carried: []uma.GrantedPermission{{Scopes: umatest.ScopesOf("download gone")}}, want: "r-bare= +=download"},
		{name: "rpt: falls off the limit", ask: "r-bare", carried: []uma.GrantedPermission{{ID: "r-board", Scopes: umatest.ScopesOf("view")}}, edit: func(_ *world, r *Request) { r.Limit = 1 }, want: "r-bare="},
		{name: "rpt and ticket", ticket: []uma.Permission{{Resource: "r-bare", Whole: true}}, carried: []uma.GrantedPermission{{ID: "r-board", Scopes: umatest.ScopesOf("view")}}, want: "r-bare= +r-board=view"},

		// URIs.
		{name: "by uri", ask: "/board/#view", edit: byURI, want: "r-board=view"},
		{name: "by uri, without case", ask: "/BOARD", edit: byURI, want: "r-board=view,post"},
		{name: "by uri, no match", ask: "/nowhere", edit: byURI, refused: "invalid_resource: uri_unknown /nowhere"},
		{name: "by uri, no pattern without leave", ask: "/board/17", edit: byURI, refused: "invalid_resource: uri_unknown /board/17"},
		{name: "by uri, malformed", ask: "/%2e%2e%2f", edit: byURI, refused: "invalid_resource: uri_unknown /%2e%2e%2f"},
		{name: "by uri, an id is none", ask: "r-board", edit: byURI, refused: "invalid_resource: uri_unknown r-board"},
		{name: "by matching uri", ask: "/board/17#view", edit: byMatchingURI, want: "r-board=view"},
		{name: "by matching uri, dot segments", ask: "/board/%2e%2e/admin", edit: byMatchingURI, refused: "invalid_resource: uri_unknown /board/%2e%2e/admin"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.View.TypeScope = umatest.ScopesOf("print")
			q := &question{
				realm: w.Snap, now: w.Now, server: w.API, req: &Request{Permissions: asked(tc.ask)},
				asker: asker{party: &party.Identity{Subject: "u-bob", Client: w.Web}, client: w.Web},
			}
			if tc.subject != "" {
				q.party.Subject = tc.subject
			}
			if tc.edit != nil {
				tc.edit(w, q.req)
			}
			if tc.ticket != nil {
				q.ticket = &uma.Ticket{Permissions: tc.ticket}
			}
			if tc.carried != nil {
				q.req.RPT, q.rpt = "the-rpt", &uma.Claims{Authorization: &uma.Authorization{Permissions: tc.carried}}
			}
			w.View.Open = 1
			found, err := resolve(t.Context(), w.View, q)
			if tc.refused != "" {
				if got := said(err); got != tc.refused {
					t.Errorf("got %q, %s, want %s", wants(found.permissions), got, tc.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := wants(found.permissions)
			if strings.Contains(tc.want, "~") { // a search is in the store's order
				got, tc.want = sorted(got), sorted(tc.want)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func sorted(words string) string {
	list := strings.Fields(words)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// shared shares the album with whoever asks.
func shared(w *world, _ *Request) {
	w.View.Shares = []uma.Share{{Key: 9, ID: "s", Resource: 103, Scopes: umatest.ScopesOf("view")}}
}

func byURI(w *world, r *Request) {
	w.View.Resources[0].URIs = []string{"/Board", "/board/{id}"}
	r.ByURI = true
}

func byMatchingURI(w *world, r *Request) {
	byURI(w, r)
	r.MatchingURI = true
}

// Resolving reads by key, and as often for many resources as for one: what is
// read depends on how something is named, not on how much is found.
func TestResolvingReadsDoNotGrow(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, one, many string }{
		{"by id", "r-board#view", ""},
		{"by type", "resource-type-any:heap#view", "resource-type-any:heap#view"},
		{"by scope", "#view", "#view"},
		{"everything", "", ""},
		{"a scope of the type", "resource-type-any:heap#print", "resource-type-any:heap#print"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			count := func(n int, ask string) int {
				w := newWorld(t)
				w.View.TypeScope = umatest.ScopesOf("print")
				owner := "uuid-api"
				if tc.name == "a scope of the type" {
					owner = "u-alice"
				}
				for i := range n {
					w.View.Resources = append(w.View.Resources, &uma.Resource{
						Key: uma.Key(1000 + i), ID: uma.ResourceID(fmt.Sprintf("r-%d", i)), Server: 10, Owner: owner, Name: fmt.Sprint(i), Type: "heap", Scopes: umatest.ScopesOf("view"),
					})
				}
				if tc.name == "by id" && n > 1 {
					for i := range n {
						ask += fmt.Sprintf(" r-%d#view", i)
					}
				}
				q := &question{
					realm: w.Snap, server: w.API, req: &Request{Permissions: asked(ask)},
					asker: asker{party: &party.Identity{Subject: "u-bob", Client: w.Web}, client: w.Web},
				}
				w.View.Open = 1
				found, err := resolve(t.Context(), w.View, q)
				if err != nil {
					t.Fatal(err)
				}
				if len(found.permissions) < n {
					t.Fatalf("got %d permissions, want %d", len(found.permissions), n)
				}
				return len(w.View.Reads)
			}
			if one, many := count(1, tc.one), count(150, tc.many); one != many {
				t.Errorf("got %d reads for 150 resources, want %d as for one", many, one)
			}
		})
	}
}

// What was shared is read as far as a request may ask for it, not all of it.
func TestSharedIsReadAsFarAsAskedFor(t *testing.T) {
	t.Parallel()
	for limit, most := range map[int]int{5: 100, 0: 2100} {
		w := newWorld(t)
		for i := range 3000 {
			r := &uma.Resource{
				Key: uma.Key(1000 + i), ID: uma.ResourceID(fmt.Sprintf("r-%04d", i)), Server: 10, Owner: "u-alice", Name: "Photo", Scopes: umatest.ScopesOf("view print"), OwnerManaged: true,
			}
			w.View.Resources = append(w.View.Resources, r)
			for _, scope := range r.Scopes {
				w.View.Requests = append(w.View.Requests, uma.Request{
					Server: 10, Resource: r.Key, ResourceID: r.ID, ResourceName: r.Name, Owner: r.Owner, Requester: "u-bob", Scope: scope, State: uma.Granted,
				})
			}
		}
		answer, err := w.bob(&Request{Limit: limit, Mode: ModePermissions})
		switch {
		case limit == 0 && umatest.Reason(err) != uma.InvalidRequest: // more than policy.max_permissions
			t.Errorf("got %v, want a refusal", err)
		case limit > 0 && (err != nil || len(answer.Permissions) != limit):
			t.Errorf("got %v, %v, want %d permissions", answer, err, limit)
		}
		if w.View.Shared > most {
			t.Errorf("limit %d: %d rows were read, want at most %d", limit, w.View.Shared, most)
		}
	}
}
