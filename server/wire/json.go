package wire

import "example.com/umpire/uma"

// The names of JSON values here. The reader is the core's, which reads with it what
// clients push inside of tokens.
type (
	Value  = uma.JSONValue
	Member = uma.JSONMember
)

// The kinds of JSON values.
const (
	Absent = uma.JSONAbsent
	Bool   = uma.JSONBool
	Number = uma.JSONNumber
	String = uma.JSONString
	Array  = uma.JSONArray
	Object = uma.JSONObject
)
