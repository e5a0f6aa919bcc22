// Package storetest holds the promises of uma.Store as tests, which every driver
// runs. A promise that is not tested here is not one. What only a driver can
// arrange, such as a full queue, is tested beside it.
//
// The name of a file begins with the role of package uma that it tests: Realms is in
// realms.go and realms_*.go. The roles of uma.View are in view_*.go, races between writes
// in races.go.
package storetest

import (
	"testing"

	"example.com/umpire/uma"
)

// Run tests the stores that open returns: a new and empty one at each call, closed
// when its test ends.
func Run(t *testing.T, open func(t *testing.T) uma.Store) {
	suite := map[string]map[string]func(e *env){
		"Realms":               realmTests,
		"RealmsApply":          applyTests,
		"RealmsApplyResources": applyResourceTests,
		"RealmsPrune":          pruneTests,

		"Registrar":         registrarTests,
		"RegistrarClaims":   claimTests,
		"RegistrarFind":     findTests,
		"RegistrarRemovals": removalTests,

		"Tickets": ticketTests,

		"SharingRequests": requestTests,
		"SharingPolicies": policyTests,
		"SharingApprove":  approveTests,

		"SharingInvitations": invitationTests,

		"Sessions":    sessionTests,
		"Parties":     partyTests,
		"Issuers":     issuerTests,
		"Committer":   commitTests,
		"Decisions":   decisionTests,
		"Sinks":       sinkTests,
		"Revisions":   revisionTests,
		"Activations": activationTests,

		"Population": populationTests,
		"Shadows":    shadowTests,

		"AdminTokens": adminTokenTests,
		"Leases":      leaseTests,

		"View":          viewTests,
		"ViewCached":    cachedTests,
		"ViewRandom":    randomTests,
		"ViewUsers":     userTests,
		"ViewResources": resourceTests,
		"ViewSelect":    selectTests,
		"ViewShares":    shareTests,
		"ViewAccounts":  accountTests,
		"ViewOverview":  overviewTests,
		"ViewTokens":    validityTests,
		"ViewExpected":  expectedTests,

		"Limits": limitTests,

		"Races": raceTests,
	}
	run(t, suite, open)
}

// RunRecords tests those roles of a store that read decision records, for a driver that
// keeps them in several ways.
func RunRecords(t *testing.T, open func(t *testing.T) uma.Store) {
	run(t, map[string]map[string]func(e *env){
		"Decisions": decisionTests,
		"Sinks":     sinkTests,
		"Revisions": revisionTests,
		"Shadows":   shadowTests,
	}, open)
}

// RunViews tests what a store must promise of views, and the races between them and writes, for a driver
// whose tests run the rest without caches.
func RunViews(t *testing.T, open func(t *testing.T) uma.Store) {
	run(t, map[string]map[string]func(e *env){
		"View": viewTests, "ViewCached": cachedTests, "ViewRandom": randomTests, "ViewExpected": expectedTests, "ViewUsers": userTests,
		"ViewResources": resourceTests, "ViewShares": shareTests, "ViewTokens": validityTests, "Sessions": sessionTests,
		"Committer": commitTests, "Races": raceTests,
	}, open)
}

// RunCached tests what a store must promise that keeps rows in memory, for a driver that can
// keep some kinds of them without others.
func RunCached(t *testing.T, open func(t *testing.T) uma.Store) {
	run(t, map[string]map[string]func(e *env){"ViewCached": cachedTests}, open)
}

func run(t *testing.T, suite map[string]map[string]func(e *env), open func(t *testing.T) uma.Store) {
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
