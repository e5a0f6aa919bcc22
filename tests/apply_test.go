package tests

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/umpire/uma"
)

// applied runs `umpire realm apply` on the server's realm file once that has this
// text.
func (p *process) applied(t testing.TB, text string, flags ...string) (stdout, stderr string, code int) {
	t.Helper()
	p.edit(t, text)
	return umpire(t, append([]string{"realm", "apply", "--data", p.Data, p.File}, flags...)...)
}

// edit gives the server's realm file another text.
func (p *process) edit(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(p.File, []byte(unhurried(withHashes(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// expectRows fails unless a report has exactly these lines, in any order.
func expectRows(t testing.TB, report string, want ...string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(report) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got report %q, want %q", got, want)
	}
}

// scopesOf are the scopes of a resource.
func (e *env) scopesOf(t testing.TB, id string) []string {
	t.Helper()
	var names []string
	for _, scope := range asList(e.get(t, resourceSet+"/"+id, e.service(t, "photoz-api")).object()["resource_scopes"]) {
		names = append(names, at(scope, "name").(string))
	}
	return names
}

// TestDrift: what was changed over an API stays when a server starts with an
// unchanged file; `realm apply` resets it, and lists it.
func TestDrift(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	files := o.write(t)
	p := spawn(t, o, files)
	board := p.resourceID(t, "Public board")
	replace(t, p.env, board, map[string]any{"name": "Public board", "type": "board", "resource_scopes": []string{"view"}})
	made := p.create(t, map[string]any{"name": "Made over the API", "resource_scopes": []string{"view"}})
	if state := p.end(t, syscall.SIGTERM); !state.Success() {
		t.Errorf("stopped by SIGTERM: %s", state)
	}

	p = spawn(t, o, files)
	if got := p.scopesOf(t, board); !slices.Equal(got, []string{"view"}) {
		t.Errorf("started again with the same file: got scopes %v, want those of the API", got)
	}
	out, stderr, code := p.applied(t, photozRealm(t))
	if code != 0 {
		t.Fatalf("apply: exit %d\n%s", code, stderr)
	}
	expectRows(t, out, "reset resource Public board")
	within1s(t, "the server sees the scopes of the file", func() bool {
		return slices.Equal(p.scopesOf(t, board), []string{"view", "post"})
	})
	if got := p.scopesOf(t, made); !slices.Equal(got, []string{"view"}) {
		t.Errorf("what was made over the API: got scopes %v, want it as it was", got)
	}
	out, _, _ = p.applied(t, photozRealm(t))
	expectRows(t, out, "realm photoz: no changes")
}

// TestAdoption: a row of the file that meets a row of an API adopts it, with its
// shares and requests.
func TestAdoption(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	p := spawn(t, o, o.write(t))
	id := p.album(t, "Adopted")
	p.share(t, id, "bob", "view")
	bob := p.as(t, "bob", "photoz-app")
	rpt := p.uma(t, bob, "permission", id).str("access_token")

	file := photozRealm(t) + "  - {name: Adopted, resource_server: photoz-api, owner: alice, type: album, scopes: [view, comment], owner_managed: true}\n"
	out, stderr, code := p.applied(t, file)
	if code != 0 {
		t.Fatalf("apply: exit %d\n%s", code, stderr)
	}
	expectRows(t, out, "adopted resource Adopted")
	if got := p.resourceIDs(t, "Adopted"); !slices.Equal(got, []string{id}) {
		t.Errorf("got resources %v, want %s", got, id)
	}
	p.uma(t, bob, "permission", id).expectGranted(t, "Adopted: view")
	p.expectRPT(t, rpt, "Adopted: view")

	// From now on it is the file's: what that no longer names goes.
	_, stderr, code = p.applied(t, photozRealm(t))
	if code != 1 || !strings.Contains(stderr, "resource Adopted") || !strings.Contains(stderr, "--prune") {
		t.Errorf("with a share on it: exit %d, %s; want the resource and --prune named", code, stderr)
	}
	p.uma(t, bob, "permission", id).expectGranted(t, "Adopted: view")
	out, _, code = p.applied(t, photozRealm(t), "--prune")
	if code != 0 {
		t.Fatalf("apply --prune: exit %d", code)
	}
	expectRows(t, out, "removed resource Adopted")
	p.expectRPT(t, rpt)
}

// resourceIDs are the ids of the resources with this name, whoever owns them.
func (e *env) resourceIDs(t testing.TB, name string) []string {
	t.Helper()
	var ids []string
	for _, id := range asList(e.get(t, resourceSet, e.service(t, "photoz-api"), "name", name, "exactName", "true").json) {
		ids = append(ids, id.(string))
	}
	return ids
}

// TestPrune: what others hang on is removed with --prune alone; a server that
// starts with such a file disables it, and says so. Records stay.
func TestPrune(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	files := o.write(t)
	p := spawn(t, o, files)
	without := func(lines ...string) string {
		var kept []string
		for line := range strings.Lines(photozRealm(t)) {
			if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(line, l) }) {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	noBob, noPlain := without("{username: bob,"), without("{username: bob,", "{id: plain-app,")
	bob := p.newSignIn(t, "bob", "photoz-app", "").str("access_token")
	p.uma(t, bearer(bob), "permission", "Public board#view").expectGranted(t, "Public board: view")

	_, stderr, code := p.applied(t, noBob)
	if code != 1 || !strings.Contains(stderr, "  user bob (sessions: 1)\n") || !strings.Contains(stderr, "not applied") || !strings.Contains(stderr, "--prune") {
		t.Errorf("a user with a session: exit %d, %s; want the user, the session and --prune named", code, stderr)
	}
	p.uma(t, bearer(bob), "permission", "Public board#view").expectGranted(t, "Public board: view")

	// A starting server does not fail for that.
	p.end(t, syscall.SIGTERM)
	p.edit(t, noBob)
	p = spawn(t, o, files)
	if !p.logged(t, "umpire realm apply --prune", "user bob") {
		t.Error("the log does not say that bob is disabled, and what to do")
	}
	p.uma(t, bearer(bob), "permission", "Public board#view").expect(t, 401, "invalid_grant", "Invalid bearer token")
	signIn := func(client, user string) *response {
		return p.post(t, tokenPath, basic(client), "grant_type", "password", "username", user, "password", user)
	}
	signIn("photoz-app", "bob").expect(t, 400, "invalid_grant", "Account disabled")

	out, stderr, code := p.applied(t, noPlain, "--prune", "-o", "json")
	var reports map[string]uma.RealmReport
	if err := json.Unmarshal([]byte(out), &reports); err != nil || code != 0 {
		t.Fatalf("apply --prune -o json: exit %d, %v\n%s%s", code, err, out, stderr)
	}
	removed := reports["photoz"].Removed
	slices.Sort(removed)
	if !slices.Equal(removed, []string{"client plain-app", "user bob"}) {
		t.Errorf("got removed %v, want bob and plain-app", removed)
	}
	signIn("photoz-app", "bob").expect(t, 400, "invalid_grant", "Invalid user credentials")
	within1s(t, "the removed client", func() bool { return signIn("plain-app", "dave").str("error") == "invalid_client" })
	if records := recordsAfter(t, p.stored(t), 0); len(records) != 2 {
		t.Errorf("got %d decision records, want the 2 of before", len(records))
	}

	// Back in the file, bob is another.
	if out, stderr, code := p.applied(t, photozRealm(t)); code != 0 || !strings.Contains(out, "user bob") {
		t.Errorf("bob is back: exit %d, %s%s", code, out, stderr)
	}
	p.uma(t, bearer(bob), "permission", "Public board#view").expect(t, 401, "invalid_grant", "Invalid bearer token")
}

// TestApplyMistakes: a file with mistakes changes nothing, and all of them are
// named with their lines.
func TestApplyMistakes(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	p := spawn(t, o, o.write(t))
	text := strings.Replace(photozRealm(t), "public: true, password_grant", "pubic: true, password_grant", 1)
	text = strings.Replace(text, "owner: dave", "owner: nobody", 1)
	out, stderr, code := p.applied(t, text)
	if code == 0 || out != "" {
		t.Errorf("got exit %d and %q", code, out)
	}
	for _, want := range []string{p.File + ":11:", "pubic", p.File + ":26:", `"nobody"`} {
		if !strings.Contains(stderr, want) {
			t.Errorf("got %s, want %q in it", stderr, want)
		}
	}
	p.uma(t, p.as(t, "bob", "photoz-web"), "permission", "Public board#view").expectGranted(t, "Public board: view")
}

// TestRotateBesideAServer: `umpire keys rotate` beside a running server.
func TestRotateBesideAServer(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	p := spawn(t, o, o.write(t))
	old := p.kids(t)
	out, stderr, code := umpire(t, "keys", "rotate", "--realm", "photoz", "--data", p.Data, "-o", "json")
	var rows []struct{ KID string }
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 || len(rows) != 1 {
		t.Fatalf("keys rotate: exit %d, %v\n%s%s", code, err, out, stderr)
	}
	within1s(t, "the new key", func() bool {
		return kid(t, p.newSignIn(t, "", "photoz-app", "").str("access_token")) == rows[0].KID
	})
	if got := p.kids(t); len(got) != 2 || !slices.Contains(got, old[0]) {
		t.Errorf("got keys %v, want the old one beside the new", got)
	}
}
