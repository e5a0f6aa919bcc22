package grant

import (
	"context"
	"errors"
	"time"

	"example.com/umpire/uma"
)

// How long a client that was told request_submitted waits before it presents the next
// ticket (§3.3.6): the first time, and at most.
const (
	firstInterval = 5 * time.Second
	lastInterval  = time.Minute
)

// Why a request is refused before anything was decided.
var (
	errBadClaim = errors.New("no claim token that can be used")
	errTooSoon  = errors.New("presented before its interval was over")
)

// badClaim refuses a claim token that cannot be used, or the lack of one.
func badClaim(reason uma.Reason, fault uma.Fault, cause error) *uma.Error {
	return uma.Reject(reason, fault, errors.Join(errBadClaim, cause))
}

// asksForClaims reports whether the client is asked for a better claim token instead of
// being refused.
func (q *question) asksForClaims(err error) bool {
	return q.req.Rules.BadClaimIsNeedInfo && q.req.Ticket != "" && errors.Is(err, errBadClaim)
}

// refuseUndecided refuses a request that could not be read as far as to be decided. Some
// refusals spend the ticket (§5.5), and give the client the next one where §3.3.6 wants
// it.
func (s *Service) refuseUndecided(ctx context.Context, q *question, err error) (*Answer, error) {
	refusal, ok := errors.AsType[*uma.Error](err)
	switch {
	case !ok || q.req.Ticket == "":
	case refusal.Reason == uma.UnusableTicket && errors.Is(err, uma.ErrNotFound):
		err = s.refuseReplay(ctx, q, err)
	case q.asksForClaims(err):
		refusal = uma.Reject(uma.NeedInfo, uma.Fault{}, err)
		refusal.RequiredClaims = []uma.RequiredClaim{{Formats: uma.ClaimTokenFormats()}}
		return s.spend(ctx, q, refusal, true)
	case errors.Is(err, errTooSoon):
		refusal.Interval = min(2*q.ticket.Interval, lastInterval)
		return s.spend(ctx, q, refusal, true)
	case refusal.Reason == uma.InvalidScope && q.req.Rules.UnavailableScopeIsError:
		return s.spend(ctx, q, refusal, false)
	}
	return &Answer{Client: q.client}, err
}

// spend spends the ticket on a refusal without a decision, and gives the client the next
// one if it is to come again.
func (s *Service) spend(ctx context.Context, q *question, refusal *uma.Error, again bool) (*Answer, error) {
	st := &uma.Settlement{Realm: q.realm.Realm.Key, Now: q.now, Ticket: q.ticket.Hash, Reusable: q.realm.Realm.TicketReuse}
	if again {
		st.Successor, refusal.Ticket = q.reissue(refusal.Interval)
	}
	err := s.Store.Commit(ctx, st)
	switch {
	case errors.Is(err, uma.ErrSpent):
		return &Answer{Client: q.client}, s.refuseReplay(ctx, q, err)
	case err != nil:
		return &Answer{Client: q.client}, uma.Tell("settle", err)
	}
	return &Answer{Client: q.client}, refusal
}

// reissue makes the ticket that follows the one presented: the same permissions and
// claims, for this client and the user that it speaks for. A client that spoke for itself
// may have been asked whom it speaks for. The ticket can be presented once the interval is
// over, for as long as any other.
func (q *question) reissue(interval time.Duration) (*uma.Ticket, string) {
	value := uma.NewSecret()
	t := *q.ticket
	t.Hash, t.Client = uma.Digest(value), q.client.ID
	if q.party != nil && q.party.User != nil {
		t.Subject = q.party.Subject
	}
	t.Round++
	t.Interval = interval
	t.Issued, t.Expires = q.now, q.now.Add(interval+q.realm.Realm.Lifetimes.Ticket)
	return &t, value
}

// refuseReplay refuses a ticket that is not there, or no longer. If another client
// presents a ticket that was traded for an RPT, the ticket may have been stolen, and the
// RPT with it: the RPT is ended (§5.5).
func (s *Service) refuseReplay(ctx context.Context, q *question, cause error) error {
	refusal := uma.Reject(uma.UnusableTicket, uma.Fault{}, cause)
	hash, err := s.hashTicket(ctx, q.realm, q.req.Ticket)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return refusal
	case err != nil:
		return err
	}
	spent, err := uma.Read(ctx, s.Store, func(view uma.View) (*uma.SpentTicket, error) {
		return view.SpentTicket(ctx, q.realm.Realm.Key, hash)
	})
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return refusal
	case err != nil:
		return uma.Tell("read spent ticket", err)
	case spent.Client == q.client.ID:
		return refusal
	}
	if err := s.Store.DropRPT(ctx, q.realm.Realm.Key, spent.RPT); err != nil {
		return uma.Tell("drop the rpt of a replayed ticket", err)
	}
	s.Log(ctx, "a spent ticket came from another client: its RPT is ended",
		"realm", q.realm.Realm.Name, "client", q.client.ID, "spent_by", spent.Client, "jti", spent.RPT)
	return refusal
}
