package rows

import (
	"encoding/json"
	"strings"
)

// ListText is the JSON array of a list, [] for nil.
func ListText[T ~string](list []T) string {
	if len(list) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(list) // strings never fail
	return string(b)
}

// ReadList reads what ListText wrote. If nothing in it is escaped it is split at the commas, which
// takes a tenth of the time. An empty list is nil.
func ReadList[T ~string](text string) ([]T, error) {
	if text == "[]" {
		return nil, nil
	}
	if len(text) < 4 || strings.Contains(text, `\`) {
		var list []T
		err := json.Unmarshal([]byte(text), &list)
		return list, err
	}
	list := make([]T, 0, strings.Count(text, `","`)+1)
	for text = text[2 : len(text)-2]; ; {
		head, tail, more := strings.Cut(text, `","`)
		list = append(list, T(head))
		if !more {
			return list, nil
		}
		text = tail
	}
}

// KeysText is the JSON array of keys.
func KeysText[T ~int64](keys []T) string {
	b, _ := json.Marshal(keys) // integers never fail
	return string(b)
}

// DocumentText is the JSON of a value, {} for a nil map.
func DocumentText(v any) (string, error) {
	b, err := json.Marshal(v)
	if string(b) == "null" {
		return "{}", err
	}
	return string(b), err
}

// ReadDocument reads what DocumentText wrote into the value that v points to, which stays as it
// is if the text is empty. Numbers in values of type any are read as json.Number: claims are read
// by rules and shown to clients, and a float would change numbers beyond 2^53.
func ReadDocument(text string, v any) error {
	if text == "" || text == "{}" || text == "null" {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return dec.Decode(v)
}

// TextsText is the JSON of the texts of a resource, empty if it has none, as most.
func TextsText(texts map[string]string) string {
	if len(texts) == 0 {
		return ""
	}
	b, _ := json.Marshal(texts) // strings never fail
	return string(b)
}
