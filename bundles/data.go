package bundles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/util"
	"go.yaml.in/yaml/v4"

	"example.com/umpire/strictjson"
)

// A data file is read as strictly as a realm file: everything that two programs may read
// differently is refused, above all repeated keys and a second document. Otherwise a deny
// list could be dropped silently. Numbers are json.Number, which keeps all digits.

// A dataError is a mistake in a data file.
type dataError struct {
	line int
	text string
}

func (e *dataError) Error() string { return e.text }

func wrongData(line int, format string, args ...any) error {
	return &dataError{line, fmt.Sprintf(format, args...)}
}

const (
	noObject = "not an object"
	repeated = "%q is there twice" // the text of strictjson.RepeatedError, too
	noType   = "%s is not a type of JSON"
	tooLarge = "the number has an exponent beyond %d"
)

// maxExponent limits numbers: to compute with a billion digits takes all memory or makes OPA
// panic.
const maxExponent = 1000

func parseData(name, content string) (map[string]any, error) {
	content = strings.TrimPrefix(content, "\ufeff") // editors put it there
	if !utf8.ValidString(content) {
		return nil, wrongData(1, "is not UTF-8")
	}
	if strings.HasSuffix(name, ".json") {
		return parseJSON(content)
	}
	return parseYAML(content)
}

func parseJSON(content string) (map[string]any, error) {
	var doc map[string]any
	err := util.UnmarshalJSON([]byte(content), &doc)
	if err == nil && doc == nil {
		err = errors.New(noObject)
	}
	if err != nil {
		return nil, wrongData(jsonLine(content, err), "%s", err)
	}
	c := jsonChecker{content, strictjson.New(content)}
	err = c.value(0)
	if _, isData := errors.AsType[*dataError](err); err != nil && !isData { // of the Reader
		err = c.wrong("%s", err)
	}
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// jsonLine is the line of a JSON document that an error is about.
func jsonLine(content string, err error) int {
	offset := int64(0)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = syntax.Offset
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = wrong.Offset
	}
	return lineAt(content, offset)
}

func lineAt(content string, offset int64) int {
	return 1 + strings.Count(content[:min(offset, int64(len(content)))], "\n")
}

// A jsonChecker looks for mistakes in a document that encoding/json accepted.
type jsonChecker struct {
	content string
	*strictjson.Reader
}

func (c *jsonChecker) wrong(format string, args ...any) error {
	return wrongData(lineAt(c.content, int64(c.Offset())), format, args...)
}

func (c *jsonChecker) value(depth int) error {
	first := c.Next()
	if depth > maxDepth {
		return c.wrong(tooDeeply, maxDepth)
	}
	switch first {
	case '{':
		return c.Object(func(string) error { return c.value(depth + 1) })
	case '[':
		return c.Array(func() error { return c.value(depth + 1) })
	case '"':
		_, err := c.Text()
		return err
	}
	if word := c.Word(); first != 't' && first != 'f' && !bounded(word) {
		return c.wrong(tooLarge, maxExponent)
	}
	return nil
}

// bounded reports whether the exponent of a number is at most maxExponent.
func bounded(number string) bool {
	i := strings.IndexAny(number, "eE")
	if i < 0 {
		return true
	}
	exponent, err := strconv.Atoi(number[i+1:])
	return err == nil && max(exponent, -exponent) <= maxExponent
}

func parseYAML(content string) (map[string]any, error) {
	root, err := yamlDocument(content)
	if err != nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, wrongData(root.Line, noObject)
	}
	v, err := yamlValue(root, 0)
	if err != nil {
		return nil, err
	}
	return v.(map[string]any), nil
}

// yamlDocument is the only document of a file.
func yamlDocument(content string) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(strings.NewReader(content))
	if err != nil {
		return nil, wrongData(1, "%s", err)
	}
	var doc, second yaml.Node
	err = loader.Load(&doc)
	switch {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		return nil, wrongData(1, noObject)
	case err != nil:
		return nil, yamlError(err)
	}
	err = loader.Load(&second)
	switch {
	case err == nil:
		return nil, wrongData(second.Line, "a second document: a file must have one only")
	case !errors.Is(err, io.EOF):
		return nil, yamlError(err)
	}
	return doc.Content[0], nil
}

func yamlError(err error) error {
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		return wrongData(e.Mark.Line, "%s", e.Message)
	}
	return wrongData(1, "%s", err)
}

func yamlValue(n *yaml.Node, depth int) (any, error) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return nil, wrongData(n.Line, "anchors and aliases are not supported; text that begins with & or * needs quotes")
	case depth > maxDepth:
		return nil, wrongData(n.Line, tooDeeply, maxDepth)
	case n.Kind == yaml.MappingNode && n.Tag == "!!map":
		return yamlObject(n, depth)
	case n.Kind == yaml.SequenceNode && n.Tag == "!!seq":
		list := make([]any, len(n.Content))
		for i, each := range n.Content {
			var err error
			if list[i], err = yamlValue(each, depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case n.Kind == yaml.ScalarNode:
		return yamlScalar(n)
	}
	return nil, wrongData(n.Line, noType, n.Tag)
}

func yamlObject(n *yaml.Node, depth int) (map[string]any, error) {
	object := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := yamlKey(n.Content[i])
		if err != nil {
			return nil, err
		}
		if _, twice := object[key]; twice {
			return nil, wrongData(n.Content[i].Line, repeated, key)
		}
		if object[key], err = yamlValue(n.Content[i+1], depth+1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// yamlKey returns a key: text, or a whole number as text.
func yamlKey(n *yaml.Node) (string, error) {
	if n.Kind == yaml.ScalarNode && n.Anchor == "" && (n.Tag == "!!str" || n.Tag == "!!int") {
		v, err := yamlScalar(n)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(v), nil
	}
	return "", wrongData(n.Line, "a key is not text; put it in quotes")
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func yamlScalar(n *yaml.Node) (any, error) {
	tag := n.Tag
	if n.Style == 0 && jsonNumber.MatchString(n.Value) {
		tag = "!!float" // the parser takes very large ones for text
	}
	switch tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), nil
	case "!!int", "!!float":
		if !jsonNumber.MatchString(n.Value) {
			return nil, wrongData(n.Line, "want a number in the notation of JSON; put text in quotes")
		}
		if !bounded(n.Value) {
			return nil, wrongData(n.Line, tooLarge, maxExponent)
		}
		return json.Number(n.Value), nil
	case "!!str", "!!timestamp":
		return n.Value, nil
	}
	return nil, wrongData(n.Line, noType, n.Tag)
}
