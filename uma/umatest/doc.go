// Package umatest has fakes of what the rooms of uma use, for their tests: a realm in
// memory with a few of everything. It signs tokens as trusted issuers and clients do.
package umatest
