package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// decidedOver asks a server for everything: each user for each resource of photoz. It returns
// what is on record, by user, resource and scope: the decision and the rules.
func decidedOver(t *testing.T, s *server, resources map[string]bool) map[string]string {
	t.Helper()
	for _, user := range []string{"alice", "bob", "carol", "dave"} {
		_, signIn := s.post(t, "", url.Values{"grant_type": {"password"}, "client_id": {"photoz-web"}, "username": {user}, "password": {user}})
		token, _ := signIn["access_token"].(string)
		for id := range resources {
			s.post(t, token, url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:uma-ticket"}, "audience": {"photoz-api"}, "permission": {id}, "response_mode": {"decision"},
			})
		}
	}
	got := map[string]string{}
	for line := range strings.Lines(ok(t, "decisions", "export", "--data", s.data, "--realm", "photoz")) {
		var event struct {
			Input struct {
				Subject  struct{ Username string }
				Resource struct{ ID string }
			}
			Custom struct{ Decided []uma.ScopeDecision }
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		for _, d := range event.Custom.Decided {
			got[fmt.Sprint(event.Input.Subject.Username, " ", event.Input.Resource.ID, "#", d.Scope)] = fmt.Sprint(d.Decision, d.Rules)
		}
	}
	return got
}

// activated waits until the server has a policy.
func (s *server) activated(t *testing.T) {
	t.Helper()
	eventually(t, "an active policy", func() bool { return strings.Contains(s.stderr.String(), "policy activated") })
}

// TestAccess: who may do what is what decisions over HTTP say, with shares and requests.
func TestAccess(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--realm", example(t), "--decision-log", "")
	shared(t, s.data, 1)
	s.activated(t)
	access := func(flags ...string) accessReport {
		t.Helper()
		return decode[accessReport](t, ok(t, append([]string{"policy", "access", "--data", s.data, "--realm", "photoz", "-o", "json"}, flags...)...))
	}
	got, resources := map[string]string{}, map[string]bool{}
	for _, user := range []string{"alice", "bob", "carol", "dave"} {
		report := access("--user", user, "--all", "--client", "photoz-web")
		for _, row := range report.Access {
			names := []string{}
			for _, rule := range row.Rules {
				if rule.File == "" || rule.Line == 0 {
					t.Errorf("got %+v, want the places of the rules", row)
				}
				if rule.Rule != "" && !slices.Contains(names, rule.Rule) {
					names = append(names, rule.Rule)
				}
			}
			got[fmt.Sprint(row.Username, " ", row.Resource, "#", row.Scope)] = fmt.Sprint(strings.Replace(string(row.Result), "refused", "denied", 1), names)
			resources[row.Resource] = true
		}
	}
	want := decidedOver(t, s, resources)
	if len(want) < 30 || !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	byResource := access("--resource", "Holiday album")
	var rows []string
	for _, row := range byResource.Access {
		rows = append(rows, fmt.Sprint(row.Username, " ", row.Scope, " ", row.Rules))
	}
	if want := []string{
		"alice view [{owner /umpire/sharing.rego 10}]", "alice comment [{owner", "bob view [{photoz/friends-view album.rego 17} {shared ",
	}; len(rows) != len(want) || !slices.EqualFunc(rows, want, strings.HasPrefix) {
		t.Errorf("got %q, want %q", rows, want)
	}
	if page := access("--resource", "Public board", "--all", "--first", "1", "--limit", "1"); len(page.Access) != 2 || page.Access[0].Username != "bob" || !page.More {
		t.Errorf("got %+v, want bob alone", page)
	}
	if page := access("--user", "dave", "--all", "--first", "3", "--limit", "1"); len(page.Access) == 0 || page.Access[0].ResourceName != "Public board" || page.More {
		t.Errorf("got %+v, want the last resource", page)
	}
	if one := access("--user", "photoz-app", "--resource", "Public board"); one.Access == nil || len(one.Access) != 0 {
		t.Errorf("got %+v, want nothing", one)
	}
	table := ok(t, "policy", "access", "--data", s.data, "--realm", "photoz", "--user", "bob", "--type", "board")
	if want := "bob   Public board  board  view   granted  photoz/board-view (board.rego:"; !strings.Contains(table, want) {
		t.Errorf("got\n%s\nwant %q", table, want)
	}
}

// TestAccessRefuses: what is not there is an error, never an empty list.
func TestAccessRefuses(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data, "--realm", example(t), "--decision-log", "")
	s.activated(t)
	s.stop()
	for _, c := range []struct {
		flags []string
		text  string
	}{
		{[]string{"--user", "bob"}, "--realm is missing"},
		{[]string{"--realm", "photoz"}, "--user or --resource is missing"},
		{[]string{"--realm", "none", "--user", "bob"}, "the realms are photoz"},
		{[]string{"--realm", "photoz", "--user", "nobody"}, `no user "nobody"`},
		{[]string{"--realm", "photoz", "--user", "photoz-web"}, "cannot ask for itself"},
		{[]string{"--realm", "photoz", "--user", "bob", "--client", "none"}, `no client "none"`},
		{[]string{"--realm", "photoz", "--resource", "none"}, `no resource with the id or name "none"`},
		{[]string{"--realm", "photoz", "--user", "bob", "--limit", "0"}, "--limit"},
		{[]string{"--realm", "photoz", "--user", "bob", "--first", "-1"}, "--first"},
	} {
		stdout, stderr, code := umpire(t, append([]string{"policy", "access", "--data", data}, c.flags...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.text) {
			t.Errorf("%v: got exit %d, %s%s, want %q", c.flags, code, stdout, stderr, c.text)
		}
	}
	_, stderr, code := umpire(t, "policy", "access", "--data", noDatabase(t, filepath.Join(data, "none")), "--realm", "photoz", "--user", "bob")
	if code != exitFailed || !strings.Contains(stderr, "`umpire realm apply FILE`") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
