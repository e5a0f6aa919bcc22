package tests

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// A logService is an OPA decision log service: POST /logs.
type logService struct {
	*httptest.Server
	mu       sync.Mutex
	events   map[string]map[string]any // by decision_id
	order    []string                  // of the first time that each came
	again    int                       // events that came again
	requests int
	largest  int
	answer   func(n int, size int64) int // the status of a request; nil: 200
	faults   []string
}

// newLogService starts a service at an address, or at any.
func newLogService(t testing.TB, address string) *logService {
	t.Helper()
	s := &logService{events: map[string]map[string]any{}}
	s.Server = httptest.NewUnstartedServer(s)
	if address != "" {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		s.Listener.Close()
		s.Listener = l
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *logService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	answer, n := s.answer, s.requests
	s.mu.Unlock()
	if answer != nil {
		if status := answer(n, r.ContentLength); status != 200 {
			w.WriteHeader(status)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	events, err := read(r)
	if err != nil {
		s.faults = append(s.faults, err.Error())
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.largest = max(s.largest, int(r.ContentLength))
	for _, e := range events {
		id := fmt.Sprint(e["decision_id"])
		if s.events[id] == nil {
			s.order = append(s.order, id)
		} else {
			s.again++
		}
		s.events[id] = e
	}
}

// read reads a request as an OPA service does.
func read(r *http.Request) ([]map[string]any, error) {
	for name, want := range map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip", "Authorization": "Bearer log-secret"} {
		if got := r.Header.Get(name); got != want {
			return nil, fmt.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/logs" {
		return nil, fmt.Errorf("got %s %s, want POST /v1/logs", r.Method, r.URL.Path)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	var events []map[string]any
	return events, json.NewDecoder(z).Decode(&events)
}

// has reports whether the service has the events of all records, and nothing else.
func (s *logService) has(t testing.TB, records []uma.Record) bool {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range s.faults {
		t.Error(fault)
	}
	s.faults = nil
	if len(s.events) != len(records) {
		return false
	}
	for _, r := range records {
		if !reflect.DeepEqual(s.events[r.ID], eventOf(t, r)) {
			return false
		}
	}
	return true
}

func (s *logService) answers(status func(n int, size int64) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = status
}

// count returns how many events came, how many came again, and in how many requests.
func (s *logService) count() (events, again, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events), s.again, s.requests
}

// received is how many events came, also those that came again.
func (s *logService) received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events) + s.again
}

// withLogs is a realm with policy.opa.decision_logs.
func withLogs(realm, url string, reporting string) string {
	return strings.Replace(realm, "policy: {bundle: ./policies, grant: partial}", `policy: {bundle: ./policies, grant: partial, opa: {
  services: {logs: {url: "`+url+`/v1", credentials: {bearer: {token: log-secret}}}},
  decision_logs: {service: logs, resource: /logs, reporting: {min_delay_seconds: 1, max_delay_seconds: 1`+reporting+`}}}}`, 1)
}

// decide has bob ask so many times.
func (e *env) decide(t testing.TB, n int) {
	t.Helper()
	bob := e.as(t, "bob", "photoz-app")
	for range n {
		e.uma(t, bob, "permission", "Public board#view").expectGranted(t, "Public board: view")
	}
}

// inTime waits longer than within1s: for back-offs.
func inTime(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); <-tick.C {
		if holds() {
			return
		}
	}
	t.Errorf("not in time: %s", what)
}

// sink is a row of `umpire decisions sinks`; nil if it is not there.
func (e *env) sink(t testing.TB, name string) *uma.Sink {
	t.Helper()
	all, err := e.stored(t).AllSinks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return &s
		}
	}
	return nil
}
