package tests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/umpire/rollout"
)

// binary is the path of the program, built once, as a release is.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "umpire")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "example.com/umpire/cmd/umpire")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// buildDir is for what all tests share. A test's own folder goes with the test.
var buildDir string

// workCommand makes the test binary do a job of rollout.Apart.
const workCommand = "work-of-a-child"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == workCommand {
		if err := rollout.Work(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "umpire-tests-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := databases.Main(m)
	if err := os.RemoveAll(buildDir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// command is an invocation of the program that has some time for it.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(databaseOf(t, args), "PATH="+os.Getenv("PATH")) // nothing else of UMPIRE_*
	return cmd
}

// umpire runs a command to its end.
func umpire(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// A process is a server in a process of its own, with the clock of the machine.
// Its decision log and its log are files in its data folder, as those of start.
type process struct {
	*env
	cmd *exec.Cmd
}

// publicURL is what the URLs of such servers begin with, on whatever port they
// listen: tokens outlive a restart.
const publicURL = "http://localhost"

// spawn starts `umpire serve` and waits until it listens. It is killed when the
// test ends, if it still runs.
func spawn(t testing.TB, o *options, files []string, args ...string) *process {
	t.Helper()
	args = append([]string{
		"serve", "--data", o.Data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--public-url", publicURL,
		"--decision-log", filepath.Join(o.Data, "decisions.log"), "--log-level", "debug",
	}, args...)
	for _, file := range files {
		args = append(args, "--realm", file)
	}
	p := &process{
		env: &env{Data: o.Data, File: files[0], Realm: realmName(t, o.Realm), Clock: o.Clock, tokens: map[string]*signIn{}},
		cmd: command(t, args...),
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	log := logFile(t, o.Data, "server.log")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(t, syscall.SIGKILL) })
	public, admin, err := listening(io.TeeReader(stderr, log))
	if err != nil {
		p.cmd.Process.Kill()
		t.Fatalf("start a server: %v", err)
	}
	p.URL, p.Admin = "http://"+public, "http://"+admin
	return p
}

// listening reads the log of a server up to the line that says where it listens,
// and goes on reading. Without such a line, the error is all that there was.
func listening(log io.Reader) (public, admin string, err error) {
	lines := bufio.NewScanner(log)
	var seen []byte
	for lines.Scan() {
		var line struct{ Msg, Listen, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			go io.Copy(io.Discard, log) //nolint:errcheck // ends with the process
			return line.Listen, line.Admin, nil
		}
		seen = append(append(seen, lines.Bytes()...), '\n')
	}
	return "", "", fmt.Errorf("it ended, saying\n%s", seen)
}

// end sends the process a signal, unless it has ended, and waits for its end.
func (p *process) end(t testing.TB, s syscall.Signal) *os.ProcessState {
	t.Helper()
	if p.cmd.ProcessState != nil {
		return p.cmd.ProcessState
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Error(err)
	}
	return p.cmd.ProcessState
}
