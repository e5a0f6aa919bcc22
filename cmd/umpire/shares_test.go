package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// shared stores shares of alice's albums in a data folder: n approved requests of bob and
// carol, one that is not approved, and a policy for bob and a group. It returns the id of
// her Diary.
func shared(t *testing.T, data string, n int) (diary uma.ResourceID) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	db, err := openStore(t, data)
	must(err)
	defer func() { must(db.Close()) }()
	s, err := db.Snapshot(ctx, "photoz", time.Now())
	must(err)
	view, err := db.View(ctx)
	must(err)
	defer view.Close()
	id := func(name string) string {
		u, err := view.UserByName(ctx, s.Realm.Key, name)
		must(err)
		return u.ID
	}
	api, alice := s.Clients["photoz-api"], id("alice")
	album, err := view.ResourceByName(ctx, api.Key, alice, "Holiday album")
	must(err)
	request := func(i int, requester string, scope uma.Scope, state string) *uma.Request {
		return &uma.Request{
			ID: fmt.Sprintf("request-%04d", i), Server: api.Key, Resource: album.Key, ResourceID: album.ID, Owner: alice,
			Requester: requester, Scope: scope, State: state, Created: time.Now(), Decided: time.Now(),
		}
	}
	for i := range n {
		requester := fmt.Sprintf("gone-%d", i) // of users who are there no more, but for the first
		if i == 0 {
			requester = id("bob")
		}
		must(db.CreateRequest(ctx, request(i, requester, "view", uma.Granted)))
	}
	must(db.CreateRequest(ctx, request(n, id("carol"), "view", uma.Pending)))
	other, err := view.ResourceByName(ctx, api.Key, alice, "Diary")
	must(err)
	must(db.CreateShare(ctx, &uma.Share{
		ID: "policy-1", Kind: uma.ByPolicy, Name: "friends read", Server: api.Key, Resource: other.Key, Owner: alice,
		Scopes: []uma.Scope{"view", "comment"}, Users: []string{id("bob")}, Groups: []string{"/friends"}, Strategy: "AFFIRMATIVE",
	}))
	return other.ID
}

// TestShares: approved requests and user-managed policies are listed while the server runs.
func TestShares(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--realm", example(t))
	diary := shared(t, s.data, 1)
	list := func(flags ...string) []shareRow {
		t.Helper()
		return decode[[]shareRow](t, ok(t, append([]string{"shares", "list", "--data", s.data, "--realm", "photoz", "-o", "json"}, flags...)...))
	}
	all := list()
	if len(all) != 2 {
		t.Fatalf("got %+v, want the request that was approved and the policy", all)
	}
	request, policy := all[0], all[1]
	if request.Kind != "request" || request.ID != "request-0000" || request.Server != "photoz-api" || request.ResourceName != "Holiday album" ||
		request.Owner != "alice" || !slices.Equal(request.Scopes, []uma.Scope{"view"}) || !slices.Equal(request.Users, []string{"bob"}) || request.Granted == nil {
		t.Errorf("got %+v", request)
	}
	if policy.Kind != "policy" || policy.ID != "policy-1" || policy.Name != "friends read" || policy.Resource != diary || policy.ResourceName != "Diary" ||
		policy.Owner != "alice" || len(policy.Scopes) != 2 || policy.Strategy != "AFFIRMATIVE" ||
		!slices.Equal(policy.Users, []string{"bob"}) || !slices.Equal(policy.Groups, []string{"/friends"}) {
		t.Errorf("got %+v", policy)
	}
	for _, tc := range []struct {
		flags []string
		want  int
	}{
		{[]string{"--owner", "alice"}, 2},
		{[]string{"--owner", "bob"}, 0},
		{[]string{"--user", "BOB"}, 2},
		{[]string{"--user", "carol"}, 0}, // who asked and was not answered
		{[]string{"--resource", string(diary)}, 1},
		{[]string{"--resource", "other"}, 0},
		{[]string{"--owner", "alice", "--user", "bob", "--resource", string(request.Resource)}, 1},
	} {
		if got := list(tc.flags...); len(got) != tc.want {
			t.Errorf("%v: got %d shares, want %d", tc.flags, len(got), tc.want)
		}
	}
	table := ok(t, "shares", "list", "--data", s.data, "--realm", "photoz")
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "OWNER") ||
		!slices.Equal(strings.Fields(lines[1]), []string{"alice", "photoz-api", "Holiday", "album", "view", "bob", "request", "request-0000"}) ||
		!strings.Contains(lines[2], "view comment") || !strings.Contains(lines[2], "bob, group /friends") {
		t.Errorf("got table\n%s", table)
	}
	if got := ok(t, "shares", "list", "--data", s.data, "--realm", "photoz", "--owner", "dave"); strings.Count(got, "\n") != 1 {
		t.Errorf("got %s, want the headings alone", got)
	}
}

// TestSharesInPages: a list of several pages has each share once.
func TestSharesInPages(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	ok(t, "realm", "apply", "--data", data, example(t))
	shared(t, data, 2*sharePage)
	all := decode[[]shareRow](t, ok(t, "shares", "list", "--data", data, "--realm", "photoz", "-o", "json"))
	seen := map[string]bool{}
	for _, r := range all {
		seen[r.ID] = true
	}
	if len(all) != 2*sharePage+1 || len(seen) != len(all) {
		t.Errorf("got %d shares, %d of them different, want %d", len(all), len(seen), 2*sharePage+1)
	}
	if all[1].Users[0] != "gone-1" {
		t.Errorf("got %v, want the id of a user who is gone", all[1].Users)
	}
	table := ok(t, "shares", "list", "--data", data, "--realm", "photoz")
	if got := strings.Count(table, "\n"); got != 2*sharePage+2 || strings.Count(table, "OWNER") != 1 {
		t.Errorf("got a table of %d lines, want %d with one of headings", got, 2*sharePage+2)
	}
}

// TestSharesMistakes: an error in the command line names what is wrong.
func TestSharesMistakes(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	ok(t, "realm", "apply", "--data", data, example(t))
	for _, tc := range []struct {
		flags []string
		word  string
		code  int
	}{
		{nil, "--realm", exitUsage},
		{[]string{"--realm", "nobody"}, `"nobody"`, exitUsage},
		{[]string{"--realm", "photoz", "--owner", "nobody"}, "--owner", exitUsage},
		{[]string{"--realm", "photoz", "--user", "nobody"}, "--user", exitUsage},
		{[]string{"--realm", "photoz", "-o", "yaml"}, "--output", exitUsage},
		{[]string{"--realm", "photoz", "now"}, "now", exitUsage},
		{[]string{"--realm", "photoz", "--data", noDatabase(t, t.TempDir())}, "`umpire realm apply FILE`", exitFailed},
	} {
		stdout, stderr, code := umpire(t, append([]string{"shares", "list", "--data", data}, tc.flags...)...)
		if code != tc.code || stdout != "" || !strings.Contains(stderr, tc.word) {
			t.Errorf("%v: got exit %d, %s%s, want %d and %s", tc.flags, code, stdout, stderr, tc.code, tc.word)
		}
	}
}
