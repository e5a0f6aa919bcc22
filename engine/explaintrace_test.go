package engine_test

import (
	"strings"
	"testing"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// TestTraceOfNestedValues: what a trace shows of a variable is bounded, also if it is in another
// value, or is a long text.
func TestTraceOfNestedValues(t *testing.T) {
	t.Parallel()
	in := input(nil)
	raw, err := engine.InputJSON(in)
	if err != nil {
		t.Fatal(err)
	}
	list := "[" + strings.TrimSuffix(strings.Repeat("1, ", 20_000), ", ") + "]"
	for name, value := range map[string]string{
		"a list in an object": `{"list": ` + list + `}`,
		"a list in a list":    "[[" + list + "]]",
		"a text":              `"` + strings.Repeat("x", 1<<20) + `"`,
	} {
		x := newExplainer(t, map[string]string{"p.rego": `package uma.policies.album

grant contains "view" if {
	big := ` + value + `
	some i in numbers.range(1, 90)
	[i, count(big)] == [0, 0]
}
`})
		var trace strings.Builder
		if err := x.Trace(t.Context(), &uma.Recorded{ID: "d-1", Time: in.Now, Input: raw}, &trace); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(trace.String(), "events: the rest is too large\n") || trace.Len() > 4<<20 {
			t.Errorf("%s: got %d bytes, the last …%s", name, trace.Len(), trace.String()[max(0, trace.Len()-200):])
		}
	}

	// A long expression does not widen the rows of other events.
	x := newExplainer(t, map[string]string{"p.rego": "package uma.policies.album\n\ngrant contains \"view\" if count(input.scopes) in " + list + "\n"})
	var trace strings.Builder
	if err := x.Trace(t.Context(), &uma.Recorded{ID: "d-1", Time: in.Now, Input: raw}, &trace); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(trace.String(), "too large\n") || trace.Len() > 1<<20 {
		t.Errorf("got %d bytes", trace.Len())
	}
}
