package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"

	"example.com/umpire/uma"
)

// A Replayer is a compiled revision that evaluates recorded decisions again.
type Replayer struct {
	policy *policy
	reads  [][]string // the paths of the input that the policy reads
}

var _ uma.Replayer = (*Replayer)(nil)

// NewReplayer compiles a policy as Activate does, without activating it.
func NewReplayer(ctx context.Context, realm string, settings uma.PolicySettings, src Source) (*Replayer, error) {
	p, err := compile(ctx, realm, settings, src, time.Now)
	if err != nil {
		return nil, err
	}
	r := &Replayer{policy: p}
	refs, err := dependencies.Base(p.compiler, p.decision.body)
	if err != nil {
		return nil, fmt.Errorf("find what the policy reads: %w", err)
	}
	for _, ref := range refs {
		if path := inputPath(ref); path != nil {
			r.reads = append(r.reads, path)
		}
	}
	return r, nil
}

// WithoutLabels returns a Replayer whose evaluations have no RuleLabels, for comparisons, which
// read the rules that decided.
func (r *Replayer) WithoutLabels() *Replayer {
	policy := *r.policy
	policy.labels = false
	return &Replayer{&policy, r.reads}
}

// StoredEntrypoint returns the entry point among candidates that a stored revision was
// compiled for, "" if it is none of them. A revision does not have it, but its hash depends
// on it.
func StoredEntrypoint(rev *uma.Revision, candidates ...string) string {
	for _, entrypoint := range append(candidates, libraryEntrypoint) {
		if revisionOf(rev.Sources, entrypoint) == rev.Hash {
			return entrypoint
		}
	}
	return ""
}

// inputPath is the path below an event of what a reference to the input reads; nil for other
// references.
func inputPath(ref ast.Ref) []string {
	if !ref.HasPrefix(ast.InputRootRef) {
		return nil
	}
	path := []string{"input"}
	for _, term := range ref[1:] {
		if s, ok := term.Value.(ast.String); ok {
			path = append(path, string(s))
			continue
		}
		path = append(path, term.Value.String())
	}
	return path
}

// Revision implements uma.Replayer.
func (r *Replayer) Revision() string { return r.policy.hash }

// Replay implements uma.Replayer.
func (r *Replayer) Replay(ctx context.Context, rec *uma.Recorded) (*uma.Replayed, error) {
	out := &uma.Replayed{Evaluation: new(uma.Evaluation)}
	input, err := recordedValue(r.policy.names, rec.Input)
	if err != nil {
		return out, fmt.Errorf("%w: input: %w", uma.ErrUnreadable, err)
	}
	scopes, err := listOf(member(input, "scopes"), str[uma.Scope])
	if err != nil {
		return out, fmt.Errorf("%w: input.scopes: %w", uma.ErrUnreadable, err)
	}
	seed := &seed{id: rec.ID}
	run := &evaluation{seed: seed}
	if run.nd, err = recordedCalls(rec); err != nil {
		return out, fmt.Errorf("%w: nd_builtin_cache: %w", uma.ErrUnreadable, err)
	}
	ev, err := r.policy.decide(ctx, input, rec.Time, scopes, run)
	out.Evaluation = ev
	out.Inexact = r.masked(rec.Masked)
	if seed.random != nil {
		out.Inexact = "the record does not have the result of a random function"
	}
	if err != nil || ev.Failed != "" {
		return out, err
	}
	var w writer
	w.output("", &ev.Output)
	if w.err != nil {
		return out, fmt.Errorf("write the result: %w", w.err)
	}
	out.Result = w.value(0)
	return out, nil
}

// recordedCalls returns the calls of functions in a record's nd_builtin_cache. An evaluation
// adds to them, so that each needs its own. The record has the arguments of a call as the
// JSON text of a list: as a string, OPA would never find it. Calls that a mask replaced are
// left out.
func recordedCalls(rec *uma.Recorded) (builtins.NDBCache, error) {
	calls := make(builtins.NDBCache)
	if rec.NDCache == nil {
		return calls, nil
	}
	doc, err := recordedValue(nil, rec.NDCache)
	if err != nil {
		return nil, err
	}
	err = members(doc, nil, func(name string, results ast.Value) error {
		path := []string{"nd_builtin_cache", name}
		changed := func(text string) bool { return touchesMasked(text, path) }
		// The time is that of the record.
		if name == ast.NowNanos.Name || slices.ContainsFunc(rec.Masked, changed) {
			return nil
		}
		return members(results, nil, func(arguments string, result ast.Value) error {
			// ast.ParseTerm would read the same, more slowly.
			key, err := recordedValue(nil, []byte(arguments))
			if err != nil {
				return fmt.Errorf("%q is not a list of arguments", arguments)
			}
			calls.Put(name, key, result)
			return nil
		})
	})
	return calls, err
}

// masked returns why masks make a result inexact: they changed what the policy reads.
func (r *Replayer) masked(paths []string) string {
	for _, text := range paths {
		for _, path := range r.reads {
			if touchesMasked(text, path) {
				return "a mask changed " + text + ", which the policy reads"
			}
		}
	}
	return ""
}

// touchesMasked reports whether a mask of the path that erased or masked lists changed the
// value at path, or one above or below it. The parts may be escaped: see memberName.
func touchesMasked(text string, path []string) bool {
	i := 0
	for part := range strings.SplitSeq(strings.TrimPrefix(text, "/"), "/") {
		switch {
		case i == len(path):
			return true
		case part == path[i]:
		case !strings.ContainsAny(part, "%~") || memberName(map[string]any{path[i]: nil}, part) != path[i]:
			return false
		}
		i++
	}
	return true
}

// A seed is the source of random numbers of one evaluation, by the id of the decision, so
// that evaluating it once more has the same result.
type seed struct {
	id     string
	random *rand.ChaCha8 // nil: nothing was read
}

func (s *seed) Read(p []byte) (int, error) {
	if s.random == nil {
		s.random = rand.NewChaCha8(sha256.Sum256([]byte(s.id)))
	}
	return s.random.Read(p)
}
