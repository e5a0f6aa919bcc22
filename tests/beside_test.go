package tests

import (
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/realm"
	"example.com/umpire/uma/admin"
)

// beside does something as a command does that runs beside the server. The server knows within a
// second what it changed.
func (e *env) beside(t testing.TB, do func(n *node.Node) error) {
	t.Helper()
	e.openBeside(t, do)
	e.Clock.Advance(time.Second)
}

// openBeside opens the server's folder as a command does that runs beside it.
func (e *env) openBeside(t testing.TB, do func(n *node.Node) error) {
	t.Helper()
	cfg := e.nodeConfig(t)
	cfg.Log = slog.New(slog.DiscardHandler)
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(n), n.Close()); err != nil {
		t.Fatal(err)
	}
}

// apply gives the server's realm file this text and does what
// `umpire realm apply --prune` does.
func (e *env) apply(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(e.File, []byte(unhurried(withHashes(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	e.beside(t, func(n *node.Node) error {
		spec, _, err := realm.Read(e.File, os.Getenv)
		if err != nil {
			return err
		}
		_, err = n.Core.Realms.ApplyRealm(t.Context(), spec, admin.ApplyOptions{Prune: true})
		return err
	})
}

// rotateKey does what `umpire keys rotate` does.
func (e *env) rotateKey(t testing.TB) {
	t.Helper()
	e.openBeside(t, func(n *node.Node) error {
		_, err := n.Core.Realms.RotateKey(t.Context(), e.Realm)
		return err
	})
}

// within1s waits for what a running server does within a second of a change
// beside it. A busy machine has twenty seconds for it.
func within1s(t testing.TB, what string, holds func() bool) {
	t.Helper()
	inTime(t, 20*time.Second, what, holds)
}
