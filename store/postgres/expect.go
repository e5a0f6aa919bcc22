package postgres

import (
	"context"
	"time"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// ahead has what a view has read before it was asked for, of one realm; nil for what is not there.
type ahead struct {
	realm     uma.Key
	now       time.Time // of the ticket
	tokens    map[uma.TokenKey]*uma.TokenState
	tickets   map[string]*uma.Ticket // by hash
	rpts      map[string]*uma.RPT
	resources map[memory.ResourceKey]*uma.Resource
	sharing   map[memory.SharingKey]*memory.Sharing
	parties   map[memory.UserKey]*uma.User
	scopes    aheadScopes
}

// token returns nil if it was not read.
func (a *ahead) token(realm uma.Key, jti, session string) *uma.TokenState {
	if realm != a.realm {
		return nil
	}
	return a.tokens[uma.TokenKey{JTI: jti, Session: session}]
}

func (a *ahead) ticket(realm uma.Key, hash []byte, now time.Time) (t *uma.Ticket, ok bool) {
	t, ok = a.tickets[string(hash)]
	return t, ok && realm == a.realm && now.Equal(a.now)
}

func (a *ahead) rpt(realm uma.Key, jti string) (r *uma.RPT, ok bool) {
	r, ok = a.rpts[jti]
	return r, ok && realm == a.realm
}

func (a *ahead) resource(key memory.ResourceKey) (r *uma.Resource, ok bool) {
	r, ok = a.resources[key]
	return r, ok
}

func (a *ahead) party(key memory.UserKey) (u *uma.User, ok bool) {
	u, ok = a.parties[key]
	return u, ok
}

// orNotFound is what was read ahead, or uma.ErrNotFound.
func orNotFound[T any](v *T, what string) (*T, error) {
	if v == nil {
		return nil, reading(what, uma.ErrNotFound)
	}
	return v, nil
}

// maxExpected bounds the resources that are read ahead.
const maxExpected = 200

// Expect implements uma.View. It reads what is expected and not in memory in one round trip, which also
// ends the transaction: as a rule nothing more is read. If it is, another transaction begins, which
// must see the same rows, as if those of the first had come from memory.
func (v *view) Expect(ctx context.Context, e *uma.Expected) error {
	if v.reader != nil || v.closed || len(e.Resources) > maxExpected {
		return nil // it is read when it is asked for
	}
	x := &expecting{Expected: e, view: v}
	x.askTokens()
	x.askParties()
	x.askRPT()
	x.askTicket()
	if x.asked = x.wantsResources(); x.asked {
		x.askResources()
		x.askScopes()
		x.askSharing()
	}
	if len(x.questions) == 0 {
		return nil
	}
	x.conn = v.conn(ctx)
	whole := v.rows.Epoch() != 0 // else nothing could tell whether the next transaction sees the same rows
	if whole {
		x.questions = append(x.questions, question{query: `COMMIT`})
	}
	if err := x.conn.ask(x.questions...); err != nil {
		return reading("what a request names", err)
	}
	x.keep()
	if whole {
		v.rows.ReadAhead(memory.AllKinds)
		v.reader.end()
		v.reader = nil
	}
	return nil
}

// An expecting is the reading of what is expected.
type expecting struct {
	*uma.Expected
	view      *view
	conn      *conn
	questions []question

	states    map[uma.TokenKey]*uma.TokenState // that are read
	tickets   map[string]*uma.Ticket
	rpts      map[string]*uma.RPT
	user      *uma.User // of the first token's session: from memory, or read
	first     *uma.User // of the first identity: likewise
	parties   map[memory.UserKey]*uma.User
	scopes    aheadScopes
	resources []*uma.Resource
	requests  []uma.Request
	policies  []*uma.Share
	asked     bool // for resources
	sought    bool // what is shared of them with the party
}

func (x *expecting) ask(query string, args []any, each func(scan scanFunc) error) {
	x.questions = append(x.questions, question{query, args, each})
}

// askTokens asks for the states of tokens that are not in memory.
func (x *expecting) askTokens() {
	v := x.view
	x.states = map[uma.TokenKey]*uma.TokenState{}
	for i, key := range x.Tokens {
		state, ok := memory.Holds(&v.rows, v.rows.Sessions, memory.SessionKey{Realm: x.Realm, JTI: key.JTI, Session: key.Session})
		if ok && state.Session != nil {
			var user *uma.User
			if user, ok = memory.Holds(&v.rows, v.rows.Users, memory.UserKey{Realm: x.Realm, ID: state.Session.User}); ok && i == 0 {
				x.user = user
			}
		}
		if ok || key.Session == "" && key.JTI == "" {
			continue
		}
		keep := func(st *uma.TokenState, err error) error {
			if x.states[key] = st; err == nil && i == 0 {
				x.user = st.User
			}
			return err
		}
		if key.Session == "" {
			x.ask(revoked, []any{x.Realm, key.JTI}, func(scan scanFunc) error { return keep(scanRevoked(scan)) })
			continue
		}
		x.ask(sessionWithUser, []any{x.Realm, key.Session, key.JTI}, func(scan scanFunc) error { return keep(stateOfSession(key.Session)(scan)) })
	}
}

// askParties asks for the parties of identities that are not in memory.
func (x *expecting) askParties() {
	x.parties = map[memory.UserKey]*uma.User{}
	for i, id := range x.Identities {
		key := memory.UserKey{Realm: x.Realm, Issuer: id.Issuer, Subject: id.Subject}
		if u, ok := memory.Holds(&x.view.rows, x.view.rows.Users, key); ok {
			if i == 0 {
				x.first = u
			}
			continue
		}
		x.parties[key] = nil
		x.ask(userOfIdentity, []any{x.Realm, id.Issuer, id.Subject}, func(scan scanFunc) error {
			u, err := scanUser(scan)
			if x.parties[key] = u; i == 0 {
				x.first = u
			}
			return err
		})
	}
}

func (x *expecting) askRPT() {
	if x.RPT == "" {
		return
	}
	x.rpts = map[string]*uma.RPT{x.RPT: nil}
	x.ask(rptByJTI, []any{x.Realm, x.RPT}, func(scan scanFunc) (err error) {
		x.rpts[x.RPT], err = rptOf(x.RPT)(scan)
		return err
	})
}

func (x *expecting) askTicket() {
	if x.Ticket == nil {
		return
	}
	hash := string(x.Ticket)
	x.tickets = map[string]*uma.Ticket{hash: nil}
	x.ask(ticketByHash, []any{x.Realm, x.Ticket, millis(x.Now)}, func(scan scanFunc) (err error) {
		x.tickets[hash], err = ticketOf(x.Ticket)(scan)
		return err
	})
}

// wantsResources reports whether resources, or what is shared of them, must be read: which those of a
// ticket are is not known yet.
func (x *expecting) wantsResources() bool {
	if x.Ticket != nil {
		return true
	}
	party := x.party()
	for _, text := range x.Resources {
		r := x.inMemory(text)
		if r == nil {
			return true
		}
		if party == nil {
			return true
		}
		if _, ok := memory.Holds(&x.view.rows, x.view.rows.Shares, memory.SharingKey{Resource: r.Key, Party: memory.PartyText(party)}); !ok {
			return true
		}
	}
	return false
}

// inMemory returns the resource that a text names by id or name, nil if it is not in memory.
func (x *expecting) inMemory(text string) *uma.Resource {
	v := x.view
	if r, ok := memory.Holds(&v.rows, v.rows.Resources, memory.ResourceKey{Server: x.Server, ID: uma.ResourceID(text)}); ok {
		return r
	}
	for _, owner := range x.Owners {
		if r, ok := memory.Holds(&v.rows, v.rows.Resources, memory.ResourceKey{Server: x.Server, Owner: owner, Name: text}); ok {
			return r
		}
	}
	return nil
}

// party is the party with which things are shared, nil if it is not known.
func (x *expecting) party() *uma.Party {
	switch {
	case x.Party != nil && x.Party.ID == "" && len(x.Identities) > 0:
		if x.first == nil {
			return nil
		}
		p := *x.Party
		p.ID = x.first.ID
		return &p
	case x.Party != nil:
		return x.Party
	case x.user != nil:
		return uma.NewParty(x.user.ID, x.user.Roles, x.user.ClientRoles, x.user.Groups, x.Client)
	}
	return nil
}

// named is a CTE of the resources that are named: by the ticket, by id, or by owner and name. Its
// parameters are $1 to $6: see args. OFFSET 0 keeps a look-up by a unique index one, whatever is joined
// to it: else all resources of a server, or all of a name, may be read.
const named = `named AS (
	SELECT r.key FROM ticket t CROSS JOIN json_array_elements(nullif(t.permissions, '{}')::json) p
		CROSS JOIN LATERAL (SELECT key FROM resource WHERE server = t.server AND id = p->>'resource' OFFSET 0) r
		WHERE t.realm = $1 AND t.hash = $2 AND t.expires > $3
	UNION SELECT key FROM resource WHERE server = $4 AND id = ANY ($5)
	UNION SELECT r.key FROM unnest($6::text[]) o CROSS JOIN unnest($5::text[]) n
		CROSS JOIN LATERAL (SELECT key FROM resource WHERE server = $4 AND owner = o AND name = n OFFSET 0) r)`

func (x *expecting) args(more ...any) []any {
	return append([]any{x.Realm, x.Ticket, millis(x.Now), x.Server, notNull(x.Resources), notNull(x.Owners)}, more...)
}

// notNull is a list that is no NULL for PostgreSQL.
func notNull(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (x *expecting) askResources() {
	x.ask(`WITH `+named+` SELECT`+resourceColumns+`FROM resource r WHERE r.key = ANY (ARRAY (SELECT key FROM named))`, x.args(), func(scan scanFunc) error {
		r, err := scanResource(scan)
		if err != nil {
			return err
		}
		x.resources = append(x.resources, r)
		return x.conn.spend(rows.ResourceSize(r))
	})
}

// askSharing asks for what there is between the party and the resources. The parties by which
// policies are found are known, or those of the user of a session, as uma.NewParty and
// rows.PartiesOf have them.
func (x *expecting) askSharing() {
	var party string
	var args []any
	switch p := x.party(); {
	case p != nil:
		party, args = `, party AS (SELECT unnest($7::text[]) COLLATE "C" AS name) `, x.args(rows.PartiesOf(p))
	case x.Party != nil:
		party, args = partyOfIdentity, x.args(rows.PartiesOf(x.Party), x.Identities[0].Issuer, x.Identities[0].Subject)
	case len(x.Tokens) > 0 && x.Tokens[0].Session != "":
		party, args = partyOfSession, x.args(rows.PartiesOf(&uma.Party{Client: x.Client}), x.Tokens[0].Session)
	default:
		return
	}
	x.sought = true
	x.ask(`WITH `+named+party+`SELECT`+requestColumns+`FROM live_request q
		WHERE q.resource = ANY (ARRAY (SELECT key FROM named)) AND q.requester = ANY (ARRAY (SELECT substr(name, 3) FROM party WHERE name LIKE 'u:%'))`, args, func(scan scanFunc) error {
		q, err := scanRequest(scan)
		x.requests = append(x.requests, q)
		return err
	})
	x.ask(`WITH `+named+party+`SELECT`+shareColumns+`FROM share s WHERE s.key = ANY (ARRAY (SELECT x.share FROM share_party x
		WHERE x.resource = ANY (ARRAY (SELECT key FROM named)) AND x.party = ANY (ARRAY (SELECT name FROM party))))`, args, func(scan scanFunc) error {
		s, err := scanShare(scan)
		x.policies = append(x.policies, s)
		return err
	})
}

// CTEs of the names of a party: those that are known, and those of the user whom a row names.
const (
	partyOfIdentity = `, party AS (SELECT unnest($7::text[]) COLLATE "C" AS name
			UNION SELECT 'u:' || u.id FROM issuer o JOIN identity p ON p.issuer = o.key AND p.subject = $9 JOIN users u ON u.key = p.user_key
				WHERE o.realm = $1 AND o.url = $8) `
	partyOfSession = `, who AS (SELECT u.id, u.roles, u.client_roles, u.groups FROM session s JOIN users u ON u.realm = s.realm AND u.id = s.user_id
			WHERE s.realm = $1 AND s.id = $8),
		party AS (SELECT unnest($7::text[]) COLLATE "C" AS name
			UNION SELECT 'u:' || id FROM who
			UNION SELECT 'r:' || r FROM who, unnest(roles) r
			UNION SELECT 'g:' || g FROM who, unnest(groups) g
			UNION SELECT 'r:' || c.key || '/' || r FROM who, json_each(client_roles::json) c, json_array_elements_text(CASE json_typeof(c.value) WHEN 'array' THEN c.value END) r) `
)

// keep gives the view what was read.
func (x *expecting) keep() {
	a := ahead{realm: x.Realm, now: x.Now, tokens: x.states, tickets: x.tickets, rpts: x.rpts, parties: x.parties, scopes: x.scopes}
	defer func() { x.view.ahead = a }()
	if !x.asked {
		return
	}
	a.resources = map[memory.ResourceKey]*uma.Resource{}
	for _, text := range x.Resources {
		a.resources[memory.ResourceKey{Server: x.Server, ID: uma.ResourceID(text)}] = nil
		for _, owner := range x.Owners {
			a.resources[memory.ResourceKey{Server: x.Server, Owner: owner, Name: text}] = nil
		}
	}
	for _, r := range x.resources {
		if _, ok := x.scopes.types[r.Type]; !ok && x.scopes.types != nil {
			x.scopes.types[r.Type] = nil // it has none of the scopes
		}
		a.resources[memory.ResourceKey{Server: r.Server, ID: r.ID}] = r
		a.resources[memory.ResourceKey{Server: r.Server, Owner: r.Owner, Name: r.Name}] = r
	}
	if party := x.party(); x.sought && party != nil {
		a.sharing = x.sharing(memory.PartyText(party))
	}
}

// sharing is what there is between the party and each resource.
func (x *expecting) sharing(party string) map[memory.SharingKey]*memory.Sharing {
	all := map[memory.SharingKey]*memory.Sharing{}
	for _, r := range x.resources {
		all[memory.SharingKey{Resource: r.Key, Party: party}] = &memory.Sharing{}
	}
	for i := range x.requests {
		if of := all[memory.SharingKey{Resource: x.requests[i].Resource, Party: party}]; of != nil {
			of.AddRequest(&x.requests[i])
		}
	}
	for _, s := range x.policies {
		if of := all[memory.SharingKey{Resource: s.Resource, Party: party}]; of != nil {
			of.Policies = append(of.Policies, *s)
		}
	}
	return all
}
