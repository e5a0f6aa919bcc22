package rollout

import (
	"strings"
	"testing"

	"example.com/umpire/bundles"
)

// routedTests ask the router for what the generated modules cannot know: documents that a
// test replaces.
const routedTests = `package routed_test

import data.uma.authz
import data.uma.guardrails
import data.uma.policies.album
import data.uma.policies.album as same

asked := {
	"subject": {"id": "u-bob", "type": "user", "roles": ["user"], "groups": [], "client_roles": {}}, "client": {"id": "web"},
	"resource": {"type": "album", "owner": "u-alice", "owner_managed": false}, "scopes": ["view", "delete"], "shares": [], "requests": [],
}

decision := d if d := authz.decision with input as asked

test_as_it_is if decision.granted == {"view"}

test_a_member_that_the_team_has if authz.decision.granted == {"delete"} with input as asked with album.grant as {"delete"}

test_a_member_that_the_team_lacks if authz.decision.granted == set() with input as asked with data.uma.policies.album.deny as {"frozen"}

test_by_the_name_of_an_import if authz.decision.granted == set() with input as asked with same.deny as {"frozen"}

test_a_whole_team if authz.decision.submit == {"view"} with input as asked with album as {"submit": {"view"}}

test_guardrails if authz.decision.granted == set() with input as asked with guardrails.deny as {"frozen"}

test_behind_a_rule if decision.granted == set() with data.uma.guardrails as {"deny": {"frozen"}}

test_in_a_comprehension if [d | d := decision.granted with guardrails.deny as {"frozen"}] == [set()]

test_an_alias if authz.decision.granted == {"view"} with input as json.patch(asked, [{"op": "add", "path": "/resource/type", "value": "x"}])
	with data.uma.facts.type_alias as {"x": "album"}

test_without_a_list_of_teams if authz.decision.granted == set() with input as asked with data.uma.teams as {}

test_data_of_a_library if authz.decision.granted == {"view", "delete"} with input as asked with data.lib.more as ["delete"]

test_a_deny_that_is_no_set if authz.decision.granted == set() with input as json.patch(asked, [{"op": "add", "path": "/resource/type", "value": "odd"}])

test_members_by_data if authz.decision.granted == set() with input as json.patch(asked, [{"op": "add", "path": "/resource/type", "value": "listed"}])
`

// Tests of a policy are answered by the generated modules, unless they replace what those were
// generated from.
func TestRoutedInTests(t *testing.T) {
	t.Parallel()
	outcome, err := InProcess(t.Context(), &Job{Files: map[string]string{
		"album.rego":       "package uma.policies.album\n\ngrant contains \"view\"\n\ngrant contains s if some s in data.lib.more\n",
		"odd.rego":         "package uma.policies.odd\n\ngrant contains \"view\"\n\ndeny := \"frozen\"\n",
		"listed.rego":      "package uma.policies.listed\n\ngrant contains \"view\"\n",
		"data.json":        `{"lib": {"more": []}, "uma": {"policies": {"listed": {"deny": ["frozen"]}}}}`,
		"routed_test.rego": routedTests,
	}})
	if err != nil || len(outcome.Findings) > 0 {
		t.Fatalf("got %+v, %v", outcome, err)
	}
	if got, want := len(outcome.Results.Tests), strings.Count(routedTests, "\ntest_"); got != want {
		t.Errorf("got %d tests, want %d", got, want)
	}
	for _, r := range outcome.Results.Tests {
		if r.Failure != "" {
			t.Errorf("%s: %s", r.Name, r.Failure)
		}
	}
	if outcome.Results.Coverage != 100 || len(outcome.Results.Files) != 3 {
		t.Errorf("got coverage %v of %+v, want that of the realm's files", outcome.Results.Coverage, outcome.Results.Files)
	}
}

// What fails in a test is shown as it is written.
func TestRoutedIsNotShown(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"a test": {
			"album.rego":  "package uma.policies.album\n\ngrant contains \"view\"\n",
			"x_test.rego": "package x_test\n\ntest_x if data.uma.authz.decision.granted == {\"x\"} with data.uma.guardrails.deny as {\"frozen\"}\n",
		},
		"a recursive rule": {
			"album.rego":  "package uma.policies.album\n\ngrant contains \"view\" if data.uma.authz.decision\n",
			"x_test.rego": "package x_test\n\ntest_x if true\n",
		},
	} {
		outcome, err := InProcess(t.Context(), &Job{Files: files})
		if err != nil {
			t.Fatal(err)
		}
		var shown strings.Builder
		for i := range outcome.Findings {
			shown.WriteString(outcome.Findings[i].Error())
		}
		if outcome.Results == nil {
			outcome.Results = new(bundles.Results)
		}
		for _, r := range outcome.Results.Tests {
			shown.WriteString(r.Failure + r.Output)
		}
		if text := shown.String(); text == "" || strings.Contains(text, "uma.routed as") || strings.Contains(text, "umpire/routed") {
			t.Errorf("%s: got %q", name, text)
		}
	}
}
