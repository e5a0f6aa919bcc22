package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/umpire/uma"
)

// Bounds of an order.
const (
	MaxNote      = 1000 // bytes
	LeastConfirm = 10 * time.Second
	MostConfirm  = 7 * 24 * time.Hour
)

// ByServer is Period.By of what a server activates.
const ByServer = "server"

// Check refuses an order beyond its bounds.
func (o *Order) Check() error {
	switch {
	case len(o.Note) > MaxNote:
		return fmt.Errorf("the note has %d bytes, more than %d bytes", len(o.Note), MaxNote)
	case o.Confirm != 0 && (o.Confirm < LeastConfirm || o.Confirm > MostConfirm):
		return fmt.Errorf("the time to confirm is between 10s and 7d, not %s", o.Confirm)
	}
	return nil
}

// Confirm keeps the policy in force of a realm, which is rolled back otherwise. It returns the
// period.
func (s *Service) Confirm(ctx context.Context, realm, by string) (*uma.Period, error) {
	state, err := s.Store.PolicyState(ctx, realm)
	switch {
	case err != nil:
		return nil, err
	case state.Active == nil || state.Active.ConfirmBy.IsZero():
		return nil, cannot("the policy in force of realm %s needs no confirmation: see `umpire policy history`", realm)
	}
	kept := *state.Active
	if kept.Note != "" {
		kept.Note += "; "
	}
	kept.Note += "confirmed by " + by
	err = s.Store.ConfirmPolicy(ctx, realm, kept.Key, kept.Note, s.Now())
	if errors.Is(err, uma.ErrNotFound) {
		return nil, cannot("revision %s of realm %s had to be confirmed by %s, or is no longer in force: see `umpire policy history`, and activate it again",
			kept.Revision, realm, kept.ConfirmBy.UTC().Format(time.RFC3339))
	}
	kept.ConfirmBy = time.Time{}
	return &kept, err
}

// RollBackUnconfirmed replaces a policy that was not confirmed in time by that of the last
// period before it that needed no confirmation or was confirmed, and pins that. ErrMoved: it
// was confirmed meanwhile, or another policy was activated.
func (s *Service) RollBackUnconfirmed(ctx context.Context, state *uma.PolicyState) (*Change, error) {
	late := state.Active
	before, err := s.confirmedBefore(ctx, late)
	if err != nil {
		return nil, err
	}
	return s.reactivate(ctx, Order{
		Realm: late.Realm, By: ByServer,
		Note: fmt.Sprintf("revision %.12s was not confirmed by %s", late.Revision, late.ConfirmBy.UTC().Format(time.RFC3339)),
	}, before.Revision, over{state: state, unconfirmed: true})
}

func (s *Service) confirmedBefore(ctx context.Context, late *uma.Period) (*uma.Period, error) {
	const page = 100
	for last := late.Key; ; {
		periods, err := s.Store.PolicyPeriods(ctx, late.Realm, last, page)
		if err != nil {
			return nil, err
		}
		for i := range periods {
			if periods[i].ConfirmBy.IsZero() {
				return &periods[i], nil
			}
		}
		if len(periods) < page {
			return nil, ErrNothingBefore
		}
		last = periods[page-1].Key
	}
}
