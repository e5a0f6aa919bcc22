package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"example.com/umpire/strictjson"
	"example.com/umpire/uma"
)

// members are the JSON names of the fields of uma.Claims.
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

// isMember reports whether a name is that of a member, in any case: encoding/json would
// read "Sub" into Subject.
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

// encode writes the claims as JSON. Those of Extra follow the others at the top level.
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

// decode reads claims that encode wrote. Numbers in Extra are json.Number.
func decode(payload []byte) (*uma.Claims, error) {
	c := new(uma.Claims)
	if err := json.Unmarshal(payload, c); err != nil {
		return nil, errUnreadable // err could quote the claims
	}
	r := strictjson.New(string(payload))
	if r.Next() != '{' {
		return nil, errUnreadable
	}
	err := r.Object(func(name string) error {
		value, err := r.Raw()
		switch {
		case err != nil:
			return err
		case members[name]:
			return nil
		case isMember(name):
			return errors.New("a claim differs from a registered one by case alone")
		case c.Extra == nil:
			c.Extra = make(map[string]any)
		}
		c.Extra[name], err = anyOf(value)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// anyOf decodes a value. Numbers are json.Number.
func anyOf(value string) (v any, err error) {
	dec := json.NewDecoder(strings.NewReader(value))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return nil, errUnreadable // the decoder's error could quote the value
	}
	return v, nil
}

var errUnreadable = errors.New("the claims are not as this server writes them")
