package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A process is a server that was started and can be asked what it costs.
type process struct {
	cmd   *exec.Cmd
	log   string
	ready time.Duration // from start to ready
}

// launch starts a server whose stdout (its decision log) goes to a file, and
// waits until the URL answers 200.
func launch(ctx context.Context, dir, url, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, name, args...), log: filepath.Join(dir, filepath.Base(name)+".err")}
	stdout, err := os.Create(filepath.Join(dir, filepath.Base(name)+".out"))
	if err != nil {
		return nil, err
	}
	stderr, err := os.Create(p.log)
	if err != nil {
		return nil, errors.Join(err, stdout.Close())
	}
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	begin := time.Now()
	if err := errors.Join(p.cmd.Start(), stdout.Close(), stderr.Close()); err != nil {
		return nil, err
	}
	for time.Since(begin) < 30*time.Second {
		if res, err := http.Get(url); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				p.ready = time.Since(begin)
				return p, nil
			}
		}
		wait(ctx, time.Millisecond)
	}
	text, _ := os.ReadFile(p.log)
	return nil, errors.Join(fmt.Errorf("%s is not ready after 30 s: %s", name, text), p.stop())
}

// stop ends the server and waits for it.
func (p *process) stop() error {
	if p.cmd.ProcessState != nil {
		return nil
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	_ = p.cmd.Wait() // some exit with the signal, some do not
	return nil
}

// resident is the memory of the server, in megabytes.
func (p *process) resident() string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		var kb int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return fmt.Sprintf("%d MB", kb/1024)
		}
	}
	return "unknown"
}

// tick is the unit of the times in /proc/PID/stat: USER_HZ, which is 100 on every Linux.
const tick = 10 * time.Millisecond

// cpu is the processor time that the server has used so far, 0 if that is unknown.
func (p *process) cpu() time.Duration {
	if p == nil {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, fields, _ := strings.Cut(string(text), ") ") // the name of the program may have blanks
	var user, system int64
	if _, err := fmt.Sscanf(fields, "%s %d %d %d %d %d %d %d %d %d %d %d %d", new(string), new(int), new(int), new(int), new(int), new(int),
		new(int), new(int), new(int), new(int), new(int), &user, &system); err != nil {
		return 0
	}
	return time.Duration(user+system) * tick
}

// freeAddr is a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func machine() string {
	return fmt.Sprintf("%s/%s, %d processors, %s; load and server share them", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}
