package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// board asks as bob for a permission on the board, decision alone.
func (e *env) board(t testing.TB) int {
	t.Helper()
	return e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Public board#view", "response_mode", "decision").status
}

// logged reports whether the server's log says all of this in one line.
func (e *env) logged(t testing.TB, words ...string) bool {
	t.Helper()
	for line := range strings.Lines(string(readFile(t, filepath.Join(e.Data, "server.log")))) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return true
		}
	}
	return false
}

// TestBundleIsWatched: the folder's policy is in force as it is, however it is
// changed, and one that is no good leaves the one before it in force.
func TestBundleIsWatched(t *testing.T) {
	t.Parallel()
	e := start(t)
	folder := filepath.Join(filepath.Dir(e.File), "policies")
	ready := func() int { return e.do(t, request{method: "GET", url: e.Admin + "/readyz"}).status }
	if got := e.board(t); got != 200 {
		t.Fatalf("at first: got %d, want 200", got)
	}

	for name, text := range map[string]string{
		"does not parse":            "package uma.policies.board\ngrant contains",
		"does not compile":          "package uma.policies.board\ngrant contains s if s == t",
		"names input that is none":  "package uma.policies.board\n\n# METADATA\n# schemas:\n#   - input: schema[\"input-v1\"]\ngrant contains \"view\" if input.subjekt.id",
		"takes the library's place": "package uma.authz\ngranted := {\"view\"}",
		"has a deny that is no set": "package uma.policies.board\ndeny if input.subject.id",
		"sends requests":            "package uma.policies.board\ngrant contains \"view\" if http.send({\"url\": \"http://127.0.0.1\", \"method\": \"GET\"})",
	} {
		e.writePolicy(t, "bad.rego", text)
		within1s(t, "the log about a policy that "+name, func() bool {
			return e.logged(t, "policy not activated", "bad.rego", `"still_active":true`)
		})
		if got := e.board(t); got != 200 || ready() != 200 {
			t.Errorf("a policy that %s: got %d, and %d when asked whether it is ready", name, got, ready())
		}
	}
	if err := os.Remove(filepath.Join(folder, "bad.rego")); err != nil {
		t.Fatal(err)
	}

	e.writePolicy(t, "board.rego", "package uma.policies.board\nreasons contains \"closed\"\n")
	within1s(t, "a changed file", func() bool { return e.board(t) == 403 })
	e.writePolicy(t, "more.rego", "package uma.policies.board\ngrant contains \"view\"\n")
	within1s(t, "a new file", func() bool { return e.board(t) == 200 })
	if err := os.Mkdir(filepath.Join(folder, "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	e.writePolicy(t, filepath.Join("deep", "more.rego"), "package uma.policies.board\ndeny contains {\"reason\": \"closed today\"}\n")
	within1s(t, "a file in a new folder", func() bool { return e.board(t) == 403 })
	e.writePolicy(t, filepath.Join("deep", "more.rego"), "package uma.policies.board\nreasons contains \"open\"\n")
	within1s(t, "a denial that is taken out of its file", func() bool { return e.board(t) == 200 })
	if err := os.Rename(filepath.Join(folder, "more.rego"), filepath.Join(folder, "deep", "more.rego")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(folder, "deep"), filepath.Join(folder, ".deep")); err != nil {
		t.Fatal(err)
	}
	within1s(t, "a folder that is hidden", func() bool { return e.board(t) == 403 })
	e.writePolicy(t, "more.rego", "package uma.policies.board\ngrant contains \"view\"\n")
	within1s(t, "the file again", func() bool { return e.board(t) == 200 })
	e.writePolicy(t, "data.json", `{"uma": {"facts": {"type_alias": {"board": "admin"}}}}`)
	within1s(t, "a data file", func() bool { return e.board(t) == 403 })

	// A folder that is gone is a mistake too, and no empty policy.
	if err := os.Rename(folder, folder+".gone"); err != nil {
		t.Fatal(err)
	}
	within1s(t, "the log about a folder that is gone", func() bool { return e.logged(t, "policy not activated", "no such file") })
	if got := e.uma(t, e.as(t, "dave", "photoz-app"), "permission", "Public board#view", "response_mode", "decision").status; got != 200 {
		t.Errorf("without the folder: got %d, want the policy from before", got)
	}
	if err := os.Rename(folder+".gone", folder); err != nil {
		t.Fatal(err)
	}
}

// TestEmptiedFolder: files that disappear from the policy folder grant nothing that
// they denied, until the realm file permits their removal.
func TestEmptiedFolder(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, map[string]string{"guard.rego": "package uma.guardrails\ndeny contains \"closed\" if \"view\" in input.scopes\n"}))
	folder := filepath.Join(filepath.Dir(e.File), "policies")
	if got := e.board(t); got != 403 {
		t.Fatalf("at first: got %d, want 403", got)
	}
	refused := func(what string, words ...string) {
		t.Helper()
		within1s(t, "the log about "+what, func() bool {
			return e.logged(t, append(words, "policy not activated", `"still_active":true`)...)
		})
		if got := e.board(t); got != 403 {
			t.Errorf("without %s: got %d, want the policy from before", what, got)
		}
	}
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(folder, from), filepath.Join(folder, to)); err != nil {
			t.Fatal(err)
		}
	}
	move("guard.rego", "guard.off")
	refused("guardrails", "no longer has uma.guardrails")
	move("board.rego", "board.off")
	refused("the package of a type", "uma.policies.board (there are resources of type board)")
	away := folder + ".away"
	if err := os.Rename(folder, away); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	refused("any file", "no longer has any policy file")
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, folder); err != nil {
		t.Fatal(err)
	}
	move("board.off", "board.rego")
	e.apply(t, strings.Replace(photozRealm(t), "bundle: ./policies", "bundle: "+folder+", removed: [uma.guardrails]", 1))
	within1s(t, "the policy without guardrails", func() bool { return e.board(t) == 200 })
	metrics := string(e.admin(t, "/metrics").raw)
	for _, line := range []string{`umpire_policy_activation_failures_total\{realm="photoz"\} [1-9]\d*`, `umpire_policy_activation_timestamp_seconds\{realm="photoz"\} [1-9]`} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(metrics) {
			t.Errorf("metrics have no line %s", line)
		}
	}
}

// TestDenyListMovedAway: neither a list that rules read nor a file of denials can
// vanish, while a list may be changed and moved.
func TestDenyListMovedAway(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, map[string]string{
		"day.rego":   "package uma.guardrails\ndeny contains \"listed\" if input.subject.username in data.lib.blocked\n",
		"night.rego": "package uma.guardrails\ndeny contains \"night\" if input.subject.username in [\"erin\"]\n",
		"data.json":  `{"lib": {"blocked": ["bob"]}}`,
	}))
	folder := filepath.Join(filepath.Dir(e.File), "policies")
	asks := func(user string) int {
		return e.uma(t, e.as(t, user, "photoz-app"), "permission", "Public board#view", "response_mode", "decision").status
	}
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(folder, from), filepath.Join(folder, to)); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(word string) {
		t.Helper()
		within1s(t, "the log about "+word, func() bool { return e.logged(t, "policy not activated", "no longer has", word) })
		if bob, erin := asks("bob"), asks("erin"); bob != 403 || erin != 403 {
			t.Errorf("without %s: got %d for bob and %d for erin, want 403", word, bob, erin)
		}
	}
	if bob, erin := asks("bob"), asks("erin"); bob != 403 || erin != 403 {
		t.Fatalf("at first: got %d for bob and %d for erin, want 403", bob, erin)
	}
	move("data.json", "data.off")
	refused("data.lib.blocked")
	e.writePolicy(t, "data.json", `{"lib": {"blocked": ["bob", "dave"]}}`)
	within1s(t, "a longer list", func() bool { return asks("dave") == 403 })
	move("data.json", "data.yaml")
	e.writePolicy(t, "data.yaml", "lib: {blocked: [bob]}\n")
	within1s(t, "a list that moved", func() bool { return asks("dave") == 200 })
	move("night.rego", "night.off")
	refused("night.rego")
	e.apply(t, strings.Replace(photozRealm(t), "bundle: ./policies", "bundle: "+folder+", removed: [night.rego]", 1))
	within1s(t, "a removal on purpose", func() bool { return asks("erin") == 200 })
}

// TestNumbersOfPolicyData: a rule compares with the number that a data file has,
// not with the nearest one that a machine word holds.
func TestNumbersOfPolicyData(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, map[string]string{
		"data.yaml": "lib: {y: {account: 9007199254740993, long: 12345678901234567890123}}\n",
		"data.json": `{"lib": {"j": {"account": 9007199254740993, "long": 12345678901234567890123}}}`,
		"board.rego": `package uma.policies.board

grant contains "view" if {
	every data_file in [data.lib.y, data.lib.j] {
		data_file.account == 9007199254740993
		data_file.account != 9007199254740992
		data_file.long == 12345678901234567890123
		data_file.long != 12345678901234567890124
		format_int(data_file.long, 10) == "12345678901234567890123"
	}
}
`,
	}))
	if got := e.board(t); got != 200 {
		t.Errorf("got %d, want 200: the numbers as they were written", got)
	}
}

// broken is a realm with a type whose policy fails in several ways, by scope.
func broken(t testing.TB, replace ...string) func(*options) {
	t.Helper()
	text := []string{
		"resources:\n", "resources:\n  - {name: Broken, resource_server: photoz-api, type: broken, uris: [/broken], scopes: [conflict, slow, builtin, fine]}\n",
	}
	return photozWith(t, map[string]string{"broken.rego": `package uma.policies.broken

rpt := {"ttl": 60} if "conflict" in input.scopes
rpt := {"ttl": 61} if "conflict" in input.scopes

grant contains "slow" if {
	"slow" in input.scopes
	some a in numbers.range(1, 3000)
	some b in numbers.range(1, 3000)
	a * b == -1
}

grant contains "builtin" if {
	"builtin" in input.scopes
	json.unmarshal(input.subject.username)
}

grant contains "builtin"

grant contains "fine" if json.unmarshal(input.claims.pushed.n[0]) == 5

grant contains "fine" if "fine" in input.scopes
`}, append(text, replace...)...)
}

// TestPolicyErrors: a policy that gives no answer refuses with 503 what was
// named, the ticket unspent and the error on record; what was only found is left
// out (design §4).
func TestPolicyErrors(t *testing.T) {
	t.Parallel()
	e := start(t, broken(t, "grant: partial}", "grant: partial, timeout: 1s}"))
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	for scope, words := range map[string]string{"conflict": "conflict", "slow": "longer than its deadline"} {
		ticket := e.ticket(t, perm{Resource: "Broken", Scopes: []string{scope}})
		for range 2 { // the second time shows that the ticket was not spent
			r, event := onlyRecord(t, db, func() {
				res := e.uma(t, bob, "ticket", ticket)
				res.expect(t, 503, "server_error", "The policy could not be evaluated")
				if res.header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			})
			text, _ := event["error"].(string)
			if r.Outcome != "error" || !strings.Contains(text, words) || event["result"] != nil {
				t.Errorf("%s: got outcome %s, error %q, result %v", scope, r.Outcome, text, event["result"])
			}
		}
		e.uma(t, bob, "permission", "Broken#"+scope).expect(t, 503, "server_error", "")
		e.uma(t, bob, "permission", "Public board", "permission", "Broken#"+scope).expect(t, 503, "server_error", "")
	}

	// A built-in function that fails grants nothing, and is no error of the
	// policy: what a client sends could provoke it.
	_, event := onlyRecord(t, db, func() {
		e.uma(t, bob, "permission", "Broken#builtin").expect(t, 403, "access_denied", "not_authorized")
	})
	if text, _ := event["error"].(string); !strings.Contains(text, "json.unmarshal") {
		t.Errorf("got error %q on record, want the name of the built-in function", event["error"])
	}
	e.uma(t, bob, "permission", "Broken#fine").expectGranted(t, "Broken: fine")

	// Nor is a panic of OPA's about a number.
	r, event := onlyRecord(t, db, func() {
		claims := pushed(t, map[string][]string{"n": {"1e9223372036854775807"}})
		e.uma(t, bob, "permission", "Broken#fine", "claim_token", claims, "claim_token_format", claimsJWT).expect(t, 403, "access_denied", "not_authorized")
	})
	if text, _ := event["error"].(string); r.Outcome != "error" || !strings.Contains(text, "panic in the policy engine") {
		t.Errorf("got outcome %s, error %q", r.Outcome, event["error"])
	}
}

// TestPolicyErrorsInASearch: in an all-entitlements request a permission without
// an answer is left out, and is on record.
func TestPolicyErrorsInASearch(t *testing.T) {
	t.Parallel()
	e := start(t, broken(t, "grant: partial}", "grant: partial, timeout: 1s}"))
	db := e.stored(t)
	failed := 0
	records := recordsOf(t, db, func() {
		res := e.uma(t, e.as(t, "bob", "photoz-app"), "response_mode", "permissions")
		if res.status != 200 || strings.Contains(string(res.raw), "Broken") || !strings.Contains(string(res.raw), "Public board") {
			t.Errorf("got %s, want all but Broken", res)
		}
	})
	for _, r := range records {
		if r.Outcome == "error" {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("got %d errors on record, want 1", failed)
	}
}

// TestDeadline: one evaluation has policy.timeout, whatever it is about.
func TestDeadline(t *testing.T) {
	t.Parallel()
	e := start(t, broken(t, "grant: partial}", "grant: partial, timeout: 20ms}")) // where a realm does not say, a test does
	began := time.Now()
	e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Broken#slow").expect(t, 503, "server_error", "")
	if took := time.Since(began); took > 5*time.Second { // without one it takes far longer
		t.Errorf("took %s, want about 20 ms", took)
	}
}

// TestContract: a policy can narrow what was asked for and never widen it.
func TestContract(t *testing.T) {
	t.Parallel()
	const output = `"need_info": set(), "submit": set(), "reasons": set(), "obligations": set(), "rpt": {}, "rests_on": set()`
	tests := []struct {
		name, decision string
		status         int
	}{
		{"what was asked for", `{"granted": {"view"}, ` + output + `}`, 200},
		{"everything", `{"granted": {"*"}, ` + output + `}`, 200},
		{"less", `{"granted": set(), ` + output + `}`, 403},
		{"more than was asked for", `{"granted": {"view", "post"}, ` + output + `}`, 503},
		{"everything and more", `{"granted": {"*", "post"}, ` + output + `}`, 503},
		{"a scope that nobody knows", `{"granted": {"fly"}, ` + output + `}`, 503},
		{"to be submitted: more", strings.Replace(`{"granted": {"view"}, `+output+`}`, `"submit": set()`, `"submit": {"post"}`, 1), 503},
		{"an unknown share", strings.Replace(`{"granted": {"view"}, `+output+`}`, `"rests_on": set()`, `"rests_on": {"x"}`, 1), 503},
		{"an unknown member", `{"granted": {"view"}, "allow": true, ` + output + `}`, 503},
		{"a member missing", `{"granted": {"view"}}`, 503},
		{"a wrong type", `{"granted": true, ` + output + `}`, 503},
		{"no object", `true`, 503},
		{"undefined", `1 if input.realm == "elsewhere"`, 503},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := start(t, photozWith(t, map[string]string{"own.rego": "package lib.own\nimport rego.v1\ndecision := " + tc.decision}, "grant: partial}", "grant: partial, entrypoint: data.lib.own.decision}"))
			db := e.stored(t)
			ticket := e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})
			r, event := onlyRecord(t, db, func() {
				res := e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket)
				if res.status != tc.status || res.status != 200 && res.str("access_token") != "" {
					t.Errorf("got %s, want %d", res, tc.status)
				}
				if res.status == 200 {
					res.expectGranted(t, "Public board: view")
				}
			})
			if event["path"] != "lib/own/decision" || (r.Outcome == "error") != (tc.status == 503) || (event["error"] == nil) != (tc.status != 503) {
				t.Errorf("got a record of %v with outcome %s and error %v", event["path"], r.Outcome, event["error"])
			}
			if again := e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", ticket); (again.status == 503) != (tc.status == 503) {
				t.Errorf("the ticket again: got %s", again)
			}
		})
	}
}

// TestMaxPermissionsOfATicket: a ticket for more than the realm allows a request
// is refused by the name of the setting; it could never be used.
func TestMaxPermissionsOfATicket(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, nil, "grant: partial}", "grant: partial, max_permissions: 3}"))
	perms := []perm{{Resource: "Public board"}, {Resource: "Mixed"}, {Resource: "Account"}, {Resource: "Bare"}}
	if res := e.uma(t, e.as(t, "bob", "photoz-app"), "ticket", e.ticket(t, perms[:3]...)); res.status != 200 {
		t.Errorf("three: got %s, want 200", res)
	}
	res := e.send(t, "POST", permission, e.service(t, "photoz-api"), perms)
	res.expect(t, 400, "invalid_request", "")
	if !strings.Contains(res.str("error_description"), "max_permissions") {
		t.Errorf("got %s, want the name of the setting", res)
	}
}
