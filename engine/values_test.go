package engine

import (
	"bytes"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// recordedValue reads what ast.ValueFromReader reads, and refuses what it refuses.
func FuzzRecordedValue(f *testing.F) {
	for _, text := range []string{
		wholeInput, ` {"subject": {"id": "u\u002dbob", "x":{}}, "id" :[ ], "":[{},"id",null,true , false]}`,
		`[-0, 0, 7, 0.1000, 1E+2, 1e400, 5e-324, 123456789012345678901234567890, 1e99999999999]`,
		`{"id":1,"id":2}`, `[{"id":1,"id":2}]`, `{"id":1,"i\u0064":{"a":[]}}`, `"\ud800"`, `{"\udc00":1,"\ud83d\ude00":2}`, "\"\xff\"", "{\"\xff\":1}",
		`"a" x`, `7`, `{"a":`, ``, `nul`,
	} {
		f.Add(text)
	}
	schema := names(f)
	f.Fuzz(func(t *testing.T, text string) {
		want, wantErr := ast.ValueFromReader(bytes.NewReader([]byte(text)))
		for _, names := range []map[string]*ast.Term{schema, nil} {
			got, err := recordedValue(names, []byte(text))
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("got error %v, want %v", err, wantErr)
			}
			if err == nil && got.String() != want.String() { // Compare may take minutes for an exponent
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	})
}
