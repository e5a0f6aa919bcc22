package wire

import (
	"cmp"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/umpire/strictjson"
	"example.com/umpire/uma"
)

// Limits of a JSON body beside its size.
const (
	maxDepth  = 32
	maxValues = 10_000
)

// A Kind says what a Value is.
type Kind byte

// The kinds of JSON values. Absent is also what a member that is not there is.
const (
	Absent Kind = iota // or null: no member of ours tells the two apart
	Bool
	Number
	String
	Array
	Object
)

// A Value is a JSON value, read more strictly than encoding/json does: names differ by
// case, no name comes twice in an object, no string has half a surrogate pair or a NUL,
// and depth and number of values are limited.
type Value struct {
	Kind    Kind
	Text    string // of a string, or of a number as it is written
	True    bool   // of a bool
	List    []Value
	Members []Member
}

// A Member is one of an object.
type Member struct {
	Name  string
	Value Value
}

// ParseJSON reads a JSON text. An empty one is absent.
func ParseJSON(text string) (Value, error) {
	if strings.TrimLeft(text, " \t\r\n") == "" {
		return Value{}, nil
	}
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return Value{}, invalid(cannotParse)
	}
	p := jsonParser{Reader: strictjson.New(text)}
	v, err := p.value(0)
	if twice, ok := errors.AsType[*strictjson.RepeatedError](err); ok {
		err = invalid(cannotParse + ": " + twice.Name + " is given twice")
	}
	if errors.Is(err, strictjson.ErrHalfPair) {
		err = invalid(cannotParse)
	}
	return v, err
}

// cannotParse is what Keycloak says of malformed JSON.
const cannotParse = "Cannot parse the JSON"

// A jsonParser builds values of what its Reader reads.
type jsonParser struct {
	*strictjson.Reader
	values int
}

func (p *jsonParser) value(depth int) (v Value, err error) {
	if p.values++; p.values > maxValues {
		return v, invalid(cannotParse + ": too many values")
	}
	first := p.Next()
	if depth >= maxDepth && (first == '{' || first == '[') {
		return v, invalid(cannotParse + ": too deep")
	}
	switch first {
	case '{':
		v.Kind = Object
		err = p.Object(func(name string) error {
			member, err := p.value(depth + 1)
			v.Members = append(v.Members, Member{name, member})
			return cmp.Or(err, checkNUL(name))
		})
	case '[':
		v.Kind = Array
		err = p.Array(func() error {
			e, err := p.value(depth + 1)
			v.List = append(v.List, e)
			return err
		})
	case '"':
		v.Kind = String
		if v.Text, err = p.Text(); err == nil {
			err = checkNUL(v.Text)
		}
	case 't', 'f':
		v.Kind, v.True = Bool, p.Word() == "true"
	case 'n':
		p.Word()
	default:
		v.Kind, v.Text = Number, p.Word()
	}
	return v, err
}

// checkNUL refuses text that C programs read only a part of.
func checkNUL(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return invalid(cannotParse)
	}
	return nil
}

// Member returns the named member of an object, absent if there is none.
func (v Value) Member(name string) Value {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return v.Members[i].Value
		}
	}
	return Value{}
}

// String returns the text of a member, "" if it is absent.
func (v Value) String(name string) (string, error) {
	switch m := v.Member(name); m.Kind {
	case Absent:
		return "", nil
	case String:
		return m.Text, nil
	}
	return "", invalid(name + " must be a string")
}

// Bool returns a member that is true or false, and whether it is there.
func (v Value) Bool(name string) (value, present bool, err error) {
	switch m := v.Member(name); m.Kind {
	case Absent:
		return false, false, nil
	case Bool:
		return m.True, true, nil
	}
	return false, true, invalid(name + " must be true or false")
}

// Int returns a member that is a whole number, 0 if it is absent.
func (v Value) Int(name string) (int, error) {
	m := v.Member(name)
	if m.Kind == Absent {
		return 0, nil
	}
	n, err := strconv.ParseInt(m.Text, 10, 32)
	if m.Kind != Number || err != nil {
		return 0, invalid(name + " must be a whole number")
	}
	return int(n), nil
}

// Texts reads the members that are named, as String does.
func (v Value) Texts(into map[string]*string) (err error) {
	for _, m := range v.Members {
		if text := into[m.Name]; text != nil {
			if *text, err = v.String(m.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Scopes is Strings of a member that lists scopes.
func (v Value) Scopes(name string) ([]uma.Scope, error) {
	names, err := v.Strings(name)
	if names == nil {
		return nil, err
	}
	scopes := make([]uma.Scope, len(names))
	for i, s := range names {
		scopes[i] = uma.Scope(s)
	}
	return scopes, nil
}

// Strings returns a member that is an array of strings, nil if it is absent.
func (v Value) Strings(name string) ([]string, error) { return v.Member(name).AsStrings(name) }

// AsStrings is the value itself as Strings has it; name is what an error calls it.
func (v Value) AsStrings(name string) ([]string, error) {
	if v.Kind == Absent {
		return nil, nil
	}
	list := make([]string, 0, len(v.List))
	for _, e := range v.List {
		if e.Kind != String {
			return nil, invalid(name + " must be an array of strings")
		}
		list = append(list, e.Text)
	}
	if v.Kind != Array {
		return nil, invalid(name + " must be an array of strings")
	}
	return list, nil
}

// Lists returns a member that is an object of lists of strings, each of which
// may also be a single string; nil if it is absent.
func (v Value) Lists(name string) (map[string][]string, error) {
	m := v.Member(name)
	switch m.Kind {
	case Absent:
		return nil, nil
	case Object:
	default:
		return nil, invalid(name + " must be an object")
	}
	lists := make(map[string][]string, len(m.Members))
	for _, e := range m.Members {
		list := []string{e.Value.Text}
		if e.Value.Kind != String {
			var err error
			if list, err = e.Value.AsStrings(e.Name); err != nil || list == nil {
				return nil, invalid("the values in " + name + " must be strings or arrays of strings")
			}
		}
		lists[e.Name] = list
	}
	return lists, nil
}

// SubjectID returns the party of a trusted issuer that an object with `iss` or `sub` names
// (RFC 9493 §3.2.3; the member `format` may be left out), and nil for anything else; name is
// what an error calls it. Beside another name of somebody, it would be unclear who is meant.
func (v Value) SubjectID(name string) (*uma.SubjectID, error) {
	if v.Member("iss").Kind == Absent && v.Member("sub").Kind == Absent {
		return nil, nil
	}
	of := map[string]string{}
	for _, m := range v.Members {
		of[m.Name] = m.Value.Text
		if m.Value.Kind != String || m.Name != "iss" && m.Name != "sub" && m.Name != "format" {
			return nil, invalid(name + " must have iss and sub, and nothing else: both are strings")
		}
	}
	if of["iss"] == "" || of["sub"] == "" || len(of) > 2 && of["format"] != "iss_sub" {
		return nil, invalid(name + " must have iss and sub, and nothing else: both are strings")
	}
	return uma.SubjectIDOf(of["iss"], of["sub"]), nil
}

func invalid(description string) error { return Say(uma.InvalidRequest, description, nil) }
