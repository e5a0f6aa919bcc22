package realm

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A value is a node of the file and where it is. What it is not, it says to its
// reader and returns zero for, so that all mistakes are found in one reading.
type value struct {
	r    *reader
	path string
	node *yaml.Node
}

// wrong records a mistake.
func (v value) wrong(format string, args ...any) {
	v.r.mistakes = append(v.r.mistakes, v.notice(format, args...))
}

// note records something to know that is no mistake.
func (v value) note(format string, args ...any) {
	v.r.notices = append(v.r.notices, v.notice(format, args...))
}

func (v value) notice(format string, args ...any) Notice {
	return Notice{v.r.file, v.node.Line, v.node.Column, v.path, fmt.Sprintf(format, args...)}
}

// load parses the one document of a file. The parser's own words are passed on
// only where they cannot quote the file.
func (r *reader) load(content []byte) (value, bool) {
	root := value{r: r, node: new(yaml.Node)}
	var doc yaml.Node
	err := yaml.Load(content, &doc)
	if err == nil && len(doc.Content) == 1 {
		root.node = doc.Content[0]
		return root, true
	}
	text := "is not one YAML document"
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

const noAlias = "anchors and aliases are not taken; text that begins with & or * needs quotes"

// is reports whether the node is of a kind and has one of the tags, and records
// what was wanted otherwise.
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

// fields say what reads each key of an object.
type fields map[string]func(value)

// set is a field whose value goes into one place.
func set[T any](into *T, read func(value) T) func(value) {
	return func(v value) { *into = read(v) }
}

// members are the keys of an object that are there; nil byKey: it is no object.
type members struct {
	value
	byKey map[string]value
}

func (m members) has(key string) bool {
	_, ok := m.byKey[key]
	return ok
}

// at is where a mistake about a key belongs: at its value, or at the object.
func (m members) at(key string) value {
	if v, ok := m.byKey[key]; ok {
		return v
	}
	return value{m.r, m.child(key), m.node}
}

// need records which of the keys are missing.
func (m members) need(keys ...string) {
	for _, key := range keys {
		if m.byKey != nil && !m.has(key) {
			m.at(key).wrong("is missing")
		}
	}
}

// object reads an object whose keys are known.
func (v value) object(known fields) members {
	found := members{v, make(map[string]value)}
	ok := v.each("want an object: key: value", func(key value, name string, member value) {
		read, ok := known[name]
		if !ok {
			key.wrong("unknown key%s", hint(name, known))
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

// plainKey is one that may be quoted: `secret:pa55` without a blank is a key to
// YAML, too.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

func hint(name string, known fields) string {
	keys := slices.Sorted(maps.Keys(known))
	if near := Nearest(name, keys); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	if strings.Contains(name, ":") {
		return "; is there no blank after its colon?"
	}
	return "; want one of " + strings.Join(keys, ", ")
}

// entries reads an object whose keys are names.
func (v value) entries(each func(name string, v value)) {
	v.each("want an object: name: value", func(key value, name string, member value) {
		if checkText(name) != "" {
			key.wrong("the name %s", checkText(name))
			return
		}
		each(name, member)
	})
}

// each calls f for the members of an object, in order, and reports whether it
// is one.
func (v value) each(want string, f func(key value, name string, member value)) bool {
	if !v.is(yaml.MappingNode, want, "!!map") {
		return false
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := value{v.r, v.path, v.node.Content[i]}
		if !key.is(yaml.ScalarNode, "a key is not text; put it in quotes", "!!str") {
			continue
		}
		name := key.node.Value
		key.path = v.child(name)
		if seen[name] {
			key.wrong("is there twice")
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
