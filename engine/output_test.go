package engine

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"example.com/umpire/uma"
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
		written := outputJSON(&out)
		again, err := ast.ValueFromReader(bytes.NewReader(written))
		if err != nil {
			t.Fatalf("%v: %s", err, written)
		}
		reread, err := decodeOutput(again)
		if err != nil {
			t.Fatalf("%v: %s", err, written)
		}
		if second := outputJSON(&reread); !bytes.Equal(written, second) {
			t.Fatalf("got %s, then %s", written, second)
		}
	})
	t.Logf("took %d, refused %d", taken, refused)
	if taken == 0 || refused == 0 {
		t.Errorf("took %d, refused %d: the test sees one side only", taken, refused)
	}
}

// outputJSON is an answer as the record has it.
func outputJSON(out *uma.Output) []byte {
	var w writer
	w.output("", out)
	return w.value(0)
}

func TestOutputNames(t *testing.T) {
	t.Parallel()
	page := "https://page.example"
	got := outputJSON(&uma.Output{
		Granted: []uma.Scope{"view"}, Submit: []uma.Scope{"edit"}, Reasons: []string{"owner"}, RestsOn: []string{"s"},
		NeedInfo: []uma.Need{{
			RequiredClaim: uma.RequiredClaim{Name: "n", FriendlyName: "f", Type: "t", Formats: []string{"u"}, Issuers: []string{"i"}},
			Scopes:        []uma.Scope{"edit"}, Redirect: &page,
		}},
		Obligations: []uma.Obligation{{ID: "watermark", Type: "image", Properties: map[string]any{"dpi": 72}}},
		RPT:         uma.RPTInstructions{TTL: 60, Claims: map[string][]string{"k": {"v"}}},
	})
	want := `{"granted":["view"],"need_info":[{"name":"n","friendly_name":"f","claim_type":"t","claim_token_format":["u"],` +
		`"issuer":["i"],"scopes":["edit"],"redirect":"https://page.example"}],"submit":["edit"],"reasons":["owner"],` +
		`"obligations":[{"id":"watermark","type":"image","properties":{"dpi":72}}],"rests_on":["s"],` +
		`"rpt":{"ttl":60,"claims":{"k":["v"]}}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
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
