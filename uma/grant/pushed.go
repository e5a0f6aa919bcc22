package grant

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"example.com/umpire/strictjson"
	"example.com/umpire/uma"
)

// decodePushed reads the claims that Keycloak's clients push: base64, in either
// alphabet and with or without padding, of a JSON object of lists of strings.
func decodePushed(token string) (map[string][]string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(token), "="))
	if err != nil {
		return nil, errors.New("claim_token is not base64")
	}
	if len(raw) > uma.MaxPushed {
		return nil, uma.ErrPushed
	}
	return readPushed(string(raw))
}

var errNoLists = errors.New("claim_token is not a JSON object of lists of strings")

// readPushed reads a JSON object of lists of strings.
func readPushed(text string) (map[string][]string, error) {
	r := strictjson.New(text)
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) || r.Next() != '{' {
		return nil, errNoLists
	}
	claims := map[string][]string{}
	err := r.Object(func(name string) error {
		if r.Next() != '[' || strings.IndexByte(name, 0) >= 0 {
			return errNoLists
		}
		claims[name] = []string{}
		return r.Array(func() error {
			if r.Next() != '"' {
				return errNoLists
			}
			value, err := r.Text()
			if strings.IndexByte(value, 0) >= 0 { // C programs read only what is before it
				err = errNoLists
			}
			claims[name] = append(claims[name], value)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return claims, nil
}
