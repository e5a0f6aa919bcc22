package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

const guarded = "package uma.guardrails\n\ndeny contains \"closed\" if input.x\n"

// A site is a data folder and a realm file with its policy folder.
type site struct{ data, file, folder string }

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{data: filepath.Join(dir, "data"), file: filepath.Join(dir, "realm.yaml"), folder: filepath.Join(dir, "policies")}
	s.write(t, s.file, "realm: r\npolicy: {bundle: policies, timeout: 1s}\nclients: [{id: api, secret: a-secret-that-is-long-enough, resource_server: true}]\nresources: [{name: Album, resource_server: api, type: album, scopes: [view]}]\n")
	s.write(t, filepath.Join(s.folder, "album.rego"), "package uma.policies.album\n")
	s.write(t, filepath.Join(s.folder, "guard.rego"), guarded)
	return s
}

func (s *site) write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *site) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// open returns a node whose realm file is applied. Changed may change the node before a
// policy is active.
func (s *site) open(t *testing.T, changed func(*Node)) *Node {
	t.Helper()
	n, err := Open(t.Context(), Config{Data: s.data, Examine: rollout.InProcess, Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	changed(n)
	s.apply(t, n)
	return n
}

// apply applies the realm file.
func (s *site) apply(t *testing.T, n *Node) {
	t.Helper()
	realms, err := ReadRealms([]string{s.file}, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Load(t.Context(), realms); err != nil {
		t.Fatal(err)
	}
}

// begin activates the policies of a node and their changes until the test ends.
func begin(t *testing.T, n *Node) error {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var group sync.WaitGroup
	t.Cleanup(func() {
		stop()
		group.Wait()
	})
	return n.policies.begin(ctx, &group)
}

// beginAndEnd activates the policies of a node, and stops.
func beginAndEnd(t *testing.T, n *Node) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	if err := n.policies.begin(ctx, &group); err != nil {
		t.Fatal(err)
	}
	stop()
	group.Wait()
}

// saving makes a node save revisions by save, without periods in the database.
func saving(save func(context.Context, *uma.Revision) error) func(*Node) {
	return func(n *Node) {
		n.Rollout.Store = &activatingStore{n.Store, func(ctx context.Context, a *uma.Activation) (uma.Key, error) {
			return 0, save(ctx, a.Revision)
		}}
	}
}

// An activatingStore begins policy periods by a function.
type activatingStore struct {
	rollout.Store
	activate func(context.Context, *uma.Activation) (uma.Key, error)
}

func (s *activatingStore) ActivatePolicy(ctx context.Context, a *uma.Activation) (uma.Key, error) {
	return s.activate(ctx, a)
}

// A revision that cannot be stored is stored by a retry, without a change of the folder.
func TestActivationIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	saved := make(chan string, 16)
	tries := 0
	n := s.open(t, func(n *Node) {
		n.Rollout.Store = &activatingStore{n.Store, func(ctx context.Context, a *uma.Activation) (uma.Key, error) {
			if tries++; tries == 2 || tries == 3 {
				return 0, uma.ErrBusy
			}
			defer func() { saved <- a.Revision.Hash }()
			return n.Store.ActivatePolicy(ctx, a)
		}}
	})
	if err := begin(t, n); err != nil {
		t.Fatal(err)
	}
	first := <-saved
	s.write(t, filepath.Join(s.folder, "more.rego"), "package lib.more\n")
	select {
	case hash := <-saved:
		if hash == first {
			t.Error("the policy from before was saved again")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a failed activation is not tried again")
	}
}

// The server answers /readyz while a policy is compiled or stored.
func TestReadyWhilePolicyIsActivated(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	began, end := make(chan struct{}), make(chan struct{})
	first := true
	n := s.open(t, saving(func(context.Context, *uma.Revision) error {
		if !first {
			began <- struct{}{}
			<-end
		}
		first = false
		return nil
	}))
	if err := begin(t, n); err != nil {
		t.Fatal(err)
	}
	s.write(t, filepath.Join(s.folder, "more.rego"), "package lib.more\n")
	<-began
	if err := n.policies.missing(); err != nil {
		t.Error(err)
	}
	close(end)
}

// A stop waits for all goroutines of the policies. The test is not parallel, because it
// counts goroutines that watch folders.
func TestWatchesEndWithTheServer(t *testing.T) {
	s := newSite(t)
	n := s.open(t, func(*Node) {})
	beginAndEnd(t, n)
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, left := range []string{"bundles.Watch", "policies).follow"} {
		if strings.Contains(string(stacks), left) {
			t.Errorf("%s goes on", left)
		}
	}
}

// A change of the realms wakes the running loop and starts no other: two loops could
// activate at the same time.
func TestOneLoopFollowsTheRealms(t *testing.T) { // not parallel: it looks at what all tests run
	s := newSite(t)
	saved := make(chan struct{}, 8)
	n := s.open(t, saving(func(context.Context, *uma.Revision) error {
		saved <- struct{}{}
		return nil
	}))
	if err := begin(t, n); err != nil {
		t.Fatal(err)
	}
	<-saved
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	if err := errors.Join(n.Core.Realms.Reload(ctx), n.start(ctx, &group)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"r2", "r3"} {
		file := filepath.Join(filepath.Dir(s.file), name+".yaml")
		s.write(t, file, strings.Replace(s.text(t), "realm: r\n", "realm: "+name+"\n", 1))
		realms, err := ReadRealms([]string{file}, os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Load(t.Context(), realms); err != nil {
			t.Fatal(err)
		}
		<-saved
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if got := strings.Count(string(stacks), "node.(*policies).follow("); got != 1 {
		t.Errorf("%d loops put policies in force, want one", got)
	}
}

// At start the policy folder is compared with the last active policy.
func TestStartWithoutWhatHeldBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, s *site)
		want   string // of the error; empty: it starts
	}{
		"as before":                {func(*testing.T, *site) {}, ""},
		"one more":                 {func(t *testing.T, s *site) { s.write(t, filepath.Join(s.folder, "x.rego"), "package lib.x\n") }, ""},
		"empty":                    {func(t *testing.T, s *site) { s.remove(t, "album.rego", "guard.rego", "night.rego", "day.rego") }, "no longer has any policy file"},
		"guardrails":               {func(t *testing.T, s *site) { s.remove(t, "guard.rego", "night.rego") }, "no longer has uma.guardrails: "},
		"a team":                   {func(t *testing.T, s *site) { s.remove(t, "album.rego") }, "no longer has uma.policies.album (there are resources of type album): "},
		"a part of the guardrails": {func(t *testing.T, s *site) { s.remove(t, "night.rego") }, "no longer has night.rego (rules of uma.guardrails): "},
		"data":                     {func(t *testing.T, s *site) { s.remove(t, "lib/data.json") }, "no longer has data.lib.blocked (rules read it): "},
		"both, on purpose": {func(t *testing.T, s *site) {
			s.remove(t, "night.rego", "lib/data.json")
			s.edit(t, "{bundle: policies,", "{bundle: policies, removed: [night.rego, data.lib.blocked],")
		}, ""},
		"a part, as its package is named": {func(t *testing.T, s *site) {
			s.remove(t, "night.rego")
			s.edit(t, "{bundle: policies,", "{bundle: policies, removed: [uma.guardrails],")
		}, ""},
		"a team that no resource has": {func(t *testing.T, s *site) {
			s.remove(t, "album.rego")
			s.edit(t, "resources: [{name: Album, resource_server: api, type: album, scopes: [view]}]\n", "")
		}, ""},
		"on purpose": {func(t *testing.T, s *site) {
			s.remove(t, "album.rego", "guard.rego", "night.rego")
			s.write(t, filepath.Join(s.folder, "x.rego"), "package lib.x\n")
			s.edit(t, "{bundle: policies,", "{bundle: policies, removed: [uma.guardrails, uma.policies.album],")
		}, ""},
		"no folder any more, on purpose": {func(t *testing.T, s *site) { s.edit(t, "bundle: policies,", "") }, ""},
		"another folder": {func(t *testing.T, s *site) {
			s.write(t, filepath.Join(filepath.Dir(s.folder), "other", "README"), "")
			s.edit(t, "bundle: policies,", "bundle: other,")
		}, "no longer has any policy file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.write(t, filepath.Join(s.folder, "night.rego"), "package uma.guardrails\n\ndeny contains \"night\" if input.subject.username in data.lib.blocked\n")
			s.write(t, filepath.Join(s.folder, "day.rego"), "package uma.policies.day\n\ndeny contains \"day\" if input.subject.username in data.lib.blocked\n")
			s.write(t, filepath.Join(s.folder, "lib", "data.json"), `{"blocked": ["bob"]}`)
			n := s.open(t, func(*Node) {})
			beginAndEnd(t, n)
			c.change(t, s)
			err := begin(t, s.open(t, func(*Node) {}))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "--policies-from-database")) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func (s *site) remove(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(s.folder, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *site) edit(t *testing.T, old, next string) {
	t.Helper()
	content, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("no %q in the realm file", old)
	}
	s.write(t, s.file, strings.Replace(string(content), old, next, 1))
}

// A copy of the database serves its last active policies without their folders.
func TestPoliciesFromDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := begin(t, s.open(t, func(*Node) {})); err != nil {
		t.Fatal(err)
	}
	want, err := s.open(t, func(*Node) {}).Store.RevisionInForce(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.folder, s.folder+".gone"); err != nil {
		t.Fatal(err)
	}
	reopen := func(stored bool) *Node {
		n, err := Open(t.Context(), Config{Data: s.data, Examine: rollout.InProcess, Now: time.Now, Log: slog.New(slog.DiscardHandler), StoredPolicies: stored})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		return n
	}
	err = begin(t, reopen(false))
	for _, words := range []string{"policies", "apply the file from its new place", "--policies-from-database"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("without the folder: got %v, want %q in it", err, words)
		}
	}
	n := reopen(true)
	if err := begin(t, n); err != nil {
		t.Fatal(err)
	}
	policy, err := n.engine.Prepare(t.Context(), &uma.Realm{Name: "r"})
	if err != nil || policy.Revision() != want.Hash {
		t.Errorf("got %v, %v, want revision %s", policy, err, want.Hash)
	}
}

// A realm without an active policy so far has no policy in the database.
func TestPoliciesFromDatabaseWithout(t *testing.T) {
	t.Parallel()
	n := newSite(t).open(t, func(n *Node) { n.StoredPolicies = true })
	if err := begin(t, n); err == nil || errors.Is(err, uma.ErrNotFound) || !strings.Contains(err.Error(), "no policy in the database") {
		t.Errorf("got %v", err)
	}
}
