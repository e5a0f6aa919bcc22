package main

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/bundle"

	"example.com/umpire/uma/audit"
)

// TestPolicyStory: a policy is broken in seven ways, and each gate refuses it with its message; it
// is mended, compared, activated and rolled back beside a running server, and nothing that was
// answered is lost. Once on the database, once over the admin API.
func TestPolicyStory(t *testing.T) {
	t.Parallel()
	for name, remote := range map[string]bool{"beside the database": false, "over the admin API": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := example(t, "grant: partial", "grant: partial, timeout: 20s, gates: {impact: block, max_granted: 2}, "+
				"opa: {keys: {team: {algorithm: HS256, key: "+storyKey+"}}}")
			signFolder(t, filepath.Join(filepath.Dir(file), "policies"))
			st := &story{server: serve(t, t.TempDir(), "--realm", file, "--decision-log", ""), file: file}
			st.ready(t)
			if remote {
				st.remote = st.remotely(t, "policy")
			}
			st.tell(t)
		})
	}
}

// storyKey is the secret of the team that signs policies.
const storyKey = "signing-s3cret-of-the-team"

// signFolder signs the policies of a folder that has no data, as `opa sign` does.
func signFolder(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.rego"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no policies in %s: %v", dir, err)
	}
	var files []bundle.FileInfo
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, bundle.NewFile(filepath.Base(path), fmt.Sprintf("%x", sha256.Sum256(content)), "SHA-256"))
	}
	token, err := bundle.GenerateSignedToken(files, bundle.NewSigningConfig(storyKey, "HS256", ""), "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".signatures.json"), fmt.Sprintf(`{"signatures": [%q]}`, token))
}

// A story is told with one server.
type story struct {
	*server
	file     string   // of the realm
	remote   *remote  // nil: commands run on the database
	answered []string // the ids of requests that got an answer
}

// command runs a command on the policies in force or on the records.
func (st *story) command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	if st.remote != nil {
		return umpire(t, st.remote.args(args...)...)
	}
	return umpire(t, append(args, "--data", st.data)...)
}

func (st *story) ok(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := st.command(t, args...)
	if code != 0 {
		t.Fatalf("umpire %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// An expected answer is whether a user is granted a scope of a resource.
type expected struct {
	user, permission string
	granted          bool
}

// asks asks for permissions, and returns the RPTs that were granted.
func (st *story) asks(t *testing.T, when string, list ...expected) (rpts []string) {
	t.Helper()
	for _, want := range list {
		rpt := st.ask(t, want)
		if (rpt != "") != want.granted {
			t.Errorf("%s: %s asks for %s: granted is %t", when, want.user, want.permission, rpt != "")
		}
		if rpt != "" {
			rpts = append(rpts, rpt)
		}
	}
	return rpts
}

// ask asks for a permission, and returns the RPT or "".
func (st *story) ask(t *testing.T, want expected) (rpt string) {
	t.Helper()
	_, signIn := st.post(t, "", url.Values{"grant_type": {"password"}, "client_id": {"photoz-web"}, "username": {want.user}, "password": {want.user}})
	bearer, _ := signIn["access_token"].(string)
	id := fmt.Sprintf("story-%d", len(st.answered))
	status, body := st.form(t, "/protocol/openid-connect/token", map[string]string{"Authorization": "Bearer " + bearer, "X-Request-Id": id}, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:uma-ticket"}, "audience": {"photoz-api"},
		"permission": {want.permission}, "permission_resource_format": {"uri"},
	})
	if status != 200 && status != 403 {
		t.Fatalf("%s asks for %s: got %d %v", want.user, want.permission, status, body)
	}
	st.answered = append(st.answered, id)
	rpt, _ = body["access_token"].(string)
	return rpt
}

// active reports whether introspection finds an RPT active.
func (st *story) active(t *testing.T, rpt string) bool {
	t.Helper()
	req := url.Values{"token": {rpt}, "token_type_hint": {"requesting_party_token"}, "client_id": {"photoz-api"}, "client_secret": {"photoz-api-secret"}}
	_, body := st.form(t, "/protocol/openid-connect/token/introspect", nil, req)
	return body["active"] == true
}

// broken are the ways to break a policy, with the gate that refuses each and its words. check
// also refuses those that need no server.
var broken = []struct {
	gate, file, text, says string
	server                 bool // policy check does not refuse it
}{
	{gate: "signature", file: "album.rego", text: "package uma.policies.album\n", says: "album.rego: is not the file that was signed", server: true},
	{gate: "readable", file: "board.rego", text: "package uma.policies.board\n\ngrant contains \"view\" if {\n", says: "board.rego:4"},
	{gate: "capabilities", file: "lookup.rego", text: "package uma.guardrails\n\ndeny contains \"blocked\" if http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1/\"}).status_code == 200\n", says: "http.send"},
	{gate: "check", file: "typo.rego", text: "# METADATA\n# scope: package\n# schemas:\n#   - input: schema[\"input-v1\"]\npackage uma.policies.extra\n\ngrant contains \"view\" if \"/x\" in input.subject.group\n", says: "input.subject.group"},
	{gate: "lint", file: "more.rego", text: "package uma.policies.board\n\nallow if input.subject.username == \"eve\"\n", says: "did you mean `grant`?"},
	{gate: "tests", file: "more_test.rego", text: "package more_test\n\nimport data.photoz_test\nimport data.uma.authz\n\ntest_dave_posts if \"post\" in authz.decision.granted with input as photoz_test.request(photoz_test.dave, photoz_test.board, [\"post\"])\n", says: "more_test.test_dave_posts failed"},
	{gate: "impact", file: "all.rego", text: "package uma.policies.album\n\ngrant contains \"*\" if input.subject.type == \"user\"\n", says: "newly", server: true},
}

func (st *story) tell(t *testing.T) {
	before := []expected{
		{"bob", "/album/1#view", true}, {"bob", "/album/1#comment", false}, {"carol", "/album/1#view", false},
		{"carol", "/album/1#comment", false}, {"dave", "/album/1#view", false}, {"bob", "/board#post", true},
	}
	old := st.asks(t, "at first", before...)
	first := decode[[]statusRow](t, st.ok(t, "policy", "status", "-o", "json"))[0].Policy.Revision

	for _, b := range broken {
		folder := policyFolder(t, st.file, func(dir string) {
			if b.gate == "signature" { // changed after it was signed
				defer write(t, filepath.Join(dir, b.file), b.text)
			} else {
				write(t, filepath.Join(dir, b.file), b.text)
			}
			if b.gate == "impact" { // its tests say the same
				if err := os.Remove(filepath.Join(dir, "photoz_test.rego")); err != nil {
					t.Fatal(err)
				}
			}
			signFolder(t, dir)
		})
		if !b.server {
			stdout, _, code := umpire(t, "policy", "check", folder, "--realm", st.file, "-o", "json")
			report := decode[gateReport](t, stdout)
			found := false
			for _, f := range report.Findings {
				found = found || f.Gate == b.gate && f.Severity == "block" && strings.Contains(f.File+":"+fmt.Sprint(f.Line)+" "+f.Message, b.says)
			}
			if code != exitNotPassed || report.OK || !found {
				t.Errorf("%s: policy check: exit %d, %s", b.gate, code, stdout)
			}
		}
		stdout, stderr, code := st.command(t, "policy", "activate", folder)
		if code != exitNotPassed || stdout != "" || !strings.Contains(stderr, b.says) || b.gate == "impact" && !strings.Contains(stderr, "gate impact refuses") {
			t.Errorf("%s: policy activate: exit %d, %s%s", b.gate, code, stdout, stderr)
		}
	}
	if row := decode[[]statusRow](t, st.ok(t, "policy", "status", "-o", "json"))[0]; row.Policy.Revision != first {
		t.Fatalf("got %+v, want the first policy", row)
	}
	st.asks(t, "after the broken ones", before...)

	mended := policyFolder(t, st.file, func(dir string) {
		write(t, filepath.Join(dir, "comment.rego"), "package uma.policies.album\n\n# METADATA\n# labels: {team: photoz, rule: friends-comment}\ngrant contains \"comment\" if {\n\t\"friends\" in input.resource.attributes.visibility\n\t\"/friends\" in input.subject.groups\n}\n")
		test := filepath.Join(dir, "photoz_test.rego")
		text, err := os.ReadFile(test)
		if err != nil {
			t.Fatal(err)
		}
		write(t, test, strings.Replace(string(text), `"granted": {"view"}, "submit": {"comment"}`, `"granted": {"view", "comment"}, "submit": set()`, 1))
		signFolder(t, dir)
	})
	ok(t, "policy", "check", mended, "--realm", st.file)
	impact := decode[audit.ImpactReport](t, st.ok(t, "policy", "impact", "--candidate", mended, "--realm", "photoz", "--max-granted", "2", "--max-refused", "0", "-o", "json"))
	if impact.Granted != 2 || impact.Refused != 0 || impact.Baseline != first || len(impact.Changes) != 2 || impact.Changes[0].Username != "bob" || impact.Changes[0].Scope != "comment" {
		t.Errorf("got %+v", impact)
	}
	change := decode[activatedRow](t, st.ok(t, "policy", "activate", mended, "--note", "reviewed by carol", "-o", "json"))
	if change.Previous != first {
		t.Errorf("got %+v", change)
	}
	eventually(t, "the mended policy", func() bool { return st.ask(t, expected{user: "bob", permission: "/album/1#comment"}) != "" })
	rpts := st.asks(t, "after the activation", expected{"bob", "/album/1#comment", true}, expected{"carol", "/album/1#comment", false})
	if len(rpts) != 1 || !st.active(t, rpts[0]) {
		t.Fatalf("got %d RPTs", len(rpts))
	}
	row := decode[[]decisionRow](t, st.ok(t, "decisions", "list", "--user", "bob", "--limit", "1", "-o", "json"))[0]
	if row.Revision != change.Revision || len(row.Rules) != 1 || row.Rules[0] != "photoz/friends-comment" {
		t.Errorf("got %+v", row)
	}
	if why := st.ok(t, "decisions", "explain", row.ID); !strings.HasPrefix(why, "bob, \"comment\" of Holiday album: granted\n  comment.rego:5  photoz/friends-comment: held\n") {
		t.Errorf("got\n%s", why)
	}

	back := decode[activatedRow](t, st.ok(t, "policy", "rollback", "--revoke", "--note", "alice objects", "-o", "json"))
	if back != (activatedRow{first, change.Revision}) {
		t.Errorf("got %+v", back)
	}
	if st.active(t, rpts[0]) {
		t.Error("an RPT of the withdrawn policy is active")
	}
	for _, rpt := range old {
		if !st.active(t, rpt) {
			t.Error("an RPT of the policy before is no longer active")
		}
	}
	eventually(t, "the first policy", func() bool { return st.ask(t, expected{user: "bob", permission: "/album/1#comment"}) == "" })
	st.asks(t, "after the rollback", before...)
	if rows := decode[[]periodRow](t, st.ok(t, "policy", "history", "-o", "json")); len(rows) != 3 || rows[0].Note != "alice objects" || rows[1].Revision != change.Revision {
		t.Errorf("got %+v", rows)
	}

	recorded := make(map[string]bool)
	for _, row := range decode[[]decisionRow](t, st.ok(t, "decisions", "list", "--limit", "200", "-o", "json")) {
		recorded[row.Request] = true
	}
	for _, id := range st.answered {
		if !recorded[id] {
			t.Errorf("request %s was answered, and there is no record", id)
		}
	}
}
