package tests

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// mailIssuer is one whose parties prove e-mail addresses: those of corp.example in any case.
func mailIssuer(t testing.TB, alias string) *issuer {
	t.Helper()
	i := newIssuer(t, alias)
	i.Realm["map"] = map[string]any{"username": "preferred_username", "email": "email", "roles": "roles"}
	i.Realm["email_domains"] = []string{"corp.example"}
	return i
}

// of speaks for a party with a verified address, or with an empty one for a party without.
func (i *issuer) of(t testing.TB, e *env, subject, verified string) credentials {
	t.Helper()
	c := claims{"preferred_username": subject, "roles": []string{"user"}}
	if verified != "" {
		c["email"], c["email_verified"] = verified, true
	}
	return bearer(i.token(t, e, subject, c))
}

// expectSharedWith fails unless these are the users and addresses that a resource of an owner is
// shared with, as expectLines has them.
func (e *env) expectSharedWith(t testing.TB, owner credentials, resource string, want ...string) {
	t.Helper()
	res := e.get(t, accountResources+"/"+resource+"/permissions", owner)
	if res.status != 200 {
		t.Fatalf("got %s", res)
	}
	expectLines(t, "permissions", userLines(res.json), want...)
}

// shareAs shares a resource as an owner.
func (e *env) shareAs(t testing.TB, owner credentials, resource string, users ...userScopes) *response {
	t.Helper()
	return e.send(t, "PUT", accountResources+"/"+resource+"/permissions", owner, users)
}

// invitations are those of an owner, as the account API lists them.
func (e *env) invitations(t testing.TB, owner credentials) []map[string]any {
	t.Helper()
	res := e.get(t, accountResources+"/invitations", owner)
	if res.status != 200 {
		t.Fatalf("got %s", res)
	}
	var all []map[string]any
	for _, v := range asList(res.json) {
		all = append(all, asObject(v))
	}
	return all
}

// TestInvitations: sharing with an address that no user has makes an invitation, which the owner
// sees and withdraws.
func TestInvitations(t *testing.T) {
	t.Parallel()
	corp := mailIssuer(t, "corp")
	e := start(t, photozTrusting(t, []*issuer{corp}, nil))
	alice, bob := e.as(t, "alice", "photoz-web"), e.as(t, "bob", "photoz-web")
	album := e.resourceID(t, "Holiday album")
	invite := func(to string, scopes ...string) *response {
		return e.shareAs(t, alice, album, userScopes{to, append([]string{}, scopes...)})
	}
	if res := invite("New@Corp.Example", "view", "comment"); res.status != 204 {
		t.Fatalf("got %s, want 204", res)
	}
	e.expectSharedWith(t, alice, album, "new@corp.example: view comment")
	shown := asObject(asList(e.get(t, accountResources+"/"+album+"/permissions", alice).json)[0])
	if shown["invited"] != true || shown["email"] != "new@corp.example" {
		t.Errorf("got %v, want an invitation that says so", shown)
	}
	all := e.invitations(t, alice)
	if len(all) != 1 || all[0]["email"] != "new@corp.example" || fmt.Sprint(all[0]["scopes"]) != "[view comment]" || all[0]["taken"] != nil ||
		asObject(all[0]["resource"])["name"] != "Holiday album" || asObject(all[0]["resource"])["_id"] != album || all[0]["created"] == nil {
		t.Fatalf("got %v", all)
	}
	if got := e.invitations(t, bob); len(got) != 0 {
		t.Errorf("bob sees %v", got)
	}
	// It is changed as a share is.
	if res := invite("NEW@corp.example", "view"); res.status != 204 {
		t.Fatalf("got %s", res)
	}
	e.expectSharedWith(t, alice, album, "new@corp.example: view")
	id := fmt.Sprint(e.invitations(t, alice)[0]["id"])
	for what, as := range map[string]credentials{"another user": bob, "a party": corp.of(t, e, "p", "p@corp.example")} {
		if res := e.send(t, "DELETE", accountResources+"/invitations/"+id, as, nil); res.status != 404 {
			t.Errorf("%s withdraws it: got %s, want 404", what, res)
		}
	}
	if res := e.send(t, "DELETE", accountResources+"/invitations/"+id, alice, nil); res.status != 204 || len(res.raw) > 0 {
		t.Errorf("got %s, want 204 and no body", res)
	}
	if res := e.send(t, "DELETE", accountResources+"/invitations/"+id, alice, nil); res.status != 404 {
		t.Errorf("again: got %s, want 404", res)
	}
	e.expectSharedWith(t, alice, album)
	if res := invite("new@corp.example", "view"); res.status != 204 {
		t.Fatalf("got %s", res)
	}
	if res := invite("new@corp.example"); res.status != 204 {
		t.Errorf("no scopes: got %s, want 204", res)
	}
	e.expectSharedWith(t, alice, album)
	if res := e.get(t, resourceSet+"/"+album, corp.of(t, e, "new", "new@corp.example")); res.status != 401 {
		t.Errorf("a bearer as a PAT: got %s", res)
	}

	for what, tc := range map[string]struct {
		to     []userScopes
		status int
		code   string
	}{
		"no address":            {[]userScopes{{"nobody", []string{"view"}}}, 404, "user_not_found"},
		"two at signs":          {[]userScopes{{"a@b@corp.example", []string{"view"}}}, 404, "user_not_found"},
		"a space":               {[]userScopes{{"a b@corp.example", []string{"view"}}}, 404, "user_not_found"},
		"an invisible sign":     {[]userScopes{{"a\u200bb@corp.example", []string{"view"}}}, 404, "user_not_found"},
		"no domain":             {[]userScopes{{"a@", []string{"view"}}}, 404, "user_not_found"},
		"256 bytes":             {[]userScopes{{strings.Repeat("a", 243) + "@corp.example", []string{"view"}}}, 404, "user_not_found"},
		"an unknown scope":      {[]userScopes{{"a@corp.example", []string{"print"}}}, 400, "invalid_scope"},
		"twice":                 {[]userScopes{{"a@corp.example", []string{"view"}}, {"A@corp.example", []string{"view"}}}, 400, "invalid_permissions"},
		"one of two is no user": {[]userScopes{{"a@corp.example", []string{"view"}}, {"nobody", []string{"view"}}}, 404, "user_not_found"},
	} {
		if res := e.shareAs(t, alice, album, tc.to...); res.status != tc.status || res.str("error") != tc.code {
			t.Errorf("%s: got %s, want %d %s", what, res, tc.status, tc.code)
		}
	}
	if got := e.invitations(t, alice); len(got) != 0 {
		t.Errorf("refused requests have made %v", got)
	}
	var many []userScopes
	for i := range 101 {
		many = append(many, userScopes{fmt.Sprintf("u%d@corp.example", i), []string{"view"}})
	}
	if res := e.shareAs(t, alice, album, many...); res.status != 400 || res.str("error") != "invalid_permissions" {
		t.Errorf("101 addresses: got %s, want 400 invalid_permissions", res)
	}
	if got := e.invitations(t, alice); len(got) != 0 {
		t.Errorf("too many have made %d", len(got))
	}
}

// TestInvitationsNeedAnIssuer: where nobody could ever prove an address, it is an unknown user.
func TestInvitationsNeedAnIssuer(t *testing.T) {
	t.Parallel()
	for what, issuers := range map[string][]*issuer{"no issuer": nil, "one without e-mail addresses": {newIssuer(t, "corp")}} {
		e := start(t, photozTrusting(t, issuers, nil))
		res := e.shareAs(t, e.as(t, "alice", "photoz-web"), e.resourceID(t, "Holiday album"), userScopes{"new@corp.example", []string{"view"}})
		if res.status != 404 || res.str("error") != "user_not_found" {
			t.Errorf("%s: got %s, want 404 user_not_found", what, res)
		}
	}
}

// TestInvitationIsTaken: by the first party that proves the address, once, before its first
// decision.
func TestInvitationIsTaken(t *testing.T) {
	t.Parallel()
	corp, other := mailIssuer(t, "corp"), mailIssuer(t, "other")
	delete(other.Realm, "email_domains")
	e := start(t, photozTrusting(t, []*issuer{corp, other}, nil))
	alice, album := e.as(t, "alice", "photoz-web"), e.resourceID(t, "Holiday album")
	ask := album + "#view"
	e.allow(t, album, userScopes{"New@corp.example", []string{"view"}})

	// Addresses that are not verified take nothing.
	for what, token := range map[string]string{
		"no word of it":          other.token(t, e, "eve", claims{"email": "new@corp.example"}),
		"unverified":             other.token(t, e, "eve", claims{"email": "new@corp.example", "email_verified": false}),
		"verified as a text":     other.token(t, e, "eve", claims{"email": "new@corp.example", "email_verified": "true"}),
		"denied by the domain's": corp.token(t, e, "eve", claims{"email": "new@corp.example", "email_verified": false}),
		"another, verified":      other.token(t, e, "eve", claims{"email": "new@corp.example.org", "email_verified": true}),
		"a look-alike":           other.token(t, e, "eve", claims{"email": "ne\u03c9@corp.example", "email_verified": true}),
		"its name":               other.token(t, e, "eve", claims{"preferred_username": "new@corp.example"}),
	} {
		if res := e.uma(t, bearer(token), "permission", ask); res.status != 403 {
			t.Errorf("%s: got %s, want 403", what, res)
		}
	}
	if taken := e.invitations(t, alice)[0]["taken"]; taken != nil {
		t.Fatalf("somebody has taken it: %v", taken)
	}

	// Many that prove it at once: one gets it.
	var wg sync.WaitGroup
	var mu sync.Mutex
	granted := map[string]bool{}
	for n := range 10 {
		subject, issuer := fmt.Sprint("ann", n/2), []*issuer{corp, other}[n%2]
		as := issuer.of(t, e, subject, "new@Corp.example")
		wg.Go(func() {
			if res := e.uma(t, as, "permission", ask); res.status == 200 {
				mu.Lock()
				defer mu.Unlock()
				granted[issuer.Alias+"/"+subject] = true
			}
		})
	}
	wg.Wait()
	if len(granted) != 1 {
		t.Fatalf("granted to %v, want one", granted)
	}
	var who string
	for who = range granted {
	}
	e.expectSharedWith(t, alice, album, who+": view")
	all := e.invitations(t, alice)
	if len(all) != 1 || all[0]["taken"] == nil || asObject(all[0]["takenBy"])["username"] != who {
		t.Errorf("got %v, want one that %s has taken", all, who)
	}
	if res := e.send(t, "DELETE", accountResources+"/invitations/"+fmt.Sprint(all[0]["id"]), alice, nil); res.status != 404 {
		t.Errorf("withdraw what was taken: got %s, want 404", res)
	}
	// What was taken is withdrawn as any share. The address is now that of several.
	e.allow(t, album, userScopes{who, []string{}})
	e.expectSharedWith(t, alice, album)
	if res := e.shareAs(t, alice, album, userScopes{"new@corp.example", []string{"view"}}); res.status != 400 || res.str("error") != "ambiguous_user" {
		t.Errorf("an address of several parties: got %s, want 400 ambiguous_user", res)
	}
	for who := range granted {
		alias, subject, _ := strings.Cut(who, "/")
		as := map[string]*issuer{"corp": corp, "other": other}[alias].of(t, e, subject, "new@corp.example")
		if res := e.uma(t, as, "permission", ask); res.status != 403 {
			t.Errorf("after it was withdrawn: got %s, want 403", res)
		}
	}
}

// TestSharingByAddress: an address is that of the one user or party who proved it.
func TestSharingByAddress(t *testing.T) {
	t.Parallel()
	corp := mailIssuer(t, "corp")
	e := start(t, photozTrusting(t, []*issuer{corp}, nil))
	alice, album := e.as(t, "alice", "photoz-web"), e.resourceID(t, "Holiday album")
	ann := corp.of(t, e, "ann", "Ann@corp.example")
	if res := e.get(t, "/account", ann); res.str("email") != "ann@corp.example" || res.object()["emailVerified"] != true {
		t.Fatalf("the profile: got %s", res)
	}
	e.get(t, accountResources, bearer(corp.token(t, e, "eve", claims{"preferred_username": "eve", "email": "eve@corp.example", "email_verified": false})))
	e.allow(t, album, userScopes{"ANN@corp.example", []string{"view"}}, userScopes{"bob@example.com", []string{"comment"}}, userScopes{"eve@corp.example", []string{"view"}})
	e.expectSharedWith(t, alice, album, "bob: comment", "corp/ann: view", "eve@corp.example: view")
	e.uma(t, ann, "permission", album+"#view").expectGranted(t, "Holiday album: view")
	res := e.get(t, accountResources+"/"+album+"/user", alice, "value", "ann@corp.example")
	if res.status != 200 || res.str("username") != "corp/ann" || res.str("email") != "ann@corp.example" {
		t.Errorf("look ann up: got %s", res)
	}
	if res := e.get(t, accountResources+"/"+album+"/user", alice, "value", "eve@corp.example"); res.status != 204 {
		t.Errorf("look an unverified address up: got %s, want 204", res)
	}
	// Of a local user and a party nobody can say who is meant.
	e.get(t, accountResources, corp.of(t, e, "mallory", "bob@example.com"))
	for _, scopes := range [][]string{{"view"}, {}} {
		if res := e.shareAs(t, alice, album, userScopes{"bob@example.com", scopes}); res.status != 400 || res.str("error") != "ambiguous_user" {
			t.Errorf("two holders, scopes %q: got %s, want 400 ambiguous_user", scopes, res)
		}
	}
	e.expectSharedWith(t, alice, album, "bob: comment", "corp/ann: view", "eve@corp.example: view")
	// A changed address takes nothing away, and is the only one from then on.
	ann = corp.of(t, e, "ann", "ann.b@corp.example")
	e.uma(t, ann, "permission", album+"#view").expectGranted(t, "Holiday album: view")
	e.allow(t, album, userScopes{"ann.b@corp.example", []string{}})
	if res := e.uma(t, ann, "permission", album+"#view"); res.status != 403 {
		t.Errorf("after it was withdrawn by the new address: got %s, want 403", res)
	}
}

// TestUMAPolicyForParties: a policy of an owner names a party by its username or id, never by an
// address, or a group that the party's token says.
func TestUMAPolicyForParties(t *testing.T) {
	t.Parallel()
	corp := mailIssuer(t, "corp")
	asObject(corp.Realm["map"])["groups"] = map[string]any{"from": "groups", "prefix": "/corp", "optional": true}
	e := start(t, photozTrusting(t, []*issuer{corp}, nil))
	album := e.resourceID(t, "Holiday album")
	grouped := func(subject string, groups ...string) credentials {
		return bearer(corp.token(t, e, subject, claims{"roles": []string{"user"}, "groups": append([]string{}, groups...)}))
	}
	id, _ := ownerIn(ownedBy(t, e, "Plans", map[string]any{"iss": corp.URL, "sub": "zoe"}))
	ann := corp.of(t, e, "ann", "ann@corp.example")
	e.get(t, accountResources, ann)
	for what, tc := range map[string]struct {
		members map[string]any
		to, not credentials
	}{
		"by username": {map[string]any{"users": []string{"CORP/ann"}}, ann, grouped("zoe")},
		"by id":       {map[string]any{"users": []string{id}}, grouped("zoe"), ann},
		"by group":    {map[string]any{"groups": []string{"/corp/staff"}}, grouped("kim", "staff"), grouped("kim", "guests")},
	} {
		policy := e.shareBy(t, album, policyOf(what, tc.members))
		e.uma(t, tc.to, "permission", album+"#view").expectGranted(t, "Holiday album: view")
		if res := e.uma(t, tc.not, "permission", album+"#view"); res.status != 403 {
			t.Errorf("%s, another party: got %s, want 403", what, res)
		}
		if res := e.send(t, "DELETE", umaPolicy+"/"+policy, e.as(t, "alice", "photoz-api"), nil); res.status != 204 {
			t.Fatalf("%s: got %s", what, res)
		}
	}
	for _, name := range []string{"ann@corp.example", "new@corp.example", "ann", "corp/nobody"} {
		res := e.send(t, "POST", umaPolicy+"/"+album, e.as(t, "alice", "photoz-api"), policyOf("p", map[string]any{"users": []string{name}}))
		if res.status != 400 || res.str("error") != "invalid_request" {
			t.Errorf("%s: got %s, want 400 invalid_request", name, res)
		}
	}
}
