package audit

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// Events calls each with decision log events, oldest first, and returns its first error.
type Events func(ctx context.Context, each func(event []byte) error) error

// An Impact compares many recorded decisions.
type Impact struct {
	Comparer
	Realm string    // events of other realms are ignored
	Since time.Time // and those that are older

	Workers int           // how many evaluate at once; 0: one for each CPU
	AtMost  time.Duration // then the run ends, with what was compared so far; 0: no limit

	// Changed is called for each change, in the order of the events; Progress after some
	// decisions. Both may be nil.
	Changed  func(*Change) error
	Progress func(*Report)
}

// A Report counts decisions, unless a member says otherwise.
type Report struct {
	Replayed, Unchanged, Failed, Inexact, Skipped int
	Requests                                      int // with a change
	Granted, Refused, Different                   int // scopes
	Reasons                                       map[string]int
	Cut                                           bool // AtMost ended the run
}

// errCut ends a run that has taken AtMost.
var errCut = errors.New("the run has taken as long as it may")

// Run compares all events. Memory does not grow with their number.
func (i *Impact) Run(ctx context.Context, events Events) (*Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	limited := ctx
	if i.AtMost > 0 {
		var stop context.CancelFunc
		limited, stop = context.WithTimeoutCause(ctx, i.AtMost, errCut)
		defer stop()
	}
	workers := cmp.Or(i.Workers, runtime.GOMAXPROCS(0))
	work, ordered := make(chan *batch), make(chan *batch, 4*workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for b := range work {
				b.compare(limited, i)
				close(b.done)
			}
		})
	}
	var failed error // of reading
	group.Go(func() {
		defer close(ordered)
		defer close(work)
		failed = events.inBatches(ctx, limited, func(b *batch) {
			ordered <- b
			work <- b
		})
	})
	sum := &summary{NewCounter()}
	var err error
	for b := range ordered {
		<-b.done
		if err != nil {
			continue // the reader ends soon
		}
		if err = sum.add(b, i.Changed); err != nil {
			cancel()
			continue
		}
		if i.Progress != nil {
			i.Progress(&sum.Report)
		}
	}
	group.Wait()
	if err == nil && !errors.Is(failed, errCut) {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	sum.Cut = sum.Cut || errors.Is(failed, errCut)
	return &sum.Report, nil
}

// batchSize is how many events a worker takes at once.
const batchSize = 32

// A batch is some events that follow one another.
type batch struct {
	events [][]byte
	done   chan struct{} // closed when they are compared

	compared []*Comparison
	err      error
}

// inBatches passes the events in batches, until limited ends. It does not interrupt a reader
// for that, whose error would not say why.
func (events Events) inBatches(ctx, limited context.Context, pass func(*batch)) error {
	b := &batch{done: make(chan struct{})}
	err := events(ctx, func(event []byte) error {
		b.events = append(b.events, event)
		if len(b.events) == batchSize {
			pass(b)
			b = &batch{done: make(chan struct{})}
		}
		if limited.Err() != nil {
			return context.Cause(limited)
		}
		return nil
	})
	if err == nil && len(b.events) > 0 {
		pass(b)
	}
	return err
}

// compare compares the events of the batch.
func (b *batch) compare(ctx context.Context, i *Impact) {
	for _, event := range b.events {
		d, err := Read(event)
		if err == nil && (d.Realm != i.Realm || d.Time.Before(i.Since)) {
			continue
		}
		var c *Comparison
		if err == nil {
			c, err = i.Compare(ctx, d)
		}
		if err != nil {
			b.err = errors.Join(b.err, err)
			return
		}
		b.compared = append(b.compared, c)
	}
}

// A summary adds up batches.
type summary struct{ *Counter }

func (s *summary) add(b *batch, changed func(*Change) error) error {
	for _, c := range b.compared {
		s.Add(c)
		for i := range c.Changes {
			if changed == nil {
				break
			}
			if err := changed(&c.Changes[i]); err != nil {
				return err
			}
		}
	}
	if errors.Is(b.err, errCut) {
		s.Cut = true
		return nil
	}
	return b.err
}

// A Counter counts comparisons.
type Counter struct {
	Report
	request string // the last one with a change
}

// NewCounter has counted nothing.
func NewCounter() *Counter { return &Counter{Report: Report{Reasons: map[string]int{}}} }

// Add counts one decision. The decisions of a request follow one another.
func (s *Counter) Add(c *Comparison) {
	if c.Skipped != "" {
		s.Skipped++
		s.Reasons[c.Skipped]++
		return
	}
	s.Replayed++
	if c.Inexact != "" {
		s.Inexact++
	}
	if c.Failed {
		s.Failed++
	}
	if len(c.Changes) == 0 {
		s.Unchanged++
		return
	}
	if c.Decision.Batch != s.request {
		s.Requests++
		s.request = c.Decision.Batch
	}
	for i := range c.Changes {
		switch change := &c.Changes[i]; {
		case change.Now == Failed: // counted as a decision
		case change.Was != Granted && change.Now == Granted:
			s.Granted++
		case change.Was == Granted && change.Now != Granted:
			s.Refused++
		default:
			s.Different++
		}
	}
}
