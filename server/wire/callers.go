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
// refuses a token that is missing or invalid for the given reason. It may be of other
// types than access tokens, if they are given. The exchange keeps the token's client.
func (c *Core) Bearer(x *Exchange, otherwise uma.Reason, also ...string) (*party.Identity, error) {
	id, err := c.Party.Presented(x.Context(), x.Realm, &x.Caller, otherwise, also...)
	if err != nil {
		return nil, err
	}
	x.Client = id.Client
	return id, nil
}

// PAT returns the caller of the protection API whose PAT the request has.
func (c *Core) PAT(x *Exchange, rule protection.PATRule) (*protection.Caller, error) {
	id, err := c.Bearer(x, uma.NoPAT)
	if err != nil {
		return nil, err
	}
	return protection.PAT(x.Realm, id, rule)
}

// Owner returns the user of the account API whose access token the request has.
func (c *Core) Owner(x *Exchange) (*account.Owner, error) {
	id, err := c.Bearer(x, uma.InvalidToken)
	if err != nil {
		return nil, err
	}
	return account.OwnerOf(x.Realm, id)
}
