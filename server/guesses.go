package server

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// guesses limit how often passwords and client secrets are tried. A failure counts for
// the pair of name and address, for the name and, for passwords, for the address. If a
// name succeeded from an address lately, only the pair counts: otherwise anyone could
// lock out a user or a resource server.
type guesses struct {
	users, clients names
	addresses      *limiter
	known          *recent
	throttled      func(limit string)
}

// names are the limits of users or clients: of pairs, and of names at all addresses.
type names struct{ pairs, all *limiter }

// allAddresses is how many times more failures of a name are allowed from all addresses
// together than from one address. With 1, one address could lock a name out everywhere.
const allAddresses = 4

func newNames(most, otherwise int, now func() time.Time) names {
	return names{
		pairs: newLimiter(most, otherwise, time.Minute, now),
		all:   newLimiter(allAddresses*most, allAddresses*otherwise, time.Minute, now),
	}
}

// A guess is an attempt to authenticate as a user or a client.
type guess struct {
	names         names  // users or clients
	limit, what   string // for the metric, and in a refusal
	name, pair    caller // pair: from this address
	address       caller
	countsAddress bool
	known         bool
}

// user returns the guess of a request to sign in.
func (g *guesses) user(x *wire.Exchange, name string) guess {
	c := guess{names: g.users, limit: "user", what: "Too many wrong passwords were tried for this user", countsAddress: true}
	return g.of(c, x, strings.ToLower(name))
}

// client returns the guess of a client's credentials.
func (g *guesses) client(x *wire.Exchange) guess {
	c := guess{names: g.clients, limit: "client", what: "Too many wrong secrets were tried for this client"}
	return g.of(c, x, x.Caller.ClientID)
}

func (g *guesses) of(c guess, x *wire.Exchange, name string) guess {
	realm, address := x.Realm.Realm.Name, network(x.Caller.IP)
	c.name, c.pair = c.names.all.caller(realm, name), c.names.pairs.caller(realm, name, address)
	c.address = g.addresses.caller(address)
	c.known = g.known.has(c.pair)
	return c
}

// check refuses a guess after too many failures.
func (g *guesses) check(c guess) error {
	if err := g.refuse(c.limit, c.what, c.names.pairs.wait(c.pair)); err != nil || c.known {
		return err
	}
	if err := g.refuse(c.limit, c.what, c.names.all.wait(c.name)); err != nil || !c.countsAddress {
		return err
	}
	return g.refuse("address", "Too many sign-ins from this address failed", g.addresses.wait(c.address))
}

func (g *guesses) refuse(limit, what string, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	g.throttled(limit)
	return tooMany(what, wait)
}

// note counts a guess as failed or successful.
func (g *guesses) note(c guess, failed bool) {
	if !failed {
		g.known.add(c.pair)
		return
	}
	c.names.pairs.count(c.pair)
	if c.known {
		return
	}
	c.names.all.count(c.name)
	if c.countsAddress {
		g.addresses.count(c.address)
	}
}

// password serves the password grant.
func (s *server) password(x *wire.Exchange, form wire.Form, scope string) (*party.Tokens, error) {
	name := form.Get("username")
	c := s.guesses.user(x, name)
	if err := s.guesses.check(c); err != nil {
		return nil, err
	}
	client, err := s.core.Authenticate(x)
	if err != nil {
		return nil, err
	}
	from := uma.Attempt{
		User: x.Realm.Realm.Name + "\x00" + strings.ToLower(name), Address: network(x.Caller.IP), Known: c.known,
	}
	res, err := s.core.Party.Password(x.Context(), x.Realm, client, from, name, form.Get("password"), scope)
	switch {
	case err == nil:
		s.guesses.note(c, false)
	case isRefusal(err, uma.InvalidGrant):
		s.guesses.note(c, true)
	case errors.Is(err, uma.ErrBusy):
		s.Metrics.throttled("queue")
	}
	return res, err
}

// credentials reads the client's credentials, and refuses them after too many failures. It
// verifies an assertion and spends it.
func (s *server) credentials(x *wire.Exchange, form wire.Form) error {
	switch err := x.Credentials(form); {
	case err != nil || x.Caller.HasBearer:
		return err
	case x.Caller.HasAssertion:
		return s.core.Party.AuthenticateAhead(x.Context(), x.Realm, s.assertionAudiences(x.Realm), &x.Caller)
	case x.Caller.HasSecret:
		return s.guesses.check(s.guesses.client(x))
	}
	return nil
}

// assertionAudiences are the values of `aud` that a client assertion may have, one of them: the
// issuer, or a token endpoint that a discovery document names (RFC 7523 §3).
func (s *server) assertionAudiences(realm *uma.Snapshot) []string {
	d := s.document(realm)
	return []string{d.Issuer, d.Token, pingToken(s.core, realm)}
}

// noteSecret counts the client's credentials as wrong or right, after a request that ended
// with err.
func (s *server) noteSecret(x *wire.Exchange, err error) {
	if x.Realm == nil || !x.Caller.HasSecret || x.Caller.HasBearer {
		return
	}
	client := x.Client
	switch {
	case isRefusal(err, uma.InvalidClient):
		s.guesses.note(s.guesses.client(x), true)
	case client != nil && client.ID == x.Caller.ClientID:
		s.guesses.note(s.guesses.client(x), false)
	}
}

func isRefusal(err error, reason uma.Reason) bool {
	e, ok := errors.AsType[*uma.Error](err)
	return ok && e.Reason == reason
}

// network is the part of an address that is counted: of an IPv6 address the /64, because one
// host may have all of it.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.Is4() {
		return ip
	}
	p, err := a.Prefix(64)
	if err != nil {
		return ip
	}
	return p.String()
}

// recentFor is for how long a success is remembered, at least.
const recentFor = 12 * time.Hour

// recent has the callers that were added within recentFor, and none that were added more
// than twice as long ago.
type recent struct {
	now func() time.Time

	mu         sync.Mutex
	until      time.Time
	young, old map[caller]struct{}
}

func newRecent(now func() time.Time) *recent {
	return &recent{now: now, young: map[caller]struct{}{}}
}

func (r *recent) has(c caller) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	_, young := r.young[c]
	_, old := r.old[c]
	return young || old
}

func (r *recent) add(c caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget()
	r.young[c] = struct{}{}
}

// forget drops the older half when its entries are older than recentFor, or when there are
// too many entries.
func (r *recent) forget() {
	now := r.now()
	if now.Before(r.until) && len(r.young) < maxCallers {
		return
	}
	r.old, r.young = r.young, map[caller]struct{}{}
	r.until = now.Add(recentFor)
}
