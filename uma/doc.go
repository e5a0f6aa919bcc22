// Package uma holds the terms of User-Managed Access 2.0 and what an
// authorization server does with them: an Authority keeps resources, hands out
// permission tickets and turns them into requesting party tokens, or says why
// not.
//
// The package knows the protocol and nothing else. It imports the standard
// library only; what it needs of policy engines, databases and cryptography it
// names as small interfaces (policy.go, tokens.go, storage.go) beside the code
// that calls them, and other packages of this module implement them.
//
// Section numbers in comments refer to the UMA 2.0 Grant unless they say
// FedAuthz, which is Federated Authorization for UMA 2.0.
package uma
