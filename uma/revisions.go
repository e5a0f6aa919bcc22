package uma

import (
	"context"
	"time"
)

// Revisions keeps the policy of each realm: the sources of its revisions, the periods in
// which they were in force, and the proposals of its source. A source, such as a policy
// folder, proposes; the period that is kept here decides. Realms are named, as in decision
// records, because periods outlive them.
type Revisions interface {
	// ActivatePolicy stores the files of a revision, its sources once, ends the period in force,
	// begins one of the revision, ends the RPTs of withdrawn revisions, and raises the
	// realm's generation, in one commit. So no grant of the revision before commits after
	// it. It returns the key of the period in force. A proposal whose revision is in force
	// already is only remembered.
	//
	// ErrMoved: Over is no longer the period in force. For a proposal also: the period is
	// pinned, or the content is the last that was taken. With Unconfirmed: the period is not
	// overdue.
	ActivatePolicy(ctx context.Context, a *Activation) (Key, error)

	// ReleasePolicy makes the period in force one that proposals may replace. The
	// generation of the realm stays, that of the store rises. ErrNotFound: no policy was
	// ever in force.
	ReleasePolicy(ctx context.Context, realm string) error

	// ConfirmPolicy ends the need to confirm a period, and replaces its note. ErrNotFound: it
	// is not in force, needs no confirmation, or its time to be confirmed is over.
	ConfirmPolicy(ctx context.Context, realm string, period Key, note string, now time.Time) error

	// NoteProposal remembers a proposal that was not taken, and why, until the next one is
	// taken or noted. Without a Problem it only forgets the one before.
	NoteProposal(ctx context.Context, realm string, p Proposal) error

	// PolicyState returns the period in force, and the proposals.
	PolicyState(ctx context.Context, realm string) (*PolicyState, error)

	// PolicyPeriods returns at most limit periods of a realm, newest first: those before
	// the key, or with 0 the last.
	PolicyPeriods(ctx context.Context, realm string, before Key, limit int) ([]Period, error)

	// RevisionInForce returns the revision in force of a realm, or ErrNotFound.
	RevisionInForce(ctx context.Context, realm string) (*Revision, error)

	// Revision returns one of a realm by its hash, or ErrNotFound.
	Revision(ctx context.Context, realm, hash string) (*Revision, error)

	// PruneRevisions removes the sources of some revisions that no record names, except
	// those in force now or in the last 15 seconds (decisions by them may be in progress),
	// and the last KeepRevisions of each realm. Periods stay. It returns how many it
	// removed.
	PruneRevisions(ctx context.Context, now time.Time) (int, error)
}

// KeepRevisions is how many revisions of a realm are kept although no record names them,
// counted from the last one that was in force.
const KeepRevisions = 20

// A Revision is a policy of a realm that was in force. Its hash is that of its sources. The
// other files and the versions are those of its last activation.
type Revision struct {
	Hash    string
	Realm   string
	Sources map[string]string // by path: the realm's own, and the library with its schemas
	Beside  map[string]string // by path: tests and the manifest, which do not decide
	Since   time.Time
	OPA     string // versions; empty if an earlier version stored it
	Umpire  string
}

// A Period is a time in which one revision was a realm's policy. Keys rise with time.
type Period struct {
	Key      Key
	Realm    string
	Revision string
	Content  string // hash of the realm's own files: the same with another library
	Since    time.Time
	Until    time.Time // zero: it is in force
	By       string    // a user of the system, or "server"
	Source   string    // a path, or the revision that was activated again
	Note     string
	Pinned   bool // proposals wait until it is released

	// ConfirmBy is when a server rolls the period back unless it is confirmed before. Zero:
	// it needs no confirmation, or was confirmed.
	ConfirmBy time.Time

	Report string // of the gates that it passed, as JSON; empty: none ran
}

// Overdue reports whether the period in force was not confirmed in time.
func (p *Period) Overdue(now time.Time) bool {
	return !p.ConfirmBy.IsZero() && !now.Before(p.ConfirmBy)
}

// An Activation begins a period.
type Activation struct {
	Revision *Revision // Since is when the period begins
	Content  string
	Over     Key // the period in force, as whoever activates knows it; 0: none
	By       string
	Source   string
	Note     string
	Pinned   bool
	Proposed bool // by a source
	Report   string

	ConfirmBy   time.Time // as Period.ConfirmBy
	Unconfirmed bool      // only if the period in force is overdue when this one begins

	// Withdrawn are revisions whose RPTs end with the commit: those that it finds stored.
	// RPTs that are granted later by the same revisions do not end.
	Withdrawn []string
}

// MaxReport bounds the report of a period or proposal, in bytes.
const MaxReport = 64 << 10

// A Proposal is content of a realm's source that is not in force.
type Proposal struct {
	Content string // its hash; empty if it could not be read
	Source  string
	At      time.Time
	Problem string // why it is not in force
	Report  string // of the gates that refused it, as JSON; empty: none did
}

// A PolicyState is what is in force in a realm, and what its source proposed.
type PolicyState struct {
	Active  *Period  // nil: nothing was ever in force
	Taken   string   // the content that was proposed and taken last
	Waiting Proposal // that was not taken; without a Problem there is none
}
