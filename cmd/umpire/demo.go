package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/examples/walk"
	"example.com/umpire/node"
	"example.com/umpire/store"
	"example.com/umpire/uma"
)

func demoCommand(e *env) *cobra.Command {
	var exit bool
	cmd := &cobra.Command{
		Use:   "demo [photoz|clinic]",
		Short: "Run an example: a server, resource servers and a walk through UMA",
		Long: `Start a server with an example and its resource servers, on free loopback ports
and in a temporary folder, and show a walk through UMA as HTTP exchanges. The
servers then run until Ctrl-C.

photoz, the default, has permission tickets, an RPT, access, a refusal, the
request to the owner, her approval, incremental authorization, and the record of
each decision.

clinic has no users: they come from an employer's server, and prove a licence by
a token of a medical council. Both run in this process, too.`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"photoz", "clinic"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "clinic" {
				return e.demo(cmd.Context(), exit, (*demo).clinic)
			}
			return e.demo(cmd.Context(), exit, (*demo).photoz)
		},
	}
	cmd.Flags().BoolVar(&exit, "exit", false, "exit after the walk")
	return cmd
}

// A demo runs an example until its context is done.
type demo struct {
	*env
	dir     string // removed at the end
	serving sync.WaitGroup
	records store.Store // opened by server
}

// demo has an example start its servers and tell its story, which returns commands to try next.
func (e *env) demo(ctx context.Context, exit bool, tell func(*demo, context.Context) (next string, err error)) (err error) {
	d := &demo{env: e}
	if d.dir, err = os.MkdirTemp("", "umpire-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	ctx, stop := context.WithCancel(ctx)
	defer d.serving.Wait()
	defer stop()
	defer func() {
		if d.records != nil {
			err = errors.Join(err, d.records.Close())
		}
	}()

	next, err := tell(d, ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if exit {
		return nil
	}
	fmt.Fprint(e.stdout, "\n"+next)
	<-ctx.Done()
	return nil
}

// program is the path of this program, which need not be in PATH.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return "umpire"
	}
	return path
}

// data is the server's data folder, and file the realm file.
func (d *demo) data() string { return filepath.Join(d.dir, "data") }
func (d *demo) file(realm string) string {
	return filepath.Join(d.dir, realm, "realm.yaml")
}

// server starts the authorization server with the files of an example, and returns the URL of
// its realm. Texts of the realm file are replaced by others, in pairs.
func (d *demo) server(ctx context.Context, realm string, files fs.FS, replace ...string) (string, error) {
	if err := os.CopyFS(filepath.Join(d.dir, realm), files); err != nil {
		return "", fmt.Errorf("write the example's files: %w", err)
	}
	text, err := os.ReadFile(d.file(realm))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(d.file(realm), []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	realms, err := node.ReadRealms([]string{d.file(realm)}, d.getenv)
	if err != nil {
		return "", err
	}
	log := slog.New(slog.NewTextHandler(d.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	n, err := node.Open(ctx, node.Config{
		Data: d.data(), PublicURL: "http://" + l.Addr().String(), Examine: d.examiner(), Log: log, Now: d.now, Version: version,
	})
	if err != nil {
		return "", err
	}
	if err := n.Load(ctx, realms); err != nil {
		return "", errors.Join(err, n.Close())
	}
	d.serving.Go(func() {
		if err := errors.Join(n.Run(ctx, l, nil), n.Close()); err != nil {
			fmt.Fprintln(d.stderr, "umpire:", err)
		}
	})
	d.records, err = store.Open(ctx, store.Config{Path: filepath.Join(d.data(), "umpire.db"), ReadOnly: true, Now: d.now})
	return n.PublicURL + "/realms/" + realm, err
}

// serve starts a server of the example, whose handler may need to know its URL, and returns
// that.
func (d *demo) serve(ctx context.Context, handler func(url string) (http.Handler, error)) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	url := "http://" + l.Addr().String()
	h, err := handler(url)
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	d.serving.Go(func() { _ = s.Serve(l) }) // it returns ErrServerClosed after Close
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return url, nil
}

// walk prints a story with the decisions in it.
func (d *demo) walk() *walk.Walk {
	return &walk.Walk{Out: d.stdout, Decision: sinceLast(d.records)}
}

// sinceLast returns a function that describes the decisions made since its last call.
func sinceLast(records uma.Decisions) func(context.Context) ([]string, error) {
	var last int64
	return func(ctx context.Context) ([]string, error) {
		rows, err := records.DecisionsAfter(ctx, last, 100)
		var out []string
		for _, r := range rows {
			last = r.Seq
			var event struct {
				Input struct {
					Claims struct {
						Tokens []struct {
							Reason string `json:"reason"`
						} `json:"tokens"`
					} `json:"claims"`
				} `json:"input"`
				Result struct {
					Reasons []string `json:"reasons"`
				} `json:"result"`
			}
			if err := json.Unmarshal(r.Event, &event); err != nil {
				return nil, fmt.Errorf("read decision %s: %w", r.ID, err)
			}
			text := fmt.Sprintf("%s  %s  rules: %s", r.ID, r.Outcome, strings.Join(r.Rules, ", "))
			if len(event.Result.Reasons) > 0 {
				text += "  reasons: " + strings.Join(event.Result.Reasons, ", ")
			}
			for _, t := range event.Input.Claims.Tokens {
				if t.Reason != "" {
					text += "  claim token: " + t.Reason
				}
			}
			out = append(out, text)
		}
		return out, err
	}
}
