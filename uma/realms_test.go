package uma

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A name that a caller makes up is looked for among those that there are.
func TestUnknownRealmsAreNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.snapshot = func() (*Snapshot, error) { t.Error("the store is read"); return nil, ErrNotFound }
	for _, name := range []string{"nobody", "", "PHOTOZ", "photoz ", "photo", "photozz"} {
		if _, err := w.authority.Realm(t.Context(), name); reason(err) != RealmNotFound {
			t.Errorf("%q: got %v, want RealmNotFound", name, err)
		}
	}
	if got := w.count("reload"); got != 1 {
		t.Errorf("got %d looks at the generation, want the first alone", got)
	}
}

// A realm is read once for each generation.
func TestSnapshotIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loads := 0
	w.snapshot = func() (*Snapshot, error) { loads++; return w.snap, nil }
	read := func() {
		t.Helper()
		if s, err := w.authority.Realm(t.Context(), "photoz"); err != nil || s != w.snap {
			t.Fatalf("got %v, %v", s, err)
		}
	}
	read()
	read()
	if loads != 1 {
		t.Errorf("got %d loads for two requests, want 1", loads)
	}
	if err := w.authority.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	read()
	if loads != 1 {
		t.Errorf("got %d loads though nothing changed, want 1", loads)
	}
	w.generation++
	read()
	if loads != 1 {
		t.Errorf("got %d loads before the change was looked up, want 1", loads)
	}
	if err := w.authority.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	read()
	if loads != 2 {
		t.Errorf("got %d loads after a change, want 2", loads)
	}
}

// What was read before a change, and is only now to be kept, is read again.
func TestSnapshotThatIsOvertakenByAChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, fresh := w.snap, NewSnapshot(w.snap.Realm, nil, nil)
	loads := 0
	w.snapshot = func() (*Snapshot, error) {
		if loads++; loads > 1 {
			return fresh, nil
		}
		w.generation++ // the change, and a request that notices it first
		if err := w.authority.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		return old, nil
	}
	for range 2 {
		s, err := w.authority.Realm(t.Context(), "photoz")
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
	off := NewSnapshot(Realm{Name: "photoz"}, nil, nil)
	tests := []struct {
		name string
		s    *Snapshot
		err  error
		want Reason
	}{
		{"unknown", nil, ErrNotFound, RealmNotFound},
		{"disabled", off, nil, RealmDisabled},
		{"this server's own trouble", nil, broken, ""},
	}
	for _, tc := range tests {
		w := newWorld(t)
		w.snapshot = func() (*Snapshot, error) { return tc.s, tc.err }
		s, err := w.authority.Realm(t.Context(), "photoz")
		if s != nil || err == nil || reason(err) != tc.want || tc.err != nil && !errors.Is(err, tc.err) {
			t.Errorf("%s: got %v, %v, want %q", tc.name, s, err, tc.want)
		}
		// What is not there is not remembered: the realm may be made any moment.
		w.snapshot = func() (*Snapshot, error) { return w.snap, nil }
		if _, err := w.authority.Realm(t.Context(), "photoz"); tc.s == nil && err != nil {
			t.Errorf("%s, then made: got %v", tc.name, err)
		}
	}
}

// Every move of the generation is reported once, whoever saw it first.
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
				if _, err := w.authority.Realm(t.Context(), "photoz"); err != nil {
					t.Fatal(err)
				}
				tick, reported := make(chan time.Time), 0
				go w.authority.Follow(t.Context(), tick, func() { reported++ })
				for i, moves := range tc.moves {
					synctest.Wait() // until it waits for a tick
					for move := range strings.FieldsSeq(moves) {
						switch move {
						case "change":
							w.generation++
						case "reload":
							if err := w.authority.Reload(t.Context()); err != nil {
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

func TestRealmURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for base, want := range map[string]string{
		"https://as.example":      "https://as.example/realms/photoz",
		"https://as.example/auth": "https://as.example/auth/realms/photoz",
	} {
		w.authority.PublicURL = PublicURL(base)
		if got := w.authority.PublicURL.Realm(w.snap); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := w.authority.PublicURL.Root(); got != "https://as.example" {
			t.Errorf("%s: got root %s", base, got)
		}
	}
}

// The passwords before are read at once, and the view is closed when the new ones are
// hashed. A read that fails is not "no password before": that would make a new hash of
// every password.
func TestApplyRealmReadsPasswordsOnce(t *testing.T) {
	t.Parallel()
	spec := &RealmSpec{Realm: Realm{Name: "photoz"}, Users: []UserSpec{
		{User: User{Username: "bob"}, PlainPassword: "of bob"}, {User: User{Username: "carol"}, PlainPassword: "of carol"},
		{User: User{Username: "alice"}, PasswordHash: "a hash"},
	}}
	apply := func(w *world) error {
		w.view.users["u-bob"].Password = "of bob"
		_, err := w.authority.ApplyRealm(t.Context(), spec, ApplyHow{})
		return err
	}
	w := newWorld(t)
	if err := apply(w); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range w.applied.Users {
		got = append(got, u.Username+": "+u.Password)
	}
	if want := []string{"bob: of bob", "carol: of carol", "alice: a hash"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if w.count("check a password") != 1 || w.count("hash a password") != 1 || len(w.view.reads) != 1 || w.view.open != 0 {
		t.Errorf("got %q and reads %q, want one check, one hash, one read and no open view", w.steps, w.view.reads)
	}
	w = newWorld(t)
	w.view.fail = 1
	if err := apply(w); !errors.Is(err, errRead) || w.count("write")+w.count("hash a password") != 0 {
		t.Errorf("the read fails: got %v and %q, want its error and nothing written", err, w.steps)
	}
}
