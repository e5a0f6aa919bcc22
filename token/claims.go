package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"example.com/umpire/uma"
)

// members are the names of uma.Claims' own members, without case: encoding/json
// would read "Sub" into Subject.
var members = memberNames()

func memberNames() map[string]bool {
	names := make(map[string]bool)
	for f := range reflect.TypeFor[uma.Claims]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "-" {
			names[name] = true
		}
	}
	return names
}

// isMember reports whether a name is, but for case, that of a member.
func isMember(name string) bool {
	if members[name] {
		return true
	}
	for m := range members {
		if strings.EqualFold(m, name) {
			return true
		}
	}
	return false
}

// encode writes the claims, those of Extra at top level after the others.
func encode(c *uma.Claims) ([]byte, error) {
	payload, err := json.Marshal(c)
	if err != nil || len(c.Extra) == 0 {
		return payload, err
	}
	for name := range c.Extra {
		if isMember(name) {
			return nil, fmt.Errorf("a user's own claim has the name %q", name)
		}
	}
	extra, err := json.Marshal(c.Extra)
	if err != nil {
		return nil, err
	}
	payload[len(payload)-1] = ','
	return append(payload, extra[1:]...), nil
}

// decode reads what encode wrote. Numbers in Extra are json.Number.
func decode(payload []byte) (*uma.Claims, error) {
	c := new(uma.Claims)
	if err := json.Unmarshal(payload, c); err != nil {
		return nil, errors.New("the claims are not as this server writes them") // err could quote them
	}
	names, err := unique(json.NewDecoder(bytes.NewReader(payload)))
	if err != nil {
		return nil, err
	}
	own := 0
	for name := range names {
		if members[name] {
			own++
		} else if isMember(name) {
			return nil, errors.New("a claim differs from a registered one by case alone")
		}
	}
	if own == len(names) {
		return c, nil
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	if err := dec.Decode(&c.Extra); err != nil {
		return nil, errors.New("the claims are not as this server writes them")
	}
	for name := range names {
		if members[name] {
			delete(c.Extra, name)
		}
	}
	return c, nil
}

// unique refuses objects that name a member twice, at any depth, and returns the
// names of the outermost one: RFC 8725 §2.4 tells what becomes of a token that
// two parsers read differently. The JSON is known to be valid.
func unique(dec *json.Decoder) (map[string]bool, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	delim, nested := tok.(json.Delim)
	if !nested {
		return nil, nil
	}
	names := make(map[string]bool)
	for dec.More() {
		if delim == '{' {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			if names[name.(string)] {
				return nil, errors.New("a claim is there twice")
			}
			names[name.(string)] = true
		}
		if _, err := unique(dec); err != nil {
			return nil, err
		}
	}
	_, err = dec.Token() // the closing one
	return names, err
}
