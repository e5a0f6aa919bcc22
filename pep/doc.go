// Package pep protects a resource server of a UMA authorization server: middleware that asks for a requesting party
// token (RPT), checks it, and answers a request without sufficient permissions with a permission ticket.
//
//	request ── mapped to a resource and scopes ── RPT checked ── covers them? ── the application's handler
//	              │ maps to nothing: 403            │ none, invalid ──┴ no: 401 WWW-Authenticate: UMA … ticket="…"
//	              └─────────────────────────────────┴ authorization server unreachable: 403, Warning: 199
//
// It owns the resource server's side of UMA Grant §3.1, §3.2 and §3.5 and of UMA Federated Authorization: its own
// protection API access token (PAT), the look-up of resources, tickets, validation of RPTs locally or by introspection.
// It decides nothing: who may have which scope is the authorization server's policy. It knows the server by its
// endpoints alone and imports no other package of this module.
package pep
