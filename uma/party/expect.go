package party

import (
	"cmp"

	"example.com/umpire/uma"
)

// Expect adds to what a request expects to read what Bearer reads of a token. The party of the first
// token is the one that asks, for client; with an empty client, for that of the token.
func (t *Token) Expect(e *uma.Expected, snap *uma.Snapshot, client string) {
	switch {
	case t == nil:
	case t.Trusted != nil:
		ours, _ := t.Trusted.Client(uma.UseBearer, nil) // Bearer refuses the token
		t.expectParty(e, t.Trusted, cmp.Or(client, ours))
	case t.Own != nil:
		c := t.Own
		client = cmp.Or(client, c.AuthorizedParty)
		first := len(e.Tokens) == 0
		e.Tokens = append(e.Tokens, uma.TokenKey{JTI: c.ID, Session: c.SessionID})
		e.Owners = append(e.Owners, c.Subject)
		if c.SubjectID != nil {
			if issuer := snap.Realm.Issuer(c.SubjectID.Issuer); issuer != nil {
				t.expectParty(e, factsOf(c, issuer), client)
			}
			return
		}
		if first && len(e.Identities) == 0 {
			e.Client = client
			if account := snap.Clients[client]; account != nil && c.Subject == account.UUID {
				e.Party = (&Identity{Subject: account.UUID, Client: account}).Party(client)
			}
		}
	}
}

// expectParty adds the party of a trusted issuer. Its id is in the row that is read.
func (t *Token) expectParty(e *uma.Expected, f *uma.TrustedToken, client string) {
	if len(e.Identities) == 0 && e.Party == nil {
		e.Client, e.Party = client, (&Identity{Trusted: f}).Party(client)
	}
	e.Identities = append(e.Identities, uma.IdentityKey{Issuer: f.Issuer.Issuer, Subject: f.Subject})
}
