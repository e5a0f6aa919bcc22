package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// Source reads a policy folder; an empty one stands for the shipped library
// alone.
func Source(dir string) (engine.Source, error) {
	src, _, err := read(dir)
	return src, err
}

// read also returns the files that may have been meant as data and are not read.
func read(dir string) (src engine.Source, unread []string, err error) {
	if dir == "" {
		return engine.Source{}, nil, nil
	}
	b, err := bundles.ReadDir(dir, bundles.Options{Parser: engine.ParserOptions(), Folder: shown(dir)})
	if err != nil {
		return engine.Source{}, nil, err
	}
	for _, name := range b.Unread {
		unread = append(unread, filepath.Join(shown(dir), filepath.FromSlash(name)))
	}
	return engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data, Folder: shown(dir)}, unread, nil
}

// parse is the source that Source reads of a folder with these files.
func parse(files map[string]string) (engine.Source, error) {
	b, err := bundles.Parse(files, bundles.Options{Parser: engine.ParserOptions()})
	if err != nil {
		return engine.Source{}, fmt.Errorf("read the policy in the database: %w", err)
	}
	return engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data}, nil
}

// shown is what a folder is called in messages: its path from where the command
// runs, so that an editor finds it, unless that is the longer one.
func shown(dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return dir
	}
	if from, err := filepath.Rel(here, dir); err == nil && len(from) < len(dir) {
		return from
	}
	return dir
}

// CheckPolicy compiles a policy as a server would, and reports every mistake. It
// returns the files that may have been meant as data and are not read.
func CheckPolicy(ctx context.Context, realm string, settings uma.PolicySettings) (unread []string, err error) {
	src, unread, err := read(settings.Bundle)
	if err != nil {
		return nil, err
	}
	_, err = engine.New(engine.Config{}).Check(ctx, realm, settings, src)
	return unread, err
}

// TestPolicy runs the tests of a policy folder, the shipped library beside it.
func TestPolicy(ctx context.Context, settings uma.PolicySettings, filter string) (*bundles.Results, error) {
	b, err := bundles.ReadDir(settings.Bundle, bundles.Options{Parser: engine.ParserOptions(), Folder: shown(settings.Bundle), Located: true})
	if err != nil {
		return nil, err
	}
	parts, err := engine.Assemble(engine.Source{Files: b.Files, Modules: b.Modules, Data: b.Data, Folder: shown(settings.Bundle)})
	if err != nil {
		return nil, err
	}
	return bundles.Test(ctx, bundles.Suite{
		Compiler: parts.Compiler, Modules: parts.Modules, Tests: b.Tests, Data: parts.Data, Cover: b.Modules, Filter: filter,
		Mistakes: engine.CompilerErrors,
	})
}
