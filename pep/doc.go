// Package pep protects a resource server of a UMA authorization server: middleware that asks for a requesting party
// token (RPT), checks it, and answers a request without sufficient permissions with a permission ticket.
//
//	request ── mapped to a resource and scopes ── RPT checked ── covers them? ── the application's handler
//	              │ maps to nothing: 403            │ none, invalid ──┴ no: 401 WWW-Authenticate: UMA … ticket="…"
//	              └─────────────────────────────────┴ authorization server unreachable: 403, Warning: 199
//
// It implements the resource server's side of UMA Grant §3.1, §3.2 and §3.5 and of UMA Federated Authorization: it
// obtains a protection API access token (PAT), looks up resources, requests tickets, and validates RPTs locally or by
// introspection. Which party gets which scope is decided by the policy of the authorization server. The package uses only
// that server's endpoints and imports no other package of this module.
package pep
