// Package token holds keys and secrets. It signs and verifies JSON Web Tokens: access
// tokens, RPTs, ID tokens, refresh tokens and permission tickets. It seals the signing
// keys with the key-encryption key, publishes the JWK Set, and hashes passwords and client
// secrets.
//
// It does not read the store, and uses the clock only to date new keys. Callers check
// expiry, sessions, audiences and revocation.
package token
