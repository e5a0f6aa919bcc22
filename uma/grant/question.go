package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// A question is what a request asks, as read from one view: who asks, of which resource
// server, with which claims, for what, and what is shared.
type question struct {
	req    *Request
	caller *party.Caller
	realm  *uma.Snapshot
	now    time.Time

	asker
	server    *uma.Client // the resource server
	ticket    *uma.Ticket // nil without one
	claims    claims
	rpt       *uma.Claims // the RPT to be upgraded; nil without one, or if it carries nothing
	requested requested

	shares   []uma.Share   // of these resources, with this party
	requests []uma.Request // of this party for them
}

// An asker is who asks.
type asker struct {
	party  *party.Identity // the requesting party
	client *uma.Client     // that asks; the RPT is for party.Client
	proved bool            // the client authenticated itself in this request
}

// read does all the reading of a request. It closes the view before the policy runs,
// because there are few views. If it fails, the question is filled as far as it was read.
func (s *Service) read(ctx context.Context, realm *uma.Snapshot, caller *party.Caller, req *Request) (*question, error) {
	q := &question{req: req, caller: caller, realm: realm, now: s.Now()}
	s.verifyAhead(ctx, q)
	_, err := uma.Read(ctx, s.Store, func(view uma.View) (*question, error) { return q, s.fill(ctx, view, q) })
	return q, err
}

// verifyAhead checks the signatures of a request's tokens before its view is opened. A
// token that cannot be used is refused when it is its turn.
func (s *Service) verifyAhead(ctx context.Context, q *question) {
	claims := q.req.ClaimToken
	if !isCompactJWS(claims) {
		claims = ""
	}
	_ = s.Party.VerifyAhead(ctx, q.realm, q.caller.Bearer, q.req.SubjectToken, q.req.RPT, claims)
}

// fill reads the parts of a question in the order in which they depend on each other.
func (s *Service) fill(ctx context.Context, view uma.View, q *question) (err error) {
	if q.asker, err = s.identifyClient(ctx, view, q); err != nil {
		return err
	}
	unidentified := s.identifyParty(ctx, view, q)
	if unidentified != nil && !q.asksForClaims(unidentified) {
		return unidentified
	}
	if err := s.findServer(ctx, view, q); err != nil {
		return err
	}
	if unidentified != nil {
		return unidentified // now that there is a ticket to go on with
	}
	if q.claims, err = s.readClaims(ctx, view, q); err != nil {
		return err
	}
	if q.rpt, err = s.readRPT(ctx, view, q); err != nil {
		return err
	}
	if q.requested, err = resolve(ctx, view, q); err != nil {
		return err
	}
	q.shares, q.requests, err = readShares(ctx, view, q)
	return err
}

// identifyClient finds the client. With a bearer token it is the token's, and the party
// is whom the token speaks for; nothing else in the request can change either. Otherwise
// the client authenticates.
func (s *Service) identifyClient(ctx context.Context, view uma.View, q *question) (asker, error) {
	if !q.caller.HasBearer {
		client, err := s.Party.Authenticate(ctx, q.realm, q.caller)
		if err != nil {
			return asker{}, err
		}
		return asker{client: client, proved: !client.Public}, nil
	}
	var also []string
	if q.req.Rules.Entitlements {
		also = append(also, uma.TypeEntitlement)
	}
	id, err := s.Party.Bearer(ctx, view, q.realm, q.caller.Bearer, also...)
	switch {
	case errors.Is(err, party.ErrInactive):
		return asker{}, uma.Reject(uma.UnusableBearer, uma.Fault{}, err)
	case err != nil:
		return asker{}, err
	}
	return asker{party: id, client: id.Client}, nil
}

// identifyParty finds the requesting party of a client that authenticated: whom the
// subject_token or an identity token speaks for, or else the client itself.
func (s *Service) identifyParty(ctx context.Context, view uma.View, q *question) (err error) {
	if q.req.ClaimToken != "" && !q.mayPresentClaims() {
		return uma.Reject(uma.PublicMayNotPush, uma.Fault{}, nil)
	}
	if err := q.req.checkClaimFormat(); err != nil {
		return err
	}
	if q.party != nil {
		return nil
	}
	switch {
	case q.req.SubjectToken != "":
		q.party, err = s.identifySubject(ctx, view, q)
	case q.req.claimFormat() == uma.FormatID:
		q.party, err = s.identifyByClaims(ctx, view, q)
	case q.req.announcesClaims():
		err = badClaim(uma.InvalidRequest, uma.Fault{Kind: uma.ClaimTokenMissing}, nil)
	case q.req.Rules.AskForIdentity && !q.client.Public && !q.client.ServiceAccount:
		err = badClaim(uma.UnauthorizedClient, uma.Fault{Kind: uma.PartyUnknown}, nil)
	default:
		q.party, err = party.ServiceAccount(q.client)
	}
	return err
}

// identifySubject returns whom the subject_token speaks for. The RPT is for its client,
// whichever client authenticated.
func (s *Service) identifySubject(ctx context.Context, view uma.View, q *question) (*party.Identity, error) {
	id, err := s.Party.Bearer(ctx, view, q.realm, q.req.SubjectToken)
	if errors.Is(err, party.ErrInactive) {
		return nil, uma.Reject(uma.UnusableIdentity, uma.Fault{}, err)
	}
	return id, err
}

// findServer finds the resource server: that of the ticket, or else the audience.
func (s *Service) findServer(ctx context.Context, view uma.View, q *question) error {
	if q.req.Ticket != "" {
		return s.findTicket(ctx, view, q)
	}
	server := q.realm.Clients[q.req.Audience]
	switch {
	case q.req.Audience == "":
		return uma.Reject(uma.ResourceServerBad, uma.Fault{Kind: uma.AudienceMissing}, nil)
	case server == nil || !server.Enabled:
		return uma.Reject(uma.ResourceServerBad, uma.Fault{Kind: uma.AudienceUnknown, Client: q.req.Audience}, nil)
	case !server.ResourceServer:
		return uma.Reject(uma.ResourceServerBad, uma.Fault{Kind: uma.AudienceIsNoServer, Client: q.req.Audience}, nil)
	}
	if err := q.checkReach(server); err != nil {
		return err
	}
	q.server = server
	return nil
}

// findTicket finds the ticket and its resource server. The ticket stays unspent until
// the request is settled.
func (s *Service) findTicket(ctx context.Context, view uma.View, q *question) error {
	t, err := s.loadTicket(ctx, view, q)
	if err != nil {
		return err
	}
	server := q.realm.ByKey[t.Server]
	switch {
	case server == nil || !server.Enabled || !server.ResourceServer,
		t.Client != "" && t.Client != q.client.ID,
		t.Subject != "" && q.party != nil && t.Subject != q.party.Subject:
		return uma.Reject(uma.UnusableTicket, uma.Fault{}, nil)
	}
	q.ticket = t
	if err := q.checkReach(server); err != nil {
		return err
	}
	q.server = server
	if q.req.Rules.PollTickets && q.now.Before(t.Issued.Add(t.Interval)) {
		return uma.Reject(uma.Submitted, uma.Fault{}, errTooSoon)
	}
	return nil
}

func (s *Service) loadTicket(ctx context.Context, view uma.View, q *question) (*uma.Ticket, error) {
	hash, err := s.hashTicket(ctx, q.realm, q.req.Ticket)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return nil, uma.Reject(uma.UnusableTicket, uma.Fault{}, err)
	case err != nil:
		return nil, err
	}
	t, err := view.Ticket(ctx, q.realm.Realm.Key, hash, q.now)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Reject(uma.UnusableTicket, uma.Fault{}, err)
	case err != nil:
		return nil, fmt.Errorf("read ticket: %w", err)
	}
	return t, nil
}

// hashTicket returns what a presented ticket is kept under, in JWT form or not.
// ErrUnverified: it is a JWT that this server did not sign.
func (s *Service) hashTicket(ctx context.Context, realm *uma.Snapshot, ticket string) ([]byte, error) {
	if !strings.Contains(ticket, ".") { // no character of a ticket's value
		return uma.Digest(ticket), nil
	}
	claims, err := s.Verifier.VerifyTicket(ctx, realm, s.PublicURL.Realm(realm), ticket)
	if err != nil {
		return nil, fmt.Errorf("ticket in JWT form: %w", err)
	}
	return uma.Digest(claims.Handle), nil
}

// checkReach refuses a resource server that the party's token does not speak for.
func (a *asker) checkReach(server *uma.Client) error {
	if a.party != nil && a.party.Restricted() && !slices.Contains(a.party.Servers, server.ID) {
		return uma.Reject(uma.UnusableBearer, uma.Fault{}, fmt.Errorf("%w: not for this resource server", party.ErrInactive))
	}
	return nil
}

// readRPT reads the RPT that is to be upgraded. It must be of the same party, client and
// resource server (§1.3). An expired one carries nothing, and neither does one of another
// resource server: keycloak-js sends its last one with every request.
func (s *Service) readRPT(ctx context.Context, view uma.View, q *question) (*uma.Claims, error) {
	if q.req.RPT == "" {
		return nil, nil
	}
	bad := func(err error) (*uma.Claims, error) {
		if q.req.Rules.IgnoreBadRPT {
			return nil, nil
		}
		return nil, uma.Reject(uma.UnusableRPT, uma.Fault{}, err)
	}
	rpt, err := s.Verifier.Verify(ctx, q.realm, s.PublicURL.Realm(q.realm), q.req.RPT)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return bad(err)
	case err != nil:
		return nil, fmt.Errorf("verify rpt: %w", err)
	case rpt.Type != uma.TypeBearer && rpt.Type != uma.TypeEntitlement || rpt.Authorization == nil,
		rpt.Subject != q.party.Subject, rpt.AuthorizedParty != q.party.Client.ID:
		return bad(nil)
	case !slices.Contains(rpt.Audience, q.server.ID):
		return nil, nil
	case rpt.Expires <= q.now.Unix():
		if q.ticket == nil && q.req.onlyCarries() {
			return bad(party.ErrInactive)
		}
		return nil, nil
	}
	switch _, err := s.Party.Identify(ctx, view, q.realm, rpt); {
	case errors.Is(err, party.ErrInactive):
		return bad(err)
	case err != nil:
		return nil, err
	}
	switch _, err := view.RPT(ctx, q.realm.Realm.Key, rpt.ID); {
	case errors.Is(err, uma.ErrNotFound): // ended by an upgrade, or by a replay of its ticket
		return bad(err)
	case err != nil:
		return nil, fmt.Errorf("read rpt: %w", err)
	}
	return rpt, nil
}

// readShares reads the shares that may be for the party, and what it has asked the
// owners for.
func readShares(ctx context.Context, view uma.View, q *question) ([]uma.Share, []uma.Request, error) {
	var keys []uma.Key
	for _, p := range q.requested.permissions {
		if p.resource != nil {
			keys = append(keys, p.resource.Key)
		}
	}
	if len(keys) == 0 {
		return nil, nil, nil
	}
	since := q.now.Add(-q.realm.Realm.Policy.ResubmitAfter)
	shares, requests, err := view.Between(ctx, q.party.Party(q.client.ID), keys, since)
	if err != nil {
		return nil, nil, fmt.Errorf("read what was shared and asked for: %w", err)
	}
	return shares, requests, nil
}
