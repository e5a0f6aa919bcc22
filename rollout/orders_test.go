package rollout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// A policy that is exported has no file outside of the folder.
func TestExportFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	if err := ExportFiles(dir, map[string]string{"../x.rego": "package x\n"}); err == nil {
		t.Error("a file was written outside of the folder")
	}
	if _, err := os.Stat(filepath.Join(dir, "..", "x.rego")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := ExportFiles(dir, map[string]string{"a/b/x.rego": "package x\n"}); err != nil {
		t.Error(err)
	}
	src, err := Source(dir)
	if err != nil || engine.ContentOf(src.Files) != engine.ContentOf(map[string]string{"a/b/x.rego": "package x\n"}) {
		t.Errorf("got %v, %v", src.Files, err)
	}
}

// A history is a store with periods, and takes one activation.
type history struct {
	*trail
	periods []uma.Period // newest first, their keys descending to 1
	taken   *uma.Activation
}

func (h *history) PolicyState(context.Context, string) (*uma.PolicyState, error) {
	if len(h.periods) == 0 {
		return &uma.PolicyState{}, nil
	}
	return &uma.PolicyState{Active: &h.periods[0]}, nil
}

func (h *history) PolicyPeriods(_ context.Context, _ string, before uma.Key, limit int) ([]uma.Period, error) {
	from := slices.IndexFunc(h.periods, func(p uma.Period) bool { return p.Key < before })
	if from < 0 {
		return nil, nil
	}
	return h.periods[from:min(len(h.periods), from+limit)], nil
}

func (h *history) ActivatePolicy(_ context.Context, a *uma.Activation) (uma.Key, error) {
	h.taken = a
	return 0, nil
}

// TestRollbackOverTheSameFiles: the files in force may have had other revisions, by another
// library or entry point. A rollback goes to the last other files, and withdraws all revisions
// since.
func TestRollbackOverTheSameFiles(t *testing.T) {
	t.Parallel()
	const same = 250 // more than a page
	h := &history{trail: newTrail(t, 0)}
	for key := uma.Key(same + 2); key > 2; key-- {
		h.periods = append(h.periods, uma.Period{Key: key, Realm: "photoz", Content: "bad", Revision: fmt.Sprint("bad-", key%3)})
	}
	h.periods = append(h.periods,
		uma.Period{Key: 2, Realm: "photoz", Content: "good", Revision: h.active.Hash},
		uma.Period{Key: 1, Realm: "photoz", Content: "old", Revision: "old"})
	service := &Service{Store: h, Engine: engine.New(engine.Config{}), Now: time.Now}
	for _, revoke := range []bool{true, false} {
		change, err := service.Rollback(t.Context(), Order{Realm: "photoz", Revoke: revoke})
		if err != nil || change.Revision != h.active.Hash || change.Previous != h.periods[0].Revision || h.taken.Over != same+2 || !h.taken.Pinned {
			t.Fatalf("got %+v, %v", change, err)
		}
		want := []string{"bad-0", "bad-2", "bad-1"}
		if !revoke {
			want = nil
		}
		if !slices.Equal(h.taken.Withdrawn, want) {
			t.Errorf("got %v withdrawn, want %v", h.taken.Withdrawn, want)
		}
	}
	h.periods = h.periods[:same]
	if _, err := service.Rollback(t.Context(), Order{Realm: "photoz"}); !errors.Is(err, ErrNothingBefore) {
		t.Errorf("without other files: got %v", err)
	}
}

// TestConfirmOfTheFirstPolicy: without a policy before, there is nothing to roll back to if it is
// not confirmed.
func TestConfirmOfTheFirstPolicy(t *testing.T) {
	t.Parallel()
	h := &history{trail: newTrail(t, 0)}
	service := &Service{Store: h, Engine: engine.New(engine.Config{}), Now: time.Now}
	_, err := service.ActivateRevision(t.Context(), Order{Realm: "photoz", Confirm: time.Minute}, h.active.Hash)
	if !errors.Is(err, ErrNothingBefore) || h.taken != nil {
		t.Errorf("got %v, %+v", err, h.taken)
	}
	if _, err := service.ActivateRevision(t.Context(), Order{Realm: "photoz"}, h.active.Hash); err != nil || h.taken == nil || h.taken.Over != 0 {
		t.Errorf("got %v, %+v", err, h.taken)
	}
}
