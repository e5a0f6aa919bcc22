package uma

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"
)

// issue commits the grant with the rows of its RPT and refresh token, and signs
// both.
func (x *assessment) issue(ctx context.Context, st *Settlement, grants []Grant) (*TokenAnswer, error) {
	claims := x.accessClaims(x.snap, x.who, x.scope(), rptLifetime(x.snap, grants))
	claims.Audience = Audience{x.server.ID}
	claims.Authorization = &Authorization{Permissions: granted(grants)}
	if x.who.restricted() {
		claims.Expires = min(claims.Expires, x.who.claims.Expires)
	}
	st.RPT = x.rptRow(claims, grants)
	up := x.rpt != nil && x.upgraded(grants)
	if up && x.req.Strict {
		st.Upgraded = x.rpt.ID
	}
	var within *Claims // the access token in a legacy RPT
	if x.req.Legacy != nil {
		st.RPT.Within = x.NewSerial()
		within = asLegacy(claims, st.RPT.Within)
	}
	if err := x.checkLength(ctx, claims, within); err != nil {
		return nil, err
	}
	var refresh *Claims
	if x.mayRefresh() {
		var handle string
		st.Refresh, handle = x.newRefresh(x.snap, x.who, x.scope())
		st.Refresh.RPT = claims.ID
		refresh = x.refreshClaims(x.snap, x.who, st.Refresh, handle)
		if st.Refresh.Expires.After(st.RPT.Keep) {
			st.RPT.Keep = st.Refresh.Expires
		}
	}
	if err := x.commit(ctx, st); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	if within != nil {
		if err := x.signWithin(ctx, claims, within); err != nil {
			return nil, err
		}
	}
	res, err := x.respond(ctx, x.snap, claims, refresh)
	if err != nil {
		return nil, err
	}
	res.Upgraded = &up
	return &TokenAnswer{Token: res}, nil
}

// rptRow is what is kept of an RPT.
func (x *assessment) rptRow(claims *Claims, grants []Grant) *RPT {
	row := &RPT{
		JTI: claims.ID, SessionID: claims.SessionID, Subject: claims.Subject, Client: claims.AuthorizedParty,
		Server: x.server.Key, Permissions: grants, Revision: x.policy.Revision(), Generation: x.snap.Realm.Generation,
		Expires: fromUnix(claims.Expires), Keep: fromUnix(claims.Expires),
	}
	if x.who.user != nil {
		row.UserVersion = x.who.user.Version
	}
	if x.ticket != nil {
		row.Ticket = x.ticket.Hash
	}
	return row
}

// checkLength refuses an RPT that this server could not read again: as a bearer token,
// as the parameter rpt, at introspection and revocation. The decisions are on record;
// the ticket is not spent.
func (x *assessment) checkLength(ctx context.Context, rpt, within *Claims) error {
	length, err := x.Issuer.Length(x.snap, rpt)
	if err != nil {
		return fmt.Errorf("measure rpt: %w", err)
	}
	if within != nil {
		inner, err := x.Issuer.Length(x.snap, within)
		if err != nil {
			return fmt.Errorf("measure access token: %w", err)
		}
		length += base64.RawURLEncoding.EncodedLen(inner + len(`"accessToken":"",`))
	}
	if length <= MaxRPT {
		return nil
	}
	st := &Settlement{
		Realm: x.snap.Realm.Key, Now: x.now, Records: x.records(ctx, told{word: string(InvalidRequest)}),
	}
	if err := x.keep(ctx, st); err != nil {
		return err
	}
	return Refuse(InvalidRequest, fmt.Sprintf("The RPT would have %d characters, and may have %d: ask for fewer permissions", length, MaxRPT), nil)
}

// scope is the scope of the RPT and its refresh token: that of the token that
// identifies the party (RFC 6749 §6), without scopes that are no longer granted. The
// session may have more.
func (x *assessment) scope() string { return grantedScope(x.who, x.who.claims.Scope) }

// lifetime is an RPT's: the realm's, or the shortest that the policy asked for.
func rptLifetime(s *Snapshot, grants []Grant) time.Duration {
	d := s.Realm.Lifetimes.RPT
	for _, g := range grants {
		if g.TTL > 0 {
			d = min(d, time.Duration(g.TTL)*time.Second)
		}
	}
	return d
}

// mayRefresh reports whether a refresh token comes with the RPT. There is none
// without a session, for a token that speaks for some resource servers only, nor
// when the client that asks is not the one that the RPT is for, and the legacy
// API knows of none.
func (x *assessment) mayRefresh() bool {
	return x.who.session != nil && !x.who.restricted() && x.asking == x.who.client && x.req.Legacy == nil
}
