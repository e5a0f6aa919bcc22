// Package uma holds the terms of User-Managed Access 2.0, the refusals, and the contracts
// with what implements them: Store and its roles, View, Policy, Issuer, Verifier, Hasher.
//
// It imports the standard library only. What an authorization server does is in the
// packages below it, its rooms: party, grant, protection, account, admin and audit. Each
// has a Service (admin has Realms, audit a Comparer) whose fields are all that it uses.
//
// Section numbers in comments refer to the UMA 2.0 Grant unless they say FedAuthz, which
// is Federated Authorization for UMA 2.0.
package uma
