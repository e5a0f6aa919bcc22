package engine

import (
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"example.com/umpire/recent"
	"example.com/umpire/uma"
)

// A memo keeps answers of policies that are functions of parts of their input: equal parts have
// an equal answer. An answer is kept under its policy, so that one that is kept after its
// policy was replaced is never found.
type memo struct {
	answers  *recent.Sized[memoKey, *uma.Evaluation]
	hashers  sync.Pool
	policies atomic.Uint64 // how many had a number
}

// A memoKey is a policy, and the SHA-256 of the parts of the input that it may read.
type memoKey struct {
	policy uint64
	parts  [sha256.Size]byte
}

// newMemo returns a memo of so many bytes; nil, which keeps nothing, if there are none.
func newMemo(bytes int) *memo {
	if bytes <= 0 {
		return nil
	}
	m := &memo{answers: recent.NewSized[memoKey, *uma.Evaluation](recent.NewBudget(bytes))}
	m.hashers.New = func() any { return new(hasher) }
	return m
}

// remembering returns a policy whose answers are kept, if they are functions of the input.
func (m *memo) remembering(p *policy) *policy {
	if m == nil || p.functions == nil {
		return p
	}
	kept := *p
	kept.memo, kept.number = m, m.policies.Add(1)
	return &kept
}

// clear forgets all answers.
func (m *memo) clear() {
	if m != nil {
		m.answers.Clear()
	}
}

// key returns the key of a decision. ok is false if the decision is no function of the input, or
// if the input is not JSON.
func (p *policy) key(in *uma.Input) (key memoKey, ok bool) {
	if p.memo == nil {
		return key, false
	}
	reading, team := p.functions.of(in)
	if reading.because != "" {
		return key, false
	}
	h, _ := p.memo.hashers.Get().(*hasher)
	defer p.memo.hashers.Put(h)
	h.buf, h.open, h.err = h.buf[:0], append(h.open[:0], &reading.input), nil
	h.bytes(team)
	writeInput(h, in)
	return memoKey{p.number, sha256.Sum256(h.buf)}, h.err == nil
}

// Recall implements uma.Evaluator.
func (p *policy) Recall(in *uma.Input) *uma.Evaluation {
	start := p.now()
	key, ok := p.key(in)
	if !ok {
		return nil
	}
	kept, ok := p.memo.answers.Get(key)
	if !ok {
		return nil
	}
	ev := *kept
	ev.Cached, ev.Took = true, p.now().Sub(start)
	return &ev
}

// remember keeps an answer.
func (p *policy) remember(in *uma.Input, ev *uma.Evaluation) {
	if key, ok := p.key(in); ok {
		k := keeper{bytes: entryBytes}
		kept := k.evaluation(ev)
		p.memo.answers.Put(key, kept, k.bytes)
	}
}

// entryBytes are those of an entry of the memo without what its evaluation refers to.
const entryBytes = 128

// A keeper copies answers, so that they keep nothing else in memory: a text may be a part of a
// request's body. It counts their bytes.
type keeper struct{ bytes int }

func (k *keeper) evaluation(ev *uma.Evaluation) *uma.Evaluation {
	kept := &uma.Evaluation{
		Output: uma.Output{
			Granted: keepTexts(k, ev.Output.Granted), Submit: keepTexts(k, ev.Output.Submit), Reasons: keepTexts(k, ev.Output.Reasons),
			NeedInfo: keepList(k, ev.Output.NeedInfo, (*keeper).need), Obligations: keepList(k, ev.Output.Obligations, (*keeper).obligation),
			RestsOn: keepTexts(k, ev.Output.RestsOn), RPT: uma.RPTInstructions{TTL: ev.Output.RPT.TTL, Claims: keepMap(k, ev.Output.RPT.Claims, keepTexts)},
			SharesUnknown: ev.Output.SharesUnknown,
		},
		RuleLabels: keepList(k, ev.RuleLabels, func(_ *keeper, labels map[string]any) map[string]any { return labels }), // the policy's own
		Decided:    keepList(k, ev.Decided, (*keeper).decided),
	}
	k.bytes += int(reflect.TypeFor[uma.Evaluation]().Size())
	return kept
}

func (k *keeper) decided(d uma.ScopeDecision) uma.ScopeDecision {
	d.Scope, d.Rules, d.Places = keepText(k, d.Scope), keepTexts(k, d.Rules), nil
	return d
}

func (k *keeper) need(n uma.Need) uma.Need {
	n.Name, n.FriendlyName, n.Type = keepText(k, n.Name), keepText(k, n.FriendlyName), keepText(k, n.Type)
	n.Formats, n.Issuers, n.Scopes = keepTexts(k, n.Formats), keepTexts(k, n.Issuers), keepTexts(k, n.Scopes)
	if n.Redirect != nil {
		page := keepText(k, *n.Redirect)
		n.Redirect = &page
	}
	return n
}

func (k *keeper) obligation(o uma.Obligation) uma.Obligation {
	return uma.Obligation{ID: keepText(k, o.ID), Type: keepText(k, o.Type), Properties: keepMap(k, o.Properties, keepValue)}
}

// keepValue copies a value of a property, which ast.JSON made.
func keepValue(k *keeper, v any) any {
	switch v := v.(type) {
	case string:
		return keepText(k, v)
	case json.Number:
		return keepText(k, v)
	case []any:
		return keepList(k, v, keepValue)
	case map[string]any:
		return keepMap(k, v, keepValue)
	}
	return v
}

func keepText[S ~string](k *keeper, s S) S {
	k.bytes += len(s)
	return S(strings.Clone(string(s)))
}

func keepTexts[S ~string](k *keeper, list []S) []S { return keepList(k, list, keepText[S]) }

func keepList[T any](k *keeper, list []T, keep func(*keeper, T) T) []T {
	if list == nil {
		return nil
	}
	kept := make([]T, len(list))
	for i := range list {
		kept[i] = keep(k, list[i])
	}
	k.bytes += len(list) * int(reflect.TypeFor[T]().Size())
	return kept
}

func keepMap[V any](k *keeper, m map[string]V, keep func(*keeper, V) V) map[string]V {
	if m == nil {
		return nil
	}
	kept := make(map[string]V, len(m))
	for name, v := range m {
		kept[keepText(k, name)] = keep(k, v)
	}
	// a group of a map has eight members, and a large map is half full
	k.bytes += 56 + max(8, 2*len(m))*int(reflect.TypeFor[V]().Size()+reflect.TypeFor[string]().Size())
	return kept
}
