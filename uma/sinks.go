package uma

import (
	"context"
	"time"
)

// Sinks keeps where decision records are delivered to, and how far that has come. A sink
// gets every record of its realm from its start on, in order, at least once:
// PruneDecisions waits for it.
type Sinks interface {
	// KeepSinks makes the sinks those that are wanted. A new one starts after the last
	// record, with the Holder that is wanted. One that is there gets the wanted Kind, Realm,
	// Target and Hold; the rest of it stays. Others are removed. ErrMoved: generation is not
	// Realms.Generation now, so that a realm may want another sink; nothing is changed.
	KeepSinks(ctx context.Context, generation int64, wanted []Sink) error

	// TakeSinks makes a server the holder of sinks. Unknown names are ignored.
	TakeSinks(ctx context.Context, holder string, names []string) error

	// SaveSinks stores how far the sinks have come: Cursor, Delivered, Failed, Problem and
	// Skipped. A cursor never goes back. It returns the names of those that have another
	// Holder now, or were removed; nothing of them is stored.
	SaveSinks(ctx context.Context, sinks []Sink) (lost []string, err error)

	// AllSinks returns the sinks, by name.
	AllSinks(ctx context.Context) ([]Sink, error)

	// RecordsFor returns at most limit records that follow seq, in order, of a realm, or of
	// all realms if it is empty. Records of other realms are not read. If it returns fewer:
	// see Decisions.DecisionsAfter.
	RecordsFor(ctx context.Context, realm string, seq int64, limit int) ([]Record, error)

	// BacklogOf counts the records that follow seq, of a realm or of all. It counts at most
	// MaxBacklog of one realm.
	BacklogOf(ctx context.Context, realm string, seq int64) (Backlog, error)
}

// MaxBacklog bounds Backlog.Records of a realm: that many or more.
const MaxBacklog = 100_000

// A Sink is a place that decision records are delivered to.
type Sink struct {
	Name   string
	Kind   SinkKind
	Realm  string        // whose records; empty: those of all realms
	Target string        // shown: a path or a URL
	Hold   time.Duration // how long records that are due to be removed wait for delivery

	Holder string // the server that delivers
	Cursor int64  // Seq of the last record that was delivered

	Delivered time.Time // the last time a record was; zero: never
	Failed    time.Time // the last time delivery failed; zero: never
	Problem   string    // why it fails; empty if it does not
	Skipped   int64     // records that the sink cannot take, which are not delivered
	Cut       int64     // records that PruneDecisions removed before they were delivered
}

// A SinkKind says how records are delivered.
type SinkKind string

// The kinds of sinks.
const (
	SinkStdout SinkKind = "stdout"
	SinkFile   SinkKind = "file"
	SinkOPA    SinkKind = "opa" // POST /logs of an OPA service
)

// DefaultHold is the Hold of sinks for which nothing else is set.
const DefaultHold = 7 * 24 * time.Hour

// A Backlog is what a sink has not delivered.
type Backlog struct {
	Records int
	Oldest  time.Time // when the first of them was decided; zero without any
}
