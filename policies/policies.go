// Package policies holds the Rego library that ships with the server, and the
// JSON Schemas of the decision contract (schemas/): what a policy is told and what
// it answers. It holds nothing else; the tests of the library are in the directory
// rego_test.
package policies

import "embed"

// FS holds the files as they were when the program was built.
//
//go:embed *.rego schemas/*.json
var FS embed.FS
