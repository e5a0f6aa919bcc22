package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/place"
	"example.com/umpire/policies"
)

// A Source is a realm's policy as package bundles reads it from a folder or bundle file. Paths
// are relative and the same in all three maps.
type Source struct {
	Files   map[string]string         // contents, for the record and for the revision
	Modules map[string]*ast.Module    // the .rego files, parsed with ParserOptions, without tests
	Data    map[string]map[string]any // the data files, each under the root its folder gives it
	Folder  string                    // put before the paths in mistakes

	// Beside are files that are kept with the revision and do not decide: tests, a manifest.
	Beside map[string]string

	// Library has the library's files as a stored revision has them; nil: the shipped library.
	Library map[string]string
}

// StoredLibrary is the library among the sources of a revision.
func StoredLibrary(sources map[string]string) map[string]string {
	files := maps.Clone(sources)
	maps.DeleteFunc(files, func(path, _ string) bool { return !strings.HasPrefix(path, libraryPrefix) })
	return files
}

// library returns the library's files that the source is compiled with.
func (src *Source) library() (map[string]string, error) {
	if src.Library != nil {
		return maps.Clone(src.Library), nil
	}
	return librarySources()
}

// libraryPrefix begins the names of the library's files. No file of a realm may have such a
// name, because it would replace a file of the library.
const libraryPrefix = "/umpire/"

// checkNames returns a mistake for each file of a realm whose name is not relative, or is in
// the folder of the library.
func checkNames(src Source) (mistakes []error) {
	names := maps.Clone(src.Files)
	if names == nil {
		names = make(map[string]string)
	}
	for name := range src.Modules {
		names[name] = ""
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !fs.ValidPath(name) || strings.HasPrefix("/"+name, libraryPrefix) {
			mistakes = append(mistakes, &place.Mistake{File: name, Text: "a realm's files have relative paths, and the folder umpire is that of the shipped library"})
		}
	}
	return mistakes
}

// ParserOptions are the options that modules of a Source must be parsed with.
func ParserOptions() ast.ParserOptions {
	return ast.ParserOptions{
		ProcessAnnotation: true, // else there are no labels and no schemas
		RegoVersion:       ast.RegoV1,
		Capabilities:      capabilities(),
	}
}

// Library returns the parsed modules of the shipped library.
func Library() (map[string]*ast.Module, error) {
	sources, err := librarySources()
	if err != nil {
		return nil, err
	}
	return parseLibrary(sources)
}

func parseLibrary(sources map[string]string) (modules map[string]*ast.Module, err error) {
	modules = make(map[string]*ast.Module, len(sources))
	options := ParserOptions()
	for path, source := range sources {
		if !strings.HasSuffix(path, ".rego") {
			continue
		}
		if modules[path], err = ast.ParseModuleWithOpts(path, source, options); err != nil {
			return nil, fmt.Errorf("parse policy library: %w", err)
		}
	}
	return modules, nil
}

func librarySources() (map[string]string, error) {
	sources := make(map[string]string)
	err := fs.WalkDir(policies.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := policies.FS.ReadFile(path)
		sources[libraryPrefix+path] = string(content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read policy library: %w", err)
	}
	return sources, nil
}

// libraryEntrypoint is the entry point of realms that do not set their own.
const libraryEntrypoint = "data.uma.authz.decision"

// ContentOf is the hash of a realm's own files. Unlike that of a revision it does not depend
// on the library, nor on the entry point.
func ContentOf(files map[string]string) string { return revisionOf(files, libraryEntrypoint) }

// revisionOf is the hash of the sources: paths and contents in the order of the paths, each
// after its length. The entry point is added if it is the realm's own, because the same
// sources may decide differently there.
func revisionOf(sources map[string]string, entrypoint string) string {
	h := sha256.New()
	var length [8]byte
	write := func(s string) {
		binary.BigEndian.PutUint64(length[:], uint64(len(s)))
		h.Write(length[:])
		h.Write([]byte(s))
	}
	for _, path := range slices.Sorted(maps.Keys(sources)) {
		write(path)
		write(sources[path])
	}
	if entrypoint != libraryEntrypoint {
		write(entrypoint)
	}
	return hex.EncodeToString(h.Sum(nil))
}
