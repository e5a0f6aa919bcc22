// Command photoz serves the photoz example by itself, for an authorization server that runs elsewhere:
//
//	umpire serve --realm examples/photoz/realm.yaml
//	PHOTOZ_CLIENT_SECRET=photoz-api-secret photoz --as http://127.0.0.1:8080/realms/photoz
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path"
	"syscall"
	"time"

	"example.com/umpire/examples/photoz"
	"example.com/umpire/pep"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "photoz:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) error {
	flags := flag.NewFlagSet("photoz", flag.ContinueOnError)
	flags.SetOutput(stderr)
	as := flags.String("as", "", "base `URL` of the authorization server's realm: http://127.0.0.1:8080/realms/photoz")
	clientID := flags.String("client-id", "photoz-api", "client `id` of this resource server; its secret is read from PHOTOZ_CLIENT_SECRET")
	listen := flags.String("listen", "127.0.0.1:3001", "`address` to serve on")
	introspect := flags.Bool("introspect", false, "ask the authorization server about each RPT instead of verifying it here")
	if err := flags.Parse(args); err != nil {
		return err
	}
	mode := pep.Local
	if *introspect {
		mode = pep.Introspection
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	handler, err := photoz.New(pep.Config{
		AuthorizationServer: *as,
		Realm:               path.Base(*as),
		ClientID:            *clientID,
		ClientSecret:        getenv("PHOTOZ_CLIENT_SECRET"),
		Mode:                mode,
		Logger:              logger,
	})
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	logger.Info("photoz serves", "url", "http://"+listener.Addr().String(), "as", *as)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	shut, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(shut); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}
