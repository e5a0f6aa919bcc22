package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// explainTimeout replaces policy.timeout: an evaluation that met its deadline at the time must
// not miss it on a slower machine.
const explainTimeout = time.Minute

// An Explanation says why a policy decides a request as it does. It is the JSON output of
// `umpire decisions explain`.
type Explanation struct {
	ID       string `json:"decision_id"`
	Revision string `json:"revision"` // of the policy that was evaluated
	Exact    bool   `json:"exact"`
	Inexact  string `json:"inexact,omitempty"` // why it is not exact
	engine.Explanation
	Trace []string `json:"trace,omitempty"`
}

// An Explainer is a policy that explains decisions.
type Explainer struct {
	explain *engine.Explainer
	replay  uma.Replayer
}

// NewExplainer compiles a policy that was read.
func NewExplainer(ctx context.Context, realm string, settings uma.PolicySettings, src engine.Source) (*Explainer, error) {
	settings.Timeout = explainTimeout
	explain, err := engine.NewExplainer(ctx, realm, settings, src)
	if err != nil {
		return nil, err
	}
	replay, err := engine.NewReplayer(ctx, realm, settings, src)
	return &Explainer{explain, replay}, err
}

// An ExplainStore is what stored policies are read from.
type ExplainStore interface {
	Snapshot(ctx context.Context, realm string, now time.Time) (*uma.Snapshot, error)
	Revision(ctx context.Context, realm, hash string) (*uma.Revision, error)
	RevisionInForce(ctx context.Context, realm string) (*uma.Revision, error)
}

// NewStoredExplainer compiles a stored revision of a realm with the library that is stored with
// it: the one with a hash or, if that is empty, the one in force. The path is that of the entry
// point of a record of the revision, or empty. The realm may be deleted. ErrNoActive,
// ErrNoRevision: there is none.
func NewStoredExplainer(ctx context.Context, store ExplainStore, realm, hash, path string, now time.Time) (*Explainer, error) {
	var settings uma.PolicySettings
	snapshot, err := store.Snapshot(ctx, realm, now)
	switch {
	case err == nil:
		settings = snapshot.Realm.Policy
	case !errors.Is(err, uma.ErrNotFound):
		return nil, fmt.Errorf("load realm %s: %w", realm, err)
	}
	var rev *uma.Revision
	if hash == "" {
		rev, err = store.RevisionInForce(ctx, realm)
		if errors.Is(err, uma.ErrNotFound) {
			return nil, fmt.Errorf("realm %s: %w", realm, ErrNoActive)
		}
	} else {
		rev, err = store.Revision(ctx, realm, hash)
		if errors.Is(err, uma.ErrNotFound) {
			return nil, fmt.Errorf("%s: %w", hash, ErrNoRevision)
		}
	}
	if err != nil {
		return nil, err
	}
	src, settings, err := storedSource(rev, settings, []string{EntrypointOf(path)})
	if err != nil {
		return nil, err
	}
	return NewExplainer(ctx, rev.Realm, settings, src)
}

// Explain explains a decision. It is exact if the policy is that of the record and decides as
// recorded; with another policy, if no mask changed what the policy reads and it calls no
// random function. uma.ErrUnreadable: the record cannot be evaluated.
func (x *Explainer) Explain(ctx context.Context, d *audit.Decision, trace bool) (*Explanation, error) {
	explained, err := x.explain.Explain(ctx, &d.Recorded)
	if err != nil {
		return nil, err
	}
	out := &Explanation{ID: d.ID, Revision: x.explain.Revision(), Explanation: *explained}
	if out.Inexact, err = x.inexact(ctx, d); err != nil {
		return nil, err
	}
	out.Exact = out.Inexact == ""
	if trace {
		var text bytes.Buffer
		if err := x.explain.Trace(ctx, &d.Recorded, &text); err != nil {
			return nil, err
		}
		out.Trace = strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	}
	return out, nil
}

// inexact returns why an explanation may not be that of the decision; "": it is.
func (x *Explainer) inexact(ctx context.Context, d *audit.Decision) (string, error) {
	if d.Revision != x.replay.Revision() {
		replayed, err := x.replay.Replay(ctx, &d.Recorded)
		if errors.Is(err, uma.ErrUnreadable) {
			return "", err
		}
		return replayed.Inexact, nil // an error of the policy is explained
	}
	comparer := audit.Comparer{Candidate: x.replay}
	c, err := comparer.Compare(ctx, d)
	switch {
	case err != nil:
		return "", err
	case c.Skipped != "":
		return "the record has no answer to compare with: " + c.Skipped, nil
	case c.Inexact != "":
		return c.Inexact, nil
	case c.Failed || len(c.Changes) > 0:
		return "this version of Umpire decides differently", nil
	}
	return "", nil
}
