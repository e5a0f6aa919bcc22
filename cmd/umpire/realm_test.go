package main

import (
	"encoding/xml"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// TestRealmCheck: all mistakes of a realm file and its policies are listed with their lines.
func TestRealmCheck(t *testing.T) {
	t.Parallel()
	good := example(t)
	if got := ok(t, "realm", "check", good); !strings.Contains(got, "realm photoz, 3 clients, 4 users, 4 resources: fine") {
		t.Errorf("got %q", got)
	}
	if _, stderr, _ := umpire(t, "realm", "check", example(t, "secret: photoz-app-secret", "secret: short")); !regexp.MustCompile(`realm\.yaml:\d+:\d+: clients\[2\]\.secret: is short`).MatchString(stderr) {
		t.Errorf("a short secret: got %q, want a notice", stderr)
	}

	bad := example(t, "public: true", "pubic: true", "signing_alg: RS256", "signing_alg: HS256", "owner: alice, type: album, uris: [/album/1]", "owner: nobody, type: album, uris: [/album/1]", "ticket: 2m", "ticket: soon")
	stdout, stderr, code := umpire(t, "realm", "check", bad, good)
	if code != exitNotPassed || !strings.Contains(stdout, good+": realm photoz") {
		t.Errorf("one of two files is bad: exit %d, %q; want exit 3, and the other checked", code, stdout)
	}
	for _, mistake := range []string{`:5:\d+: tokens\.ticket: `, `:5:\d+: tokens\.signing_alg: `, `:13:\d+: clients\[1\]\.pubic: `, `:\d+:\d+: resources\[2\]\.owner: .*"nobody"`} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(bad) + mistake).MatchString(stderr) {
			t.Errorf("got %s, want a line with %s", stderr, mistake)
		}
	}

	file := example(t)
	write(t, filepath.Join(filepath.Dir(file), "policies", "board.rego"), "package uma.policies.board\n\ndeny if input.subject.id\n")
	if _, stderr, code := umpire(t, "realm", "check", file); code != exitNotPassed || !strings.Contains(stderr, "board.rego:3") || !strings.Contains(stderr, "deny contains") {
		t.Errorf("a policy with a mistake: exit %d, %s", code, stderr)
	}
	if _, stderr, code := umpire(t, "realm", "check", example(t, "profile: keycloak", "profile: uma1")); code != exitNotPassed || !strings.Contains(stderr, "want keycloak or uma2") {
		t.Errorf("profile uma1: exit %d, %s", code, stderr)
	}
}

// TestRealmApply: applying a file lists its changes; applying it again changes nothing.
func TestRealmApply(t *testing.T) {
	t.Parallel()
	data, file := t.TempDir(), example(t)
	first := ok(t, "realm", "apply", "--data", data, file)
	for _, row := range []string{"realm photoz", "client photoz-api", "user bob", "resource Diary"} {
		if !regexp.MustCompile(`(?m)^created +` + row + `$`).MatchString(first) {
			t.Errorf("got %s, want %s created", first, row)
		}
	}
	if again := ok(t, "realm", "apply", "--data", data, file); again != "realm photoz: no changes\n" {
		t.Errorf("a second time: got %q", again)
	}
	changed := example(t, "roles: [user, uma_authorization]\n    groups: [/friends]", "roles: [user]\n    groups: [/friends]")
	if got := ok(t, "realm", "apply", "--data", data, changed); !regexp.MustCompile(`(?m)^updated +user bob$`).MatchString(got) {
		t.Errorf("changed: got %q", got)
	}

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^  - username: dave.*(\n    .*)*\n`).ReplaceAll(text, nil)
	write(t, file, string(text))
	reports := decode[map[string]uma.RealmReport](t, ok(t, "realm", "apply", "--data", data, "-o", "json", file))
	if got := reports["photoz"].Removed; !slices.Equal(got, []string{"user dave"}) {
		t.Errorf("got removed %v, want dave, on whom nothing depends", got)
	}
	if info, err := os.Stat(filepath.Join(data, "umpire.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v; want mode 0600", info, err)
	}
}

// TestPolicyCheck compiles a realm's policy with the shipped library.
func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	file := example(t)
	folder := filepath.Join(filepath.Dir(file), "policies")
	for _, path := range []string{file, folder} {
		if got := ok(t, "policy", "check", path); got != path+": fine\ndecisions are cached: yes\n" {
			t.Errorf("got %q", got)
		}
	}
	for name, text := range map[string]string{
		"does not parse":   "package uma.policies.board\n\ngrant contains",
		"does not compile": "package uma.policies.board\n\ngrant contains x",
		"another package":  "package uma.authz\n\n",
		"no set":           "package uma.policies.board\n\ngrant := true",
		"network":          "package uma.policies.board\n\ngrant contains http.send({}).body",
	} {
		write(t, filepath.Join(folder, "extra.rego"), text)
		for _, path := range []string{file, folder} {
			stdout, stderr, code := umpire(t, "policy", "check", path)
			if code != exitNotPassed || stdout != "" || !strings.Contains(stderr, "extra.rego:") {
				t.Errorf("%s: exit %d, %q, %q; want exit 3 and the file's line", name, code, stdout, stderr)
			}
		}
	}
	if _, stderr, code := umpire(t, "policy", "check", filepath.Join(folder, "nowhere")); code != exitNotPassed || !strings.Contains(stderr, "nowhere") {
		t.Errorf("a folder that is not there: exit %d, %s", code, stderr)
	}
}

// TestPolicyBundle: the commands take a bundle file, by its name and in a realm file. Mistakes
// have its path before that of the file in it.
func TestPolicyBundle(t *testing.T) {
	t.Parallel()
	file := example(t, "bundle: ./policies", "bundle: ./policies.tar.gz")
	folder := filepath.Join(filepath.Dir(file), "policies")
	bundle := folder + ".tar.gz"
	build := func() { t.Helper(); buildBundle(t, folder, bundle) }
	if _, stderr, code := umpire(t, "realm", "check", file); code != exitNotPassed || !strings.Contains(stderr, "policy.bundle: ") {
		t.Errorf("without the bundle: exit %d, %s", code, stderr)
	}
	build()
	for _, path := range []string{file, bundle} {
		if got := ok(t, "policy", "check", path); got != path+": fine\ndecisions are cached: yes\n" {
			t.Errorf("check: got %q", got)
		}
		of := decode[testReport](t, ok(t, "policy", "test", path, "-o", "json"))
		if want := decode[testReport](t, ok(t, "policy", "test", folder, "-o", "json")); len(of.Tests) != len(want.Tests) || of.Failed != 0 || of.Coverage != want.Coverage {
			t.Errorf("test: got %d tests, %v %% covered, want %d and %v as of the folder", len(of.Tests), of.Coverage, len(want.Tests), want.Coverage)
		}
	}
	ok(t, "realm", "check", file)
	ok(t, "realm", "apply", "--data", t.TempDir(), file)

	write(t, filepath.Join(folder, "extra.rego"), "package uma.authz\n")
	build()
	for _, args := range [][]string{{"policy", "check", bundle}, {"policy", "check", file}, {"realm", "check", file}} {
		if _, stderr, code := umpire(t, args...); code != exitNotPassed || !regexp.MustCompile(`policies\.tar\.gz/.*extra\.rego:1: package uma\.authz: `).MatchString(stderr) {
			t.Errorf("%q: exit %d, %s", args[:2], code, stderr)
		}
	}
	write(t, bundle, "no archive")
	for _, args := range [][]string{{"policy", "check", bundle}, {"policy", "test", file}, {"realm", "check", file}} {
		if _, stderr, code := umpire(t, args...); code != exitNotPassed || !strings.Contains(stderr, "policies.tar.gz: want a tar archive") {
			t.Errorf("%q: exit %d, %s", args[:2], code, stderr)
		}
	}
}

// TestPolicyTest runs the tests of a realm's policy.
func TestPolicyTest(t *testing.T) {
	t.Parallel()
	file := example(t)
	folder := filepath.Join(filepath.Dir(file), "policies")
	if got := ok(t, "policy", "test", file); !regexp.MustCompile(`^[1-9]\d* tests, 0 failed, \d+\.\d % of`).MatchString(got) {
		t.Errorf("got %q", got)
	}
	all := decode[testReport](t, ok(t, "policy", "test", folder, "-o", "json"))
	one := decode[testReport](t, ok(t, "policy", "test", folder, "-o", "json", "--run", "test_share_is_named"))
	if len(one.Tests) != 1 || len(all.Tests) <= 1 || one.Tests[0].Outcome != "pass" || all.Coverage <= 0 {
		t.Errorf("got %d tests, and %v with --run", len(all.Tests), one.Tests)
	}
	for name, tc := range map[string]struct {
		args  []string
		words string
	}{
		"none of that name":   {[]string{"--run", "no_such_test"}, "--run: no test matches"},
		"too little coverage": {[]string{"--threshold", "100.5"}, "less than 100.5 %"},
	} {
		if _, stderr, code := umpire(t, append([]string{"policy", "test", folder}, tc.args...)...); code != exitNotPassed || !strings.Contains(stderr, tc.words) {
			t.Errorf("%s: exit %d, %s; want exit 3", name, code, stderr)
		}
	}

	write(t, filepath.Join(folder, "wrong_test.rego"), "package wrong_test\n\ntest_wrong if 1 == 2\n\ntodo_test_later if 1 == 2\n")
	stdout, _, code := umpire(t, "policy", "test", folder)
	if code != exitNotPassed || !strings.Contains(stdout, "wrong_test.rego:3") || !strings.Contains(stdout, "1 failed") {
		t.Errorf("a test that fails: exit %d, %s; want its line", code, stdout)
	}
	if _, stderr, code := umpire(t, "policy", "test", t.TempDir()); code != exitNotPassed || !strings.Contains(stderr, "there are no tests") {
		t.Errorf("an empty folder: exit %d, %s", code, stderr)
	}
	if _, stderr, code := umpire(t, "policy", "test", folder, "--run", "["); code != exitUsage || !strings.Contains(stderr, "--run") {
		t.Errorf("no regular expression: exit %d, %s", code, stderr)
	}
	// The check of a policy runs its tests.
	if stdout, stderr, code := umpire(t, "policy", "check", folder); code != exitNotPassed || stdout != "" || !strings.Contains(stderr, "wrong_test.rego:3: data.wrong_test.test_wrong failed") {
		t.Errorf("policy check: exit %d, %q, %q; want the failed test", code, stdout, stderr)
	}
}

// TestPolicyTestReport: text, JSON and JUnit have the values of a failed expression; text and
// JSON the lines that no test covers.
func TestPolicyTestReport(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "a.rego"), "package lib.a\n\nlimit(x) := x * 2\n\nnever if {\n\tinput.x\n\tinput.y\n}\n\nnor := 1 if input.z\n")
	write(t, filepath.Join(folder, "a_test.rego"), `package a_test

import data.lib.a

test_limit if {
	got := a.limit(21)
	print("asked")
	got == 43
}

todo_test_later if false
`)
	at := filepath.Join(folder, "a_test.rego")
	stdout, _, code := umpire(t, "policy", "test", folder)
	want := "fail  " + at + ":5  data.a_test.test_limit\n    " + at + ":8:\n    \tgot == 43\n    \t|\n    \t42\n    asked\n" +
		"skip  " + at + ":11  data.a_test.todo_test_later\n" +
		"not covered  " + filepath.Join(folder, "a.rego") + ":5-7,10\n2 tests, 1 failed, "
	if code != exitNotPassed || !strings.HasPrefix(stdout, want) {
		t.Errorf("exit %d, got\n%s\nwant\n%s", code, stdout, want)
	}
	stdout, _, _ = umpire(t, "policy", "test", folder, "-o", "json")
	for _, member := range []string{`"tests": [`, `"seconds": `, `"not_covered": [`, `"outcome": "skip"`, `"output": "asked\n"`} {
		if !strings.Contains(stdout, member) {
			t.Errorf("no %s in %s", member, stdout)
		}
	}
	stdout, _, code = umpire(t, "policy", "test", folder, "-o", "junit")
	var junit struct {
		Suites []struct {
			Name                     string `xml:"name,attr"`
			Tests, Failures, Skipped int    `xml:",attr"`
			Cases                    []struct {
				Name    string  `xml:"name,attr"`
				Failure *string `xml:"failure"`
				Skipped *string `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(stdout), &junit); err != nil || code != exitNotPassed || len(junit.Suites) != 1 || len(junit.Suites[0].Cases) != 2 {
		t.Fatalf("exit %d, %v: %s", code, err, stdout)
	}
	if c := junit.Suites[0].Cases; c[0].Name != "test_limit" || c[0].Failure == nil || !strings.Contains(*c[0].Failure, "42") || c[1].Skipped == nil {
		t.Errorf("got %s", stdout)
	}
	if _, stderr, code := umpire(t, "policy", "test", folder, "-o", "xml"); code != exitUsage || !strings.Contains(stderr, "junit") {
		t.Errorf("another output: exit %d, %s", code, stderr)
	}
	if got := ok(t, "policy", "test", folder, "-o", "json", "--run", "later"); !strings.Contains(got, `"failed": 0`) {
		t.Errorf("got %s", got)
	}
}

// TestPolicyMistakesAreLocated: every command prints OPA's mistakes with paths relative to
// the working directory, and names functions that policies may not call.
func TestPolicyMistakesAreLocated(t *testing.T) {
	t.Parallel()
	file := example(t)
	folder := filepath.Join(filepath.Dir(file), "policies")
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	shown, err := filepath.Rel(here, folder)
	if err != nil || len(shown) >= len(folder) {
		shown = folder
	}
	at := filepath.Join(shown, "extra.rego")
	for text, want := range map[string]string{
		"# METADATA\n# schemas:\n#   - input: schema[\"input-v1\"]\npackage uma.policies.extra\n\ngrant contains \"x\" if input.subjekt\n": at + ":6: rego_type_error: undefined ref: input.subjekt\n\tinput.subjekt\n\t      ^\n",
		"package uma.policies.extra\n\ngrant contains http.send({}).body\n":                                                                at + ":3: http.send is not available in Umpire: a decision depends on",
		"package uma.policies.extra\n\ngrant contains\n":                                                                                   at + ":4: rego_parse_error: unexpected eof token\n\tgrant contains\n\t             ^\n",
	} {
		write(t, filepath.Join(folder, "extra.rego"), text)
		for _, args := range [][]string{
			{"policy", "check", file}, {"policy", "check", folder}, {"policy", "test", file}, {"realm", "check", file},
			{"serve", "--realm", file, "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "", "--decision-log", ""},
		} {
			if _, stderr, code := umpire(t, args...); code == 0 || !strings.Contains("\n"+stderr, "\n"+want) {
				t.Errorf("%q: exit %d, no %q in\n%s", args[:2], code, want, stderr)
			}
		}
	}
}

// TestMisspeltDataFile: the checks print a notice for data files with other names.
func TestMisspeltDataFile(t *testing.T) {
	t.Parallel()
	file := example(t)
	folder := filepath.Join(filepath.Dir(file), "policies")
	write(t, filepath.Join(folder, "dta.json"), `{"uma": {"facts": {"x": 1}}}`)
	for _, args := range [][]string{{"policy", "check", folder}, {"policy", "check", file}, {"realm", "check", file}} {
		_, stderr, code := umpire(t, args...)
		if code != 0 || strings.Count(stderr, "dta.json: is not read: name data files data.json or data.yaml\n") != 1 {
			t.Errorf("umpire %v: exit %d, %q, want a notice about the file", args, code, stderr)
		}
	}
	if r := decode[gateReport](t, ok(t, "policy", "check", folder, "-o", "json")); !r.OK || len(r.Findings) != 1 || r.Findings[0].Gate != "readable" || r.Findings[0].Severity != "warn" {
		t.Errorf("for programs: got %+v, want one warning", r)
	}
}

// TestMistakesForPrograms: in JSON a mistake is one element, with the source below it.
func TestMistakesForPrograms(t *testing.T) {
	t.Parallel()
	file := example(t)
	extra := filepath.Join(filepath.Dir(file), "policies", "extra.rego")
	write(t, extra, "# METADATA\n# schemas:\n#   - input: schema[\"input-v1\"]\npackage uma.policies.extra\n\n"+
		"grant contains \"x\" if input.subjekt\n\ngrant contains \"y\" if input.klient\n")
	stdout, _, code := umpire(t, "policy", "check", file, "-o", "json")
	r := decode[gateReport](t, stdout)
	if code != exitNotPassed || r.OK || len(r.Findings) != 2 || r.Findings[0].Line != 6 || r.Findings[1].Line != 8 || r.Findings[0].Column == 0 ||
		!strings.HasSuffix(r.Findings[0].File, "extra.rego") || !strings.Contains(r.Findings[0].Message, "\n\tinput.subjekt\n") {
		t.Errorf("exit %d, got %s, want two mistakes, each with its source", code, stdout)
	}
}

// TestKeys: keys are listed and rotated; the list says until when the old key is published.
func TestKeys(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	ok(t, "realm", "apply", "--data", data, example(t, "signing_alg: RS256", "signing_alg: ES256"))
	before := decode[[]keyRow](t, ok(t, "keys", "list", "--data", data, "-o", "json"))
	if len(before) != 1 || !before[0].Active || before[0].Alg != "ES256" || before[0].Expires != nil {
		t.Fatalf("got %+v, want one key that signs", before)
	}
	rotated := ok(t, "keys", "rotate", "--data", data, "--realm", "photoz")
	if !regexp.MustCompile(`(?m)^photoz +\S+ +ES256 +\S+ +signs$`).MatchString(rotated) {
		t.Errorf("got %s", rotated)
	}
	table := ok(t, "keys", "list", "--data", data, "--realm", "photoz")
	if !regexp.MustCompile(`(?m)^photoz +`+regexp.QuoteMeta(before[0].KID)+` .*published until \d{4}-`).MatchString(table) || strings.Count(table, "\n") != 3 {
		t.Errorf("got %s, want the old key beside the new", table)
	}
	after := decode[[]keyRow](t, ok(t, "keys", "list", "--data", data, "-o", "json"))
	if i := slices.IndexFunc(after, func(k keyRow) bool { return k.KID == before[0].KID }); i < 0 || after[i].Active || after[i].Expires == nil {
		t.Errorf("got %+v", after)
	}
	missing := noDatabase(t, filepath.Join(data, "mistyped"))
	for _, args := range [][]string{{"keys", "list", "--data", missing}, {"keys", "rotate", "--data", missing, "--realm", "photoz"}} {
		if _, stderr, code := umpire(t, args...); code == 0 || !strings.Contains(stderr, shownPlace(t, missing)) {
			t.Errorf("%q: got exit code %d, %s", args, code, stderr)
		}
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a command that reads made the data folder: %v", err)
	}
	for _, secret := range []string{"PRIVATE", "seal"} {
		if strings.Contains(strings.ToLower(table+rotated), strings.ToLower(secret)) {
			t.Errorf("got %s", table)
		}
	}
}
