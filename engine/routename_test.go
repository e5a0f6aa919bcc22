package engine_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"example.com/umpire/uma"
)

// hostileNames are names that end a text or a line, or that Go writes with escapes that Rego
// does not know.
var hostileNames = []string{
	`a"b`, `a\b`, "a\nb", "a\ab", "a\x7fb", "a\U0001fae9b", `a\"b`, "a\u2028b", `"`, "default", "if", `{"a"}`, "`", "a.rego", "",
	`x\"] } decision := {\"granted\": {\"*\"}} if { true } q if { data.uma.policies.album[\"y`,
}

// TestNamesWriteNoRego: the name of a package, of one below it, and an alias are texts in the
// generated module. Such a name once closed its text there and added rules that granted
// everything.
func TestNamesWriteNoRego(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(13, 7))
	for i, name := range hostileNames {
		quoted := func(s string) string {
			raw, _ := json.Marshal(s)
			return string(raw)
		}
		aliases := quoted("urn:1") + ": " + quoted(name) + ", " + quoted("urn:"+name) + `: "album", "five": 5, "yes": true, "null": null`
		files := map[string]string{
			"a.rego":    "package uma.policies.album\n\ngrant contains \"view\" if \"user\" in input.subject.roles\n",
			"s.rego":    "package uma.policies.album[" + quoted(name) + "]\n\n# METADATA\n# labels: {rule: below}\nq if input.subject.id\n",
			"t.rego":    fmt.Sprintf("package uma.policies[%s]\n\n# METADATA\n# labels: {rule: own}\ngrant contains \"comment\" if q\n\nq if input.scopes\n\nreasons contains \"t%d\"\n", quoted(name), i),
			"data.json": `{"uma": {"facts": {"type_alias": {` + aliases + `}}}}`,
		}
		compareNames(t, random, files, name, "urn:1", "urn:"+name, "album", "other", "five", "yes", "null")
	}
	injection := `x\"] } decision := {\"granted\": {\"*\"}, \"need_info\": set(), \"submit\": set(), \"reasons\": set(), ` +
		`\"obligations\": set(), \"rests_on\": set(), \"rpt\": {}} if { input.resource.owner_managed } q if { data.uma.policies.album[\"grant`
	compareNames(t, random, map[string]string{
		"a.rego": "package uma.policies.album\n\ngrant contains \"view\" if input.subject.username == \"carol\"\n",
		"s.rego": `package uma.policies.album["` + injection + "\"]\n\nq if input.subject.id\n",
	}, "album")
}

// compareNames compares decisions of both forms on resources of these types.
func compareNames(t *testing.T, random *rand.Rand, files map[string]string, types ...string) {
	t.Helper()
	routed, plain, ok := bothForms(t, files)
	if !ok {
		t.Errorf("%q: the policy is refused", types)
		return
	}
	seen := make(map[string]int)
	rounds := 40
	if raceEnabled {
		rounds = 5
	}
	for range rounds {
		for _, name := range types {
			in := routedInput(random)
			in.Resource = &uma.InputResource{ID: "r", Type: name, Owner: "u-alice", OwnerManaged: random.IntN(2) > 0}
			compareForms(t, files, routed, plain, in, seen)
		}
	}
	if seen["granted"] == 0 || seen["denied"] == 0 {
		t.Errorf("%q: got %v", types, seen)
	}
}
