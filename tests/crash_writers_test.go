package tests

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// A writer does one thing again and again until its server is gone. It notes what
// it was told once it was told.
type writer func(w *writers, told *answered, name string)

// writers are sixteen of them at one server. Each ends with the first request that has no answer.
type writers struct {
	t        *testing.T
	server   *env
	pat, bob credentials
	alice    credentials
	stopped  atomic.Bool

	done    atomic.Int64           // answers that something was done
	answer  chan struct{}          // has an element if there was one since it was last read
	failure atomic.Pointer[string] // the first request without an answer
	ended   chan struct{}          // closed when all of them have ended
}

func startWriters(t *testing.T, server *env, told *answered) *writers {
	t.Helper()
	told.crews++
	crew := told.crews
	w := &writers{
		t: t, server: server, pat: server.service(t, "photoz-api"), bob: server.as(t, "bob", "photoz-app"), alice: server.as(t, "alice", "photoz-api"),
		answer: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	kinds := []writer{makeTickets, spendTickets, makeAlbums, askOwners, shareAlbums}
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			for n := 0; w.failure.Load() == nil && !w.stopped.Load() && !t.Failed(); n++ {
				kinds[i%len(kinds)](w, told, fmt.Sprintf("%d of writer %d of crew %d", n, i, crew))
			}
		})
	}
	go func() {
		wait.Wait()
		close(w.ended)
	}()
	return w
}

// waitFor waits until so many more answers said that something was done. It returns false if the writers have ended.
func (w *writers) waitFor(more int) bool {
	for want := w.done.Load() + int64(more); w.done.Load() < want; {
		select {
		case <-w.answer:
		case <-w.ended:
			return false
		}
	}
	return true
}

// stop ends the writers of a server that has answered all of them.
func (w *writers) stop() {
	w.t.Helper()
	w.stopped.Store(true)
	<-w.ended
	if failure := w.failure.Load(); failure != nil {
		w.t.Errorf("at the server that goes on: %s", *failure)
	}
}

// try makes a request. ok: it was answered as done.
func (w *writers) try(r request) (res *response, ok bool) {
	res, err := attempt(w.server.newRequest(w.t, r))
	switch {
	case err != nil:
		w.failed(fmt.Sprintf("%s %s: %v", r.method, r.url, err))
		return nil, false
	case res.status >= 500:
		w.failed(fmt.Sprintf("%s %s: %s", r.method, r.url, res))
		return nil, false
	case res.status >= 300:
		w.t.Errorf("%s %s: got %s", r.method, r.url, res)
		return nil, false
	}
	w.done.Add(1)
	select {
	case w.answer <- struct{}{}:
	default:
	}
	return res, true
}

func (w *writers) failed(what string) { w.failure.CompareAndSwap(nil, &what) }

func makeTickets(w *writers, told *answered, _ string) {
	if res, ok := w.try(ticketRequest(w.pat)); ok {
		told.note(func() { told.unspent = append(told.unspent, res.str("ticket")) })
	}
}

func spendTickets(w *writers, told *answered, _ string) {
	res, ok := w.try(ticketRequest(w.pat))
	if !ok {
		return
	}
	ticket := res.str("ticket")
	_, ok = w.try(request{method: "POST", url: tokenPath, as: w.bob, form: form("grant_type", umaGrant, "ticket", ticket)})
	told.note(func() {
		if ok {
			told.spent[ticket] = true
		} else {
			told.doubted = append(told.doubted, ticket)
		}
	})
}

func makeAlbums(w *writers, told *answered, name string) {
	if res, ok := w.try(albumRequest(w.pat, name)); ok {
		told.note(func() { told.resources[res.str("_id")] = name })
	}
}

func askOwners(w *writers, told *answered, name string) {
	if album, ok := w.try(albumRequest(w.pat, name)); ok {
		body := map[string]any{"resource": album.str("_id"), "requesterName": "bob", "scopeName": "view"}
		if res, ok := w.try(request{method: "POST", url: requests, as: w.pat, json: body}); ok {
			told.note(func() { told.requests[res.str("id")] = album.str("_id") })
		}
	}
}

func shareAlbums(w *writers, told *answered, name string) {
	if album, ok := w.try(albumRequest(w.pat, name)); ok {
		body := map[string]any{"resource": album.str("_id"), "requesterName": "bob", "scopeName": "view", "granted": true}
		if res, ok := w.try(request{method: "POST", url: requests, as: w.alice, json: body}); ok {
			told.note(func() { told.shares[res.str("id")] = album.str("_id") })
		}
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
