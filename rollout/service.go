package rollout

import (
	"fmt"
	"io"
	"path/filepath"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/place"
	"example.com/umpire/uma"
)

// ReadArchive reads a bundle file that came from an OPA service; from is put before the paths of
// files in mistakes.
func ReadArchive(content io.Reader, from string, o bundles.Options) (*Content, error) {
	o.Parser, o.Folder = engine.ParserOptions(), from
	b, err := bundles.ReadArchive(content, o)
	if err != nil {
		return nil, err
	}
	c := &Content{
		Source: engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data, Folder: from},
		Tests:  b.TestFiles,
	}
	for _, name := range b.Unread {
		c.Unread = append(c.Unread, filepath.Join(from, filepath.FromSlash(name)))
	}
	return c, nil
}

// Elsewhere says why commands cannot examine the policies of a realm: they come from a service,
// and commands read no network. It is nil if the policies are on this machine.
func Elsewhere(realm string, settings uma.PolicySettings) error {
	if !settings.FromService() {
		return nil
	}
	return fmt.Errorf("the policies of realm %s come from %s, which commands do not ask: name the bundle file or the policy folder, and this file with --realm", realm, settings.Source())
}

// notExamined is the finding about policies that come from a service.
func notExamined(settings uma.PolicySettings) Finding {
	return Finding{Gate: GateReadable, Mistake: place.Mistake{
		Text: "the policies come from " + settings.Source() + ": they are examined when a server takes them",
	}}
}
