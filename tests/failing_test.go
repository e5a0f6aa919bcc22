package tests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/umpire/node"
)

// A running node is a server of a test that looks behind it.
type running struct {
	*env
	node *node.Node
	stop func() error
}

// run is start, with the node and its end in the test's hands.
func run(t testing.TB, change func(*node.Config), opts ...func(*options)) *running {
	t.Helper()
	o := newOptions(t, opts)
	public, admin := listen(t), listen(t)
	e := &env{URL: "http://" + public.Addr().String(), Admin: "http://" + admin.Addr().String(), Data: o.Data, Realm: "photoz", Clock: o.Clock, tokens: map[string]*signIn{}}
	cfg := e.nodeConfig(t)
	cfg.Caches = caches(t)
	cfg.Log = slog.New(slog.NewJSONHandler(logFile(t, e.Data, "server.log"), nil))
	change(&cfg)
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	realms, err := node.ReadRealms(o.write(t), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Load(t.Context(), realms); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, public, admin) }()
	stop := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		stop() //nolint:errcheck // a test that wants it well has looked
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return &running{e, n, stop}
}

// TestStoreFails: without its store a server refuses, and never grants.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	r := run(t, func(*node.Config) {})
	bob, pat := r.as(t, "bob", "photoz-app"), r.service(t, "photoz-api")
	rpt := r.uma(t, bob, "permission", "Public board#view").str("access_token")
	ticket := boardTicket(t, r.env)
	if err := r.node.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for name, res := range map[string]*response{
		"the UMA grant":         r.uma(t, bob, "ticket", ticket),
		"a named permission":    r.uma(t, bob, "permission", "Public board#view", "response_mode", "decision"),
		"a sign-in":             r.post(t, tokenPath, basic("photoz-app"), "grant_type", "password", "username", "bob", "password", "bob"),
		"introspection":         r.post(t, introspect, basic("photoz-api"), "token", rpt),
		"a permission request":  r.send(t, "POST", permission, pat, perm{Resource: "Public board"}),
		"a list of resources":   r.get(t, resourceSet, pat),
		"a new resource":        r.send(t, "POST", resourceSet, pat, map[string]any{"name": "New"}),
		"a stored request":      r.get(t, requests, pat),
		"a user's own claims":   r.get(t, "/protocol/openid-connect/userinfo", bob),
		"revocation of a token": r.post(t, "/protocol/openid-connect/revoke", basic("photoz-app"), "token", rpt),
	} {
		if res.status != 500 && res.status != 503 || res.str("error") == "" || res.str("access_token") != "" {
			t.Errorf("%s: got %s, want server_error", name, res)
		}
		if strings.Contains(string(res.raw), "store") || strings.Contains(string(res.raw), "sql") {
			t.Errorf("%s: got %s, want nothing of the trouble itself", name, res)
		}
	}
	if res := r.admin(t, "/readyz"); res.status != 503 {
		t.Errorf("/readyz: got %s, want 503", res)
	}
	if res := r.admin(t, "/healthz"); res.status != 200 {
		t.Errorf("/healthz: got %s, want 200", res)
	}
	if !r.logged(t, "the store is closed", `"level":"ERROR"`) {
		t.Error("the log does not say what the trouble is")
	}
}

// TestDatabaseIsDamaged: a server whose database was cut in place is not ready, takes no
// more writes, and says so.
func TestDatabaseIsDamaged(t *testing.T) {
	t.Parallel()
	databases.OnlySQLite(t, "the file of the database")
	r := run(t, func(cfg *node.Config) { cfg.Serving = true })
	pat := r.service(t, "photoz-api")
	if res := r.admin(t, "/readyz"); res.status != 200 {
		t.Fatalf("/readyz before: got %s", res)
	}
	if err := os.Truncate(filepath.Join(r.Data, "umpire.db"), 10_000); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if res := r.admin(t, "/readyz"); res.status != 503 || !strings.Contains(string(res.raw), "the database file is damaged") {
			t.Errorf("/readyz: got %s, want 503", res)
		}
	}
	if res := r.send(t, "POST", resourceSet, pat, map[string]any{"name": "New"}); res.status != 500 || res.str("error") == "" {
		t.Errorf("a new resource: got %s, want server_error", res)
	}
	if !r.logged(t, "the database file is damaged", `"msg":"not ready"`) {
		t.Error("the log does not say what the trouble is")
	}
}

// TestDatabaseIsGone: a server whose database was deleted is not ready, takes no more
// writes, whose answers would be lost with the process, and says so; a command beside it
// does not make another.
func TestDatabaseIsGone(t *testing.T) {
	t.Parallel()
	databases.OnlySQLite(t, "the file of the database")
	r := run(t, func(cfg *node.Config) { cfg.Serving = true })
	pat := r.service(t, "photoz-api")
	if res := r.admin(t, "/readyz"); res.status != 200 {
		t.Fatalf("/readyz before: got %s", res)
	}
	files, err := filepath.Glob(filepath.Join(r.Data, "umpire.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v, %v", files, err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if res := r.admin(t, "/readyz"); res.status != 503 {
		t.Errorf("/readyz: got %s, want 503", res)
	}
	if res := r.send(t, "POST", resourceSet, pat, map[string]any{"name": "New"}); res.status != 500 || res.str("error") == "" {
		t.Errorf("a new resource: got %s, want server_error", res)
	}
	if !r.logged(t, "the database file was deleted or replaced", `"level":"ERROR"`) {
		t.Error("the log does not say what the trouble is")
	}
	beside := node.Config{Data: r.Data, PublicURL: "http://localhost", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if n, err := node.Open(t.Context(), beside); err == nil || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("a command beside it: got %v, %v, want the process that has the folder", n, err)
	}
	if _, err := os.Stat(filepath.Join(r.Data, "umpire.db")); !os.IsNotExist(err) {
		t.Errorf("another database was made: %v", err)
	}
}

// TestBlockedDecisionLog: nobody reads the decision log. Requests are answered
// all the same, what is not written is stored, and the server can be stopped.
func TestBlockedDecisionLog(t *testing.T) {
	t.Parallel()
	unread, log := io.Pipe()
	defer unread.Close()
	r := run(t, func(c *node.Config) { c.DecisionLog, c.Grace = log, time.Second })
	bob := r.as(t, "bob", "photoz-app")
	for range 20 {
		r.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view")
	}
	if records := recordsAfter(t, r.stored(t), 0); len(records) != 20 {
		t.Errorf("got %d records, want 20", len(records))
	}
	if err := r.stop(); err == nil || !strings.Contains(err.Error(), "decision log") {
		t.Errorf("stopped: got %v, want an error about the decision log", err)
	}
}

// failingLog is a full disk, for a while.
type failingLog struct {
	mu   sync.Mutex
	full bool
	room int // bytes that still fit on it when it is full
	buf  bytes.Buffer
}

func (l *failingLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		n, _ := l.buf.Write(p[:min(l.room, len(p))])
		l.room -= n
		if n < len(p) {
			return n, syscall.ENOSPC
		}
		return n, nil
	}
	return l.buf.Write(p)
}

func (l *failingLog) lines(full bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
	return bytes.Count(l.buf.Bytes(), []byte("\n"))
}

// TestFailingDecisionLog: what could not be written is written once it can be.
func TestFailingDecisionLog(t *testing.T) {
	t.Parallel()
	log := &failingLog{full: true}
	r := run(t, func(c *node.Config) { c.DecisionLog = log })
	bob := r.as(t, "bob", "photoz-app")
	for range 3 {
		r.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view")
	}
	within1s(t, "the log about the decision log", func() bool { return r.logged(t, "decision log", "no space left") })
	if n := log.lines(false); n != 0 {
		t.Errorf("got %d lines on a full disk", n)
	}
	within1s(t, "the lines", func() bool { return log.lines(false) == 3 })
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// TestDecisionLogCutShort: a disk that is full takes a part of what is written. No
// record is missing from the log later, none is there twice, and what was cut short is
// on a line of its own.
func TestDecisionLogCutShort(t *testing.T) {
	t.Parallel()
	log := &failingLog{full: true, room: 7000}
	r := run(t, func(c *node.Config) { c.DecisionLog = log })
	bob := r.as(t, "bob", "photoz-app")
	for range 20 {
		r.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view")
	}
	within1s(t, "the log about the decision log", func() bool { return r.logged(t, "decision log", "no space left") })
	within1s(t, "the lines", func() bool { return log.lines(false) >= 21 })
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	var seqs []float64
	var torn int
	for line := range bytes.Lines(log.buf.Bytes()) {
		var event struct{ Seq float64 }
		if err := json.Unmarshal(line, &event); err != nil {
			torn++
			continue
		}
		seqs = append(seqs, event.Seq)
	}
	if want := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}; !slices.Equal(seqs, want) || torn != 1 {
		t.Errorf("got records %v and %d lines cut short, want all of 20, once, and one", seqs, torn)
	}
	if n := strings.Count(string(readFile(t, filepath.Join(r.Data, "server.log"))), "no space left"); n > 1 {
		t.Errorf("the failure was logged %d times, want once", n)
	}
}

// TestSlowClientAtStop: a client that does not finish its request keeps a server from
// ending for as long as Grace. That is no failure of the server, and takes no time from
// the decision log.
func TestSlowClientAtStop(t *testing.T) {
	t.Parallel()
	log := &failingLog{}
	r := run(t, func(c *node.Config) { c.DecisionLog, c.Grace = log, time.Second })
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /realms/photoz%s HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: the-slow-one\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n", tokenPath)
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q, %v; want 100 Continue: the server reads the body", line, err)
	}
	r.uma(t, r.as(t, "bob", "photoz-app"), "permission", "Public board#view").expectGranted(t, "Public board: view")
	if err := r.stop(); err != nil {
		t.Errorf("stopped: %v", err)
	}
	if log.lines(false) != 1 {
		t.Error("the decision log lacks a record")
	}
	if !r.logged(t, "connections with requests in progress were closed", `"requests":1`) {
		t.Error("the log does not say that a request was cut off")
	}
	if len(r.accessLog(t, "the-slow-one")) != 1 {
		t.Error("the log has no line for the request that was cut off")
	}
}

// TestKeyFiles: without the key that the database is sealed with, a server does
// not start, and says what to do.
func TestKeyFiles(t *testing.T) {
	t.Parallel()
	open := func(data, file, key string) error {
		n, err := node.Open(t.Context(), node.Config{
			Data: data, Database: databases.URL(t, data), KeyFile: file, Key: key, PublicURL: "http://localhost", Now: time.Now, Log: slog.New(slog.DiscardHandler),
		})
		if err == nil {
			err = n.Close()
		}
		return err
	}
	ours, theirs := t.TempDir(), t.TempDir()
	for _, data := range []string{ours, theirs} {
		if err := open(data, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(ours, "umpire.key")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got the key with mode %v, %v; want 0600", info.Mode(), err)
	}
	loose := filepath.Join(t.TempDir(), "loose.key")
	if err := os.WriteFile(loose, readFile(t, key), 0o644); err != nil { //nolint:gosec // that is what is tested
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none.key")
	if err := os.WriteFile(none, bytes.Repeat([]byte("not a key"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		key   string
		words []string
	}{
		"another server's":    {filepath.Join(theirs, "umpire.key"), []string{filepath.Join(theirs, "umpire.key"), "UMPIRE_KEY_FILE"}},
		"lost":                {filepath.Join(ours, "lost.key"), []string{filepath.Join(ours, "lost.key"), "backup", "UMPIRE_KEY_FILE"}},
		"others may read it":  {loose, []string{loose, "chmod 600"}},
		"no key":              {none, []string{none}},
		"the right one moved": {key, nil},
	} {
		err := open(ours, tc.key, "")
		if (err == nil) != (tc.words == nil) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		for _, w := range tc.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %v, want %q in it", name, err, w)
			}
		}
	}
	// The key itself, in place of its file.
	for text, want := range map[string]string{
		string(readFile(t, key)): "", string(readFile(t, filepath.Join(theirs, "umpire.key"))): "UMPIRE_KEY is not the key-encryption key",
		"not a key": "UMPIRE_KEY does not hold 32 bytes",
	} {
		err := open(ours, "", text)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), strings.TrimSpace(text))) {
			t.Errorf("a key that is given: got %v, want %q", err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(ours, "lost.key")); !os.IsNotExist(err) {
		t.Errorf("a new key was made beside sealed data: %v", err)
	}
}
