package realm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"example.com/umpire/realm"
)

// A schemaNode is the part of a schema that names keys.
type schemaNode struct {
	Properties map[string]*schemaNode `json:"properties"`
	Items      *schemaNode            `json:"items"`
	Others     json.RawMessage        `json:"additionalProperties"` // of all names, or false
}

// TestSchemaHasTheKeysOfTheReader: the schema and the reader know the same keys.
func TestSchemaHasTheKeysOfTheReader(t *testing.T) {
	t.Parallel()
	var top schemaNode
	if err := json.Unmarshal(realm.Schema(), &top); err != nil {
		t.Fatal(err)
	}
	objects := 0
	var walk func(path []string, n *schemaNode)
	walk = func(path []string, n *schemaNode) {
		if n.Items != nil {
			walk(append(slices.Clone(path), "[]"), n.Items)
		}
		if others := new(schemaNode); json.Unmarshal(n.Others, others) == nil {
			walk(append(slices.Clone(path), "name"), others)
		}
		if n.Properties == nil {
			return
		}
		objects++
		var keys []string
		for key, member := range n.Properties {
			keys = append(keys, key)
			walk(append(slices.Clone(path), key), member)
		}
		slices.Sort(keys)
		if got := keysOfReader(t, path); !slices.Equal(got, keys) {
			t.Errorf("%s: the schema has %v, the reader %v", strings.Join(path, "."), keys, got)
		}
	}
	walk(nil, &top)
	if objects != 33 {
		t.Errorf("got %d objects with known keys, want 33", objects)
	}
}

// keysOfReader returns the keys that the reader names in its mistake for an unknown key.
func keysOfReader(t *testing.T, path []string) []string {
	t.Helper()
	const unlike = "qqqqqqqqqqqqqqqq"
	doc := "{" + unlike + ": 1}"
	for _, step := range slices.Backward(path) {
		if step == "[]" {
			doc = "[" + doc + "]"
		} else {
			doc = "{" + step + ": " + doc + "}"
		}
	}
	_, _, err := realm.Parse("r.yaml", []byte(doc), noEnv)
	mistakes, ok := errors.AsType[realm.Mistakes](err)
	if !ok {
		t.Fatalf("%s: got %v", doc, err)
	}
	for _, m := range mistakes {
		if list, ok := strings.CutPrefix(m.Text, "unknown key; want one of "); ok && strings.HasSuffix(m.Path, unlike) {
			return strings.Split(list, ", ")
		}
	}
	t.Errorf("%s: got %v, want the keys that are known", doc, err)
	return nil
}

// TestSchemaTakesRealmFiles: the schema accepts the files that the reader accepts, and
// refuses mistakes as far as a schema can express them.
func TestSchemaTakesRealmFiles(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	issuer := func(members string) string {
		return "realm: r\nissuers: [{issuer: 'https://i.example', audiences: [umpire], " + members + "}]"
	}
	for _, file := range []string{"testdata/example.yaml", "testdata/opa.yaml", "../examples/photoz/realm.yaml", "../tests/testdata/photoz/realm.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	for _, bad := range []string{
		"enabled: true", "realm: Upper", "realm: r\nrealms: 1", "realm: r\nprofile: uma1", "realm: r\ntokens: {access: 5}",
		"realm: r\ntokens: {signing_alg: HS256}", "realm: r\npolicy: {gates: {lint: on}}", "realm: r\npolicy: {gates: {min_coverage: 101}}", "realm: r\npolicy: {gates: {max_granted: -1}}",
		"realm: r\npolicy: {grant: all}", "realm: r\npolicy: {max_permissions: 0}",
		"realm: r\npolicy: {opa: {}}", "realm: r\npolicy: {opa: {plugins: {}}}", "realm: r\npolicy: {opa: {services: {a: {}}}}",
		"realm: r\npolicy: {opa: {services: [{url: 'https://u:p@a', name: a}]}}", "realm: r\npolicy: {opa: {services: {a: {url: 'https://a'}}, bundles: {}}}",
		"realm: r\nclients: [{id: a b, public: true}]", "realm: r\nclients: [{id: account, public: true}]", "realm: r\nclients: [{public: true}]",
		"realm: r\nusers: [{username: u, password: p, groups: [friends]}]", "realm: r\nusers: [{username: u, password: p, groups: [/a//b]}]",
		"realm: r\nusers: [{username: u, password: 1}]", "realm: r\nusers: [{username: u, password: p, roles: [a/b]}]",
		"realm: r\nresources: [{name: n}]", "realm: r\nscopes: [a]",
		issuer("alias: I"), issuer("alias: i, algorithms: [HS256]"), issuer("alias: i, algorithms: []"), issuer("alias: i, accept: [jwt]"),
		issuer("alias: i, clients: {}"), issuer("alias: i, require: {a: [b]}"), issuer("alias: i, leeway: 5"), issuer("alias: i, bind: name"),
		issuer("alias: i, map: {subject: {access_token: uid}}"), issuer("alias: i, map: {client: []}"), issuer("alias: i, map: {client: 7}"),
		issuer("alias: i, map: {groups: {from: g}}"), issuer("alias: i, map: {groups: {prefix: /g}}"), issuer("alias: i, map: {attributes: {a: {}}}"),
		"realm: r\nissuers: [{alias: i, issuer: 'https://a'}]", "realm: r\nissuers: [{alias: i, audiences: [a], issuer: 'https://a/{tenantid}'}]",
		"realm: r\nclients: [{id: c, jwks: {}}]", "realm: r\nclients: [{id: c, secret: s, token_exchange: 1}]",
		"realm: r\nsinks: {hold: 7}", "realm: r\nsinks: {hold: long}", "realm: r\nsinks: {hold: 1h2d}", "realm: r\nsinks: {hold: -1h}", "realm: r\nsinks: {hold: ''}",
	} {
		if _, _, err := realm.Parse("r.yaml", []byte(bad), noEnv); err == nil {
			t.Errorf("the reader takes %q", bad)
		}
		if err := s.Validate(asJSON(t, []byte(bad))); err == nil {
			t.Errorf("the schema takes %q", bad)
		}
	}
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(realm.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("realm.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("realm.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON converts a YAML document to a JSON value.
func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(fmt.Errorf("%w in %s", err, text))
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
