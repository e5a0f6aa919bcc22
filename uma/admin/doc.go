// Package admin keeps realms: it reads their snapshots for requests, follows changes of
// other processes, applies realm files, and makes and rotates keys. It also makes and finds
// the tokens of the admin API.
package admin
