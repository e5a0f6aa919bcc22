package rows

import (
	"encoding/json"

	"example.com/umpire/uma"
)

// NamesText is the JSON of the names in a realm file, empty without names and if they are too many
// to be kept.
func NamesText(names *uma.FileNames) (string, error) {
	if names == nil {
		return "", nil
	}
	text, err := json.Marshal(names)
	if err != nil || len(text) > uma.MaxFileNames {
		return "", err
	}
	return string(text), nil
}

// ReadNames reads what NamesText wrote; an empty text is nil.
func ReadNames(text string) (*uma.FileNames, error) {
	if text == "" {
		return nil, nil
	}
	names := &uma.FileNames{}
	return names, json.Unmarshal([]byte(text), names)
}
