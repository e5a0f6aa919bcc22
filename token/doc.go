// Package token makes and reads what is secret or signed: the key-encryption
// key, the signing keys it seals, access tokens, RPTs, ID tokens and refresh
// tokens as JSON Web Tokens, the JWK Set, and the hashes of passwords and client
// secrets.
//
// It knows no clock but the one that dates new keys, no store and no protocol:
// expiry, sessions, audiences and revocation are the caller's part.
package token
