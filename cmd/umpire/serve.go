package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"example.com/umpire/node"
	"example.com/umpire/realm"
)

// serveFlags are those of `umpire serve`.
type serveFlags struct {
	realms         []string
	listen, admin  string
	publicURL      string
	defaultRealm   string
	trustedProxies []string
	decisionLog    string
	limits         node.Limits
	storedPolicies bool
	keepDecisions  string
}

func serveCommand(e *env) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve --realm FILE",
		Short: "Serve realms",
		Long: `Serve the realms of the data folder, after applying the realm files named.

The public listener has every endpoint that clients use; the admin listener has
/healthz, /readyz and /metrics and is never to be public. Decisions are written
to stdout, one JSON line each in OPA's console format; logs go to stderr.`,
		Example: "  umpire serve --realm examples/photoz/realm.yaml\n  UMPIRE_LISTEN=:8080 UMPIRE_PUBLIC_URL=https://as.example.com umpire serve --realm photoz.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.serve(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.realms, "realm", nil, "realm `FILE` to apply before serving; may be repeated")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8080", "`address` of the public listener")
	fl.StringVar(&f.admin, "admin-listen", "127.0.0.1:8081", "`address` of the admin listener; empty for none")
	fl.StringVar(&f.publicURL, "public-url", "", "what every URL begins with, such as https://as.example.com (default: http:// and the listener's loopback address)")
	fl.StringVar(&f.defaultRealm, "default-realm", "", "`realm` of root-level paths (default: the only one)")
	fl.StringSliceVar(&f.trustedProxies, "trusted-proxy", nil, "`network` whose X-Forwarded-For is believed; may be repeated")
	fl.StringVar(&f.decisionLog, "decision-log", "-", "`file` that decisions are appended to; - for stdout, empty for none (they are stored all the same)")
	fl.StringVar(&f.keepDecisions, "keep-decisions", "", "how long decision records are kept, such as 90d; empty for ever")
	for _, l := range f.limitFlags() {
		fl.IntVar(l.value, l.name, l.otherwise, l.what+"; -1 for any number")
	}
	fl.BoolVar(&f.storedPolicies, "policies-from-database", false, "decide every realm by the policy that was in force last, which the database has; no policy folder is read")
	return cmd
}

// A limitFlag is a flag for one of the limits.
type limitFlag struct {
	value     *int
	name      string
	otherwise int
	what      string
}

func (f *serveFlags) limitFlags() []limitFlag {
	l := &f.limits
	return []limitFlag{
		{&l.FailedTickets, "failed-tickets", node.DefaultFailedTickets, "unusable tickets that a client may present for one user from one address in a minute"},
		{&l.Tickets, "ticket-rate", node.DefaultTickets, "permission tickets that are made with the PATs of one client and user in a second"},
		{&l.FailedPasswords, "failed-passwords", node.DefaultFailedPasswords, "wrong passwords that may be tried for one user from one address in a minute"},
		{&l.FailedSignIns, "failed-sign-ins", node.DefaultFailedSignIns, "wrong passwords that may be tried from one address in a minute"},
		{&l.FailedSecrets, "failed-secrets", node.DefaultFailedSecrets, "wrong secrets that may be tried for one client from one address in a minute"},
	}
}

func (e *env) serve(ctx context.Context, f serveFlags) (err error) {
	tune(e.getenv)
	// Everything that may be mistaken is read before a port is bound: whoever connects
	// then is answered.
	cfg, closeLog, err := e.nodeConfig(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	files, err := node.ReadRealms(trimmed(f.realms), e.getenv)
	if err != nil {
		return err
	}
	public, admin, err := f.bind()
	if err != nil {
		return err
	}
	defer public.Close()
	adminAddr := "none"
	if admin != nil {
		defer admin.Close()
		adminAddr = admin.Addr().String()
	}
	cfg.PublicURL = cmp.Or(cfg.PublicURL, "http://"+public.Addr().String())
	defer serveSignals(ctx, cfg.DecisionLog, cfg.Log)()
	n, err := node.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := n.Load(ctx, files); err != nil {
		return err
	}
	names, err := n.Store.RealmNames(ctx)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return mistaken("there is no realm to serve: name a realm file with --realm")
	}
	if f.defaultRealm != "" && !slices.Contains(names, f.defaultRealm) {
		return mistaken("--default-realm: there is no realm %q", f.defaultRealm)
	}
	cfg.Log.InfoContext(ctx, "serving", "url", cfg.PublicURL, "listen", public.Addr().String(), "admin", adminAddr, "realms", names, "version", version)
	return n.Run(ctx, public, admin)
}

// bind binds the ports. There need be no admin listener.
func (f *serveFlags) bind() (public, admin net.Listener, err error) {
	if public, err = net.Listen("tcp", f.listen); err != nil {
		return nil, nil, fmt.Errorf("--listen: %w", err)
	}
	if f.admin == "" {
		return public, nil, nil
	}
	if admin, err = net.Listen("tcp", f.admin); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("--admin-listen: %w", err), public.Close())
	}
	return public, admin, nil
}

// nodeConfig checks the flags. The function it returns closes the decision log.
func (e *env) nodeConfig(ctx context.Context, f serveFlags) (cfg node.Config, closeLog func() error, err error) {
	closeLog = func() error { return nil }
	for _, l := range f.limitFlags() {
		if *l.value == 0 {
			return cfg, closeLog, mistaken("--%s must be positive, or -1 for any number", l.name)
		}
	}
	cfg = node.Config{
		Data: e.data, Serving: true, KeyFile: e.keyFile, DefaultRealm: f.defaultRealm, Now: e.now, Version: version,
		Limits: f.limits, StoredPolicies: f.storedPolicies,
	}
	if cfg.Key, err = e.key(); err != nil {
		return cfg, closeLog, err
	}
	if f.keepDecisions != "" {
		if cfg.KeepDecisions, err = parseAge(f.keepDecisions); err == nil && cfg.KeepDecisions < node.LeastKept {
			err = fmt.Errorf("%q is less than %gh", f.keepDecisions, node.LeastKept.Hours())
		}
		if err != nil {
			return cfg, closeLog, mistaken("--keep-decisions: %w", err)
		}
	}
	if cfg.Log, err = e.logger(); err != nil {
		return cfg, closeLog, err
	}
	if cfg.PublicURL, err = publicURL(f.publicURL, f.listen); err != nil {
		return cfg, closeLog, err
	}
	for _, p := range trimmed(f.trustedProxies) {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return cfg, closeLog, mistaken("--trusted-proxy: %q is not a network such as 10.0.0.0/8", p)
		}
		cfg.TrustedProxies = append(cfg.TrustedProxies, prefix)
	}
	cfg.DecisionLog, closeLog, err = e.openDecisionLog(ctx, f.decisionLog, cfg.Log)
	return cfg, closeLog, err
}

// publicURL is what URLs begin with; empty for the address that is listened at, once
// that is known. Tokens over plain HTTP are for loopback alone (FedAuthz §1.3).
func publicURL(given, listen string) (string, error) {
	if given == "" {
		host, _, err := net.SplitHostPort(listen)
		switch {
		case err != nil:
			return "", mistaken("--listen: %w", err)
		case !realm.IsLoopback(host):
			return "", mistaken("--public-url is needed when --listen is not a loopback address")
		}
		return "", nil
	}
	u, err := url.Parse(given)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(given, "?#"):
		return "", mistaken("--public-url %q is not an absolute URL without query and fragment", given)
	case !plainURL(u):
		return "", mistaken("--public-url %q: want a host, a port from 1 to 65535 or none, and a path without `.`, `..`, empty or escaped parts", given)
	case u.Scheme == "https":
	case u.Scheme == "http" && realm.IsLoopback(u.Hostname()):
	default:
		return "", mistaken("--public-url %q: want https, or http with a loopback address", given)
	}
	return strings.TrimRight(given, "/"), nil
}

// plainURL reports whether clients that compare the issuer letter by letter, and
// those that normalise it, see the same URL.
func plainURL(u *url.URL) bool {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	noPort := u.Port() == "" && !strings.HasSuffix(u.Host, ":")
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`%\"<>^`+"`{|}", r) }
	dir := strings.TrimRight(u.Path, "/")
	return (noPort || err == nil && port > 0) && !strings.ContainsFunc(u.Host+u.Path, odd) && (dir == "" || path.Clean(dir) == dir)
}

// trimmed are the entries of a list without the blanks that people write after
// commas.
func trimmed(list []string) []string {
	out := make([]string, len(list))
	for i, entry := range list {
		out[i] = strings.TrimSpace(entry)
	}
	return out
}

// Collecting less often buys a quarter more decisions a second for a few
// megabytes; the limit guards against a heap that grows for another reason. With as
// many threads as processors the writer waits for one after each fsync: four buy
// another tenth on two.
const (
	gcPercent    = 400
	memoryLimit  = 1 << 30
	leastThreads = 4
)

// tune sets what the runtime is not told by its own variables.
func tune(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if getenv("GOMAXPROCS") == "" {
		if now := runtime.GOMAXPROCS(0); now != threads(now, runtime.NumCPU()) { // once set, it no longer follows a quota
			runtime.GOMAXPROCS(threads(now, runtime.NumCPU()))
		}
	}
}

// threads is how many run at once. The Go runtime has fewer than there are processors
// where a container has a quota: more would have the container stopped by it.
func threads(runtimes, processors int) int {
	if runtimes < processors {
		return runtimes
	}
	return max(runtimes, leastThreads)
}
