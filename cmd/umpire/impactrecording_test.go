package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// A recording is decisions of the photoz policies on random requests, in a file as decisions
// export writes it.
type recording struct {
	folder, file string // of the policies, of the events
	asked        []*uma.Input
}

// recordingSize is how many decisions a recording has. The race detector makes evaluations
// some ten times as slow.
func recordingSize() int {
	if raceEnabled {
		return 500
	}
	return 20_000
}

// distinct is how many decisions a recording evaluates; they follow one another again and
// again, under other ids.
const distinct = 4_000

// unforeseen is a file beside the photoz policies: its answers differ from call to call, and
// its masks change what no other policy reads.
const unforeseen = `package system.log

mask contains "/input/context/user_agent"

mask contains {"op": "upsert", "path": "/input/subject/attributes/email", "value": "**"}
`

// recordDecisions makes a recording of n decisions.
func recordDecisions(t testing.TB, n int) *recording {
	t.Helper()
	r := &recording{folder: filepath.Join(filepath.Dir(example(t)), "policies"), file: filepath.Join(t.TempDir(), "decisions.jsonl")}
	write(t, filepath.Join(r.folder, "log.rego"), unforeseen)
	edit(t, filepath.Join(r.folder, "albums.rego"), "package uma.policies.albums\n", `package uma.policies.albums

reasons contains sprintf("%d %s", [rand.intn(input.subject.username, 1000), uuid.rfc4122("x")])

rpt := {"ttl": rand.intn("ttl", 60) + 1}
`)
	edit(t, filepath.Join(r.folder, "board.rego"), "package uma.policies.board\n", `package uma.policies.board

obligations contains {"id": "log", "properties": {"n": input.claims.verified.n, "at": time.now_ns()}} if time.now_ns() % 3 == 0
`)
	b, err := bundles.ReadDir(r.folder, bundles.Options{Parser: engine.ParserOptions()})
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Config{})
	settings := uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision"}
	if _, err := e.Activate(t.Context(), "photoz", settings, engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data}); err != nil {
		t.Fatal(err)
	}
	evaluator, err := e.Prepare(t.Context(), &uma.Realm{Name: "photoz"})
	if err != nil {
		t.Fatal(err)
	}
	var events [][]byte
	random := rand.New(rand.NewPCG(1, 2))
	for i := range min(n, distinct) {
		in := randomInput(random, i)
		ev, err := evaluator.Decide(t.Context(), in)
		if err != nil || ev.Failed != "" {
			t.Fatal(err, ev.Failed)
		}
		event, err := evaluator.Encode(t.Context(), &uma.Event{
			ID: "this-decision", Batch: "this-request", Input: in, Output: &ev.Output, Eval: ev,
			Path: "uma/authz/decision", Timestamp: in.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, append(event, '\n'))
		r.asked = append(r.asked, in)
	}
	var out strings.Builder
	for i := range n {
		ids := strings.NewReplacer("this-decision", fmt.Sprintf("d-%d", i), "this-request", fmt.Sprintf("b-%d", i/2))
		if _, err := ids.WriteString(&out, string(events[i%distinct])); err != nil {
			t.Fatal(err)
		}
	}
	for i := len(r.asked); i < n; i++ {
		r.asked = append(r.asked, r.asked[i%distinct])
	}
	write(t, r.file, out.String())
	return r
}

// randomInput is a random request of photoz.
func randomInput(random *rand.Rand, i int) *uma.Input {
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	some := func(list ...string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(string) bool { return random.IntN(2) == 0 })
	}
	kind := pick("album", "board", "albums")
	scopes := map[string][]string{"album": {"view", "comment", "delete"}, "board": {"view", "post"}, "albums": {"create"}}[kind]
	user := pick("bob", "carol", "mallory", "gina", "olga", "alice")
	now := time.Date(2026, 11, 22, 12, 0, 0, i, time.UTC)
	in := &uma.Input{
		Version: "1", Realm: "photoz", Kind: "rpt", Now: now,
		Subject: uma.InputSubject{
			ID: "u-" + user, Type: "user", Username: user, Roles: some("user", "admin"), Groups: some("/friends"),
			Attributes: map[string]any{"email": user + "@example.com"},
		},
		Claims: uma.InputClaims{Verified: map[string]any{"n": json.Number(pick("1e400", "-0", "1E+2", "0.10", "5e-324"))}, Pushed: map[string][]string{}},
		Client: uma.InputClient{ID: pick("photoz-web", "photoz-app")}, ResourceServer: "photoz-api",
		Resource: &uma.InputResource{
			ID: uma.ResourceID("r-" + kind), Name: "The " + kind, Type: kind, Owner: "u-alice", OwnerManaged: random.IntN(2) == 0,
			Attributes: map[string][]string{"visibility": some("friends")},
		},
		Context: uma.InputContext{Time: now.Format(time.RFC3339Nano), IP: "192.0.2.7", UserAgent: "a <browser>"},
	}
	if random.IntN(2) == 0 {
		in.Claims.Pushed["delete_confirmed"] = []string{"yes"}
	}
	for _, s := range some(scopes...) {
		in.Scopes = append(in.Scopes, uma.Scope(s))
	}
	if in.Scopes == nil {
		in.Scopes = []uma.Scope{uma.Scope(scopes[0])}
	}
	if in.Resource.OwnerManaged && random.IntN(3) == 0 {
		in.Shares = []uma.InputShare{{ID: "s-1", Kind: "request", Scopes: []uma.Scope{"view", "comment"}, Users: []string{in.Subject.ID}, Strategy: "UNANIMOUS"}}
	}
	return in
}

// edit replaces text in a file, which must have it.
func edit(t testing.TB, path, before, after string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(content), before) {
		t.Fatalf("%s has no %q: %v", path, before, err)
	}
	write(t, path, strings.Replace(string(content), before, after, 1))
}

// changed is a copy of the recording's policies with known differences: mallory no longer
// posts, gina views all albums, and what olga asks of the collection has an obligation.
func (r *recording) changed(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(r.folder)); err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(dir, "board.rego"), `"user" in input.subject.roles`, `"user" in input.subject.roles
	input.subject.username != "mallory"`)
	edit(t, filepath.Join(dir, "album.rego"), "import data.uma.sharing\n", `import data.uma.sharing

# METADATA
# labels: {team: photoz, rule: gina-views}
grant contains "view" if input.subject.username == "gina"
`)
	edit(t, filepath.Join(dir, "albums.rego"), "package uma.policies.albums\n", `package uma.policies.albums

obligations contains {"id": "watch"} if input.subject.username == "olga"
`)
	return dir
}

// expected are the changes that the differences make, by decision and scope; the requests
// are those of the test alone.
func (r *recording) expected() map[string]string {
	want := map[string]string{}
	for i, in := range r.asked {
		kind, user := in.Resource.Type, in.Subject.Username
		for _, scope := range in.Scopes {
			at := fmt.Sprintf("d-%d %s", i, scope)
			shared := len(in.Shares) > 0
			friend := len(in.Subject.Groups) > 0 && len(in.Resource.Attributes["visibility"]) > 0
			asks := "refused"
			if in.Resource.OwnerManaged {
				asks = "submit"
			}
			switch {
			case kind == "board" && scope == "post" && user == "mallory" && slices.Contains(in.Subject.Roles, "user"):
				want[at] = "granted " + asks
			case kind == "album" && scope == "view" && user == "gina" && !friend && !shared:
				want[at] = asks + " granted"
			case kind == "albums" && user == "olga":
				state := asks
				if slices.Contains(in.Subject.Roles, "user") {
					state = "granted"
				}
				want[at] = state + " " + state
			}
		}
	}
	return want
}

// TestImpactOfKnownDifferences: impact finds exactly the changes that the differences of the
// candidate make, and none under the policy that decided.
func TestImpactOfKnownDifferences(t *testing.T) {
	t.Parallel()
	size := recordingSize()
	r := recordDecisions(t, size)
	base := []string{"policy", "impact", "--realm", "photoz", "--file", r.file, "-o", "json", "--candidate"}
	same := decode[audit.ImpactReport](t, ok(t, append(base, r.folder)...))
	if want := (audit.ImpactReport{Baseline: "recorded", Replayed: size, Unchanged: size, Changes: []audit.ChangeRow{}}); !reflect.DeepEqual(same, want) {
		t.Errorf("got %+v, want no difference", same)
	}
	candidate := r.changed(t)
	stdout, stderr, code := umpire(t, append(base, candidate, "--limit", "30000")...)
	got := decode[audit.ImpactReport](t, stdout)
	want := r.expected()
	have := map[string]string{}
	requests := map[string]bool{}
	var granted, refused, different int
	decisions := map[string]bool{}
	for _, c := range got.Changes {
		have[fmt.Sprintf("%s %s", c.ID, c.Scope)] = fmt.Sprintf("%s %s", c.Was, c.Now)
		var i int
		fmt.Sscanf(c.ID, "d-%d", &i)
		requests[fmt.Sprint(i/2)], decisions[c.ID] = true, true
		if in := r.asked[i]; c.Username != in.Subject.Username || c.Subject != in.Subject.ID || c.Client != in.Client.ID || c.ResourceName != in.Resource.Name || c.Resource != string(in.Resource.ID) {
			t.Fatalf("got %+v, want the names of %+v", c, in)
		}
	}
	for _, change := range want {
		switch was, now, _ := strings.Cut(change, " "); {
		case was == now:
			different++
		case now == "granted":
			granted++
		default:
			refused++
		}
	}
	if code != 0 || len(have) != len(want) || got.Granted != granted || got.Refused != refused || got.Different != different || granted*refused*different == 0 {
		t.Fatalf("exit %d: got %d changes, %d %d %d, want %d, %d %d %d\n%s", code, len(have), got.Granted, got.Refused, got.Different, len(want), granted, refused, different, stderr)
	}
	if got.Requests != len(requests) || got.Unchanged != size-len(decisions) || got.Failed+got.Skipped+got.Inexact+got.Omitted != 0 {
		t.Errorf("got %d requests, %d unchanged, %+v", got.Requests, got.Unchanged, got)
	}
	for at := range want {
		if have[at] != want[at] {
			t.Errorf("%s: got %q, want %q", at, have[at], want[at])
		}
	}
	for i, c := range got.Changes {
		if c.Scope == "view" && (!slices.Equal(c.RulesNow, []string{"photoz/gina-views"}) || slices.Contains(c.RulesWas, "photoz/gina-views")) {
			t.Fatalf("got %+v, want the rules", got.Changes[i])
		}
	}
}
