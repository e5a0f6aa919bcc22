// Package party authenticates clients and identifies the subjects of tokens. It signs users
// in, refreshes, introspects and revokes tokens, and knows what of an RPT is still valid.
// Trusted issuers and login belong here.
package party
