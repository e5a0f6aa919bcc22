package engine

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

// decodeOutput accepts exactly the documents that the schema accepts, and the record has
// them unchanged.
func TestOutputAgreesWithItsSchema(t *testing.T) {
	t.Parallel()
	schema := compiled(t, "output-v1.json")
	taken, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(almostOutput(t))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		value, err := ast.ValueFromReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		out, err := decodeOutput(value)
		if want := schema.Validate(doc); (err == nil) != (want == nil) {
			t.Fatalf("got %v, the schema says %v: %s", err, want, raw)
		}
		if err != nil {
			refused++
			return
		}
		taken++
		var w writer
		w.output(&out)
		again, err := ast.ValueFromReader(bytes.NewReader(w.buf))
		if err != nil {
			t.Fatalf("%v: %s", err, w.buf)
		}
		reread, err := decodeOutput(again)
		if err != nil {
			t.Fatalf("%v: %s", err, w.buf)
		}
		var second writer
		second.output(&reread)
		if !bytes.Equal(w.buf, second.buf) {
			t.Fatalf("got %s, then %s", w.buf, second.buf)
		}
	})
	t.Logf("took %d, refused %d", taken, refused)
	if taken == 0 || refused == 0 {
		t.Errorf("took %d, refused %d: the test sees one side only", taken, refused)
	}
}

// almostOutput is a valid decision, now and then with one wrong value.
func almostOutput(t *rapid.T) any {
	// Small numbers would be drawn more often than others.
	rarely := func() bool { return rapid.IntRange(0, 63).Draw(t, "odds") == 45 }
	wrong := []any{nil, true, 1, -1, 1.5, 0, "text", []any{}, []any{1}, []any{"a", "a"}, map[string]any{}, map[string]any{"x": 1}}
	value := func(right any) any {
		if rarely() {
			return rapid.SampledFrom(wrong).Draw(t, "wrong")
		}
		return right
	}
	object := func(required, optional map[string]any) any {
		doc := map[string]any{}
		for name, v := range required {
			if !rarely() {
				doc[name] = value(v)
			}
		}
		for name, v := range optional {
			if rapid.Bool().Draw(t, "has") {
				doc[name] = value(v)
			}
		}
		if rarely() {
			doc["more"] = 1
		}
		return value(doc)
	}
	names := rapid.SampledFrom([]any{[]any{}, []any{"view"}, []any{"view", "*"}})
	list := func() any {
		if rarely() {
			return []any{"a", "b", "a"}
		}
		return value(names.Draw(t, "names"))
	}
	some := func(elem func() any) any {
		elems := []any{}
		for range rapid.IntRange(0, 2).Draw(t, "n") {
			elems = append(elems, elem())
		}
		return value(elems)
	}
	need := func() any {
		return object(map[string]any{"name": "mfa"}, map[string]any{
			"friendly_name": "x", "claim_type": "y", "claim_token_format": list(), "issuer": list(), "scopes": list(), "redirect": "",
		})
	}
	obligation := func() any {
		return object(map[string]any{"id": "log"}, map[string]any{"type": "x", "properties": map[string]any{"a": []any{1, "b", nil}}})
	}
	claim := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "taken") {
			return rapid.SampledFrom(reserved).Draw(t, "reserved")
		}
		return rapid.SampledFrom([]string{"org", "email", "ISS"}).Draw(t, "claim")
	})
	ttl := rapid.SampledFrom([]any{1, 60, 60.0, 1e10, json.Number("60.0"), json.Number("1e400"), json.Number("6e1"), json.Number("99999999999999999999"), 0.5, 0})
	return object(map[string]any{
		"granted": list(), "need_info": some(need), "submit": list(), "reasons": list(), "obligations": some(obligation),
		"rpt": object(nil, map[string]any{
			"ttl":    ttl.Draw(t, "ttl"),
			"claims": map[string]any{claim.Draw(t, "claim"): list()},
		}),
	}, map[string]any{"rests_on": list()})
}
