package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

func TestAdmin(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	ready := errors.New("realm photoz has no policy")
	e.metrics.Decided("photoz", "partial", "granted", 50*time.Microsecond)
	e.metrics.Committed(3, time.Millisecond)
	e.metrics.QueueLength(func() int { return 7 })
	e.metrics.IndexLag(func() (int, time.Duration, bool) { return 5, 250 * time.Millisecond, true })
	e.metrics.PolicyActivated("photoz", "old", time.Unix(1, 0))
	e.metrics.PolicyFailed("photoz")
	e.metrics.PolicyActivated("photoz", "new", time.Unix(1700000000, 0))
	e.post(t, tokenURL, credsAPI)
	e.do(t, "GET", "/made/up/by/a/stranger", "")
	e.do(t, "GET", "/realms/strange/nothing", "")
	admin := httptest.NewServer(NewAdmin(AdminConfig{Metrics: e.metrics, Log: slog.New(slog.DiscardHandler), Ready: func(context.Context) error { return ready }}))
	t.Cleanup(admin.Close)
	a := &env{url: admin.URL}
	if got := a.do(t, "GET", "/healthz", ""); got.status != http.StatusOK {
		t.Errorf("healthz: got %d", got.status)
	}
	if got := a.do(t, "GET", "/readyz", ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("readyz, not ready: got %d", got.status)
	}
	ready = nil
	if got := a.do(t, "GET", "/readyz", ""); got.status != http.StatusOK {
		t.Errorf("readyz: got %d", got.status)
	}
	metrics := a.do(t, "GET", "/metrics", "").body
	for _, want := range []string{
		`umpire_http_request_duration_seconds_count{method="POST",route="/realms/:realm/protocol/openid-connect/token",status="200"} 1`,
		`umpire_http_request_duration_seconds_count{method="GET",route="other",status="404"} 2`,
		`umpire_decisions_total{answered="granted",outcome="partial",realm="photoz"} 1`,
		`umpire_policy_evaluation_duration_seconds_count{realm="photoz"} 1`,
		`umpire_store_commit_duration_seconds_count 1`, `umpire_store_batch_size_sum 3`, `umpire_store_queue_length 7`,
		`umpire_decision_index_lag_records 5`, `umpire_decision_index_lag_seconds 0.25`,
		`umpire_policy_info{realm="photoz",revision="new"} 1`, `umpire_policy_activation_failures_total{realm="photoz"} 1`,
		`umpire_policy_activation_timestamp_seconds{realm="photoz"} 1.7e+09`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for _, not := range []string{"stranger", "strange", `revision="old"`} {
		if strings.Contains(metrics, not) {
			t.Errorf("/metrics has %s", not)
		}
	}
	if got := e.do(t, "GET", "/metrics", ""); got.status != 404 {
		t.Errorf("the public listener answers /metrics with %d", got.status)
	}
}

// TestTrouble: what goes wrong inside is a 500 or 503 with a fixed text, and the
// next request is served.
func TestTrouble(t *testing.T) {
	t.Parallel()
	a := &wire.Core{Now: func() time.Time { return moment }, PublicURL: "https://as.example.com"}
	h := New(Config{Core: a}) // without a store: every realm panics
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", base, nil))
	if res := rec.Result(); res.StatusCode != 500 || strings.Contains(rec.Body.String(), "nil pointer") {
		t.Errorf("a panic: got %d %s", res.StatusCode, rec.Body)
	}
	for _, err := range []error{uma.ErrBusy, context.DeadlineExceeded} {
		e := start(t, fakeStore{views: fmt.Errorf("open view: %w", err)})
		got := e.do(t, "GET", resSet, "", "Authorization", "Bearer token-of-photoz-api")
		if got.status != 503 || got.member("error") != "temporarily_unavailable" || got.header.Get("Retry-After") == "" {
			t.Errorf("%v: got %d %s", err, got.status, got.body)
		}
	}
	for _, err := range []error{uma.ErrVague, uma.ErrTooMuch} { // the client can ask for less
		e := start(t, fakeStore{views: fmt.Errorf("read resources: %w", err)})
		got := e.do(t, "GET", resSet, "", "Authorization", "Bearer token-of-photoz-api")
		if got.status != 400 || got.member("error") != "invalid_request" || got.member("error_description") == "" {
			t.Errorf("%v: got %d %s", err, got.status, got.body)
		}
	}
}
