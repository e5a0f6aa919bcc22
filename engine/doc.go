// Package engine is uma.Policy by Open Policy Agent: it keeps the policy in
// force of each realm, evaluates its entry point once per permission and turns
// decisions into OPA's decision log events, masked.
//
// It knows what a realm's policy may and may not hold (the contract of
// docs/contract.md). It does not know where policies come from: package
// bundles reads them, and whoever wires the server hands them over as a Source.
package engine
