package rows

import "encoding/json"

// ListText is the JSON array of a list, [] for nil.
func ListText[T ~string](list []T) string {
	if len(list) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(list) // strings never fail
	return string(b)
}
