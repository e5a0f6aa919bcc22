package grant

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"example.com/umpire/uma"
)

// How long a client waits after request_submitted before it presents the next ticket
// (§3.3.6): the first time, and at most.
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

// asksForBetter reports whether the client is asked for a better claim token if the one that
// it presents does not count, instead of being refused or left to the policy.
func (q *question) asksForBetter() bool { return q.req.Rules.BadClaimIsNeedInfo && q.req.Ticket != "" }

// asksForClaims reports whether the client is asked for a better claim token instead of
// being refused.
func (q *question) asksForClaims(err error) bool {
	return q.asksForBetter() && errors.Is(err, errBadClaim)
}

// requiredClaims returns the claims that the policy wants, each once, or any claims if it wants
// none. Two claims of one name from different issuers are different claims. A claim of which
// the policy does not say otherwise may come in any format that is understood, and from any
// issuer that may assert it.
func (s *Service) requiredClaims(q *question, d *decisions) []uma.RequiredClaim {
	var out []uma.RequiredClaim
	for _, one := range d.list {
		for _, need := range one.needs {
			c := need.RequiredClaim
			if len(c.Formats) == 0 {
				c.Formats = uma.ClaimTokenFormats()
			}
			if len(c.Issuers) == 0 {
				c.Issuers = q.issuersOf(c.Name)
			}
			if !slices.ContainsFunc(out, func(other uma.RequiredClaim) bool { return reflect.DeepEqual(other, c) }) {
				out = append(out, c)
			}
		}
	}
	if out == nil {
		return s.anyClaims(q)
	}
	return out
}

// anyClaims asks for any claim token: of this realm, or of a trusted issuer whose claim tokens
// it accepts. A realm without such issuers needs no list.
func (s *Service) anyClaims(q *question) []uma.RequiredClaim {
	issuers := q.issuersOf("")
	if issuers != nil {
		issuers = append([]string{s.PublicURL.Realm(q.realm)}, issuers...)
	}
	return []uma.RequiredClaim{{Formats: uma.ClaimTokenFormats(), Issuers: issuers}}
}

// issuersOf returns the URLs of the trusted issuers that may assert a claim; without a name,
// of all whose claim tokens are accepted.
func (q *question) issuersOf(claim string) (urls []string) {
	for _, i := range q.realm.Realm.Issuers {
		if slices.Contains(i.Accept, uma.UseClaims) && (claim == "" || slices.Contains(i.Claims, claim)) {
			urls = append(urls, i.Issuer)
		}
	}
	return urls
}

// refuseUndecided answers a request that was refused before the policy decided. Some refusals
// spend the ticket (§5.5), and issue a new one where §3.3.6 requires it.
func (s *Service) refuseUndecided(ctx context.Context, q *question, err error) (*Answer, error) {
	refusal, ok := errors.AsType[*uma.Error](err)
	switch {
	case !ok || q.req.Ticket == "":
	case refusal.Reason == uma.UnusableTicket && errors.Is(err, uma.ErrNotFound):
		err = s.refuseReplay(ctx, q, err)
	case q.asksForClaims(err):
		refusal = uma.Reject(uma.NeedInfo, uma.Fault{}, err)
		refusal.RequiredClaims = s.anyClaims(q)
		return s.spendUndecided(ctx, q, refusal, true)
	case errors.Is(err, errTooSoon):
		refusal.Interval = min(2*q.ticket.Interval, lastInterval)
		return s.spendUndecided(ctx, q, refusal, true)
	case refusal.Reason == uma.InvalidScope && q.req.Rules.UnavailableScopeIsError:
		return s.spendUndecided(ctx, q, refusal, false)
	}
	return &Answer{Client: q.client}, err
}

// spendUndecided spends the ticket of a request that is refused without a decision. With
// reissue the refusal has a new ticket.
func (s *Service) spendUndecided(ctx context.Context, q *question, refusal *uma.Error, reissue bool) (*Answer, error) {
	st := &uma.Settlement{Realm: q.realm.Realm.Key, Now: q.now, Ticket: q.ticket.Hash, Reusable: q.realm.Realm.TicketReuse}
	if reissue {
		st.Successor, refusal.Ticket = s.reissue(q, refusal.Interval)
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

// reissue makes the ticket that succeeds the one presented, with the same permissions and
// claims. Only this client can present it, and only for the same user; if the client asked
// for itself, for any user, because need_info may have asked who the party is. The ticket is
// valid for the usual time after the interval is over. It remembers the claims gathered so far.
func (s *Service) reissue(q *question, interval time.Duration) (*uma.Ticket, string) {
	value := uma.NewHandle(q.now)
	t := *q.ticket
	t.Hash, t.Client = uma.Digest(value), q.client.ID
	if q.party != nil && q.party.User != nil {
		t.Subject = q.party.Subject
	}
	t.Round++
	t.Gathered = s.sealGathered(q)
	t.Interval = interval
	t.Issued, t.Expires = q.now, q.now.Add(interval+q.realm.Realm.Lifetimes.Ticket)
	return &t, value
}

// refuseReplay refuses a ticket that does not exist, or no longer. If a client presents a
// ticket that another client traded for an RPT, the ticket may have been stolen: the RPT is
// deleted, so that it is no longer active (§5.5).
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
	s.Log(ctx, "a spent ticket was presented by another client: its RPT is no longer active",
		"realm", q.realm.Realm.Name, "client", q.client.ID, "spent_by", spent.Client, "jti", spent.RPT)
	return refusal
}
