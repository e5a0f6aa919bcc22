package engine

import (
	"context"
	"fmt"
	"io"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"example.com/umpire/uma"
)

// maxTrace bounds a trace: its events, and hundreds of elements of the values that they show.
const maxTrace = 20_000

// Trace evaluates the policy for a recorded input, and writes OPA's trace of it. Rules that the
// index excludes are evaluated, too: otherwise the trace would not show why they did not hold.
func (e *Explainer) Trace(ctx context.Context, rec *uma.Recorded, w io.Writer) error {
	x, stop, err := e.begin(ctx, rec)
	if err != nil {
		return err
	}
	defer stop()
	trace := &boundedTracer{BufferTracer: topdown.NewBufferTracer(), cancel: &x.cancel}
	_, failed := x.solved(x.query(x.decision.body).WithQueryTracer(trace).WithIndexing(false).WithEarlyExit(false), 1)
	topdown.PrettyTraceWithOpts(unpadded{w}, *trace.BufferTracer, topdown.PrettyTraceOptions{Locations: true, ExprVariables: true})
	switch {
	case trace.cut:
		fmt.Fprintf(w, "the trace is cut after %d events: the rest is too large\n", len(*trace.BufferTracer))
	case failed != "":
		fmt.Fprintln(w, failed)
	}
	return ctx.Err()
}

// A boundedTracer ends an evaluation whose trace is too large.
type boundedTracer struct {
	*topdown.BufferTracer
	cancel topdown.Cancel
	size   int
	cut    bool
}

// TraceEvent implements topdown.QueryTracer. Each event is printed with its expression and the
// values of its variables.
func (t *boundedTracer) TraceEvent(event topdown.Event) {
	most, elements := 100*(maxTrace-t.size), 0
	count := func(term *ast.Term) bool {
		elements++
		if text, ok := term.Value.(ast.String); ok {
			elements += len(text) / 10
		}
		return elements > most
	}
	if _, rule := event.Node.(*ast.Rule); !rule { // only its name is printed
		ast.WalkTerms(event.Node, count)
	}
	event.Locals.Iter(func(_, value ast.Value) bool {
		ast.WalkTerms(ast.NewTerm(value), count)
		return elements > most
	})
	if t.size += 1 + elements/100; t.size > maxTrace {
		t.cut = true
		t.cancel.Cancel()
		return
	}
	t.BufferTracer.TraceEvent(event)
}

// unpadded shortens the spaces that fill columns up: one long expression would widen the rows of
// all events.
type unpadded struct{ w io.Writer }

const maxPadding = 200

func (u unpadded) Write(p []byte) (int, error) {
	short, spaces := make([]byte, 0, min(len(p), 1<<10)), 0
	for _, c := range p {
		if c != ' ' {
			spaces = 0
		} else if spaces++; spaces > maxPadding {
			continue
		}
		short = append(short, c)
	}
	_, err := u.w.Write(short)
	return len(p), err
}
