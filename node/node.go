// Package node wires the parts of a server together: store, keys, policies and
// HTTP. The commands of cmd/umpire and the tests that drive a whole server start
// one. What the parts do is theirs; how a server starts, follows changes and
// stops is here.
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

	"example.com/umpire/engine"
	"example.com/umpire/folder"
	"example.com/umpire/server"
	"example.com/umpire/server/wire"
	"example.com/umpire/store/sqlite"
	"example.com/umpire/token"
	"example.com/umpire/uma"
)

// Config says where a server keeps what it keeps, and how it is reached.
type Config struct {
	Data    string // folder of umpire.db
	Serving bool   // to have the folder for itself, but for commands
	KeyFile string // of the key-encryption key; empty: umpire.key in Data
	Key     string // the key itself, in hexadecimal or base64, in place of the file

	// PublicURL is what every URL of the server begins with. Commands that issue
	// nothing do without.
	PublicURL string

	// DefaultRealm is the realm of root-level paths; empty: the only one, if
	// there is one.
	DefaultRealm   string
	TrustedProxies []netip.Prefix
	Limits         Limits

	// StoredPolicies: each realm has its last policy in force, which is in the
	// database, and no policy folder is read.
	StoredPolicies bool

	// Grace is how long requests in progress may take when the server stops; 0 for ten
	// seconds. The decision log has half of it after that.
	Grace time.Duration

	DecisionLog io.Writer // one line a decision; nil for none

	// KeepDecisions is how long decision records are kept; 0 for ever.
	KeepDecisions time.Duration

	Log     *slog.Logger
	Now     func() time.Time
	Version string
}

// Limits are what one caller may do before it is told to wait.
type Limits = server.Limits

// The limits of a server that says nothing else.
const (
	DefaultFailedTickets = server.DefaultFailedTickets
	DefaultTickets       = server.DefaultTickets

	DefaultFailedPasswords = server.DefaultFailedPasswords
	DefaultFailedSignIns   = server.DefaultFailedSignIns
	DefaultFailedSecrets   = server.DefaultFailedSecrets
)

// A Node is a server, running or not.
type Node struct {
	Config
	Store *sqlite.Store
	Core  *wire.Core

	engine    *engine.Engine
	metrics   *server.Metrics
	committed chan struct{} // there may be new decision records
	policies  *policies
	hold      *folder.Hold // of the data folder, when serving
	underWay  atomic.Int64 // requests
}

// hmacKey is the name of the sealed secret that Hasher and refresh tokens use.
const hmacKey = "hmac"

// Open opens the store and its keys, both made if they are not there.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	cfg.Grace = cmp.Or(cfg.Grace, 10*time.Second)
	cfg.KeyFile = cmp.Or(cfg.KeyFile, filepath.Join(cfg.Data, "umpire.key"))
	n := &Node{
		Config: cfg, metrics: server.NewMetrics(),
		committed: make(chan struct{}, 1),
	}
	if err := n.openFolder(ctx); err != nil {
		return nil, err
	}
	if err := n.openStore(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) openStore(ctx context.Context) error {
	store, err := sqlite.Open(ctx, sqlite.Config{Path: n.database(), Now: n.Now, Observe: n.observe})
	if err != nil {
		return err
	}
	n.Store = store
	n.engine = engine.New(engine.Config{Now: n.Now, Keep: store.SaveRevision})
	return n.open(ctx)
}

func (n *Node) open(ctx context.Context) error {
	sealed, err := n.Store.AnySealed(ctx)
	if err != nil {
		return fmt.Errorf("look for sealed keys: %w", err)
	}
	vault, err := n.openVault(sealed)
	if err != nil {
		return err
	}
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
	n.Core, err = wire.NewCore(wire.Parts{
		Store: n.Store, Policy: n.engine, Issuer: keys, Verifier: keys, Hasher: hasher,
		PublicURL: uma.PublicURL(cmp.Or(n.PublicURL, "http://localhost")), Now: n.Now, NewID: uuid.NewString, NewSerial: newSerial,
		Log:     func(ctx context.Context, msg string, args ...any) { n.Log.ErrorContext(ctx, msg, args...) },
		Labels:  map[string]string{"id": uuid.NewString(), "version": cmp.Or(n.Version, "dev")},
		Decided: n.metrics.Decided, Stuck: n.metrics.Stuck,
	})
	if err != nil {
		return err
	}
	n.policies = newPolicies(n)
	n.metrics.QueueLength(n.Store.QueueLen)
	n.metrics.PasswordQueue(hasher.Waiting)
	n.metrics.WALSize(n.Store.WALSize)
	return nil
}

// openVault makes the vault of the key that is given, or of its file.
func (n *Node) openVault(anySealed bool) (*token.Vault, error) {
	if n.Key != "" {
		return token.VaultOf(n.Key, "UMPIRE_KEY")
	}
	return token.OpenVault(n.KeyFile, anySealed)
}

// openSecret returns the server's HMAC key, made at the first start.
func openSecret(ctx context.Context, store *sqlite.Store, vault *token.Vault) ([]byte, error) {
	sealed, err := store.Sealed(ctx, hmacKey)
	if errors.Is(err, uma.ErrNotFound) {
		secret := make([]byte, 32)
		rand.Read(secret)
		sealed, err = store.PutSealed(ctx, hmacKey, vault.Seal(secret, []byte(hmacKey)))
	}
	if err != nil {
		return nil, fmt.Errorf("read the server's secret: %w", err)
	}
	secret, err := vault.Open(sealed, []byte(hmacKey))
	if err != nil {
		return nil, fmt.Errorf("open the server's secret: %w", err)
	}
	return secret, nil
}

// observe is told of every commit.
func (n *Node) observe(batch int, took time.Duration) {
	n.metrics.Committed(batch, took)
	select {
	case n.committed <- struct{}{}:
	default:
	}
}

// Close waits for what is being written and releases the files.
func (n *Node) Close() (err error) {
	if n.Store != nil {
		err = n.Store.Close()
	}
	if n.hold != nil {
		err = errors.Join(err, n.hold.Release())
	}
	return err
}

// Public is the handler of the public listener.
func (n *Node) Public(ctx context.Context) (http.Handler, error) {
	realm := n.DefaultRealm
	if realm == "" {
		names, err := n.Store.RealmNames(ctx)
		if err != nil {
			return nil, fmt.Errorf("list realms: %w", err)
		}
		if len(names) == 1 {
			realm = names[0]
		}
	}
	return server.New(server.Config{
		Core: n.Core, Log: n.Log, Metrics: n.metrics, DefaultRealm: realm, TrustedProxies: n.TrustedProxies,
		Limits: n.Limits,
	}), nil
}

// Admin is the handler of the admin listener.
func (n *Node) Admin() http.Handler {
	return server.NewAdmin(server.AdminConfig{Metrics: n.metrics, Ready: n.ready, Log: n.Log})
}

// ready reports why the server cannot serve: the store does not answer, or a
// realm has no policy that works, or no key to sign with.
func (n *Node) ready(ctx context.Context) error {
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
