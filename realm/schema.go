package realm

import _ "embed"

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema of realm files, of draft 7, which editors support. It has
// all keys and rules for their values; Read checks more.
func Schema() []byte { return schema }
