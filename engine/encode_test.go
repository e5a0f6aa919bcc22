package engine_test

import (
	"encoding/json"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// decided is the event of a decision.
func decided(t testing.TB, evaluator uma.Evaluator, in *uma.Input) *uma.Event {
	t.Helper()
	eval, err := evaluator.Decide(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return &uma.Event{
		ID: "d-1", Batch: "b-1", Input: in, Output: &eval.Output, Eval: eval, Path: "uma/authz/decision",
		Labels: map[string]string{"id": "node-1", "version": "1"}, Timestamp: time.Date(2026, 11, 22, 12, 0, 6, 7000, time.UTC),
	}
}

func encode(t testing.TB, evaluator uma.Evaluator, ev *uma.Event) map[string]any {
	t.Helper()
	raw, err := evaluator.Encode(t.Context(), ev)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return doc
}

func TestEncode(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, photoz(t))
	doc := encode(t, evaluator, decided(t, evaluator, input(of("board", "view"))))
	if got, want := doc["decision_id"], "d-1"; got != want {
		t.Errorf("decision_id: got %v, want %v", got, want)
	}
}
