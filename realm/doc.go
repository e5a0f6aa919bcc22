// Package realm reads realm files: the YAML that describes a realm, checked
// whole, with every mistake at its line, and turned into a uma.RealmSpec.
//
// It does not store anything and hashes nothing: secrets leave it in clear, and
// never in an error or a notice.
package realm
