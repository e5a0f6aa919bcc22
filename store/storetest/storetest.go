// Package storetest holds the promises of uma.Store as tests, which every driver
// runs. A promise that is not tested here is not one. What only a driver can
// arrange, such as a full queue, is tested beside it.
package storetest

import (
	"testing"

	"example.com/umpire/uma"
)

// Run tests the stores that open returns: a new and empty one at each call, closed
// when its test ends.
func Run(t *testing.T, open func(t *testing.T) uma.Store) {
	suite := map[string]map[string]func(e *env){
		"View":      viewTests,
		"Realms":    realmTests,
		"Apply":     applyTests,
		"Prune":     pruneTests,
		"Users":     userTests,
		"Resources": resourceTests,
		"Select":    selectTests,
		"Find":      findTests,
		"Registrar": registrarTests,
		"Claims":    claimTests,
		"Removals":  removalTests,
		"Shares":    shareTests,
		"Requests":  requestTests,
		"Policies":  policyTests,
		"Approving": approvingTests,
		"Accounts":  accountTests,
		"Overview":  overviewTests,
		"Tickets":   ticketTests,
		"Sessions":  sessionTests,
		"Standing":  standingTests,
		"Commit":    commitTests,
		"Decisions": decisionTests,
		"Races":     raceTests,
	}
	for area, tests := range suite {
		t.Run(area, func(t *testing.T) {
			t.Parallel()
			for name, run := range tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					run(newEnv(t, open(t)))
				})
			}
		})
	}
}
