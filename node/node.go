// Package node builds a server from its parts: store, keys, policies and HTTP. It starts and
// stops them and activates changes of policies. The commands of cmd/umpire and the tests
// that drive a whole server use it.
package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/umpire/adminapi"
	"example.com/umpire/engine"
	"example.com/umpire/folder"
	"example.com/umpire/rollout"
	"example.com/umpire/server"
	"example.com/umpire/server/wire"
	"example.com/umpire/sinks"
	"example.com/umpire/store"
	"example.com/umpire/token"
	"example.com/umpire/trust"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// Config is the configuration of a server.
type Config struct {
	Data    string // folder of umpire.db
	Serving bool   // lock the folder, so that no other server uses it
	KeyFile string // of the key-encryption key; empty: umpire.key in Data
	Key     string // the key-encryption key, in hexadecimal or base64, instead of the file

	// Database is the URL of a PostgreSQL database, which any number of servers may use that have
	// the same key; empty: SQLite in Data. With it, Data is only for the key file, and not used
	// if KeyFile or Key is given.
	Database string
	Existing bool // the database has the schema, or is refused

	// Replica is the URL of a hot standby of that database, for lists and searches of the admin API; empty for none.
	Replica string

	// PublicURL is the base of all URLs of the server. Commands that issue no tokens leave it
	// empty.
	PublicURL string

	// DefaultRealm is the realm of paths without /realms/NAME; empty: the only realm, while
	// there is only one.
	DefaultRealm   string
	TrustedProxies []netip.Prefix
	Limits         Limits
	Caches         Caches

	// StoredPolicies makes each realm use its last active policy, which is in the database,
	// instead of its policy folder.
	StoredPolicies bool

	Downloads Downloads     // from OPA services
	Network   trust.Network // to the keys of trusted issuers

	// Drain is how long a server that is to stop goes on serving while /readyz answers 503, for load
	// balancers to send it no more.
	Drain time.Duration

	// Grace is how long requests in progress may take when the server stops; 0 is ten
	// seconds. Afterwards the decision log has half of that time.
	Grace time.Duration

	DecisionLog     io.Writer     // one line per decision; may be nil
	DecisionLogFile string        // its path; empty: it is stdout
	DecisionLogHold time.Duration // how long records that KeepDecisions would delete wait for it

	// KeepDecisions is the age at which decision records are deleted; 0: never.
	KeepDecisions time.Duration

	// Examine runs tests of policies, and compiles those that came over the network, with
	// limits. A server needs it.
	Examine rollout.Examiner

	Log     *slog.Logger
	Now     func() time.Time
	Version string
}

// Limits bound what one caller may do per second or minute.
type Limits = server.Limits

// The default limits.
const (
	DefaultFailedTickets = server.DefaultFailedTickets
	DefaultTickets       = server.DefaultTickets

	DefaultFailedPasswords = server.DefaultFailedPasswords
	DefaultFailedSignIns   = server.DefaultFailedSignIns
	DefaultFailedSecrets   = server.DefaultFailedSecrets
)

// A Node is a server. Commands open one without running it.
type Node struct {
	Config
	Store   store.Store
	Core    *wire.Core
	Rollout *rollout.Service

	vault     token.KeyWrapper
	engine    *engine.Engine
	metrics   *server.Metrics
	committed chan struct{} // there may be new decision records
	sinks     *sinks.Service
	shadow    *rollout.Shadow
	trust     *trust.Service
	policies  *policies

	compareSinks chan struct{} // a realm has changed

	lock       *folder.Hold // on the data folder, when serving
	inProgress atomic.Int64 // requests in progress
	stopping   atomic.Bool
}

// hmacKey is the name of the sealed secret that Hasher and refresh tokens use.
const hmacKey = "hmac"

// Open opens the store and its keys, and creates them if they do not exist.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	cfg.Grace = cmp.Or(cfg.Grace, 10*time.Second)
	n := &Node{
		Config: cfg, metrics: server.NewMetrics(),
		committed: make(chan struct{}, 1), compareSinks: make(chan struct{}, 1),
	}
	if err := n.openFolder(ctx); err != nil {
		return nil, err
	}
	n.KeyFile = cmp.Or(n.KeyFile, filepath.Join(n.Data, "umpire.key"))
	if err := n.openStore(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// openStore opens the database, then the parts that need it.
func (n *Node) openStore(ctx context.Context) error {
	db, err := store.Open(ctx, store.Config{Database: n.Database, Replica: n.Replica, Existing: n.Existing, Path: n.database(), Now: n.Now, Observe: n.observe, Caches: n.Caches.ofRows()})
	if err != nil {
		return err
	}
	n.Store = db
	n.engine = engine.New(engine.Config{Now: n.Now, Version: n.Version, Memo: n.Caches.memo()})
	n.Rollout = &rollout.Service{Store: db, Engine: n.engine, Examine: n.Examine, Now: n.Now, Keys: n.keys}
	return n.openCore(ctx)
}

// openCore opens the keys and builds the core from its parts.
func (n *Node) openCore(ctx context.Context) error {
	sealed, err := n.Store.AnySealed(ctx)
	if err != nil {
		return fmt.Errorf("look for sealed keys: %w", err)
	}
	vault, err := n.openVault(sealed)
	if err != nil {
		return err
	}
	n.vault = vault
	secret, err := openSecret(ctx, n.Store, vault)
	if err != nil {
		return err
	}
	keys, err := token.NewKeys(vault, secret, n.Now)
	if err != nil {
		return err
	}
	hasher, err := token.NewHasher(secret)
	if err != nil {
		return err
	}
	tickets, err := token.TicketVault(secret)
	if err != nil {
		return err
	}
	n.trust = &trust.Service{Network: n.Network, Now: n.Now, Log: n.Log}
	n.Core, err = wire.NewCore(wire.Parts{
		Store: n.Store, Policy: n.engine, Issuer: keys, Verifier: keys, Hasher: hasher, Trust: n.trust, Wrapper: vault, Sealer: tickets,
		PublicURL: uma.PublicURL(cmp.Or(n.PublicURL, "http://localhost")), Now: n.Now, NewID: uuid.NewString, NewSerial: newSerial,
		Log:     func(ctx context.Context, msg string, args ...any) { n.Log.ErrorContext(ctx, msg, args...) },
		Labels:  map[string]string{"id": uuid.NewString(), "version": cmp.Or(n.Version, "dev")},
		Decided: n.metrics.Decided, Stuck: n.metrics.Stuck,
	})
	if err != nil {
		return err
	}
	n.trust.Realms = n.Core.Realms.Snapshots
	n.policies = newPolicies(n)
	n.sinks = &sinks.Service{Store: n.Store, Holder: uuid.NewString(), Grace: n.Grace / 4, Patience: leaseLength, Now: n.Now, Log: n.Log}
	n.metrics.Sinks(n.sinkStats)
	n.shadow = n.newShadow()
	n.metrics.Shadows(n.shadowStats)
	n.metrics.Keys(n.keyStats)
	n.metrics.QueueLength(n.Store.QueueLen)
	n.metrics.PasswordQueue(hasher.Waiting)
	n.driverMetrics()
	n.metrics.Caches(n.cacheStats)
	return nil
}

// openVault returns what has the key-encryption key.
func (n *Node) openVault(anySealed bool) (token.KeyWrapper, error) {
	if n.Key != "" {
		return token.VaultOf(n.Key, "UMPIRE_KEY")
	}
	return token.OpenVault(n.KeyFile, anySealed)
}

// openSecret returns the server's HMAC key, and creates it at the first start.
func openSecret(ctx context.Context, realms uma.Realms, vault token.KeyWrapper) ([]byte, error) {
	sealed, err := realms.Sealed(ctx, hmacKey)
	if errors.Is(err, uma.ErrNotFound) {
		secret := make([]byte, 32)
		rand.Read(secret) // it never returns an error
		if sealed, err = vault.Wrap(ctx, secret, []byte(hmacKey)); err != nil {
			return nil, fmt.Errorf("seal the server's secret: %w", err)
		}
		sealed, err = realms.PutSealed(ctx, hmacKey, sealed)
	}
	if err != nil {
		return nil, fmt.Errorf("read the server's secret: %w", err)
	}
	secret, err := vault.Unwrap(ctx, sealed, []byte(hmacKey))
	if err != nil {
		return nil, fmt.Errorf("open the server's secret: %w", err)
	}
	return secret, nil
}

// observe is called after every commit.
func (n *Node) observe(batch int, took time.Duration) {
	n.metrics.Committed(batch, took)
	select {
	case n.committed <- struct{}{}:
	default:
	}
}

// Close waits for writes in progress and closes the files.
func (n *Node) Close() (err error) {
	if n.Store != nil {
		err = n.Store.Close()
	}
	if n.lock != nil {
		err = errors.Join(err, n.lock.Release())
	}
	return err
}

// Public returns the handler of the public listener.
func (n *Node) Public() http.Handler {
	return server.New(server.Config{
		Core: n.Core, Log: n.Log, Metrics: n.metrics, DefaultRealm: n.DefaultRealm, TrustedProxies: n.TrustedProxies,
		Limits: n.Limits,
	})
}

// Admin returns the handler of the admin listener.
func (n *Node) Admin() http.Handler {
	local := &adminapi.Local{Store: n.Store, Lists: store.Lists(n.Store), Rollout: n.Rollout, Now: n.Now}
	return server.NewAdmin(server.AdminConfig{
		Metrics: n.metrics, Ready: n.ready, Log: n.Log,
		API: &server.AdminAPI{
			Tokens:     &admin.Tokens{Store: n.Store, Now: n.Now, NewID: uuid.NewString},
			Operations: local.Operations(), TrustedProxies: n.TrustedProxies, FailedTokens: n.Limits.FailedSecrets,
		},
	})
}

// errStopping is why a server that is to stop is not ready, although it serves.
var errStopping = errors.New("the server is stopping")

// ready returns why no requests should be sent to the server: it is stopping, the store fails, a realm
// has no signing key, or one that there was at the start has no policy yet.
func (n *Node) ready(ctx context.Context) error {
	if n.stopping.Load() {
		return errStopping
	}
	if err := n.Core.Realms.Reload(ctx); err != nil { // a realm that was applied just now is known
		return fmt.Errorf("store: %w", err)
	}
	if err := n.Store.Check(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	without, err := n.Core.Realms.WithoutKey(ctx)
	if err != nil {
		return err
	}
	for _, realm := range without {
		err = errors.Join(err, fmt.Errorf("realm %s has no active signing key: run `umpire keys rotate --realm %[1]s`, or restart the server", realm))
	}
	return errors.Join(err, n.policies.missing())
}

func newSerial() string { return uuid.Must(uuid.NewV7()).String() }
