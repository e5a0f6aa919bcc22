package tests

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// leaveWithoutKey makes a realm in the data folder as servers before this one
// could leave it: applied, and without a key.
func leaveWithoutKey(t testing.TB, data, realm string) {
	t.Helper()
	db, err := openStore(t, data, false, newClock().Now)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ApplyRealm(t.Context(), &uma.RealmChange{
		Realm: uma.Realm{Name: realm, Enabled: true, SigningAlg: "ES256", Policy: uma.PolicySettings{
			Entrypoint: "data.uma.authz.decision", Timeout: time.Second, MaxPermissions: 200, ResubmitAfter: time.Hour,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStartMakesMissingKeys: a realm that was left without a key has one once a
// server has started, whether its file is named or not.
func TestStartMakesMissingKeys(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	leaveWithoutKey(t, data, "keyless")
	e := start(t, func(o *options) { o.Data = data })
	if kids := e.in("keyless").kids(t); len(kids) != 1 {
		t.Errorf("got keys %v, want one", kids)
	}
}

// TestReadyNamesRealmsWithoutKey: such a realm cannot sign anything, so that the
// server is not ready, and says which.
func TestReadyNamesRealmsWithoutKey(t *testing.T) {
	t.Parallel()
	e := start(t)
	e.kids(t) // it has begun, and made the keys that were missing then
	leaveWithoutKey(t, e.Data, "keyless")
	res := e.do(t, request{method: "GET", url: e.Admin + "/readyz"})
	const want = "realm keyless has no active signing key"
	if res.status != 503 || !strings.Contains(string(res.raw), want) {
		t.Errorf("got %s, want 503 and %q", res, want)
	}
	log, err := os.ReadFile(filepath.Join(e.Data, "server.log"))
	if err != nil || !strings.Contains(string(log), want) {
		t.Errorf("the log does not name the realm (%v):\n%s", err, log)
	}
}

// TestKillWhileARealmIsNew: a first start is killed as soon as the realm is in the
// store. The next one signs.
func TestKillWhileARealmIsNew(t *testing.T) {
	t.Parallel()
	o := newOptions(t, nil)
	files := o.write(t)
	first := command(t, "serve", "--data", o.Data, "--listen", "127.0.0.1:0", "--admin-listen", "", "--realm", files[0])
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- first.Wait() }()
	for !hasRealm(t, o.Data) {
		select {
		case err := <-ended:
			t.Fatalf("it ended without a realm: %v", err)
		default:
		}
	}
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-ended
	p := spawn(t, o, files)
	p.newSignIn(t, "", "photoz-api", "")
	if kids := p.kids(t); len(kids) != 1 {
		t.Errorf("got keys %v, want one", kids)
	}
}

// hasRealm reports whether a data folder that another process is filling has a
// realm yet.
func hasRealm(t testing.TB, data string) bool {
	t.Helper()
	db, err := openStore(t, data, true, newClock().Now)
	if err != nil {
		return false
	}
	defer db.Close()
	names, err := db.RealmNames(t.Context())
	return err == nil && len(names) > 0
}
