package tests

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.com/umpire/node"
)

// caches are those that servers of these tests use: all, unless UMPIRE_CACHES says which.
func caches(t testing.TB) node.Caches {
	t.Helper()
	c, err := node.ParseCaches(cmp.Or(os.Getenv("UMPIRE_CACHES"), "all"))
	if err != nil {
		t.Fatalf("UMPIRE_CACHES: %v", err)
	}
	return c
}

// start runs a whole server on a real socket with a real database in
// t.TempDir() and the given realm, and stops it when the test ends.
func start(t testing.TB, opts ...func(*options)) *env {
	t.Helper()
	o := newOptions(t, opts)
	files := o.write(t)
	e := &env{Data: o.Data, File: files[0], Clock: o.Clock, tokens: map[string]*signIn{}}
	public, admin := listen(t), listen(t)
	e.URL, e.Admin = "http://"+public.Addr().String(), "http://"+admin.Addr().String()

	log := logFile(t, e.Data, "server.log")
	cfg := e.nodeConfig(t)
	cfg.PublicURL += o.PublicPath
	cfg.Limits, cfg.TrustedProxies, cfg.Downloads, cfg.Caches = o.Limits, o.Proxies, o.Downloads, caches(t)
	cfg.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if !o.NoDecisionLog {
		cfg.DecisionLog = logFile(t, e.Data, "decisions.log")
	}
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	realms, err := node.ReadRealms(files, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Load(t.Context(), realms); err != nil {
		t.Fatal(err)
	}
	e.Realm = realmName(t, o.Realm)

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, public, admin) }()
	t.Cleanup(func() {
		if t.Failed() {
			showTrouble(t, filepath.Join(e.Data, "server.log"))
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
		if err := n.Store.CheckCaches(context.Background()); err != nil {
			t.Errorf("caches: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// logFile is where a server of a test writes what it would write to its
// terminal.
func logFile(t testing.TB, dir, name string) io.Writer {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// realmName is the name in the text of a realm file.
func realmName(t testing.TB, yaml string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^realm: *(\S+)$`).FindStringSubmatch(yaml)
	if m == nil {
		t.Fatal("the realm file names no realm")
	}
	return m[1]
}

// showTrouble prints what the server of a failed test logged of its own trouble.
func showTrouble(t testing.TB, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Log(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"status":50`) {
			t.Log(line)
		}
	}
}
