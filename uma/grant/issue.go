package grant

import (
	"context"
	"encoding/base64"
	"fmt"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// issue commits the grant with the rows of its RPT and refresh token, and signs
// both.
func (x *assessment) issue(ctx context.Context, st *uma.Settlement, grants []uma.Grant) (*Answer, error) {
	claims := x.Party.AccessClaims(x.snap, x.Who, x.scope(), party.RptLifetime(x.snap, grants))
	claims.Audience = uma.Audience{x.server.ID}
	claims.Authorization = &uma.Authorization{Permissions: uma.GrantedPermissions(grants)}
	if x.Who.Restricted() {
		claims.Expires = min(claims.Expires, x.Who.Claims.Expires)
	}
	st.RPT = x.rptRow(claims, grants)
	up := x.rpt != nil && x.upgraded(grants)
	if up && x.req.Strict {
		st.Upgraded = x.rpt.ID
	}
	var within *uma.Claims // the access token in a legacy RPT
	if x.req.Legacy != nil {
		st.RPT.Within = x.NewSerial()
		within = asLegacy(claims, st.RPT.Within)
	}
	if err := x.checkLength(ctx, claims, within); err != nil {
		return nil, err
	}
	var refresh *uma.Claims
	if x.mayRefresh() {
		var handle string
		st.Refresh, handle = x.Party.NewRefresh(x.snap, x.Who, x.scope())
		st.Refresh.RPT = claims.ID
		refresh = x.Party.RefreshClaims(x.snap, x.Who, st.Refresh, handle)
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
	res, err := x.Party.Respond(ctx, x.snap, claims, refresh)
	if err != nil {
		return nil, err
	}
	return &Answer{Token: res, Upgraded: up}, nil
}

// rptRow is what is kept of an RPT.
func (x *assessment) rptRow(claims *uma.Claims, grants []uma.Grant) *uma.RPT {
	row := &uma.RPT{
		JTI: claims.ID, SessionID: claims.SessionID, Subject: claims.Subject, Client: claims.AuthorizedParty,
		Server: x.server.Key, Permissions: grants, Revision: x.policy.Revision(), Generation: x.snap.Realm.Generation,
		Expires: uma.FromUnix(claims.Expires), Keep: uma.FromUnix(claims.Expires),
	}
	if x.Who.User != nil {
		row.UserVersion = x.Who.User.Version
	}
	if x.ticket != nil {
		row.Ticket = x.ticket.Hash
	}
	return row
}

// checkLength refuses an RPT that this server could not read again: as a bearer token,
// as the parameter rpt, at introspection and revocation. The decisions are on record;
// the ticket is not spent.
func (x *assessment) checkLength(ctx context.Context, rpt, within *uma.Claims) error {
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
	if length <= uma.MaxRPT {
		return nil
	}
	st := &uma.Settlement{
		Realm: x.snap.Realm.Key, Now: x.now, Records: x.records(ctx, told{word: string(uma.InvalidRequest)}),
	}
	if err := x.keep(ctx, st); err != nil {
		return err
	}
	return uma.Refuse(uma.InvalidRequest, fmt.Sprintf("The RPT would have %d characters, and may have %d: ask for fewer permissions", length, uma.MaxRPT), nil)
}

// scope is the scope of the RPT and its refresh token: that of the token that
// identifies the party (RFC 6749 §6), without scopes that are no longer granted. The
// session may have more.
func (x *assessment) scope() string { return party.GrantedScope(x.Who, x.Who.Claims.Scope) }

// mayRefresh reports whether a refresh token comes with the RPT. There is none
// without a session, for a token that speaks for some resource servers only, nor
// when the client that asks is not the one that the RPT is for, and the legacy
// API knows of none.
func (x *assessment) mayRefresh() bool {
	return x.Who.Session != nil && !x.Who.Restricted() && x.asking == x.Who.Client && x.req.Legacy == nil
}
