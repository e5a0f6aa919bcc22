// Package party authenticates clients and identifies the subjects of tokens, those of trusted
// issuers too. It signs users in, exchanges, refreshes, introspects and revokes tokens, and
// knows what of an RPT is still valid. Login belongs here.
package party
