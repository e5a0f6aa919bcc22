// Package rollout takes policies from their sources into force: it reads them, runs the gates,
// and activates them. A node's loop calls it for the proposals of a realm's source, commands
// for the orders of people.
package rollout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// Source reads a policy folder or bundle file. Without one the policy is the shipped library
// alone.
func Source(path string) (engine.Source, error) {
	src, _, err := read(path)
	return src, err
}

// read also returns the files that look like data but are not read because of their names.
func read(path string) (src engine.Source, unread []string, err error) {
	if path == "" {
		return engine.Source{}, nil, nil
	}
	b, err := bundles.ReadPath(path, bundles.Options{Parser: engine.ParserOptions(), Folder: Shown(path)})
	if err != nil {
		return engine.Source{}, nil, err
	}
	for _, name := range b.Unread {
		unread = append(unread, filepath.Join(Shown(path), filepath.FromSlash(name)))
	}
	return engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data, Folder: Shown(path)}, unread, nil
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
	src, unread, err := read(settings.Bundle)
	if err != nil {
		return nil, err
	}
	_, err = engine.New(engine.Config{}).Check(ctx, realm, settings, src)
	return unread, err
}

// TestPolicy runs the tests of a policy folder or bundle file, together with the shipped library.
func TestPolicy(ctx context.Context, settings uma.PolicySettings, filter string) (*bundles.Results, error) {
	b, err := bundles.ReadPath(settings.Bundle, bundles.Options{Parser: engine.ParserOptions(), Folder: Shown(settings.Bundle), Located: true})
	if err != nil {
		return nil, err
	}
	parts, err := engine.Assemble(engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data, Folder: Shown(settings.Bundle)})
	if err != nil {
		return nil, err
	}
	return bundles.Test(ctx, bundles.Suite{
		Compiler: parts.Compiler, Modules: parts.Modules, Tests: b.Tests, Data: parts.Data, Cover: b.Modules, Filter: filter,
		Mistakes: engine.CompilerErrors,
	})
}

// NewStoredReplayer compiles a stored revision with the library that is stored with it. Its
// entry point is that of the settings, or one that the revision was compiled for.
func NewStoredReplayer(ctx context.Context, rev *uma.Revision, settings uma.PolicySettings, entrypoints ...string) (uma.Replayer, error) {
	src, settings, err := storedSource(rev, settings, entrypoints)
	if err != nil {
		return nil, err
	}
	return engine.NewReplayer(ctx, rev.Realm, settings, src)
}

// NewStoredExplainer compiles a stored revision as NewStoredReplayer does, to explain recorded
// decisions.
func NewStoredExplainer(ctx context.Context, rev *uma.Revision, settings uma.PolicySettings, entrypoints ...string) (*engine.Explainer, error) {
	src, settings, err := storedSource(rev, settings, entrypoints)
	if err != nil {
		return nil, err
	}
	return engine.NewExplainer(ctx, rev.Realm, settings, src)
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
