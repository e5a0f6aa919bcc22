package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"example.com/umpire/uma"
)

// An event is the source of OPA's decision log event (EventV1 of its plugins/logs): the
// three documents that masks may change, as JSON, and the rest.
type event struct {
	*uma.Event
	realm, revision string
	input, result   []byte // nil: left out
	nd              []byte
	erased, masks   []string
	requestedBy     string
	failed          string
	cached          bool
	decided         []uma.ScopeDecision
	asked           []uma.Scope
	stand           map[string]string // of a stub: members of custom in place of its documents
}

// maxRecord is how many bytes a record may have. Clients' data is limited where it comes
// in, but the data of the realm's users, policies and resources is not, and a request has
// up to policy.max_permissions records.
const maxRecord = 64 << 10

// Encode makes the decision log event of a decision. If it cannot be masked or is too
// large, it is a stub, so that every decision has a record, and the error says why.
func (p *policy) Encode(ctx context.Context, ev *uma.Event) ([]byte, error) {
	e := event{Event: ev, realm: p.realm, revision: p.hash, requestedBy: ev.Input.Context.IP, failed: ev.Error}
	if ev.Eval != nil {
		e.nd = ev.Eval.NDCache
		e.failed, e.cached = cmp.Or(e.failed, ev.Eval.Failed), ev.Eval.Cached
	}
	if ev.Output != nil {
		e.asked = ev.Asked
		if ev.Eval != nil {
			e.decided = ev.Eval.Decided
		}
	}
	if p.mask == nil {
		w := writer{buf: make([]byte, 0, 2048)}
		if e.write(&w, true); w.err == nil && len(w.buf) <= maxRecord {
			return w.value(0), nil
		}
	}
	w := writer{buf: make([]byte, 0, 2048)}
	w.input("", ev.Input)
	e.input = w.value(0)
	if at := len(w.buf); ev.Output != nil {
		w.output("", ev.Output)
		e.result = w.value(at)
	}
	if w.err != nil {
		return e.stub("the record could not be written", w.err)
	}
	if p.mask != nil {
		if err := p.masked(ctx, &e); err != nil {
			return e.stub("the record could not be masked", fmt.Errorf("mask: %w", err))
		}
	}
	raw := e.json()
	if len(raw) > maxRecord {
		return e.stub("the record is too large", fmt.Errorf("%d bytes; a record may have %d", len(raw), maxRecord))
	}
	return raw, nil
}

// json returns the event made of its documents.
func (e *event) json() []byte {
	w := writer{buf: make([]byte, 0, len(e.input)+len(e.result)+1024)}
	e.write(&w, false)
	return w.value(0)
}

// write writes the event with OPA's names and in OPA's order. If it is whole, input and result
// are written as no mask changed them; else as the documents that masks may have changed.
func (e *event) write(w *writer, whole bool) {
	w.object("")
	w.object("labels")
	for _, name := range sortedKeys(e.Labels) {
		w.key(name)
		w.text("", e.Labels[name])
	}
	w.endObject()
	w.text("decision_id", e.ID)
	writeOptional(w, "batch_decision_id", e.Batch)
	writeOptional(w, "trace_id", e.Input.Context.TraceID)
	w.object("bundles")
	w.key(e.realm)
	w.object("")
	w.text("revision", e.revision)
	w.endObject()
	w.endObject()
	w.text("path", e.Path)
	if whole {
		w.input("input", e.Input)
		w.output("result", e.Output)
	} else {
		w.document("input", e.input)
		w.document("result", e.result)
	}
	w.document("nd_builtin_cache", e.nd)
	if len(e.erased) > 0 {
		w.texts("erased", e.erased)
	}
	if len(e.masks) > 0 {
		w.texts("masked", e.masks)
	}
	writeOptional(w, "error", e.failed)
	writeOptional(w, "requested_by", e.requestedBy)
	w.text("timestamp", e.Timestamp.UTC().Format(time.RFC3339Nano))
	w.tail(e)
	w.endObject()
}

// document writes a document that may have been left out.
func (w *writer) document(name string, raw []byte) {
	if raw != nil {
		w.raw(name, raw)
	}
}

// tail writes the members that come after the timestamp.
func (w *writer) tail(e *event) {
	if e.Eval != nil {
		w.object("metrics")
		w.number("timer_rego_query_eval_ns", e.Eval.Took.Nanoseconds())
		w.endObject()
	}
	// OPA's req_id is a number. Ours is text, in input.context.request_id; if a proxy
	// numbers its requests, both have it.
	if id, err := strconv.ParseUint(e.Input.Context.RequestID, 10, 64); err == nil {
		w.raw("req_id", strconv.AppendUint(nil, id, 10))
	}
	if e.Eval != nil && len(e.Eval.RuleLabels) > 0 {
		w.list("rule_labels")
		for _, labels := range e.Eval.RuleLabels {
			w.any(labels)
		}
		w.endList()
	}
	w.custom(e)
}

// subjectID returns how its issuer knows the party (RFC 9493); nil for a local one, or if a
// mask changed that in the input.
func (e *event) subjectID() *uma.SubjectID {
	subject := &e.Input.Subject
	if subject.Issuer == "" {
		return nil
	}
	for _, name := range []string{"issuer", "external_id"} {
		changed := func(mask string) bool { return touchesMasked(mask, []string{"input", "subject", name}) }
		if slices.ContainsFunc(e.erased, changed) || slices.ContainsFunc(e.masks, changed) {
			return nil
		}
	}
	return uma.SubjectIDOf(subject.Issuer, subject.ExternalID)
}

// custom writes the data that OPA's event has no member for: the answer to the client, how its
// issuer knows the party, the rules that decided, whether the decision was found instead of
// evaluated and, for a stub, the hashes of the documents that are left out.
func (w *writer) custom(e *event) {
	party := e.subjectID()
	if e.Answered == "" && len(e.decided) == 0 && len(e.stand) == 0 && party == nil && !e.cached {
		return
	}
	w.object("custom")
	writeOptional(w, "answered", e.Answered)
	if party != nil {
		w.object("sub_id")
		w.text("format", party.Format)
		w.text("iss", party.Issuer)
		w.text("sub", party.Subject)
		w.endObject()
	}
	if len(e.decided) > 0 {
		w.list("decided")
		for i := range e.decided {
			d := &e.decided[i]
			w.object("")
			w.text("scope", string(d.Scope))
			w.text("decision", d.Decision)
			w.texts("rules", d.Rules)
			w.endObject()
		}
		w.endList()
	}
	if len(e.asked) > 0 {
		w.scopes("asked", e.asked)
	}
	if e.cached {
		w.bool("cached", true)
	}
	for _, name := range sortedKeys(e.stand) {
		w.text(name, e.stand[name])
	}
	w.endObject()
}
