package tests

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	told := &answered{grants: map[string]int{}}
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
	resources map[string]string // names by id
	requests  map[string]string // ids of stored requests, and their resources

	// Of all rounds together:
	everSpent, everResource, everRequest []string
	grants                               map[string]int // on record, by the ticket's id
	seen                                 int64          // the newest record
}

func (a *answered) reset() {
	a.everSpent = slices.AppendSeq(a.everSpent, maps.Keys(a.spent))
	a.everResource = slices.AppendSeq(a.everResource, maps.Keys(a.resources))
	a.everRequest = slices.AppendSeq(a.everRequest, maps.Keys(a.requests))
	a.unspent, a.spent, a.resources, a.requests = nil, map[string]bool{}, map[string]string{}, map[string]string{}
}

// A writer does one thing again and again until its server is gone. It notes what
// it was told once it was told.
type writer func(try func(request) (*response, bool), told *answered, name string)

// writeUntilDeath has sixteen writers at work and kills the server when they
// were told so many times that something was done.
func writeUntilDeath(t *testing.T, p *process, told *answered, answers int) {
	t.Helper()
	pat, bob := p.service(t, "photoz-api"), p.as(t, "bob", "photoz-app")
	writers := []writer{
		func(try func(request) (*response, bool), told *answered, _ string) {
			if res, ok := try(ticketRequest(pat)); ok {
				told.note(func() { told.unspent = append(told.unspent, res.str("ticket")) })
			}
		},
		func(try func(request) (*response, bool), told *answered, _ string) {
			res, ok := try(ticketRequest(pat))
			if !ok {
				return
			}
			form := form("grant_type", umaGrant, "ticket", res.str("ticket"))
			if _, ok := try(request{method: "POST", url: tokenPath, as: bob, form: form}); ok {
				told.note(func() { told.spent[res.str("ticket")] = true })
			}
		},
		func(try func(request) (*response, bool), told *answered, name string) {
			if res, ok := try(albumRequest(pat, name)); ok {
				told.note(func() { told.resources[res.str("_id")] = name })
			}
		},
		func(try func(request) (*response, bool), told *answered, name string) {
			album, ok := try(albumRequest(pat, name))
			if !ok {
				return
			}
			body := map[string]any{"resource": album.str("_id"), "requesterName": "bob", "scopeName": "view"}
			if res, ok := try(request{method: "POST", url: requests, as: pat, json: body}); ok {
				told.note(func() { told.requests[res.str("id")] = album.str("_id") })
			}
		},
	}
	var done atomic.Int64
	var wait sync.WaitGroup
	enough := make(chan struct{})
	for i := range 16 {
		wait.Go(func() {
			alive := true
			try := func(r request) (*response, bool) {
				res, err := attempt(p.newRequest(t, r))
				if err != nil || res.status >= 500 {
					alive = false
					return nil, false
				}
				if res.status >= 300 {
					t.Errorf("%s %s: got %s", r.method, r.url, res)
				}
				if done.Add(1) == int64(answers) {
					close(enough)
				}
				return res, res.status < 300
			}
			for n := 0; alive && !t.Failed(); n++ {
				writers[i%len(writers)](try, told, fmt.Sprintf("%d of writer %d until %d", n, i, answers))
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		wait.Wait()
		close(ended)
	}()
	select {
	case <-enough:
	case <-ended:
		t.Fatal("the writers gave up before the server was killed")
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-ended
	if state := p.end(t, syscall.SIGKILL); state.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the server ended by itself: %s", state)
	}
}

func (a *answered) note(write func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	write()
}

func ticketRequest(pat credentials) request {
	return request{method: "POST", url: permission, as: pat, json: perm{Resource: "Public board", Scopes: []string{"view"}}}
}

func albumRequest(pat credentials, name string) request {
	return request{method: "POST", url: resourceSet, as: pat, json: map[string]any{
		"name": name, "type": "album", "owner": "alice", "ownerManagedAccess": true, "resource_scopes": []string{"view"},
	}}
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
	for _, r := range recordsAfter(t, e.stored(t), a.seen) {
		a.seen = r.Seq
		if r.Outcome == "granted" {
			a.grants[at(eventOf(t, r), "input", "ticket", "id").(string)]++
		}
	}
	for ticket := range a.spent {
		if n := a.grants[ticketID(ticket)]; n != 1 {
			t.Errorf("got %d grants on record for a ticket whose RPT was answered, want 1", n)
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
	for _, id := range a.everRequest {
		if !strings.Contains(stored, `"`+id+`"`) {
			t.Errorf("stored request %s is gone", id)
		}
	}
	if len(a.everSpent) == 0 || len(a.everResource) == 0 || len(a.everRequest) == 0 {
		t.Errorf("nothing was answered: %d spent tickets, %d resources, %d requests", len(a.everSpent), len(a.everResource), len(a.everRequest))
	}
	// The command sees the same beside the server.
	out, stderr, code := umpire(t, "decisions", "list", "--data", p.Data, "--outcome", "granted", "--limit", "1000000", "-o", "json")
	var rows []uma.Record
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 || len(rows) < len(a.everSpent) {
		t.Errorf("umpire decisions list: exit %d, %d rows, want at least %d; %v %s", code, len(rows), len(a.everSpent), err, stderr)
	}
}
