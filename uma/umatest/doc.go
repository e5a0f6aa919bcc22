// Package umatest has fakes of what the rooms of uma use, for their tests: a realm in
// memory with a few of everything.
package umatest
