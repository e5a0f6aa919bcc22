package token

import "context"

// A KeyWrapper encrypts ("wraps") what only servers with the key-encryption key may read: private
// signing keys, the secret of the servers, and the configurations of OPA services. A Vault has that key
// itself. A key management service has one that never leaves it, so each call may ask it: methods
// return the context's error if the context ends first. Nothing is wrapped or unwrapped while a request
// waits, except a signing key at its first use.
type KeyWrapper interface {
	// Wrap encrypts plain. What it is about, such as "signing key KID", is not stored. Unwrap needs the
	// same, so that data wrapped for one purpose cannot be used for another.
	Wrap(ctx context.Context, plain, about []byte) ([]byte, error)

	// Unwrap decrypts what Wrap returned. ErrOtherKey: it was wrapped with another key or about something else,
	// or was changed since. No error quotes the data.
	Unwrap(ctx context.Context, wrapped, about []byte) ([]byte, error)
}

var _ KeyWrapper = (*Vault)(nil)

// Wrap implements KeyWrapper.
func (v *Vault) Wrap(ctx context.Context, plain, about []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return v.Seal(plain, about), nil
}

// Unwrap implements KeyWrapper.
func (v *Vault) Unwrap(ctx context.Context, wrapped, about []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return v.Open(wrapped, about)
}

// TicketVault returns a Vault for what tickets remember, whose key is derived from the server's HMAC key
// of 32 bytes: requests need no KeyWrapper.
func TicketVault(secret []byte) (*Vault, error) {
	key, err := derive(secret, "claims of tickets")
	if err != nil {
		return nil, err
	}
	return newVault(key, "the server's secret")
}
