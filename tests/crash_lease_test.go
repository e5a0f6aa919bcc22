package tests

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// TestKillLeaseHolder: the server that delivers and removes decision records for all servers is killed while
// it delivers. Another one takes over within 30 seconds: the log service gets every record, in order; the decision
// logs of both have every record; and old records are removed.
func TestKillLeaseHolder(t *testing.T) {
	t.Parallel()
	databases.OnlyPostgreSQL(t, "several server processes")
	logs := newLogService(t, "")
	o := newOptions(t, []func(*options){func(o *options) { o.Realm = withLogs(photozRealm(t), logs.URL, "") }})
	files := o.write(t)
	const old = 300 // more than one batch
	storeOld(t, o, old)
	logs.answers(func(int, int64) int { return 503 })
	start := func(name string) *process {
		return spawn(t, o, files, "--keep-decisions", "1h", "--decision-log", filepath.Join(o.Data, name))
	}
	const lease = `umpire_lease_held{lease="upkeep"}`
	a := start("a.log")
	// The first server has looked for old records, and found that the log service lacks them. It looks again in a minute.
	within1s(t, "old policies are removed", func() bool { return a.metric(t, `umpire_pruned_total{what="revisions"}`) == "2" })
	b := start("b.log")
	stop := decideUntilStopped(t, a, b)
	logs.answers(nil)
	db := b.stored(t)
	inTime(t, 20*time.Second, "the old records are delivered", func() bool {
		sinks, err := db.AllSinks(t.Context())
		return err == nil && len(sinks) == 2 && min(sinks[0].Cursor, sinks[1].Cursor) > old
	})
	records := recordsAfter(t, db, 0)
	if held := b.metric(t, lease); held != "0" {
		t.Fatalf("the second server: got lease %q", held)
	}
	killed := time.Now()
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	inTime(t, 30*time.Second, "the second server has the lease", func() bool { return b.metric(t, lease) == "1" })
	t.Logf("the lease was taken over %v after the death of its holder", time.Since(killed))
	a.end(t, syscall.SIGKILL)
	inTime(t, 90*time.Second, "old records are removed", func() bool { // a busy database may make it try again in a minute
		return b.metric(t, `umpire_pruned_total{what="decisions"}`) == fmt.Sprint(old)
	})
	stop()

	records = append(records, recordsAfter(t, db, records[len(records)-1].Seq)...)
	inTime(t, 30*time.Second, "every record at the log service", func() bool { return logs.has(t, records) })
	var ids []string
	for i, r := range records {
		ids = append(ids, r.ID)
		if r.Seq != int64(i+1) {
			t.Fatalf("record %d has number %d", i+1, r.Seq)
		}
	}
	if !slices.Equal(logs.order, ids) {
		t.Error("the log service got records in another order")
	}
	within1s(t, "every record in the decision log", func() bool { return slices.Contains(idsIn(t, o, "b.log"), ids[len(ids)-1]) })
	first, second := idsIn(t, o, "a.log"), idsIn(t, o, "b.log")
	if len(first)+len(second) < len(ids) || !slices.Equal(first, ids[:len(first)]) || !slices.Equal(second, ids[len(ids)-len(second):]) {
		t.Errorf("the decision logs have %d and %d of %d records, or others, or in another order", len(first), len(second), len(ids))
	}
	left := recordsAfter(t, db, 0)
	if len(left) != len(records)-old || slices.ContainsFunc(left, func(r uma.Record) bool { return strings.HasPrefix(r.ID, "old ") }) {
		t.Errorf("got %d records left of %d with %d old ones", len(left), len(records), old)
	}
}

// decideUntilStopped asks servers for decisions, until it is told to stop. The last of them answers each time; the
// others may be killed.
func decideUntilStopped(t *testing.T, servers ...*process) (stop func()) {
	t.Helper()
	stopping := make(chan struct{})
	var wait sync.WaitGroup
	for i, p := range servers {
		bob, stays := p.as(t, "bob", "photoz-app"), i == len(servers)-1
		ask := request{method: "POST", url: tokenPath, as: bob, form: form("grant_type", umaGrant, "permission", "Public board#view", "audience", "photoz-api")}
		wait.Go(func() {
			for pause := time.NewTicker(20 * time.Millisecond); ; <-pause.C {
				res, err := attempt(p.newRequest(t, ask))
				if err != nil || res.status != 200 {
					if stays {
						t.Errorf("the server that goes on: got %v, %v", res, err)
					}
					return
				}
				select {
				case <-stopping:
					return
				default:
				}
			}
		})
	}
	return sync.OnceFunc(func() {
		close(stopping)
		wait.Wait()
	})
}

// storeOld stores decision records of two hours ago, which the sinks of a server before have not got, and a policy
// that was in force before as many as are kept.
func storeOld(t *testing.T, o *options, n int) {
	t.Helper()
	s, err := openStore(t, o.Data, false, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	sinks := []uma.Sink{
		{Name: "decision-log", Kind: uma.SinkFile, Hold: uma.DefaultHold},
		{Name: "opa/photoz", Kind: uma.SinkOPA, Realm: "photoz", Hold: uma.DefaultHold},
	}
	if err := s.KeepSinks(t.Context(), 0, sinks); err != nil {
		t.Error(err)
	}
	st := &uma.Settlement{Now: time.Now()}
	for i := range n {
		id := fmt.Sprint("old ", i)
		st.Records = append(st.Records, uma.Record{ID: id, Realm: "photoz", Time: time.Now().Add(-2 * time.Hour), Event: fmt.Appendf(nil, `{"decision_id":%q}`, id)})
	}
	if err := s.Commit(t.Context(), st); err != nil {
		t.Error(err)
	}
	var period uma.Key
	for i := range uma.KeepRevisions + 1 {
		revision := &uma.Revision{Hash: fmt.Sprint("once in force ", i), Realm: "photoz", Since: time.Now().Add(-time.Hour)}
		if period, err = s.ActivatePolicy(t.Context(), &uma.Activation{Over: period, Revision: revision}); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// idsIn are the decisions in a decision log file, in order. A line that was cut short is none.
func idsIn(t *testing.T, o *options, file string) (ids []string) {
	t.Helper()
	for line := range strings.Lines(string(readFile(t, filepath.Join(o.Data, file)))) {
		var event struct {
			ID string `json:"decision_id"`
		}
		if json.Unmarshal([]byte(line), &event) == nil {
			ids = append(ids, event.ID)
		}
	}
	return ids
}
