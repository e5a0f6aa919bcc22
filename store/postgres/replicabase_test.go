package postgres

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/store/postgres/pgtest"
	"example.com/umpire/uma"
)

// counting counts statements.
type counting struct{ n atomic.Int64 }

func (c *counting) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if q.SQL != `ROLLBACK` { // which nobody waits for
		c.n.Add(1)
	}
	return ctx
}

func (c *counting) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// replicated is a store with a replica, which nothing looks at but the test.
type replicated struct {
	*Store
	primary, standby *pgtest.Cluster
	proxy            *pgtest.Proxy // to the standby
	sent             *counting     // to it
	clock            atomic.Int64  // seconds
}

func openReplicated(t *testing.T) *replicated {
	t.Helper()
	r := &replicated{sent: &counting{}}
	r.primary, r.standby = pgtest.Replicated(t)
	if s, err := Open(t.Context(), Config{URL: r.primary.URL("postgres")}); err != nil || s.Close() != nil {
		t.Fatal(err)
	}
	r.standby.Follow(t, r.primary)
	var url string
	r.proxy, url = pgtest.NewProxy(t, r.standby.URL("postgres"))
	r.Store = open(t, Config{URL: r.primary.URL("postgres"), Replica: url, replicaTracer: r.sent, patience: 5 * time.Second,
		Now: func() time.Time { return at.Add(time.Duration(r.clock.Load()) * time.Second) }, unwatchedReplica: true})
	r.want(t, true, "")
	return r
}

// after looks at the replica after some seconds.
func (r *replicated) after(t *testing.T, seconds int64) {
	t.Helper()
	r.clock.Add(seconds)
	_ = r.replica.look(t.Context())
}

// want checks whether the replica is used, and else why not. The primary may have written something itself
// just before the last look.
func (r *replicated) want(t *testing.T, used bool, problem string) {
	t.Helper()
	for s, _ := r.Replica(); used && !s.Used && strings.Contains(s.Problem, errBehind.Error()); s, _ = r.Replica() {
		r.standby.Follow(t, r.primary)
		_ = r.replica.look(t.Context())
	}
	if s, named := r.Replica(); !named || s.Used != used || !strings.Contains(s.Problem, problem) {
		t.Fatalf("got %+v, want that it is used: %v, and the problem %q", s, used, problem)
	}
}

// record stores a decision record.
func (r *replicated) record(t *testing.T, id string) {
	t.Helper()
	st := record(id)
	st.Records[0].Request = "request of " + id
	if err := r.Commit(t.Context(), st); err != nil {
		t.Fatal(err)
	}
}

// reads is how often lists were read from the replica, and from the primary.
func (r *replicated) reads() (replica, primary int64) {
	s, _ := r.Replica()
	return s.FromReplica, s.FromPrimary
}

// list returns the ids of all records, newest first, and fails unless they were read where they should be.
func (r *replicated) list(t *testing.T, fromReplica bool) (ids string) {
	t.Helper()
	before, beforePrimary := r.reads()
	found, err := r.Lists().FindDecisions(t.Context(), uma.DecisionFilter{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	after, afterPrimary := r.reads()
	if (afterPrimary == beforePrimary) != fromReplica || fromReplica && after == before {
		t.Errorf("got %d reads from the replica and %d from the primary, want the replica: %v", after-before, afterPrimary-beforePrimary, fromReplica)
	}
	for _, rec := range found {
		ids += rec.ID + " "
	}
	return strings.TrimSpace(ids)
}
