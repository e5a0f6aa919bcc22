package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// An ordered change is what `umpire policy activate` and `rollback` print.
type ordered struct{ Revision, Previous string }

// policy runs `umpire policy` beside the server.
func (e *env) policy(t *testing.T, args ...string) (change ordered) {
	t.Helper()
	out, stderr, code := umpire(t, append([]string{"policy", "--data", e.Data, "-o", "json", "--realm", e.Realm}, args...)...)
	if err := json.Unmarshal([]byte(out), &change); err != nil || code != 0 {
		t.Fatalf("umpire policy %q: exit %d, %v\n%s%s", args, code, err, out, stderr)
	}
	return change
}

// candidate is the folder of the realm's policies with one more file.
func (e *env) candidate(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(filepath.Dir(e.File), "policies"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestWithdrawnRevision: after `umpire policy rollback --revoke` the RPTs of the withdrawn
// revision are inactive for every face, and those of other revisions are not. That stays so
// when the revision is activated again.
func TestWithdrawnRevision(t *testing.T) {
	t.Parallel()
	for _, f := range faces {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			c := newFaceClient(t, f)
			album := c.register(t, "Album", "view", "print")
			active := func(what, rpt string, want bool) {
				t.Helper()
				if got := c.stands(t, rpt); slices.Equal(got, []string{album}) != want || !want && got != nil {
					t.Errorf("%s: introspection shows %q, want it active: %v", what, got, want)
				}
			}
			before := c.hold(t, "alice", album, "view")
			bad := c.policy(t, "activate", c.candidate(t, "extra.rego", "package lib.extra\n\nx := 1\n"))
			res := c.present(t, "alice", c.askTicket(t, album, "view"))
			withdrawn, refresh := c.rptOf(t, res), res.str("refresh_token")
			active("before the rollback", withdrawn, true)

			back := c.policy(t, "rollback", "--revoke")
			if back.Revision != bad.Previous || back.Previous != bad.Revision {
				t.Errorf("got %+v after %+v", back, bad)
			}
			active("of the withdrawn revision", withdrawn, false)
			active("of the revision before", before, true)
			upgrade := c.presentAs(t, c.as(t, "alice", "photoz-web"), c.askTicket(t, album, "print"), withdrawn)
			if c.words[badRPT].status == 200 {
				active("in place of an upgrade", c.rptOf(t, upgrade), true)
			} else {
				c.says(t, badRPT, upgrade)
			}
			if refresh != "" {
				c.says(t, badRefresh, c.do(t, request{method: "POST", url: c.URL + c.at.token,
					form: form("grant_type", "refresh_token", "client_id", "photoz-web", "refresh_token", refresh)}))
			}

			c.policy(t, "activate", bad.Revision)
			again := c.hold(t, "alice", album, "view")
			active("of the revision that is in force again", again, true)
			active("of its first time", withdrawn, false)
			c.policy(t, "rollback")
			active("after a rollback without --revoke", again, true)
		})
	}
}
