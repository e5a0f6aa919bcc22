package tests

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/umpire/node"
	"example.com/umpire/uma"
)

// TestLogService: a service that is down at the start gets everything once it is up, as the
// events are stored. Meanwhile requests are answered as ever, and the server is ready.
func TestLogService(t *testing.T) {
	t.Parallel()
	closed := newLogService(t, "")
	closed.Close()
	e := start(t, func(o *options) { o.Realm = withLogs(photozRealm(t), closed.URL, "") })
	e.decide(t, 30)
	e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Admin area")
	within1s(t, "the failure", func() bool { return e.logged(t, "records are not delivered", "opa/photoz", "connection refused") })
	within1s(t, "the problem", func() bool {
		s := e.sink(t, "opa/photoz")
		return s != nil && strings.Contains(s.Problem, "connection refused") && s.Kind == uma.SinkOPA && s.Realm == "photoz" && s.Hold == uma.DefaultHold
	})
	if res := e.admin(t, "/readyz"); res.status != 200 {
		t.Errorf("/readyz: got %s, want 200", res)
	}
	e.Clock.Advance(90 * time.Second)
	metrics := string(e.admin(t, "/metrics").raw)
	const labels = `{kind="opa",realm="photoz",sink="opa/photoz"}`
	for _, want := range []string{"umpire_sink_lag_records" + labels + " 31\n", "umpire_sink_lag_seconds" + labels + " 90\n", "umpire_sink_delivered_total" + labels + " 0\n", "umpire_sink_cut_total" + labels + " 0\n"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, never := range []string{"umpire_sink_failures_total" + labels + " 0\n", "umpire_sink_last_success_timestamp_seconds" + labels} {
		if strings.Contains(metrics, never) {
			t.Errorf("metrics have %s", never)
		}
	}
	up := newLogService(t, closed.Listener.Addr().String())
	records := recordsAfter(t, e.stored(t), 0)
	inTime(t, 20*time.Second, "the events", func() bool { return up.has(t, records) })
	within1s(t, "the cursor", func() bool {
		s := e.sink(t, "opa/photoz")
		return s.Cursor == 31 && s.Problem == "" && !s.Delivered.IsZero()
	})
	metrics = string(e.admin(t, "/metrics").raw)
	for _, want := range []string{"umpire_sink_lag_records" + labels + " 0\n", "umpire_sink_lag_seconds" + labels + " 0\n", "umpire_sink_delivered_total" + labels + " 31\n", "umpire_sink_last_success_timestamp_seconds" + labels} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(string(readFile(t, filepath.Join(e.Data, "server.log"))), "log-secret") {
		t.Error("the log has the token of the service")
	}
}

// TestLogServiceRefuses: whatever a service answers, it has every event in the end, in order.
func TestLogServiceRefuses(t *testing.T) {
	t.Parallel()
	s := newLogService(t, "")
	statuses := []int{500, 429, 413, 408, 404, 401, 200}
	s.answers(func(n int, _ int64) int { return statuses[n%len(statuses)] })
	e := start(t, func(o *options) { o.Realm = withLogs(photozRealm(t), s.URL, ", upload_size_limit_bytes: 16384") })
	e.decide(t, 60)
	within1s(t, "the problem", func() bool { return strings.Contains(e.sink(t, "opa/photoz").Problem, "answered 4") })
	s.answers(nil)
	records := recordsAfter(t, e.stored(t), 0)
	inTime(t, 40*time.Second, "the events", func() bool { return s.has(t, records) })
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	if !slices.Equal(s.order, ids) {
		t.Error("the events came in another order")
	}
	if _, again, _ := s.count(); again != 0 || s.largest > 16384 {
		t.Errorf("got %d events twice and a body of %d bytes", again, s.largest)
	}
}

// TestLogServiceHangs: a service that does not answer delays nobody.
func TestLogServiceHangs(t *testing.T) {
	t.Parallel()
	s := newLogService(t, "")
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s.answers(func(int, int64) int {
		<-release
		return 500
	})
	e := start(t, func(o *options) { o.Realm = withLogs(photozRealm(t), s.URL, "") })
	e.decide(t, 20)
	within1s(t, "an upload", func() bool { _, _, requests := s.count(); return requests > 0 })
	e.decide(t, 20)
	within1s(t, "the decision log", func() bool {
		return strings.Count(string(readFile(t, filepath.Join(e.Data, "decisions.log"))), "\n") == 40
	})
	if res := e.admin(t, "/readyz"); res.status != 200 {
		t.Errorf("/readyz: got %s, want 200", res)
	}
}

// TestLogServicesApart: a service gets the records of its realm alone. A realm that no longer
// names one has no cursor.
func TestLogServicesApart(t *testing.T) {
	t.Parallel()
	here, there := newLogService(t, ""), newLogService(t, "")
	o := newOptions(t, []func(*options){func(o *options) {
		o.Realm = withLogs(photozRealm(t), here.URL, "")
		o.More = []string{withLogs(renamed(t, "other"), there.URL, "")}
	}})
	files := o.write(t)
	p := spawn(t, o, files)
	other := p.in("other")
	p.decide(t, 5)
	other.decide(t, 7)
	var ours, theirs []uma.Record
	for _, r := range recordsAfter(t, p.stored(t), 0) {
		if r.Realm == "photoz" {
			ours = append(ours, r)
		} else {
			theirs = append(theirs, r)
		}
	}
	inTime(t, 20*time.Second, "the events of photoz", func() bool { return here.has(t, ours) })
	inTime(t, 20*time.Second, "the events of the other", func() bool { return there.has(t, theirs) })
	if len(ours) != 5 || len(theirs) != 7 {
		t.Errorf("got %d and %d records", len(ours), len(theirs))
	}
	o.More = []string{renamed(t, "other")}
	again := o.write(t)
	if _, stderr, code := umpire(t, "realm", "apply", "--data", o.Data, again[1]); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	within1s(t, "the end of the sink", func() bool { return p.sink(t, "opa/other") == nil && p.sink(t, "opa/photoz") != nil })
	p.decide(t, 1)
	inTime(t, 20*time.Second, "the next event", func() bool { n, _, _ := here.count(); return n == 6 })
}

// TestKillDuringDelivery: a server is killed in the middle of deliveries to a service and a
// file, twenty times. Both have every record that is stored, whatever was answered.
func TestKillDuringDelivery(t *testing.T) {
	t.Parallel()
	s := newLogService(t, "")
	s.answers(func(n int, size int64) int {
		if size > 4<<10 {
			return 413
		}
		return []int{200, 200, 503}[n%3]
	})
	o := newOptions(t, []func(*options){func(o *options) { o.Realm = withLogs(photozRealm(t), s.URL, ", upload_size_limit_bytes: 16384") }})
	files := o.write(t)
	file := filepath.Join(o.Data, "decisions.log")
	flags := []string{"--decision-log-max-size", "1MiB", "--decision-log-max-files", "1000"}
	for round := range rounds(20) {
		p := spawn(t, o, files, flags...)
		p.decide(t, 1) // sign in
		bob := p.as(t, "bob", "photoz-app")
		begun := s.received()
		cursor := p.sink(t, "opa/photoz").Cursor
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				for {
					res, err := attempt(p.newRequest(t, request{method: "POST", url: tokenPath, as: bob, form: form("grant_type", umaGrant, "permission", "Public board#view", "audience", "photoz-api")}))
					if err != nil || res.status != 200 {
						return
					}
				}
			})
		}
		switch round % 3 { // when it is killed
		case 0:
			inTime(t, 20*time.Second, "some deliveries", func() bool { return s.received() > begun+round })
		case 1:
			inTime(t, 20*time.Second, "a stored cursor", func() bool { return p.sink(t, "opa/photoz").Cursor > cursor })
		default:
			inTime(t, 20*time.Second, "a delivery", func() bool { return s.received() > begun })
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		wait.Wait()
		p.end(t, syscall.SIGKILL)
	}
	s.answers(nil)
	p := spawn(t, o, files, flags...)
	p.decide(t, 1)
	records := recordsAfter(t, p.stored(t), 0)
	inTime(t, time.Minute, "every record at the service", func() bool { return s.has(t, records) })
	written := map[string]bool{}
	inTime(t, time.Minute, "every record in the file", func() bool {
		maps.Copy(written, writtenIDs(t, file))
		return len(written) >= len(records)
	})
	missing := 0
	for _, r := range records {
		if !written[r.ID] {
			missing++
		}
	}
	events, again, _ := s.count()
	if missing > 0 || len(written) != len(records) || events != len(records) {
		t.Errorf("got %d events at the service and %d in the file for %d records", events, len(written), len(records))
	}
	t.Logf("%d records; %d came again to the service", len(records), again)
	if state := p.end(t, syscall.SIGTERM); !state.Success() {
		t.Errorf("stopped by SIGTERM: %s", state)
	}
	if sink := p.sink(t, "opa/photoz"); sink.Cursor != int64(len(records)) || sink.Skipped != 0 || sink.Cut != 0 {
		t.Errorf("got %+v, want the cursor at %d", sink, len(records))
	}
}

// writtenIDs are the decisions in a decision log file and those renamed before it. A line
// that was cut short is none.
func writtenIDs(t testing.TB, file string) map[string]bool {
	t.Helper()
	names, err := filepath.Glob(file + "*")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			var event struct {
				ID string `json:"decision_id"`
			}
			if json.Unmarshal([]byte(line), &event) == nil {
				ids[event.ID] = true
			}
		}
	}
	return ids
}

// TestStopDelivers: a server that is stopped delivers what it has decided.
func TestStopDelivers(t *testing.T) {
	t.Parallel()
	s := newLogService(t, "")
	r := run(t, func(c *node.Config) { c.Grace = 20 * time.Second }, func(o *options) {
		o.Realm = strings.Replace(withLogs(photozRealm(t), s.URL, ""), "min_delay_seconds: 1, max_delay_seconds: 1", "min_delay_seconds: 600, max_delay_seconds: 600", 1)
	})
	within1s(t, "the first look", func() bool { return r.sink(t, "opa/photoz") != nil })
	r.decide(t, 3)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if n, _, _ := s.count(); n != 3 {
		t.Errorf("got %d events, want 3", n)
	}
}
