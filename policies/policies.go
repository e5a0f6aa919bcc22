// Package policies holds the Rego library that ships with the server, and the
// JSON Schemas of the decision contract: what a policy is told (input-v1.json)
// and what it answers (output-v1.json). It holds nothing else; the tests of the
// library are in the directory rego_test.
package policies

import "embed"

// FS holds the files as they were when the program was built.
//
//go:embed *.rego *.json
var FS embed.FS
