package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/policies"
	"example.com/umpire/strictjson"
	"example.com/umpire/uma"
)

// inputValue is the input document of a decision as OPA's own value, built without JSON,
// which would take four times as long. names are those of inputNames.
func inputValue(names map[string]*ast.Term, in *uma.Input) (ast.Value, error) {
	b := &builder{names: names, terms: make([]ast.Term, 64), members: make([][2]*ast.Term, 0, 24), open: make([]opened, 0, 3)}
	writeInput(b, in)
	if b.err != nil {
		return nil, fmt.Errorf("build policy input: %w", b.err)
	}
	return ast.NewObject(b.members...), nil
}

// inputNames returns a term for each name of a member in the schema of the input. Nobody
// changes a term, so that all evaluations of a policy use these.
func inputNames() (map[string]*ast.Term, error) {
	root, err := inputSchema()
	if err != nil {
		return nil, err
	}
	names := make(map[string]*ast.Term)
	root.addNames(names)
	return names, nil
}

// A schema is the part of a JSON Schema that names members.
type schema struct {
	Properties map[string]schema
	Items      *schema
}

func inputSchema() (*schema, error) {
	content, err := policies.FS.ReadFile("schemas/input-v1.json")
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	var root schema
	if err := json.Unmarshal(content, &root); err != nil {
		return nil, fmt.Errorf("read schema of the input: %w", err)
	}
	return &root, nil
}

func (s *schema) addNames(names map[string]*ast.Term) {
	for name, member := range s.Properties {
		names[name] = ast.StringTerm(name)
		member.addNames(names)
	}
	if s.Items != nil {
		s.Items.addNames(names)
	}
}

// A builder makes OPA's values.
type builder struct {
	names   map[string]*ast.Term
	terms   []ast.Term     // a stock: one allocation for many
	members [][2]*ast.Term // of all open objects and lists, the innermost last
	open    []opened
	err     error // of the first value that is not JSON
}

// opened is an object or list that has not ended.
type opened struct {
	name  string
	first int // its first member
}

func (b *builder) term(v ast.Value) *ast.Term {
	if len(b.terms) == 0 {
		b.terms = make([]ast.Term, 64)
	}
	t := &b.terms[0]
	b.terms = b.terms[1:]
	t.Value = v
	return t
}

func (b *builder) add(name string, v *ast.Term) {
	b.members = append(b.members, [2]*ast.Term{b.names[name], v})
}

func (b *builder) object(name string) { b.open = append(b.open, opened{name, len(b.members)}) }
func (b *builder) list(name string)   { b.object(name) }

// end closes the innermost object or list and returns its members, which are valid until
// the next one is added.
func (b *builder) end() (name string, members [][2]*ast.Term) {
	last := len(b.open) - 1
	o := b.open[last]
	b.open = b.open[:last]
	members = b.members[o.first:]
	b.members = b.members[:o.first]
	return o.name, members
}

func (b *builder) endObject() {
	name, members := b.end()
	b.add(name, b.term(ast.NewObject(members...)))
}

func (b *builder) endList() {
	name, members := b.end()
	terms := make([]*ast.Term, len(members))
	for i := range members {
		terms[i] = members[i][1]
	}
	b.add(name, b.array(terms))
}

func (b *builder) array(terms []*ast.Term) *ast.Term {
	if len(terms) == 0 {
		return ast.InternedEmptyArray
	}
	return b.term(ast.NewArray(terms...))
}

func (b *builder) text(name, s string)                  { b.add(name, b.string(s)) }
func (b *builder) number(name string, n int64)          { b.add(name, b.int(n)) }
func (b *builder) bool(name string, v bool)             { b.add(name, ast.InternedTerm(v)) }
func (b *builder) texts(name string, list []string)     { b.add(name, stringTerms(b, list)) }
func (b *builder) scopes(name string, list []uma.Scope) { b.add(name, stringTerms(b, list)) }
func (b *builder) values(name string, m map[string]any) {
	b.add(name, objectTerm(b, m, (*builder).value))
}
func (b *builder) lists(name string, m map[string][]string) {
	b.add(name, objectTerm(b, m, stringTerms[string]))
}

// string is a string as JSON would carry it: each byte that is not UTF-8 becomes U+FFFD.
// Header values may hold such bytes.
func (b *builder) string(s string) *ast.Term {
	if s == "" {
		return ast.InternedEmptyString
	}
	return b.term(ast.String(validText(s)))
}

func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func (b *builder) int(n int64) *ast.Term {
	return b.term(ast.Number(strconv.FormatInt(n, 10)))
}

func objectTerm[V any](b *builder, m map[string]V, term func(*builder, V) *ast.Term) *ast.Term {
	if len(m) == 0 {
		return ast.InternedEmptyObject
	}
	first := len(b.members)
	for k, v := range m {
		value := term(b, v)
		b.members = append(b.members, [2]*ast.Term{b.string(k), value})
	}
	object := b.term(ast.NewObject(b.members[first:]...))
	b.members = b.members[:first]
	return object
}

func stringTerms[S ~string](b *builder, list []S) *ast.Term {
	if len(list) == 0 {
		return ast.InternedEmptyArray
	}
	terms := make([]*ast.Term, len(list))
	for i := range list {
		terms[i] = b.string(string(list[i]))
	}
	return b.array(terms)
}

// value takes the types that encoding/json decodes into, and those of realm files. All
// others go through JSON.
func (b *builder) value(v any) *ast.Term {
	switch v := v.(type) {
	case nil:
		return ast.InternedNullTerm
	case bool:
		return ast.InternedTerm(v)
	case string:
		return b.string(v)
	case json.Number:
		if v != "" {
			return b.term(ast.Number(v))
		}
	case int:
		return b.int(int64(v))
	case int64:
		return b.int(v)
	case []string:
		if v != nil {
			return stringTerms(b, v)
		}
	case []any:
		if v != nil {
			terms := make([]*ast.Term, len(v))
			for i := range v {
				terms[i] = b.value(v[i])
			}
			return b.array(terms)
		}
	case map[string]any:
		if v != nil {
			return objectTerm(b, v, (*builder).value)
		}
	}
	return b.marshalled(v)
}

func (b *builder) marshalled(v any) *ast.Term {
	raw, err := json.Marshal(v)
	if err != nil {
		b.err = err
		return ast.InternedNullTerm
	}
	value, err := ast.ValueFromReader(bytes.NewReader(raw))
	if err != nil {
		b.err = err
		return ast.InternedNullTerm
	}
	return b.term(value)
}

// recordedValue is ast.ValueFromReader for a part of a record, which has one value. It takes
// half the time, because it does not decode into maps first. names are those of
// inputNames, or nil.
func recordedValue(names map[string]*ast.Term, raw []byte) (ast.Value, error) {
	if json.Valid(raw) {
		b := &builder{names: names}
		if term, err := b.read(strictjson.New(string(raw))); err == nil {
			return term.Value, nil
		}
	}
	return ast.ValueFromReader(bytes.NewReader(raw)) // for a name that is twice in an object, and for the error
}

// read builds the next value of a JSON text.
func (b *builder) read(r *strictjson.Reader) (*ast.Term, error) {
	first := len(b.members)
	switch r.Next() {
	case '{':
		err := r.Object(func(name string) error {
			value, err := b.read(r)
			key := b.names[name]
			if key == nil {
				key = b.string(name)
			}
			b.members = append(b.members, [2]*ast.Term{key, value})
			return err
		})
		if err != nil {
			return nil, err
		}
		object := b.term(ast.NewObject(b.members[first:]...))
		b.members = b.members[:first]
		return object, nil
	case '[':
		var terms []*ast.Term
		err := r.Array(func() error {
			term, err := b.read(r)
			terms = append(terms, term)
			return err
		})
		if err != nil {
			return nil, err
		}
		return b.array(terms), nil
	case '"':
		s, err := r.Text()
		return b.string(s), err
	}
	switch word := r.Word(); word {
	case "null":
		return ast.InternedNullTerm, nil
	case "true", "false":
		return ast.InternedTerm(word == "true"), nil
	default:
		number, err := ast.InterfaceToValue(json.Number(word))
		return b.term(number), err
	}
}
