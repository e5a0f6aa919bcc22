package sinks_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/sinks"
	"example.com/umpire/uma"
)

// taker is a service that takes bodies of at most so many bytes.
type taker struct {
	t      *testing.T
	most   int
	bodies []int
	ids    []string
	fail   int // answers with 503 before the next that it takes
}

func (s *taker) post(_ context.Context, body []byte) (int, http.Header, error) {
	s.t.Helper()
	if s.fail > 0 {
		s.fail--
		return 503, http.Header{"Retry-After": {"7"}}, nil
	}
	if len(body) > s.most {
		return 413, nil, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	var events []struct {
		ID string `json:"decision_id"`
	}
	if err := json.NewDecoder(z).Decode(&events); err != nil {
		s.t.Fatal(err)
	}
	s.bodies = append(s.bodies, len(body))
	for _, e := range events {
		s.ids = append(s.ids, e.ID)
	}
	return 200, nil, nil
}

// records returns n records with events of some KiB, of which a third compresses badly.
func records(n int) (all []uma.Record, ids []string) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		noise := make([]byte, 300)
		for j := range noise {
			noise[j] = byte('a' + random.IntN(26))
		}
		id := fmt.Sprint("d", i)
		event := fmt.Sprintf(`{"decision_id":%q,"noise":%q,"same":%q}`, id, noise, strings.Repeat("same ", 120))
		all, ids = append(all, uma.Record{ID: id, Event: []byte(event)}), append(ids, id)
	}
	return all, ids
}

// Bodies are never larger than the limit, nor much smaller than they may be.
func TestUploadBatches(t *testing.T) {
	t.Parallel()
	all, ids := records(2000)
	s := &taker{t: t, most: 1 << 20}
	u := &sinks.Upload{Post: s.post, Limit: 16 << 10}
	done, skipped, err := u.Deliver(t.Context(), all)
	if done != len(all) || skipped != 0 || err != nil {
		t.Errorf("got %d done, %d skipped, %v", done, skipped, err)
	}
	if !slices.Equal(s.ids, ids) {
		t.Errorf("got %d events, want all %d in order", len(s.ids), len(ids))
	}
	small := 0
	for _, size := range s.bodies {
		if size > u.Limit {
			t.Errorf("got a body of %d bytes, want at most %d", size, u.Limit)
		}
		if size < u.Limit/2 {
			small++
		}
	}
	if small > 4 {
		t.Errorf("got %d of %d bodies below half of the limit: %v", small, len(s.bodies), s.bodies)
	}
}

// A service that takes less than the limit gets less. Only an event that it does not take
// alone is skipped.
func TestUploadTooLarge(t *testing.T) {
	t.Parallel()
	all, ids := records(300)
	large, _ := records(30)
	var event []byte
	for _, r := range large {
		event = append(event, r.Event...)
	}
	all[100].Event, _ = json.Marshal(map[string]string{"decision_id": "d100", "x": string(event)})
	s := &taker{t: t, most: 4 << 10}
	var log bytes.Buffer
	u := &sinks.Upload{Post: s.post, Limit: 32 << 10, Log: slog.New(slog.NewTextHandler(&log, nil))}
	done, skipped, err := u.Deliver(t.Context(), all)
	if done != len(all) || skipped != 1 || err != nil {
		t.Errorf("got %d done, %d skipped, %v; want all, 1", done, skipped, err)
	}
	if want := slices.Delete(ids, 100, 101); !slices.Equal(s.ids, want) {
		t.Errorf("got %d events, want %d: all but the large one, in order", len(s.ids), len(want))
	}
	if !strings.Contains(log.String(), "decision_id=d100") || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("got log %s, want a line about d100", &log)
	}
}

// Deliver says how far it came, and when the service wants to be asked again.
func TestUploadFails(t *testing.T) {
	t.Parallel()
	all, ids := records(100)
	s := &taker{t: t, most: 1 << 20}
	u := &sinks.Upload{Post: s.post, Limit: 16 << 10}
	if done, _, err := u.Deliver(t.Context(), all[:10]); done != 10 || err != nil {
		t.Fatalf("got %d, %v", done, err)
	}
	s.fail = 1
	_, _, err := u.Deliver(t.Context(), all[10:])
	later, ok := errors.AsType[*sinks.Retry](err)
	if !ok || later.After != 7*time.Second || !strings.Contains(err.Error(), "503 Service Unavailable") {
		t.Errorf("got %v, want 503, in 7 s", err)
	}
	if done, _, err := u.Deliver(t.Context(), all[10:]); done != 90 || err != nil {
		t.Errorf("got %d, %v", done, err)
	}
	if !slices.Equal(s.ids, ids) {
		t.Errorf("got %v, want each once", s.ids)
	}
}
