package adminapi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// An Order says which policy a realm gets, by whom and why.
type Order struct {
	Realm, Note string
	By          string // over the admin API, the token's name is used

	Revision string        // activate: a stored revision, by the beginning of its hash
	Path     string        // or a policy folder or bundle file
	Confirm  time.Duration // of activate; see rollout.Order
	Revoke   bool          // of rollback

	source string // for the history; empty: Path
}

func (o *Order) rollout() rollout.Order {
	return rollout.Order{Realm: o.Realm, By: o.By, Note: o.Note, Confirm: o.Confirm, Revoke: o.Revoke}
}

// A Change is what an order changed. The JSON of a command has the first two members.
type Change struct {
	Revision  string     `json:"revision"`
	Previous  string     `json:"previous"`             // empty: none
	Asked     string     `json:"asked,omitempty"`      // the stored revision whose files these are
	ConfirmBy *time.Time `json:"confirm_by,omitempty"` // it is rolled back then, unless it is confirmed

	Report *rollout.Report `json:"report,omitempty"` // of the gates that a folder or bundle file passed
}

func newChange(c *rollout.Change) *Change {
	change := &Change{Revision: c.Revision, Previous: c.Previous, Asked: c.Asked, Report: c.Report}
	if !c.ConfirmBy.IsZero() {
		at := c.ConfirmBy.UTC()
		change.ConfirmBy = &at
	}
	return change
}

// Activate puts a policy in force and pins it.
func (l *Local) Activate(ctx context.Context, o Order) (*Change, error) {
	order := o.rollout()
	if err := order.Check(); err != nil {
		return nil, admin.Errorf(admin.InvalidRequest, "%v", err)
	}
	switch {
	case o.source != "": // an upload
		order.Source = o.source
		return changed(l.Rollout.ActivateUpload(ctx, order, o.Path))
	case o.Path != "":
		order.Source = o.Path
		return changed(l.Rollout.ActivateFolder(ctx, order, o.Path))
	}
	rev, err := FindRevision(ctx, l.Store, o.Realm, o.Revision)
	if err != nil {
		return nil, err
	}
	return changed(l.Rollout.ActivateRevision(ctx, order, rev))
}

// Rollback puts the policy of the period before in force and pins it.
func (l *Local) Rollback(ctx context.Context, o Order) (*Change, error) {
	order := o.rollout()
	if err := order.Check(); err != nil {
		return nil, admin.Errorf(admin.InvalidRequest, "%v", err)
	}
	return changed(l.Rollout.Rollback(ctx, order))
}

// changed returns what an order changed, or an *admin.Error if it was refused.
func changed(change *rollout.Change, err error) (*Change, error) {
	if err != nil {
		return nil, orderError(err)
	}
	return newChange(change), nil
}

func orderError(err error) error {
	if refused, ok := errors.AsType[*rollout.RefusedError](err); ok {
		return &admin.Error{Code: admin.Refused, Message: refused.Error()}
	}
	if cannot, ok := errors.AsType[*rollout.CannotError](err); ok {
		return &admin.Error{Code: admin.Conflict, Message: cannot.Error()}
	}
	return err
}

// Confirm keeps a policy that is rolled back otherwise.
func (l *Local) Confirm(ctx context.Context, realm, by string) (*Period, error) {
	period, err := l.Rollout.Confirm(ctx, realm, by)
	if err != nil {
		return nil, orderError(err)
	}
	row := NewPeriod(*period)
	return &row, nil
}

// Release ends the pin of the policy in force.
func (l *Local) Release(ctx context.Context, realm string) (*Period, error) {
	err := l.Store.ReleasePolicy(ctx, realm)
	if errors.Is(err, uma.ErrNotFound) {
		return nil, admin.Errorf(admin.Conflict, "realm %s has no policy in force yet: start `umpire serve`, or use `umpire policy activate FOLDER`", realm)
	}
	if err != nil {
		return nil, err
	}
	state, err := l.Store.PolicyState(ctx, realm)
	if err != nil {
		return nil, err
	}
	row := NewPeriod(*state.Active)
	return &row, nil
}

// Local reads uploads into files of this name, so that a policy is read in one way only.
const uploadPattern = "umpire-upload-*.tar.gz"

// withUpload calls f with the path of a file with the body of a call. In an error of f the
// path is replaced by the name that the client gives the policy.
func withUpload(c *admin.Call, name string, f func(path string) (any, error)) (answer any, err error) {
	file, err := os.CreateTemp("", uploadPattern)
	if err != nil {
		return nil, fmt.Errorf("keep an upload: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	_, err = file.ReadFrom(c.Body)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("keep an upload: %w", err)
	}
	answer, err = f(file.Name())
	return answer, renamed(err, rollout.Shown(file.Name()), name)
}

// renamed replaces a path in what was refused.
func renamed(err error, path, name string) error {
	refused, ok := errors.AsType[*admin.Error](err)
	if !ok {
		return err
	}
	refused.Message = strings.ReplaceAll(refused.Message, path, name)
	return err
}
