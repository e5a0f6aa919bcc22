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

// A question is what a request asks, as read from one view: who asks which resource server
// for which permissions, with which claims, and what owners have shared.
type question struct {
	req    *Request
	caller *party.Caller
	realm  *uma.Snapshot
	now    time.Time

	tokens verifiedTokens

	asker
	server    *uma.Client // the resource server
	ticket    *uma.Ticket // nil without one
	claims    claims
	rpt       *uma.Claims // the RPT to be upgraded; nil without one, or if it carries nothing
	requested requested

	shares   []uma.Share   // candidate shares of the requested resources
	requests []uma.Request // to the owners of these resources, by the party

	identities []uma.Identity // of the party; nil until a proof needs them

	epoch uma.Epoch // of the view that all of this was read from
}

// verifiedTokens are those of a request by which the party may be identified, or claims be proved,
// the RPT, and the hash of the ticket, verified before the view is opened.
type verifiedTokens struct {
	bearer, subject, claim, rpt *party.Token

	ticket    []byte // nil without a ticket, or if it is not valid
	ticketErr error
}

// An asker is who makes the request.
type asker struct {
	party         *party.Identity // the requesting party
	client        *uma.Client     // the client that sent the request; the RPT is issued to party.Client
	authenticated bool            // the client authenticated itself in this request
}

// read reads everything that a request needs from the store. It closes the view before the
// policy runs, because there are few views. With an error, the question has what was read
// before it.
func (s *Service) read(ctx context.Context, realm *uma.Snapshot, caller *party.Caller, req *Request) (*question, error) {
	asked := question{req: req, caller: caller, realm: realm, now: s.Now()}
	asked.tokens = s.verifyAhead(ctx, &asked)
	q := &asked
	_, err := party.Read(ctx, s.Party, realm, func(view uma.View) (*question, error) {
		anew := asked
		q = &anew
		return q, s.fill(ctx, view, q)
	})
	return q, err
}

// verifyAhead verifies a request's tokens before its view is opened. fill refuses a token that
// is not valid.
func (s *Service) verifyAhead(ctx context.Context, q *question) verifiedTokens {
	var t verifiedTokens
	switch {
	case q.caller.HasBearer:
		t.bearer = s.Party.Verify(ctx, q.realm, q.caller.Bearer)
	case q.req.SubjectToken != "":
		t.subject = s.Party.Verify(ctx, q.realm, q.req.SubjectToken)
	}
	if q.req.claimFormat() == uma.FormatID || isCompactJWS(q.req.ClaimToken) {
		t.claim = s.Party.Verify(ctx, q.realm, q.req.ClaimToken)
	}
	if q.req.RPT != "" {
		t.rpt = s.Party.Verify(ctx, q.realm, q.req.RPT)
	}
	if q.req.Ticket != "" {
		t.ticket, t.ticketErr = s.hashTicket(ctx, q.realm, q.req.Ticket)
	}
	return t
}

// expected names what the request is going to read: whose tokens it has, its ticket, and the
// resources that it names. What it searches for is not known before.
func (q *question) expected() *uma.Expected {
	e := &uma.Expected{Realm: q.realm.Realm.Key, Ticket: q.tokens.ticket, Now: q.now}
	asks := q.caller.ClientID // claimed: what is read ahead gives no access
	if q.caller.HasBearer {
		asks = ""
	}
	for _, token := range []*party.Token{q.tokens.bearer, q.tokens.subject, q.tokens.claim} {
		token.Expect(e, q.realm, asks)
	}
	if account := q.realm.Clients[asks]; account != nil && len(e.Tokens)+len(e.Identities) == 0 {
		e.Client, e.Party = asks, (&party.Identity{Subject: account.UUID, Client: account}).Party(asks)
	}
	if token := q.tokens.rpt; token != nil && token.Own != nil {
		e.Tokens, e.RPT = append(e.Tokens, uma.TokenKey{JTI: token.Own.ID, Session: token.Own.SessionID}), token.Own.ID
	}
	if server := q.realm.Clients[q.req.Audience]; server != nil && !q.req.ByURI {
		e.Server, e.Owners = server.Key, append(e.Owners, server.UUID)
		e.Scopes = slices.Clone(q.req.Scopes)
		for _, p := range q.req.Permissions {
			if p.Resource != "" {
				e.Resources = append(e.Resources, p.Resource)
			}
			e.Scopes = append(e.Scopes, p.Scopes...)
		}
	}
	return e
}

// fill reads the parts of a question in the order in which they depend on each other.
func (s *Service) fill(ctx context.Context, view uma.View, q *question) (err error) {
	if err := view.Expect(ctx, q.expected()); err != nil {
		return fmt.Errorf("read what is expected: %w", err)
	}
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
		return unidentified // refuseUndecided needs the ticket, which is read now
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
	q.epoch = view.Epoch()
	return err
}

// identifyClient finds the client. A bearer token identifies the client and the party, and
// nothing else in the request can change either. Without one, the client authenticates.
func (s *Service) identifyClient(ctx context.Context, view uma.View, q *question) (asker, error) {
	if !q.caller.HasBearer {
		client, err := s.Party.Authenticate(ctx, q.realm, q.caller)
		if err != nil {
			return asker{}, err
		}
		return asker{client: client, authenticated: !client.Public}, nil
	}
	accepts := party.Acceptance{Use: uma.UseBearer}
	if q.req.Rules.Entitlements {
		accepts = party.Acceptance{Types: []string{uma.TypeEntitlement}}
	}
	id, err := s.Party.Bearer(ctx, view, q.realm, q.tokens.bearer, accepts)
	switch {
	case errors.Is(err, party.ErrInactive):
		return asker{}, uma.Reject(uma.UnusableBearer, party.BearerFault(err), err)
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
// whichever client authenticated; a token of a trusted issuer must be for that one.
func (s *Service) identifySubject(ctx context.Context, view uma.View, q *question) (*party.Identity, error) {
	accepts := party.Acceptance{Use: uma.UseSubjectToken, Client: q.authenticatedClient()}
	id, err := s.Party.Bearer(ctx, view, q.realm, q.tokens.subject, accepts)
	if errors.Is(err, party.ErrInactive) {
		return nil, uma.Reject(uma.UnusableIdentity, party.BearerFault(err), err)
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
	if err := q.checkServer(server); err != nil {
		return err
	}
	q.server = server
	return nil
}

// findTicket reads the ticket and finds its resource server. settle spends the ticket.
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
	if err := q.checkServer(server); err != nil {
		return err
	}
	q.server = server
	if q.req.Rules.PollTickets && q.now.Before(t.Issued.Add(t.Interval)) {
		return uma.Reject(uma.Submitted, uma.Fault{}, errTooSoon)
	}
	return nil
}

func (s *Service) loadTicket(ctx context.Context, view uma.View, q *question) (*uma.Ticket, error) {
	switch err := q.tokens.ticketErr; {
	case errors.Is(err, uma.ErrUnverified):
		return nil, uma.Reject(uma.UnusableTicket, uma.Fault{}, err)
	case err != nil:
		return nil, err
	}
	t, err := view.Ticket(ctx, q.realm.Realm.Key, q.tokens.ticket, q.now)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, uma.Reject(uma.UnusableTicket, uma.Fault{}, err)
	case err != nil:
		return nil, fmt.Errorf("read ticket: %w", err)
	}
	return t, nil
}

// hashTicket returns the hash under which a presented ticket is stored, whether it is opaque
// or a JWT. ErrUnverified: it is a JWT that this server did not sign.
func (s *Service) hashTicket(ctx context.Context, realm *uma.Snapshot, ticket string) ([]byte, error) {
	if !strings.Contains(ticket, ".") { // an opaque ticket has no dot
		return uma.Digest(ticket), nil
	}
	claims, err := s.Verifier.VerifyTicket(ctx, realm, s.PublicURL.Realm(realm), ticket)
	if err != nil {
		return nil, fmt.Errorf("ticket in JWT form: %w", err)
	}
	return uma.Digest(claims.Handle), nil
}

// checkServer refuses a resource server that the party's token is not valid for.
func (a *asker) checkServer(server *uma.Client) error {
	if a.party != nil && a.party.Restricted() && !slices.Contains(a.party.Servers, server.ID) {
		return uma.Reject(uma.UnusableBearer, uma.Fault{}, fmt.Errorf("%w: not for this resource server", party.ErrInactive))
	}
	return nil
}

// readRPT reads the RPT that is to be upgraded. It must be of the same party, client and
// resource server (§1.3). An RPT that has expired, or is of another resource server, is
// ignored, because keycloak-js sends its last RPT with every request; but an expired one is
// refused if the request asks for nothing else. A token of a trusted issuer is refused by every
// face: its client mistakes it for a token of this server.
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
	token := q.tokens.rpt
	switch {
	case token.Trusted != nil, errors.Is(token.Err, uma.ErrKeysMissing):
		return nil, uma.Reject(uma.InvalidToken, uma.Fault{Kind: uma.TokenOfIssuer}, token.Err)
	case errors.Is(token.Err, party.ErrInactive):
		return bad(token.Err)
	case token.Err != nil:
		return nil, fmt.Errorf("rpt: %w", token.Err)
	}
	rpt := token.Own
	switch {
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

// readShares reads the candidate shares, and the party's own requests to the owners.
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
