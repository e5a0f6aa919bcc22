package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// Ticket implements uma.Tokens.
func (v *view) Ticket(ctx context.Context, realm uma.Key, hash []byte, now time.Time) (*uma.Ticket, error) {
	if t, ok := v.ahead.ticket(realm, hash, now); ok {
		return orNotFound(t, "ticket")
	}
	t, err := oneRow(v.conn(ctx), ticketByHash, []any{realm, hash, millis(now)}, ticketOf(hash))
	return t, reading("ticket", err)
}

const ticketByHash = `SELECT server, client, subject, permissions, claims, round, interval, gathered, issued, expires FROM ticket
	WHERE realm = $1 AND hash = $2 AND expires > $3`

// ticketOf returns a function that scans the row of ticketByHash.
func ticketOf(hash []byte) func(scan scanFunc) (*uma.Ticket, error) {
	return func(scan scanFunc) (*uma.Ticket, error) {
		t := &uma.Ticket{Hash: hash}
		var interval int64
		err := scan(&t.Server, &t.Client, &t.Subject, document{&t.Permissions}, document{&t.Claims},
			&t.Round, &interval, &t.Gathered, (*moment)(&t.Issued), (*moment)(&t.Expires))
		t.Interval = time.Duration(interval) * time.Millisecond
		return t, err
	}
}

// SpentTicket implements uma.Tokens.
func (v *view) SpentTicket(ctx context.Context, realm uma.Key, hash []byte) (*uma.SpentTicket, error) {
	t := &uma.SpentTicket{}
	err := v.conn(ctx).row(`SELECT client, rpt FROM spent_ticket WHERE realm = $1 AND hash = $2`, []any{realm, hash}, &t.Client, &t.RPT)
	if err != nil {
		return nil, reading("spent ticket", err)
	}
	return t, nil
}

// TokenState implements uma.Tokens.
func (v *view) TokenState(ctx context.Context, realm uma.Key, jti, session string) (*uma.TokenState, error) {
	sessions := v.rows.Sessions
	if session != "" && v.rows.Users == nil {
		sessions = nil // one statement reads the session and its user, so that nothing would be spared
	}
	key := memory.SessionKey{Realm: realm, JTI: jti, Session: session}
	state, ok := memory.Recall(ctx, &v.rows, sessions, key)
	if ok && state.Session == nil {
		return &uma.TokenState{Revoked: state.Revoked}, nil
	}
	if ok {
		if u, ok := memory.Recall(ctx, &v.rows, v.rows.Users, memory.UserKey{Realm: realm, ID: state.Session.User}); ok {
			return &uma.TokenState{Revoked: state.Revoked, Session: state.Session, User: u}, nil
		}
	}
	st := v.ahead.token(realm, jti, session)
	if st == nil {
		var err error
		if st, err = readTokenState(v.conn(ctx), realm, jti, session); err != nil {
			return nil, err
		}
	}
	state = &memory.SessionState{Revoked: st.Revoked, Session: st.Session}
	key.JTI, key.Session = strings.Clone(jti), strings.Clone(session)
	memory.Keep(&v.rows, sessions, key, state, key.Bytes()+state.Bytes())
	if u := st.User; u != nil {
		key := memory.UserKey{Realm: realm, ID: u.ID}
		memory.Keep(&v.rows, v.rows.Users, key, u, key.Bytes()+memory.UserBytes(u))
	}
	return st, nil
}

func readTokenState(c *conn, realm uma.Key, jti, session string) (*uma.TokenState, error) {
	if session == "" {
		st, err := oneRow(c, revoked, []any{realm, jti}, scanRevoked)
		return st, reading("revocation", err)
	}
	args := []any{realm, session, jti}
	st, err := oneRow(c, sessionWithUser, args, stateOfSession(session))
	if errors.Is(err, uma.ErrNotFound) { // no session, or one of a deleted user
		var fields []any
		st, fields = newTokenState(session)
		err = c.row(`SELECT `+sessionState+` FROM session s WHERE s.realm = $1 AND s.id = $2`, args, fields...)
	}
	if err != nil {
		return nil, reading("session", err)
	}
	return st, nil
}

const (
	revoked = `SELECT EXISTS (SELECT 1 FROM revocation WHERE realm = $1 AND jti = $2)`

	sessionState = `EXISTS (SELECT 1 FROM revocation WHERE realm = $1 AND jti = $3),
		s.user_id, s.client, s.scope, s.started, s.expires, s.ended`
	sessionWithUser = `SELECT ` + sessionState + `, ` + partyColumns + `FROM session s
		JOIN users u ON u.realm = s.realm AND u.id = s.user_id` + ownIdentity + ` WHERE s.realm = $1 AND s.id = $2`
)

func scanRevoked(scan scanFunc) (*uma.TokenState, error) {
	st := &uma.TokenState{}
	return st, scan(&st.Revoked)
}

// stateOfSession returns a function that scans the row of sessionWithUser.
func stateOfSession(session string) func(scan scanFunc) (*uma.TokenState, error) {
	return func(scan scanFunc) (st *uma.TokenState, err error) {
		st, fields := newTokenState(session)
		st.User, err = scanParty(scan, fields...)
		return st, err
	}
}

// newTokenState returns a state of a token with a session, and where the columns of sessionState
// are read into.
func newTokenState(session string) (*uma.TokenState, []any) {
	st := &uma.TokenState{Session: &uma.Session{ID: strings.Clone(session)}}
	return st, []any{&st.Revoked, &st.Session.User, &st.Session.Client, &st.Session.Scope,
		(*moment)(&st.Session.Started), (*moment)(&st.Session.Expires), &st.Session.Ended}
}

// RPT implements uma.Tokens.
func (v *view) RPT(ctx context.Context, realm uma.Key, jti string) (*uma.RPT, error) {
	if r, ok := v.ahead.rpt(realm, jti); ok {
		return orNotFound(r, "RPT")
	}
	r, err := oneRow(v.conn(ctx), rptByJTI, []any{realm, jti}, rptOf(jti))
	return r, reading("RPT", err)
}

const rptByJTI = `SELECT family, within, ticket, session, subject, client, server, permissions, revision, generation, user_version,
			expires, keep
		FROM rpt t WHERE realm = $1 AND jti = $2 AND NOT EXISTS (SELECT 1 FROM withdrawn_revision w
			WHERE w.realm = t.realm AND w.revision = t.revision AND w.generation >= t.generation)`

// rptOf returns a function that scans the row of rptByJTI.
func rptOf(jti string) func(scan scanFunc) (*uma.RPT, error) {
	return func(scan scanFunc) (*uma.RPT, error) {
		r := &uma.RPT{JTI: jti}
		return r, scan(&r.Family, &r.Within, &r.Ticket, &r.SessionID, &r.Subject, &r.Client, &r.Server, document{&r.Permissions}, &r.Revision,
			&r.Generation, &r.UserVersion, (*moment)(&r.Expires), (*moment)(&r.Keep))
	}
}

// RefreshToken implements uma.Tokens.
func (v *view) RefreshToken(ctx context.Context, realm uma.Key, hash []byte, now time.Time) (*uma.RefreshToken, bool, error) {
	t := &uma.RefreshToken{Hash: hash}
	var spent bool
	err := v.conn(ctx).row(`SELECT session, client, scope, rpt, expires, spent FROM refresh_token
		WHERE realm = $1 AND hash = $2 AND expires > $3`, []any{realm, hash, millis(now)},
		&t.SessionID, &t.Client, &t.Scope, &t.RPT, (*moment)(&t.Expires), &spent)
	if err != nil {
		return nil, false, reading("refresh token", err)
	}
	return t, spent, nil
}
