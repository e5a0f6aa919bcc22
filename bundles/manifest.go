package bundles

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/place"
)

// ManifestName is the path of a bundle's manifest.
const ManifestName = ".manifest"

const (
	noWasm   = "policies that are compiled to Wasm are not supported: build the bundle without `-t wasm`"
	noRegoV0 = "rego_version 0 (Rego v0) is not supported: rewrite the policies by `opa fmt --write --v0-v1`, and build the bundle without --v0-compatible"
	noRegoV2 = "rego_version %d is not supported: build the bundle without it; a file may have `import rego.v2`"
)

// A manifest has the members of a bundle's manifest that say how it must be read. OPA
// ignores unknown members, so the others are ignored, too.
type manifest struct {
	Roots            *[]string      `json:"roots"`
	RegoVersion      *int           `json:"rego_version"`
	FileRegoVersions map[string]int `json:"file_rego_versions"`
	Wasm             []any          `json:"wasm"`
}

func (a *archive) readManifest() (m manifest) {
	text, found := a.about[ManifestName]
	if !found {
		return m
	}
	if _, err := parseData("manifest.json", text); err != nil {
		a.mistakes = append(a.mistakes, a.dataMistake(ManifestName, err))
		return m
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &m); err != nil {
		a.mistake(ManifestName, err)
		return m
	}
	versions := slices.Sorted(maps.Values(m.FileRegoVersions))
	if m.RegoVersion != nil {
		versions = append(versions, *m.RegoVersion)
	}
	for _, version := range slices.Compact(versions) {
		switch version {
		case 1:
		case 0:
			a.mistake(ManifestName, errors.New(noRegoV0))
		default:
			a.mistake(ManifestName, fmt.Errorf(noRegoV2, version))
		}
	}
	if len(m.Wasm) > 0 {
		a.mistake(ManifestName, errors.New(noWasm))
	}
	return m
}

// parse parses the files, and compares them with the roots of the manifest.
func (a *archive) parse() {
	m := a.readManifest()
	if len(a.mistakes) > 0 {
		return
	}
	a.reader.parse()
	if m.Roots == nil {
		return
	}
	roots := rootsOf(*m.Roots)
	for _, modules := range []map[string]*ast.Module{a.bundle.Modules, a.bundle.Tests} {
		for _, name := range slices.Sorted(maps.Keys(modules)) {
			pkg := modules[name].Package
			if !roots.cover(pathOf(pkg.Path)) {
				a.mistakes = append(a.mistakes, &place.Mistake{
					File: a.shown(name), Line: pkg.Location.Row, Column: pkg.Location.Col,
					Text: fmt.Sprintf("%s is outside of the roots in %s", pkg, ManifestName),
				})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.bundle.Data)) {
		if outside := roots.outside(nil, a.bundle.Data[name]); outside != nil {
			a.mistake(name, fmt.Errorf("data.%s is outside of the roots in %s", strings.Join(outside, "."), ManifestName))
		}
	}
}

// roots are the paths that a bundle says it has content at. The path "", which `opa build`
// writes by default, is that of everything.
type roots [][]string

func rootsOf(list []string) roots {
	var r roots
	for _, root := range list {
		root = strings.Trim(root, "/")
		if root == "" {
			r = append(r, nil)
			continue
		}
		r = append(r, strings.Split(root, "/"))
	}
	return r
}

func pathOf(ref ast.Ref) (path []string) {
	for _, term := range ref[1:] {
		if s, ok := term.Value.(ast.String); ok {
			path = append(path, string(s))
		}
	}
	return path
}

func (r roots) cover(path []string) bool {
	return slices.ContainsFunc(r, func(root []string) bool { return hasPrefix(path, root) })
}

// outside returns the first path of a document that no root covers; nil if there is none.
func (r roots) outside(path []string, doc map[string]any) []string {
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		at := append(slices.Clone(path), name)
		if r.cover(at) {
			continue
		}
		below, isObject := doc[name].(map[string]any)
		if !isObject || !slices.ContainsFunc(r, func(root []string) bool { return hasPrefix(root, at) }) {
			return at
		}
		if found := r.outside(at, below); found != nil {
			return found
		}
	}
	return nil
}

func hasPrefix(path, prefix []string) bool {
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
}
