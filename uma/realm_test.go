package uma

import "testing"

func TestPublicURL(t *testing.T) {
	t.Parallel()
	photoz := &Snapshot{Realm: Realm{Name: "photoz"}}
	for base, want := range map[PublicURL]string{
		"https://as.example":      "https://as.example/realms/photoz",
		"https://as.example/auth": "https://as.example/auth/realms/photoz",
	} {
		if got := base.Realm(photoz); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := base.Root(); got != "https://as.example" {
			t.Errorf("%s: got root %s", base, got)
		}
	}
}
