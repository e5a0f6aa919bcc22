package rollout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// A busyStore cannot be read.
type busyStore struct{ Store }

func (busyStore) RevisionInForce(context.Context, string) (*uma.Revision, error) {
	return nil, uma.ErrBusy
}

// TestImpactOfABusyStore: a database that is busy for a moment must not refuse a policy until
// that changes. Where the gate blocks, it is an error, after which the gates run again; else a
// warning.
func TestImpactOfABusyStore(t *testing.T) {
	t.Parallel()
	service := &Service{Store: busyStore{}, Now: time.Now}
	for _, action := range []uma.GateAction{uma.GateBlocks, uma.GateWarns} {
		report, err := service.RunGates(t.Context(), &Examination{
			Realm: &uma.Realm{Name: "photoz"}, Content: &Content{}, Active: "a revision",
			settings: uma.PolicySettings{Timeout: time.Minute, Entrypoint: "data.uma.authz.decision", Gates: uma.Gates{Impact: action}},
		})
		if action == uma.GateWarns {
			if err != nil || len(report.Findings) != 1 || report.Findings[0].Severity != "warn" || !strings.Contains(report.Findings[0].Message, uma.ErrBusy.Error()) {
				t.Errorf("got %+v, %v, want a warning", report, err)
			}
			continue
		}
		if _, refused := errors.AsType[*GateError](err); refused || !errors.Is(err, uma.ErrBusy) {
			t.Errorf("got %v, want an error that is none of the policy", err)
		}
	}
}
