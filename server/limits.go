package server

import (
	"errors"
	"hash/maphash"
	"net/http"
	"sync"
	"time"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// The limits that a server has by default.
const (
	DefaultFailedTickets = 600
	DefaultTickets       = 10_000

	DefaultFailedPasswords = 30
	DefaultFailedSignIns   = 300
	DefaultFailedSecrets   = 600
)

// Limits are how much one caller may do before it must wait. 0 is the default, less than 0
// no limit.
type Limits struct {
	FailedTickets int // unusable tickets presented by a client from one address, a minute
	Tickets       int // permission tickets made with the PATs of one client and subject, a second

	// A minute, see guesses:
	FailedPasswords int // wrong passwords of one user from one address
	FailedSignIns   int // wrong passwords from one address
	FailedSecrets   int // wrong secrets of one client from one address
}

// maxCallers is how many callers a limiter counts. Further callers are not counted.
// Rejected: to forget others instead, because then an attacker could make up callers until
// its own count is forgotten.
const maxCallers = 100_000

// A limiter counts what callers do, in windows of time that follow one another.
type limiter struct {
	most   int
	window time.Duration
	now    func() time.Time
	seed   maphash.Seed

	mu     sync.Mutex
	ends   time.Time
	counts map[caller]int
}

// A caller is a hash of what identifies it, with a seed of the limiter: nobody can choose
// values with the hash of another caller.
type caller uint64

func (l *limiter) caller(marks ...string) caller {
	var h maphash.Hash
	h.SetSeed(l.seed)
	for _, mark := range marks {
		h.WriteString(mark) // never fails, like WriteByte
		h.WriteByte(0)
	}
	return caller(h.Sum64())
}

func newLimiter(most, otherwise int, window time.Duration, now func() time.Time) *limiter {
	if most == 0 {
		most = otherwise
	}
	return &limiter{most: most, window: window, now: now, seed: maphash.MakeSeed()}
}

// wait is how long a caller must wait; 0 if it may go on.
func (l *limiter) wait(c caller) time.Duration {
	if l.most < 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); l.counts[c] >= l.most && now.Before(l.ends) {
		return l.ends.Sub(now)
	}
	return 0
}

func (l *limiter) count(c caller) {
	if l.most < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); !now.Before(l.ends) {
		l.ends, l.counts = now.Add(l.window), map[caller]int{}
	}
	if _, known := l.counts[c]; known || len(l.counts) < maxCallers {
		l.counts[c]++
	}
}

// tooMany is the answer to a caller that must wait (RFC 6585 §4).
func tooMany(what string, wait time.Duration) error {
	return &wire.Refusal{
		Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", Description: what,
		Retry: true, After: wait,
	}
}

// limitTickets limits how many tickets are made with the PATs of one client and subject.
// Since tickets expire, this also limits how many there are. Rejected: a limit for each
// PAT, because a client may get many PATs.
func (s *server) limitTickets(request wire.Handler) wire.Handler {
	return func(x *wire.Exchange) error {
		client, subject := s.core.Party.ClaimedCaller(x.Context(), x.Realm, &x.Caller)
		who := s.minted.caller(x.Realm.Realm.Name, client, subject)
		if wait := s.minted.wait(who); wait > 0 {
			s.Metrics.throttled("ticket_rate")
			return tooMany("Too many permission tickets were asked for by this client and user", wait)
		}
		if err := request(x); err != nil {
			return err
		}
		s.minted.count(who)
		return nil
	}
}

// limitGuesses limits how often a client may present unusable tickets from one address, so
// that other users of a public client are not affected. The client is that of the bearer
// token or of the credentials, which the grant checks before the ticket: a caller cannot
// get another count by making up values.
func (s *server) limitGuesses(x *wire.Exchange, grant func() error) error {
	client, subject := s.core.Party.ClaimedCaller(x.Context(), x.Realm, &x.Caller)
	who := s.guessed.caller(x.Realm.Realm.Name, client, subject, x.Caller.IP)
	if wait := s.guessed.wait(who); wait > 0 {
		s.Metrics.throttled("failed_tickets")
		return tooMany("Too many unusable tickets were presented", wait)
	}
	err := grant()
	if e, ok := errors.AsType[*uma.Error](err); ok && e.Reason == uma.UnusableTicket {
		s.guessed.count(who)
	}
	return err
}

// limitAuthorize is limitGuesses for the legacy API, which accepts tickets, too.
func (s *server) limitAuthorize(authorize wire.Handler) wire.Handler {
	return func(x *wire.Exchange) error {
		return s.limitGuesses(x, func() error { return authorize(x) })
	}
}
