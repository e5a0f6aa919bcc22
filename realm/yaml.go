package realm

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"example.com/umpire/nearest"
)

// A value is a node of the file with its path. A method that reads it records a mistake
// and returns zero where the node is something else, so that one reading finds all
// mistakes.
//
// The library's decoding into structs with KnownFields was tried instead. It reports
// unknown keys and mistaken types together, with line and column, but quotes the value,
// which may be a secret; a repeated key ends the reading of its object; 42 passes for text,
// yes for a bool, 0x10 for 16; aliases and merges are followed; and what checks the values
// afterwards no longer knows their lines.
type value struct {
	r    *reader
	path string
	node *yaml.Node
}

// wrong records a mistake.
func (v value) wrong(format string, args ...any) {
	v.r.mistakes = append(v.r.mistakes, v.notice(format, args...))
}

// note records a notice, which is no mistake.
func (v value) note(format string, args ...any) {
	v.r.notices = append(v.r.notices, v.notice(format, args...))
}

func (v value) notice(format string, args ...any) Notice {
	return Notice{v.r.file, v.node.Line, v.node.Column, v.path, fmt.Sprintf(format, args...)}
}

// load parses the one document of a file. The library's error text is passed on only
// where it cannot quote the file.
func (r *reader) load(content []byte) (value, bool) {
	root := value{r: r, node: new(yaml.Node)}
	var doc yaml.Node
	err := yaml.Load(content, &doc)
	if err == nil && len(doc.Content) == 1 {
		root.node = doc.Content[0]
		return root, true
	}
	text := "want exactly one YAML document"
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		root.node.Line, root.node.Column = e.Mark.Line, e.Mark.Column
		switch e.Stage {
		case yaml.ReaderStage, yaml.ScannerStage, yaml.ParserStage:
			text = e.Message
		case yaml.ComposerStage:
			text = noAlias
		}
	}
	root.wrong("%s", text)
	return value{}, false
}

const noAlias = "anchors and aliases are not supported; text that begins with & or * needs quotes"

// is reports whether the node has the kind and one of the tags, and records want as a
// mistake if it does not.
func (v value) is(kind yaml.Kind, want string, tags ...string) bool {
	switch {
	case v.node.Kind == yaml.AliasNode || v.node.Anchor != "":
		v.wrong(noAlias)
	case v.node.Kind != kind || !slices.Contains(tags, v.node.Tag):
		v.wrong("%s", want)
	default:
		return true
	}
	return false
}

// fields are the known keys of an object and the functions that read their values.
type fields map[string]func(value)

// set is a field whose value is assigned to a variable.
func set[T any](into *T, read func(value) T) func(value) {
	return func(v value) { *into = read(v) }
}

// members are the known keys that an object has.
type members struct {
	value
	byKey map[string]value // nil if the value is no object
}

func (m members) has(key string) bool {
	_, ok := m.byKey[key]
	return ok
}

// at is the place for a mistake about a key: its value, or the object if it lacks the key.
func (m members) at(key string) value {
	if v, ok := m.byKey[key]; ok {
		return v
	}
	return value{m.r, m.child(key), m.node}
}

// need records the keys that are missing.
func (m members) need(keys ...string) {
	for _, key := range keys {
		if m.byKey != nil && !m.has(key) {
			m.at(key).wrong("is missing")
		}
	}
}

// object reads an object with known keys, and records the others as mistakes.
func (v value) object(known fields) members {
	found := members{v, make(map[string]value)}
	ok := v.each("want an object: key: value", func(key value, name string, member value) {
		read, ok := known[name]
		if !ok {
			if why, found := notTaken[key.path]; found {
				key.wrong("is not taken: %s", why)
			} else {
				key.wrong("unknown key%s", hint(name, known))
			}
			return
		}
		found.byKey[name] = member
		read(member)
	})
	if !ok {
		found.byKey = nil
	}
	return found
}

// plainKey matches keys that a message may quote: YAML takes `secret:pa55`, without a
// space, for a key.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

func hint(name string, known fields) string {
	keys := slices.Sorted(maps.Keys(known))
	if near := nearest.Of(name, keys); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	if strings.Contains(name, ":") {
		return "; is the space after the colon missing?"
	}
	return "; want one of " + strings.Join(keys, ", ")
}

// entries reads an object whose keys are names that the author chose.
func (v value) entries(each func(name string, v value)) {
	v.each("want an object: name: value", func(key value, name string, member value) {
		if checkText(name) != "" {
			key.wrong("the name %s", checkText(name))
			return
		}
		each(name, member)
	})
}

// each calls f for the members of an object, in order, and reports whether the value is
// an object.
func (v value) each(want string, f func(key value, name string, member value)) bool {
	if !v.is(yaml.MappingNode, want, "!!map") {
		return false
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := value{v.r, v.path, v.node.Content[i]}
		if !key.is(yaml.ScalarNode, "this key is not text; put it in quotes", "!!str") {
			continue
		}
		name := key.node.Value
		key.path = v.child(name)
		if seen[name] {
			key.wrong("appears twice")
			continue
		}
		seen[name] = true
		f(key, name, value{v.r, key.path, v.node.Content[i+1]})
	}
	return true
}

// child is the path of a member.
func (v value) child(name string) string {
	switch {
	case !plainKey.MatchString(name):
		return v.path + "[?]"
	case v.path == "":
		return name
	}
	return v.path + "." + name
}

// list calls each for the elements of a list.
func (v value) list(each func(value)) {
	if !v.is(yaml.SequenceNode, "want a list: [a, b]", "!!seq") {
		return
	}
	for i, n := range v.node.Content {
		each(value{v.r, fmt.Sprintf("%s[%d]", v.path, i), n})
	}
}
