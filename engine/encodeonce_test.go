package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/umpire/uma"
)

// Maps of values have the bytes that encoding/json makes of them.
func TestValuesAreThoseOfEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := anyValues(2).Draw(t, "values")
		var w writer
		w.values("", values)
		want, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.value(0); !bytes.Equal(got, want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

// A record written in one pass has the bytes of one that is made of its documents, as all were
// before, and those with masks still are. One of each member is that of encoding/json. CI compares
// 100,000.
func TestEncodeAgrees(t *testing.T) {
	t.Parallel()
	p := &policy{realm: "photoz", hash: "abc"}
	var stubs, whole int
	rapid.Check(t, func(t *rapid.T) {
		ev := anyEvent().Draw(t, "event")
		got, err := p.Encode(t.Context(), ev)
		want, wantErr := encodeDocuments(p, ev)
		if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) {
			t.Fatalf("got  %s, %v\nwant %s, %v", got, err, want, wantErr)
		}
		if err != nil {
			stubs++
			return
		}
		whole++
		var doc struct {
			Input, Result json.RawMessage
			Labels        json.RawMessage `json:"rule_labels"`
		}
		if err := json.Unmarshal(got, &doc); err != nil {
			t.Fatal(err)
		}
		if in, err := InputJSON(ev.Input); err != nil || !bytes.Equal(doc.Input, in) {
			t.Fatalf("got input %s, want %s, %v", doc.Input, in, err)
		}
		if ev.Eval != nil && len(ev.Eval.RuleLabels) > 0 {
			if labels, err := json.Marshal(ev.Eval.RuleLabels); err != nil || !bytes.Equal(doc.Labels, labels) {
				t.Fatalf("got rule_labels %s, want %s, %v", doc.Labels, labels, err)
			}
		}
	})
	if stubs == 0 && whole > 1000 || whole == 0 {
		t.Errorf("%d stubs, %d others: the events do not test much", stubs, whole)
	}
}

// encodeDocuments is Encode as it was: input and result are documents of their own first.
func encodeDocuments(p *policy, ev *uma.Event) ([]byte, error) {
	e := event{Event: ev, realm: p.realm, revision: p.hash, requestedBy: ev.Input.Context.IP, failed: ev.Error}
	if ev.Eval != nil {
		e.nd = ev.Eval.NDCache
		if e.failed == "" {
			e.failed = ev.Eval.Failed
		}
	}
	var input, result writer
	input.input("", ev.Input)
	e.input = input.value(0)
	if ev.Output != nil {
		result.output("", ev.Output)
		e.result, e.asked = result.value(0), ev.Asked
		if ev.Eval != nil {
			e.decided = ev.Eval.Decided
		}
	}
	if input.err != nil {
		return e.stub("the record could not be written", input.err)
	}
	if raw := e.json(); len(raw) <= maxRecord {
		return raw, nil
	}
	return e.stub("the record is too large", errors.New("too large"))
}

func anyEvent() *rapid.Generator[*uma.Event] {
	return rapid.Custom(func(t *rapid.T) *uma.Event {
		text := func() string { return anyText().Draw(t, "text") }
		flag := func() bool { return rapid.Bool().Draw(t, "flag") }
		ev := &uma.Event{
			ID: text(), Batch: text(), Input: anyInput().Draw(t, "input"), Error: text(), Answered: text(), Path: text(),
			Asked: anyList[uma.Scope]().Draw(t, "asked"), Labels: map[string]string{text(): text(), "id": text()},
			Timestamp: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 7000),
		}
		if flag() {
			ev.Input.Context.RequestID = "77"
		}
		switch rapid.IntRange(0, 29).Draw(t, "size") {
		case 0:
			ev.Input.Context.UserAgent = string(bytes.Repeat([]byte("x"), maxRecord-rapid.IntRange(0, 3000).Draw(t, "room")))
		case 1:
			ev.Input.Claims.Verified["f"] = func() {}
		}
		if flag() {
			ev.Output = &uma.Output{
				Granted: anyList[uma.Scope]().Draw(t, "granted"), Submit: anyList[uma.Scope]().Draw(t, "submit"),
				Reasons: anyList[string]().Draw(t, "reasons"), RestsOn: anyList[string]().Draw(t, "rests_on"), SharesUnknown: flag(),
				NeedInfo:    []uma.Need{{RequiredClaim: uma.RequiredClaim{Name: text()}}},
				Obligations: []uma.Obligation{{ID: text(), Properties: anyValues(1).Draw(t, "properties")}},
				RPT:         uma.RPTInstructions{TTL: rapid.IntRange(0, 9).Draw(t, "ttl"), Claims: anyLists().Draw(t, "claims")},
			}
		}
		if flag() {
			ev.Eval = &uma.Evaluation{
				RuleLabels: rapid.SliceOfN(anyValues(1), 0, 3).Draw(t, "rule_labels"), Took: time.Duration(rapid.Int64().Draw(t, "took")),
				Decided: []uma.ScopeDecision{{Scope: uma.Scope(text()), Decision: text(), Rules: anyList[string]().Draw(t, "rules")}},
			}
			if flag() {
				ev.Eval.NDCache, ev.Eval.Failed = []byte(`{"uuid.rfc4122":{}}`), text()
			}
		}
		return ev
	})
}
