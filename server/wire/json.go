package wire

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

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

// A Value is a JSON value, read more strictly than encoding/json does: names
// differ by case, no name comes twice in an object, nothing follows the value,
// and neither depth nor number of values is without limit.
type Value struct {
	Kind    Kind
	Text    string // of a String, or of a Number as it is written
	True    bool   // of a Bool
	List    []Value
	Members []Member
}

// A Member is one of an object.
type Member struct {
	Name  string
	Value Value
}

// ParseJSON reads a JSON text. An empty one is Absent.
func ParseJSON(text string) (Value, error) {
	if strings.TrimLeft(text, " \t\r\n") == "" {
		return Value{}, nil
	}
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return Value{}, Invalid(cannotParse)
	}
	p := parser{text: text}
	return p.value(0)
}

// cannotParse is what Keycloak says of malformed JSON.
const cannotParse = "Cannot parse the JSON"

// A parser reads text that json.Valid has accepted, so that no index here runs
// past the end.
type parser struct {
	text   string
	at     int
	values int
}

func (p *parser) value(depth int) (Value, error) {
	if p.values++; p.values > maxValues {
		return Value{}, Invalid(cannotParse + ": too many values")
	}
	p.blank()
	first := p.text[p.at]
	if depth >= maxDepth && (first == '{' || first == '[') {
		return Value{}, Invalid(cannotParse + ": too deep")
	}
	switch first {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		s, err := p.string()
		return Value{Kind: String, Text: s}, err
	case 't':
		p.at += len("true")
		return Value{Kind: Bool, True: true}, nil
	case 'f':
		p.at += len("false")
		return Value{Kind: Bool}, nil
	case 'n':
		p.at += len("null")
		return Value{}, nil
	}
	start := p.at
	for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
		p.at++
	}
	return Value{Kind: Number, Text: p.text[start:p.at]}, nil
}

func (p *parser) object(depth int) (Value, error) {
	v := Value{Kind: Object}
	var names map[string]bool // once a search would be slow
	p.at++
	for p.blank(); p.text[p.at] != '}'; p.blank() {
		p.comma()
		name, err := p.string()
		if err != nil {
			return v, err
		}
		if len(v.Members) == 16 {
			names = make(map[string]bool, 64)
			for _, m := range v.Members {
				names[m.Name] = true
			}
		}
		if names[name] || names == nil && v.has(name) {
			return v, Invalid(cannotParse + ": " + name + " is given twice")
		}
		if names != nil {
			names[name] = true
		}
		p.blank()
		p.at++ // the colon
		member, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.Members = append(v.Members, Member{name, member})
	}
	p.at++
	return v, nil
}

func (p *parser) array(depth int) (Value, error) {
	v := Value{Kind: Array}
	p.at++
	for p.blank(); p.text[p.at] != ']'; p.blank() {
		p.comma()
		e, err := p.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.List = append(v.List, e)
	}
	p.at++
	return v, nil
}

// string reads a string, which is a slice of the text unless it has escapes.
func (p *parser) string() (string, error) {
	start, escaped := p.at, false
	for p.at++; p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			escaped = true
			p.at++
		}
	}
	p.at++
	if !escaped {
		return p.text[start+1 : p.at-1], nil
	}
	var s string
	raw := p.text[start:p.at]
	if err := json.Unmarshal([]byte(raw), &s); err != nil || !readable(s) || replaced(raw, s) {
		return "", Invalid(cannotParse)
	}
	return s, nil
}

// replaced reports whether encoding/json put U+FFFD in the place of half a
// surrogate pair: two names that differ would become one.
func replaced(raw, s string) bool {
	const replacement = "\uFFFD"
	return strings.Count(s, replacement) > strings.Count(raw, replacement)+strings.Count(strings.ToLower(raw), `\ufffd`)
}

func (p *parser) blank() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) comma() {
	if p.text[p.at] == ',' {
		p.at++
		p.blank()
	}
}

func (v Value) has(name string) bool {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return true
		}
	}
	return false
}

// Member returns the named member of an object, Absent if there is none.
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
	return "", Invalid(name + " must be a string")
}

// Bool returns a member that is true or false, and whether it is there.
func (v Value) Bool(name string) (value, present bool, err error) {
	switch m := v.Member(name); m.Kind {
	case Absent:
		return false, false, nil
	case Bool:
		return m.True, true, nil
	}
	return false, true, Invalid(name + " must be true or false")
}

// Int returns a member that is a whole number, 0 if it is absent.
func (v Value) Int(name string) (int, error) {
	m := v.Member(name)
	if m.Kind == Absent {
		return 0, nil
	}
	n, err := strconv.ParseInt(m.Text, 10, 32)
	if m.Kind != Number || err != nil {
		return 0, Invalid(name + " must be a whole number")
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
func (v Value) Strings(name string) ([]string, error) {
	m := v.Member(name)
	if m.Kind == Absent {
		return nil, nil
	}
	list := make([]string, 0, len(m.List))
	for _, e := range m.List {
		if e.Kind != String {
			return nil, Invalid(name + " must be an array of strings")
		}
		list = append(list, e.Text)
	}
	if m.Kind != Array {
		return nil, Invalid(name + " must be an array of strings")
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
		return nil, Invalid(name + " must be an object")
	}
	lists := make(map[string][]string, len(m.Members))
	for _, e := range m.Members {
		list := []string{e.Value.Text}
		if e.Value.Kind != String {
			var err error
			if list, err = m.Strings(e.Name); err != nil || list == nil {
				return nil, Invalid("the values in " + name + " must be strings or arrays of strings")
			}
		}
		lists[e.Name] = list
	}
	return lists, nil
}
