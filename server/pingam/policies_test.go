package pingam

import (
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
)

// TestRevision: an invitation keeps its id when its resource loses scopes, and the policy that
// shows it has changed all the same.
func TestRevision(t *testing.T) {
	t.Parallel()
	invited := func(scopes ...uma.Scope) string {
		return revision(&account.SharedResource{Invitations: []uma.Invitation{{ID: "v-1", Scopes: scopes}}})
	}
	before := invited("view", "print")
	if invited("view", "print") != before {
		t.Error("the same invitation has another revision")
	}
	if invited("view") == before {
		t.Error("an invitation that has lost a scope has the same revision")
	}
}
