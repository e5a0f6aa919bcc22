package sinks

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"example.com/umpire/uma"
)

// A Destination is where records go.
type Destination interface {
	// Deliver delivers records, in order. It returns how many of them, from the first on,
	// are done, and how many of these it skipped, because they can never be delivered. If
	// records are durable only after a call of a method Sync() error, it has one.
	Deliver(ctx context.Context, records []uma.Record) (done, skipped int, err error)
}

// A Wanted is a sink that there is to be.
type Wanted struct {
	uma.Sink                             // Name, Kind, Realm, Target and Hold
	Open     func() (Destination, error) // called by the sink's goroutine, again after an error
	Settings string                      // a sink with other settings than before is opened again

	// Unless there is a page of records, a sink waits for a time between these after each
	// delivery. With 0 it only waits for the next commit.
	MinDelay, MaxDelay time.Duration

	MaxRetry time.Duration // the longest time between attempts; 0: a second
}

// A List is all sinks that there are to be.
type List struct {
	Generation int64 // uma.Realms.Generation when the realms were read that want them
	Sinks      []Wanted
}

// A Service delivers to sinks. Of the servers of a database one at a time does, which another
// part of the server sees to; the holder of each sink in the database keeps a server that was replaced
// from moving its cursor.
type Service struct {
	Store  uma.Sinks
	Holder string        // an id of this server
	Grace  time.Duration // for a delivery in progress when its sink ends, if it can be interrupted
	Now    func() time.Time
	Log    *slog.Logger

	// Patience is how long a sink that another server holds may make no progress before this
	// server takes it over.
	Patience time.Duration

	kept []uma.Sink // as it was stored last

	mu      sync.Mutex // of running; each worker has its own
	running map[string]*worker
	workers sync.WaitGroup

	others others // sinks that do not run here
}

// Keep makes the sinks in the database those that are wanted, and delivers to none. uma.ErrMoved, also of
// Start and Set: the list is no longer that of the realms, and is to be made again.
func (s *Service) Keep(ctx context.Context, wanted List) error {
	s.kept = nil
	return s.keep(ctx, wanted)
}

// Start starts the sinks that are wanted and takes over those of other servers. They end
// with ctx. Once Run has returned, it can be called again.
func (s *Service) Start(ctx context.Context, wanted List) error {
	if err := s.Keep(ctx, wanted); err != nil {
		return err
	}
	var names []string
	for i := range wanted.Sinks {
		names = append(names, wanted.Sinks[i].Name)
	}
	if err := s.Store.TakeSinks(ctx, s.Holder, names); err != nil {
		return fmt.Errorf("take over sinks: %w", err)
	}
	return s.Set(ctx, wanted)
}

// Set makes the sinks those that are wanted: it ends those that are not, or have other
// settings, and starts those that do not run. After an error it can be called again. Keep,
// Start and Set are called one after the other.
func (s *Service) Set(ctx context.Context, wanted List) error {
	s.endOthers(wanted.Sinks)
	if err := s.keep(ctx, wanted); err != nil {
		return err
	}
	rows, err := s.Store.AllSinks(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		for _, w := range wanted.Sinks {
			if w.Name == row.Name && s.running[w.Name] == nil {
				s.start(ctx, w, row)
			}
		}
	}
	return nil
}

// keep stores which sinks there are to be.
func (s *Service) keep(ctx context.Context, wanted List) error {
	rows := make([]uma.Sink, len(wanted.Sinks))
	for i := range wanted.Sinks {
		rows[i] = wanted.Sinks[i].Sink
		rows[i].Holder = s.Holder
	}
	if s.kept != nil && slices.Equal(rows, s.kept) {
		return nil
	}
	if err := s.Store.KeepSinks(ctx, wanted.Generation, rows); err != nil {
		return fmt.Errorf("store which sinks there are: %w", err)
	}
	s.kept = rows
	return nil
}

// endOthers ends the running sinks that are not wanted as they are, and stores how far they
// have come.
func (s *Service) endOthers(wanted []Wanted) {
	ended := s.takeOthers(wanted)
	for _, w := range ended {
		w.end()
	}
	for _, w := range ended {
		<-w.done
	}
	s.save(context.Background(), ended)
}

// takeOthers takes the sinks that are to end out of running.
func (s *Service) takeOthers(wanted []Wanted) (others []*worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	same := map[string]bool{}
	for i := range wanted {
		w := &wanted[i]
		now := s.running[w.Name]
		same[w.Name] = now != nil && now.wanted.Settings == w.Settings && now.wanted.Kind == w.Kind && now.wanted.Realm == w.Realm
	}
	for name, w := range s.running {
		if !same[name] {
			others = append(others, w)
			delete(s.running, name)
		}
	}
	return others
}

// start starts a sink unless ctx has ended. The caller holds mu, so that Run does not wait
// for the workers at the same time.
func (s *Service) start(ctx context.Context, wanted Wanted, row uma.Sink) {
	if ctx.Err() != nil {
		return
	}
	ctx, end := context.WithCancel(ctx)
	w := &worker{
		service: s, wanted: wanted, wake: make(chan struct{}, 1), end: end, done: make(chan struct{}),
		progress: progress{sink: row, lost: row.Holder != s.Holder, after: row.Cursor},
	}
	if s.running == nil {
		s.running = map[string]*worker{}
	}
	s.running[wanted.Name] = w
	s.workers.Go(func() {
		defer close(w.done)
		defer end()
		w.run(ctx)
	})
}

// gather is how long the records of commits are gathered after a sink was woken: fewer deliveries of
// more records cost less.
const gather = 20 * time.Millisecond

// Run wakes the sinks after commits, and stores once a second how far they have come, in one
// write. It returns when ctx has ended and the sinks have.
func (s *Service) Run(ctx context.Context, committed <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	ended := make(chan struct{})
	context.AfterFunc(ctx, func() {
		s.all() // waits until no sink is being started
		s.workers.Wait()
		close(ended)
	})
	commits := committed
	var pause <-chan time.Time
	for {
		select {
		case <-commits:
			for _, w := range s.all() {
				w.wakeUp()
			}
			commits, pause = nil, time.After(gather)
		case <-pause:
			commits, pause = committed, nil
		case <-tick.C:
			s.save(context.WithoutCancel(ctx), s.all())
		case <-ended:
			s.save(context.WithoutCancel(ctx), s.all())
			s.mu.Lock()
			s.running = nil
			s.mu.Unlock()
			return
		}
	}
}

func (s *Service) all() []*worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*worker
	for _, w := range s.running {
		all = append(all, w)
	}
	return all
}

// save stores the progress of those that have made any. If that fails, it is logged and
// happens with the next save.
func (s *Service) save(ctx context.Context, workers []*worker) {
	byName := map[string]*worker{}
	var rows []uma.Sink
	for _, w := range workers {
		w.note(func(p *progress) {
			if p.unsaved && !p.lost {
				p.unsaved = false
				rows, byName[p.sink.Name] = append(rows, p.sink), w
			}
		})
	}
	if len(rows) == 0 {
		return
	}
	lost, err := s.Store.SaveSinks(ctx, rows)
	if err != nil {
		for _, w := range byName {
			w.note(func(p *progress) { p.unsaved = true })
		}
		s.Log.WarnContext(ctx, "decision log: not stored how far it has come; tried again in a second", "err", err)
		return
	}
	for _, name := range lost {
		byName[name].note(func(p *progress) { p.lost = true })
		s.Log.InfoContext(ctx, "decision log: this server no longer delivers: another one does, or removed the sink", "sink", name)
	}
}
