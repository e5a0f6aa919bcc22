// Package engine implements uma.Policy with Open Policy Agent. It holds the policy in
// force of each realm, evaluates its entry point once for each permission, and makes of
// each decision a masked event of OPA's decision log.
//
// It checks that a realm's policy keeps the contract of docs/contract.md. It does not read
// policies: package bundles does, and package node passes them as a Source.
package engine
