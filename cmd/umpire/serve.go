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
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/node"
	"example.com/umpire/realm"
)

// serveFlags are the flags of `umpire serve`.
type serveFlags struct {
	realms         []string
	listen, admin  string
	publicURL      string
	defaultRealm   string
	trustedProxies []string
	decisionLog    logFlags
	limits         node.Limits
	storedPolicies bool
	keepDecisions  string
	caches         string
	cacheMemory    int
	drain          time.Duration
}

// maxDrain bounds --drain: longer is a mistake in the unit.
const maxDrain = 10 * time.Minute

func serveCommand(e *env) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve --realm FILE",
		Short: "Run the server",
		Long: `Apply the realm files given by --realm, then serve all realms of the database.

The public listener has all endpoints for clients. The admin listener has /healthz,
/readyz and /metrics; do not make it public. Decisions are written to stdout, one JSON
object per line in OPA's console format; logs go to stderr.`,
		Example: "  umpire serve --realm examples/photoz/realm.yaml\n  UMPIRE_LISTEN=:8080 UMPIRE_PUBLIC_URL=https://as.example.com umpire serve --realm photoz.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.serve(cmd.Context(), f) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.realms, "realm", nil, "realm `FILE` to apply at start; may be repeated")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8080", "`address` of the public listener")
	fl.StringVar(&f.admin, "admin-listen", "127.0.0.1:8081", "`address` of the admin listener; empty for none")
	fl.StringVar(&f.publicURL, "public-url", "", "base `URL` of all endpoints, such as https://as.example.com (default: http:// and the loopback address of the listener)")
	fl.StringVar(&f.defaultRealm, "default-realm", "", "`realm` that paths without /realms/NAME belong to (default: the only realm)")
	fl.StringSliceVar(&f.trustedProxies, "trusted-proxy", nil, "`network` of proxies whose X-Forwarded-For is used, such as 10.0.0.0/8; may be repeated")
	f.decisionLog.add(fl)
	fl.StringVar(&f.keepDecisions, "keep-decisions", "", "`age` at which decision records are deleted, such as 90d (default: they are kept)")
	fl.StringVar(&f.caches, "caches", "all", "`caches` that are used: all, none, or a list of sessions, users, resources, shares and decisions")
	fl.IntVar(&f.cacheMemory, "cache-memory", node.DefaultCacheMemory, "most `MiB` that the caches of rows may have together, and again the cache of decisions")
	fl.DurationVar(&f.drain, "drain", 0, "`time` for which a server that is told to stop goes on serving while /readyz answers 503, such as 10s")
	for _, l := range f.limitFlags() {
		fl.IntVar(l.value, l.name, l.unset, l.usage+"; -1 for no limit")
	}
	fl.BoolVar(&f.storedPolicies, "policies-from-database", false, "use the last active policies, which are in the database, instead of the policy folders")
	return cmd
}

// A limitFlag is a flag for one of the limits.
type limitFlag struct {
	value *int
	name  string
	unset int // the default
	usage string
}

func (f *serveFlags) limitFlags() []limitFlag {
	l := &f.limits
	return []limitFlag{
		{&l.FailedTickets, "failed-tickets", node.DefaultFailedTickets, "unusable tickets per minute that a client may present for one user from one address"},
		{&l.Tickets, "ticket-rate", node.DefaultTickets, "permission tickets per second that are issued for the PATs of one client and user"},
		{&l.FailedPasswords, "failed-passwords", node.DefaultFailedPasswords, "wrong passwords per minute for one user from one address"},
		{&l.FailedSignIns, "failed-sign-ins", node.DefaultFailedSignIns, "wrong passwords per minute from one address"},
		{&l.FailedSecrets, "failed-secrets", node.DefaultFailedSecrets, "wrong secrets per minute for one client from one address"},
	}
}

func (e *env) serve(ctx context.Context, f serveFlags) (err error) {
	tune(e.getenv)
	// Flags and realm files are read before the ports are bound, so that their mistakes are
	// reported before a client can connect.
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
	if admin != nil {
		defer admin.Close()
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
		return invalid("there is no realm to serve: give a realm file with --realm")
	}
	if f.defaultRealm != "" && !slices.Contains(names, f.defaultRealm) {
		return invalid("--default-realm: there is no realm %q: the realms are %s", f.defaultRealm, strings.Join(names, ", "))
	}
	return n.Run(ctx, public, admin)
}

// bind binds the ports. Without --admin-listen the admin listener is nil.
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

// nodeConfig makes a node.Config of the flags. The returned function closes the decision
// log.
func (e *env) nodeConfig(ctx context.Context, f serveFlags) (cfg node.Config, closeLog func() error, err error) {
	closeLog = func() error { return nil }
	for _, l := range f.limitFlags() {
		if *l.value == 0 {
			return cfg, closeLog, invalid("--%s: want a positive number, or -1 for no limit", l.name)
		}
	}
	cfg = node.Config{
		Data: e.data, Database: e.databaseURL, Replica: e.replicaURL, Serving: true, KeyFile: e.keyFile, DefaultRealm: f.defaultRealm, Now: e.now, Version: version,
		Limits: f.limits, StoredPolicies: f.storedPolicies, Examine: e.examiner(), Drain: f.drain,
	}
	if f.drain < 0 || f.drain > maxDrain {
		return cfg, closeLog, invalid("--drain: want from 0s to %s, not %s", maxDrain, f.drain)
	}
	if cfg.Key, err = e.key(); err != nil {
		return cfg, closeLog, err
	}
	if cfg.Caches, err = f.parseCaches(); err != nil {
		return cfg, closeLog, err
	}
	if f.keepDecisions != "" {
		if cfg.KeepDecisions, err = parseAge(f.keepDecisions); err == nil && cfg.KeepDecisions < node.LeastKept {
			err = fmt.Errorf("want at least %gh, not %q", node.LeastKept.Hours(), f.keepDecisions)
		}
		if err != nil {
			return cfg, closeLog, invalid("--keep-decisions: %w", err)
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
			return cfg, closeLog, invalid("--trusted-proxy: want a network such as 10.0.0.0/8, not %q", p)
		}
		cfg.TrustedProxies = append(cfg.TrustedProxies, prefix)
	}
	if cfg.DecisionLogHold, err = parseAge(f.decisionLog.hold); err != nil {
		return cfg, closeLog, invalid("--decision-log-hold: %w", err)
	}
	if path := f.decisionLog.path; path != "" && path != "-" {
		if cfg.DecisionLogFile, err = filepath.Abs(path); err != nil {
			return cfg, closeLog, fmt.Errorf("--decision-log: %w", err)
		}
	}
	cfg.DecisionLog, closeLog, err = f.decisionLog.open(ctx, e.stdout, cfg.Log)
	return cfg, closeLog, err
}

// parseCaches reads --caches and --cache-memory.
func (f *serveFlags) parseCaches() (node.Caches, error) {
	const most = 1 << 16 // more is a mistake in the unit
	c, err := node.ParseCaches(f.caches)
	switch {
	case err != nil:
		return c, invalid("--caches: %w", err)
	case f.cacheMemory < 1 || f.cacheMemory > most:
		return c, invalid("--cache-memory: want from 1 to %d MiB, not %d", most, f.cacheMemory)
	}
	c.Memory = f.cacheMemory << 20
	return c, nil
}

// publicURL returns the base of all URLs, or "" for the address of the listener, which is
// not known yet. Only loopback addresses may use plain HTTP (FedAuthz §1.3).
func publicURL(given, listen string) (string, error) {
	if given == "" {
		host, _, err := net.SplitHostPort(listen)
		switch {
		case err != nil:
			return "", invalid("--listen: %w", err)
		case !realm.IsLoopback(host):
			return "", invalid("--public-url is needed because --listen is not a loopback address")
		}
		return "", nil
	}
	u, err := url.Parse(given)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(given, "?#"):
		return "", invalid("--public-url: want an absolute URL without user, query and fragment, not %q", given)
	case !plainURL(u):
		return "", invalid("--public-url: want a URL whose port is from 1 to 65535 and whose path has no `.`, `..`, empty or escaped segments, not %q", given)
	case u.Scheme == "https":
	case u.Scheme == "http" && realm.IsLoopback(u.Hostname()):
	default:
		return "", invalid("--public-url: want https, or http with a loopback address, not %q", given)
	}
	return strings.TrimRight(given, "/"), nil
}

// plainURL reports whether a URL is in normal form, so that clients that normalize the
// issuer and clients that compare it byte by byte agree.
func plainURL(u *url.URL) bool {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	noPort := u.Port() == "" && !strings.HasSuffix(u.Host, ":")
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`%\"<>^`+"`{|}", r) }
	dir := strings.TrimRight(u.Path, "/")
	return (noPort || err == nil && port > 0) && !strings.ContainsFunc(u.Host+u.Path, odd) && (dir == "" || path.Clean(dir) == dir)
}

// trimmed returns the entries of a list without the spaces after its commas.
func trimmed(list []string) []string {
	out := make([]string, len(list))
	for i, entry := range list {
		out[i] = strings.TrimSpace(entry)
	}
	return out
}

// In one run a server made 7,823 decisions per second with GOGC 200, 8,209 with 300 and 8,230 with 400, and had 70, 78 and
// 94 MB. The memory limit makes collections more frequent if the heap grows for another reason. With only as many threads
// as processors, the writer waits for a thread after each fsync: on two processors, four threads make 6 % more decisions.
const (
	gcPercent    = 250
	memoryLimit  = 1 << 30
	leastThreads = 4
)

// tune sets runtime parameters for which the environment has no variable.
func tune(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if getenv("GOMAXPROCS") == "" {
		if now := runtime.GOMAXPROCS(0); now != threads(now, runtime.NumCPU()) { // once set, it does not follow changes of the quota
			runtime.GOMAXPROCS(threads(now, runtime.NumCPU()))
		}
	}
}

// threads returns how many threads run Go code, given the runtime's default. A default
// below the number of processors is the CPU quota of the container: with more threads the
// kernel would throttle it.
func threads(byDefault, processors int) int {
	if byDefault < processors {
		return byDefault
	}
	return max(byDefault, leastThreads)
}
