package trust

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"example.com/umpire/recent"
	"example.com/umpire/uma"
)

// A Service verifies tokens by keys that it holds in memory. Its methods may be called at any
// time, also before Run.
type Service struct {
	// Realms returns the configuration of all realms.
	Realms  func(ctx context.Context) ([]*uma.Snapshot, error)
	Network Network
	Now     func() time.Time
	Log     *slog.Logger

	mu       sync.Mutex
	held     map[holding]*keys
	owned    map[owner]*keys                        // those of held, without a look at the settings
	verified *recent.Cache[tokenID, *verifiedToken] // see cache
}

// Run fetches keys ahead of need until ctx ends. At each tick it compares the issuers and
// clients of all realms with what it holds, and fetches what is due. It does not wait for the
// fetches before the next tick.
func (s *Service) Run(ctx context.Context, tick <-chan time.Time) {
	q := newQueue()
	defer q.fetches.Wait()
	for {
		s.refresh(ctx, q)
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

// fetchesAtOnce bounds how many sets of keys are fetched at a time ahead of need, for those
// whose last fetch failed and for the others.
const fetchesAtOnce = 8

// A queue has the fetches ahead of need. Sources whose last fetch failed wait for one another:
// they are often slow, and would delay the refresh of the others.
type queue struct {
	fetches         sync.WaitGroup
	healthy, failed chan struct{} // has an element for each fetch under way
}

func newQueue() *queue {
	return &queue{healthy: make(chan struct{}, fetchesAtOnce), failed: make(chan struct{}, fetchesAtOnce)}
}

// refresh drops the keys of issuers and clients that are no longer there, and begins to fetch
// those that are due.
func (s *Service) refresh(ctx context.Context, q *queue) {
	realms, err := s.Realms(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "trusted issuers: the realms cannot be read; tried again in a moment", "err", err)
		}
		return
	}
	wanted, owned := map[holding]*keys{}, map[owner]*keys{}
	for _, realm := range realms {
		for _, o := range ownersOf(realm) {
			k := s.keysOf(realm, o)
			wanted[k.id], owned[o] = k, k
		}
	}
	s.mu.Lock()
	s.held, s.owned = wanted, owned
	s.mu.Unlock()

	for _, k := range wanted {
		due, failed := k.enqueue(s.Now())
		if !due {
			continue
		}
		turns := q.healthy
		if failed {
			turns = q.failed
		}
		q.fetches.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			defer k.dequeue()
			_ = s.fetchOnce(ctx, ctx, k)
		})
	}
}

// issuerKey returns the key by which a token of a trusted issuer is to be verified: the one of
// that id, or, if the token names none, the only one that fits the algorithm (RFC 7515 §4.5). An
// unknown id makes it fetch the keys, at most once in minFetch.
//
// ErrUnverified, as a *uma.TrustError: the issuer has no such key. uma.ErrKeysMissing: its keys
// are not known.
func (s *Service) issuerKey(ctx context.Context, snap *uma.Snapshot, issuer *uma.TrustedIssuer, kid, alg string) (*Key, error) {
	return s.key(ctx, s.keysOf(snap, issuer), kid, alg)
}

// clientKey is issuerKey for the assertions of a client.
func (s *Service) clientKey(ctx context.Context, snap *uma.Snapshot, client *uma.Client, kid, alg string) (*Key, error) {
	if !client.HasKeys() {
		return nil, &uma.TrustError{Why: "the client has no keys"}
	}
	return s.key(ctx, s.keysOf(snap, client), kid, alg)
}

func (s *Service) key(ctx context.Context, k *keys, kid, alg string) (*Key, error) {
	found, err := k.find(s.Now(), kid, alg)
	if err == nil || !refetch(err) {
		return found, k.from.fault(err)
	}
	// A caller that leaves does not end a fetch that others wait for.
	if err := s.fetchOnce(ctx, context.WithoutCancel(ctx), k); err != nil {
		return nil, err // of the context
	}
	found, err = k.find(s.Now(), kid, alg)
	return found, k.from.fault(err)
}

// A KeyStat is the state of keys that are fetched.
type KeyStat struct {
	Realm, Kind, Name string // Kind is issuer or client, Name an alias or a client_id

	Keys     int
	Fetched  time.Time // the last success; zero for none
	Failures int64
}

// Stats returns the state of all keys that are fetched, in no order.
func (s *Service) Stats() []KeyStat {
	s.mu.Lock()
	held := slices.Collect(maps.Values(s.held))
	s.mu.Unlock()
	var stats []KeyStat
	for _, k := range held {
		if k.from.JWKS == nil {
			stats = append(stats, k.stat(s.Now()))
		}
	}
	return stats
}
