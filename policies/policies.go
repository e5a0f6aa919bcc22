// Package policies has the Rego library that ships with the server, and the JSON Schemas of
// a policy's input and output (schemas/). The tests of the library are in rego_test.
package policies

import "embed"

// FS has the files as they were when the program was built.
//
//go:embed *.rego schemas/*.json
var FS embed.FS
