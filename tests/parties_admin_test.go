package tests

import (
	"testing"

	"example.com/umpire/node"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// parties does what `umpire party` does beside the server.
func (e *env) parties(t testing.TB, do func(p *admin.Parties) error) {
	t.Helper()
	e.beside(t, func(n *node.Node) error {
		s, err := n.Store.Snapshot(t.Context(), e.Realm, e.Clock.Now())
		if err != nil {
			return err
		}
		return do(&admin.Parties{Store: n.Store, Realm: s})
	})
}

// link links an identity to a user, and unlink takes it away.
func (e *env) link(t testing.TB, name string, i *issuer, subject string) {
	t.Helper()
	e.parties(t, func(p *admin.Parties) error {
		_, err := p.Link(t.Context(), name, i.Alias, subject)
		return err
	})
}

func (e *env) unlink(t testing.TB, name string, i *issuer, subject string) {
	t.Helper()
	e.parties(t, func(p *admin.Parties) error {
		_, err := p.Unlink(t.Context(), name, i.Alias, subject)
		return err
	})
}

// enableParty enables or disables a party.
func (e *env) enableParty(t testing.TB, name string, enabled bool) {
	t.Helper()
	e.parties(t, func(p *admin.Parties) error {
		_, err := p.Enable(t.Context(), name, enabled)
		return err
	})
}

// publicBoard asks for the public board as the bearer of a token.
func (e *env) publicBoard(t testing.TB, token string) *response {
	t.Helper()
	return e.uma(t, bearer(token), "permission", "Public board#view")
}

// TestPartyIsDeleted: RPTs of a deleted party end, its resources go to their new owner, and its
// next token makes somebody new.
func TestPartyIsDeleted(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, nil))
	token := i.token(t, e, "u1", asUser)
	rpt := e.publicBoard(t, token).str("access_token")
	made := ownedBy(t, e, "Trip", map[string]any{"iss": i.URL, "sub": "u1"}).object()
	e.parties(t, func(p *admin.Parties) error {
		_, report, err := p.Delete(t.Context(), "example/dana", "alice", false)
		if err == nil && *report != (uma.PartyReport{Transferred: 1}) {
			t.Errorf("got %+v", report)
		}
		return err
	})
	if active(t, e, rpt) {
		t.Error("an RPT of a deleted party is active")
	}
	id, _ := made["_id"].(string)
	res := e.get(t, resourceSet+"/"+id, e.service(t, "photoz-api"))
	alice, err := e.user(t, "alice")
	if owner, _ := ownerIn(res); err != nil || owner != alice.ID {
		t.Errorf("got %s, want the owner alice", res)
	}
	again := payload(t, e.publicBoard(t, token).str("access_token"))
	if again["sub"] == payload(t, rpt)["sub"] || again["preferred_username"] != "example/dana" {
		t.Errorf("got %v, want another party", again)
	}
}

// TestLinkedIdentity: a bearer of a linked identity speaks for the party that it is linked to,
// with what its own token says; RPTs of before end with the link, and with its end.
func TestLinkedIdentity(t *testing.T) {
	t.Parallel()
	one, two := exampleIssuer(t), newIssuer(t, "other")
	two.Realm["map"] = one.Realm["map"]
	e := start(t, photozTrusting(t, []*issuer{one, two}, nil))
	own := e.publicBoard(t, one.token(t, e, "u1", asUser)).str("access_token")
	e.link(t, "example/dana", two, "u2")
	if active(t, e, own) {
		t.Error("an RPT of before the link is active")
	}
	linked := e.publicBoard(t, two.token(t, e, "u2", asUser))
	linked.expectGranted(t, "Public board: view")
	rpt := payload(t, linked.str("access_token"))
	if rpt["sub"] != payload(t, own)["sub"] {
		t.Errorf("got sub %v, want that of the party", rpt["sub"])
	}
	e.publicBoard(t, two.token(t, e, "u2", nil)).expect(t, 403, "access_denied", "not_authorized") // roles are those of its own token
	e.unlink(t, "example/dana", two, "u2")
	if active(t, e, linked.str("access_token")) {
		t.Error("an RPT of an identity that is linked no more is active")
	}
	if got := payload(t, e.publicBoard(t, two.token(t, e, "u2", asUser)).str("access_token")); got["sub"] == rpt["sub"] {
		t.Errorf("got sub %v after the unlinking", got["sub"])
	}
}

// TestIdentityLinkedToALocalUser: it proves claims only. Its bearer is nobody's.
func TestIdentityLinkedToALocalUser(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, nil))
	e.link(t, "bob", i, "u1")
	token := i.token(t, e, "u1", asUser.with(claims{"preferred_username": "bob"}))
	if res := e.publicBoard(t, token); res.status != 401 {
		t.Errorf("got %s, want 401", res)
	}
	if res := e.get(t, "/account/resources", bearer(token)); res.status != 401 {
		t.Errorf("the account API: got %s, want 401", res)
	}
	if _, err := e.user(t, "example/bob"); err == nil {
		t.Error("a refused bearer made a party")
	}
}

// TestIssuerIsRenamed: tokens of the issuer at its URL of before end at once. At the new one its
// parties are who they were, once a realm file says so.
func TestIssuerIsRenamed(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, nil))
	old := i.token(t, e, "u1", asUser)
	before := payload(t, e.publicBoard(t, old).str("access_token"))
	i.URL = "https://login.example.com/v2"
	i.Realm["issuer"] = i.URL
	e.beside(t, func(n *node.Node) error {
		s, err := n.Store.Snapshot(t.Context(), e.Realm, e.Clock.Now())
		if err != nil {
			return err
		}
		return n.Store.RenameIssuer(t.Context(), s.Realm.Key, i.Alias, i.URL)
	})
	next := i.token(t, e, "u1", asUser)
	within1s(t, "the end of tokens of the URL of before", func() bool { return e.publicBoard(t, old).status == 401 })
	if res := e.publicBoard(t, next); res.status != 401 {
		t.Errorf("the new URL, of which no realm file knows: got %s", res)
	}
	var moved options
	photozTrusting(t, []*issuer{i}, nil)(&moved)
	e.apply(t, moved.Realm)
	within1s(t, "a token of the new URL", func() bool { return e.publicBoard(t, next).status == 200 })
	after := payload(t, e.publicBoard(t, next).str("access_token"))
	id, _ := after["sub_id"].(map[string]any)
	if after["sub"] != before["sub"] || id["iss"] != i.URL {
		t.Errorf("got sub %v and sub_id %v, want the party %v", after["sub"], id, before["sub"])
	}
	if res := e.publicBoard(t, old); res.status != 401 {
		t.Errorf("the URL of before: got %s, want 401", res)
	}
}

// TestPartyHasNoPassword: nobody signs in as a party by the password grant.
func TestPartyHasNoPassword(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, nil))
	e.publicBoard(t, i.token(t, e, "u1", asUser)).expectGranted(t, "Public board: view")
	for _, password := range []string{"", "x", "example/dana"} {
		res := e.post(t, tokenPath, basic("photoz-app"), "grant_type", "password", "username", "example/dana", "password", password)
		if res.status == 200 || res.object()["access_token"] != nil {
			t.Errorf("with the password %q: got %s", password, res)
		}
	}
}
