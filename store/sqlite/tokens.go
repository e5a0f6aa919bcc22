package sqlite

import (
	"context"
	"errors"
	"strings"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Ticket implements uma.Tokens.
func (v *view) Ticket(ctx context.Context, realm uma.Key, hash []byte, now time.Time) (*uma.Ticket, error) {
	c := v.reader(ctx)
	t := &uma.Ticket{Hash: hash}
	var round, interval int64
	err := c.row(`SELECT server, client, subject, permissions, claims, round, interval, gathered, issued, expires FROM ticket
		WHERE realm = ? AND hash = ? AND expires > ?`, []any{int64(realm), hash, rows.Millis(now)},
		(*integer)(&t.Server), &t.Client, &t.Subject, document{&t.Permissions}, document{&t.Claims},
		&round, &interval, &t.Gathered, (*moment)(&t.Issued), (*moment)(&t.Expires))
	if err != nil {
		return nil, reading("ticket", err)
	}
	t.Round, t.Interval = int(round), time.Duration(interval)*time.Millisecond
	return t, nil
}

// SpentTicket implements uma.Tokens.
func (v *view) SpentTicket(ctx context.Context, realm uma.Key, hash []byte) (*uma.SpentTicket, error) {
	c := v.reader(ctx)
	t := &uma.SpentTicket{}
	err := c.row(`SELECT client, rpt FROM spent_ticket WHERE realm = ? AND hash = ?`, []any{int64(realm), hash}, &t.Client, &t.RPT)
	if err != nil {
		return nil, reading("spent ticket", err)
	}
	return t, nil
}

// TokenState implements uma.Tokens.
func (v *view) TokenState(ctx context.Context, realm uma.Key, jti, session string) (*uma.TokenState, error) {
	sessions := v.Sessions
	if session != "" && v.Users == nil {
		sessions = nil // one statement reads the session and its user, so that nothing would be spared
	}
	key := memory.SessionKey{Realm: realm, JTI: jti, Session: session}
	state, ok := memory.Recall(ctx, &v.View, sessions, key)
	if ok && state.Session == nil {
		return &uma.TokenState{Revoked: state.Revoked}, nil
	}
	if ok {
		if u, ok := memory.Recall(ctx, &v.View, v.Users, memory.UserKey{Realm: realm, ID: state.Session.User}); ok {
			return &uma.TokenState{Revoked: state.Revoked, Session: state.Session, User: u}, nil
		}
	}
	st, err := readTokenState(v.reader(ctx), realm, jti, session)
	if err != nil {
		return nil, err
	}
	state = &memory.SessionState{Revoked: st.Revoked, Session: st.Session}
	key.JTI, key.Session = strings.Clone(jti), strings.Clone(session)
	memory.Keep(&v.View, sessions, key, state, key.Bytes()+state.Bytes())
	if u := st.User; u != nil {
		key := memory.UserKey{Realm: realm, ID: u.ID}
		memory.Keep(&v.View, v.Users, key, u, key.Bytes()+memory.UserBytes(u))
	}
	return st, nil
}

func readTokenState(c *conn, realm uma.Key, jti, session string) (*uma.TokenState, error) {
	st := &uma.TokenState{}
	if session == "" {
		revoked, err := c.exists(`SELECT 1 FROM revocation WHERE realm = ? AND jti = ?`, int64(realm), jti)
		st.Revoked = revoked
		return st, reading("revocation", err)
	}
	const state = `EXISTS (SELECT 1 FROM revocation WHERE realm = ?1 AND jti = ?3),
		s.user, s.client, s.scope, s.started, s.expires, s.ended`
	args := []any{int64(realm), session, jti}
	st.Session, st.User = &uma.Session{ID: strings.Clone(session)}, &uma.User{}
	fields := []any{&st.Revoked, &st.Session.User, &st.Session.Client, &st.Session.Scope,
		(*moment)(&st.Session.Started), (*moment)(&st.Session.Expires), &st.Session.Ended}
	err := c.row(`SELECT `+state+`, `+partyColumns+`FROM session s JOIN user u ON u.realm = s.realm AND u.id = s.user`+ownIdentity+`
		WHERE s.realm = ?1 AND s.id = ?2`, args, append(fields, partyFields(st.User)...)...)
	if errors.Is(err, uma.ErrNotFound) { // no session, or one of a deleted user
		st.User = nil
		err = c.row(`SELECT `+state+` FROM session s WHERE s.realm = ?1 AND s.id = ?2`, args, fields...)
	}
	if err != nil {
		return nil, reading("session", err)
	}
	return st, nil
}

// RPT implements uma.Tokens.
func (v *view) RPT(ctx context.Context, realm uma.Key, jti string) (*uma.RPT, error) {
	c := v.reader(ctx)
	r := &uma.RPT{JTI: jti}
	err := c.row(`SELECT family, within, ticket, session, subject, client, server, permissions, revision, generation, user_version, expires, keep
		FROM rpt t WHERE realm = ? AND jti = ? AND NOT EXISTS (SELECT 1 FROM withdrawn_revision w
			WHERE w.realm = t.realm AND w.revision = t.revision AND w.generation >= t.generation)`, []any{int64(realm), jti},
		&r.Family, &r.Within, &r.Ticket, &r.SessionID, &r.Subject, &r.Client, (*integer)(&r.Server), document{&r.Permissions}, &r.Revision,
		(*integer)(&r.Generation), (*integer)(&r.UserVersion), (*moment)(&r.Expires), (*moment)(&r.Keep))
	if err != nil {
		return nil, reading("RPT", err)
	}
	return r, nil
}

// Validity implements uma.Tokens.
func (v *view) Validity(ctx context.Context, server uma.Key, grants []uma.Grant) (*uma.Validity, error) {
	c := v.reader(ctx)
	st, err := readValidity(c, server, grants)
	return st, reading("rows that grants rest on", err)
}

func readValidity(c *conn, server uma.Key, grants []uma.Grant) (*uma.Validity, error) {
	ids, shares, scopes := rows.RestedOn(grants)
	found, err := resourcesByID(c, server, ids)
	if err != nil {
		return nil, err
	}
	known, err := knownScopes(c, server, scopes)
	if err != nil {
		return nil, err
	}
	st := rows.ValidityOf(found, known)
	return st, validShares(c, server, shares, st.Shares)
}

// validShares reads granted requests and, if there are ids left, policies.
func validShares(c *conn, server uma.Key, ids []string, found map[string]*uma.Share) error {
	if len(ids) == 0 {
		return nil
	}
	args := []any{int64(server), rows.ListText(ids)}
	err := c.rows(`SELECT`+requestColumns+`FROM request q JOIN resource r ON r.key = q.resource
		WHERE q.server = ? AND q.id IN (SELECT value FROM json_each(?)) AND q.state = 'granted' AND r.owner_managed`,
		args, func(scan scanFunc) error {
			q, err := scanRequest(scan)
			s := rows.ShareOf(&q)
			found[q.ID] = &s
			return err
		})
	if err != nil || len(found) == len(ids) {
		return err
	}
	return c.rows(`SELECT`+shareColumns+`FROM share s JOIN resource r ON r.key = s.resource
		WHERE s.server = ? AND s.id IN (SELECT value FROM json_each(?)) AND r.owner_managed`,
		args, func(scan scanFunc) error {
			s, err := scanShare(scan)
			found[s.ID] = s
			return err
		})
}

// RefreshToken implements uma.Tokens.
func (v *view) RefreshToken(ctx context.Context, realm uma.Key, hash []byte, now time.Time) (*uma.RefreshToken, bool, error) {
	c := v.reader(ctx)
	t := &uma.RefreshToken{Hash: hash}
	var spent bool
	err := c.row(`SELECT session, client, scope, rpt, expires, spent FROM refresh_token
		WHERE realm = ? AND hash = ? AND expires > ?`, []any{int64(realm), hash, rows.Millis(now)},
		&t.SessionID, &t.Client, &t.Scope, &t.RPT, (*moment)(&t.Expires), &spent)
	if err != nil {
		return nil, false, reading("refresh token", err)
	}
	return t, spent, nil
}

// SaveTicket implements uma.Tickets.
func (s *Store) SaveTicket(ctx context.Context, realm uma.Key, t *uma.Ticket) error {
	return s.write(ctx, func(tx *conn) error { return saveTicket(tx, realm, t) })
}

func saveTicket(tx *conn, realm uma.Key, t *uma.Ticket) error {
	permissions, err := rows.DocumentText(t.Permissions)
	claims, err2 := rows.DocumentText(t.Claims)
	if err := errors.Join(err, err2); err != nil {
		return writing("ticket", err)
	}
	_, err = tx.exec(`INSERT INTO ticket
		(realm, hash, server, client, subject, permissions, claims, round, interval, gathered, issued, expires)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(realm), t.Hash, int64(t.Server), t.Client, t.Subject, permissions, claims,
		t.Round, t.Interval.Milliseconds(), t.Gathered, rows.Millis(t.Issued), rows.Millis(t.Expires))
	return writing("ticket", err)
}
