package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/folder"
	"example.com/umpire/realm"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// The rows of operations as tests and tables name them.
type (
	periodRow = adminapi.Period
	statusRow = adminapi.Status

	decisionRow = adminapi.DecisionRow
)

// operations run on the database, or with --server over the admin API of a server.
type operations interface {
	Realm(ctx context.Context, name string) (string, error)
	Realms(ctx context.Context, name string) ([]string, error)
	Status(ctx context.Context, realm string) (*adminapi.Status, error)
	History(ctx context.Context, realm string, before int64, limit int) (page []adminapi.HistoryRow, next int64, err error)
	Decisions(ctx context.Context, q *adminapi.DecisionQuery, before int64, limit int) (page []adminapi.DecisionRow, next int64, err error)
	Decision(ctx context.Context, realm, id string, sources bool) (*adminapi.DecisionDetails, error)
	Explain(ctx context.Context, realm, id string, now, trace bool) (*rollout.Explanation, error)
	Activate(ctx context.Context, o adminapi.Order) (*adminapi.Change, error)
	Rollback(ctx context.Context, o adminapi.Order) (*adminapi.Change, error)
	Confirm(ctx context.Context, realm, by string) (*adminapi.Period, error)
	Release(ctx context.Context, realm string) (*adminapi.Period, error)
}

// errNoServer refuses a token without a server that it is for.
var errNoServer = usageError("--server is missing: --token-file is for it")

// serverFlags adds the flags of a command that can use the admin API of a server.
func (e *env) serverFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.server, "server", "", "`URL` of the admin listener of a server to use instead of a database, such as https://admin.example.com")
	f.StringVar(&e.tokenFile, "token-file", "", "`file` of a token of umpire admin token create, for --server")
	f.StringVar(&e.caFile, "ca-file", "", "`file` of the certificates (PEM) that sign the one of --server (default: those of the system)")
}

// reading calls f with operations that change nothing.
func (e *env) reading(ctx context.Context, f func(operations) error) error {
	return e.operate(ctx, e.withDatabase, f)
}

// listing is reading for a list or search.
func (e *env) listing(ctx context.Context, f func(operations) error) error {
	return e.operate(ctx, e.withLists, f)
}

func (e *env) operate(ctx context.Context, open func(context.Context, func(uma.Store) error) error, f func(operations) error) error {
	if e.server != "" {
		return e.withServer(func(c *adminapi.Client) error { return f(c) })
	}
	if e.tokenFile != "" {
		return errNoServer
	}
	return open(ctx, func(db uma.Store) error { return f(e.local(db)) })
}

// local runs operations on a database that is open for reading.
func (e *env) local(db adminapi.Store) *adminapi.Local { return &adminapi.Local{Store: db, Now: e.now} }

// withServer calls f with a client of the admin API of a server.
func (e *env) withServer(f func(*adminapi.Client) error) error {
	base, err := serverURL(e.server)
	if err != nil {
		return err
	}
	if e.tokenFile == "" {
		return usageError("--token-file is missing: --server needs one")
	}
	token, err := readToken(e.tokenFile)
	if err != nil {
		return err
	}
	transport, err := e.transport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	return f(&adminapi.Client{URL: base, Token: token, HTTP: &http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { // the token is for this server only
			return errors.New("it answered with a redirect")
		},
	}})
}

// serverURL returns the URL of an admin listener without a slash at its end. Only a loopback
// address may have plain HTTP: the token would be readable on the way.
func serverURL(given string) (string, error) {
	u, err := url.Parse(given)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", invalid("--server: want a URL such as https://admin.example.com, not %q", given)
	case u.Scheme == "https", u.Scheme == "http" && realm.IsLoopback(u.Hostname()):
		return strings.TrimSuffix(given, "/"), nil
	}
	return "", invalid("--server: want https; http is for loopback addresses, because others could read the token on the way")
}

// maxToken is how many bytes a token file may have.
const maxToken = 4096

// readToken reads a token from a file that others may not read.
func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", invalid("--token-file: %w", err)
	}
	defer func() { _ = f.Close() }() // it is only read
	if err := folder.CheckSecret(f); err != nil {
		return "", invalid("--token-file: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	token := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", invalid("--token-file: %w", err)
	case token == "" || len(text) > maxToken || strings.ContainsAny(token, " \t\r\n"):
		return "", invalid("--token-file: %s has no token: `umpire admin token create` prints one", path)
	}
	return token, nil
}

// transport returns what requests are sent by.
func (e *env) transport() (*http.Transport, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: 5 * time.Minute, // an activation runs the tests of the policy
	}
	if e.caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(e.caFile)
	if err != nil {
		return nil, invalid("--ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, invalid("--ca-file: %s has no certificate in PEM", e.caFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool}
	return t, nil
}
