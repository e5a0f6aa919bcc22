package main

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// TestAdminTokens: a token is shown once, listed without its secret, and revoked; the
// database has a hash of it.
func TestAdminTokens(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	ok(t, "realm", "apply", example(t), "--data", data)
	command := func(args ...string) []string { return append([]string{"admin", "--data", data}, args...) }
	create := func(args ...string) []string { return command(append([]string{"token", "create"}, args...)...) }

	secret, notice, code := umpire(t, create("--name", "deploy-bot", "--can", "policy", "--expires", "90d", "--note", "in the pipeline")...)
	secret = strings.TrimSpace(secret)
	if code != 0 || !strings.HasPrefix(secret, "umpire_admin_") || len(secret) < 50 || strings.Contains(notice, secret) {
		t.Fatalf("got %q and %q, exit %d", secret, notice, code)
	}
	made := decode[tokenRow](t, ok(t, create("--name", "reader", "--can", "read", "-o", "json")...))
	if made.Token == "" || made.Realm != "photoz" || made.Can != "read" || made.Expires != nil || !made.Active || made.By == "" {
		t.Errorf("got %+v", made)
	}
	list := ok(t, command("token", "list", "-o", "json")...)
	rows := decode[[]tokenRow](t, list)
	if len(rows) != 2 || rows[0].Name != "deploy-bot" || rows[0].Note != "in the pipeline" || rows[0].Revoked != nil ||
		rows[0].Expires.Sub(rows[0].Created).Round(time.Hour) != 90*24*time.Hour {
		t.Errorf("got %s", list)
	}
	if table := ok(t, command("token", "list")...); !strings.Contains(table, "never expires") || strings.Contains(list+table, secret) {
		t.Errorf("got %s", table)
	}

	stored := stored(t, data)
	if bytes.Contains(stored, []byte(secret)) || !bytes.Contains(stored, uma.Digest(secret)) {
		t.Errorf("the database has the token, or not its hash %s", hex.EncodeToString(uma.Digest(secret)))
	}

	if got := decode[tokenRow](t, ok(t, command("token", "revoke", "deploy-bot", "-o", "json")...)); got.Revoked == nil || got.Active {
		t.Errorf("got %+v", got)
	}
	ok(t, create("--name", "deploy-bot", "--can", "policy")...)
	if uses := ok(t, command("uses", "-o", "json")...); uses != "[]\n" {
		t.Errorf("got uses %s", uses)
	}

	for _, test := range []struct {
		args []string
		want string
	}{
		{create("--can", "read"), "--name is missing"},
		{create("--name", "x"), "--can is missing"},
		{create("--name", "x", "--can", "all"), "a token can read or policy"},
		{create("--name", "two words", "--can", "read"), "two words"},
		{create("--name", strings.Repeat("x", 65), "--can", "read"), "at most 64"},
		{create("--name", "x", "--can", "read", "--note", strings.Repeat("x", 1025)), "at most 1024"},
		{create("--name", "x", "--can", "read", "--expires", "2020-01-01"), "expired already"},
		{create("--name", "x", "--can", "read", "--expires", "soon"), "--expires"},
		{create("--name", "reader", "--can", "read"), "has a token reader already"},
		{create("--name", "x", "--can", "read", "--realm", "nowhere"), "the realms are photoz"},
		{command("token", "revoke", "nobody"), `no token "nobody"`},
		{command("token", "list", "--realm", "nowhere"), "the realms are photoz"},
		{command("uses", "--realm", "nowhere"), "the realms are photoz"},
		{command("uses", "--limit", "0"), "--limit"},
	} {
		if _, stderr, code := umpire(t, test.args...); code != exitUsage || !strings.Contains(stderr, test.want) {
			t.Errorf("umpire %s: got exit %d and %q, want one about %q", strings.Join(test.args, " "), code, stderr, test.want)
		}
	}
	if rows := decode[[]tokenRow](t, ok(t, command("token", "list", "-o", "json")...)); len(rows) != 3 {
		t.Errorf("got %d tokens, want 3", len(rows))
	}
}
