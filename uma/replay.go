package uma

import (
	"context"
	"errors"
	"time"
)

// A Recorded is a recorded decision, as far as it is needed to evaluate it again.
type Recorded struct {
	ID       string
	Time     time.Time
	Revision string
	Path     string   // of the entry point, such as uma/authz/decision
	Input    []byte   // JSON
	NDCache  []byte   // nd_builtin_cache, JSON; nil if it has none
	Masked   []string // paths that masks erased or replaced, such as /input/subject/username
}

// A Replayer is one revision of a realm's policy that evaluates recorded decisions again. It
// is safe for concurrent use.
type Replayer interface {
	// Revision is the hash of the policy's sources.
	Revision() string

	// Replay evaluates the entry point for a recorded input, at the recorded time and with
	// the recorded results of functions that answer differently at each call. Errors are
	// those of Evaluator.Decide; then the Evaluation has what is known. ErrUnreadable: the
	// record is damaged, or a mask replaced what every evaluation needs.
	Replay(ctx context.Context, r *Recorded) (*Replayed, error)
}

// A Replayed is the result of evaluating a recorded decision again.
type Replayed struct {
	*Evaluation
	Result []byte // the Output as a record has it; nil if there is none

	// Inexact is the reason why the result may differ from that of the original evaluation,
	// also under the same revision; empty: it cannot.
	Inexact string
}

// ErrUnreadable means that a decision cannot be evaluated again because of its record.
var ErrUnreadable = errors.New("the record cannot be read")

// The errors of records whose decisions cannot be evaluated again: they have no result of the
// policy, but one of the moment.
const (
	ErrorDeadline = "the policy took longer than its deadline"
	ErrorNoTime   = "no time left to evaluate the policy"
	ErrorStuck    = "the policy goes on after its deadline and cannot be stopped"
	ErrorPanic    = "panic in the policy engine"
	ErrorLostRace = "ticket_spent"      // another request spent the ticket meanwhile
	ErrorChanged  = "changed_meanwhile" // what the grant rests on changed at each attempt
)
