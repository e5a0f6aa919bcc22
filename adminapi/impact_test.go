package adminapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// While an impact is under way, another one is told to come again; requests for tokens have
// the processors.
func TestOneImpactAtATime(t *testing.T) {
	t.Parallel()
	running := make(chan struct{}, 1)
	l := &Local{Now: time.Now, Rollout: &rollout.Service{Store: bareStore{}, Examine: rollout.InProcess, Now: time.Now}}
	call := func() *admin.Call {
		return &admin.Call{Realm: "photoz", Body: strings.NewReader("no archive")}
	}
	for range 2 {
		_, err := l.impact(running)(t.Context(), call())
		if e, ok := errors.AsType[*admin.Error](err); !ok || e.Code != admin.Refused || !strings.HasPrefix(e.Message, "bundle.tar.gz: ") {
			t.Fatalf("got %v, want a refusal of bundle.tar.gz", err)
		}
	}
	running <- struct{}{}
	_, err := l.impact(running)(t.Context(), call())
	if e, ok := errors.AsType[*admin.Error](err); !ok || e.Code != admin.Busy {
		t.Errorf("got %v, want busy", err)
	}
}

// A bareStore has realms without anything.
type bareStore struct{ rollout.Store }

func (bareStore) Snapshot(context.Context, string, time.Time) (*uma.Snapshot, error) {
	return new(uma.Snapshot), nil
}

// What compiles policies has one turn at a time, and does not wait for ever.
func TestInTurn(t *testing.T) {
	t.Parallel()
	turn := make(chan struct{}, 1)
	run := inTurn(turn, func(context.Context, *admin.Call) (any, error) { return len(turn), nil })
	for range 2 {
		if got, err := run(t.Context(), nil); got != 1 || err != nil {
			t.Errorf("got %v turns taken and %v", got, err)
		}
	}
	turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the error of the context", err)
	}
}

// An upload leaves no file, however it ends. Messages have the client's name for it.
func TestUploadsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		body io.Reader
		err  error // of the operation
		want string
	}{
		"ends":         {strings.NewReader("text"), nil, ""},
		"is refused":   {strings.NewReader("text"), admin.Errorf(admin.Refused, "PATH: no"), "candidate: no"},
		"is cut short": {iotest.ErrReader(broken), nil, "keep an upload: broken"},
	} {
		_, err := withUpload(&admin.Call{Body: test.body}, "candidate", func(path string) (any, error) {
			if text, err := os.ReadFile(path); string(text) != "text" || err != nil {
				t.Errorf("%s: got %q, %v", name, text, err)
			}
			if refused, ok := errors.AsType[*admin.Error](test.err); ok {
				refused.Message = strings.ReplaceAll(refused.Message, "PATH", rollout.Shown(path))
			}
			return nil, test.err
		})
		if got := fmt.Sprint(err); test.want != "" && got != test.want || test.want == "" && err != nil {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
		if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
			t.Errorf("%s: got %v, %v; want no file", name, left, err)
		}
	}
}
