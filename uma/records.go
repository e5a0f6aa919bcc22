package uma

import (
	"context"
	"time"
)

// A Record is a decision record: an OPA decision log event and the columns it
// is found by.
type Record struct {
	Seq      int64
	ID       string
	Batch    string
	Realm    string
	Time     time.Time
	Kind     string // of the input
	Outcome  string // of this permission: granted, partial, need_info, submitted, denied, error
	Answered string // to the whole request: granted, or the Reason of the refusal
	Subject  string
	Client   string
	Server   string // client_id
	Resource ResourceID
	Revision string
	Request  string   // request_id; empty in records of earlier versions
	Rules    []string // labels of rules that held, "team/rule"
	Event    []byte   // masked JSON
}

// Decisions keeps decision records. Records are written by Commit.
type Decisions interface {
	// FindDecisions returns a page of records, newest first.
	FindDecisions(ctx context.Context, f DecisionFilter, limit int) ([]Record, error)

	// EachDecision calls each with every record that f describes, oldest first. It reads
	// pages, each in a read transaction of its own, so that a slow consumer keeps none open.
	// It returns the first error of each.
	EachDecision(ctx context.Context, f DecisionFilter, each func(*Record) error) error

	// Decision returns one by its decision_id, or ErrNotFound.
	Decision(ctx context.Context, id string) (*Record, error)

	// DecisionsAfter returns at most limit records that follow seq, in order. If it returns
	// fewer, this process has committed no more. What others have committed may be returned
	// only by the call that finds no more of this process.
	DecisionsAfter(ctx context.Context, seq int64, limit int) ([]Record, error)

	// LastDecision is the highest seq, 0 without any. If all records were removed, it may be
	// that of the last of them.
	LastDecision(ctx context.Context) (int64, error)

	// PruneDecisions removes the oldest records, at most limit, up to the first one that is
	// not older than before, so that it leaves no gap. Their numbers are never reused. It
	// returns how many it removed. A record that a sink has not delivered stays until it is
	// older than before by more than the sink's Hold; then it is removed, and counted in
	// Sink.Cut. A store that keeps records in partitions removes a whole partition of such
	// records at once, however many they are.
	PruneDecisions(ctx context.Context, before time.Time, limit int) (int, error)
}

// A DecisionFilter narrows a search; empty fields do not.
type DecisionFilter struct {
	Realm, Subject, Client, Outcome string
	Resource                        ResourceID
	Rule                            string // one of Record.Rules
	Request, Revision               string
	Since, Until                    time.Time
	Before, After                   int64 // seq: the next page, of either order
}
