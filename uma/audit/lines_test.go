package audit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"example.com/umpire/uma/audit"
)

func eventOf(realm, id string) string {
	return fmt.Sprintf(`{"decision_id":%q,"bundles":{%q:{"revision":"r"}}}`, id, realm)
}

// TestLines: the first decision of a realm is looked at before all events are read, each once.
func TestLines(t *testing.T) {
	t.Parallel()
	text := strings.Join([]string{"", eventOf("other", "d-1"), eventOf("photoz", "d-2"), "  ", eventOf("photoz", "d-3")}, "\n")
	lines := audit.NewLines("x.jsonl", strings.NewReader(text))
	if first, err := lines.First("photoz"); err != nil || first.ID != "d-2" {
		t.Fatalf("got %+v, %v", first, err)
	}
	var ids []string
	err := lines.Each(t.Context(), func(event []byte) error {
		d, err := audit.Read(event)
		if err == nil && d.Realm == "photoz" {
			ids = append(ids, d.ID)
		}
		return err
	})
	if err != nil || strings.Join(ids, " ") != "d-2 d-3" {
		t.Errorf("got %v, %v", ids, err)
	}
	if _, err := audit.NewLines("x.jsonl", strings.NewReader(text)).First("none"); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	find := func(text, id string) (*audit.Decision, error) {
		return audit.NewLines("x.jsonl", strings.NewReader(text)).Find(t.Context(), id)
	}
	if d, err := find(text, "d-3"); err != nil || d.ID != "d-3" {
		t.Errorf("got %+v, %v", d, err)
	}
	for _, id := range []string{"d-4", "photoz", "d-"} {
		if d, err := find(text, id); d != nil || !errors.Is(err, io.EOF) {
			t.Errorf("%s: got %+v, %v", id, d, err)
		}
	}
}

// TestLinesRefuse: a file that is no export is an error with its name and the line.
func TestLinesRefuse(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	each := func(in io.Reader) error {
		return audit.NewLines("x.jsonl", in).Each(ctx, func([]byte) error { return nil })
	}
	first := strings.NewReader(eventOf("photoz", "d-1") + "\n")
	if err := each(io.MultiReader(first, strings.NewReader(strings.Repeat("d", 2<<20)))); err == nil || err.Error() != "x.jsonl:2: the line is longer than any decision log event" {
		t.Errorf("got %v", err)
	}
	if _, err := audit.NewLines("x.jsonl", strings.NewReader("\n{")).First("photoz"); err == nil || !strings.HasPrefix(err.Error(), "x.jsonl:2: ") {
		t.Errorf("got %v", err)
	}
	cancel()
	if err := each(strings.NewReader(eventOf("photoz", "d-1"))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
