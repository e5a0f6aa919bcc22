package tests

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"example.com/umpire/uma"
)

// TestKill: a server is killed in the middle of sixteen writers, twenty times,
// and started again on the same data. Nothing that was answered is lost, and no
// ticket that was answered as spent is good again.
func TestKill(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	files := o.write(t)
	told := newAnswered()
	for round := range rounds(20) {
		p := spawn(t, o, files)
		told.check(t, p.env)
		told.reset()
		writeUntilDeath(t, p, told, 40+9*round)
	}
	p := spawn(t, o, files)
	told.check(t, p.env)
	told.checkAll(t, p)
	if state := p.end(t, syscall.SIGTERM); !state.Success() {
		t.Errorf("stopped by SIGTERM: %s", state)
	}
}

// answered is what clients were told by a server that was killed since.
type answered struct {
	mu        sync.Mutex
	unspent   []string          // tickets that were never presented
	spent     map[string]bool   // tickets whose RPT was answered
	doubted   []string          // tickets that were presented, with an answer that never came
	resources map[string]string // names by id
	requests  map[string]string // ids of stored requests, and their resources
	shares    map[string]string // ids of requests that were granted, and their resources

	// Of all rounds together:
	everSpent, everResource, everRequest, everShare []string
	grants                                          map[string]int // on record, by the ticket's id
	seen                                            int64          // the newest record
	crews                                           int            // of writers
}

func newAnswered() *answered {
	a := &answered{grants: map[string]int{}}
	a.reset()
	return a
}

func (a *answered) reset() {
	a.everSpent = slices.AppendSeq(a.everSpent, maps.Keys(a.spent))
	a.everResource = slices.AppendSeq(a.everResource, maps.Keys(a.resources))
	a.everRequest = slices.AppendSeq(a.everRequest, maps.Keys(a.requests))
	a.everShare = slices.AppendSeq(a.everShare, maps.Keys(a.shares))
	a.unspent, a.doubted, a.spent = nil, nil, map[string]bool{}
	a.resources, a.requests, a.shares = map[string]string{}, map[string]string{}, map[string]string{}
}

// writeUntilDeath has sixteen writers at work and kills the server when they
// were told so many times that something was done.
func writeUntilDeath(t *testing.T, p *process, told *answered, answers int) {
	t.Helper()
	writers := startWriters(t, p.env, told)
	if !writers.waitFor(answers) {
		t.Fatalf("the writers gave up before the server was killed: %v", writers.failure.Load())
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-writers.ended
	if state := p.end(t, syscall.SIGKILL); state.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the server ended by itself: %s", state)
	}
}

// check asks a server that was started again for all that was answered before.
func (a *answered) check(t *testing.T, e *env) {
	t.Helper()
	pat, bob := e.service(t, "photoz-api"), e.as(t, "bob", "photoz-app")
	for ticket := range a.spent {
		unusable(t, e.uma(t, bob, "ticket", ticket))
	}
	for _, ticket := range a.unspent {
		e.uma(t, bob, "ticket", ticket).expectGranted(t, "Public board: view")
	}
	for _, ticket := range a.doubted {
		if res := e.uma(t, bob, "ticket", ticket); res.status != 200 {
			unusable(t, res)
		}
	}
	for id, name := range a.resources {
		if res := e.get(t, resourceSet+"/"+id, pat); res.status != 200 || res.str("name") != name {
			t.Errorf("a resource: got %s, want %q", res, name)
		}
	}
	for id, resource := range a.requests {
		res := e.get(t, requests, pat, "resourceId", resource)
		list := asList(res.json)
		if len(list) != 1 || at(list[0], "id") != id {
			t.Errorf("a stored request: got %s, want %s", res, id)
		}
	}
	for id, resource := range a.shares {
		if res := e.uma(t, bob, "permission", resource+"#view", "response_mode", "decision"); res.status != 200 {
			t.Errorf("what is shared: got %s", res)
		}
		res := e.get(t, requests, pat, "resourceId", resource)
		if list := asList(res.json); len(list) != 1 || at(list[0], "id") != id || at(list[0], "granted") != true {
			t.Errorf("a share: got %s, want %s", res, id)
		}
	}
	for _, r := range recordsAfter(t, e.stored(t), a.seen) {
		a.seen = r.Seq
		if ticket, ok := at(eventOf(t, r), "input", "ticket", "id").(string); ok && r.Outcome == "granted" {
			a.grants[ticket]++
		}
	}
	for ticket := range a.spent {
		if n := a.grants[ticketID(ticket)]; n != 1 {
			t.Errorf("got %d grants on record for a ticket whose RPT was answered, want 1", n)
		}
	}
	for _, ticket := range a.doubted {
		if n := a.grants[ticketID(ticket)]; n != 1 {
			t.Errorf("got %d grants on record for a ticket that was presented again, want 1", n)
		}
	}
	for ticket, n := range a.grants {
		if n != 1 {
			t.Errorf("got %d grants on record for ticket %s, want 1", n, ticket)
		}
	}
}

// checkAll looks for what was answered in any round.
func (a *answered) checkAll(t *testing.T, p *process) {
	t.Helper()
	a.reset()
	pat, bob := p.service(t, "photoz-api"), p.as(t, "bob", "photoz-app")
	for _, ticket := range a.everSpent {
		unusable(t, p.uma(t, bob, "ticket", ticket))
	}
	ids := asList(p.get(t, resourceSet, pat, "max", "-1").json)
	for _, id := range a.everResource {
		if !slices.Contains(ids, any(id)) {
			t.Errorf("resource %s is gone", id)
		}
	}
	stored := string(p.get(t, requests, pat, "max", "-1").raw)
	for _, id := range slices.Concat(a.everRequest, a.everShare) {
		if !strings.Contains(stored, `"`+id+`"`) {
			t.Errorf("stored request %s is gone", id)
		}
	}
	if len(a.everSpent) == 0 || len(a.everResource) == 0 || len(a.everRequest) == 0 || len(a.everShare) == 0 {
		t.Errorf("nothing was answered: %d spent tickets, %d resources, %d requests, %d shares",
			len(a.everSpent), len(a.everResource), len(a.everRequest), len(a.everShare))
	}
	// The command sees the same beside the server.
	out, stderr, code := umpire(t, "decisions", "list", "--data", p.Data, "--outcome", "granted", "--limit", "1000000", "-o", "json")
	var rows []uma.Record
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 || len(rows) < len(a.everSpent) {
		t.Errorf("umpire decisions list: exit %d, %d rows, want at least %d; %v %s", code, len(rows), len(a.everSpent), err, stderr)
	}
}
