package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// attempts is how often a request is assessed anew when what its grant rests on
// changes under it.
const attempts = 4

// Token is the UMA grant: it trades a ticket, or permissions named by the
// client, for a requesting party token (§3.3, and Keycloak's additions).
//
// The order buys that the spending of the ticket and the record of the decision
// cannot come apart, that no token is made before its decision is on disk, and
// that a request costs one commit.
func (a *Service) Token(ctx context.Context, s *uma.Snapshot, c *party.Caller, req *Request) (*Answer, error) {
	if err := uma.CheckScopes(req.scopes); err != nil {
		return nil, err
	}
	for attempt := range attempts {
		x := &assessment{Service: a, snap: s, caller: c, req: req, now: a.Now()}
		answer, err := x.assess(ctx)
		moved, ok := errors.AsType[*uma.MovedError](err)
		if !ok {
			return answer, err
		}
		if attempt == attempts-1 {
			if err := x.recordLost(ctx, "changed_meanwhile", uma.Busy); err != nil {
				return nil, err
			}
		}
		if moved.Party {
			if err := a.Realms.Reload(ctx); err != nil {
				return nil, err
			}
			if s, err = a.Realms.Realm(ctx, s.Realm.Name); err != nil {
				return nil, err
			}
		}
	}
	return nil, uma.Refuse(uma.Busy, "What the request is about keeps changing: try again", uma.ErrMoved)
}

// An assessment is a token request on its way through Token: a record that is
// filled as work proceeds.
type assessment struct {
	*Service
	snap   *uma.Snapshot
	caller *party.Caller
	req    *Request
	now    time.Time

	Who    *party.Identity // 1: the requesting party
	asking *uma.Client     // the client that asks; who.client is the one that the token is for
	proved bool            // it authenticated itself in this request

	ticket  *uma.Ticket // 2: what is asked
	server  *uma.Client // the resource server
	rpt     *uma.Claims // carried; nil without one, or if it has expired
	wanted  []*wanted
	met     []wanted // for the resource that is being looked for, when the request names it
	unmet   unmet
	several []uma.ResourceID       // that one name or URI led to, with others
	known   map[uma.Scope]bool     // of the scopes asked for, those that the resource server knows
	lent    map[string][]uma.Scope // by type: see lentByType

	pushed   map[string][]string // 3: what is claimed
	verified map[string]any
	tokens   []uma.InputClaimToken

	shares   []uma.Share // of the resources wanted, for this party
	requests []uma.Request
	policy   uma.Evaluator
	results  []result // 5: the decisions, and their events on the way into the record
	events   []uma.Event
}

// assess is one attempt: who is asking, what is asked, what is claimed and which
// scopes are read from one view; then the policy decides and the answer is
// settled.
func (x *assessment) assess(ctx context.Context) (*Answer, error) {
	if err := x.read(ctx); err != nil {
		return nil, x.endRound(ctx, err)
	}
	var err error
	if x.policy, err = uma.PreparePolicy(ctx, x.Policy, x.snap); err != nil {
		return nil, err
	}
	x.decide(ctx)
	return x.settle(ctx)
}

// read does all the reading of an assessment. The view is closed before the
// policy runs: there are few of them. A token that is no good is refused in its turn.
func (x *assessment) read(ctx context.Context) (err error) {
	claims := x.req.ClaimToken
	if !isCompactJWS(claims) {
		claims = ""
	}
	_ = x.Party.VerifyAhead(ctx, x.snap, x.caller.Bearer, x.req.SubjectToken, x.req.RPT, claims)
	view, err := x.Store.View(ctx)
	if err != nil {
		return fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	for _, step := range []func(context.Context, uma.View) error{
		x.whoAsks, x.whichServer, x.whatIsClaimed, x.whatIsCarried, x.whatIsAsked, x.whatIsShared,
	} {
		if err := step(ctx, view); err != nil {
			return err
		}
	}
	return nil
}

// whoAsks finds the requesting party and the client. With a bearer token it is
// whom that speaks for, and nothing else in the request can change it. Else the
// client authenticates, and the party is that of an identity token, or the
// client itself.
func (x *assessment) whoAsks(ctx context.Context, view uma.View) error {
	if x.caller.HasBearer {
		id, err := x.Party.Bearer(ctx, view, x.snap, x.caller.Bearer, x.alsoBearers()...)
		switch {
		case errors.Is(err, party.ErrInactive):
			return uma.Refuse(uma.UnusableBearer, "", err)
		case err != nil:
			return err
		}
		x.Who, x.asking, x.caller.Client = id, id.Client, id.Client
	} else {
		client, err := x.Party.Authenticate(ctx, x.snap, x.caller)
		if err != nil {
			return err
		}
		x.asking, x.proved, x.caller.Client = client, !client.Public, client
	}
	if x.req.ClaimToken != "" && !x.mayPush() {
		return uma.Refuse(uma.PublicMayNotPush, "", nil)
	}
	if err := x.checkFormat(); err != nil {
		return err
	}
	if x.Who != nil {
		return nil
	}
	var err error
	switch {
	case x.req.SubjectToken != "":
		x.Who, err = x.subjectToken(ctx, view)
	case x.claimFormat() == uma.FormatID:
		x.Who, err = x.identityToken(ctx, view)
	case x.lacksClaimToken():
		err = badClaim(uma.InvalidRequest, "claim_token is missing: claim_token_format announces one that says who asks", nil)
	case x.req.Strict && !x.asking.Public && !x.asking.ServiceAccount:
		err = badClaim(uma.UnauthorizedClient, "Neither a token nor the client itself says who asks", nil)
	default:
		x.Who, err = party.ServiceAccount(x.asking)
	}
	return err
}

// subjectToken is whom the subject_token speaks for. Its client is the one the
// RPT is issued to, whoever authenticated.
func (x *assessment) subjectToken(ctx context.Context, view uma.View) (*party.Identity, error) {
	id, err := x.Party.Bearer(ctx, view, x.snap, x.req.SubjectToken)
	if errors.Is(err, party.ErrInactive) {
		return nil, uma.Refuse(uma.UnusableIdentity, "Invalid identity", err)
	}
	return id, err
}

// whichServer finds the resource server: that of the ticket, or the audience.
func (x *assessment) whichServer(ctx context.Context, view uma.View) error {
	if x.req.Ticket != "" {
		return x.presentTicket(ctx, view)
	}
	client := x.snap.Clients[x.req.Audience]
	switch {
	case x.req.Audience == "":
		return uma.Refuse(uma.ResourceServerBad, "You must provide the issuedFor", nil)
	case client == nil || !client.Enabled:
		return uma.Refuse(uma.ResourceServerBad, "Unknown resource server id: ["+x.req.Audience+"]", nil)
	case !client.ResourceServer:
		return uma.Refuse(uma.ResourceServerBad, "Client does not support permissions", nil)
	}
	return x.serve(client)
}

// presentTicket finds the ticket and its resource server. The ticket stays
// unspent until the request is settled.
func (x *assessment) presentTicket(ctx context.Context, view uma.View) error {
	hash, err := x.ticketHash(ctx, x.snap, x.req.Ticket)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return uma.Refuse(uma.UnusableTicket, "", err)
	case err != nil:
		return err
	}
	t, err := view.Ticket(ctx, x.snap.Realm.Key, hash, x.now)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return uma.Refuse(uma.UnusableTicket, "", err)
	case err != nil:
		return fmt.Errorf("read ticket: %w", err)
	}
	server := x.snap.ByKey[t.Server]
	switch {
	case server == nil || !server.Enabled || !server.ResourceServer,
		t.Client != "" && t.Client != x.asking.ID,
		t.Subject != "" && x.Who != nil && t.Subject != x.Who.Subject:
		return uma.Refuse(uma.UnusableTicket, "", nil)
	}
	x.ticket = t
	if err := x.serve(server); err != nil {
		return err
	}
	if x.req.Strict && x.now.Before(t.Issued.Add(t.Interval)) {
		return uma.Refuse(uma.Submitted, "", errTooSoon)
	}
	return nil
}

// serve takes a client as the resource server of the request, if the caller's
// token speaks for it.
func (x *assessment) serve(server *uma.Client) error {
	if x.Who != nil && x.Who.Restricted() && !slices.Contains(x.Who.Servers, server.ID) {
		return uma.Refuse(uma.UnusableBearer, "", fmt.Errorf("%w: not for this resource server", party.ErrInactive))
	}
	x.server = server
	return nil
}

// whatIsCarried reads the RPT that is to be upgraded. It must be of the same party,
// client and resource server (§1.3); an expired one carries nothing, and neither does
// one of another resource server (keycloak-js sends its last one with every request)
// nor, in a strict request, an invalid one.
func (x *assessment) whatIsCarried(ctx context.Context, view uma.View) error {
	if x.req.RPT == "" {
		return nil
	}
	bad := func(err error) error {
		if x.req.Strict {
			return nil
		}
		return uma.Refuse(uma.UnusableRPT, "", err)
	}
	claims, err := x.Verifier.Verify(ctx, x.snap, x.PublicURL.Realm(x.snap), x.req.RPT)
	switch {
	case errors.Is(err, uma.ErrUnverified):
		return bad(err)
	case err != nil:
		return fmt.Errorf("verify rpt: %w", err)
	case claims.Type != uma.TypeBearer && claims.Type != uma.TypeEntitlement || claims.Authorization == nil,
		claims.Subject != x.Who.Subject, claims.AuthorizedParty != x.Who.Client.ID:
		return bad(nil)
	case !slices.Contains(claims.Audience, x.server.ID):
		return nil
	case claims.Expires <= x.now.Unix():
		if x.ticket == nil && len(x.req.Permissions) == 0 && x.req.Legacy == nil {
			return bad(party.ErrInactive) // it was all that was asked for
		}
		return nil
	}
	switch _, err := x.Party.Identify(ctx, view, x.snap, claims); {
	case errors.Is(err, party.ErrInactive):
		return bad(err)
	case err != nil:
		return err
	}
	switch _, err := view.RPT(ctx, x.snap.Realm.Key, claims.ID); {
	case errors.Is(err, uma.ErrNotFound): // ended by an upgrade, or by a replay of its ticket
		return bad(err)
	case err != nil:
		return fmt.Errorf("read rpt: %w", err)
	}
	x.rpt = claims
	return nil
}

// whatIsShared reads the candidates among shares and what this party asked the
// owners for before.
func (x *assessment) whatIsShared(ctx context.Context, view uma.View) error {
	var keys []uma.Key
	for _, w := range x.wanted {
		if w.resource != nil {
			keys = append(keys, w.resource.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	var err error
	since := x.now.Add(-x.snap.Realm.Policy.ResubmitAfter)
	if x.shares, x.requests, err = view.Between(ctx, x.Who.Party(x.asking.ID), keys, since); err != nil {
		return fmt.Errorf("read what was shared and asked for: %w", err)
	}
	return nil
}
