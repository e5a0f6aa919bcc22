// Package adminapi has the operations on policies and decision records that commands and the
// admin API offer: Local runs them on a database, Client over the admin API of a server, and
// Local.Operations are the endpoints. Both return the same values, so that a command prints
// the same whichever it uses.
package adminapi
