package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"example.com/umpire/uma"
)

// claim returns a resource as its owner registers it.
func (e *env) claim(owner, name string, uris []string, scopes ...uma.Scope) *uma.Resource {
	r := e.resource(name, scopes...)
	r.Owner, r.URIs, r.Origin = owner, uris, uma.FromOwner
	return r
}

// own returns a resource that the resource server owns.
func (e *env) own(name string, uris []string, scopes ...uma.Scope) *uma.Resource {
	r := e.resource(name, scopes...)
	r.Owner, r.URIs = e.apiUUID, uris
	return e.create(r)
}

// registered returns the names of the resources whose URI, or scope, was registered by
// them.
func (e *env) registered(q uma.Selection, as uma.Registered) (names []string) {
	e.t.Helper()
	q.Registered = as
	e.reading(func(v uma.View) {
		rows, err := v.Select(e.t.Context(), e.api, q, 10)
		e.must(err)
		for _, r := range rows {
			names = append(names, r.Name)
		}
	})
	return names
}

func (e *env) wantTaken(what string, err error, uri string) {
	e.t.Helper()
	taken, ok := errors.AsType[*uma.URITakenError](err)
	if !ok || taken.URI != uri || !errors.Is(err, uma.ErrConflict) {
		e.t.Errorf("%s: got %v, want an error that says that %s is taken", what, err, uri)
	}
}

var claimTests = map[string]func(e *env){
	"an_owner_may_not_use_names_and_uris_of_others": func(e *env) {
		ctx := e.t.Context()
		e.own("Board", []string{"/board", "/board/*", "/{tenant}/users/*", "/x/*.png", "/Strasse/*"})
		theirs := e.resource("Album")
		theirs.URIs = []string{"/album/1"}
		e.create(theirs)

		e.wantErr("name", e.s.CreateResource(ctx, e.claim(e.bob, "Board", nil), e.newID), uma.ErrConflict)
		for _, uri := range []string{"/board", "/BOARD/", "/board/7", "/board/*", "/board/{id}", "/a/users/1", "/x/y/z.png", "/album/1", "/ALBUM/1",
			"/BOARD/7", "/a/USERS/1", "/X/y/z.PNG", "/board/ſ", "/ſtrasse/1"} {
			e.wantTaken("create "+uri, e.s.CreateResource(ctx, e.claim(e.bob, "Mine", []string{"/free", uri}), e.newID), uri)
		}
		if len(e.find(e.api, uma.ResourceFilter{Name: "Mine"}, 0, -1)) > 0 {
			e.t.Error("a refused resource is there")
		}
		mine := e.create(e.claim(e.bob, "Mine", []string{"/free", "/x/y.gif"}, "view"))
		e.wantTaken("an owner's own", e.s.CreateResource(ctx, e.claim(e.bob, "Mine again", []string{"/FREE"}), e.newID), "/FREE")

		change := *mine
		change.URIs = []string{"/free", "/board/8"}
		e.wantTaken("replace", e.s.ReplaceResource(ctx, &change, e.newID), "/board/8")
		change.URIs, change.Name = mine.URIs, "Board"
		e.wantErr("replace name", e.s.ReplaceResource(ctx, &change, e.newID), uma.ErrConflict)
		change.Name, change.URIs = "Mine, renamed", []string{"/Free", "/more"}
		e.must(e.s.ReplaceResource(ctx, &change, e.newID))
	},

	"the_resource_server_may_use_those_of_an_owner": func(e *env) {
		e.create(e.claim(e.bob, "Page", []string{"/page"}, "view"))
		e.own("Page", []string{"/page", "/{any}"}, "view")
		q := uma.Selection{URI: "/page"}
		e.want("own", e.registered(q, uma.OwnOfServer), []string{"Page"})
		e.want("the owner's", e.registered(q, uma.ByOwner), []string{"Page"})

		mine := e.claim(e.bob, "Page", []string{"/page"}, "view")
		mine.ID = e.get(e.api, e.idOf("Page", e.bob)).ID
		mine.DisplayName = "keeps what it has"
		e.must(e.s.ReplaceResource(e.t.Context(), mine, e.newID))
	},

	"find_who_registered_a_uri_or_scope": func(e *env) {
		ctx := e.t.Context()
		e.own("Own", []string{"/u"}, "view")
		given := e.resource("For alice", "view", "stay")
		given.URIs = []string{"/U", "/v"}
		e.create(given)
		uri, scope := uma.Selection{URI: "/u"}, uma.Selection{AnyScope: []uma.Scope{"view"}}
		check := func(what string, q uma.Selection, own, forOwner, byOwner string) {
			e.t.Helper()
			for as, want := range map[uma.Registered]string{uma.OwnOfServer: own, uma.ForOwner: forOwner, uma.ByOwner: byOwner} {
				if got := fmt.Sprint(e.registered(q, as)); got != "["+want+"]" {
					e.t.Errorf("%s, registered %d: got %s, want [%s]", what, as, got, want)
				}
			}
		}
		check("uri", uri, "Own", "For alice", "")
		check("scope", scope, "Own", "For alice", "")
		e.create(e.claim(e.bob, "By bob", []string{"/w"}, "view"))
		check("uri", uma.Selection{URI: "/w"}, "", "", "By bob")
		check("scope", scope, "Own", "For alice", "By bob")

		change := *given
		change.Origin, change.URIs, change.Scopes = uma.FromOwner, []string{"/v", "/new"}, []uma.Scope{"stay", "more"}
		e.must(e.s.ReplaceResource(ctx, &change, e.newID))
		check("uri kept", uma.Selection{URI: "/v"}, "", "For alice", "")
		check("uri added by the owner", uma.Selection{URI: "/new"}, "", "", "For alice")
		check("scope kept", uma.Selection{AnyScope: []uma.Scope{"stay"}}, "", "For alice", "")
		check("scope added by the owner", uma.Selection{AnyScope: []uma.Scope{"more"}}, "", "", "For alice")
		e.want("list", e.find(e.api, uma.ResourceFilter{URI: "/new", Registered: uma.ForOwner}, 0, -1), []string{})
		e.want("list", e.find(e.api, uma.ResourceFilter{URI: "/new", Registered: uma.ByOwner}, 0, -1), []string{"For alice"})

		change.DisplayName = "by the owner, who adds nothing"
		e.must(e.s.ReplaceResource(ctx, &change, e.newID))
		check("uri added before", uma.Selection{URI: "/new"}, "", "", "For alice")
		change.Origin = uma.FromAPI
		e.must(e.s.ReplaceResource(ctx, &change, e.newID))
		check("uri, by the resource server now", uma.Selection{URI: "/new"}, "", "For alice", "")
		check("scope, by the resource server now", uma.Selection{AnyScope: []uma.Scope{"more"}}, "", "For alice", "")
	},

	// The first has the URI, the second gets an error.
	"two_owners_race_for_a_uri": func(e *env) {
		for round := range 30 {
			uri := fmt.Sprint("/race/", round)
			owners := []string{e.alice, e.bob}
			errs := make([]error, len(owners))
			start := make(chan struct{})
			var wg sync.WaitGroup
			for i, owner := range owners {
				r := e.claim(owner, fmt.Sprint("Race ", round), []string{uri})
				wg.Go(func() {
					<-start
					errs[i] = e.s.CreateResource(e.t.Context(), r, e.newID)
				})
			}
			close(start)
			wg.Wait()
			if slices.Index(errs, nil) < 0 || errs[0] == nil && errs[1] == nil {
				e.t.Fatalf("round %d: got %v, want that one of two has %s", round, errs, uri)
			}
		}
	},
}

// idOf returns the id of a resource by its name and owner.
func (e *env) idOf(name, owner string) (id uma.ResourceID) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		r, err := v.ResourceByName(e.t.Context(), e.api, owner, name)
		e.must(err)
		id = r.ID
	})
	return id
}
