package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/umpire/uma"
)

const (
	// page is how many records a sink reads at a time.
	page = 256

	// poll is how often a sink looks for records that another process committed, and makes
	// what it delivered durable.
	poll = time.Second

	// firstRetry follows the first failure. The wait doubles up to Wanted.MaxRetry.
	firstRetry = 250 * time.Millisecond

	// maxProblem bounds the text of an error that is stored, in bytes.
	maxProblem = 500
)

// A worker delivers to one sink, in its own goroutine.
type worker struct {
	service *Service
	wanted  Wanted
	wake    chan struct{}
	end     context.CancelFunc
	done    chan struct{}

	// Of the goroutine alone.
	to    Destination // nil until it is open
	tick  *time.Ticker
	due   bool   // Sync is: once a second, and after the first delivery
	cause string // the failure that was logged last; empty while records can be delivered

	mu       sync.Mutex
	progress progress
}

// progress is what others see of a worker.
type progress struct {
	sink      uma.Sink // as it is to be stored
	unsaved   bool
	lost      bool  // another server delivers
	after     int64 // Seq of the last record that was delivered; Cursor once that is durable
	delivered int64 // records, since the start
	failures  int64 // since the start
}

// A Retry is an error that says when to try again.
type Retry struct {
	After time.Duration
	Err   error
}

func (r *Retry) Error() string { return r.Err.Error() }
func (r *Retry) Unwrap() error { return r.Err }

// see returns the progress.
func (w *worker) see() progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.progress
}

// note changes the progress.
func (w *worker) note(change func(p *progress)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.progress)
}

func (w *worker) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends, and then what was committed by that time, unless that fails.
func (w *worker) run(ctx context.Context) {
	// A delivery in progress when ctx ends has Grace.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(w.service.Grace, stop) })()
	w.tick, w.due = time.NewTicker(poll), true
	defer w.tick.Stop()
	failed := 0
	for {
		ending := ctx.Err() != nil
		if w.see().lost {
			if ending {
				return
			}
			w.standBy(ctx)
			continue
		}
		more, err := w.deliver(work, ending)
		switch {
		case err == nil && more:
			failed = 0
		case ending:
			return
		case err != nil:
			failed++
			w.pause(ctx, w.retryAfter(failed, err))
		default:
			failed = 0
			w.waitForRecords(ctx)
		}
	}
}

// deliver delivers a page of records, and reports whether there may be more.
func (w *worker) deliver(ctx context.Context, ending bool) (more bool, err error) {
	defer func() { w.report(ctx, err) }()
	if w.to == nil {
		if w.to, err = w.wanted.Open(); err != nil {
			return false, err
		}
	}
	records, err := w.service.Store.RecordsFor(ctx, w.wanted.Realm, w.see().after, page)
	if err != nil {
		return false, err
	}
	more = len(records) == page
	if len(records) > 0 {
		done, skipped, err := w.to.Deliver(ctx, records)
		if done > 0 {
			now := w.service.Now()
			w.note(func(p *progress) {
				p.after = records[done-1].Seq
				p.delivered += int64(done - skipped)
				p.sink.Skipped += int64(skipped)
				if done > skipped {
					p.sink.Delivered = now
				}
			})
		}
		if err != nil {
			return false, errors.Join(err, w.sync(ending))
		}
	}
	return more, w.sync(ending && !more)
}

// sync moves the cursor to the last record that was delivered. If the destination must be
// told to make records durable, that happens once a second, or now.
func (w *worker) sync(now bool) error {
	select {
	case <-w.tick.C:
		w.due = true
	default:
	}
	p := w.see()
	if p.sink.Cursor == p.after {
		return nil
	}
	if to, ok := w.to.(interface{ Sync() error }); ok {
		if !w.due && !now {
			return nil
		}
		if err := to.Sync(); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		w.due = false
	}
	w.note(func(p *progress) { p.sink.Cursor, p.unsaved = p.after, true })
	return nil
}

// report notes how an attempt went. It logs a failure once, not for every attempt.
func (w *worker) report(ctx context.Context, err error) {
	switch {
	case err == nil && w.see().sink.Problem == "": // that of the server before, too
	case err == nil:
		w.cause = ""
		w.note(func(p *progress) { p.sink.Problem, p.unsaved = "", true })
		w.service.Log.InfoContext(ctx, "decision log: records are delivered again", "sink", w.wanted.Name)
	case ctx.Err() != nil: // the server stops
	default:
		text := problemText(err)
		now := w.service.Now()
		w.note(func(p *progress) {
			p.failures++
			p.sink.Failed, p.sink.Problem, p.unsaved = now, text, true
		})
		if text != w.cause {
			w.cause = text
			w.service.Log.ErrorContext(ctx, "decision log: records are not delivered; they stay in the database and are delivered later",
				"sink", w.wanted.Name, "err", text)
		}
	}
}

func problemText(err error) string {
	text := err.Error()
	if len(text) > maxProblem {
		text = strings.ToValidUTF8(text[:maxProblem], "")
	}
	return text
}

// retryAfter returns how long to wait after so many failures: a random time, so that many
// servers do not try at the same moment, but not less than the service asks for.
func (w *worker) retryAfter(failed int, err error) time.Duration {
	longest := max(w.wanted.MaxRetry, time.Second)
	wait := firstRetry
	for ; failed > 1 && wait < longest; failed-- {
		wait *= 2
	}
	wait = min(wait, longest)
	wait = wait/2 + rand.N(wait/2+1)
	if later, ok := errors.AsType[*Retry](err); ok {
		least := min(later.After, longest)
		wait = max(wait, least+rand.N(least/10+1))
	}
	return wait
}

// pause waits, or until ctx ends.
func (w *worker) pause(ctx context.Context, wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// waitForRecords returns when there may be records to be delivered.
func (w *worker) waitForRecords(ctx context.Context) {
	if w.wanted.MaxDelay > 0 {
		w.delay(ctx)
		return
	}
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-w.tick.C:
		w.due = true
	}
}

// delay waits for a time between MinDelay and MaxDelay, unless there is a page before.
func (w *worker) delay(ctx context.Context) {
	t := time.NewTimer(w.wanted.MinDelay + rand.N(w.wanted.MaxDelay-w.wanted.MinDelay+1))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case <-w.tick.C:
			b, err := w.service.Store.BacklogOf(ctx, w.wanted.Realm, w.see().after)
			if err == nil && b.Records >= page {
				return
			}
		}
	}
}

// standBy waits while another server delivers. It takes over a sink that has records but
// makes no progress for as long as Patience. A sink that is gone, because another server does
// not want it, is not made again: that server may be the one that replaces this one.
func (w *worker) standBy(ctx context.Context) {
	s := w.service
	seen := w.see().sink
	interval := min(s.Patience/4, 10*time.Second)
	warned := false
	for idle := time.Duration(0); ctx.Err() == nil; idle += interval {
		w.pause(ctx, interval)
		rows, err := s.Store.AllSinks(ctx)
		if err != nil || ctx.Err() != nil {
			continue
		}
		named := func(row uma.Sink) bool { return row.Name == w.wanted.Name }
		if !warned && !slices.ContainsFunc(rows, named) {
			warned = true
			s.Log.WarnContext(ctx, "decision log: another server of the database does not want this sink, and removed it; "+
				"nothing is delivered before a restart with the same settings on all servers", "sink", w.wanted.Name)
		}
		for _, row := range rows {
			switch {
			case !named(row):
			case row.Holder == s.Holder:
				w.note(func(p *progress) { p.sink, p.after, p.lost = row, row.Cursor, false })
				s.Log.InfoContext(ctx, "decision log: this server delivers now", "sink", row.Name)
				return
			case row.Cursor != seen.Cursor || row.Holder != seen.Holder:
				seen, idle = row, 0
			case idle >= s.Patience:
				b, err := s.Store.BacklogOf(ctx, row.Realm, row.Cursor)
				if err != nil || b.Records == 0 {
					idle = 0
				} else if err := s.Store.TakeSinks(ctx, s.Holder, []string{row.Name}); err != nil && ctx.Err() == nil {
					s.Log.WarnContext(ctx, "decision log: not taken over from another server", "sink", row.Name, "err", err)
				}
			}
		}
	}
}
