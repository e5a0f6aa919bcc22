package realm

import _ "embed"

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 7, which editors read) of realm files. It has the
// keys of the reader and rules for their values; the reader checks more.
func Schema() []byte { return schema }
