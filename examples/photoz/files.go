package photoz

import "embed"

// Files are the realm file and the policies of the example, for whoever starts
// an authorization server with them.
//
//go:embed realm.yaml policies
var Files embed.FS
