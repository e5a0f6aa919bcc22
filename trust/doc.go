// Package trust verifies what others signed: tokens of the issuers that a realm trusts, and the
// assertions by which clients authenticate. It fetches their keys ahead of need, from addresses
// that it checks, and maps the claims of tokens to those of parties. It implements uma.Trust.
//
// It stores nothing, and decides nothing about a party: what a token may be used for is in
// uma.TrustedToken, and whose it is in uma/party.
package trust
