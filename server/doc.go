// Package server gives an uma.Authority its HTTP: it parses requests, calls the
// Authority, and writes what it says. It decides nothing.
//
// Here are the endpoints that every face shares (token, introspection, revocation, logout,
// userinfo, keys, discovery), the listeners, and what all requests have in
// common: addresses, identifiers, deadlines, the access log and metrics. What
// belongs to one vendor's API is a package below, server/keycloak so far; what
// they share is server/wire. Only this folder imports Echo.
package server
