package wire

import (
	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/protection"
)

// Authenticate returns the client whose credentials the request has. The exchange keeps
// it, also if the request is refused later: pages of that client may read the answer.
func (c *Core) Authenticate(x *Exchange) (*uma.Client, error) {
	client, err := c.Party.Authenticate(x.Context(), x.Realm, &x.Caller)
	if err != nil {
		return nil, err
	}
	x.Client = client
	return client, nil
}

// Bearer returns the identity that the bearer token of the request speaks for, and
// refuses a token that is missing, invalid or not accepted with the given reason. The exchange
// keeps the token's client.
func (c *Core) Bearer(x *Exchange, otherwise uma.Reason, a party.Acceptance) (*party.Identity, error) {
	id, err := c.Party.Presented(x.Context(), x.Realm, &x.Caller, otherwise, a)
	if err != nil {
		return nil, err
	}
	x.Client = id.Client
	return id, nil
}

// A ProtectedHandler serves an endpoint of the protection API. It gets the caller whose
// PAT the request has.
type ProtectedHandler func(*Exchange, *protection.Caller) error

// Protected makes handlers of the protection API check the PAT, by the rules of a face.
func (c *Core) Protected(rules protection.Rules) func(ProtectedHandler) Handler {
	return func(h ProtectedHandler) Handler {
		return func(x *Exchange) error {
			caller, err := c.PAT(x, rules)
			if err != nil {
				return err
			}
			return h(x, caller)
		}
	}
}

// PAT returns the caller of the protection API whose PAT the request has.
func (c *Core) PAT(x *Exchange, rules protection.Rules) (*protection.Caller, error) {
	id, err := c.Bearer(x, uma.NoPAT, party.Acceptance{})
	if err != nil {
		return nil, err
	}
	return protection.Admit(x.Realm, id, rules)
}

// An OwnerHandler serves an endpoint for owners. It gets the user whose access token the
// request has: one of this server, or of a trusted issuer.
type OwnerHandler func(*Exchange, *account.Owner) error

// Owned makes a handler for owners check the access token.
func (c *Core) Owned(h OwnerHandler) Handler {
	return func(x *Exchange) error {
		id, err := c.Bearer(x, uma.InvalidToken, party.Acceptance{Use: uma.UseBearer})
		if err != nil {
			return err
		}
		owner, err := account.OwnerOf(x.Realm, id)
		if err != nil {
			return err
		}
		return h(x, owner)
	}
}
