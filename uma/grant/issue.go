package grant

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// issue commits the grant with the rows of its RPT and refresh token, and signs both.
func (s *Service) issue(ctx context.Context, q *question, d *decisions, st *uma.Settlement, grants []uma.Grant) (*Answer, error) {
	rpt := s.rptClaims(q, grants)
	st.RPT = q.rptRow(rpt, grants, d.policy.Revision())
	upgraded := q.rpt != nil && q.req.Rules.upgraded(q.rpt.Authorization.Permissions, grants)
	if upgraded && q.req.Rules.UpgradeAll {
		st.Upgraded = q.rpt.ID
	}
	var access *uma.Claims // the access token in the RPT
	if q.req.Rules.Entitlements {
		st.RPT.Within = s.NewSerial()
		access = asEntitlement(rpt, st.RPT.Within)
	}
	if refusal, err := s.checkLength(q, rpt, access); err != nil {
		return &Answer{Client: q.client}, err
	} else if refusal != nil {
		return s.refuseRecorded(ctx, q, d, refusal)
	}
	var refresh *uma.Claims
	if q.mayRefresh() {
		var handle string
		st.Refresh, handle = s.Party.NewRefresh(q.realm, q.party, q.scope())
		st.Refresh.RPT = rpt.ID
		refresh = s.Party.RefreshClaims(q.realm, q.party, st.Refresh, handle)
		if st.Refresh.Expires.After(st.RPT.Keep) {
			st.RPT.Keep = st.Refresh.Expires
		}
	}
	answer, err := s.commit(ctx, q, d, st)
	if err != nil {
		return answer, err
	}
	answer.Upgraded = upgraded
	answer.Token, err = s.sign(context.WithoutCancel(ctx), q, rpt, access, refresh)
	return answer, err
}

// sign signs the RPT, with the access token in it if it has one, and the refresh token.
func (s *Service) sign(ctx context.Context, q *question, rpt, access, refresh *uma.Claims) (*party.Tokens, error) {
	if access != nil {
		var err error
		if rpt.AccessToken, err = s.Party.SignOne(ctx, q.realm, access); err != nil {
			return nil, fmt.Errorf("sign access token: %w", err)
		}
	}
	return s.Party.Respond(ctx, q.realm, rpt, refresh)
}

// rptClaims returns the claims of the RPT.
func (s *Service) rptClaims(q *question, grants []uma.Grant) *uma.Claims {
	rpt := s.Party.AccessClaims(q.realm, q.party, q.scope(), party.RPTLifetime(q.realm, grants))
	rpt.Audience = uma.Audience{q.server.ID}
	rpt.Authorization = &uma.Authorization{Permissions: uma.GrantedPermissions(grants)}
	if q.party.Restricted() {
		rpt.Expires = min(rpt.Expires, q.party.Claims.Expires)
	}
	return rpt
}

// rptRow returns the row that the store keeps of an RPT.
func (q *question) rptRow(rpt *uma.Claims, grants []uma.Grant, revision string) *uma.RPT {
	row := &uma.RPT{
		JTI: rpt.ID, SessionID: rpt.SessionID, Subject: rpt.Subject, Client: rpt.AuthorizedParty,
		Server: q.server.Key, Permissions: grants, Revision: revision, Generation: q.realm.Realm.Generation,
		Expires: uma.FromUnix(rpt.Expires), Keep: uma.FromUnix(rpt.Expires),
	}
	if q.party.User != nil {
		row.UserVersion = q.party.User.Version
	}
	if q.ticket != nil {
		row.Ticket = q.ticket.Hash
	}
	return row
}

// asEntitlement makes the claims of an RPT those that clients of Keycloak's Authorization
// API read, before version 4 and after: the permissions in both shapes. It returns those
// of an access token of the same party and client to go with it. In Keycloak's
// documentation that is the caller's own token. This is a new one, valid for the resource
// server alone and no longer than the RPT, because the resource server must not be able to
// use the caller's token elsewhere.
func asEntitlement(rpt *uma.Claims, jti string) *uma.Claims {
	access := *rpt
	access.ID, access.Authorization = jti, nil
	rpt.Type, rpt.NotBefore = uma.TypeEntitlement, new(int64)
	rpt.Permissions = rpt.Authorization.Permissions
	for i := range rpt.Permissions {
		p := &rpt.Permissions[i]
		p.SetID, p.SetName, p.ID, p.Name = p.ID, p.Name, "", ""
	}
	return &access
}

// checkLength returns a refusal if the RPT is too long for this server to read it as a bearer
// token, as the parameter rpt, and at introspection and revocation.
func (s *Service) checkLength(q *question, rpt, access *uma.Claims) (*uma.Error, error) {
	length, err := s.Issuer.Length(q.realm, rpt)
	if err != nil {
		return nil, fmt.Errorf("measure rpt: %w", err)
	}
	if access != nil {
		inner, err := s.Issuer.Length(q.realm, access)
		if err != nil {
			return nil, fmt.Errorf("measure access token: %w", err)
		}
		length += base64.RawURLEncoding.EncodedLen(inner + len(`"accessToken":"",`))
	}
	if length <= uma.MaxRPT {
		return nil, nil
	}
	return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.RPTTooLong, Value: strconv.Itoa(length), Limit: uma.MaxRPT}, nil), nil
}

// scope returns the scope of the RPT and its refresh token: that of the token that identifies
// the party (RFC 6749 §6), without scopes that are no longer granted. The session may have
// more.
func (q *question) scope() string { return party.GrantedScope(q.party, q.party.Claims.Scope) }

// mayRefresh reports whether a refresh token is issued with the RPT. There is none without a
// session, if the party's token is valid for some resource servers only, or if the RPT is
// issued to another client than the one that sent the request.
func (q *question) mayRefresh() bool {
	return q.party.Session != nil && !q.party.Restricted() && q.client == q.party.Client && !q.req.Rules.Entitlements
}
