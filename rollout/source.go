// Package rollout takes policies from their sources into force: it reads them, runs the gates,
// and activates them. A node's loop calls it for the proposals of a realm's source, commands
// for the orders of people.
package rollout

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// Source reads a policy folder or bundle file. Without one the policy is the shipped library
// alone.
func Source(path string) (engine.Source, error) {
	c, err := Read(path)
	if err != nil {
		return engine.Source{}, err
	}
	return c.Source, nil
}

// A Content is what a policy folder or bundle file has.
type Content struct {
	engine.Source
	Tests  map[string]string // contents of *_test.rego
	Unread []string          // paths of files that look like data but are not read because of their names
}

// Read reads a policy folder or bundle file, with its tests. It ignores signatures.
func Read(path string) (*Content, error) { return readSigned(path, nil, time.Time{}) }

// readSigned reads a policy folder or bundle file that must be signed with keys; nil: none.
func readSigned(path string, keys *bundles.Keys, now time.Time) (*Content, error) {
	if path == "" {
		return &Content{}, nil
	}
	b, err := bundles.ReadPath(path, bundles.Options{Parser: engine.ParserOptions(), Folder: Shown(path), Keys: keys, Now: now})
	if err != nil {
		return nil, err
	}
	return contentOf(b, Shown(path)), nil
}

// contentOf is the content of a bundle; from is put before the paths of its files.
func contentOf(b *bundles.Bundle, from string) *Content {
	c := &Content{
		Source: engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data, Folder: from},
		Tests:  b.TestFiles,
	}
	c.Beside = maps.Clone(b.TestFiles)
	if b.Manifest != "" {
		c.Beside[bundles.ManifestName] = b.Manifest
	}
	for _, name := range b.Unread {
		c.Unread = append(c.Unread, filepath.Join(from, filepath.FromSlash(name)))
	}
	return c
}

// Test has the tests run, together with the shipped library. Of the empty filter, all match.
func (c *Content) Test(ctx context.Context, examine Examiner, filter string) (*bundles.Results, error) {
	files := maps.Clone(c.Files)
	maps.Copy(files, c.Tests)
	outcome, err := examine.run(ctx, &Job{Folder: c.Folder, Files: files, Filter: filter})
	if err != nil {
		return nil, err
	}
	return outcome.Results, nil
}

// Parse makes the Source of policy files that are in the database.
func Parse(files map[string]string) (engine.Source, error) {
	b, err := bundles.Parse(files, bundles.Options{Parser: engine.ParserOptions()})
	if err != nil {
		return engine.Source{}, fmt.Errorf("read the policy in the database: %w", err)
	}
	return engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data}, nil
}

// Shown returns the path of a folder or bundle file for messages: relative to the working directory, if
// that is shorter, so that an editor can open it.
func Shown(dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return dir
	}
	if from, err := filepath.Rel(here, dir); err == nil && len(from) < len(dir) {
		return from
	}
	return dir
}

// CheckPolicy compiles a policy as a server does, and reports every mistake. It returns the
// files that look like data but are not read because of their names.
func CheckPolicy(ctx context.Context, realm string, settings uma.PolicySettings) (unread []string, err error) {
	c, err := Read(settings.Bundle)
	if err != nil {
		return nil, err
	}
	_, err = engine.New(engine.Config{}).Check(ctx, realm, settings, c.Source)
	return c.Unread, err
}

// TestPolicy has the tests run of a policy folder or bundle file, together with the shipped library.
func TestPolicy(ctx context.Context, examine Examiner, settings uma.PolicySettings, filter string) (*bundles.Results, error) {
	c, err := Read(settings.Bundle)
	if err != nil {
		return nil, err
	}
	return c.Test(ctx, examine, filter)
}

// NewStoredReplayer compiles, for comparisons, a stored revision with the library that is stored with it. Its
// entry point is that of the settings, or one that the revision was compiled for.
func NewStoredReplayer(ctx context.Context, rev *uma.Revision, settings uma.PolicySettings, entrypoints ...string) (uma.Replayer, error) {
	src, settings, err := storedSource(rev, settings, entrypoints)
	if err != nil {
		return nil, err
	}
	replayer, err := engine.NewReplayer(ctx, rev.Realm, settings, src)
	if err != nil {
		return nil, err
	}
	return replayer.WithoutLabels(), nil
}

// NewStoredProber compiles a stored revision as NewStoredReplayer does, to ask what it would
// decide.
func NewStoredProber(ctx context.Context, rev *uma.Revision, settings uma.PolicySettings, entrypoints ...string) (*engine.Prober, error) {
	src, settings, err := storedSource(rev, settings, entrypoints)
	if err != nil {
		return nil, err
	}
	return engine.NewProber(ctx, rev.Realm, settings, src)
}

// storedSource returns the policy of a stored revision, and settings with its entry point.
func storedSource(rev *uma.Revision, settings uma.PolicySettings, entrypoints []string) (engine.Source, uma.PolicySettings, error) {
	settings.Entrypoint = engine.StoredEntrypoint(rev, append([]string{settings.Entrypoint}, entrypoints...)...)
	if settings.Entrypoint == "" {
		return engine.Source{}, settings, fmt.Errorf("policy revision %s has an entry point that neither its realm nor its records name", rev.Hash)
	}
	src, err := Parse(engine.RealmFiles(rev.Sources))
	src.Library = engine.StoredLibrary(rev.Sources)
	return src, settings, err
}
