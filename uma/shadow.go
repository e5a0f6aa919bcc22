package uma

import (
	"context"
	"time"
)

// Shadows keeps how far the shadow policies of realms have come, and what they would have
// decided otherwise. Realms are named, as in decision records.
type Shadows interface {
	// Shadow returns the state of a realm's shadow, or ErrNotFound.
	Shadow(ctx context.Context, realm string) (*ShadowState, error)

	// SaveShadow stores a state and adds changes, in one commit, and raises s.Version. Of the
	// changes of a realm the last KeepShadowChanges stay. ErrMoved: s.Version is not the one
	// that is stored (0: none is stored). Then nothing is changed.
	SaveShadow(ctx context.Context, s *ShadowState, changes []ShadowChange) error

	// ShadowChanges returns at most limit changes of a realm, newest first.
	ShadowChanges(ctx context.Context, realm string, limit int) ([]ShadowChange, error)
}

// KeepShadowChanges is how many changes of a realm's shadow are kept.
const KeepShadowChanges = 1000

// A ShadowState is how far a realm's shadow has come.
type ShadowState struct {
	Realm    string
	Revision string    // the hash of the shadow's sources; empty before the first that compiles
	Cursor   int64     // seq of the last record that was evaluated
	Since    time.Time // when this revision began
	Problem  string    // why the shadow does not compile; empty: it does
	Version  int64

	ShadowCounts // since then
}

// ShadowCounts are what is counted of a shadow: decisions and, from Granted on, scopes.
type ShadowCounts struct {
	Replayed  int `json:"replayed"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	Inexact   int `json:"inexact"`
	Skipped   int `json:"skipped"`
	Missed    int `json:"missed"` // because the shadow was too far behind
	Requests  int `json:"requests_affected"`
	Granted   int `json:"newly_granted"`
	Refused   int `json:"newly_refused"`
	Different int `json:"different"`
}

// A ShadowChange is a scope that a shadow would have decided otherwise.
type ShadowChange struct {
	Revision string // of the shadow
	Change   []byte // JSON
}
