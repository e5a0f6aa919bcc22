// Package server serves the core over HTTP: it parses requests, calls the rooms of uma,
// and writes their answers. It decides nothing.
//
// It has the endpoints that every face shares (token, introspection, revocation, logout,
// userinfo, keys, discovery), the listeners, and what all requests have in common: addresses,
// identifiers, deadlines, limits, the access log and metrics. Each face is a package below;
// what faces share is in server/wire. Only this folder imports Echo.
package server
