package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// A Shadow evaluates the decisions of realms again under another policy (policy.shadow) while
// they are made, and keeps what that would have decided otherwise. It follows the records in
// the database by a cursor, in one goroutine for all realms, and is not on the path of any
// request.
type Shadow struct {
	Store ShadowStore

	// Settings returns the policy settings of all realms.
	Settings func(ctx context.Context) (map[string]uma.PolicySettings, error)

	Log   *slog.Logger
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) // returns early when ctx ends

	mu     sync.Mutex // for Stats
	realms map[string]*shadowed
	counts map[string]ShadowStat
}

// A ShadowStore is what a Shadow reads and writes.
type ShadowStore interface {
	uma.Shadows
	RecordsFor(ctx context.Context, realm string, seq int64, limit int) ([]uma.Record, error)
	BacklogOf(ctx context.Context, realm string, seq int64) (uma.Backlog, error)
	LastDecision(ctx context.Context) (int64, error)
}

const (
	// shadowRest is how long the worker rests after some work: that many times as long as
	// the work. So it takes at most 1/16 of a processor. With the garbage collector, which
	// runs elsewhere, that stays below 8 %.
	shadowRest = 15

	shadowWork = 5 * time.Millisecond // of work between two rests
	shadowPage = 50                   // records that are read at a time
	shadowIdle = time.Second          // between two looks at records, if there are none
	shadowSave = time.Second          // between two commits

	// maxShadowLag is how many records of a realm may wait. With more, the shadow goes on
	// with the next decision: it would never catch up.
	maxShadowLag  = 20_000
	lookAtLag     = 30 * time.Second
	shadowYield   = time.Minute // how long another server is left alone that evaluates the same records
	shadowChanges = 200         // with more, nothing is evaluated until they are stored
)

// ShadowStat is what /metrics shows of a realm's shadow.
type ShadowStat struct {
	Realm    string
	Revision string
	Cursor   int64
	Broken   bool // it does not compile
	uma.ShadowCounts
}

// A shadowed is the shadow of one realm.
type shadowed struct {
	settings uma.PolicySettings
	changed  atomic.Bool // the source may have changed
	unwatch  context.CancelFunc

	policy  *engine.Replayer // nil: it does not compile
	state   *uma.ShadowState
	request string // the last one with a change
	unsaved []uma.ShadowChange
	dirty   bool
	saved   time.Time
	looked  time.Time // at the lag
	yields  time.Time // until then another server is left alone
}

// Run follows the records until ctx ends. Then it can be called again.
func (s *Shadow) Run(ctx context.Context) {
	s.realms = map[string]*shadowed{}
	var watches sync.WaitGroup
	defer watches.Wait()
	failing := false
	for ctx.Err() == nil {
		more, err := s.round(ctx, &watches)
		if err != nil && ctx.Err() == nil && !errors.Is(err, uma.ErrBusy) && !failing {
			s.Log.ErrorContext(ctx, "shadow policy: decisions are not evaluated", "err", err)
		}
		failing = err != nil
		if !more || failing {
			s.Sleep(ctx, shadowIdle)
		}
	}
	for name, r := range s.realms {
		r.unwatch()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		if err := s.save(last, r); err != nil && !errors.Is(err, uma.ErrMoved) {
			s.Log.ErrorContext(last, "shadow policy: the last results are not stored, and will be evaluated again", "realm", name, "err", err)
		}
		cancel()
		s.forget(name)
	}
}

// round evaluates a page of records of each realm, and reports whether there may be more.
func (s *Shadow) round(ctx context.Context, watches *sync.WaitGroup) (more bool, err error) {
	settings, err := s.Settings(ctx)
	if err != nil {
		return false, err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		r := s.realms[name]
		if wanted := settings[name]; r == nil || r.settings.Shadow != wanted.Shadow || r.settings.Entrypoint != wanted.Entrypoint || r.settings.Timeout != wanted.Timeout {
			if r != nil {
				r.unwatch()
				errs = append(errs, s.save(ctx, r))
				delete(s.realms, name)
			}
			if wanted.Shadow == "" {
				s.forget(name)
				continue
			}
			r = s.follow(ctx, watches, wanted)
			s.realms[name] = r
		}
		if s.Now().Before(r.yields) {
			continue
		}
		again, err := s.step(ctx, name, r)
		if errors.Is(err, uma.ErrMoved) { // another server of the database evaluates the same records
			r.yields, r.state, r.unsaved, r.dirty, err = s.Now().Add(shadowYield), nil, nil, false, nil
			r.changed.Store(true)
		}
		more, errs = more || again, append(errs, err)
	}
	return more, errors.Join(errs...)
}

// follow begins to watch the source of a shadow.
func (s *Shadow) follow(ctx context.Context, watches *sync.WaitGroup, settings uma.PolicySettings) *shadowed {
	ctx, stop := context.WithCancel(ctx)
	r := &shadowed{settings: settings, unwatch: stop}
	r.changed.Store(true)
	watches.Go(func() { bundles.Watch(ctx, settings.Shadow, func() { r.changed.Store(true) }) })
	return r
}

// step evaluates a page of records of a realm.
func (s *Shadow) step(ctx context.Context, realm string, r *shadowed) (more bool, err error) {
	began := s.Now()
	if r.changed.Swap(false) {
		if err := s.compile(ctx, realm, r); err != nil {
			r.changed.Store(true)
			return false, err
		}
	}
	if r.policy == nil {
		return false, nil
	}
	if len(r.unsaved) >= shadowChanges {
		if err := s.save(ctx, r); err != nil {
			return false, err
		}
	}
	if s.Now().Sub(r.looked) >= lookAtLag {
		if err := s.skipAhead(ctx, realm, r); err != nil {
			return false, err
		}
	}
	page, err := s.Store.RecordsFor(ctx, realm, r.state.Cursor, shadowPage)
	if err != nil {
		return false, fmt.Errorf("realm %s: %w", realm, err)
	}
	spent := s.Now().Sub(began)
	for i := range page {
		began := s.Now()
		if err := s.evaluate(ctx, realm, r, &page[i]); err != nil {
			return false, err
		}
		if spent += s.Now().Sub(began); spent >= shadowWork {
			s.Sleep(ctx, shadowRest*spent)
			spent = 0
		}
	}
	s.Sleep(ctx, shadowRest*spent)
	s.publish(realm, r) // before it is stored, so that nobody sees more in the database
	if s.Now().Sub(r.saved) >= shadowSave || len(page) < shadowPage {
		err = s.save(ctx, r)
	}
	return len(page) == shadowPage, err
}

// compile compiles the source of a shadow. If it is another revision than before, the shadow
// starts anew, with the next decision. If it does not compile, the shadow says so and waits
// for a change.
func (s *Shadow) compile(ctx context.Context, realm string, r *shadowed) error {
	if err := s.save(ctx, r); err != nil {
		return err
	}
	state, err := s.Store.Shadow(ctx, realm)
	if errors.Is(err, uma.ErrNotFound) {
		state, err = &uma.ShadowState{Realm: realm}, nil
	}
	if err != nil {
		return err
	}
	r.state, r.policy = state, nil
	var policy *engine.Replayer
	src, err := Source(r.settings.Shadow)
	if err == nil {
		policy, err = engine.NewReplayer(ctx, realm, r.settings, src)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if state.Problem != err.Error() {
			state.Problem, r.dirty = err.Error(), true
		}
		s.Log.WarnContext(ctx, "shadow policy: it does not compile, and evaluates nothing until it is changed", "realm", realm, "shadow", Shown(r.settings.Shadow), "err", err)
		s.publish(realm, r)
		return s.save(ctx, r)
	}
	if state.Problem != "" {
		state.Problem, r.dirty = "", true
	}
	if policy.Revision() != state.Revision {
		last, err := s.Store.LastDecision(ctx)
		if err != nil {
			return err
		}
		*state = uma.ShadowState{Realm: realm, Revision: policy.Revision(), Cursor: last, Since: s.Now(), Version: state.Version}
		r.dirty = true
		s.Log.InfoContext(ctx, "shadow policy: evaluates decisions from now on", "realm", realm, "revision", state.Revision)
	}
	if err := s.save(ctx, r); err != nil {
		return err
	}
	r.policy = policy.WithoutLabels()
	return nil
}

// skipAhead goes on with the next decision if too many wait.
func (s *Shadow) skipAhead(ctx context.Context, realm string, r *shadowed) error {
	backlog, err := s.Store.BacklogOf(ctx, realm, r.state.Cursor)
	if err != nil {
		return err
	}
	r.looked = s.Now()
	if backlog.Records <= maxShadowLag {
		return nil
	}
	last, err := s.Store.LastDecision(ctx)
	if err != nil {
		return err
	}
	r.state.Cursor, r.dirty = last, true
	r.state.Missed += backlog.Records
	s.Log.WarnContext(ctx, "shadow policy: decisions are made faster than it may evaluate them; it goes on with the next one", "realm", realm, "missed", backlog.Records)
	return s.save(ctx, r)
}

// evaluate compares a record with what the shadow decides.
func (s *Shadow) evaluate(ctx context.Context, realm string, r *shadowed, record *uma.Record) error {
	decision, err := audit.Read(record.Event)
	if err != nil {
		decision = &audit.Decision{Skip: "the record cannot be read"}
	}
	comparer := audit.Comparer{Candidate: r.policy}
	compared, err := comparer.Compare(ctx, decision)
	if err != nil {
		return fmt.Errorf("realm %s: %w", realm, err)
	}
	r.count(compared)
	for i := range compared.Changes {
		row, err := json.Marshal(audit.NewChangeRow(&compared.Changes[i]))
		if err != nil {
			return err
		}
		r.unsaved = append(r.unsaved, uma.ShadowChange{Revision: r.state.Revision, Change: row})
	}
	r.state.Cursor, r.dirty = record.Seq, true
	return nil
}

func (r *shadowed) count(c *audit.Comparison) {
	counter := audit.NewCounter()
	counter.Add(c)
	n, have := counter.Report, &r.state.ShadowCounts
	have.Replayed += n.Replayed
	have.Unchanged += n.Unchanged
	have.Failed += n.Failed
	have.Inexact += n.Inexact
	have.Skipped += n.Skipped
	have.Granted += n.Granted
	have.Refused += n.Refused
	have.Different += n.Different
	if n.Requests > 0 && c.Decision.Batch != r.request {
		have.Requests++
		r.request = c.Decision.Batch
	}
}

// save stores how far a shadow has come, with the changes that are not stored yet. After a
// crash it goes on from there.
func (s *Shadow) save(ctx context.Context, r *shadowed) error {
	if !r.dirty || r.state == nil {
		return nil
	}
	if err := s.Store.SaveShadow(ctx, r.state, r.unsaved); err != nil {
		return err
	}
	r.unsaved, r.dirty, r.saved = nil, false, s.Now()
	return nil
}

// publish makes the state of a realm known to Stats.
func (s *Shadow) publish(realm string, r *shadowed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]ShadowStat{}
	}
	s.counts[realm] = ShadowStat{realm, r.state.Revision, r.state.Cursor, r.state.Problem != "", r.state.ShadowCounts}
}

func (s *Shadow) forget(realm string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.counts, realm)
}

// Stats are the shadows that this server evaluates, by realm: none while it does not Run.
func (s *Shadow) Stats() []ShadowStat {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []ShadowStat
	for _, name := range slices.Sorted(maps.Keys(s.counts)) {
		all = append(all, s.counts[name])
	}
	return all
}
