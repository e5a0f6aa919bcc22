package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/examples/photoz"
	"example.com/umpire/examples/walk"
	"example.com/umpire/node"
	"example.com/umpire/pep"
	"example.com/umpire/store/sqlite"
)

func demoCommand(e *env) *cobra.Command {
	var exit bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the photoz example: a server, a resource server and a walk through UMA",
		Long: `Start a server with the photoz example and its resource server, on free loopback
ports and in a temporary folder, and show a walk through UMA as HTTP exchanges:
permission tickets, an RPT, access, a refusal, the request to the owner, her
approval, incremental authorization, and the record of each decision. Both
servers then run until Ctrl-C.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.demo(cmd.Context(), exit) },
	}
	cmd.Flags().BoolVar(&exit, "exit", false, "exit after the walk")
	return cmd
}

func (e *env) demo(ctx context.Context, exit bool) (err error) {
	dir, err := os.MkdirTemp("", "umpire-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.CopyFS(filepath.Join(dir, "photoz"), photoz.Files); err != nil {
		return fmt.Errorf("write the example's files: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()

	as, err := e.demoServer(ctx, dir, &wg)
	if err != nil {
		return err
	}
	site, err := demoSite(ctx, as, &wg)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "authorization server  %s\nphotoz site           %s\nrealm file            %s\n", as, site, filepath.Join(dir, "photoz", "realm.yaml"))

	records, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "data", "umpire.db"), ReadOnly: true, Now: e.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	story := photoz.Story{AS: as, Site: site, Walk: &walk.Walk{Out: e.stdout, Decision: sinceLast(records)}}
	if err := story.Tell(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if exit {
		return nil
	}
	e.printNextSteps(as, site, filepath.Join(dir, "data"))
	<-ctx.Done()
	return nil
}

// demoServer starts the authorization server and returns the URL of its realm.
func (e *env) demoServer(ctx context.Context, dir string, wg *sync.WaitGroup) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	realms, err := node.ReadRealms([]string{filepath.Join(dir, "photoz", "realm.yaml")}, e.getenv)
	if err != nil {
		return "", err
	}
	log := slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	n, err := node.Open(ctx, node.Config{
		Data: filepath.Join(dir, "data"), PublicURL: "http://" + l.Addr().String(), Examine: e.examiner(), Log: log, Now: e.now, Version: version,
	})
	if err != nil {
		return "", err
	}
	if err := n.Load(ctx, realms); err != nil {
		return "", errors.Join(err, n.Close())
	}
	wg.Go(func() {
		if err := errors.Join(n.Run(ctx, l, nil), n.Close()); err != nil {
			fmt.Fprintln(e.stderr, "umpire:", err)
		}
	})
	return n.PublicURL + "/realms/photoz", nil
}

// demoSite starts the resource server and returns its address.
func demoSite(ctx context.Context, as string, wg *sync.WaitGroup) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	h, err := photoz.New(pep.Config{
		AuthorizationServer: as, Realm: "photoz", ClientID: "photoz-api", ClientSecret: "photoz-api-secret", Mode: pep.Local,
	})
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	wg.Go(func() { _ = s.Serve(l) }) // it returns ErrServerClosed after Close
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return "http://" + l.Addr().String(), nil
}

// sinceLast returns a function that describes the decisions made since its last call.
func sinceLast(records *sqlite.Store) func(context.Context) ([]string, error) {
	var last int64
	return func(ctx context.Context) ([]string, error) {
		rows, err := records.DecisionsAfter(ctx, last, 100)
		var out []string
		for _, r := range rows {
			last = r.Seq
			var event struct {
				Result struct {
					Reasons []string `json:"reasons"`
				} `json:"result"`
			}
			if err := json.Unmarshal(r.Event, &event); err != nil {
				return nil, fmt.Errorf("read decision %s: %w", r.ID, err)
			}
			out = append(out, fmt.Sprintf("%s  %s  rules: %s  reasons: %s", r.ID, r.Outcome,
				strings.Join(r.Rules, ", "), strings.Join(event.Result.Reasons, ", ")))
		}
		return out, err
	}
}

// printNextSteps prints commands to try next.
func (e *env) printNextSteps(as, site, data string) {
	fmt.Fprintf(e.stdout, `
Both servers run until Ctrl-C. To try more (users and passwords: alice, bob, carol, dave):

  AS=%[1]s SITE=%[2]s
  curl -i $SITE/album/1
  TOKEN=$(curl -s $AS/protocol/openid-connect/token -d grant_type=password -d client_id=photoz-web -d username=bob -d password=bob | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  curl -s $AS/protocol/openid-connect/token -H "Authorization: Bearer $TOKEN" -d grant_type=urn:ietf:params:oauth:grant-type:uma-ticket -d audience=photoz-api -d 'permission=Public board#view' -d response_mode=permissions
  umpire decisions list --data %[3]s
`, as, site, data)
}
