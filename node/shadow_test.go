package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A disabled realm ends no shadow of another realm, and decisions that were made before it was disabled are
// still evaluated.
func TestShadowsBesideADisabledRealm(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.edit(t, "timeout: 1s", "timeout: 1s, shadow: policies")
	n := s.open(t, func(*Node) {})
	file := filepath.Join(filepath.Dir(s.file), "off.yaml")
	s.write(t, file, strings.Replace(s.text(t), "realm: r\n", "realm: off\nenabled: false\n", 1))
	realms, err := ReadRealms([]string{file}, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Load(t.Context(), realms); err != nil {
		t.Fatal(err)
	}
	if err := n.Core.Realms.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	settings, err := n.shadow.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, realm := range []string{"r", "off"} {
		if settings[realm].Shadow != s.folder {
			t.Errorf("realm %s: got shadow %q, want %q", realm, settings[realm].Shadow, s.folder)
		}
	}
}
