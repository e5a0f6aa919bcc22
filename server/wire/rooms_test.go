package wire

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/protection"
	"example.com/umpire/uma/umatest"
)

// A world has the rooms over the fakes.
type world struct {
	*umatest.World
	*Core
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := umatest.NewFullWorld(t)
	core, err := NewCore(Parts{
		Store: w.Store, Policy: w, Issuer: w.Issuer, Verifier: w.Verifier, Hasher: w.Hasher, Trust: w.Trust, Wrapper: umatest.Sealer{}, Sealer: umatest.Sealer{}, PublicURL: umatest.PublicURL,
		Now: func() time.Time { return w.Now }, NewID: w.NewID, NewSerial: w.NewSerial, Log: w.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &world{World: w, Core: core}
}

// bob asks for an RPT.
func (w *world) bob(req *grant.Request) (*grant.Answer, error) {
	if req.Ticket == "" && req.Audience == "" {
		req.Audience = "photoz-api"
	}
	return w.Grant.Token(w.Context(), w.Snap, &party.Caller{HasBearer: true, Bearer: "access.of.bob"}, req)
}

// asked reads permissions as the parameter has them, by spaces.
func asked(permissions string) []grant.AskedPermission {
	var out []grant.AskedPermission
	for _, p := range strings.Fields(permissions) {
		resource, scopes, _ := strings.Cut(p, "#")
		out = append(out, grant.AskedPermission{Resource: resource, Scopes: umatest.ScopesOf(strings.ReplaceAll(scopes, ",", " "))})
	}
	return out
}

// Every call that reads, with as much in its request as it takes to read all
// that there is to read.
var readers = map[string]func(*world, context.Context) error{
	"token with a ticket and an rpt": func(w *world, ctx context.Context) error {
		_, err := w.bob(&grant.Request{
			Ticket: w.Ticket(uma.Permission{Resource: "r-board"}, uma.Permission{Resource: "r-album", Scopes: umatest.ScopesOf("print")}, uma.Permission{Scopes: umatest.ScopesOf("download")}),
			RPT:    "rpt.of.bob",
		})
		return err
	},
	"token by name": func(w *world, ctx context.Context) error {
		_, err := w.bob(&grant.Request{Permissions: asked("Board#view resource-type-any:album")})
		return err
	},
	"token by matching uri": func(w *world, ctx context.Context) error {
		req := &grant.Request{Permissions: asked("/board/17")}
		req.ByURI, req.MatchingURI = true, true
		w.View.Resources[0].URIs = []string{"/Board", "/board/{id}"}
		_, err := w.bob(req)
		return err
	},
	"token for everything": func(w *world, ctx context.Context) error {
		_, err := w.bob(&grant.Request{})
		return err
	},
	"token that is refused": func(w *world, ctx context.Context) error {
		if _, err := w.bob(&grant.Request{Permissions: asked("ghost")}); umatest.Reason(err) != uma.InvalidResource {
			return err
		}
		return nil
	},
	"token with an unknown ticket": func(w *world, ctx context.Context) error {
		if _, err := w.bob(&grant.Request{Ticket: "garbage"}); umatest.Reason(err) != uma.UnusableTicket {
			return err
		}
		return nil
	},
	"token with an ID token": func(w *world, ctx context.Context) error {
		c := *w.Tokens["access.of.bob"]
		c.Type, c.AuthorizedParty = uma.TypeID, "photoz-app"
		w.Tokens["id.of.bob"] = &c
		_, err := w.Grant.Token(ctx, w.Snap, w.appCaller(), &grant.Request{ClaimToken: "id.of.bob", Audience: "photoz-api", Permissions: asked("r-board")})
		return err
	},
	"token with a subject_token": func(w *world, ctx context.Context) error {
		_, err := w.Grant.Token(ctx, w.Snap, w.appCaller(), &grant.Request{SubjectToken: "access.of.bob", Audience: "photoz-api", Permissions: asked("r-board")})
		return err
	},
	"password": func(w *world, ctx context.Context) error {
		w.View.Users["u-bob"].Password = "bob"
		_, err := w.Party.Password(ctx, w.Snap, w.Web, uma.Attempt{}, "bob", "bob", "openid")
		return err
	},
	"refresh": func(w *world, ctx context.Context) error {
		w.View.Refresh[string(uma.Digest("handle"))] = &uma.RefreshToken{SessionID: "s-bob", Client: "photoz-web", RPT: "j-rpt"}
		c := *w.Tokens["access.of.bob"]
		c.Type, c.Handle = uma.TypeRefresh, "handle"
		w.Tokens["refresh.of.bob"] = &c
		_, err := w.Party.Refresh(ctx, w.Snap, w.Web, "refresh.of.bob", "")
		return err
	},
	"introspect an RPT": func(w *world, ctx context.Context) error {
		out, err := w.Party.Introspect(ctx, w.Snap, w.API, "rpt.of.bob", "requesting_party_token")
		if err == nil && !out.Active {
			err = errors.New("got inactive")
		}
		return err
	},
	"userinfo": func(w *world, ctx context.Context) error {
		w.Tokens["access.of.bob"].Scope = "openid"
		id, err := w.signedIn(ctx)
		if err == nil {
			_, err = party.UserInfo(id)
		}
		return err
	},
	"pat": func(w *world, ctx context.Context) error {
		c := w.Tokens["access.of.bob"]
		c.AuthorizedParty, c.ResourceAccess = "photoz-api", map[string]uma.RoleSet{"photoz-api": {Roles: []string{"uma_protection"}}}
		w.View.Users["u-bob"].ClientRoles = map[string][]string{"photoz-api": {"uma_protection"}}
		id, err := w.signedIn(ctx)
		if err == nil {
			_, err = protection.Admit(w.Snap, id, protection.Rules{PAT: protection.WithRole})
		}
		return err
	},
	"create a resource": func(w *world, ctx context.Context) error {
		_, err := w.Protection.CreateResource(ctx, w.pat(), &protection.ResourceInput{Name: "New", Owner: "alice", Scopes: umatest.ScopesOf("view")})
		return err
	},
	"create a resource of nobody": func(w *world, ctx context.Context) error {
		if _, err := w.Protection.CreateResource(ctx, w.pat(), &protection.ResourceInput{Name: "New", Owner: "ghost"}); umatest.Reason(err) != uma.InvalidRequest {
			return err
		}
		return nil
	},
	"create a resource for a party": func(w *world, ctx context.Context) error {
		w.Snap.Realm.Issuers = []uma.TrustedIssuer{{Issuer: "https://corp.example", Alias: "corp"}}
		in := &protection.ResourceInput{Name: "New", OwnerID: uma.SubjectIDOf("https://corp.example", "s")}
		_, err := w.Protection.CreateResource(ctx, w.pat(), in)
		return err
	},
	"read a resource": func(w *world, ctx context.Context) error {
		_, err := w.Protection.ReadResource(ctx, w.pat(), "r-board")
		return err
	},
	"replace a resource": func(w *world, ctx context.Context) error {
		return w.Protection.ReplaceResource(ctx, w.pat(), "r-board", &protection.ResourceInput{Name: "New"})
	},
	"delete a resource": func(w *world, ctx context.Context) error {
		return w.Protection.DeleteResource(ctx, w.pat(), "r-board")
	},
	"find resources": func(w *world, ctx context.Context) error {
		w.View.Resources[0].URIs = []string{"/Board", "/board/{id}"}
		q := &protection.ResourceQuery{Owner: "photoz-api", URI: "/board/17", MatchingURI: true, Max: -1}
		return w.Protection.FindResources(ctx, w.pat(), q, func(*uma.Resource) error { return nil })
	},
	"describe resources": func(w *world, ctx context.Context) error {
		w.View.Resources[0].URIs = []string{"/Board", "/board/{id}"}
		q := &protection.ResourceQuery{Owner: "photoz-api", URI: "/board/17", MatchingURI: true, Max: -1}
		return w.Protection.DescribeResources(ctx, w.pat(), q, func(*protection.ResourceView) error { return nil })
	},
	"request a ticket": func(w *world, ctx context.Context) error {
		_, err := w.Protection.RequestTicket(ctx, w.pat(), []protection.TicketPermission{
			{Resource: "Board"}, {Resource: "r-album", Scopes: umatest.ScopesOf("print")}, {Scopes: umatest.ScopesOf("download")},
		})
		return err
	},
	"create a request": func(w *world, ctx context.Context) error {
		_, err := w.Protection.CreateRequest(ctx, w.pat(), &protection.RequestInput{Resource: "r-album", RequesterName: "bob", ScopeName: "view"})
		return err
	},
	"update a request": func(w *world, ctx context.Context) error {
		return w.Protection.UpdateRequest(ctx, w.pat(), &protection.RequestInput{ID: "q", Granted: true})
	},
	"delete a request": func(w *world, ctx context.Context) error {
		return w.Protection.DeleteRequest(ctx, w.pat(), "q")
	},
	"find requests": func(w *world, ctx context.Context) error {
		q := &protection.RequestQuery{Owner: "alice", Requester: "bob", ReturnNames: true, Max: -1}
		return w.Protection.FindRequests(ctx, w.pat(), q, func(*protection.RequestView) error { return nil })
	},
	"count requests": func(w *world, ctx context.Context) error {
		_, err := w.Protection.CountRequests(ctx, w.pat(), &protection.RequestQuery{Owner: "alice"})
		return err
	},
	"create a policy": func(w *world, ctx context.Context) error {
		_, err := w.Protection.CreatePolicy(ctx, w.alice(), "r-album", &protection.PolicyInput{Name: "new", Users: []string{"bob"}})
		return err
	},
	"read a policy": func(w *world, ctx context.Context) error {
		_, err := w.Protection.ReadPolicy(ctx, w.alice(), "p")
		return err
	},
	"replace a policy": func(w *world, ctx context.Context) error {
		return w.Protection.ReplacePolicy(ctx, w.alice(), "p", &protection.PolicyInput{Name: "new", Users: []string{"bob"}})
	},
	"delete a policy": func(w *world, ctx context.Context) error {
		return w.Protection.DeletePolicy(ctx, w.alice(), "p")
	},
	"search policies": func(w *world, ctx context.Context) error {
		_, err := w.Protection.PolicyFilter(ctx, w.alice(), &protection.PolicyQuery{Resource: "Album", Scope: "view"})
		return err
	},
	"find policies": func(w *world, ctx context.Context) error {
		return w.Protection.FindPolicies(ctx, w.alice(), &uma.UserPolicyFilter{}, 0, -1, func(*protection.PolicyView) error { return nil })
	},
	"owner": func(w *world, ctx context.Context) error {
		id, err := w.signedIn(ctx)
		if err == nil {
			_, err = account.OwnerOf(w.Snap, id)
		}
		return err
	},
	"owned resource": func(w *world, ctx context.Context) error {
		_, err := w.Account.OwnedResource(ctx, w.owner("alice"), "r-album")
		return err
	},
	"owned resources": func(w *world, ctx context.Context) error {
		_, err := w.Account.OwnedResources(ctx, w.owner("alice"), "", 0, 10)
		return err
	},
	"shared with others": func(w *world, ctx context.Context) error {
		_, err := w.Account.SharedWithOthers(ctx, w.owner("alice"), &account.GrantedQuery{User: "bob", Server: "photoz-api", Max: 10})
		return err
	},
	"shared with me": func(w *world, ctx context.Context) error {
		_, err := w.Account.SharedWithMe(ctx, w.owner("bob"), "", 0, 10)
		return err
	},
	"requests of a resource": func(w *world, ctx context.Context) error {
		_, err := w.Account.RequestsOf(ctx, w.owner("alice"), "r-album")
		return err
	},
	"requests by an owner": func(w *world, ctx context.Context) error {
		return w.Account.RequestsBy(ctx, w.owner("bob"), func(*account.SharedResource) error { return nil })
	},
	"share": func(w *world, ctx context.Context) error {
		return w.Account.ShareWith(ctx, w.owner("alice"), "r-album", []account.UserScopes{{User: "bob@example.com", Scopes: umatest.ScopesOf("view")}}, account.ShareOptions{})
	},
	"share with an address": func(w *world, ctx context.Context) error {
		w.Snap.Realm.Issuers = []uma.TrustedIssuer{{Issuer: "https://corp.example", Alias: "corp", Map: uma.ClaimsMap{Email: uma.ClaimPath{"email"}}}}
		return w.Account.ShareWith(ctx, w.owner("alice"), "r-album", []account.UserScopes{{User: "new@example.com", Scopes: umatest.ScopesOf("view")}}, account.ShareOptions{})
	},
	"invitations": func(w *world, ctx context.Context) error {
		w.View.Invited = []uma.Invitation{{ID: "v", Resource: 103, ResourceID: "r-album", Server: 10, Owner: "u-alice", Email: "new@example.com", TakenBy: "u-bob"}}
		return w.Account.InvitationsBy(ctx, w.owner("alice"), func(*account.InvitedAddress) error { return nil })
	},
	"find a user": func(w *world, ctx context.Context) error {
		_, err := w.Account.FindUser(ctx, w.owner("alice"), "bob@example.com")
		return err
	},
	"pending requests": func(w *world, ctx context.Context) error {
		_, err := w.Account.PendingRequests(ctx, w.owner("alice"), "", 10)
		return err
	},
	"answer a request": func(w *world, ctx context.Context) error {
		return w.Account.AnswerRequest(ctx, w.owner("alice"), "q."+hex.EncodeToString(uma.Digest("q")[:8]), true, nil)
	},
	"answer all": func(w *world, ctx context.Context) error {
		_, err := w.Account.AnswerAll(ctx, w.owner("alice"), true, nil)
		return err
	},
}

// signedIn is bob, by his access token.
func (w *world) signedIn(ctx context.Context) (*party.Identity, error) {
	return w.Party.Presented(ctx, w.Snap, &party.Caller{Bearer: "access.of.bob", HasBearer: true}, uma.InvalidToken, party.Acceptance{})
}

// alice calls the protection API.
func (w *world) alice() *protection.Caller {
	return &protection.Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: "u-alice", Client: w.API, Claims: &uma.Claims{}}}
}

// owner calls the account API.
func (w *world) owner(name string) *account.Owner {
	return &account.Owner{Snap: w.Snap, User: w.View.Users["u-"+name]}
}

func (w *world) pat() *protection.Caller {
	return &protection.Caller{Snap: w.Snap, Server: w.API, Identity: &party.Identity{Subject: "uuid-api", Client: w.API, Claims: &uma.Claims{}}}
}

func (w *world) appCaller() *party.Caller {
	return &party.Caller{ClientID: "photoz-app", ClientSecret: "app-secret", HasSecret: true}
}

// A view is closed on every path, there is never a second one open, and one read
// that fails makes the whole call fail: nothing is granted, written or signed,
// and the client is not told what went wrong. Each read fails in its turn.
func TestViewsAreClosed(t *testing.T) {
	t.Parallel()
	for name, call := range readers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if err := call(w, t.Context()); err != nil {
				t.Fatal(err)
			}
			if w.View.Open != 0 {
				t.Errorf("%d views are open", w.View.Open)
			}
			reads := len(w.View.Reads)
			if reads == 0 {
				t.Fatal("it reads nothing")
			}
			for n := 1; n <= reads; n++ {
				w := newWorld(t)
				w.View.Fail = n
				err := call(w, t.Context())
				read := w.View.Reads[len(w.View.Reads)-1]
				if w.View.Open != 0 {
					t.Errorf("%s fails: %d views are open", read, w.View.Open)
				}
				// What is read to be shown, once the resource is there, comes after the write,
				// and cannot undo it.
				if name == "create a resource" && read == "KnownScopes" {
					if err != nil {
						t.Errorf("%s fails: got %v for a resource that is there", read, err)
					}
					continue
				}
				if !errors.Is(err, umatest.ErrRead) || umatest.Reason(err) != "" {
					t.Errorf("%s fails: got %v, want this server's own trouble", read, err)
				}
				if name != "create a resource" && w.Count("commit")+w.Count("write")+w.Count("sign")+w.Count("decide") > 0 {
					t.Errorf("%s fails: got %q", read, w.Steps)
				}
			}
		})
	}
}

// After a view that cannot be closed, nothing that was read in it is used.
func TestViewThatDoesNotClose(t *testing.T) {
	t.Parallel()
	for name, call := range readers {
		w := newWorld(t)
		w.View.CloseErr = umatest.ErrRead
		if err := call(w, t.Context()); !errors.Is(err, umatest.ErrRead) || umatest.Reason(err) != "" {
			t.Errorf("%s: got %v, want this server's own trouble", name, err)
		}
		if w.Count("commit")+w.Count("write")+w.Count("sign")+w.Count("decide") > 0 {
			t.Errorf("%s: got %q", name, w.Steps)
		}
	}
}

// A store without a view to give.
func TestNoView(t *testing.T) {
	t.Parallel()
	for name, call := range readers {
		w := newWorld(t)
		store := closed{umatest.FakeStore{W: w.World}}
		w.Party.Store, w.Grant.Store, w.Protection.Store, w.Account.Store = store, store, store, store
		if err := call(w, t.Context()); !errors.Is(err, umatest.ErrRead) || umatest.Reason(err) != "" {
			t.Errorf("%s: got %v, want this server's own trouble", name, err)
		}
		if w.Count("commit")+w.Count("write")+w.Count("sign")+w.Count("decide") > 0 {
			t.Errorf("%s: got %q", name, w.Steps)
		}
	}
}

type closed struct{ umatest.FakeStore }

func (closed) View(context.Context) (uma.View, error) { return nil, umatest.ErrRead }

func (closed) CachedView(context.Context) (uma.View, error) { return nil, umatest.ErrRead }
