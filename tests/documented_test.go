package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// documents are those whose commands a reader may copy and paste.
func documents(t testing.TB) []string {
	t.Helper()
	docs, err := filepath.Glob("../docs/*.md")
	deeper, err2 := filepath.Glob("../docs/*/*.md")
	if err := errors.Join(err, err2); err != nil || len(docs) == 0 || len(deeper) == 0 {
		t.Fatalf("%d documents, and %d in folders of docs: %v", len(docs), len(deeper), err)
	}
	return slices.Concat(docs, deeper, []string{"../README.md", "../CONTRIBUTING.md", "../examples/photoz/README.md", "../examples/clinic/README.md"})
}

// TestDocumentedCommands runs the commands that a document shows as they are
// printed, from a copy of the repository, twice in a row. A block is followed by
// what it prints, if that is shown. What serves runs beside the rest of its
// document, on free ports, until a comment that begins with Ctrl-C.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skipf("the documents' commands want %s: %v", tool, err)
		}
	}
	for _, doc := range documents(t) {
		blocks := readBlocks(t, doc)
		if len(blocks) == 0 {
			continue
		}
		t.Run(strings.TrimPrefix(doc, "../"), func(t *testing.T) {
			t.Parallel()
			dir := cloned(t)
			for _, pass := range []string{"first", "second"} {
				runBlocks(t, dir, pass, blocks)
				nextSecond() // names of files are made from the time
			}
		})
	}
}

// A docBlock is a block of shell commands, and what the document says it prints.
type docBlock struct {
	line     int
	commands []string // a command each, with its continuations
	prints   []string
}

// readBlocks reads the blocks of shell commands of a document.
func readBlocks(t testing.TB, doc string) []*docBlock {
	t.Helper()
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []*docBlock
	fence, last := "", 0 // the language of the open fence, "-" for none; where the last block of commands ended
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "```") && fence == "":
			fence = strings.TrimPrefix(line, "```")
			switch {
			case fence == "sh":
				blocks = append(blocks, &docBlock{line: i + 1})
			case fence == "" && len(blocks) > 0 && last == i-1:
				fence = "output"
			case fence == "":
				fence = "-"
			}
		case strings.HasPrefix(line, "```"):
			if fence == "sh" {
				last = i
			}
			fence = ""
		case fence == "sh":
			b := blocks[len(blocks)-1]
			if n := len(b.commands); n > 0 && strings.HasSuffix(b.commands[n-1], `\`) {
				b.commands[n-1] += "\n" + line
			} else {
				b.commands = append(b.commands, line)
			}
		case fence == "output":
			blocks[len(blocks)-1].prints = append(blocks[len(blocks)-1].prints, line)
		}
	}
	return blocks
}

// cloned is a copy of the repository without what was built or served in it.
func cloned(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		switch {
		case err != nil || rel == ".":
			return err
		case rel == ".git", rel == "bin", rel == "data":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o700)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var (
	serves = regexp.MustCompile(`^(make run|umpire serve|go run ./cmd/umpire serve|.*examples/photoz/cmd/photoz )`)
	// Of these only that there is such a target: they take long, and run tests.
	dryRun  = regexp.MustCompile(`^make (test|test-clients|lint|bench|fuzz|demo|vuln)\b`)
	assigns = regexp.MustCompile(`(?m)(?:^|\s)([A-Z]+)=\$\(`)
	skipped = regexp.MustCompile(`^\.ci/run\b`) // runs this test
)

// runBlocks runs all blocks of a document in one shell, and looks at what they
// print: the first time at all of it.
func runBlocks(t *testing.T, dir, pass string, blocks []*docBlock) {
	t.Helper()
	out := t.TempDir()
	public, admin, site := freePort(t), freePort(t), freePort(t)
	ports := strings.NewReplacer(":8080", ":"+public, ":8081", ":"+admin, ":3001", ":"+site)
	var script strings.Builder
	fmt.Fprintf(&script, shellHead, public, site)
	for i, b := range blocks {
		fmt.Fprintf(&script, "echo '--- line %d' >&2\n{\n", b.line)
		var names []string
		for _, c := range b.commands {
			for _, m := range assigns.FindAllStringSubmatch(c, -1) {
				names = append(names, m[1])
			}
			c = ports.Replace(c)
			switch {
			case strings.HasPrefix(c, "# Ctrl-C"):
				c = "stop"
			case skipped.MatchString(c):
				continue
			case dryRun.MatchString(c):
				c = strings.Replace(c, "make", "make -n", 1) + " >/dev/null"
			case strings.Contains(c, "cmd/photoz "):
				c = "beside site env " + c + " --listen 127.0.0.1:" + site
			case serves.MatchString(c):
				c = "beside server env " + c
			}
			script.WriteString(c + "\n")
		}
		fmt.Fprintf(&script, "} >%s/%d\n", out, i)
		for _, name := range names {
			fmt.Fprintf(&script, "[ -n \"$%s\" ] || { echo '%s is empty' >&2; exit 1; }\n", name, name)
		}
	}
	script.WriteString("stop\n")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // of a machine that is busy
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // what it started is ended by its trap
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = dir
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(path)+":"+os.Getenv("PATH"), "GOBIN="+filepath.Dir(path), "GOFLAGS="+os.Getenv("GOFLAGS")+" -buildvcs=false",
		"UMPIRE_LISTEN=127.0.0.1:"+public, "UMPIRE_ADMIN_LISTEN=127.0.0.1:"+admin, "LOGS="+out)
	said, err := cmd.CombinedOutput()
	if err != nil {
		logs, _ := filepath.Glob(out + "/*.log")
		for _, log := range logs {
			text, _ := os.ReadFile(log)
			t.Logf("%s:\n%s", filepath.Base(log), text)
		}
		t.Fatalf("the %s time: %v\n%s", pass, err, said)
	}
	if pass != "first" {
		return
	}
	for i, b := range blocks {
		if len(b.prints) == 0 {
			continue
		}
		got, err := os.ReadFile(fmt.Sprintf("%s/%d", out, i))
		if err != nil {
			t.Fatal(err)
		}
		if missing := firstMissing(got, b.prints); missing != "" {
			t.Errorf("line %d: the document shows\n%s\nbut it printed\n%s", b.line, missing, got)
		}
	}
}

// nextSecond waits for the second after this.
func nextSecond() {
	now := time.Now()
	<-time.After(now.Truncate(time.Second).Add(time.Second).Sub(now))
}

func freePort(t testing.TB) string {
	t.Helper()
	l := listen(t)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// shellHead is what the commands run under: stricter than a reader's shell. It has
// the ports of the server and of the site.
const shellHead = `set -euo pipefail -m
declare -A pids=() ports=([server]=%s [site]=%s)
end() { [ -z "${pids[$1]:-}" ] || { kill -- -${pids[$1]} 2>/dev/null || true; wait ${pids[$1]} 2>/dev/null || true; unset "pids[$1]"; }; }
stop() { end site; end server; }
trap stop EXIT
beside() {
  local what=$1; shift
  end $what
  "$@" >>$LOGS/$what.log 2>&1 &
  pids[$what]=$!
  until curl -s -o /dev/null http://127.0.0.1:${ports[$what]}/; do
    kill -0 ${pids[$what]} || { echo "$what ended" >&2; exit 1; }
  done
}
`

// firstMissing is the first line of wanted that is not printed, after the lines before it.
func firstMissing(got []byte, wanted []string) string {
	lines := bytes.Split(got, []byte("\n"))
	for _, want := range wanted {
		pattern := shown(want)
		found := false
		for len(lines) > 0 && !found {
			found = pattern.Match(bytes.TrimRight(lines[0], "\r "))
			lines = lines[1:]
		}
		if !found {
			return want
		}
	}
	return ""
}

// What differs from run to run, and what a document cuts with an ellipsis.
var (
	varying = regexp.MustCompile(`eyJ[\w.-]+…?|\d{4}-\d\d-\d\dT[\d:.]+Z|\b1\d{9}\b|[0-9a-f]{8,}(-[0-9a-f-]+)?…?|"[\w-]{43,51}"|…| {2,}|:\d{4,5}\b`)
	standIn = map[byte]string{'e': `[\w.-]+`, '"': `"[\w-]{43,51}"`, ':': `:\d+`, ' ': ` +`}
)

// shown is the pattern of a line that a document shows.
func shown(line string) *regexp.Regexp {
	var p strings.Builder
	p.WriteString("^")
	rest := line
	for {
		at := varying.FindStringIndex(rest)
		if at == nil {
			break
		}
		p.WriteString(regexp.QuoteMeta(rest[:at[0]]))
		what := rest[at[0]:at[1]]
		switch {
		case what == "…":
			p.WriteString(".*")
		case strings.HasPrefix(what, "eyJ") || what[0] == '"' || what[0] == ':' || what[0] == ' ':
			p.WriteString(standIn[what[0]])
		default:
			p.WriteString(`[0-9a-fTZ:.-]+`)
		}
		rest = rest[at[1]:]
	}
	p.WriteString(regexp.QuoteMeta(rest) + "$")
	return regexp.MustCompile(p.String())
}
