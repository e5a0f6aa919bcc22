package storetest

import (
	"math/rand/v2"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

const (
	maxURI  = 2048 // bytes: see uripath.Check
	maxID   = 100  // of the id of a resource in a realm file
	maxPath = 1024 // of a file of a policy: see package bundles
)

// A noise makes texts that no database compresses.
type noise struct{ rand *rand.Rand }

func newNoise() noise { return noise{rand.New(rand.NewPCG(1, 2))} }

// letters returns a text of n bytes that is its own lower case.
func (n noise) letters(bytes int) string {
	const of = "abcdefghijklmnopqrstuvwxyz0123456789-._~"
	text := make([]byte, bytes)
	for i := range text {
		text[i] = of[n.rand.IntN(len(of))]
	}
	text[bytes-1] = 'x' // a segment of a URI does not end in a dot
	return string(text)
}

// growing returns a text of n bytes whose lower case is a quarter longer.
func (n noise) growing(bytes int) string {
	var text strings.Builder
	for text.Len()+4 <= bytes {
		text.WriteRune('Ⱥ') // ⱥ has three bytes
		text.WriteRune('\u0431' + n.rand.Int32N(0x1f))
	}
	text.WriteString(strings.Repeat("x", bytes-text.Len()))
	return text.String()
}

var limitTests = map[string]func(e *env){
	"uris_as_long_as_a_face_accepts": func(e *env) {
		n := newNoise()
		ctx := e.t.Context()
		for name, text := range map[string]string{"letters": "/" + n.letters(maxURI-1), "letters that grow": "/" + n.growing(maxURI-1)} {
			e.must(uripath.Check(text))
			other := text[:len(text)-1] + "y"
			own := e.own(n.letters(uma.MaxName), []string{text, other, text[:maxURI-2] + "/*"}, "view")
			e.want(name+": the candidates of its key", e.candidates([]string{keyOf(text)}), []string{text})
			e.want(name+": the resources with it", e.withURI(text), []string{own.Name})
			e.want(name+": the resources with another", e.withURI(other), []string{own.Name})

			claim := "/claime" + text[len("/claime"):]
			e.must(e.s.CreateResource(ctx, e.claim(e.alice, n.letters(uma.MaxName), []string{claim}, "view"), e.newID))
			bobs := e.claim(e.bob, n.letters(uma.MaxName), []string{claim}, "view")
			e.wantErr(name+": a URI that an owner has", e.s.CreateResource(ctx, bobs, e.newID), uma.ErrConflict)
			bobs.URIs = []string{claim[:len(claim)-1] + "z"}
			e.must(e.s.CreateResource(ctx, bobs, e.newID))
			e.want(name+": the resources with a similar one", e.withURI(bobs.URIs[0]), []string{bobs.Name})

			own.URIs = []string{other}
			e.must(e.s.ReplaceResource(ctx, own, e.newID))
			e.want(name+": a URI that was removed", e.withURI(text), []string{})
			e.must(e.s.DeleteResource(ctx, e.api, own.ID))
			e.want(name+": a URI of a resource that was deleted", e.withURI(other), []string{})
			e.want(name+": its candidates", len(e.candidates([]string{keyOf(other)})), 0)
			e.want(name+": a URI of another", len(e.withURI(claim)), 1)
		}
	},

	"names_as_long_as_a_face_accepts": func(e *env) {
		n := newNoise()
		ctx := e.t.Context()
		long := func() string { return n.growing(uma.MaxName) }
		c := e.realmFile("photoz")
		issuer := "https://" + n.letters(uma.MaxName-8)
		c.Realm.Issuers = []uma.TrustedIssuer{{Issuer: issuer, Alias: n.letters(uma.MaxName)}}
		c.Clients = append(c.Clients, &uma.Client{ID: n.letters(uma.MaxName), UUID: e.newID(), Enabled: true})
		c.Users = append(c.Users, &uma.User{ID: n.letters(uma.MaxName), Username: long(), Enabled: true,
			Claims: map[string]any{"email": n.letters(uma.MaxName-8) + "@example"}})
		c.Scopes = map[string][]uma.ScopeRow{"api": {{ID: n.letters(uma.MaxName), Name: uma.Scope(long())}}}
		file := e.fileResource(long(), "alice", uma.Scope(long()), uma.Scope(long()))
		file.ID, file.Type, file.URIs = uma.ResourceID(n.letters(maxID)), long(), []string{"/" + n.growing(maxURI-1)}
		file.ScopeIDs[0] = n.letters(uma.MaxName)
		ownFile := e.fileResource(long(), "", uma.Scope(long()))
		ownFile.ID, ownFile.Type, ownFile.URIs = uma.ResourceID(n.letters(maxID)), long(), []string{"/" + n.growing(maxURI-1)}
		c.Resources = []uma.ResourceChange{file, ownFile}
		e.apply(c)
		e.unchanged(c)

		r := e.get(e.api, file.ID)
		user := c.Users[len(c.Users)-1].ID
		e.share(r, user, r.Scopes[0])
		e.must(e.s.CreateRequest(ctx, e.request(r, user, r.Scopes[1])))
		e.must(e.s.CreateShare(ctx, &uma.Share{ID: e.newID(), Kind: uma.ByPolicy, Name: long(), Server: r.Server, Resource: r.Key, ResourceID: r.ID,
			Owner: r.Owner, Scopes: r.Scopes, Users: []string{user}, Roles: []string{long()}, Groups: []string{"/" + n.growing(uma.MaxName-1)},
			Clients: []string{c.Clients[len(c.Clients)-1].ID}, Strategy: uma.Unanimous}))
		e.invite(r, grants{n.letters(uma.MaxName-8) + "@other.x": {r.Scopes[0]}})
		party := e.admit(issuer, n.letters(uma.MaxName), long(), n.letters(uma.MaxName-8)+"@other.x")
		e.want("the party", e.partyOf(issuer, party.Identity.Subject).ID, party.ID)

		record := e.record("long")
		record.Subject, record.Client, record.Resource = user, c.Clients[len(c.Clients)-1].ID, r.ID
		record.Request, record.Rules = n.letters(64), []string{n.letters(maxURI)}
		e.must(e.s.Commit(ctx, &uma.Settlement{Realm: e.realm, Now: now, Records: []uma.Record{record}}))
		a := e.activation("photoz", n.letters(64), now)
		a.Revision.Sources[n.letters(maxPath)] = "package long"
		e.begin(a)
	},
}

// withURI returns the names of the resources at api that have a URI.
func (e *env) withURI(uri string) []string {
	e.t.Helper()
	names := []string{}
	e.reading(func(v uma.View) {
		found, err := v.Select(e.t.Context(), e.api, uma.Selection{URI: uripath.Fold(uri)}, 10)
		e.must(err)
		for _, r := range found {
			names = append(names, r.Name)
		}
	})
	e.want("resources that a list finds by the URI", e.find(e.api, uma.ResourceFilter{URI: uripath.Fold(uri)}, 0, -1), names)
	return names
}

func keyOf(uri string) string {
	key, _ := uripath.Key(uri)
	return key
}
