package tests

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// memoBoard is a function of roles and an attribute.
const memoBoard = `package uma.policies.board

# METADATA
# labels: {team: photoz, rule: members}
grant contains "view" if {
	"user" in input.subject.roles
	not closed
}

closed if "yes" in input.resource.attributes.closed
`

// cached reports whether the record of a decision says that its answer was known. Servers of
// these tests may have no caches (UMPIRE_CACHES): then none is.
func cached(t testing.TB, record uma.Record) bool {
	t.Helper()
	return at(eventOf(t, record), "custom", "cached") == true
}

func startMemo(t testing.TB, rules string) *env {
	t.Helper()
	return start(t, withRealm(smallRealm("photoz", "policy: {bundle: ./policies}\n"), map[string]string{"board.rego": rules}))
}

// TestKnownDecisions: an answer that is known is as if it were evaluated, and each of its
// decisions is on record, with the same result and rules, and can be replayed.
func TestKnownDecisions(t *testing.T) {
	t.Parallel()
	e := startMemo(t, memoBoard)
	db := e.stored(t)
	bob := e.as(t, "bob", "photoz-app")
	ask := func() uma.Record {
		record, _ := onlyRecord(t, db, func() { e.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view") })
		return record
	}
	first := ask()
	e.Clock.Advance(time.Second)
	second := ask()
	if cached(t, first) || cached(t, second) != caches(t).Decisions {
		t.Errorf("cached: got %t, then %t", cached(t, first), cached(t, second))
	}
	a, b := eventOf(t, first), eventOf(t, second)
	for _, event := range []map[string]any{a, b} {
		for _, name := range []string{"decision_id", "batch_decision_id", "timestamp", "metrics"} {
			if event[name] == nil {
				t.Errorf("a record without %s: %v", name, event)
			}
			delete(event, name)
		}
		about := event["input"].(map[string]any)["context"].(map[string]any)
		delete(about, "time")
		delete(about, "request_id")
		delete(event["custom"].(map[string]any), "cached")
	}
	if !reflect.DeepEqual(a, b) || len(b["rule_labels"].([]any)) == 0 || !reflect.DeepEqual(first.Rules, second.Rules) {
		t.Errorf("got  %v\nwant %v", b, a)
	}
	content, err := rollout.Read(filepath.Join(filepath.Dir(e.File), "policies"))
	if err != nil {
		t.Fatal(err)
	}
	replayer, err := engine.NewReplayer(t.Context(), "photoz", uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision"}, content.Source)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := audit.Read(second.Event)
	if err != nil {
		t.Fatal(err)
	}
	again, err := replayer.Replay(t.Context(), &recorded.Recorded)
	var event struct{ Result json.RawMessage }
	if err := json.Unmarshal(second.Event, &event); err != nil {
		t.Fatal(err)
	}
	if err != nil || again.Inexact != "" || !bytes.Equal(again.Result, event.Result) {
		t.Errorf("replayed: got %s %q, %v, want %s", again.Result, again.Inexact, err, event.Result)
	}
	if !caches(t).Decisions {
		return
	}
	metrics := string(e.admin(t, "/metrics").raw)
	for _, line := range []string{`umpire_cache_hits_total{cache="decisions"} 1`, `umpire_cache_entries{cache="decisions"} 1`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}

// TestKnownDecisionsChange: what a decision depends on changes, and the next one differs.
func TestKnownDecisionsChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		permission string
		change     func(t *testing.T, e *env)
		later      bool // within a second: from another process
	}{
		"a role": {"Public board#view", func(t *testing.T, e *env) {
			e.apply(t, strings.Replace(smallRealm("photoz", "policy: {bundle: ./policies}\n"), "roles: [user]", "roles: [guest]", 1))
		}, true},
		"an attribute": {"Public board#view", func(t *testing.T, e *env) {
			replace(t, e, e.resourceID(t, "Public board"), map[string]any{
				"name": "Public board", "type": "board", "resource_scopes": []string{"view"}, "attributes": map[string]any{"closed": []string{"yes"}},
			})
		}, false},
		"a type": {"Public board#view", func(t *testing.T, e *env) {
			replace(t, e, e.resourceID(t, "Public board"), map[string]any{"name": "Public board", "type": "other", "resource_scopes": []string{"view"}})
		}, false},
		"a share": {"Album#view", func(t *testing.T, e *env) {
			share := asList(e.get(t, requests, e.as(t, "alice", "photoz-api"), "granted", "true").json)[0]
			if res := e.send(t, "DELETE", requests+"/"+at(share, "id").(string), e.as(t, "alice", "photoz-api"), nil); res.status != 204 {
				t.Fatalf("withdraw: got %s", res)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startMemo(t, memoBoard)
			album := e.resourceID(t, "Album")
			e.share(t, album, "bob", "view")
			permission := strings.Replace(c.permission, "Album", album, 1)
			bob := e.as(t, "bob", "photoz-app")
			for range 2 {
				if res := e.uma(t, bob, "permission", permission); res.status != 200 {
					t.Fatalf("got %s", res)
				}
			}
			c.change(t, e)
			refused := func() bool { return e.uma(t, bob, "permission", permission).status == 403 }
			if c.later {
				within1s(t, "a refusal", refused)
			} else if !refused() {
				t.Error("granted after the change")
			}
		})
	}
}

// TestRaceWithKnownDecisions: once a share is withdrawn, nothing that is known grants it.
func TestRaceWithKnownDecisions(t *testing.T) {
	t.Parallel()
	e := start(t, unlimited, withRealm(smallRealm("photoz", "policy: {bundle: ./policies}\n"), map[string]string{"board.rego": memoBoard}))
	album := e.resourceID(t, "Album")
	bob, alice := e.as(t, "bob", "photoz-app"), e.as(t, "alice", "photoz-api")
	for range 10 {
		share := e.share(t, album, "bob", "view")
		withdrawn := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for gone, end := false, time.Now().Add(time.Minute); !gone; {
					if time.Now().After(end) {
						t.Error("no withdrawal within a minute")
						return
					}
					select {
					case <-withdrawn:
						gone = true // at the last request
					default:
					}
					if res := e.uma(t, bob, "permission", album+"#view", "response_mode", "decision"); gone && res.status != 403 {
						t.Errorf("after the withdrawal: got %s", res)
					}
				}
			})
		}
		if res := e.send(t, "DELETE", requests+"/"+share, alice, nil); res.status != 204 {
			t.Errorf("withdraw: got %s", res)
		}
		close(withdrawn)
		wg.Wait()
	}
}

// TestKnownDecisionsOff: nothing is known of a policy that reads the time, nor if the realm file
// says so.
func TestKnownDecisionsOff(t *testing.T) {
	t.Parallel()
	timed := strings.Replace(memoBoard, "input.subject.roles\n", "input.subject.roles\n\tinput.context.time > \"2000\"\n", 1)
	for name, e := range map[string]*env{
		"reads the time": startMemo(t, timed),
		"the setting":    start(t, withRealm(smallRealm("photoz", "policy: {bundle: ./policies, cache_decisions: false}\n"), map[string]string{"board.rego": memoBoard})),
	} {
		records := recordsOf(t, e.stored(t), func() {
			for range 2 {
				e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Public board#view").expectGranted(t, "Public board: view")
			}
		})
		for _, r := range records {
			if cached(t, r) {
				t.Errorf("%s: a decision was known", name)
			}
		}
	}
}
