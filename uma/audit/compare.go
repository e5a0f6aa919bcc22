package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/umpire/uma"
)

// A Change is a scope of a recorded decision that the candidate would decide otherwise.
type Change struct {
	Decision *Decision
	Scope    uma.Scope
	Was, Now State
	RulesWas []string
	RulesNow []string
}

// A Comparison is a recorded decision under baseline and candidate.
type Comparison struct {
	Decision *Decision
	Skipped  string // why it was not compared; empty: it was
	Inexact  string // why the results may differ from those at the time; empty: they cannot
	Failed   bool   // the candidate gives no answer, the baseline does
	Changes  []Change
}

// A Comparer compares a candidate policy with a baseline.
type Comparer struct {
	Candidate uma.Replayer
	Baseline  uma.Replayer // nil: the recorded results
}

// Compare evaluates a recorded decision under the candidate and under the baseline. A record
// of the baseline's own revision that no mask changed has the result of the baseline already.
func (c *Comparer) Compare(ctx context.Context, d *Decision) (*Comparison, error) {
	out := &Comparison{Decision: d, Skipped: d.Skip}
	if d.Skip != "" {
		return out, nil
	}
	was := d.recorded
	if c.Baseline == nil && d.resultMasked() {
		out.Skipped = skipResult
		return out, nil
	}
	if c.Baseline != nil && (c.Baseline.Revision() != d.Revision || len(d.Masked) > 0) {
		var err error
		if was, err = replay(ctx, c.Baseline, d, out); err != nil || out.Skipped != "" {
			return out, err
		}
		if was.late {
			out.Skipped = skipBaseline
			return out, nil
		}
	}
	now, err := replay(ctx, c.Candidate, d, out)
	if err != nil || out.Skipped != "" {
		return out, err
	}
	if !was.failed && !now.failed && bytes.Equal(was.result, now.result) {
		return out, nil
	}
	if err := errors.Join(was.read(d), now.read(d)); err != nil {
		return nil, err
	}
	out.Failed = now.failed && !was.failed
	for _, scope := range d.Scopes {
		change := Change{d, scope, was.state(scope), now.state(scope), was.rules(scope), now.rules(scope)}
		if change.Was != change.Now || was.differs(&now, scope, change.Now) {
			out.Changes = append(out.Changes, change)
		}
	}
	return out, nil
}

// replay evaluates a decision under one policy, and notes in the comparison if it cannot be
// read or if the result is not exact. An evaluation that misses its deadline is tried once
// more: other work may have delayed it.
func replay(ctx context.Context, policy uma.Replayer, d *Decision, c *Comparison) (side, error) {
	got, err := policy.Replay(ctx, &d.Recorded)
	if isLate(err) {
		got, err = policy.Replay(ctx, &d.Recorded)
	}
	switch {
	case ended(ctx):
		<-ctx.Done()
		return side{}, fmt.Errorf("evaluate decision %s again: %w", d.ID, context.Cause(ctx))
	case errors.Is(err, uma.ErrUnreadable):
		c.Skipped = skipUnread
		return side{}, nil
	}
	if got.Inexact != "" {
		c.Inexact = got.Inexact
	}
	return side{result: got.Result, decided: got.Decided, failed: err != nil || got.Failed != "", late: isLate(err)}, nil
}

func isLate(err error) bool { return err != nil && err.Error() == uma.ErrorDeadline }

// ended reports whether the context has ended, or is about to: an evaluation stops at its
// deadline, which may be a moment before the context knows it.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) <= 0
}
