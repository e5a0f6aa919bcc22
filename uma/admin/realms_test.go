package admin

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// An unknown name is looked up among the names in memory.
func TestUnknownRealmsAreNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Snapshot = func() (*uma.Snapshot, error) { t.Error("the store is read"); return nil, uma.ErrNotFound }
	for _, name := range []string{"nobody", "", "PHOTOZ", "photoz ", "photo", "photozz"} {
		if _, err := w.service.Realm(t.Context(), name); umatest.Reason(err) != uma.RealmNotFound {
			t.Errorf("%q: got %v, want RealmNotFound", name, err)
		}
	}
	if got := w.Count("reload"); got != 1 {
		t.Errorf("got %d looks at the generation, want the first alone", got)
	}
}

// A realm is read once for each generation.
func TestSnapshotIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loads := 0
	w.Snapshot = func() (*uma.Snapshot, error) { loads++; return w.Snap, nil }
	read := func() {
		t.Helper()
		if s, err := w.service.Realm(t.Context(), "photoz"); err != nil || s != w.Snap {
			t.Fatalf("got %v, %v", s, err)
		}
	}
	read()
	read()
	if loads != 1 {
		t.Errorf("got %d loads for two requests, want 1", loads)
	}
	if err := w.service.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	read()
	if loads != 1 {
		t.Errorf("got %d loads though nothing changed, want 1", loads)
	}
	w.Generation++
	read()
	if loads != 1 {
		t.Errorf("got %d loads before the change was looked up, want 1", loads)
	}
	if err := w.service.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	read()
	if loads != 2 {
		t.Errorf("got %d loads after a change, want 2", loads)
	}
}

// A snapshot that was read before a change, and would be kept after it, is read again.
func TestSnapshotThatIsOvertakenByAChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, fresh := w.Snap, uma.NewSnapshot(w.Snap.Realm, nil, nil)
	loads := 0
	w.Snapshot = func() (*uma.Snapshot, error) {
		if loads++; loads > 1 {
			return fresh, nil
		}
		w.Generation++ // the change, and a request that notices it first
		if err := w.service.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		return old, nil
	}
	for range 2 {
		s, err := w.service.Realm(t.Context(), "photoz")
		if err != nil || s != fresh {
			t.Errorf("got %p, %v, want the one that was read after the change", s, err)
		}
	}
	if loads != 2 {
		t.Errorf("got %d loads, want 2", loads)
	}
}

func TestRealmRefusals(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk gone")
	off := uma.NewSnapshot(uma.Realm{Name: "photoz"}, nil, nil)
	tests := []struct {
		name string
		s    *uma.Snapshot
		err  error
		want uma.Reason
	}{
		{"unknown", nil, uma.ErrNotFound, uma.RealmNotFound},
		{"disabled", off, nil, uma.RealmDisabled},
		{"this server's own trouble", nil, broken, ""},
	}
	for _, tc := range tests {
		w := newWorld(t)
		w.Snapshot = func() (*uma.Snapshot, error) { return tc.s, tc.err }
		s, err := w.service.Realm(t.Context(), "photoz")
		if s != nil || err == nil || umatest.Reason(err) != tc.want || tc.err != nil && !errors.Is(err, tc.err) {
			t.Errorf("%s: got %v, %v, want %q", tc.name, s, err, tc.want)
		}
		// What is not there is not remembered: the realm may be made any moment.
		w.Snapshot = func() (*uma.Snapshot, error) { return w.Snap, nil }
		if _, err := w.service.Realm(t.Context(), "photoz"); tc.s == nil && err != nil {
			t.Errorf("%s, then made: got %v", tc.name, err)
		}
	}
}

// Every change of the generation is reported once, also if a request noticed it first.
func TestFollow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		moves []string // what happens before each tick
		want  []int    // how often it has been reported after it
	}{
		{"nothing", []string{"", ""}, []int{0, 0}},
		{"a change", []string{"", "change", ""}, []int{0, 1, 1}},
		{"a change before the first tick", []string{"change", ""}, []int{1, 1}},
		{"two changes", []string{"change", "change"}, []int{1, 2}},
		// A token request reloads when what it rests on has moved.
		{"a change that a request saw first", []string{"", "change reload", ""}, []int{0, 1, 1}},
		{"a change that a request saw, and another", []string{"", "change reload change", ""}, []int{0, 1, 1}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				if _, err := w.service.Realm(t.Context(), "photoz"); err != nil {
					t.Fatal(err)
				}
				tick, reported := make(chan time.Time), 0
				go w.service.Follow(t.Context(), tick, func() { reported++ })
				for i, moves := range tc.moves {
					synctest.Wait() // until it waits for a tick
					for move := range strings.FieldsSeq(moves) {
						switch move {
						case "change":
							w.Generation++
						case "reload":
							if err := w.service.Reload(t.Context()); err != nil {
								t.Error(err)
							}
						}
					}
					tick <- time.Time{}
					synctest.Wait()
					if reported != tc.want[i] {
						t.Errorf("tick %d: reported %d times, want %d", i+1, reported, tc.want[i])
					}
				}
			})
		})
	}
}

// The old password hashes are read together, and the view is closed before the new passwords
// are hashed. If the read fails, the apply fails: otherwise every password would get a new
// hash.
func TestApplyRealmReadsPasswordsOnce(t *testing.T) {
	t.Parallel()
	spec := &uma.RealmSpec{Realm: uma.Realm{Name: "photoz"}, Users: []uma.UserSpec{
		{User: uma.User{Username: "bob"}, PlainPassword: "of bob"}, {User: uma.User{Username: "carol"}, PlainPassword: "of carol"},
		{User: uma.User{Username: "alice"}, PasswordHash: "a hash"},
	}}
	apply := func(w *world) error {
		w.View.Users["u-bob"].Password = "of bob"
		_, err := w.service.ApplyRealm(t.Context(), spec, ApplyOptions{})
		return err
	}
	w := newWorld(t)
	if err := apply(w); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range w.Applied.Users {
		got = append(got, u.Username+": "+u.Password)
	}
	if want := []string{"bob: of bob", "carol: of carol", "alice: a hash"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if w.Count("check a password") != 1 || w.Count("hash a password") != 1 || len(w.View.Reads) != 1 || w.View.Open != 0 {
		t.Errorf("got %q and reads %q, want one check, one hash, one read and no open view", w.Steps, w.View.Reads)
	}
	w = newWorld(t)
	w.View.Fail = 1
	if err := apply(w); !errors.Is(err, umatest.ErrRead) || w.Count("write")+w.Count("hash a password") != 0 {
		t.Errorf("the read fails: got %v and %q, want its error and nothing written", err, w.Steps)
	}
}
