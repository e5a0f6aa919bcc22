package storetest

import (
	"fmt"

	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

// fullResource returns a resource that has no field at its zero value, once it is
// stored.
func (e *env) fullResource() *uma.Resource {
	return &uma.Resource{
		ID: uma.ResourceID(e.newID()), Server: e.api, Owner: e.alice, Name: `Ålbum "1"`, DisplayName: "The album",
		Type: "http://photoz.example.com/album", IconURI: "/icon", URIs: []string{"/Album/1", "/album/{id}/*"},
		Scopes: []uma.Scope{"view", "delete", `a "b"`, "<c>"}, OwnerManaged: true,
		Attributes: map[string][]string{"a": {"b", "c"}}, Origin: uma.FromAPI,
		Texts: map[string]string{"description": "Ålesund", "name#no": `"Album"`},
	}
}

var resourceTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		want := e.create(e.fullResource())
		e.wantNoZeroFields(*want)
		e.want("by id", e.get(e.api, want.ID), want)
		e.want("by name", e.byName(e.alice, want.Name), want)
		e.reading(func(v uma.View) {
			got, err := v.ResourcesByID(e.t.Context(), e.api, []uma.ResourceID{want.ID})
			e.must(err)
			e.want("by ids", got, []*uma.Resource{want})
			got, err = v.Select(e.t.Context(), e.api, uma.Selection{Owner: e.alice}, 10)
			e.must(err)
			e.want("selected", got, []*uma.Resource{want})
		})
		e.must(e.s.FindResources(e.t.Context(), e.api, uma.ResourceFilter{}, 0, -1, func(got *uma.Resource) error {
			e.want("found", got, want)
			return nil
		}))
	},

	"empty_fields": func(e *env) {
		r := e.create(&uma.Resource{ID: "r", Server: e.api, Owner: e.apiUUID, Name: "plain", Origin: uma.FromAPI})
		e.want("resource", e.get(e.api, "r"), r)
	},

	"stay_inside_their_server": func(e *env) {
		r := e.create(e.resource("Album", "view"))
		for what, server := range map[string]uma.Key{"second": e.second, "foreign": e.foreign, "none": 0} {
			if e.get(server, r.ID) != nil {
				e.t.Errorf("%s: the resource of another is found by id", what)
			}
			e.reading(func(v uma.View) {
				ctx := e.t.Context()
				_, err := v.ResourceByName(ctx, server, e.alice, "Album")
				e.wantErr(what+": by name", err, uma.ErrNotFound)
				some, err := v.ResourcesByID(ctx, server, []uma.ResourceID{r.ID})
				e.must(err)
				e.want(what+": by ids", len(some), 0)
				rows, err := v.KnownScopes(ctx, server, []uma.Scope{"view"})
				e.must(err)
				e.want(what+": scopes", len(rows), 0)
			})
			e.wantErr(what+": delete", e.s.DeleteResource(e.t.Context(), server, r.ID), uma.ErrNotFound)
			other := *r
			other.Server = server
			e.wantErr(what+": replace", e.s.ReplaceResource(e.t.Context(), &other, e.newID), uma.ErrNotFound)
		}
	},

	"names_and_ids_differ_by_case": func(e *env) {
		lower, upper := e.resource("album"), e.resource("ALBUM")
		lower.ID, upper.ID = "abc", "ABC"
		e.create(lower)
		e.create(upper)
		e.want("by id", e.get(e.api, "ABC").Name, "ALBUM")
		e.want("by name", e.byName(e.alice, "album").ID, uma.ResourceID("abc"))
		e.reading(func(v uma.View) {
			_, err := v.ResourceByName(e.t.Context(), e.api, e.alice, "Album")
			e.wantErr("a third case", err, uma.ErrNotFound)
		})
	},

	"by_ids_returns_those_that_exist": func(e *env) {
		a, b := e.create(e.resource("A")), e.create(e.resource("B"))
		e.reading(func(v uma.View) {
			got, err := v.ResourcesByID(e.t.Context(), e.api, []uma.ResourceID{b.ID, "unknown", a.ID, a.ID, ""})
			e.must(err)
			var ids []uma.ResourceID
			for _, r := range got {
				ids = append(ids, r.ID)
			}
			wantSet(e, "ids", ids, a.ID, b.ID)
			got, err = v.ResourcesByID(e.t.Context(), e.api, nil)
			e.must(err)
			e.want("of no ids", len(got), 0)
		})
	},

	"known_scopes": func(e *env) {
		e.create(e.resource("A", "view", "delete"))
		e.reading(func(v uma.View) {
			rows, err := v.KnownScopes(e.t.Context(), e.api, []uma.Scope{"delete", "view", "VIEW", "unknown", ""})
			e.must(err)
			var names []uma.Scope
			for _, row := range rows {
				names = append(names, row.Name)
				byID, err := v.Scope(e.t.Context(), e.api, row.ID)
				e.must(err)
				e.want("scope by id", byID, row)
				byName, err := v.Scope(e.t.Context(), e.api, string(row.Name))
				e.must(err)
				e.want("scope by name", byName, row)
			}
			wantSet(e, "scopes", names, "view", "delete")
			_, err = v.Scope(e.t.Context(), e.api, "unknown")
			e.wantErr("unknown scope", err, uma.ErrNotFound)
			_, err = v.Scope(e.t.Context(), e.second, "view")
			e.wantErr("scope of another", err, uma.ErrNotFound)
		})
	},

	"scopes_outlive_their_resources": func(e *env) {
		r := e.create(e.resource("A", "view"))
		e.must(e.s.DeleteResource(e.t.Context(), e.api, r.ID))
		e.reading(func(v uma.View) {
			_, err := v.Scope(e.t.Context(), e.api, "view")
			e.must(err)
		})
	},

	"type_scopes_are_of_the_servers_own": func(e *env) {
		typeScopes := func() (found []uma.Scope) {
			e.reading(func(v uma.View) {
				var err error
				found, err = v.TypeScopes(e.t.Context(), e.api, "album", []uma.Scope{"view", "delete", "other"})
				e.must(err)
			})
			return found
		}
		e.create(e.resource("of alice", "other"))
		wantSet(e, "without own ones", typeScopes())
		var own []*uma.Resource
		for i := range 2 {
			r := e.resource(fmt.Sprint("own", i), "view")
			r.Owner = e.apiUUID
			own = append(own, e.create(r))
		}
		wantSet(e, "two have it", typeScopes(), "view")
		e.must(e.s.DeleteResource(e.t.Context(), e.api, own[0].ID))
		wantSet(e, "one has it", typeScopes(), "view")
		own[1].Scopes = []uma.Scope{"delete"}
		e.must(e.s.ReplaceResource(e.t.Context(), own[1], e.newID))
		wantSet(e, "another scope", typeScopes(), "delete")
		own[1].Type = "photo"
		e.must(e.s.ReplaceResource(e.t.Context(), own[1], e.newID))
		wantSet(e, "another type", typeScopes())
	},

	"type_scopes_need_a_type": func(e *env) {
		r := e.resource("own", "view")
		r.Owner, r.Type = e.apiUUID, ""
		e.create(r)
		e.reading(func(v uma.View) {
			got, err := v.TypeScopes(e.t.Context(), e.api, "", []uma.Scope{"view"})
			e.must(err)
			e.want("scopes of no type", len(got), 0)
		})
	},

	"uris_of_the_servers_own": func(e *env) {
		own := e.resource("own")
		own.Owner, own.URIs = e.apiUUID, []string{"/album/{id}", "/album/{id}/*", "/Album/1"}
		e.create(own)
		shaped := e.resource("shaped")
		shaped.Owner, shaped.URIs = e.apiUUID, []string{"/photo/{id}"}
		e.create(shaped)
		theirs := e.resource("of alice")
		theirs.URIs = []string{"/a/{b}/{c}/d", "/album/{id}"}
		e.create(theirs)

		var keys, shapes []string
		for _, uri := range append(own.URIs, theirs.URIs...) {
			key, _ := uripath.Key(uri)
			keys = append(keys, key)
		}
		for _, uri := range own.URIs[:2] {
			_, shape := uripath.Key(uri)
			shapes = append(shapes, shape)
		}
		wantSet(e, "shapes", e.shapes(), shapes...)
		wantSet(e, "candidates", e.candidates(keys), own.URIs...)

		own.URIs = []string{"/album/{id}"}
		e.must(e.s.ReplaceResource(e.t.Context(), own, e.newID))
		wantSet(e, "shapes after a change", e.shapes(), shapes[0])
		wantSet(e, "candidates after a change", e.candidates(keys), "/album/{id}")
		e.must(e.s.DeleteResource(e.t.Context(), e.api, own.ID))
		wantSet(e, "shapes that another has too", e.shapes(), shapes[0])
		wantSet(e, "candidates after removal", e.candidates(keys))
		e.must(e.s.DeleteResource(e.t.Context(), e.api, shaped.ID))
		wantSet(e, "shapes after removal", e.shapes())
	},

	"candidates_are_found_without_case": func(e *env) {
		own := e.resource("own")
		own.Owner, own.URIs = e.apiUUID, []string{"/Admin/*", "/ADMIN/{Id}", "/Ärger/*.PNG", "/other/*"}
		e.create(own)
		wantSet(e, "candidates", e.candidates(uripath.CandidateKeys("/admin/1", e.shapes())), "/Admin/*", "/ADMIN/{Id}")
		wantSet(e, "candidates", e.candidates(uripath.CandidateKeys("/ärger/a.png", nil)), "/Ärger/*.PNG")
	},

	"one_uri_of_two_resources": func(e *env) {
		var ids []uma.ResourceID
		for _, name := range []string{"A", "B"} {
			r := e.resource(name)
			r.Owner, r.URIs = e.apiUUID, []string{"/album/1"}
			ids = append(ids, e.create(r).ID)
		}
		e.reading(func(v uma.View) {
			key, _ := uripath.Key("/album/1")
			got, err := v.URICandidates(e.t.Context(), e.api, []string{key})
			e.must(err)
			var found []uma.ResourceID
			for _, c := range got {
				found = append(found, c.Resource)
			}
			wantSet(e, "resources", found, ids...)
		})
	},
}

func (e *env) shapes() (shapes []string) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		var err error
		shapes, err = v.URIShapes(e.t.Context(), e.api)
		e.must(err)
		other, err := v.URIShapes(e.t.Context(), e.second)
		e.must(err)
		e.want("shapes of another", len(other), 0)
	})
	return shapes
}

func (e *env) candidates(keys []string) (uris []string) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		got, err := v.URICandidates(e.t.Context(), e.api, keys)
		e.must(err)
		for _, c := range got {
			uris = append(uris, c.URI)
		}
		other, err := v.URICandidates(e.t.Context(), e.second, keys)
		e.must(err)
		e.want("candidates of another", len(other), 0)
	})
	return uris
}
