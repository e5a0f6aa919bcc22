// Package lint finds in a realm's policy what compiles and does nothing: rules that nothing
// reads, references to what is not defined, and names that the realm does not have.
//
// It judges compiled modules, in which OPA has resolved imports and local variables. What
// the compiler refuses is not its subject. Known names are those of the realm file and, in a
// server, those of resources that the resource server owns: users register resources with
// names of their own, which say nothing about a policy.
package lint
