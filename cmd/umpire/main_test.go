package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/umpire/examples/photoz"
)

// asProgram is an environment variable that makes the test binary run as umpire, for tests
// that need a separate process.
const asProgram = "UMPIRE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == examineName {
		main()
	}
	// Servers that tests start in this process leave its threads alone, which other tests use.
	if err := os.Setenv("GOMAXPROCS", strconv.Itoa(runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	os.Exit(databases.Main(m))
}

// A buffer can be read by a test while a command writes to it.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// umpire runs a command to its end.
func umpire(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs buffer
	code = run(t.Context(), args, environment(t, args), &out, &errs)
	return out.String(), errs.String(), code
}

// ok runs a command that must succeed, and returns its output.
func ok(t testing.TB, args ...string) string {
	t.Helper()
	stdout, stderr, code := umpire(t, args...)
	if code != 0 {
		t.Fatalf("umpire %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// example copies the photoz example to a new folder, with the replacements (old, new, ...)
// in its realm file, and returns the path of that file.
func example(t testing.TB, replace ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, photoz.Files); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "realm.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(replace...).Replace(string(text))
	if len(replace) > 0 && changed == string(text) {
		t.Fatalf("nothing of %q is in the realm file", replace)
	}
	write(t, file, changed)
	return file
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// decode reads the JSON output of a command.
func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// eventually waits a few seconds for a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		if holds() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args  []string
		words []string
	}{
		{nil, []string{"serve", "demo", "realm", "keys", "policy", "decisions", "shares", "backup", "version", "UMPIRE_PUBLIC_URL", "Exit codes"}},
		{[]string{"help"}, []string{"serve", "decisions"}},
		{[]string{"--help"}, []string{"serve", "decisions"}},
		{[]string{"--version"}, []string{version}},
		{[]string{"help", "serve"}, []string{"--public-url", "--realm FILE", "--admin-listen", "--decision-log"}},
		{[]string{"realm"}, []string{"apply", "check", "init", "schema"}},
		{[]string{"realm", "apply", "--help"}, []string{"--prune", "--dry-run", "--output"}},
		{[]string{"decisions", "list", "-h"}, []string{"--subject", "--client", "--resource", "--outcome", "--since", "--until"}},
		{[]string{"shares", "list", "-h"}, []string{"--realm", "--owner", "--user", "--resource", "--output"}},
		{[]string{"keys"}, []string{"list", "rotate"}},
	} {
		got := ok(t, tc.args...)
		for _, w := range tc.words {
			if !strings.Contains(got, w) {
				t.Errorf("umpire %v: got %s, want %q in it", tc.args, got, w)
			}
		}
	}
}

// TestMistakes: an error in a command line names what is wrong, with exit code 2.
func TestMistakes(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	file := example(t)
	ok(t, "realm", "apply", "--data", data, file)
	serve := func(flags ...string) []string {
		return append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", ""}, flags...)
	}
	for _, tc := range []struct {
		args  []string
		words []string
	}{
		{[]string{"frobnicate"}, []string{"frobnicate"}},
		{[]string{"realm", "aply"}, []string{"aply"}},
		{[]string{"--frobnicate"}, []string{"--frobnicate"}},
		{[]string{"serve", "--frobnicate"}, []string{"--frobnicate"}},
		{[]string{"serve", "now"}, []string{"now"}},
		{[]string{"realm", "check"}, []string{"is missing"}},
		{[]string{"policy", "test"}, []string{"is missing"}},
		{serve("--public-url", "as.example.com"), []string{"--public-url", "absolute"}},
		{serve("--public-url", "https://as.example.com/?x=1"), []string{"--public-url", "query"}},
		{serve("--public-url", "https://u:p@as.example.com"), []string{"--public-url"}},
		{serve("--public-url", "http://as.example.com"), []string{"--public-url", "https"}},
		{serve("--public-url", "ftp://localhost"), []string{"--public-url", "https"}},
		{serve("--public-url", "https://"), []string{"--public-url"}},
		{serve("--public-url", "https://h/ "), []string{"--public-url", "path"}},
		{serve("--public-url", " https://h"), []string{"--public-url"}},
		{serve("--public-url", "https://h/auth/../x"), []string{"--public-url", "path"}},
		{serve("--public-url", "https://h/./x"), []string{"--public-url", "path"}},
		{serve("--public-url", "https://h//x"), []string{"--public-url", "path"}},
		{serve("--public-url", "https://h/a%20b"), []string{"--public-url", "path"}},
		{serve("--public-url", "https://h/é"), []string{"--public-url", "path"}},
		{serve("--public-url", "https://h?"), []string{"--public-url", "query"}},
		{serve("--public-url", "https://h:99999"), []string{"--public-url", "port"}},
		{serve("--public-url", "https://h:0"), []string{"--public-url", "port"}},
		{serve("--public-url", "https://h:"), []string{"--public-url", "port"}},
		{serve("--trusted-proxy", "10.0.0.0/8,"), []string{"--trusted-proxy"}},
		{serve("--listen", "0.0.0.0:0"), []string{"--public-url is needed"}},
		{serve("--trusted-proxy", "10.0.0.1"), []string{"--trusted-proxy"}},
		{serve("--log-level", "loud"), []string{"--log-level", "loud"}},
		{serve("--default-realm", "nobody"), []string{"--default-realm", "nobody"}},
		{[]string{"serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", ""}, []string{"no realm", "--realm"}},
		{[]string{"keys", "rotate", "--data", data}, []string{"--realm"}},
		{[]string{"keys", "rotate", "--data", data, "--realm", "nobody"}, []string{`"nobody"`}},
		{[]string{"keys", "list", "--data", data, "--realm", "nobody"}, []string{`"nobody"`}},
		{[]string{"keys", "list", "--data", data, "-o", "yaml"}, []string{"--output", "yaml"}},
		{serve("--caches", "users,groups"), []string{"--caches", `"users,groups"`, "sessions"}},
		{serve("--caches", ""), []string{"--caches", "none"}},
		{serve("--cache-memory", "0"), []string{"--cache-memory", "MiB"}},
		{serve("--cache-memory", "8388608"), []string{"--cache-memory", "MiB"}},
		{serve("--keep-decisions", "90"), []string{"--keep-decisions", `"90"`}},
		{serve("--keep-decisions", "59m"), []string{"--keep-decisions", "1h"}},
		{serve("--drain", "-1s"), []string{"--drain", "-1s"}},
		{serve("--drain", "11m"), []string{"--drain", "10m0s"}},
		{[]string{"decisions", "list", "--data", data, "--outcome", "perhaps"}, []string{"--outcome", "perhaps", "granted"}},
		{[]string{"decisions", "list", "--data", data, "--limit", "0"}, []string{"--limit"}},
		{[]string{"decisions", "list", "--data", data, "--limit", "many"}, []string{"--limit"}},
		{[]string{"decisions", "list", "--data", data, "--since", "yesterday", "--until", "-1h"}, []string{"--since", "yesterday", "--until"}},
		{[]string{"decisions", "show", "--data", data, "nothing"}, []string{`"nothing"`}},
	} {
		stdout, stderr, code := umpire(t, tc.args...)
		if code != exitUsage || stdout != "" {
			t.Errorf("umpire %v: exit %d, %q, %q; want exit 2 and nothing on stdout", tc.args, code, stdout, stderr)
		}
		for _, w := range tc.words {
			if !strings.Contains(stderr, w) {
				t.Errorf("umpire %v: got %q, want %q in it", tc.args, stderr, w)
			}
		}
	}
}

// TestUsageIsForCommandLines: the usage is printed only for an error in the form of the
// command line, which suggests a similar name.
func TestUsageIsForCommandLines(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	ok(t, "realm", "apply", "--data", data, example(t))
	const usage = "usage: "
	for _, tc := range []struct {
		args      []string
		want, not []string
	}{
		{[]string{"realm", "aply"}, []string{`umpire realm has no command "aply": did you mean apply?`, usage + "umpire realm COMMAND\n", "`umpire realm --help` says more"}, nil},
		{[]string{"sevre"}, []string{`umpire has no command "sevre": did you mean serve?`, usage + "umpire COMMAND\n"}, nil},
		{[]string{"frobnicate"}, []string{`umpire has no command "frobnicate"`}, []string{"did you mean"}},
		{[]string{"serve", "--relm", "x.yaml"}, []string{"unknown flag: --relm: did you mean --realm?", usage + "umpire serve --realm FILE"}, nil},
		{[]string{"keys", "list", "--dat", "x"}, []string{"did you mean --data?"}, nil},
		{[]string{"serve", "-x"}, []string{"unknown shorthand flag", usage}, []string{"did you mean"}},
		{[]string{"policy", "check"}, []string{"umpire: FILE|FOLDER|BUNDLE is missing", usage + "umpire policy check FILE|FOLDER|BUNDLE"}, nil},
		{[]string{"realm", "check"}, []string{"umpire: FILE is missing"}, nil},
		{[]string{"policy", "diff", "a"}, []string{"umpire: REVISION is missing"}, []string{"does not take"}},
		{[]string{"help", "realm", "chek"}, []string{`umpire realm has no command "chek": did you mean check?`}, nil},
		{[]string{"decisions", "show", "a", "b"}, []string{`umpire decisions show does not take the argument "b"`}, nil},
		{[]string{"serve", "realm.yaml"}, []string{`umpire serve does not take the argument "realm.yaml"`, usage + "umpire serve --realm FILE"}, nil},
		{[]string{"keys", "rotate", "--data", data}, []string{"--realm is missing", usage + "umpire keys rotate --realm NAME"}, nil},
		{[]string{"keys", "list", "--data", data, "--realm", "nobody"}, []string{`there is no realm "nobody": the realms are photoz`}, []string{usage}},
		{[]string{"shares", "list", "--data", data, "--realm", "nobody"}, []string{"the realms are photoz"}, []string{usage}},
		{[]string{"decisions", "show", "--data", data, "nothing"}, []string{"`umpire decisions list` shows the ids"}, []string{usage}},
		{[]string{"decisions", "list", "--data", noDatabase(t, t.TempDir())}, []string{"create it with `umpire realm apply FILE`", "--data"}, []string{usage}},
		{[]string{"serve", "--log-level", "loud"}, []string{`--log-level: want debug, info, warn or error, not "loud"`}, []string{usage}},
		{[]string{"serve", "--data", data, "--trusted-proxy", "10.0.0.0"}, []string{`--trusted-proxy: want a network such as 10.0.0.0/8, not "10.0.0.0"`}, []string{usage}},
	} {
		_, stderr, code := umpire(t, tc.args...)
		if code == 0 {
			t.Errorf("umpire %v: exit 0", tc.args)
		}
		for _, w := range tc.want {
			if !strings.Contains(stderr, w) {
				t.Errorf("umpire %v: got %q, want %q in it", tc.args, stderr, w)
			}
		}
		for _, w := range tc.not {
			if strings.Contains(stderr, w) {
				t.Errorf("umpire %v: got %q, want no %q in it", tc.args, stderr, w)
			}
		}
	}
}

// TestBackup: the copy is complete while a server has the database open, readable by its
// owner only, and never replaces a file.
func TestBackup(t *testing.T) {
	t.Parallel()
	databases.OnlySQLite(t, "a copy of its file")
	data, to := t.TempDir(), filepath.Join(t.TempDir(), "umpire.db")
	ok(t, "realm", "apply", "--data", data, example(t))
	got := decode[struct {
		File  string
		Bytes int64
	}](t, ok(t, "backup", "--data", data, "-o", "json", to))
	info, err := os.Stat(to)
	if err != nil || got.File != to || got.Bytes != info.Size() || info.Mode().Perm() != 0o600 {
		t.Errorf("got %+v, %v, %v", got, info, err)
	}
	if keys, want := ok(t, "keys", "list", "--data", filepath.Dir(to)), ok(t, "keys", "list", "--data", data); keys != want {
		t.Errorf("the copy has keys\n%swant\n%s", keys, want)
	}
	if _, stderr, code := umpire(t, "backup", "--data", data, to); code != exitUsage || !strings.Contains(stderr, "exists already") {
		t.Errorf("onto a file that is there: exit %d, %s", code, stderr)
	}
	none := filepath.Join(t.TempDir(), "none.db")
	if _, stderr, code := umpire(t, "backup", "--data", t.TempDir(), none); code != exitFailed || !strings.Contains(stderr, "there is no database") {
		t.Errorf("of nothing: exit %d, %s", code, stderr)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("a backup of nothing left a file")
	}
}

// TestVersion: the output identifies the build.
func TestVersion(t *testing.T) {
	t.Parallel()
	b := decode[build](t, ok(t, "version", "-o", "json"))
	if b.Version != version || b.Go != runtime.Version() || !strings.HasPrefix(b.OPA, "v1.") {
		t.Errorf("got %+v", b)
	}
	for _, args := range [][]string{{"version"}, {"--version"}} {
		if got, want := ok(t, args...), newBuild().String()+"\n"; got != want {
			t.Errorf("umpire %v: got %q, want %q", args, got, want)
		}
	}
	with := build{Version: "1.2.3", Commit: "0a1b", Modified: true, Go: "go1.26.0", OPA: "v1.22.4"}
	if got, want := with.String(), "umpire 1.2.3 (commit 0a1b with changes, go1.26.0, opa v1.22.4)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFailures: other errors have exit code 1 and name their object.
func TestFailures(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := example(t)
	plain := filepath.Join(t.TempDir(), "plain")
	write(t, plain, "no folder")
	bad := example(t, "bundle: ./policies", "bundle: ./bad")
	if err := os.Mkdir(filepath.Join(filepath.Dir(bad), "bad"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(filepath.Dir(bad), "bad", "own.rego"), "package uma.authz\n")
	for _, tc := range []struct {
		args  []string
		words []string
	}{
		{[]string{"serve", "--data", t.TempDir(), "--realm", "nowhere.yaml", "--listen", "127.0.0.1:0", "--admin-listen", ""}, []string{"nowhere.yaml"}},
		{[]string{"serve", "--data", t.TempDir(), "--realm", file, "--listen", busy.Addr().String(), "--admin-listen", ""}, []string{"--listen", busy.Addr().String()}},
		{[]string{"serve", "--data", t.TempDir(), "--realm", file, "--listen", "127.0.0.1:0", "--admin-listen", busy.Addr().String()}, []string{"--admin-listen", busy.Addr().String()}},
		{[]string{"serve", "--data", plain, "--realm", file, "--listen", "127.0.0.1:0", "--admin-listen", ""}, []string{plain}},
		{[]string{"serve", "--data", t.TempDir(), "--realm", bad, "--listen", "127.0.0.1:0", "--admin-listen", ""}, []string{"photoz", "own.rego:1", "uma.authz"}},
		{[]string{"serve", "--data", t.TempDir(), "--realm", file, "--listen", "127.0.0.1:0", "--admin-listen", "", "--decision-log", filepath.Join(plain, "x")}, []string{"--decision-log", plain}},
		{[]string{"realm", "apply", "--data", t.TempDir(), "nowhere.yaml"}, []string{"nowhere.yaml"}},
		{[]string{"decisions", "list", "--data", noDatabase(t, t.TempDir())}, []string{"`umpire realm apply FILE`"}},
		{[]string{"keys", "rotate", "--realm", "photoz", "--data", noDatabase(t, t.TempDir())}, []string{"`umpire realm apply FILE`"}},
		{[]string{"policy", "activate", filepath.Dir(file), "--data", noDatabase(t, t.TempDir())}, []string{"`umpire realm apply FILE`"}},
		{[]string{"decisions", "show", "--data", noDatabase(t, filepath.Join(t.TempDir(), "no", "such")), "x"}, []string{"`umpire realm apply FILE`"}},
	} {
		_, stderr, code := umpire(t, tc.args...)
		if code != exitFailed {
			t.Errorf("umpire %v: exit %d, %q; want exit 1", tc.args, code, stderr)
		}
		for _, w := range tc.words {
			if !strings.Contains(stderr, w) {
				t.Errorf("umpire %v: got %q, want %q in it", tc.args, stderr, w)
			}
		}
	}
}

// TestEnvironment: UMPIRE_* set flags; a flag on the command line takes precedence.
func TestEnvironment(t *testing.T) { // sets the environment, so it is not parallel
	data, file := t.TempDir(), example(t)
	t.Setenv("UMPIRE_DATA", data)
	t.Setenv("UMPIRE_OUTPUT", "json")
	ok(t, "realm", "apply", file)
	if rows := decode[[]keyRow](t, ok(t, "keys", "list")); len(rows) != 1 || rows[0].Realm != "photoz" {
		t.Errorf("got keys %v", rows)
	}
	if table := ok(t, "keys", "list", "-o", "table"); !strings.HasPrefix(table, "REALM") {
		t.Errorf("with -o table: got %s", table)
	}
	if out, stderr, code := umpire(t, "decisions", "list", "--data", noDatabase(t, filepath.Join(data, "other"))); code != exitFailed {
		t.Errorf("with --data: exit %d, %s%s", code, out, stderr)
	}
	t.Setenv("UMPIRE_LIMIT", "many")
	if _, stderr, code := umpire(t, "decisions", "list"); code != exitUsage || !strings.Contains(stderr, "UMPIRE_LIMIT") {
		t.Errorf("UMPIRE_LIMIT=many: exit %d, %s; want the variable named", code, stderr)
	}
	t.Setenv("PHOTOZ_SECRET", "")
	if _, stderr, code := umpire(t, "realm", "check", "-o", "table", example(t, "secret: photoz-app-secret", "secret: env:PHOTOZ_SECRET")); code != exitNotPassed || !strings.Contains(stderr, "PHOTOZ_SECRET") {
		t.Errorf("a secret of the environment that is not there: exit %d, %s", code, stderr)
	}
	t.Setenv("PHOTOZ_SECRET", "a secret of the environment")
	if out := ok(t, "realm", "check", example(t, "secret: photoz-app-secret", "secret: env:PHOTOZ_SECRET")); strings.Contains(out, "a secret") {
		t.Errorf("got %s, with the secret", out)
	}
	t.Setenv("UMPIRE_KEY_FILE", filepath.Join(t.TempDir(), "lost.key"))
	_, stderr, code := umpire(t, "keys", "rotate", "--realm", "photoz")
	if code != exitFailed || !strings.Contains(stderr, "lost.key") || !strings.Contains(stderr, "backup") {
		t.Errorf("a lost key file: exit %d, %s; want it named, and what to do", code, stderr)
	}
}
