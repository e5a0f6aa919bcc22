package rows

import (
	"fmt"

	"example.com/umpire/uma"
)

// Replaced returns the period in force that an activation replaces, the zero value without one, or
// uma.ErrMoved if it may not: see uma.Revisions.
func Replaced(a *uma.Activation, state *uma.PolicyState) (active uma.Period, err error) {
	if state.Active != nil {
		active = *state.Active
	}
	switch {
	case active.Key != a.Over:
		err = uma.ErrMoved
	case a.Proposed && (active.Pinned || a.Content == state.Taken):
		err = fmt.Errorf("the proposal is not to be taken: %w", uma.ErrMoved)
	case a.Unconfirmed && !active.Overdue(a.Revision.Since):
		err = fmt.Errorf("the policy in force is not overdue: %w", uma.ErrMoved)
	}
	if err != nil {
		err = fmt.Errorf("policy of realm %s: %w", a.Revision.Realm, err)
	}
	return active, err
}
