// Package clinic is an example whose people sign in elsewhere: two issuers, a resource server of patients' files, two APIs
// that show Umpire the tokens made for them, and the story of a sealed file. realm.yaml trusts the issuers, and policies/
// decides.
package clinic

import "embed"

// Files are the realm file and the policies.
//
//go:embed realm.yaml policies
var Files embed.FS

// The issuers' addresses in realm.yaml. Whoever starts the issuers elsewhere puts their addresses in place of these.
const (
	EmployerInFile = "http://127.0.0.1:8101"
	CouncilInFile  = "http://127.0.0.1:8102"
)
