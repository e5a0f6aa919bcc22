package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoPolicy: a new realm without a policy that works refuses, and the metrics say so. The server stays
// ready for the realms beside it: so do all others of the database, and a load balancer must not remove them all.
func TestNoPolicy(t *testing.T) {
	t.Parallel()
	e := start(t)
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "bad.rego"), []byte("package uma.authz\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(photozRealm(t), "realm: photoz", "realm: other", 1)
	e.apply(t, strings.Replace(other, "bundle: ./policies", "bundle: "+bad, 1))
	missing := func(realm string) string { return e.metric(t, `umpire_policy_missing{realm="`+realm+`"}`) }
	within1s(t, "the new realm without a policy", func() bool { return missing("other") == "1" })
	if res := e.admin(t, "/readyz"); res.status != 200 {
		t.Errorf("/readyz: got %s, want 200", res)
	}
	there := e.in("other")
	there.uma(t, there.as(t, "bob", "photoz-app"), "permission", "Public board").expect(t, 503, "server_error", "")
	ticket := there.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})
	there.uma(t, there.as(t, "bob", "photoz-app"), "ticket", ticket).expect(t, 503, "server_error", "")
	if got := e.board(t); got != 200 || missing("photoz") != "0" {
		t.Errorf("the realm beside it: got %d and umpire_policy_missing %s, want 200 and 0", got, missing("photoz"))
	}

	if err := os.WriteFile(filepath.Join(bad, "bad.rego"), []byte("package uma.policies.board\ngrant contains \"view\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	within1s(t, "a policy that works", func() bool { return missing("other") == "0" })
	there.uma(t, there.as(t, "bob", "photoz-app"), "ticket", ticket).expectGranted(t, "Public board: view")
}
