package uma

import (
	"context"
	"errors"
	"testing"
)

// Every call that reads, with as much in its request as it takes to read all
// that there is to read.
var readers = map[string]func(*world, context.Context) error{
	"token with a ticket and an rpt": func(w *world, ctx context.Context) error {
		_, err := w.bob(&TokenRequest{
			Ticket: w.ticket(Permission{Resource: "r-board"}, Permission{Resource: "r-album", Scopes: scopesOf("print")}, Permission{Scopes: scopesOf("download")}),
			RPT:    "rpt.of.bob",
		})
		return err
	},
	"token by name": func(w *world, ctx context.Context) error {
		_, err := w.bob(&TokenRequest{Permissions: asked("Board#view resource-type-any:album")})
		return err
	},
	"token by matching uri": func(w *world, ctx context.Context) error {
		req := &TokenRequest{Permissions: asked("/board/17")}
		byMatchingURI(w, req)
		_, err := w.bob(req)
		return err
	},
	"token for everything": func(w *world, ctx context.Context) error {
		_, err := w.bob(&TokenRequest{})
		return err
	},
	"token that is refused": func(w *world, ctx context.Context) error {
		if _, err := w.bob(&TokenRequest{Permissions: asked("ghost")}); reason(err) != InvalidResource {
			return err
		}
		return nil
	},
	"token with an unknown ticket": func(w *world, ctx context.Context) error {
		if _, err := w.bob(&TokenRequest{Ticket: "garbage"}); reason(err) != UnusableTicket {
			return err
		}
		return nil
	},
	"token with an ID token": func(w *world, ctx context.Context) error {
		c := *w.tokens["access.of.bob"]
		c.Type, c.AuthorizedParty = TypeID, "photoz-app"
		w.tokens["id.of.bob"] = &c
		_, err := w.authority.Token(ctx, w.snap, w.appCaller(), &TokenRequest{ClaimToken: "id.of.bob", Audience: "photoz-api", Permissions: asked("r-board")})
		return err
	},
	"token with a subject_token": func(w *world, ctx context.Context) error {
		_, err := w.authority.Token(ctx, w.snap, w.appCaller(), &TokenRequest{SubjectToken: "access.of.bob", Audience: "photoz-api", Permissions: asked("r-board")})
		return err
	},
	"password": func(w *world, ctx context.Context) error {
		w.view.users["u-bob"].Password = "bob"
		_, err := w.authority.Password(ctx, w.snap, &Caller{ClientID: "photoz-web"}, "bob", "bob", "openid")
		return err
	},
	"refresh": func(w *world, ctx context.Context) error {
		w.view.refresh[string(Digest("handle"))] = &RefreshToken{SessionID: "s-bob", Client: "photoz-web", RPT: "j-rpt"}
		c := *w.tokens["access.of.bob"]
		c.Type, c.Handle = TypeRefresh, "handle"
		w.tokens["refresh.of.bob"] = &c
		_, err := w.authority.Refresh(ctx, w.snap, &Caller{ClientID: "photoz-web"}, "refresh.of.bob", "")
		return err
	},
	"introspect an RPT": func(w *world, ctx context.Context) error {
		c := &Caller{ClientID: "photoz-api", ClientSecret: "api-secret", HasSecret: true}
		out, err := w.authority.Introspect(ctx, w.snap, c, "rpt.of.bob", "requesting_party_token")
		if err == nil && !out.Active {
			err = errors.New("got inactive")
		}
		return err
	},
	"userinfo": func(w *world, ctx context.Context) error {
		w.tokens["access.of.bob"].Scope = "openid"
		_, err := w.authority.UserInfo(ctx, w.snap, &Caller{Bearer: "access.of.bob", HasBearer: true})
		return err
	},
	"pat": func(w *world, ctx context.Context) error {
		c := w.tokens["access.of.bob"]
		c.AuthorizedParty, c.ResourceAccess = "photoz-api", map[string]RoleSet{"photoz-api": {Roles: []string{"uma_protection"}}}
		w.view.users["u-bob"].ClientRoles = map[string][]string{"photoz-api": {"uma_protection"}}
		_, err := w.authority.PAT(ctx, w.snap, &Caller{Bearer: "access.of.bob", HasBearer: true}, WithRole)
		return err
	},
	"create a resource": func(w *world, ctx context.Context) error {
		_, err := w.authority.CreateResource(ctx, w.pat(), &ResourceInput{Name: "New", Owner: "alice", Scopes: scopesOf("view")})
		return err
	},
	"create a resource of nobody": func(w *world, ctx context.Context) error {
		if _, err := w.authority.CreateResource(ctx, w.pat(), &ResourceInput{Name: "New", Owner: "ghost"}); reason(err) != InvalidRequest {
			return err
		}
		return nil
	},
	"read a resource": func(w *world, ctx context.Context) error {
		_, err := w.authority.ReadResource(ctx, w.pat(), "r-board")
		return err
	},
	"replace a resource": func(w *world, ctx context.Context) error {
		return w.authority.ReplaceResource(ctx, w.pat(), "r-board", &ResourceInput{Name: "New"})
	},
	"delete a resource": func(w *world, ctx context.Context) error { return w.authority.DeleteResource(ctx, w.pat(), "r-board") },
	"find resources": func(w *world, ctx context.Context) error {
		w.view.resources[0].URIs = []string{"/board/*"}
		q := &ResourceQuery{Owner: "photoz-api", URI: "/board/17", MatchingURI: true, Max: -1}
		return w.authority.FindResources(ctx, w.pat(), q, func(*Resource) error { return nil })
	},
	"describe resources": func(w *world, ctx context.Context) error {
		w.view.resources[0].URIs = []string{"/board/*"}
		q := &ResourceQuery{Owner: "photoz-api", URI: "/board/17", MatchingURI: true, Max: -1}
		return w.authority.DescribeResources(ctx, w.pat(), q, func(*ResourceView) error { return nil })
	},
	"request a ticket": func(w *world, ctx context.Context) error {
		_, err := w.authority.RequestTicket(ctx, w.pat(), []TicketPermission{
			{Resource: "Board"}, {Resource: "r-album", Scopes: scopesOf("print")}, {Scopes: scopesOf("download")},
		})
		return err
	},
	"create a request": func(w *world, ctx context.Context) error {
		_, err := w.authority.CreateRequest(ctx, w.pat(), &RequestInput{Resource: "r-album", RequesterName: "bob", ScopeName: "view"})
		return err
	},
	"update a request": func(w *world, ctx context.Context) error {
		return w.authority.UpdateRequest(ctx, w.pat(), &RequestInput{ID: "q", Granted: true})
	},
	"delete a request": func(w *world, ctx context.Context) error { return w.authority.DeleteRequest(ctx, w.pat(), "q") },
	"find requests": func(w *world, ctx context.Context) error {
		q := &RequestQuery{Owner: "alice", Requester: "bob", ReturnNames: true, Max: -1}
		return w.authority.FindRequests(ctx, w.pat(), q, func(*RequestView) error { return nil })
	},
	"count requests": func(w *world, ctx context.Context) error {
		_, err := w.authority.CountRequests(ctx, w.pat(), &RequestQuery{Owner: "alice"})
		return err
	},
	"create a policy": func(w *world, ctx context.Context) error {
		_, err := w.authority.CreateShare(ctx, w.alice(), "r-album", &ShareInput{Name: "new", Users: []string{"bob"}})
		return err
	},
	"read a policy": func(w *world, ctx context.Context) error {
		_, err := w.authority.ReadShare(ctx, w.alice(), "p")
		return err
	},
	"replace a policy": func(w *world, ctx context.Context) error {
		return w.authority.ReplaceShare(ctx, w.alice(), "p", &ShareInput{Name: "new", Users: []string{"bob"}})
	},
	"delete a policy": func(w *world, ctx context.Context) error { return w.authority.DeleteShare(ctx, w.alice(), "p") },
	"search policies": func(w *world, ctx context.Context) error {
		_, err := w.authority.UserPolicyFilter(ctx, w.alice(), &UserPolicyQuery{Resource: "Album", Scope: "view"})
		return err
	},
	"find policies": func(w *world, ctx context.Context) error {
		return w.authority.FindShares(ctx, w.alice(), &UserPolicyFilter{}, 0, -1, func(*ShareView) error { return nil })
	},
	"owner": func(w *world, ctx context.Context) error {
		_, err := w.authority.Owner(ctx, w.snap, &Caller{Bearer: "access.of.bob", HasBearer: true})
		return err
	},
	"owned resource": func(w *world, ctx context.Context) error {
		_, err := w.authority.OwnedResource(ctx, w.owner("alice"), "r-album")
		return err
	},
	"owned resources": func(w *world, ctx context.Context) error {
		_, err := w.authority.OwnedResources(ctx, w.owner("alice"), "", 0, 10)
		return err
	},
	"shared with others": func(w *world, ctx context.Context) error {
		_, err := w.authority.SharedWithOthers(ctx, w.owner("alice"), &GrantedQuery{User: "bob", Server: "photoz-api", Max: 10})
		return err
	},
	"shared with me": func(w *world, ctx context.Context) error {
		_, err := w.authority.SharedWithMe(ctx, w.owner("bob"), "", 0, 10)
		return err
	},
	"requests of a resource": func(w *world, ctx context.Context) error {
		_, err := w.authority.RequestsOf(ctx, w.owner("alice"), "r-album")
		return err
	},
	"requests by an owner": func(w *world, ctx context.Context) error {
		return w.authority.RequestsBy(ctx, w.owner("bob"), func(*SharedResource) error { return nil })
	},
	"share": func(w *world, ctx context.Context) error {
		return w.authority.ShareWith(ctx, w.owner("alice"), "r-album", []UserScopes{{"bob@example.com", scopesOf("view")}}, ShareHow{})
	},
	"find a user": func(w *world, ctx context.Context) error {
		_, err := w.authority.FindUser(ctx, w.owner("alice"), "bob@example.com")
		return err
	},
	"pending requests": func(w *world, ctx context.Context) error {
		_, err := w.authority.PendingRequests(ctx, w.owner("alice"), "", 10)
		return err
	},
	"answer a request": func(w *world, ctx context.Context) error {
		return w.authority.AnswerRequest(ctx, w.owner("alice"), idOfAll([]Request{{ID: "q"}}), true, nil)
	},
	"answer all": func(w *world, ctx context.Context) error {
		_, err := w.authority.AnswerAll(ctx, w.owner("alice"), true, nil)
		return err
	},
}

func (w *world) pat() *Protection {
	return &Protection{snap: w.snap, server: w.api, id: &identity{subject: "uuid-api", client: w.api, claims: &Claims{}}}
}

func (w *world) appCaller() *Caller {
	return &Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}
}

// newFullWorld has a request, a share, and an RPT that is good to be carried,
// introspected and refreshed.
func newFullWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.whole = true
	w.view.typeScope = scopesOf("print")
	w.view.requests = []Request{{Key: 1, ID: "q", Server: 10, Resource: 103, ResourceID: "r-album", Owner: "u-alice", Requester: "u-bob", Scope: "view", State: Pending}}
	w.view.shares = []Share{
		{Key: 9, ID: "s", Resource: 103, Scopes: scopesOf("view")},
		{
			Key: 20, ID: "p", Kind: ByPolicy, Name: "for bob", Server: 10, Resource: 103, ResourceID: "r-album", Owner: "u-alice",
			Scopes: scopesOf("view"), Users: []string{"u-bob"}, Strategy: Unanimous, Version: 30,
		},
	}
	c := *w.tokens["access.of.bob"]
	c.ID, c.Audience = "j-rpt", Audience{"photoz-api"}
	c.Authorization = &Authorization{Permissions: []GrantedPermission{{ID: "r-board", Scopes: scopesOf("view")}, {Scopes: scopesOf("download")}}}
	w.tokens["rpt.of.bob"] = &c
	w.view.rpts["j-rpt"] = &RPT{
		JTI: "j-rpt", Server: 10, Revision: "revision-1", Generation: 7, UserVersion: 3,
		Permissions: []Grant{{Resource: "r-board", Version: 21, Scopes: scopesOf("view")}},
	}
	return w
}

// A view is closed on every path, there is never a second one open, and one read
// that fails makes the whole call fail: nothing is granted, written or signed,
// and the client is not told what went wrong. Each read fails in its turn.
func TestViewsAreClosed(t *testing.T) {
	t.Parallel()
	for name, call := range readers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFullWorld(t)
			if err := call(w, t.Context()); err != nil {
				t.Fatal(err)
			}
			if w.view.open != 0 {
				t.Errorf("%d views are open", w.view.open)
			}
			reads := len(w.view.reads)
			if reads == 0 {
				t.Fatal("it reads nothing")
			}
			for n := 1; n <= reads; n++ {
				w := newFullWorld(t)
				w.view.fail = n
				err := call(w, t.Context())
				read := w.view.reads[len(w.view.reads)-1]
				if w.view.open != 0 {
					t.Errorf("%s fails: %d views are open", read, w.view.open)
				}
				// What is read to be shown, once the resource is there, comes after the write,
				// and cannot undo it.
				if name == "create a resource" && read == "KnownScopes" {
					if err != nil {
						t.Errorf("%s fails: got %v for a resource that is there", read, err)
					}
					continue
				}
				if !errors.Is(err, errRead) || reason(err) != "" {
					t.Errorf("%s fails: got %v, want this server's own trouble", read, err)
				}
				if name != "create a resource" && w.count("commit")+w.count("write")+w.count("sign")+w.count("decide") > 0 {
					t.Errorf("%s fails: got %q", read, w.steps)
				}
			}
		})
	}
}

// After a view that cannot be closed, nothing that was read in it is used.
func TestViewThatDoesNotClose(t *testing.T) {
	t.Parallel()
	for name, call := range readers {
		w := newFullWorld(t)
		w.view.close = errRead
		if err := call(w, t.Context()); !errors.Is(err, errRead) || reason(err) != "" {
			t.Errorf("%s: got %v, want this server's own trouble", name, err)
		}
		if w.count("commit")+w.count("write")+w.count("sign")+w.count("decide") > 0 {
			t.Errorf("%s: got %q", name, w.steps)
		}
	}
}

// A store without a view to give.
func TestNoView(t *testing.T) {
	t.Parallel()
	for name, call := range readers {
		w := newFullWorld(t)
		w.authority.Store = closed{fakeStore{w: w}}
		if err := call(w, t.Context()); !errors.Is(err, errRead) || reason(err) != "" {
			t.Errorf("%s: got %v, want this server's own trouble", name, err)
		}
		if w.count("commit")+w.count("write")+w.count("sign")+w.count("decide") > 0 {
			t.Errorf("%s: got %q", name, w.steps)
		}
	}
}

type closed struct{ fakeStore }

func (closed) View(context.Context) (View, error) { return nil, errRead }
