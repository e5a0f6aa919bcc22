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
	"strconv"
	"strings"
	"time"
)

// A process is a server that was started and can be asked what it costs.
type process struct {
	cmd   *exec.Cmd
	log   string
	ready time.Duration // from start to ready
	empty int64         // resident memory when it was ready
	tree  bool          // its child processes count, too
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
				p.empty = p.resident()
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

// resident is the memory of the server in bytes, 0 if that is unknown.
func (p *process) resident() int64 {
	text, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return 0
	}
	return residentIn(string(text))
}

// residentIn reads /proc/PID/status.
func residentIn(status string) int64 {
	for line := range strings.Lines(status) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}

// descriptors is how many files and connections the server has open, 0 if that is unknown.
func (p *process) descriptors() int {
	open, err := os.ReadDir(p.proc("fd"))
	if err != nil {
		return 0
	}
	return len(open)
}

// cpu is the processor time that the server has used so far, 0 if that is unknown.
func (p *process) cpu() (used time.Duration) {
	if p == nil {
		return 0
	}
	for _, pid := range p.pids() {
		used += cpuOf(pid)
	}
	return used
}

// pids are the process and, if it is a tree, its children that still run.
func (p *process) pids() []int {
	all := []int{p.cmd.Process.Pid}
	if !p.tree {
		return all
	}
	children, _ := os.ReadFile(p.proc(fmt.Sprintf("task/%d/children", all[0]))) // none is not an error
	for pid := range strings.FieldsSeq(string(children)) {
		if n, err := strconv.Atoi(pid); err == nil {
			all = append(all, n)
		}
	}
	return all
}

func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return cpuIn(string(text))
}

func (p *process) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file)
}

// tick is the unit of the times in /proc/PID/stat: USER_HZ, which is 100 on every Linux.
const tick = 10 * time.Millisecond

// cpuIn reads /proc/PID/stat. The name of the program, in brackets, may have brackets and blanks;
// the 12th and 13th fields after it are the times in user and in system mode.
func cpuIn(stat string) time.Duration {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
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
