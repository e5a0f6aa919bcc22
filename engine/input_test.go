package engine

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"example.com/umpire/policies"
	"example.com/umpire/uma"
)

// written is the input as the record has it.
func written(t interface{ Fatal(...any) }, in *uma.Input) []byte {
	raw, err := InputJSON(in)
	if err != nil || !utf8.Valid(raw) {
		t.Fatal(err, string(raw))
	}
	return raw
}

// The policy's input and that of the record are the same document, and the schema takes it.
func TestInputIsOneDocument(t *testing.T) {
	t.Parallel()
	schema := compiled(t, "input-v1.json")
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput().Draw(t, "input")
		built, err := inputValue(names(t), in)
		if err != nil {
			t.Fatal(err)
		}
		raw := written(t, in)
		want, err := ast.ValueFromReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if built.Compare(want) != 0 {
			t.Fatalf("built   %v\nwritten %v", built, want)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Fatal(err)
		}
	})
}

// wholeInput has every member; a text is the name of its field.
const wholeInput = `{"version":"Version","realm":"Realm","kind":"Kind",` +
	`"subject":{"id":"ID","type":"Type","username":"Username","issuer":"Issuer","external_id":"ExternalID","acr":"ACR","auth_time":1,"roles":["Roles"],` +
	`"client_roles":{"ClientRoles":[]},"groups":["Groups"],"groups_known":true,"scopes":["Scopes"],"attributes":{"Attributes":null}},` +
	`"claims":{"verified":{"Verified":null},"pushed":{"Pushed":[]},"tokens":[{"format":"Format","issuer":"Issuer",` +
	`"verified":true,"bound":true,"reason":"Reason","claims":{"Claims":null}}]},` +
	`"client":{"id":"ID","public":true,"authenticated":true,"scopes":["Scopes"]},"resource_server":"ResourceServer",` +
	`"resource":{"id":"ID","name":"Name","type":"Type","owner":"Owner","owner_managed":true,"uris":["URIs"],` +
	`"scopes":["Scopes"],"attributes":{"Attributes":[]}},"scopes":["Scopes"],` +
	`"shares":[{"id":"ID","kind":"Kind","name":"Name","scopes":["Scopes"],"users":["Users"],"roles":["Roles"],` +
	`"groups":["Groups"],"clients":["Clients"],"strategy":"Strategy"}],` +
	`"requests":[{"id":"ID","state":"State","scopes":["Scopes"],"created":"Created"}],` +
	`"ticket":{"id":"ID","issued_at":"IssuedAt","round":1},"context":{"time":"Time","ip":"IP","user_agent":"UserAgent",` +
	`"request_id":"RequestID","trace_id":"TraceID","properties":{}}}`

// Each field of the struct is written, and each member of the schema.
func TestInputIsComplete(t *testing.T) {
	t.Parallel()
	var in uma.Input
	fill("", reflect.ValueOf(&in).Elem())
	whole := written(t, &in)
	if string(whole) != wholeInput {
		t.Errorf("got  %s\nwant %s", whole, wholeInput)
	}
	var without func(path string, v reflect.Value)
	without = func(path string, v reflect.Value) {
		was := reflect.New(v.Type()).Elem()
		was.Set(v)
		v.SetZero()
		if bytes.Equal(written(t, &in), whole) && path != "Now" { // the clock is not a member
			t.Errorf("nothing writes %s", path)
		}
		v.Set(was)
		for name, part := range parts(v) {
			without(path+"."+name, part)
		}
	}
	for name, part := range parts(reflect.ValueOf(&in)) {
		without(name, part)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	root, err := inputSchema()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range unwritten("input", root, doc) {
		t.Errorf("nothing writes %s", path)
	}
}

// fill sets all that a value has: text to its field's name.
func fill(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(name, v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(name), reflect.Zero(v.Type().Elem()))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	}
	for name, part := range parts(v) {
		fill(name, part)
	}
}

// parts are the fields of a struct, also of one behind a pointer or in a list.
func parts(v reflect.Value) map[string]reflect.Value {
	switch {
	case v.Kind() == reflect.Pointer:
		return parts(v.Elem())
	case v.Kind() == reflect.Slice && v.Len() > 0:
		return parts(v.Index(0))
	case v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]():
		return nil
	}
	fields := make(map[string]reflect.Value)
	for i := range v.NumField() {
		fields[v.Type().Field(i).Name] = v.Field(i)
	}
	return fields
}

// unwritten are the members of the schema that a document lacks.
func unwritten(path string, s *schema, doc any) (missing []string) {
	if s.Items != nil {
		return unwritten(path, s.Items, doc.([]any)[0])
	}
	for name, member := range s.Properties {
		if value, ok := doc.(map[string]any)[name]; ok {
			missing = append(missing, unwritten(path+"."+name, &member, value)...)
		} else {
			missing = append(missing, path+"."+name)
		}
	}
	return missing
}

// Lists and maps that are nil are empty ones, as the schema wants them.
func TestInputWithoutAnything(t *testing.T) {
	t.Parallel()
	in := &uma.Input{
		Version: "1", Kind: "rpt", Resource: &uma.InputResource{}, Subject: uma.InputSubject{ID: "x", Type: "user"},
		Shares:   []uma.InputShare{{Kind: "policy", Strategy: "UNANIMOUS"}},
		Requests: []uma.InputRequest{{State: "pending"}},
	}
	raw := written(t, in)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled(t, "input-v1.json").Validate(doc); err != nil {
		t.Error(err)
	}
	built, err := inputValue(names(t), in)
	if err != nil {
		t.Fatal(err)
	}
	want, err := ast.ValueFromReader(bytes.NewReader(raw))
	if err != nil || built.Compare(want) != 0 {
		t.Errorf("built %v, written %s, %v", built, raw, err)
	}
}

func TestInputThatIsNoJSON(t *testing.T) {
	t.Parallel()
	in := &uma.Input{Claims: uma.InputClaims{Verified: map[string]any{"f": func() {}}}}
	if _, err := inputValue(names(t), in); err == nil {
		t.Error("built: got no error")
	}
	if _, err := InputJSON(in); err == nil {
		t.Error("written: got no error")
	}
}

func compiled(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	content, err := policies.FS.ReadFile("schemas/" + name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// anyText has what is hard to write: quotes, controls, markup, line separators,
// and bytes that are no UTF-8.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", "view", "\"\\\x00\n", "<script>&", "\u2028\u2029", "\xff\xfe", "a\xffb", "\xed\xa0\x80", "ü", "😀", "\x7f"}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return string(b) }),
	)
}

func valid(g *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.Map(g, func(s string) string { return strings.ToValidUTF8(s, "?") })
}

func anyList[S ~string]() *rapid.Generator[[]S] {
	return rapid.Map(rapid.SliceOfN(anyText(), 0, 3), func(list []string) []S {
		out := make([]S, len(list)) // never nil
		for i, s := range list {
			out[i] = S(s)
		}
		return out
	})
}

// Names that differ only in bytes that are no UTF-8 would be one in JSON.
func anyLists() *rapid.Generator[map[string][]string] {
	return rapid.MapOfN(valid(anyText()), anyList[string](), 0, 3)
}

func anyValue(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), func(v bool) any { return v }),
		rapid.Map(anyText(), func(v string) any { return v }),
		rapid.Map(rapid.Int64(), func(v int64) any { return v }),
		rapid.Map(rapid.Int(), func(v int) any { return v }),
		rapid.Map(rapid.Float64(), func(v float64) any { return v }),
		rapid.Map(rapid.Int32(), func(v int32) any { return v }),
		rapid.Map(rapid.SampledFrom([]string{"1", "1.0", "-0", "1e3", "12345678901234567890123"}), func(v string) any { return json.Number(v) }),
		rapid.Map(anyList[string](), func(v []string) any { return v }),
		rapid.Just[any]([]string(nil)), rapid.Just[any]([]any(nil)), rapid.Just[any](map[string]any(nil)),
		rapid.Map(anyLists(), func(v map[string][]string) any { return v }),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(anyValue(depth-1), 0, 3), func(v []any) any { return v }),
			rapid.Map(anyValues(depth-1), func(v map[string]any) any { return v }),
		)
	}
	return rapid.OneOf(kinds...)
}

func anyValues(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(valid(anyText()), anyValue(depth), 0, 3)
}

func anyInput() *rapid.Generator[*uma.Input] {
	return rapid.Custom(func(t *rapid.T) *uma.Input {
		text := func() string { return anyText().Draw(t, "text") }
		texts := func() []string { return anyList[string]().Draw(t, "list") }
		scopes := func() []uma.Scope { return anyList[uma.Scope]().Draw(t, "scopes") }
		lists := func() map[string][]string { return anyLists().Draw(t, "lists") }
		values := func() map[string]any { return anyValues(1).Draw(t, "values") }
		flag := func() bool { return rapid.Bool().Draw(t, "flag") }
		in := &uma.Input{
			Version: "1", Realm: text(), Kind: rapid.SampledFrom([]string{"rpt", "evaluation", "simulation", "replay", "search"}).Draw(t, "kind"),
			Subject: uma.InputSubject{
				ID: "s" + text(), Type: rapid.SampledFrom([]string{"user", "service", "external", "anonymous"}).Draw(t, "type"),
				Username: text(), Issuer: text(), ExternalID: text(), GroupsKnown: flag(), ACR: text(), AuthTime: rapid.Int64().Draw(t, "auth_time"),
				Roles: texts(), ClientRoles: lists(), Groups: texts(), Scopes: texts(), Attributes: values(),
			},
			Claims:         uma.InputClaims{Verified: values(), Pushed: lists(), Tokens: []uma.InputClaimToken{}},
			Client:         uma.InputClient{ID: text(), Public: flag(), Authenticated: flag(), Scopes: scopes()},
			ResourceServer: text(), Scopes: scopes(), Shares: []uma.InputShare{}, Requests: []uma.InputRequest{},
			Context: uma.InputContext{Time: text(), IP: text(), UserAgent: text(), RequestID: text(), TraceID: text()},
			Now:     time.Unix(1, 0),
		}
		for range rapid.IntRange(0, 2).Draw(t, "tokens") {
			in.Claims.Tokens = append(in.Claims.Tokens, uma.InputClaimToken{Format: text(), Issuer: text(), Verified: flag(), Bound: flag(), Reason: text(), Claims: values()})
		}
		for range rapid.IntRange(0, 2).Draw(t, "shares") {
			in.Shares = append(in.Shares, uma.InputShare{
				ID: text(), Kind: rapid.SampledFrom([]string{"request", "policy"}).Draw(t, "kind"), Name: text(), Scopes: scopes(),
				Users: texts(), Roles: texts(), Groups: texts(), Clients: texts(),
				Strategy: rapid.SampledFrom([]string{"UNANIMOUS", "AFFIRMATIVE", "CONSENSUS"}).Draw(t, "strategy"),
			})
		}
		for range rapid.IntRange(0, 2).Draw(t, "requests") {
			in.Requests = append(in.Requests, uma.InputRequest{
				ID: text(), State: rapid.SampledFrom([]string{"pending", "denied"}).Draw(t, "state"), Scopes: scopes(), Created: text(),
			})
		}
		if flag() {
			in.Resource = &uma.InputResource{
				ID: uma.ResourceID(text()), Name: text(), Type: text(), Owner: text(), OwnerManaged: flag(),
				URIs: texts(), Scopes: scopes(), Attributes: lists(),
			}
		}
		if flag() {
			in.Ticket = &uma.InputTicket{ID: text(), IssuedAt: text(), Round: rapid.IntRange(0, 9).Draw(t, "round")}
		}
		return in
	})
}

func names(t interface{ Fatal(...any) }) map[string]*ast.Term {
	names, err := inputNames()
	if err != nil {
		t.Fatal(err)
	}
	return names
}
