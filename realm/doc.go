// Package realm reads realm files, YAML that describes a realm, into a uma.RealmSpec, and
// reports every mistake with its line.
//
// It stores and hashes nothing. The RealmSpec has secrets in clear; errors and notices never
// quote them.
package realm
