package rollout

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/place"
)

// TestUploadsAreExaminedApart: a bundle file that came over the network is not read in this
// process before the Examiner has accepted it: a small file may take all memory.
func TestUploadsAreExaminedApart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "upload.tar.gz")
	if err := os.WriteFile(file, []byte("no archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	var outcome *Outcome
	var broken error
	service := &Service{
		Store: newTrail(t, 0), Engine: engine.New(engine.Config{}), Now: time.Now,
		Examine: func(_ context.Context, job *Job) (*Outcome, error) {
			if string(job.Archive) != "no archive" || job.Entrypoint != "data.uma.authz.decision" {
				t.Errorf("got %+v", job)
			}
			return outcome, broken
		},
	}
	for name, upload := range map[string]func() error{
		"activate": func() error {
			_, err := service.ActivateUpload(t.Context(), Order{Realm: "photoz"}, file)
			return err
		},
		"read": func() error {
			_, err := service.UploadedSource(t.Context(), "photoz", file)
			return err
		},
	} {
		outcome, broken = &Outcome{Findings: []Finding{{Gate: GateReadable, Blocks: true, Mistake: place.Mistake{Text: "too large"}}}}, nil
		err := upload()
		if _, refused := errors.AsType[*RefusedError](err); !refused || err.Error() != "too large" {
			t.Errorf("%s: got %v, want what the examiner found", name, err)
		}
		outcome, broken = nil, errors.New("no process")
		err = upload()
		if _, refused := errors.AsType[*RefusedError](err); refused || !errors.Is(err, broken) {
			t.Errorf("%s: got %v, want an error that is none of the policy", name, err)
		}
		outcome, broken = &Outcome{}, nil
		if err := upload(); err == nil || !strings.Contains(err.Error(), "upload.tar.gz") {
			t.Errorf("%s: got %v, want that it is no archive", name, err)
		}
	}
}
