package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// How long a client that was told request_submitted waits before it presents the
// next ticket (§3.3.6): the first time, and at most.
const (
	firstInterval = 5 * time.Second
	lastInterval  = time.Minute
)

// Why a request is refused before anything was decided.
var (
	errBadClaim = errors.New("no claim token that is any good")
	errTooSoon  = errors.New("presented before its interval was over")
)

// badClaim refuses a claim token that is no good, or the lack of one.
func badClaim(reason uma.Reason, description string, cause error) *uma.Error {
	return uma.Refuse(reason, description, errors.Join(errBadClaim, cause))
}

// endRound turns a refusal that was found while reading into the one to answer
// with. A ticket is spent by a strict request that gets as far as being told what
// is the matter with it (§5.5), and the next one goes with the answer where §3.3.6
// wants it.
func (x *assessment) endRound(ctx context.Context, err error) error {
	refusal, ok := errors.AsType[*uma.Error](err)
	switch {
	case !ok || x.req.Ticket == "":
		return err
	case refusal.Reason == uma.UnusableTicket && errors.Is(err, uma.ErrNotFound):
		return x.replayed(ctx, err)
	case !x.req.Strict:
		return err
	case errors.Is(err, errBadClaim):
		return x.askForClaims(ctx)
	case errors.Is(err, errTooSoon):
		interval := min(2*x.ticket.Interval, lastInterval)
		return x.nextRound(ctx, uma.Refuse(uma.Submitted, "", err), interval)
	case refusal.Reason == uma.InvalidScope:
		return x.spend(ctx, refusal, nil)
	}
	return err
}

// askForClaims refuses a claim token that is invalid, has expired or is of another
// format than is understood: the client may bring a better one.
func (x *assessment) askForClaims(ctx context.Context) error {
	if x.ticket == nil { // the token said who asks, so that the ticket is not read yet
		if err := x.readTicket(ctx); err != nil {
			return x.endRound(ctx, err)
		}
	}
	refusal := uma.Refuse(uma.NeedInfo, "", errBadClaim)
	refusal.RequiredClaims = []uma.RequiredClaim{{Formats: uma.ClaimTokenFormats()}}
	return x.nextRound(ctx, refusal, 0)
}

func (x *assessment) readTicket(ctx context.Context) (err error) {
	view, err := x.Store.View(ctx)
	if err != nil {
		return fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	return x.presentTicket(ctx, view)
}

// nextRound spends the ticket and gives the client the one that follows it.
func (x *assessment) nextRound(ctx context.Context, refusal *uma.Error, interval time.Duration) error {
	var next *uma.Ticket
	next, refusal.Ticket = x.successor(interval)
	refusal.Interval = interval
	return x.spend(ctx, refusal, next)
}

// spend spends the ticket on a refusal without a decision.
func (x *assessment) spend(ctx context.Context, refusal *uma.Error, next *uma.Ticket) error {
	err := x.keep(ctx, &uma.Settlement{
		Realm: x.snap.Realm.Key, Now: x.now, Ticket: x.ticket.Hash, Reusable: x.snap.Realm.TicketReuse, Successor: next,
	})
	switch {
	case errors.Is(err, uma.ErrSpent):
		return x.replayed(ctx, err)
	case err != nil:
		return err
	}
	return refusal
}

// successor is the ticket that goes on with the process of the one presented:
// same permissions and claims, bound to this client and to the user it speaks
// for. A client that spoke for itself may have been asked for whom it does. It can
// be presented once the interval is over for as long as any other.
func (x *assessment) successor(interval time.Duration) (*uma.Ticket, string) {
	value := uma.NewSecret()
	t := *x.ticket
	t.Hash, t.Client = uma.Digest(value), x.asking.ID
	if x.Who != nil && x.Who.User != nil {
		t.Subject = x.Who.Subject
	}
	t.Round++
	t.Interval = interval
	t.Issued, t.Expires = x.now, x.now.Add(interval+x.snap.Realm.Lifetimes.Ticket)
	return &t, value
}

// replayed refuses a ticket that is not, or no longer, to be had. One that was
// traded for an RPT and comes again from another client may have been stolen, and
// the RPT with it: that is good no more (§5.5).
func (x *assessment) replayed(ctx context.Context, cause error) error {
	refusal := uma.Refuse(uma.UnusableTicket, "", cause)
	hash, err := x.ticketHash(ctx, x.snap, x.req.Ticket)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return refusal
	case err != nil:
		return err
	}
	view, err := x.Store.View(ctx)
	if err != nil {
		return fmt.Errorf("open view: %w", err)
	}
	spent, err := view.SpentTicket(ctx, x.snap.Realm.Key, hash)
	uma.CloseView(view, &err)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return refusal
	case err != nil:
		return fmt.Errorf("read spent ticket: %w", err)
	case spent.Client == x.asking.ID:
		return refusal
	}
	if err := x.Store.DropRPT(ctx, x.snap.Realm.Key, spent.RPT); err != nil {
		return uma.Storing("drop the rpt of a replayed ticket", err)
	}
	x.Log(ctx, "a spent ticket came from another client: its RPT is good no more",
		"realm", x.snap.Realm.Name, "client", x.asking.ID, "spent_by", spent.Client, "jti", spent.RPT)
	return refusal
}

// checkAvailable refuses a scope that is available on no resource of the ticket
// (§3.3.6), in a strict request.
func (x *assessment) checkAvailable(resources map[uma.ResourceID]*uma.Resource) error {
	if !x.req.Strict {
		return nil
	}
	var available []uma.Scope
	for _, p := range x.ticket.Permissions {
		available = append(available, p.Scopes...)
		if r := resources[p.Resource]; r != nil {
			available = append(available, r.Scopes...)
		}
	}
	for _, s := range x.req.Scopes {
		if !slices.Contains(available, s) {
			return uma.Refuse(uma.InvalidScope, "A scope that is asked for is available on no resource of the ticket", nil)
		}
	}
	return nil
}

// upgraded reports whether the new RPT stands in for the one that was given. A
// strict one has all that the old one had, for that is good no more (§3.3.5.1).
func (x *assessment) upgraded(now []uma.Grant) bool {
	former := x.rpt.Authorization.Permissions
	if !x.req.Strict {
		return upgraded(former, now)
	}
	return !slices.ContainsFunc(former, func(f uma.GrantedPermission) bool {
		return !slices.ContainsFunc(now, func(g uma.Grant) bool {
			return f.Resource() == g.Resource && len(sets.Within(f.Scopes, g.Scopes)) == len(f.Scopes) && (len(f.Scopes) > 0 || len(g.Scopes) == 0)
		})
	})
}

// mayCarry reports whether a permission on a resource may go into an RPT beside
// what is requested: a strict one is for one owner (§1.3).
func (x *assessment) mayCarry(r *uma.Resource) bool {
	return !x.req.Strict || !slices.ContainsFunc(x.wanted, func(w *wanted) bool {
		return w.requested && w.resource != nil && w.resource.Owner != r.Owner
	})
}

// ticketHash is what a presented ticket is kept under, in JWT form or not.
// ErrUnverified: it is a JWT that this server did not sign.
func (a *Service) ticketHash(ctx context.Context, s *uma.Snapshot, ticket string) ([]byte, error) {
	if !strings.Contains(ticket, ".") { // no character of a ticket's value
		return uma.Digest(ticket), nil
	}
	claims, err := a.Verifier.VerifyTicket(ctx, s, a.PublicURL.Realm(s), ticket)
	if err != nil {
		return nil, fmt.Errorf("ticket in JWT form: %w", err)
	}
	return uma.Digest(claims.Handle), nil
}
