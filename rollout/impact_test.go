package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// A trail is a store with n records of a request that nobody may have, and an active policy.
type trail struct {
	Store
	active  *uma.Revision
	records int
}

func (s *trail) Snapshot(context.Context, string, time.Time) (*uma.Snapshot, error) {
	return &uma.Snapshot{Realm: uma.Realm{Name: "photoz", Policy: uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision"}}}, nil
}

func (s *trail) Revision(_ context.Context, _, hash string) (*uma.Revision, error) {
	if hash != s.active.Hash {
		return nil, uma.ErrNotFound
	}
	return s.active, nil
}

func (s *trail) RevisionInForce(context.Context, string) (*uma.Revision, error) { return s.active, nil }

func (s *trail) FindDecisions(_ context.Context, f uma.DecisionFilter, limit int) (page []uma.Record, err error) {
	last := int64(s.records)
	if f.Before > 0 {
		last = f.Before - 1
	}
	for seq := last; seq > 0 && len(page) < limit; seq-- {
		page = append(page, s.record(seq))
	}
	return page, nil
}

func (s *trail) EachDecision(_ context.Context, _ uma.DecisionFilter, each func(*uma.Record) error) error {
	for seq := int64(1); seq <= int64(s.records); seq++ {
		r := s.record(seq)
		if err := each(&r); err != nil {
			return err
		}
	}
	return nil
}

func (s *trail) record(seq int64) uma.Record {
	return uma.Record{Seq: seq, Event: fmt.Appendf(nil, `{"decision_id":"d-%d","bundles":{"photoz":{"revision":%q}},"path":"uma/authz/decision",
		"timestamp":"2026-11-22T12:00:00Z","input":{"scopes":["view"],"resource":{"id":"r","type":"album","attributes":{}},"shares":[],
		"subject":{"id":"u"},"resource_server":"photoz-api"},
		"result":{"granted":[],"need_info":[],"submit":[],"reasons":[],"obligations":[],"rests_on":[],"rpt":{}}}`, seq, s.active.Hash)}
}

func newTrail(t *testing.T, records int) *trail {
	t.Helper()
	c, err := engine.New(engine.Config{}).Compile(t.Context(), "photoz", uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision"}, engine.Source{})
	if err != nil {
		t.Fatal(err)
	}
	return &trail{active: c.Revision(time.Now()), records: records}
}

func source(t *testing.T, rego string) *engine.Source {
	t.Helper()
	src, err := Parse(map[string]string{"album.rego": "package uma.policies.album\n\n" + rego})
	if err != nil {
		t.Fatal(err)
	}
	return &src
}

// TestImpact: the newest records are replayed, and the newest changes are listed, whichever
// the order.
func TestImpact(t *testing.T) {
	t.Parallel()
	store := newTrail(t, 250)
	opened := source(t, `grant contains "view"`)
	for _, c := range []struct {
		newest, replayed int
	}{{0, 250}, {210, 210}, {1000, 250}} {
		impact := Impact{Realm: "photoz", Candidate: opened, Newest: c.newest, Workers: 1, Limit: 3}
		got, _, err := impact.Run(t.Context(), store, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, change := range got.Changes {
			ids = append(ids, change.ID)
		}
		if got.Replayed != c.replayed || got.Granted != c.replayed || got.Omitted != c.replayed-3 || strings.Join(ids, " ") != "d-250 d-249 d-248" || got.Baseline != store.active.Hash {
			t.Errorf("newest %d: got %+v", c.newest, got)
		}
	}
}

// TestImpactEnds: a run that takes longer than it may has what was replayed until then. That
// is no failure of the candidate.
func TestImpactEnds(t *testing.T) {
	t.Parallel()
	impact := Impact{Realm: "photoz", Candidate: source(t, `grant contains "view" if count(numbers.range(1, 100000000)) > 0`), Newest: 100, AtMost: 50 * time.Millisecond}
	got, counts, err := impact.Run(t.Context(), newTrail(t, 1000), time.Now())
	if err != nil || !counts.Cut || got.Failed != 0 || got.Replayed != 0 {
		t.Errorf("got %+v, %+v, %v", got, counts, err)
	}
}

// A longTrail has records that are skipped, and reads each page of them in some time.
type longTrail struct {
	Store
	*trail
	page time.Duration
	read int
}

func (s *longTrail) Revision(ctx context.Context, realm, hash string) (*uma.Revision, error) {
	return s.trail.Revision(ctx, realm, hash)
}

func (s *longTrail) RevisionInForce(ctx context.Context, realm string) (*uma.Revision, error) {
	return s.trail.RevisionInForce(ctx, realm)
}

func (s *longTrail) Snapshot(ctx context.Context, realm string, now time.Time) (*uma.Snapshot, error) {
	return s.trail.Snapshot(ctx, realm, now)
}

func (s *longTrail) EachDecision(context.Context, uma.DecisionFilter, func(*uma.Record) error) error {
	return errors.New("the gate reads the newest records only")
}

func (s *longTrail) FindDecisions(ctx context.Context, f uma.DecisionFilter, limit int) (page []uma.Record, err error) {
	if f.Revision != "" { // of a policy, for its entry point
		return nil, nil
	}
	time.Sleep(s.page) // by the clock of synctest
	for range limit {
		s.read++
		page = append(page, uma.Record{Seq: int64(100_000 - s.read), Event: []byte(`{"bundles":{"photoz":{}},"input":{"scopes":["view"]},"error":"ticket_spent"}`)})
	}
	return page, nil
}

// TestImpactGateIsBounded: the gate impact replays the 20,000 newest records, and ends after ten seconds.
func TestImpactGateIsBounded(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, page time.Duration) (int, *ImpactCounts, []Finding) {
		t.Helper()
		store := &longTrail{trail: newTrail(t, 0), page: page}
		x := &Examination{
			Realm: &uma.Realm{Name: "photoz"}, Content: &Content{Source: *source(t, `grant contains "view"`)},
			settings: uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision"},
		}
		counts, findings, err := (&Service{Store: store, Now: time.Now}).impact(t.Context(), x, uma.Gates{Impact: uma.GateBlocks})
		if err != nil {
			t.Fatal(err)
		}
		return store.read, counts, findings
	}
	read, counts, findings := run(t, 0)
	if read != 20_000 || counts.Skipped != read || !counts.Complete || len(findings) > 0 {
		t.Errorf("read %d records: got %+v, %v", read, counts, findings)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, counts, findings := run(t, 3*time.Second)
		if took := time.Since(began); took != 12*time.Second || counts.Complete || len(findings) != 1 || findings[0].Blocks || !strings.Contains(findings[0].Text, "in 10s") {
			t.Errorf("after %s: got %+v, %v", took, counts, findings)
		}
	})
}

// TestImpactWithoutPolicies: what is missing is an error that the caller can tell.
func TestImpactWithoutPolicies(t *testing.T) {
	t.Parallel()
	store := newTrail(t, 1)
	_, _, err := (&Impact{Realm: "photoz", Revision: "0"}).Run(t.Context(), store, time.Now())
	if !errors.Is(err, ErrNoRevision) {
		t.Errorf("got %v", err)
	}
	_, _, err = (&Impact{Realm: "photoz", Candidate: source(t, `grant contains nothing`)}).Run(t.Context(), store, time.Now())
	if _, refused := errors.AsType[*RefusedError](err); !refused {
		t.Errorf("got %v", err)
	}
	same := Impact{Realm: "photoz", Revision: store.active.Hash, Recorded: true, Progress: func(*audit.Report) {}}
	if got, _, err := same.Run(t.Context(), store, time.Now()); err != nil || got.Unchanged != 1 || got.Baseline != Recorded {
		t.Errorf("got %+v, %v", got, err)
	}
}
