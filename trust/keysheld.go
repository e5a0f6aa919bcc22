package trust

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"example.com/umpire/uma"
)

// The times of keys.
const (
	minFetch   = 5 * time.Second  // between two fetches of the same keys
	refreshing = 10 * time.Minute // between two that succeeded, give or take a tenth
	retrying   = time.Minute      // the longest time between two that failed
	keeping    = 24 * time.Hour   // without success
)

// A source says whose keys they are, and where they come from. It has all settings that matter:
// one that changes makes another source, which begins without keys.
type source struct {
	Realm  uma.Key
	Name   string // of the realm
	Issuer string // the URL; empty for a client's keys
	Owner  string // alias of the issuer, or client_id

	JWKSURI      string
	JWKS         []byte
	AllowPrivate bool
	CA           []byte
}

// holding identifies a source among those that are held.
type holding [sha256.Size]byte

func issuerSource(snap *uma.Snapshot, i *uma.TrustedIssuer) *source {
	return &source{
		Realm: snap.Realm.Key, Name: snap.Realm.Name, Issuer: i.Issuer, Owner: i.Alias,
		JWKSURI: i.JWKSURI, JWKS: i.JWKS, AllowPrivate: i.AllowPrivate, CA: i.CA,
	}
}

func clientSource(snap *uma.Snapshot, c *uma.Client) *source {
	return &source{Realm: snap.Realm.Key, Name: snap.Realm.Name, Owner: c.ID, JWKSURI: c.JWKSURI, JWKS: c.JWKS}
}

// An owner of keys is a *uma.TrustedIssuer or a *uma.Client of a snapshot. As long as that is
// the current one, so is the pointer.
type owner any

// ownersOf returns the issuers of a realm, and the clients that authenticate by keys.
func ownersOf(snap *uma.Snapshot) []owner {
	var all []owner
	if !snap.Realm.Enabled {
		return nil
	}
	for i := range snap.Realm.Issuers {
		all = append(all, &snap.Realm.Issuers[i])
	}
	for _, c := range snap.Clients {
		if c.Enabled && c.HasKeys() {
			all = append(all, c)
		}
	}
	return all
}

func sourceOf(snap *uma.Snapshot, o owner) *source {
	if issuer, ok := o.(*uma.TrustedIssuer); ok {
		return issuerSource(snap, issuer)
	}
	return clientSource(snap, o.(*uma.Client))
}

func (f *source) holding() holding {
	text, _ := json.Marshal(f) // it has nothing that JSON has not
	return sha256.Sum256(text)
}

// kind names what has the keys in metrics and the log.
func (f *source) kind() string {
	if f.Issuer == "" {
		return "client"
	}
	return "issuer"
}

// fault makes an error of find one of the contract.
func (f *source) fault(err error) error {
	if err == nil || errors.Is(err, uma.ErrKeysMissing) {
		return err
	}
	e := &uma.TrustError{Why: err.Error()}
	if f.Issuer != "" {
		e.Issuer = f.Owner
	}
	return e
}

// keys are those of a source, as they were last fetched.
type keys struct {
	from *source
	id   holding

	mu        sync.Mutex
	set       keySet // zero: none were ever had, or not for too long
	fetched   time.Time
	tried     time.Time
	next      time.Time // when they are fetched ahead of need
	queued    bool      // for that
	failures  int64
	inRow     int           // failures since the last success
	fetching  chan struct{} // closed when the fetch under way ends; nil: there is none
	lastError error
}

// keysOf returns the keys of an owner, which may be none yet. It compares settings once for each
// snapshot, since they may be long.
func (s *Service) keysOf(snap *uma.Snapshot, o owner) *keys {
	s.mu.Lock()
	k := s.owned[o]
	s.mu.Unlock()
	if k != nil {
		return k
	}
	from := sourceOf(snap, o)
	id := from.holding()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held, s.owned = map[holding]*keys{}, map[owner]*keys{}
	}
	if k = s.held[id]; k == nil {
		k = &keys{from: from, id: id}
		if from.JWKS != nil {
			k.set, k.lastError = parseKeys(from.JWKS)
		}
		s.held[id] = k
	}
	s.owned[o] = k
	return k
}

// find returns the key for a token. ErrKeysMissing: there are no keys.
func (k *keys) find(now time.Time, kid, alg string) (*Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire(now)
	if k.set.keys == nil {
		return nil, uma.ErrKeysMissing
	}
	return k.set.find(kid, alg)
}

// expire drops keys that were not fetched for too long.
func (k *keys) expire(now time.Time) {
	if k.from.JWKS == nil && now.Sub(k.fetched) > keeping {
		k.set = keySet{}
	}
}

// refetch reports whether an error of find may be gone after a fetch.
func refetch(err error) bool {
	return errors.Is(err, uma.ErrKeysMissing) || errors.Is(err, errUnknownKey)
}

// enqueue reports whether a fetch ahead of need is due and not queued yet, which it is then,
// and whether the last one failed.
func (k *keys) enqueue(now time.Time) (due, failed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	due = k.from.JWKS == nil && !k.queued && !now.Before(k.next)
	k.queued = k.queued || due
	return due, k.inRow > 0
}

func (k *keys) dequeue() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.queued = false
}

// fetchOnce fetches keys unless they were fetched in the last minFetch, or waits for the fetch
// that is under way. The error is that of ctx, which bounds the waiting; the fetch has a context
// of its own.
func (s *Service) fetchOnce(ctx, fetch context.Context, k *keys) error {
	k.mu.Lock()
	if wait := k.fetching; wait != nil {
		k.mu.Unlock()
		select {
		case <-wait:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	now := s.Now()
	if k.from.JWKS != nil || !k.tried.IsZero() && now.Sub(k.tried) < minFetch {
		k.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	k.tried, k.fetching = now, done
	k.mu.Unlock()

	var set keySet
	err := errPanic
	defer func() { // also after a panic: others wait
		k.mu.Lock()
		k.settle(now, set, err)
		k.fetching = nil
		k.mu.Unlock()
		close(done)
	}()
	bounded, cancel := context.WithTimeout(fetch, cmp.Or(s.Network.Timeout, fetchTime))
	defer cancel()
	_, set, err = s.fetch(bounded, k.from)
	if err != nil && fetch.Err() == nil {
		s.Log.WarnContext(ctx, "keys were not fetched: the last ones are kept, if they are not too old",
			"realm", k.from.Name, k.from.kind(), k.from.Owner, "err", err)
	}
	return nil
}

var errPanic = errors.New("the fetch ended in a panic")

// settle replaces the set, never merges it: a key that is no longer published ends. A key that
// still is stays the same *Key.
func (k *keys) settle(now time.Time, set keySet, err error) {
	k.lastError = err
	if err != nil {
		k.failures++
		k.inRow++
		k.next = now.Add(min(retrying, minFetch<<min(k.inRow, 10)))
		return
	}
	for i, fresh := range set.keys {
		for _, old := range k.set.keys {
			if old.text == fresh.text {
				set.keys[i] = old
			}
		}
	}
	k.set, k.fetched, k.inRow = set, now, 0
	k.next = now.Add(refreshing - refreshing/10 + rand.N(refreshing/5))
}

func (k *keys) stat(now time.Time) KeyStat {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire(now)
	return KeyStat{
		Realm: k.from.Name, Kind: k.from.kind(), Name: k.from.Owner,
		Keys: len(k.set.keys), Fetched: k.fetched, Failures: k.failures,
	}
}
