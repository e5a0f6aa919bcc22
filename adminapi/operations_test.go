package adminapi

import (
	"maps"
	"testing"

	"example.com/umpire/uma"
)

// The right of every operation: what changes a policy needs more than what reads.
func TestRightsOfOperations(t *testing.T) {
	t.Parallel()
	want := map[string]uma.AdminRight{
		"GET /policy": "read", "GET /policy/history": "read", "POST /policy/impact": "read",
		"GET /decisions": "read", "GET /decisions/:id": "read", "GET /decisions/:id/explanation": "read",
		"POST /policy/activate": "policy", "POST /policy/rollback": "policy", "POST /policy/confirm": "policy", "POST /policy/release": "policy",
	}
	got := map[string]uma.AdminRight{}
	for _, op := range new(Local).Operations() {
		got[op.Method+" "+op.Path] = op.Right
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
