// Package child does work in a process of its own, which is ended if it takes too much memory
// or time. The process is this program again, with another command: it reads a job from its
// stdin, and writes the result to its stdout, both as JSON.
package child

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A Runner starts child processes, one at a time.
type Runner struct {
	program string
	args    []string
	limits  Limits
	turn    chan struct{}
}

// Limits are those of one child process. All must be set.
type Limits struct {
	Memory int64 // bytes, of which the program needs some itself
	Time   time.Duration
	Output int64 // bytes of the result
}

// A LimitError says which limit a child process exceeded.
type LimitError struct {
	Limits
	Exceeded string // memory, time or output
}

// Error begins with a verb.
func (e *LimitError) Error() string {
	switch e.Exceeded {
	case "memory":
		return fmt.Sprintf("used more than %d MiB of memory", e.Memory>>20)
	case "time":
		return fmt.Sprintf("took longer than %s", e.Time)
	}
	return fmt.Sprintf("had more than %d MiB of output", e.Output>>20)
}

// New returns a Runner of the command of this program that calls Work. It removes the
// program's environment from a child, so that no secret of it gets there.
func New(limits Limits, command ...string) (*Runner, error) {
	program, err := executable()
	if err != nil {
		return nil, err
	}
	return &Runner{program: program, args: command, limits: limits, turn: make(chan struct{}, 1)}, nil
}

// Limits returns the limits of each child process.
func (r *Runner) Limits() Limits { return r.limits }

// executable is the path of this program. That of Linux is also right after the file was
// replaced, and names the same version.
func executable() (string, error) {
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	return os.Executable()
}

// memoryVariable has the limit of a child's memory, in bytes.
const memoryVariable = "UMPIRE_CHILD_MEMORY"

// Run has a child process do a job, and decodes its result. It returns a *LimitError if the
// process was ended because of a limit. When ctx ends, the process is ended, too.
func (r *Runner) Run(ctx context.Context, job, result any) error {
	input, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("run a process apart: %w", err)
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	// On Linux a child ends with the thread that started it, not only with the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	within, cancel := context.WithTimeout(ctx, r.limits.Time)
	defer cancel()
	cmd := exec.CommandContext(within, r.program, r.args...)
	cmd.Env = []string{"GOTRACEBACK=none", memoryVariable + "=" + strconv.FormatInt(r.limits.Memory, 10)}
	if zones, found := os.LookupEnv("ZONEINFO"); found { // a path; policies may compute with time zones
		cmd.Env = append(cmd.Env, "ZONEINFO="+zones)
	}
	output := &bounded{left: r.limits.Output, full: cancel}
	failure := &bounded{left: 4 << 10}
	cmd.Stdout, cmd.Stderr = output, failure
	cmd.WaitDelay = time.Second
	endWithParent(cmd)
	err = r.wait(cmd, input)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case output.over:
		return r.exceeded("output")
	case within.Err() != nil:
		return r.exceeded("time")
	case err != nil && (cmd.ProcessState.ExitCode() == exitMemory || outOfMemory(failure.buffer.String())):
		return r.exceeded("memory")
	case err != nil:
		first, _, _ := strings.Cut(failure.buffer.String(), "\n")
		return fmt.Errorf("the process for it ended: %w: %s", err, first)
	}
	if err := json.Unmarshal(output.buffer.Bytes(), result); err != nil {
		return fmt.Errorf("read the result of the process apart: %w", err)
	}
	return nil
}

// wait starts a process, and waits for its end. Its stdin stays open until then: a child whose
// parent has ended reads its end.
func (r *Runner) wait(cmd *exec.Cmd, input []byte) error {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = stdin.Write(input) // an error is that of Wait
	}()
	err = cmd.Wait() // closes stdin
	<-written
	return err
}

func (r *Runner) exceeded(what string) error { return &LimitError{r.limits, what} }

// outOfMemory reports whether Go's runtime says that it gets no more memory.
func outOfMemory(text string) bool {
	return strings.Contains(text, "out of memory") || strings.Contains(text, "cannot allocate memory")
}

// A bounded buffer drops what is too much.
type bounded struct {
	buffer bytes.Buffer // not embedded: its ReadFrom has no bound
	left   int64
	full   func() // called when something is dropped; may be nil
	over   bool
}

func (b *bounded) Write(p []byte) (int, error) {
	n := len(p)
	if int64(n) > b.left {
		p, b.over = p[:b.left], true
		if b.full != nil {
			b.full()
		}
	}
	b.left -= int64(len(p))
	b.buffer.Write(p)
	return n, nil
}

// exitMemory is the exit code of a child that took too much memory.
const exitMemory = 70

// Work is the child's side: it reads a job from stdin, has it done, and writes the result to
// stdout. It ends the process if it takes more memory than the runner allows, or if the parent
// process ends.
func Work[Job, Result any](stdin io.Reader, stdout io.Writer, do func(*Job) Result) error {
	limit, err := strconv.ParseInt(os.Getenv(memoryVariable), 10, 64)
	if err != nil || limit <= 0 {
		return errors.New("this command is for umpire itself, which starts it with a job")
	}
	if err := limitMemory(limit); err != nil {
		return fmt.Errorf("limit the memory of this process: %w", err)
	}
	go watchMemory(limit)
	job := new(Job)
	decoder := json.NewDecoder(stdin)
	if err := decoder.Decode(job); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), stdin))
		os.Exit(1)
	}()
	return json.NewEncoder(stdout).Encode(do(job))
}
