package engine

import (
	"bytes"
	"encoding/json"
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

// What the policy is told, what the record says it was told and what the struct
// says are one document.
func TestInputIsOneDocument(t *testing.T) {
	t.Parallel()
	schema := compiled(t, "input-v1.json")
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput().Draw(t, "input")
		marshalled, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ast.ValueFromReader(bytes.NewReader(marshalled))
		if err != nil {
			t.Fatal(err)
		}
		built, err := inputValue(in)
		if err != nil {
			t.Fatal(err)
		}
		if built.Compare(want) != 0 {
			t.Fatalf("built %v\nwant  %v", built, want)
		}
		var w writer
		w.input(in)
		written, err := ast.ValueFromReader(bytes.NewReader(w.buf))
		if err != nil || w.err != nil || !utf8.Valid(w.buf) {
			t.Fatalf("%v, %v: %s", err, w.err, w.buf)
		}
		if written.Compare(want) != 0 {
			t.Fatalf("written %v\nwant    %v", written, want)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.buf))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Fatal(err)
		}
	})
}

// Lists and maps that are nil are empty ones, as the schema wants them.
func TestInputWithoutAnything(t *testing.T) {
	t.Parallel()
	in := &uma.Input{
		Version: "1", Kind: "rpt", Resource: &uma.InputResource{}, Subject: uma.InputSubject{ID: "x", Type: "user"},
		Shares:   []uma.InputShare{{Kind: "policy", Strategy: "UNANIMOUS"}},
		Requests: []uma.InputRequest{{State: "pending"}},
	}
	var w writer
	w.input(in)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.buf))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled(t, "input-v1.json").Validate(doc); err != nil {
		t.Error(err)
	}
	built, err := inputValue(in)
	if err != nil {
		t.Fatal(err)
	}
	written, err := ast.ValueFromReader(bytes.NewReader(w.buf))
	if err != nil || built.Compare(written) != 0 {
		t.Errorf("built %v, written %v, %v", built, written, err)
	}
}

func TestInputThatIsNoJSON(t *testing.T) {
	t.Parallel()
	in := &uma.Input{Claims: uma.InputClaims{Verified: map[string]any{"f": func() {}}}}
	if _, err := inputValue(in); err == nil {
		t.Error("built: got no error")
	}
	var w writer
	if w.input(in); w.err == nil {
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
				Username: text(), Issuer: text(), ACR: text(), AuthTime: rapid.Int64().Draw(t, "auth_time"),
				Roles: texts(), ClientRoles: lists(), Groups: texts(), Scopes: texts(), Attributes: values(),
			},
			Claims:         uma.InputClaims{Verified: values(), Pushed: lists(), Tokens: []uma.InputClaimToken{}},
			Client:         uma.InputClient{ID: text(), Public: flag(), Authenticated: flag(), Scopes: scopes(), Metadata: values()},
			ResourceServer: text(), Scopes: scopes(), Shares: []uma.InputShare{}, Requests: []uma.InputRequest{},
			Context: uma.InputContext{Time: text(), IP: text(), UserAgent: text(), RequestID: text(), TraceID: text(), Properties: values()},
			Now:     time.Unix(1, 0),
		}
		for range rapid.IntRange(0, 2).Draw(t, "tokens") {
			in.Claims.Tokens = append(in.Claims.Tokens, uma.InputClaimToken{Format: text(), Issuer: text(), Verified: flag(), Reason: text(), Claims: values()})
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
