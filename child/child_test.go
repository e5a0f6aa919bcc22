package child_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/umpire/child"
)

// A job is what a child process of these tests does.
type job struct{ Do, Text string }

type result struct {
	Text string
	Env  []string
}

const workCommand, parentCommand = "child-work", "child-parent"

func TestMain(m *testing.M) {
	switch command := strings.Join(os.Args[1:], " "); command {
	case workCommand:
		if err := child.Work(os.Stdin, os.Stdout, do); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	case parentCommand:
		parent()
	}
	os.Exit(m.Run())
}

var kept [][]byte

func do(j *job) result {
	switch j.Do {
	case "allocate":
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			kept = append(kept, b)
		}
	case "allocate at once":
		b := make([]byte, 64<<30)
		for i := range b {
			b[i] = 1
		}
		kept = append(kept, b)
	case "loop":
		select {}
	case "spin":
		for i := 0; ; i++ {
			_ = i
		}
	case "fail":
		panic("a fault")
	case "much":
		return result{Text: strings.Repeat("x", 2<<20)}
	case "connect":
		if _, err := net.Dial("unix", j.Text); err != nil {
			panic(err)
		}
		select {}
	}
	return result{Text: strings.ToUpper(j.Text), Env: os.Environ()}
}

func runner(t testing.TB, limit time.Duration) *child.Runner {
	t.Helper()
	r, err := child.New(child.Limits{Memory: 64 << 20, Time: limit, Output: 1 << 20}, workCommand)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	t.Setenv("UMPIRE_KEY", "secret")
	var got result
	if err := runner(t, time.Minute).Run(t.Context(), job{Text: "héllo"}, &got); err != nil {
		t.Fatal(err)
	}
	if got.Text != "HÉLLO" {
		t.Errorf("got %q", got.Text)
	}
	for _, variable := range got.Env {
		if strings.Contains(variable, "secret") || strings.HasPrefix(variable, "PATH=") {
			t.Errorf("the child has %s", variable)
		}
	}
}

func TestRunBeyondLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		time time.Duration
		want string
	}{
		"allocate":         {time.Minute, "used more than 64 MiB of memory"},
		"allocate at once": {time.Minute, "used more than 64 MiB of memory"},
		"loop":             {500 * time.Millisecond, "took longer than 500ms"},
		"spin":             {500 * time.Millisecond, "took longer than 500ms"},
		"much":             {time.Minute, "had more than 1 MiB of output"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := runner(t, c.time).Run(t.Context(), job{Do: name}, new(result))
			if exceeded, ok := errors.AsType[*child.LimitError](err); !ok || exceeded.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	err := runner(t, time.Minute).Run(t.Context(), job{Do: "fail"}, new(result))
	if err == nil || !strings.Contains(err.Error(), "panic: a fault") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runner(t, time.Minute).Run(ctx, job{}, new(result)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
}

// A Runner has one child at a time: together they have no more memory than one may have.
func TestRunInTurn(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	r, ended := runner(t, time.Minute), make(chan error, 1)
	first, stop := context.WithCancel(t.Context())
	go func() { ended <- r.Run(first, job{Do: "connect", Text: listener.Addr().String()}, new(result)) }()
	connection, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	second, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := r.Run(second, job{}, new(result)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beside the first: got %v", err)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: got %v", err)
	}
	if err := r.Run(t.Context(), job{}, new(result)); err != nil {
		t.Errorf("after the first: got %v", err)
	}
}

// listen listens on a socket for a child.
func listen(t *testing.T) net.Listener {
	t.Helper()
	dir, err := os.MkdirTemp("", "child-") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func TestWorkWithoutRunner(t *testing.T) {
	t.Parallel()
	if err := child.Work(strings.NewReader("{}"), new(bytes.Buffer), do); err == nil || !strings.Contains(err.Error(), "for umpire itself") {
		t.Errorf("got %v", err)
	}
}

// A child whose parent is killed ends, too.
func TestRunOfKilledParent(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, parentCommand)
	cmd.Env = []string{socketVariable + "=" + listener.Addr().String()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		listener.Close() // Accept does not wait for a child that never was
	}()
	connection, err := listener.Accept()
	if err != nil {
		t.Fatal(err, <-ended)
	}
	defer connection.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended // it was killed
	if n, err := connection.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %d bytes and %v, want the end of the child's connection", n, err)
	}
}

const socketVariable = "CHILD_TEST_SOCKET"

// parent starts a child that connects to a socket and then does nothing.
func parent() {
	r, err := child.New(child.Limits{Memory: 64 << 20, Time: time.Minute, Output: 1 << 20}, workCommand)
	if err == nil {
		err = r.Run(context.Background(), job{Do: "connect", Text: os.Getenv(socketVariable)}, new(result))
	}
	os.Stderr.WriteString(err.Error())
	os.Exit(1)
}
